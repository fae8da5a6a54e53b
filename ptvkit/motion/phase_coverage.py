"""Coverage of a target that changes its shape as it breathes: each instant is judged with the shape of its phase."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MotionError
from ptvkit.geometry.boxes import joined
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.components import parts
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.region import Region
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import BLOCK, Course, Seed, draw_block, root
from ptvkit.motion.coverage import OUTSIDE_MM, ROOM, Structure, filled, turned_at
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.lookup import FLOOR_MM, Depths, Figures, Lookup, lookups_of
from ptvkit.motion.management.tracking import Tracking

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
SLICE: Final = 4096
"""Positions whose nearest phase is looked for at once."""


class Instants(NamedTuple):
    """Where and which the target is: its phase (P, F, T), and that phase's displacement from its own place, mm."""

    phase: Whole
    shift_mm: Floats
    turns: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedPhases:
    """The phases of a target and a PTV, prepared for courses. As `Prepared`.

    Attributes
    ----------
    of_phase : tuple of tuple of Lookup
        For each phase, one for each lesion.
    displacement_mm : (K, 3) array
        Of the phases, from the time mean.
    names : tuple of str
    volumes_cc : (L,) array
        Time means.
    centre_mm : (3,) array
        Time mean of the centroid, about which the target turns.
    """

    of_phase: tuple[tuple[Lookup, ...], ...]
    displacement_mm: Floats
    names: tuple[str, ...]
    volumes_cc: Floats
    centre_mm: Floats

    @property
    def lesions(self) -> tuple[Lookup, ...]:
        """Those of the first phase; each phase has as many."""
        return self.of_phase[0]

    def figures(self, drawn: Drawn, wanted: NDArray[np.bool_]) -> list[Figures]:
        """Each lesion's figures (N, samples) at the times that stand for whole fractions, of the N wanted fractions."""
        every = self._instants(drawn, drawn.wave_mm, drawn.shifts_mm, drawn.sample_turns)
        turning = None if every.turns is None else every.turns[wanted]
        at = Instants(every.phase[wanted], every.shift_mm[wanted], turning)

        def of(lookup: Lookup, shifts: Floats, turns: Floats | None, centre: Floats) -> tuple[NDArray[Any], ...]:
            if turns is None:
                return tuple(lookup.translated(shifts))
            return tuple(lookup.posed(shifts, turns, centre, floor_mm=FLOOR_MM))

        return [Figures(*arrays) for arrays in self._each(at, of)]

    def extremes(self, drawn: Drawn) -> list[Depths]:
        """Each lesion's depths (patients, fractions, extremes) where the displacement reaches furthest."""
        at = self._instants(drawn, drawn.wave_extremes_mm, drawn.extreme_shifts_mm, drawn.extreme_turns)

        def of(lookup: Lookup, shifts: Floats, turns: Floats | None, centre: Floats) -> tuple[NDArray[Any], ...]:
            if turns is None:
                return tuple(lookup.depths(shifts))
            return tuple(lookup.posed_depths(shifts, turns, centre))

        return [Depths(*arrays) for arrays in self._each(at, of)]

    def _instants(self, drawn: Drawn, wave_mm: Floats | None, shifts_mm: Floats, turns: Floats | None) -> Instants:
        phase, shift = instants(drawn, wave_mm, shifts_mm, self.displacement_mm)
        return Instants(phase, shift, None if turns is None else turned_at(turns, shifts_mm))

    def _each(self, at: Instants, of: Callable[..., tuple[NDArray[Any], ...]]) -> list[list[NDArray[Any]]]:
        """For each lesion the arrays that a function of its look-up gives, put together over the phases."""
        chosen = [at.phase == number for number in range(len(self.of_phase))]
        found = []
        for lesion in range(len(self.names)):
            whole: list[NDArray[Any]] = []
            for number, own in enumerate(chosen):
                if not own.any() and own.size:
                    continue
                turns = None if at.turns is None else at.turns[own]
                centre = self.centre_mm + self.displacement_mm[number]
                arrays = of(self.of_phase[number][lesion], at.shift_mm[own], turns, centre)
                whole = whole or [np.zeros(at.phase.shape, array.dtype) for array in arrays]
                for all_, array in zip(whole, arrays, strict=True):
                    all_[own] = array
            found.append(whole)
        return found


def instants(drawn: Drawn, wave_mm: Floats | None, shifts_mm: Floats, displacement_mm: Floats) -> tuple[Whole, Floats]:
    """The phase (P, F, T) at each instant, and the displacement (P, F, T, 3) of its shape from its own place, mm.

    The phase is the one whose position is nearest to that of the breathing.

    Raises
    ------
    MotionError
        When nothing breathes.
    """
    if wave_mm is None or drawn.wave_mean_mm is None or drawn.planned_mm is None:
        raise MotionError("a target of phases needs breathing; leave breathing out for that of the phases themselves")
    about_mean = wave_mm + drawn.wave_mean_mm[:, :, None]
    phase = _nearest(about_mean.reshape(-1, 3), displacement_mm).reshape(about_mean.shape[:-1])
    return phase, shifts_mm + drawn.planned_mm[:, :, None] - displacement_mm[phase]


def _nearest(points: Floats, places: Floats) -> Whole:
    found = np.empty(len(points), np.int64)
    half = (places**2).sum(axis=1) / 2
    for start in range(0, len(points), SLICE):
        own = slice(start, start + SLICE)
        found[own] = (half - points[own] @ places.T).argmin(axis=1)
    return found


def prepare_phases(ctv: Phases, ptv: Structure, course: Course, *, seed: Seed = 0) -> PreparedPhases:
    """Prepare the phases of a target and a PTV for a course.

    Raises
    ------
    MaskError
        When the PTV is empty.
    MotionError
        When the course has no breathing, or every phase lies outside the PTV before any error.
    """
    planned = filled(ptv)
    drawn = draw_block(course, 0, BLOCK, root(seed), 1, ctv.mean_mm)
    _, shifts = instants(drawn, drawn.wave_extremes_mm, drawn.extreme_shifts_mm, ctv.displacement_mm)
    low, high = np.minimum(shifts.min(axis=(0, 1, 2)), 0.0), np.maximum(shifts.max(axis=(0, 1, 2)), 0.0)
    room = ROOM * (high - low)
    separate = _lesions(ctv)
    _check_meeting(ctv, planned)
    of_phase = tuple(lookups_of(own, planned, low - room, high + room, tables=not course.turns) for own in separate)
    _check_inside(of_phase, ctv, planned)
    count = len(separate[0])
    volumes = np.array([[lesion.volume_cc for lesion in own] for own in separate])
    return PreparedPhases(
        of_phase=of_phase,
        displacement_mm=ctv.displacement_mm,
        names=("CTV",) if count == 1 else tuple(f"lesion {number}" for number in range(1, count + 1)),
        volumes_cc=ctv.weights @ volumes,
        centre_mm=ctv.mean_mm,
    )


def _lesions(ctv: Phases) -> list[list[Region]]:
    """The lesions of each phase, in the order of the mid-ventilation phase's; joined where phases have unlike many."""
    found = [list(parts(region)) for region in ctv.regions]
    first = found[ctv.mid_ventilation]
    if any(len(own) != len(first) for own in found):
        return [[joined(region)] for region in ctv.regions]
    if len(first) == 1:
        return found
    places = np.array([centroid(lesion) for lesion in first]) - ctv.displacement_mm[ctv.mid_ventilation]
    return [_matched(own, places + displacement) for own, displacement in zip(found, ctv.displacement_mm, strict=True)]


def _matched(lesions: Sequence[Region], places: Floats) -> list[Region]:
    """Lesions in the order of the places that they are nearest to."""
    left, chosen = list(lesions), []
    for place in places:
        away = [float(np.linalg.norm(centroid(lesion) - place)) for lesion in left]
        chosen.append(left.pop(int(np.argmin(away))))
    return chosen


def _check_meeting(ctv: Phases, ptv: Region) -> None:
    if all(ptv.sample(region.surface_points()).min() > 0 for region in ctv.regions):
        raise MotionError(
            f"{ctv.name}: every phase lies outside {ptv.name}, apart from it; check that the two belong together"
        )


def _check_inside(of_phase: Sequence[Sequence[Lookup]], ctv: Phases, ptv: Region) -> None:
    still = [max(float(one.posed(np.zeros((1, 3))).depth_mm[0]) for one in own) for own in of_phase]
    if min(still) > OUTSIDE_MM:
        raise MotionError(
            f"{ctv.name}: every phase lies outside {ptv.name}, by {min(still):.1f} mm or more, before any displacement;"
            " check that the two belong together and are not exchanged"
        )


def with_own_breathing(course: Course, ctv: Phases) -> Course:
    """The course; with the breathing of the phases themselves where it has none."""
    if course.shape_change is not None:
        raise MotionError("course: a target of several phases takes no shape_change; leave it out, or use one phase")
    if isinstance(course.management, Tracking):
        raise MotionError(
            "course: tracking of a target of several phases: which phase's shape it has is not known; use one of them"
        )
    if course.breathing is not None:
        return course
    return replace(course, breathing=Breathing.from_phases(ctv, reference="time_mean"))
