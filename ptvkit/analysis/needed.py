"""How large a margin each patient needs: the root of a criterion that a larger margin meets better.

Sorted over patients, the needed margins are the whole curve of the population's share against the margin. One distance
from the target serves all sizes of margin: the dose at a point is a falling curve of its distance less the margin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ptvkit.analysis.point_tree import one_of_each_cube, tree_of
from ptvkit.analysis.positions import NONE, few_of, positions_of
from ptvkit.dose.conformal import PrescribedTo, plateau_of
from ptvkit.dose.criteria import Criterion
from ptvkit.dose.points import Points, points_of
from ptvkit.geometry.boxes import joined
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.region import Region
from ptvkit.kernels.field import Field
from ptvkit.kernels.needed import (
    Bounds,
    Curve,
    Positions,
    Sketch,
    Tree,
    needed_of_worst,
)
from ptvkit.kernels.needed_share import GEUD, MEAN, VOLUME, WITHIN, needed_of_share
from ptvkit.motion.course import Course

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

STEP_MM: Final = 0.05
CELLS_MM: Final = (20.0, 9.0, 4.0)
POINT_MM: Final = 1.7
FACING_MM: Final = 3.5
FINE_MM: Final = 1.5
"""Fields closer than this are thinned for rough answers."""
FEWEST_NODES: Final = 16
INNER: Final = 2500
FEW_INNER: Final = 300
NEAR_MM: Final = 1.0
"""By few positions, or few points of the volume, a patient's needed margin is known within this."""
NEVER_MM: Final = -30.0
"""Needed margins are searched from here on; what needs less needs none."""
FIRST: Final = Bounds(NEVER_MM, NEVER_MM, -np.inf)
BEYOND_MM: Final = 0.3
"""How far beyond the shares of interest patients are worked out at first."""
LATTICE_MM: Final = 0.1
"""By which distances differ between lattices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The dose that goes with every margin: conformal to its PTV.

    Attributes
    ----------
    penumbra_mm, edge_level, prescribed_to
        As in `conformal_dose`.
    blurred_mm : float
        SD of motion that is not among a patient's positions.
    """

    penumbra_mm: float = 3.2
    edge_level: float = 0.95
    prescribed_to: PrescribedTo = "plateau"
    blurred_mm: float = 0.0

    def curve(self) -> Curve:
        """Share of the prescription by distance from the PTV's surface."""
        edge = float(special.ndtri(self.edge_level)) * self.penumbra_mm
        width = float(np.hypot(self.penumbra_mm, self.blurred_mm))
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
        Fewer, those that face R, L, A, P, S and I, where there are such.
    points, few : Points or None
        Of the volume, relative to the centre, where the worst point alone does not decide.
    """

    criterion: Criterion
    plan: Plan
    centre_mm: Floats
    tree: Tree
    coarse: Tree
    facing: tuple[Tree, ...]
    points: Points | None
    few: Points | None

    @property
    def level(self) -> float:
        """Dose that a point must get; 0 where its distance decides."""
        metric = self.criterion.metric
        if metric.name == "contained":
            return 0.0
        if self.kind == GEUD:
            return metric.size
        return metric.size / 100 if metric.unit == "share" else self.criterion.level

    @property
    def deep_mm(self) -> float:
        """How far inside a PTV distances matter to the dose."""
        return 1.0 - self.plan.curve().first_mm

    @property
    def kind(self) -> int:
        """What is summed over the points of the volume."""
        metric = self.criterion.metric
        if metric.name.startswith("geud"):
            return GEUD
        return MEAN if metric.name == "mean" else WITHIN if metric.entry.source == "coverage" else VOLUME

    @property
    def share(self) -> float:
        """Of the volume that must be served; the mean dose for that."""
        metric = self.criterion.metric
        return self.criterion.level if metric.unit == "share" or self.kind in (MEAN, GEUD) else metric.size / 100


class Needs(NamedTuple):
    """What patients need beyond a surface, mm: from `low` to `high` (P,), and the tree's `worst` (P,) points."""

    low: Floats
    high: Floats
    worst: Whole

    @property
    def middle(self) -> Floats:
        """What each patient (P,) needs, exactly where that is known; the least where no most is."""
        return np.where(np.isfinite(self.high), 0.5 * (self.low + self.high), self.low)

    def part(self, which: NDArray[np.bool_]) -> "Needs":
        """Of some of the patients."""
        return Needs(self.low[which], self.high[which], self.worst[which])

    def beyond(self, growth: Floats) -> "Needs":
        """Beyond a surface whose sides have grown by so much (6,), mm, on any lattice.

        An ellipsoid whose semi-axes all grow by g reaches no more than g further, and no less far than before.
        """
        least, most = min(float(growth.min()), 0.0), max(float(growth.max()), 0.0)
        return Needs(self.low - most - LATTICE_MM, self.high - least + LATTICE_MM, self.worst)


def judge_of(target: Region, criterion: Criterion, plan: Plan, centre_mm: Floats) -> Judge:
    """Prepare a target for a criterion."""
    metric = criterion.metric
    worst = metric.name in ("dmin", "contained") or (
        metric.name != "mean" and metric.size == 100 and metric.unit == "Gy"
    )
    volumes = [None, None] if worst else [_volume(target, centre_mm, inner) for inner in (INNER, FEW_INNER)]
    surface = target.surface_points()
    surface = surface[one_of_each_cube(surface, POINT_MM)]
    normals = _outward(target, surface)
    surface = surface - centre_mm
    fewer = one_of_each_cube(surface, FACING_MM)
    faced = np.stack([normals, -normals], axis=2).reshape(-1, 6).argmax(axis=1)[fewer]
    facing = [fewer[faced == side] for side in range(6) if (faced == side).any()]
    return Judge(
        criterion=criterion,
        plan=plan,
        centre_mm=centre_mm,
        tree=tree_of(surface, normals, CELLS_MM),
        coarse=tree_of(surface[fewer], normals[fewer], CELLS_MM[:-1]),
        facing=tuple(tree_of(surface[part], normals[part], CELLS_MM[:-1]) for part in facing),
        points=volumes[0],
        few=volumes[1],
    )


def _volume(target: Region, centre_mm: Floats, inner: int) -> Points:
    found = points_of(target, inner=inner, surface=1)
    return replace(found, inner=np.ascontiguousarray(found.inner - centre_mm))


def _outward(target: Region, points_mm: Floats) -> Floats:
    """Slope (N, 3) of a target's level at points of its surface."""
    slope = np.stack([target.sample(points_mm + e) - target.sample(points_mm - e) for e in 0.7 * np.eye(3)], axis=1)
    return np.clip(slope, -2.0, 2.0)  # beyond the grid everything is far outside


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
    few, spread = few_of(at) if smooth else (NONE, 0.0)
    return Population(at=at, few=few, spread_mm=spread)


class Room(NamedTuple):
    """How far displacements reach: from `low_mm` (3,) to `high_mm` (3,), and `farthest_mm` in any direction."""

    low_mm: Floats
    high_mm: Floats
    farthest_mm: float

    def holds(self, other: "Room") -> bool:
        """Whether another has no more room."""
        within = (self.low_mm <= other.low_mm).all() and (self.high_mm >= other.high_mm).all()
        return bool(within and self.farthest_mm >= other.farthest_mm)


def roughly(judge: Judge, people: Population) -> tuple[Judge, Population]:
    """The same by few positions of each patient and few points; as it is where there are no fewer."""
    if judge.points is not None or not len(people.few.shifts):
        return judge, people
    plan = replace(judge.plan, blurred_mm=people.spread_mm / 3**0.5)
    rough = Population(at=people.few, few=NONE, spread_mm=0.0)
    return replace(judge, plan=plan, tree=judge.coarse), rough


def room_of(region: Region, people: Sequence[Population]) -> Room:
    """How far patients' targets get from where they were planned."""
    low = np.min([each.at.shifts.min(axis=(0, 1, 2)) for each in people], axis=0)
    high = np.max([each.at.shifts.max(axis=(0, 1, 2)) for each in people], axis=0)
    farthest = max(float(np.linalg.norm(each.at.shifts, axis=-1).max()) for each in people)
    angle = max((_largest_angle(each.at.turns) for each in people if len(each.at.turns)), default=0.0)
    if not angle:
        return Room(low, high, farthest)
    points = region.surface_points()
    reach = angle * float(np.linalg.norm(points - points.mean(axis=0), axis=1).max())
    return Room(low - reach, high + reach, farthest + reach)


def _largest_angle(turns: Floats) -> float:
    return float(np.arccos(np.clip((np.trace(turns, axis1=2, axis2=3) - 1) / 2, -1, 1)).max())


def field_of(region: Region, far: Room, deep_mm: float) -> Field:
    """Distance from a region's surface, on its own lattice, and as far around it as there is room for."""
    axes = np.abs(region.grid.axes)  # of the grid, in the patient's frame
    minus, plus = np.minimum(far.low_mm, 0.0) @ axes, np.maximum(far.high_mm, 0.0) @ axes
    if not region.grid.is_aligned(np.eye(3)):
        minus, plus = np.minimum(minus, -plus), np.maximum(plus, -minus)
    room = [(int(-a / h) + 4, int(b / h) + 4) for a, b, h in zip(minus, plus, region.grid.spacing_mm, strict=True)]
    farthest = far.farthest_mm + 3.0
    near = joined(signed_distance(region, outside_mm=farthest, inside_mm=deep_mm, room=room))
    to_index = np.ascontiguousarray(np.linalg.inv(near.grid.affine)[:3])
    values = np.ascontiguousarray(np.minimum(near.level, np.float32(farthest)))
    return Field(values, to_index, np.asarray(near.grid.spacing_mm, float))


def needs_at(judge: Judge, field: Field, people: Population, margin_mm: float) -> Floats:
    """What each patient (P,) needs beyond the surface that the field is of, as far as to compare it with a margin."""
    if judge.points is None:
        needed = np.full(people.size, margin_mm)
        if len(people.few.shifts):
            bounds = Bounds(NEVER_MM, margin_mm - NEAR_MM, margin_mm + NEAR_MM)
            rough, few = roughly(judge, people)
            needed = searched(rough, _thinned(field), few, bounds)[0]
        near = np.abs(needed - margin_mm) < NEAR_MM
        needed[near] = searched(judge, field, people.part(near), Bounds(NEVER_MM, margin_mm, margin_mm))[0]
        return needed
    needed = _needed_by_volume(judge, judge.few, field, people)
    near = np.abs(needed - margin_mm) < NEAR_MM
    needed[near] = _needed_by_volume(judge, judge.points, field, people.part(near))
    return needed


def needs_of(
    judge: Judge,
    field: Field,
    people: Population,
    shares: tuple[float, float],
    known: Needs | None = None,
    *,
    everyone: bool = False,
) -> Needs:
    """What each patient needs beyond the surface that the field is of.

    Exactly from one share of the population to another; of who needs less or more, bounds are known.

    Parameters
    ----------
    judge, field, people
    shares : (2,)
    known : Needs, optional
        Bounds that are known before.
    everyone : bool
        Whether these bounds must be close.
    """
    if judge.points is not None:
        return _by_volume(judge, field, people, shares, known)
    if known is None and len(people.few.shifts):
        rough, few = roughly(judge, people)
        of_all = needs_of(rough, _thinned(field), few, (0.0, 1.0) if everyone else shares)
        known = Needs(of_all.low - NEAR_MM, of_all.high + NEAR_MM, np.full(people.size, -1))
    if known is None:
        low, worst = searched(judge, field, people, FIRST)
        known = Needs(low, np.full(len(low), np.inf), worst)
        ceiling = quantile(low, shares[1]) + BEYOND_MM
    else:
        ceiling = quantile(known.high, shares[1])
    floor = quantile(known.low, shares[0])
    found = _narrowed(judge, field, people, known, floor, ceiling)
    if quantile(found.low, shares[1]) > ceiling:
        found = _narrowed(judge, field, people, found, floor, np.inf)
    return found


def _narrowed(judge: Judge, field: Field, people: Population, known: Needs, floor: float, ceiling: float) -> Needs:
    """Who may need more than a floor and less than a ceiling is worked out, as far as he does."""
    which = (known.high > known.low) & (known.high >= floor) & (known.low <= ceiling)
    if not which.any():
        return known
    low, high, worst = known.low.copy(), known.high.copy(), known.worst.copy()
    bounds = Bounds(NEVER_MM, floor, ceiling)
    least, place = searched(judge, field, people.part(which), bounds, worst[which])
    low[which], worst[which] = least, place
    high[which] = np.where(least > ceiling, np.inf, np.maximum(least, floor))
    return Needs(low, high, worst)


def quantile(needed: Floats, share: float) -> float:
    """The margin that this share of the patients need at most."""
    return float(np.sort(needed)[min(int(np.ceil(share * (len(needed) - 1) - 1e-9)), len(needed) - 1)])


def searched(
    judge: Judge, field: Field, people: Population, bounds: Bounds, hints: Whole | None = None
) -> tuple[Floats, Whole]:
    """What each patient needs within bounds, and the point of the judge's tree that decides for him."""
    hints = np.full(people.size, -1) if hints is None else hints
    exact = centred(field, judge.centre_mm)
    curve = roughly(judge, people)[0].plan.curve()
    slack = 0.3 * people.spread_mm**2 / judge.plan.penumbra_mm + 0.2
    sketch = Sketch(_thinned(exact), people.few, curve, slack)
    return needed_of_worst(exact, judge.tree, people.at, judge.plan.curve(), judge.level, sketch, bounds, hints)


def _thinned(field: Field) -> Field:
    """Every other node along each axis, where they are close."""
    steps = np.where((field.spacing_mm < FINE_MM) & (np.array(field.values.shape) > FEWEST_NODES), 2, 1)
    i, j, k = steps
    to_index = np.ascontiguousarray(field.to_index / steps[:, None])
    return Field(np.ascontiguousarray(field.values[::i, ::j, ::k]), to_index, field.spacing_mm * steps)


def _by_volume(
    judge: Judge, field: Field, people: Population, shares: tuple[float, float], known: Needs | None
) -> Needs:
    """By few points of the volume, and by all where it matters."""
    if known is None:
        nothing = np.full(people.size, np.inf)
        known = Needs(-nothing, nothing, np.zeros(people.size, np.int64))
    rough = (known.high >= quantile(known.low, shares[0])) & (known.low <= quantile(known.high, shares[1]))
    low, high = known.low.copy(), known.high.copy()
    few = _needed_by_volume(judge, judge.few, field, people.part(rough))
    low[rough], high[rough] = few - NEAR_MM, few + NEAR_MM
    for _ in range(4):
        near = (high > low) & (high >= quantile(low, shares[0])) & (low <= quantile(high, shares[1]))
        if not near.any():
            break
        low[near] = high[near] = _needed_by_volume(judge, judge.points, field, people.part(near))
    return Needs(low, high, known.worst)


def _needed_by_volume(judge: Judge, points: Points | None, field: Field, people: Population) -> Floats:
    assert points is not None, "only criteria of volume are judged by all points"
    near, curve = centred(field, judge.centre_mm), judge.plan.curve()
    return needed_of_share(
        near, points.inner, points.volume_cc, people.at, curve, judge.level, kind=judge.kind, share=judge.share
    )


def centred(field: Field, centre_mm: Floats) -> Field:
    """The same field for points relative to the target's centroid."""
    moved = field.to_index.copy()
    moved[:, 3] += moved[:, :3] @ centre_mm
    return Field(field.values, moved, field.spacing_mm)
