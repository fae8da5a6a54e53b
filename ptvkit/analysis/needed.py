"""How large a margin each patient needs: the root of a criterion that a larger margin meets better.

Sorted over patients, the needed margins are the whole curve of the population's share against the margin. One distance
from the target serves all sizes of margin: the dose at a point is a falling curve of its distance less the margin.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ptvkit.analysis.point_tree import tree_of
from ptvkit.analysis.positions import NONE, few_of, positions_of
from ptvkit.dose.conformal import PrescribedTo, plateau_of
from ptvkit.dose.criteria import Criterion
from ptvkit.dose.metrics import metrics_of
from ptvkit.dose.points import Points, points_of
from ptvkit.geometry.boxes import joined
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.region import Region
from ptvkit.kernels.jit import thread_count
from ptvkit.kernels.needed import (
    Bounds,
    Curve,
    Field,
    Positions,
    Sketch,
    Tree,
    curve_slope,
    distances,
    needed_of_worst,
    weighted_curve,
)
from ptvkit.motion.course import Course
from ptvkit.motion.simulate import in_threads

Floats = NDArray[np.float64]

STEP_MM: Final = 0.05
WORST_POINT: Final = ("dmin", "contained")
"""Metrics that one point of the surface decides."""
CELLS_MM: Final = (24.0, 12.0, 6.0, 3.5)
POINT_MM: Final = 1.7
NEAR_MM: Final = 0.8
"""Patients are worked out finely whose needed margin is roughly this close to the wanted one."""
FINE_MM: Final = 1.5
"""Fields closer than this are thinned for rough answers."""
FEWEST_NODES: Final = 16
INNER: Final = 2500
SURFACE: Final = 800
ROOT_MM: Final = 0.01
NEVER_MM: Final = -30.0
"""Needed margins are told from here on; what needs less needs none."""
ALL: Final = Bounds(NEVER_MM, NEVER_MM, np.inf)
DECIDED_MM: Final = 0.15
"""Who needs so much more or less than a margin is on its one side for sure."""
BINS: Final = 400
TOGETHER_MM: Final = 0.3
"""Points decide together whose needed margins differ by about this."""
STILL: Final = np.zeros((0, 3, 3))
DECIDING_POINTS: Final = 20
"""Of a patient's volume, that say which sides matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The dose that goes with every margin: conformal to its PTV.

    Attributes
    ----------
    penumbra_mm, edge_level, prescribed_to
        As in `conformal_dose`.
    """

    penumbra_mm: float = 3.2
    edge_level: float = 0.95
    prescribed_to: PrescribedTo = "plateau"

    def curve(self, blurred_mm: float = 0.0) -> Curve:
        """Share of the prescription by distance from the PTV's surface, blurred by some more mm (SD)."""
        edge = float(special.ndtri(self.edge_level)) * self.penumbra_mm
        width = float(np.hypot(self.penumbra_mm, blurred_mm))
        at = np.arange(edge - 5 * width, edge + 6 * width, STEP_MM)
        values = plateau_of(1.0, self.edge_level, self.prescribed_to) * special.ndtr((edge - at) / width)
        return Curve(np.ascontiguousarray(values), float(at[0]), STEP_MM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """A target and a criterion: what each patient needs. Make one with `judge_of`.

    Attributes
    ----------
    criterion : Criterion
    plan : Plan
    centre_mm : (3,) array
    tree, coarse : Tree
        Surface points relative to the centre, and fewer of them.
    facing : tuple of Tree
        Those that face R, L, A, P, S and I, where there are such.
    points : Points or None
        Volume and surface, relative to the centre, where the worst point alone does not decide.
    """

    criterion: Criterion
    plan: Plan
    centre_mm: Floats
    tree: Tree
    coarse: Tree
    facing: tuple[Tree, ...]
    points: Points | None

    @property
    def level(self) -> float:
        """That the dose of the worst point must reach; 0 where its distance decides."""
        return 0.0 if self.criterion.metric.name == "contained" else self.criterion.level


def judge_of(target: Region, criterion: Criterion, plan: Plan, centre_mm: Floats) -> Judge:
    """Prepare a target for a criterion."""
    whole = None
    if criterion.metric.name not in WORST_POINT:
        found = points_of(target, inner=INNER, surface=SURFACE)
        whole = Points(inner=found.inner - centre_mm, volume_cc=found.volume_cc, surface=found.surface - centre_mm)
    surface = target.surface_points() - centre_mm
    return Judge(
        criterion=criterion,
        plan=plan,
        centre_mm=centre_mm,
        tree=tree_of(surface, (*CELLS_MM, POINT_MM)),
        coarse=tree_of(surface, CELLS_MM),
        facing=tuple(tree_of(part, CELLS_MM) for part in _by_direction(target, surface + centre_mm, surface)),
        points=whole,
    )


def _by_direction(target: Region, points_mm: Floats, points: Floats) -> list[Floats]:
    """Points of a surface, parted by the direction that they face most."""
    slope = np.stack([target.sample(points_mm + e) - target.sample(points_mm - e) for e in 0.7 * np.eye(3)], axis=1)
    slope = np.clip(slope, -2.0, 2.0)  # beyond the grid everything is far outside
    faced = np.stack([slope, -slope], axis=2).reshape(-1, 6).argmax(axis=1)
    return [points[faced == side] for side in range(6) if (faced == side).any()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """Patients, and a rougher picture of them. Make one with `population_of`.

    Attributes
    ----------
    at : Positions
    few : Positions
        Fewer for each patient; of length 0 where there is none.
    spread_mm : float
        RMS distance of the positions from the few.
    """

    at: Positions
    few: Positions
    spread_mm: float

    @property
    def size(self) -> int:
        """How many patients."""
        return len(self.at.weights)

    def part(self, which: NDArray[np.bool_]) -> "Population":
        """Some of the patients."""
        at, few = (
            Positions(*(array[which] if len(array) else array for array in each)) for each in (self.at, self.few)
        )
        return Population(at=at, few=few, spread_mm=self.spread_mm)


def population_of(course: Course, patients: int, seed: int, samples: int, centre_mm: Floats, metric: str) -> Population:
    """Draw patients for a metric by its name."""
    smooth = metric not in ("contained", "coverage")
    at = positions_of(course, patients, seed, samples, centre_mm, smooth=smooth, extremes=metric == "contained")
    few, spread = few_of(at) if metric == "dmin" else (NONE, 0.0)
    return Population(at=at, few=few, spread_mm=spread)


def field_of(region: Region, people: Population, deep_mm: float) -> Field:
    """Distance from a region's surface, on its own lattice, and as far around it as patients' targets get."""
    low, high = people.at.shifts.min(axis=(0, 1, 2)), people.at.shifts.max(axis=(0, 1, 2))
    if len(people.at.turns):  # how far rotations carry the surface
        angle = np.arccos(np.clip((np.trace(people.at.turns, axis1=2, axis2=3) - 1) / 2, -1, 1)).max()
        points = region.surface_points()
        reach = angle * np.linalg.norm(points - points.mean(axis=0), axis=1).max()
        low, high = low - reach, high + reach
    axes = np.abs(region.grid.axes)  # of the grid, in the patient's frame
    minus, plus = np.minimum(low, 0.0) @ axes, np.maximum(high, 0.0) @ axes
    if not region.grid.is_aligned(np.eye(3)):
        minus, plus = np.minimum(minus, -plus), np.maximum(plus, -minus)
    room = [(int(-a / h) + 4, int(b / h) + 4) for a, b, h in zip(minus, plus, region.grid.spacing_mm, strict=True)]
    farthest = float(np.linalg.norm(people.at.shifts, axis=-1).max()) + 3.0
    near = joined(signed_distance(region, outside_mm=farthest, inside_mm=deep_mm, room=room))
    to_index = np.ascontiguousarray(np.linalg.inv(near.grid.affine)[:3])
    return Field(np.minimum(near.level, np.float32(farthest)), to_index, np.asarray(near.grid.spacing_mm, float))


def needed_margins(
    judge: Judge, field: Field, people: Population, *, share: float | None = None, at_mm: float | None = None
) -> Floats:
    """What each patient (P,) needs beyond the surface that the field is of, mm.

    Parameters
    ----------
    judge, field, people
    share, at_mm : float, optional
        Only patients near that share of the population, or near that need, are worked out finely; the others are known
        within some tenths of a millimetre, and lie on the right side of it.
    """
    if judge.points is not None:
        return _needed_by_volume(judge, field, people)
    if not len(people.few.shifts) or (share is None and at_mm is None):
        return needed_by_worst(judge, field, people)[0]
    found = _rough(judge, field, people, share, at_mm)
    bounds = ALL if at_mm is None else Bounds(NEVER_MM, at_mm - DECIDED_MM, at_mm + DECIDED_MM)
    fine = np.zeros(len(found), bool)
    for _ in range(4):
        middle = at_mm if at_mm is not None else quantile(found, share or 0.5)
        near = (np.abs(found - middle) < NEAR_MM) & ~fine
        if not near.any():
            break
        found[near] = needed_by_worst(judge, field, people.part(near), bounds)[0]
        fine |= near
    return found


def quantile(needed: Floats, share: float) -> float:
    """The margin that this share of the patients need at most."""
    return float(np.quantile(needed, share, method="higher"))


def needed_by_worst(
    judge: Judge, field: Field, people: Population, bounds: Bounds = ALL
) -> tuple[Floats, NDArray[np.int64]]:
    """As `needed_margins`, all finely, and the point of the judge's tree that decides for each."""
    sketch = Sketch(
        _centred(_thinned(field), judge.centre_mm),
        people.few,
        judge.plan.curve(people.spread_mm / 3**0.5),
        0.3 * people.spread_mm**2 / judge.plan.penumbra_mm + 0.2,
    )
    exact, curve = _centred(field, judge.centre_mm), judge.plan.curve()
    return needed_of_worst(exact, judge.tree, people.at, curve, judge.level, sketch, bounds=bounds)


def deciding_positions(judge: Judge, field: Field, people: Population, needed: Floats) -> tuple[Floats, Floats]:
    """Where the points that decide are in the patient's frame (N, 3), mm, and how much each counts (N,).

    Of the worst points of the surface's six directions those count that need nearly as much as the worst of all: at the
    best margin several decide together.
    """
    at, curve, centred = people.at, judge.plan.curve(), _centred(field, judge.centre_mm)
    points, counts = [], []
    for patient, (own, share) in enumerate(_deciding(judge, field, people, needed)):
        turns = at.turns[patient] if len(at.turns) else STILL
        distance = distances(centred, own, at.shifts[patient], turns) - needed[patient]
        slope = curve_slope(curve, distance) if judge.level > 0 else (distance > distance.max() - 0.5) * 1.0
        weight = slope * at.weights[patient].reshape(-1)
        turned = own[:, None] if not len(turns) else np.einsum("fij,nj->nfi", turns, own)
        place = turned[:, :, None] + at.shifts[patient]
        points.append((place + judge.centre_mm).reshape(-1, 3))
        counts.append((share[:, None] * weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)).reshape(-1))
    return np.concatenate(points), np.concatenate(counts)


def _deciding(judge: Judge, field: Field, people: Population, needed: Floats) -> list[tuple[Floats, Floats]]:
    """Each patient's deciding points (N, 3), relative to the centre, and how much each counts (N,)."""
    if judge.points is not None:
        centred = _centred(field, judge.centre_mm)
        own = [_deciding_points(judge, centred, people.at, patient, needed[patient]) for patient in range(people.size)]
        return [(each, np.full(len(each), 1.0 / len(each))) for each in own]
    bounds = Bounds(NEVER_MM, float(needed.min()) - 5 * TOGETHER_MM, np.inf)  # e⁻⁵ counts for nothing
    found = [needed_by_worst(replace(judge, tree=tree), field, people, bounds) for tree in judge.facing]
    places = np.stack([tree.centres[worst] for tree, (_, worst) in zip(judge.facing, found, strict=True)], axis=1)
    most = np.stack([each for each, _ in found], axis=1)
    share = np.exp((most - most.max(axis=1, keepdims=True)) / TOGETHER_MM)
    share /= share.sum(axis=1, keepdims=True)
    return [
        (np.ascontiguousarray(own[part > 0.01]), part[part > 0.01]) for own, part in zip(places, share, strict=True)
    ]


def _deciding_points(judge: Judge, field: Field, at: Positions, patient: int, margin: float) -> Floats:
    """Points of the volume whose dose is nearest to the one that the criterion asks for."""
    assert judge.points is not None, "only criteria of volume are judged by all points"
    turns = at.turns[patient] if len(at.turns) else STILL
    inner = distances(field, judge.points.inner, at.shifts[patient], turns)
    criterion = judge.criterion
    if criterion.metric.entry.source == "coverage":
        away = np.abs(inner - margin).min(axis=1)
    else:
        dose = weighted_curve(inner, at.weights[patient].reshape(-1), judge.plan.curve(), margin)
        wanted = criterion.level if criterion.metric.unit == "Gy" else criterion.metric.size / 100
        away = dose if criterion.metric.name == "mean" else np.abs(dose - wanted)
    return np.ascontiguousarray(judge.points.inner[np.argsort(away)[:DECIDING_POINTS]])


def _rough(judge: Judge, field: Field, people: Population, share: float | None, at_mm: float | None) -> Floats:
    """By the few positions and the coarse tree; who is far below the wanted share or need is hardly searched."""
    wide = judge.plan.curve(people.spread_mm / 3**0.5)
    coarse = _centred(_thinned(field), judge.centre_mm)
    none = Sketch(coarse, NONE, wide, 0.0)

    def searched(floor: float, ceiling: float) -> Floats:
        return needed_of_worst(
            coarse, judge.coarse, people.few, wide, judge.level, none, bounds=Bounds(NEVER_MM, floor, ceiling)
        )[0]

    if at_mm is not None:
        return searched(at_mm - NEAR_MM, at_mm + NEAR_MM)
    return searched(quantile(searched(np.inf, -np.inf), share or 0.5) - NEAR_MM, np.inf)


def _thinned(field: Field) -> Field:
    """Every other node along each axis, where they are close."""
    steps = np.where((field.spacing_mm < FINE_MM) & (np.array(field.values.shape) > FEWEST_NODES), 2, 1)
    i, j, k = steps
    to_index = np.ascontiguousarray(field.to_index / steps[:, None])
    return Field(np.ascontiguousarray(field.values[::i, ::j, ::k]), to_index, field.spacing_mm * steps)


def _needed_by_volume(judge: Judge, field: Field, people: Population) -> Floats:
    centred, curve = _centred(field, judge.centre_mm), judge.plan.curve()

    def one(patient: int) -> float:
        return _needed_by_all(judge, centred, curve, people.at, patient)

    return np.array(list(in_threads(one, range(people.size), thread_count())))


def _centred(field: Field, centre_mm: Floats) -> Field:
    """The same field for points relative to the target's centroid."""
    moved = field.to_index.copy()
    moved[:, 3] += moved[:, :3] @ centre_mm
    return Field(field.values, moved, field.spacing_mm)


def _needed_by_all(judge: Judge, field: Field, curve: Curve, at: Positions, patient: int) -> float:
    """The root for one patient where volume counts, on the metric itself."""
    points = judge.points
    assert points is not None, "only criteria of volume are judged by all points"
    turns = at.turns[patient] if len(at.turns) else STILL
    weights = at.weights[patient].reshape(-1)
    inner = distances(field, points.inner, at.shifts[patient], turns)
    if judge.criterion.metric.entry.source == "coverage":
        return _weighted_quantile(inner, points.volume_cc[:, None] * weights, judge.criterion.level)
    surface = distances(field, points.surface, at.shifts[patient], turns)

    def excess(margin: float) -> float:
        doses = [weighted_curve(each, weights, curve, margin) for each in (inner, surface)]
        found = metrics_of("target", doses[0], points.volume_cc, doses[1], bins=BINS, prescription_gy=1.0)
        return judge.criterion.metric.of_dose(found) - judge.criterion.level

    return _root(excess, NEVER_MM, float(inner.max()) - curve.first_mm)


def _weighted_quantile(values: NDArray[np.float32], weights: Floats, level: float) -> float:
    """The value at or below which a share of the weight lies."""
    flat, weight = values.reshape(-1), weights.reshape(-1)
    order = np.argsort(flat)
    total = np.cumsum(weight[order])
    return float(flat[order][min(int(np.searchsorted(total, level * total[-1])), len(flat) - 1)])


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function is 0, between its ends, by regula falsi kept from stalling."""
    below, above = excess(low), excess(high)
    if below >= 0:
        return low
    while high - low > ROOT_MM:
        share = min(max(below / (below - above), 0.03), 0.97) if above > below else 0.5
        cut = low + share * (high - low)
        value = excess(cut)
        if value < 0:
            low, below, above = cut, value, above * 0.5
        else:
            high, above, below = cut, value, below * 0.5
    return high
