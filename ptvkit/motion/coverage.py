"""Coverage: how much of a displaced target lies inside the PTV."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MaskError, MotionError, PtvkitWarning
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.components import parts
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.kernels.table import look_up
from ptvkit.motion.course import BLOCK, Course, Seed, draw_block, root
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.lookup import (
    INSIDE_MM,
    Depths,
    Figures,
    Lookup,
    lookups_of,
    on_one_lattice,
    ptv_near,
)
from ptvkit.motion.result import LETTERS
from ptvkit.motion.tables import coverage_table

Floats = NDArray[np.float64]
Structure = Mask | Region
Judged = TypeVar("Judged", Figures, Depths)

OUTSIDE_MM: Final = 1.0
"""A target that lies further outside its PTV before any displacement is a mistake, not a margin."""
NOTED_MM: Final = 0.3
"""Up to this, the surfaces of two masks that touch may cross each other."""
ROOM: Final = 0.15
"""What the tables reach beyond the displacements of the first block, on each side."""


def coverage(ctv: Structure, ptv: Structure, shifts_mm: ArrayLike) -> Floats:
    """Share of a target's volume inside the PTV for each displacement.

    One correlation of the occupancies of target and PTV, ``T(d) = Σ C(x) P(x + d) / Σ C(x)``, by FFT; each shift is
    then a look-up, linear between nodes.

    Parameters
    ----------
    ctv, ptv : Mask or Region
    shifts_mm : (..., 3) array
        Displacements of the target (LR, AP, SI), mm.

    Returns
    -------
    (...) array
        0 to 1.

    Raises
    ------
    MaskError
        When target or PTV is empty.
    MotionError
        When the shifts are not (..., 3) finite numbers.

    Examples
    --------
    >>> from ptvkit import Margin, expand, phantom
    >>> ctv = phantom.region("lesion_3")
    >>> ptv = expand(ctv, Margin.uniform(5))
    >>> coverage(ctv, ptv, [[0, 0, 0], [0, 0, -5], [0, 0, 300]]).round(2)
    array([1., 1., 0.])
    """
    shifts = np.ascontiguousarray(shifts_mm, float)
    if shifts.ndim < 1 or shifts.shape[-1] != 3 or not np.isfinite(shifts).all():
        raise MotionError(f"shifts_mm: needs finite numbers (..., 3), found {shifts.shape}")
    target, planned = filled(ctv), filled(ptv)
    flat = shifts.reshape(-1, 3)
    if not len(flat):
        return np.zeros(shifts.shape[:-1])
    low, high = flat.min(axis=0), flat.max(axis=0)
    covered, boxes = np.zeros(len(flat)), target.by_box()
    volumes = np.array([part.volume_cc for part in boxes])
    for part, share in zip(boxes, volumes / volumes.sum(), strict=True):
        one, around_it = on_one_lattice(part, ptv_near(part, planned, low, high))
        table = coverage_table(one, around_it, low, high)
        inside = look_up(table.values, table.to_index, flat)
        inside[np.isnan(inside)] = 0.0  # so far that the two no longer touch
        covered += share * inside
    return covered.reshape(shifts.shape[:-1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A target and a PTV, prepared for courses: reuse it for many. Make one with `prepare`.

    Attributes
    ----------
    lesions : tuple of Lookup
        The target's connected parts, the largest first.
    names : tuple of str
    volumes_cc : (L,) array
    centre_mm : (3,) array
        Centroid of the target.
    """

    lesions: tuple[Lookup, ...]
    names: tuple[str, ...]
    volumes_cc: Floats
    centre_mm: Floats

    def figures(self, drawn: Drawn, wanted: NDArray[np.bool_], *, exact: bool = False) -> list[Figures]:
        """Each lesion's figures (N, samples) at the times that stand for whole fractions, of the N wanted fractions.

        `wanted` is (patients, fractions). With `exact` nothing is looked up, and depths are given also far inside.
        """
        shifts, growth = drawn.shifts_of(wanted), None if drawn.growth_mm is None else drawn.growth_mm[wanted]
        if drawn.sample_turns is None and not exact:
            return [_grown(lesion.translated(shifts), growth) for lesion in self.lesions]
        turned = turned_at(None if drawn.sample_turns is None else drawn.sample_turns[wanted], shifts)
        floor = -INSIDE_MM if exact else None
        return [_grown(lesion.posed(shifts, turned, self.centre_mm, floor_mm=floor), growth) for lesion in self.lesions]

    def extremes(self, drawn: Drawn) -> list[Depths]:
        """Each lesion's depths (patients, fractions, extremes) where the displacement reaches furthest."""
        shifts = drawn.extreme_shifts_mm
        if drawn.extreme_turns is None:
            return [_grown(lesion.depths(shifts), drawn.growth_mm) for lesion in self.lesions]
        turned = turned_at(drawn.extreme_turns, shifts)
        return [_grown(lesion.posed_depths(shifts, turned, self.centre_mm), drawn.growth_mm) for lesion in self.lesions]


def _grown(figures: Judged, growth_mm: Floats | None) -> Judged:
    """Depths of a target whose surface has grown by as much on all sides; coverage stays that of what was planned."""
    if growth_mm is None:
        return figures
    return figures._replace(depth_mm=figures.depth_mm + growth_mm[..., None])


def turned_at(turns: Floats | None, shifts_mm: Floats) -> Floats:
    """A rotation (..., 3, 3) for each shift (..., T, 3)."""
    return np.broadcast_to(np.eye(3) if turns is None else turns, (*shifts_mm.shape, 3))


def prepare(
    ctv: Structure,
    ptv: Structure,
    courses: Course | Sequence[Course],
    *,
    seed: Seed = 0,
    reach_mm: tuple[Floats, Floats] | None = None,
) -> Prepared:
    """Prepare a target and a PTV for one or more courses.

    Parameters
    ----------
    ctv, ptv : Mask or Region
    courses : Course, or several
    seed : int or Generator
    reach_mm : two arrays (3,), optional
        The corners of a box of displacements to prepare for, in place of what the courses' first patients say; beyond
        it figures are as right, and slower.

    Raises
    ------
    MaskError
        When target or PTV is empty.
    MotionError
        When the target lies outside the PTV before any displacement.
    """
    target, planned = filled(ctv), filled(ptv)
    lesions = parts(target)
    several = [courses] if isinstance(courses, Course) else list(courses)
    centre = centroid(target)
    low, high = shift_range(several, root(seed), centre) if reach_mm is None else reach_mm
    tables = not several or not all(course.turns for course in several)
    changes = [(course.shape_change, course.fractions) for course in several if course.shape_change is not None]
    growth = max((change.largest_mm(fractions) for change, fractions in changes), default=0.0)
    lookups = lookups_of(lesions, planned, low, high, tables=tables, inside_mm=growth)
    names = tuple("CTV" if len(lookups) == 1 else f"lesion {number_}" for number_ in range(1, len(lookups) + 1))
    _check_inside(lookups, names, _named(ctv, "the CTV"), _named(ptv, "the PTV"))
    volumes = np.array([lesion.volume_cc for lesion in lesions])
    return Prepared(lesions=lookups, names=names, volumes_cc=volumes, centre_mm=centre)


def shift_range(courses: Sequence[Course], seed: int, centre_mm: Floats) -> tuple[Floats, Floats]:
    """Box of shifts (two corners (3,), mm) to prepare for: those of each course's first block, and some room."""
    low, high = np.zeros(3), np.zeros(3)
    for course in courses:
        shifts = draw_block(course, 0, BLOCK, seed, 1, centre_mm).extreme_shifts_mm
        low, high = np.minimum(low, shifts.min(axis=(0, 1, 2))), np.maximum(high, shifts.max(axis=(0, 1, 2)))
    room = ROOM * (high - low)
    return low - room, high + room


def _check_inside(lookups: Sequence[Lookup], names: Sequence[str], ctv: str, ptv: str) -> None:
    for lookup, name in zip(lookups, names, strict=True):
        still = lookup.posed(np.zeros((1, 3)))
        depth, letter = float(still.depth_mm[0]), LETTERS[int(still.side[0])]
        what = ctv if name == "CTV" else f"{ctv}, {name},"
        where = f"{what} lies outside {ptv} by {depth:.1f} mm ({letter}) before any displacement"
        if depth > OUTSIDE_MM:
            raise MotionError(f"{where}; check that the two belong together and are not exchanged")
        if depth > NOTED_MM:
            warnings.warn(f"{where}: misses up to that depth are there in every fraction", PtvkitWarning, stacklevel=4)


def filled(structure: Structure) -> Region:
    """The structure as a region; refused when it is empty."""
    region = as_region(structure)
    if region.is_empty:
        raise MaskError(f"{structure.name}: is empty; there is nothing to cover")
    return region


def _named(structure: Structure, otherwise: str) -> str:
    return structure.name if structure.name not in ("the mask", "the region") else otherwise
