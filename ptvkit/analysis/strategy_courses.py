"""The course and the target that each way to manage breathing plans with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MotionError
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.margins.phases import itv
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import Course
from ptvkit.motion.coverage import Structure
from ptvkit.motion.from_phases import PhaseLoop
from ptvkit.motion.lujan import Lujan
from ptvkit.motion.management.breath_hold import BreathHold
from ptvkit.motion.management.compression import Compression
from ptvkit.motion.management.gate import Gate
from ptvkit.motion.management.management import Management
from ptvkit.motion.management.tracking import Tracking
from ptvkit.motion.replayed import phase_of
from ptvkit.motion.setup import SetupError
from ptvkit.motion.trajectory import Trajectory

Floats = NDArray[np.float64]

DEFAULTS: Final[Mapping[str, tuple[Management, str]]] = {
    "gating": (
        Gate(at="exhale", duty=0.3, latency_s=0.2, correlation_sd_mm=1.0, planned="gate"),
        "exhale, 30 % duty; latency 0.2 s (0.35 T MR-linac 0.13 to 0.24 s, PMID 33336884); surrogate SD 1 mm (residual"
        " at end-exhale 1.0 to 1.2 mm, Berbeco 2005); planned on the mean in the gate",
    ),
    "breath_hold": (
        BreathHold(
            between_sd_mm=(0.8, 0.9, 1.0),
            within_sd_mm=(1.2, 1.3, 1.6),
            drift_mm_per_s=(0.0, 0.0, 0.07),
            hold_s=20.0,
            verified=False,
        ),
        "exhale holds of 20 s: Σ 0.8/0.9/1.0, σ 1.2/1.3/1.6 mm (18 patients, PMC7809510); drift 1.4 mm in a hold"
        " (PMID 16458774), taken as cranial; 20 s of rest assumed",
    ),
    "tracking": (
        Tracking(latency_s=0.115, predictor="linear", correlation_sd_mm=1.0),
        "robotic: latency 0.115 s, a linear predictor; correlation error 1.0 mm (1.03 mm radial, PMC6595081)",
    ),
    "compression": (
        Compression((0.98, 0.73, 0.61)),
        "amplitude × 0.98/0.73/0.61 (pancreas, daily motion with and without, PMC5523845); planned on a random phase",
    ),
}
"""What is assumed of each management, and where it comes from; a clinic's own figures belong in its place."""
PLANNED: Final[Mapping[str, str]] = {
    "free_breathing": "planned on a random phase of a random day",
    "itv": "the GTV moved through the whole breathing; planned on the time mean",
    "mid_ventilation": "planned on the one of ten phases that is nearest to the time mean",
    "mid_position": "planned on the time mean",
}
STRATEGIES: Final = (*PLANNED, *DEFAULTS)
KINDS: Final[Mapping[str, type]] = {
    "gating": Gate,
    "breath_hold": BreathHold,
    "tracking": Tracking,
    "compression": Compression,
}
PHASES: Final = 10
OFFSETS: Final = 400
SORTINGS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planned:
    """How one strategy plans.

    Attributes
    ----------
    name : str
    base : Region
        What the margin is added to.
    course : Course
    assumed : str
    """

    name: str
    base: Region
    course: Course
    assumed: str


def planned_by(
    name: str, internal: Region, ctv: Region, course: Course, managements: Mapping[str, Management]
) -> Planned:
    """What a strategy plans with: the CTV, or that of an internal target.

    Raises
    ------
    MotionError
        When the course has no breathing, or it cannot be managed so.
    """
    breathing = course.breathing
    if breathing is None:
        raise MotionError("strategies: there is no breathing to manage; give the course breathing")
    if name in PLANNED:
        reference = "snapshot" if name == "free_breathing" else "time_mean"
        own = replace(course, breathing=replace(breathing, reference=reference), management=None)
        if name == "mid_ventilation":
            own = at_nearest_phase(own, breathing)
        return Planned(name=name, base=internal if name == "itv" else ctv, course=own, assumed=PLANNED[name])
    management, assumed = _management(name, course, managements)
    if not isinstance(management, Gate) or management.planned != "reference":  # else as the course has it
        breathing = replace(breathing, reference="snapshot" if name == "compression" else "time_mean")
    managed = replace(course, breathing=breathing, management=management)
    return Planned(name=name, base=ctv, course=managed, assumed=assumed)


def _management(name: str, course: Course, managements: Mapping[str, Management]) -> tuple[Management, str]:
    """The management of a strategy, and what is assumed of it."""
    if name in managements:
        return managements[name], "as it was given"
    if course.management is not None and isinstance(course.management, KINDS[name]):
        return course.management, "as the course has it"
    return DEFAULTS[name]


def internal_target(gtv: Structure | Phases, breathing: Breathing | None) -> Region:
    """Everything that the GTV occupies while it breathes about its mean: of all phases, or along the path."""
    if isinstance(gtv, Phases):
        return itv(gtv)
    if breathing is None:
        return as_region(gtv)
    return itv(gtv, breathing.wave.path_mm - breathing.wave.position("time_mean"))


def at_nearest_phase(course: Course, breathing: Breathing) -> Course:
    """A course that is planned on the phase nearest to the time mean; which it is depends on chance but for phases."""
    wave = breathing.wave
    if not isinstance(wave, PhaseLoop):
        return replace(course, setup=[*course.setup, nearest_phase(breathing)])
    nearest = wave.position_mm[int(np.linalg.norm(wave.position_mm, axis=1).argmin())]
    return replace(course, breathing=replace(breathing, reference=nearest))


def nearest_phase(breathing: Breathing) -> SetupError:
    """Distance of the mid-ventilation phase from the time mean, as a systematic error that no match sees.

    Ten phases of equal time; where in the breath the first lies is random.
    """
    wave = breathing.wave
    if isinstance(wave, Lujan):
        share = (np.arange(OFFSETS)[:, None] / OFFSETS + np.arange(PHASES)) / PHASES
        left = wave.plain(share * wave.period_s) - wave.position("time_mean")
    elif isinstance(wave, PhaseLoop):
        left = wave.position_mm[None]
    else:
        left = np.concatenate([_binned(trace, phase_of(trace, wave.inhale)) for trace in wave.traces])
    nearest = np.linalg.norm(left, axis=-1).argmin(axis=1)
    away: Floats = left[np.arange(len(left)), nearest]
    return SetupError(name="mid-ventilation phase", systematic_mm=np.sqrt((away**2).mean(axis=0)), seen_by="nothing")


def _binned(trace: Trajectory, phase: Floats) -> Floats:
    """Mean positions (offsets, phases, 3) of a recording sorted into phases, about its time mean, mm."""
    found = []
    for offset in np.arange(SORTINGS) / SORTINGS:
        which = np.floor(phase * PHASES + offset).astype(int) % PHASES
        counts = np.maximum(np.bincount(which, minlength=PHASES), 1)
        sums = [np.bincount(which, trace.displacement_mm[:, axis], PHASES) for axis in range(3)]
        found.append(np.stack(sums, axis=1) / counts[:, None] - trace.displacement_mm.mean(axis=0))
    return np.array(found)
