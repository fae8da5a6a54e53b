"""Breath hold: the beam is on while the breath is held."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, BreathingDraw, Streams
from ptvkit.motion.management.management import Ask
from ptvkit.motion.measured import Measured
from ptvkit.values import number, triple, vector, whole

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BreathHold:
    """The beam is on in holds: ``position = patient + hold + rate·t``, t from 0 to `hold_s` in each hold.

    The target is planned on in a hold too, so that the breathing itself plays no part. The beam is on throughout each
    hold. Triples are (LR, AP, SI), positive towards R, A, S.

    Parameters
    ----------
    between_sd_mm : (3,) array or float
        Σ: SD between patients of the mean position in holds, relative to the planned one.
    within_sd_mm : (3,) array or float
        σ: SD from hold to hold of one patient.
    drift_mm_per_s : (3,) array or float
        Mean rate at which the target drifts during a hold.
    drift_sd_mm_per_s : (3,) array or float
        SD of that rate between patients.
    hold_s : float
    rest_s : float
        Between two holds; assumed.
    holds : int, optional
        Per fraction; by default as many as the course's ``fraction_s`` needs.
    verified : bool
        Whether the match before a fraction looks at images in holds: a soft-tissue match then sees the patient's mean
        position. Otherwise no match sees it.

    Raises
    ------
    MotionError
        When a number is out of range.

    Notes
    -----
    Over a group with mean rate r̄ and SD s_r: mean ``r̄T/2``, systematic ``√(Σ² + (s_r T/2)²)``, between holds σ, within
    holds ``√((r̄² + s_r²)T²/12)``.

    Examples
    --------
    >>> from ptvkit import Course, sample_course
    >>> held = BreathHold(between_sd_mm=0, within_sd_mm=0, drift_mm_per_s=(0, 0, 0.15), hold_s=20)
    >>> drawn = sample_course(Course(management=held, fraction_s=60), patients=2, seed=1)
    >>> drawn.extreme_shifts_mm[0, 0, :, 2].round(9).tolist()  # three holds
    [0.0, 3.0, 0.0, 3.0, 0.0, 3.0]
    """

    between_sd_mm: ArrayLike = 0.0
    within_sd_mm: ArrayLike = 0.0
    drift_mm_per_s: ArrayLike = 0.0
    drift_sd_mm_per_s: ArrayLike = 0.0
    hold_s: float = 20.0
    rest_s: float = 20.0
    holds: int | None = None
    verified: bool = False

    def __post_init__(self) -> None:
        for name in ("between_sd_mm", "within_sd_mm", "drift_sd_mm_per_s"):
            object.__setattr__(self, name, triple(name, getattr(self, name)))
        rate = triple("drift_mm_per_s", self.drift_mm_per_s, least=-20.0, most=20.0)
        object.__setattr__(self, "drift_mm_per_s", rate)
        object.__setattr__(self, "hold_s", number("hold_s", self.hold_s, least=0.0, most=600.0, above=True))
        object.__setattr__(self, "rest_s", number("rest_s", self.rest_s, least=0.0, most=3600.0))
        if self.holds is not None:
            whole("holds", self.holds, least=1, most=200)

    @property
    def moves_alone(self) -> bool:
        """Holds differ whether or not anything is known of the breathing."""
        return True

    def check(self, breathing: Breathing | None) -> None:
        """Refuse a hold that is longer than what was recorded."""
        if breathing is None or not isinstance(breathing.wave, Measured):
            return
        shortest = min(breathing.wave.traces, key=lambda trace: trace.duration_s)
        if self.hold_s > shortest.duration_s:
            raise MotionError(
                f"hold_s: a hold of {self.hold_s:g} s is longer than {shortest.name}, {shortest.duration_s:.4g} s;"
                " use a shorter hold or a longer recording"
            )

    def draw(self, breathing: Breathing | None, ask: Ask, rng: Streams) -> BreathingDraw:
        """Positions in the holds of each fraction."""
        shape, hold = (ask.patients, ask.fractions), self.hold_s
        count = ceil(ask.beam_s / hold - 1e-9) if self.holds is None else self.holds
        span = count * hold + (count - 1) * self.rest_s
        normals = rng.patient.standard_normal((ask.patients, 1, 2, 3))
        patient = np.repeat(normals[:, :, 0] * vector(self.between_sd_mm), ask.fractions, axis=1)
        rate = vector(self.drift_mm_per_s) + normals[:, :, 1] * vector(self.drift_sd_mm_per_s)
        holds = rng.fraction.standard_normal((*shape, count, 3)) * vector(self.within_sd_mm)

        def at(number_: NDArray[np.int64], passed_s: Floats) -> Floats:
            moved: Floats = np.take_along_axis(holds, number_[..., None], axis=2)
            return moved + rate[:, :, None] * passed_s[..., None]

        def since(number_: NDArray[np.int64], passed_s: Floats) -> Floats:
            time: Floats = number_ * (hold + self.rest_s) + passed_s
            return time

        held = rng.times(*shape, ask.samples, count * hold)
        which = np.minimum((held / hold).astype(np.int64), count - 1)
        ends = np.broadcast_to(np.repeat(np.arange(count), 2), (*shape, 2 * count))
        passed = np.broadcast_to(np.tile([0.0, hold], count), ends.shape)
        nothing = np.zeros((*shape, 3))
        return BreathingDraw(
            reference_mm=nothing[:, :1],
            planning_day_mm=nothing[:, :1],
            baseline_mm=patient if self.verified else nothing,
            drift_mm=nothing,
            wave_mm=at(which, held - which * hold),
            time_s=since(which, held - which * hold),
            extremes_mm=at(ends, passed),
            extremes_s=since(ends, passed),
            day_amplitude_mm=nothing,
            day_baseline_mm=nothing,
            hidden_mm=None if self.verified else patient,
            duty=np.full(shape, count * hold / span),
        )
