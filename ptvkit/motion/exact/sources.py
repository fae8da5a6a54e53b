"""What displaces a target, sorted by what sees it, as the exact method needs it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.course import Course
from ptvkit.motion.guidance import Stage, sees
from ptvkit.motion.lujan import Lujan
from ptvkit.motion.protocols import Mode
from ptvkit.motion.setup import SeenBy
from ptvkit.values import vector

Floats = NDArray[np.float64]


class Group(NamedTuple):
    """Normal errors that are seen alike: mean, Σ and σ, (3,) each, mm."""

    mean: Floats
    systematic: Floats
    random: Floats

    def plus(self, other: "Group") -> "Group":
        """The sum of two independent groups."""
        return Group(
            self.mean + other.mean,
            np.hypot(self.systematic, other.systematic),
            np.hypot(self.random, other.random),
        )


NOTHING = Group(np.zeros(3), np.zeros(3), np.zeros(3))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sources:
    """A course as the exact method sees it.

    Attributes
    ----------
    first : Group
        What the first match sees.
    second : Group
        What only the second match sees.
    unseen : Group
        What no match sees, and what a correction that is always made leaves.
    stages : tuple of Stage
        The matches that may act or not; empty without guidance and where it always acts.
    level_mm, mode, couch_mm
        Of `ImageGuidance`.
    reference : {"first", "second", "unseen", "removed"}
        The group of the planned phase's distance from the time mean; removed by a correction that is always made.
    drift : Group
        Of the displacement between the match and the end of a fraction; only its random part.
    wave : Lujan or None
    fractions : int
    """

    first: Group
    second: Group
    unseen: Group
    stages: tuple[Stage, ...]
    level_mm: float
    mode: Mode
    couch_mm: Floats
    reference: str
    drift: Group
    wave: Lujan | None
    fractions: int

    @property
    def is_fixed(self) -> bool:
        """Whether the fractions of a patient cannot differ, but for the height of breaths."""
        random = [self.first.random, self.second.random, self.unseen.random, self.drift.random]
        noise = [stage.random_mm for stage in self.stages] + ([self.couch_mm] if self.stages else [])
        return not any(np.any(sd) for sd in random + noise)


def sources_of(course: Course) -> Sources:
    """Sort a course's errors by what sees them.

    Raises
    ------
    MotionError
        When the course has something that only ``method="sampled"`` can do.
    """
    refuse_inexact(course)
    groups = _by_view(course)
    guidance = course.guidance
    stages = () if guidance is None else guidance.stages
    seen = [[view for view in groups if sees(stage.match, view)] for stage in stages]
    first = _sum(groups[view] for view in (seen[0] if seen else []))
    later = [view for view in (seen[-1] if len(seen) > 1 else []) if view not in seen[0]]
    unseen = _sum(group for view, group in groups.items() if not any(view in one for one in seen))
    offset = _offset_view(course)
    place = "first" if seen and offset in seen[0] else "second" if offset in later else "unseen"
    couch = np.zeros(3) if guidance is None else vector(guidance.couch_sd_mm)
    second = _sum(groups[view] for view in later)
    if guidance is not None and guidance.action_level_mm == 0:
        last = stages[-1]
        unseen = unseen.plus(Group(np.zeros(3), last.systematic_mm, np.hypot(last.random_mm, couch)))
        first, second, stages = NOTHING, NOTHING, ()
        place = "unseen" if place == "unseen" else "removed"
    drift = np.zeros(3) if guidance is None else vector(guidance.drift_sd_mm)
    return Sources(
        first=first,
        second=second,
        unseen=unseen,
        stages=stages,
        level_mm=0.0 if guidance is None else guidance.action_level_mm,
        mode="any_axis" if guidance is None else guidance.mode,
        couch_mm=couch,
        reference=place,
        drift=Group(np.zeros(3), np.zeros(3), drift),
        wave=_moving(course),
        fractions=course.fractions,
    )


def refuse_inexact(course: Course) -> None:
    """Refuse a course that cannot be had without drawing patients.

    Raises
    ------
    MotionError
        With the first thing that it cannot have.
    """
    reason = _reason(course)
    if reason:
        raise MotionError(f'method: "exact" cannot have {reason}; use method="sampled"')


def _reason(course: Course) -> str:
    guidance, breathing = course.guidance, course.breathing
    if course.turns:
        return "rotations"
    if guidance is not None and guidance.corrected_from != "each":
        return f"corrections from several fractions (corrected_from {guidance.corrected_from!r})"
    if course.intrafraction is not None:
        return "motion within the fraction besides breathing (intrafraction)"
    if course.management is not None:
        return "management of the breathing"
    if course.shape_change is not None:
        return "a target that grows or shrinks (shape_change)"
    if any(np.any(error.trend_mm) for error in course.setup):
        return "an error with a trend (trend_mm)"
    if guidance is not None and guidance.mode == "vector" and guidance.action_level_mm > 0:
        return "an action level on the length of the error (mode 'vector')"
    if breathing is None:
        return ""
    wave, vary = breathing.wave, breathing.variation
    if not isinstance(wave, Lujan):
        return "breathing as it was measured"
    if len(set(np.asarray(wave.lag)[wave.signed_mm != 0].tolist())) > 1:
        return "axes that lag behind each other (breathing lag)"
    if course.drifts_after_match or vary.drifts:
        return "a drift together with breathing"
    if np.any(vary.baseline_mm):
        return "a baseline that varies from breath to breath"
    if vary.amplitude_between_mm and _offset_view(course) != "nothing" and guidance is not None:
        return "amplitudes that vary from day to day and are matched on the time mean"
    if course.fraction_s < 4 * (wave.period_s + vary.period_s):
        return f"a fraction of {course.fraction_s:g} s, which is less than four breaths"
    return ""


def _offset_view(course: Course) -> SeenBy:
    """What sees the planned phase's distance from the time mean."""
    if course.breathing is None:
        return "nothing"
    sees = "like_phase" if course.guidance is None else course.guidance.soft_tissue_sees
    return "soft_tissue" if sees == "time_mean" or course.breathing.reference_seen_by == "soft_tissue" else "nothing"


def _by_view(course: Course) -> dict[SeenBy, Group]:
    groups: dict[SeenBy, Group] = dict.fromkeys(("bone_and_soft_tissue", "soft_tissue", "nothing"), NOTHING)
    for error in course.setup:
        own = Group(vector(error.mean_mm), vector(error.systematic_mm), vector(error.random_mm))
        groups[error.seen_by] = groups[error.seen_by].plus(own)
    if course.breathing is not None:
        shift = vector(course.breathing.variation.baseline_shift_mm)
        hidden = course.guidance is not None and course.guidance.soft_tissue_sees == "nothing"
        view: SeenBy = "nothing" if hidden else "soft_tissue"
        groups[view] = groups[view].plus(Group(np.zeros(3), shift, shift))
    return groups


def _sum(groups: Iterable[Group]) -> Group:
    total = NOTHING
    for group in groups:
        total = total.plus(group)
    return total


def _moving(course: Course) -> Lujan | None:
    wave = None if course.breathing is None else course.breathing.wave
    return wave if isinstance(wave, Lujan) and np.any(wave.signed_mm) else None
