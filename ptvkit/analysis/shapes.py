"""Unequal margins: the sides whose PTV is smallest while a share of the patients meet a criterion.

At the optimum every side gains the same share of patients for the same volume. How much a side's millimetre takes off
the margin that patients still need, and how much it adds to the PTV, follow from the surface's normals: the body of a
margin with semi-axes m reaches ``h(n) = √Σ mᵢ²nᵢ²`` along a normal n, and ``∂h/∂mᵢ = mᵢnᵢ²/h``, over the sides that n
faces. So each side is multiplied by a power of the ratio of the two, and all grow or shrink until the share is met.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ptvkit.analysis.gauge import deciding_shares, gauges
from ptvkit.analysis.needed import (
    Judge,
    Population,
    deciding_positions,
    field_of,
    needed_margins,
    quantile,
)
from ptvkit.geometry.box import Box
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import grid_around, resampled
from ptvkit.kernels.level import sample_points
from ptvkit.kernels.needed import Field
from ptvkit.kernels.occupancy import occupancy
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import LARGEST_MM, PATIENT, Margin

Floats = NDArray[np.float64]
Shape = Literal["isotropic", "per_axis", "six"]

SEARCH_MM: Final = 2.0
"""Spacing of the grid on which sides are sought, for all but small targets; their size is found on a finer one."""
NODES_ACROSS: Final = 12
STEPS: Final = (0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25)
KEPT: Final = 3
"""The last sides of a search; their mean is its result."""
LEAST_MM: Final = 0.3
DECIDING: Final = 0.06
"""Share of the patients, on each side of the wanted one, that say what a side's millimetre is worth."""
CLOSE_MM: Final = 0.02
PARTS: Final = 4
PART_STEPS: Final = (0.5, 0.5, 0.4)
FEWEST: Final = 100
"""Patients of each part, below which sides have no intervals."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """What a search for sides needs.

    Attributes
    ----------
    target : Region
    judge : Judge
    people : Population
    share : float
        Of the patients.
    shape : {"per_axis", "six"}
    tell : callable
        Called for every margin that is tried.
    """

    target: Region
    judge: Judge
    people: Population
    share: float
    shape: Shape
    tell: Callable[[], None]

    @property
    def by_gauge(self) -> bool:
        """Whether displacements alone decide."""
        return self.judge.criterion.metric.name == "contained" and not len(self.people.at.turns)

    @property
    def deep_mm(self) -> float:
        """How far inside a PTV distances matter to the dose."""
        return 1.0 - self.judge.plan.curve().first_mm


def searched_sides(search: Search, start: Floats, steps: tuple[float, ...] = STEPS) -> Floats:
    """Sides (6,) R L A P S I, mm, of the smallest PTV, from a first guess."""
    coarse = coarse_of(search.target)
    sides, last = start, []
    for step in steps:
        sides, worth = _improved(search, coarse, sides, step)
        last.append(sides)
        sides = sides * worth
        search.tell()
    mean: Floats = np.mean(last[-KEPT:], axis=0)
    return mean


def sized_sides(search: Search, sides: Floats) -> tuple[Floats, Region, Floats]:
    """Sides grown or shrunk evenly until the share is met, on the target's own grid; their PTV; what is needed yet."""
    people = search.people
    if search.by_gauge:
        sizes = gauges(people.at.shifts, sides)
        sides = sides * quantile(sizes, search.share)
        return (
            sides,
            expand(search.target, margin_of(sides)),
            (sizes / quantile(sizes, search.share) - 1) * sides.mean(),
        )
    for _ in range(4):
        ptv = expand(search.target, margin_of(sides))
        needed = needed_margins(search.judge, field_of(ptv, people, search.deep_mm), people, share=search.share)
        search.tell()
        lacking = quantile(needed, search.share)
        if abs(lacking) < CLOSE_MM:
            break
        sides = grown_by(sides, lacking)
    return sides, ptv, needed


def side_intervals(search: Search, sides: Floats) -> tuple[Floats, Floats] | None:
    """95 % interval of each side (6,), (6,), from searches on parts of the patients; None for few patients."""
    size = search.people.size // PARTS
    if size < FEWEST:
        return None
    found = []
    for part in range(PARTS):
        people = search.people.part(np.arange(search.people.size) % PARTS == part)
        found.append(searched_sides(replace(search, people=people), sides, PART_STEPS))
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


def _improved(search: Search, target: Region, sides: Floats, step: float) -> tuple[Floats, Floats]:
    """Sides that meet the share, and the factors towards those of the smallest PTV."""
    ptv = expand(target, margin_of(sides))
    if search.by_gauge:
        needed = gauges(search.people.at.shifts, sides)
        sized = np.maximum(sides * quantile(needed, search.share), LEAST_MM)
        gain = deciding_shares(search.people.part(_deciding(search, needed)).at.shifts, sides)
    else:
        field = field_of(ptv, search.people, search.deep_mm)
        needed = needed_margins(search.judge, field, search.people, share=search.share)
        sized = np.maximum(grown_by(sides, quantile(needed, search.share)), LEAST_MM)
        gain = _gain(search, field, needed, sides)
    cost = _elasticity(*_area_vectors(ptv), sides)
    if search.shape == "per_axis":
        gain, cost = (np.repeat(each.reshape(3, 2).sum(axis=1), 2) for each in (gain, cost))
    ratio = np.maximum(gain / gain.sum(), 1e-3) / np.maximum(cost / cost.sum(), 1e-6)
    return sized, np.clip(ratio, 0.3, 3.0) ** step


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
    """Outward normals (N, 3) of a region's surface in the patient's frame, and the area that each stands for."""
    each = [_area_vectors_of(box) for box in region.boxes]
    normals, areas = zip(*each, strict=True)
    return np.concatenate(normals), np.concatenate(areas)


def _area_vectors_of(box: Box) -> tuple[Floats, Floats]:
    share = occupancy(box.level)
    slope = np.stack(np.gradient(-np.asarray(share, float)), axis=-1) / np.asarray(box.grid.spacing_mm)
    length = np.linalg.norm(slope, axis=-1)
    there = length > 1e-6
    return slope[there] / length[there][:, None] @ box.grid.axes.T, length[there]
