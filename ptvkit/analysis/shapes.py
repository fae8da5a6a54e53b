"""Unequal margins: the sides whose PTV is smallest while a share of the patients meet a criterion.

At the optimum every side gains the same share of patients for the same volume. How much a side's millimetre takes off
the margin that patients still need, and how much it adds to the PTV, follow from the surface's normals: the body of a
margin with semi-axes m reaches ``h(n) = √Σ mᵢ²nᵢ²`` along a normal n, and ``∂h/∂mᵢ = mᵢnᵢ²/h``, over the sides that n
faces. So each side is multiplied by a power of the ratio of the two, and all grow or shrink until the share is met.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ptvkit.analysis.deciding import deciding_positions
from ptvkit.analysis.gauge import deciding_shares, gauges
from ptvkit.analysis.needed import (
    Judge,
    Needs,
    Population,
    field_of,
    needs_of,
    quantile,
    room_of,
    roughly,
)
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import grid_around, resampled
from ptvkit.kernels.field import Field
from ptvkit.kernels.level import sample_points
from ptvkit.kernels.occupancy import occupancy
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import LARGEST_MM, PATIENT, Margin
from ptvkit.motion.estimate import share as estimated

Floats = NDArray[np.float64]
Shape = Literal["isotropic", "per_axis", "six"]

SEARCH_MM: Final = 2.0
"""Spacing of the grid on which sides are sought, for all but small targets; their size is found on a finer one."""
NODES_ACROSS: Final = 12
STEPS: Final = 10
FIRST_STEP: Final = 0.5
"""Power of the ratio that a side is multiplied by; it falls where a side overshoots."""
LEAST_STEP: Final = 0.02
KEPT: Final = 3
"""The last sides of a search; their mean is its result."""
LEAST_MM: Final = 0.3
DECIDING: Final = 0.06
"""Share of the patients, on each side of the wanted one, that say what a side's millimetre is worth."""
CLOSE_MM: Final = 0.02
PARTS: Final = 4
PART_STEPS: Final = 4
PART_STEP: Final = 0.2
FEWEST: Final = 100
"""Patients of each part, below which sides have no intervals."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """What a search for sides needs.

    Attributes
    ----------
    target : Region
    judge : Judge
    people, others : Population
        Patients to search with, and those that the answer is held against.
    share : float
        Of the patients.
    shape : {"per_axis", "six"}
    tell : callable
        Called for every margin that is tried.
    """

    target: Region
    judge: Judge
    people: Population
    others: Population
    share: float
    shape: Shape
    tell: Callable[[], None]

    @property
    def by_gauge(self) -> bool:
        """Whether displacements alone decide."""
        return self.judge.criterion.metric.name == "contained" and not len(self.people.at.turns)

    @property
    def interval(self) -> tuple[float, float]:
        """Shares of the patients between which chance leaves the wanted one."""
        around = estimated(round(self.share * self.people.size), self.people.size)
        return around.low, around.high

    @property
    def deciding(self) -> tuple[float, float]:
        """Shares of the patients between which they say what a side's millimetre is worth."""
        half = max(DECIDING, 4.0 / self.people.size)
        return max(self.share - half, 0.0), min(self.share + half, 1.0)


class Sought(NamedTuple):
    """Sides (6,) R L A P S I, mm, and what is known of what patients need beyond their PTV."""

    sides: Floats
    needs: Needs | None

    def moved(self, sides: Floats) -> "Sought":
        """At other sides."""
        return Sought(sides, None if self.needs is None else self.needs.beyond(sides - self.sides))


def searched_sides(search: Search, start: Sought, *, steps: int = STEPS, first_step: float = FIRST_STEP) -> Sought:
    """Sides of the smallest PTV, from a first guess."""
    coarse = coarse_of(search.target)
    judge, people = roughly(search.judge, search.people)
    search = replace(search, judge=judge, people=people)
    at, tried = start, []
    step, before = np.full(6, first_step), np.zeros(6)
    for _ in range(steps):
        at, towards = _improved(search, coarse, at)
        tried.append(at.sides)
        turned = np.sign(towards) * np.sign(before)
        step = np.clip(np.where(turned < 0, 0.5 * step, np.where(turned > 0, 1.2 * step, step)), LEAST_STEP, 1.0)
        at, before = at.moved(at.sides * np.exp(step * towards)), towards
        search.tell()
    return Sought(np.mean(tried[-KEPT:], axis=0), None)


class Sized(NamedTuple):
    """Sides (6,) that meet the share; their PTV and distances from it; what each patient (P,) needs yet."""

    sides: Floats
    ptv: Region
    field: Field | None
    needed: Floats


def sized_sides(search: Search, sides: Floats) -> Sized:
    """Sides grown or shrunk evenly until the share is met, on the target's own grid."""
    people = search.people
    if search.by_gauge:
        sizes = gauges(people.at.shifts, sides)
        size = quantile(sizes, search.share)
        sides = sides * size
        return Sized(sides, expand(search.target, margin_of(sides)), None, (sizes / size - 1) * sides.mean())
    at = Sought(sides, None)
    for _ in range(4):
        ptv = expand(search.target, margin_of(at.sides))
        field = field_of(ptv, room_of(ptv, (people, search.others)), search.judge.deep_mm)
        needs = needs_of(search.judge, field, people, search.interval, at.needs)
        search.tell()
        lacking = quantile(needs.low, search.share)
        if abs(lacking) < CLOSE_MM:
            break
        at = Sought(at.sides, needs).moved(grown_by(at.sides, lacking))
    return Sized(at.sides, ptv, field, needs.low)


def side_intervals(search: Search, sides: Floats) -> tuple[Floats, Floats] | None:
    """95 % interval of each side (6,), (6,), from searches on parts of the patients; None for few patients."""
    count = search.people.size
    if count // PARTS < FEWEST:
        return None
    found = []
    for part in range(PARTS):
        which = np.arange(count) % PARTS == part
        few = replace(search, people=search.people.part(which))
        found.append(searched_sides(few, Sought(sides, None), steps=PART_STEPS, first_step=PART_STEP).sides)
    half = stats.t.ppf(0.975, PARTS - 1) * np.std(found, axis=0, ddof=1) / np.sqrt(PARTS)
    return np.maximum(sides - half, 0.0), np.minimum(sides + half, LARGEST_MM)


def margin_of(sides: Floats) -> Margin:
    """Sides R L A P S I as a margin."""
    return Margin.from_letters(dict(zip("RLAPSI", np.clip(sides, 0.0, LARGEST_MM).tolist(), strict=True)))


def grown_by(sides: Floats, growth_mm: float) -> Floats:
    """Sides that are all larger by so much, none below 0."""
    return np.maximum(sides + growth_mm, 0.0)


def coarse_of(target: Region) -> Region:
    """The target on a grid coarse enough to be quick, and fine enough for its size."""
    across = (1000 * target.volume_cc) ** (1 / 3)
    spacing = max(min(SEARCH_MM, across / NODES_ACROSS), min(target.grid.spacing_mm))
    return resampled(target, grid_around(target, PATIENT, spacing))


def _improved(search: Search, target: Region, at: Sought) -> tuple[Sought, Floats]:
    """Sides that meet the share, and the logarithms of the ratios of what each gains to what it costs."""
    sides, ptv = at.sides, expand(target, margin_of(at.sides))
    if search.by_gauge:
        needed = gauges(search.people.at.shifts, sides)
        sized = Sought(np.maximum(sides * quantile(needed, search.share), LEAST_MM), None)
        gain = deciding_shares(search.people.part(_deciding(search, needed)).at.shifts, sides)
    else:
        field = field_of(ptv, room_of(ptv, (search.people,)), search.judge.deep_mm)
        needs = needs_of(search.judge, field, search.people, search.deciding, at.needs)
        growth = quantile(needs.low, search.share)
        sized = Sought(sides, needs).moved(np.maximum(grown_by(sides, growth), LEAST_MM))
        gain = _gain(search, field, needs.low, sides)
    cost = _elasticity(*_area_vectors(ptv), sides)
    if search.shape == "per_axis":
        gain, cost = (np.repeat(each.reshape(3, 2).sum(axis=1), 2) for each in (gain, cost))
    ratio = np.maximum(gain / gain.sum(), 1e-3) / np.maximum(cost / cost.sum(), 1e-6)
    return sized, np.clip(np.log(ratio), -1.0, 1.0)


def _gain(search: Search, field: Field, needed: Floats, sides: Floats) -> Floats:
    """What a share of each side (6,) takes off the margin that deciding patients still need."""
    which = _deciding(search, needed)
    at, weights = deciding_positions(search.judge, field, search.people.part(which), needed[which])
    return _elasticity(_slopes(field, at), weights, sides)


def _deciding(search: Search, needed: Floats) -> NDArray[np.bool_]:
    """Patients near the wanted share."""
    order = np.argsort(needed, kind="stable")
    middle, half = search.share * len(needed), max(DECIDING * len(needed), 4.0)
    which = np.zeros(len(needed), bool)
    which[order[int(max(middle - half, 0)) : int(min(middle + half, len(needed)))]] = True
    return which


def _elasticity(normals: Floats, weights: Floats, sides: Floats) -> Floats:
    """Weighted mean of ``mᵢ ∂h/∂mᵢ = mᵢ²nᵢ²/h`` for each side (6,) over normals (N, 3)."""
    faced = np.stack([np.maximum(normals, 0.0), np.maximum(-normals, 0.0)], axis=2).reshape(-1, 6)
    squares = (faced * sides) ** 2
    support = np.sqrt(squares.sum(axis=1))
    parts = squares / np.maximum(support, 1e-9)[:, None]
    found: Floats = weights @ parts / max(float(weights.sum()), 1e-12)
    return found


def _slopes(field: Field, points: Floats) -> Floats:
    """Unit slope (N, 3) of a distance in the patient's frame."""
    index = points @ field.to_index[:, :3].T + field.to_index[:, 3]
    index = np.clip(index, 1.0, np.asarray(field.values.shape) - 2.0)
    steps = np.eye(3)
    slope = np.stack(
        [sample_points(field.values, index + e) - sample_points(field.values, index - e) for e in steps], axis=1
    )
    slope = slope @ field.to_index[:, :3]
    found: Floats = slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
    return found


def _area_vectors(region: Region) -> tuple[Floats, Floats]:
    """Outward normals (N, 3) of a region's surface in the patient's frame, and the area (N,) that each stands for."""
    normals, areas = [], []
    for box in region.boxes:
        share = np.asarray(occupancy(box.level), float)
        slope = np.stack(np.gradient(-share), axis=-1) / np.asarray(box.grid.spacing_mm)
        length = np.linalg.norm(slope, axis=-1)
        there = length > 1e-6
        normals.append(slope[there] / length[there][:, None] @ box.grid.axes.T)
        areas.append(length[there] * box.grid.voxel_volume_mm3)
    return np.concatenate(normals), np.concatenate(areas)
