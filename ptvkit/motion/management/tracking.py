"""Tracking: the beam or the couch follows the breathing, with a delay."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, BreathingDraw, Streams
from ptvkit.motion.management.gate import two_furthest
from ptvkit.motion.management.management import Ask, needed
from ptvkit.motion.moving import Moving
from ptvkit.values import choice, number, triple, vector

Floats = NDArray[np.float64]
Predictor = Literal["none", "linear"]

LATEST_S: Final = 5.0


class System(NamedTuple):
    """A published way to track: its latency, s, what it predicts with, and where that stands."""

    latency_s: float
    predictor: Predictor
    source: str


SYSTEMS: Final[Mapping[str, System]] = {
    "robotic": System(0.115, "linear", "a robotic linac; 115 ms is quoted widely, its first source was not seen"),
    "mlc": System(0.230, "linear", "dynamic MLC, 230 ± 11 ms: PMC4182919; predictors differ, a linear one is assumed"),
    "couch": System(0.300, "linear", "assumed: no published figure stands behind the latency or the predictor"),
}
"""By the names of `Tracking.preset`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracking:
    """The beam follows the breathing; what is left is where the target is less where it was predicted to be.

    The displacement from the breathing's reference is followed, baseline shifts and drifts of the breathing included;
    set-up errors are not.

    Parameters
    ----------
    latency_s : float
        L, from a position of the target to the beam at it, s.
    predictor : {"none", "linear"}
        ``none``: the position L before. ``linear``: a straight line through those L and L + `interval_s` before.
    correlation_sd_mm : (3,) array or float
        SD of the target's distance from where the correlation model says it is, new in each fraction.
    noise_sd_mm : (3,) array or float
        SD of each measured position, which the predictor makes larger.
    interval_s : float
        Δ, between the measured positions that a line is drawn through, s.
    update_s : float
        Between two updates of the beam's position, s; 0: it moves continuously.
    range_mm : (3,) array or float, optional
        How far on each side of the planned position the beam can follow; what is beyond stays.

    Raises
    ------
    MotionError
        When a number is out of range.

    Notes
    -----
    A harmonic ω of the breathing keeps ``1 − e^{−iωL}`` of its amplitude without prediction, and
    ``1 − (1 + L/Δ)e^{−iωL} + (L/Δ)e^{−iω(L+Δ)}`` with a line; noise ε becomes ``ε√((1 + L/Δ)² + (L/Δ)²)``.

    Examples
    --------
    >>> from ptvkit import Course, sample_course
    >>> liver = Breathing.lujan(amplitude_mm=(0, 0, 15), inhale=(0, 0, -1), reference="exhale")
    >>> course = Course(breathing=liver, management=Tracking(latency_s=0.115))
    >>> left = sample_course(course, patients=100, seed=1).shifts_mm[..., 2]
    >>> round(float((left**2).mean() ** 0.5), 2)  # 15 × 0.0773610
    1.16
    """

    latency_s: float = 0.0
    predictor: Predictor = "none"
    correlation_sd_mm: ArrayLike = 0.0
    noise_sd_mm: ArrayLike = 0.0
    interval_s: float = 0.1
    update_s: float = 0.0
    range_mm: ArrayLike | None = None
    source: str = field(default="")

    def __post_init__(self) -> None:
        choice("predictor", self.predictor, ("none", "linear"))
        object.__setattr__(self, "latency_s", number("latency_s", self.latency_s, least=0.0, most=LATEST_S))
        object.__setattr__(self, "update_s", number("update_s", self.update_s, least=0.0, most=LATEST_S))
        interval = number("interval_s", self.interval_s, least=0.0, most=LATEST_S, above=True)
        object.__setattr__(self, "interval_s", interval)
        for name in ("correlation_sd_mm", "noise_sd_mm"):
            object.__setattr__(self, name, triple(name, getattr(self, name)))
        if self.range_mm is not None:
            object.__setattr__(self, "range_mm", triple("range_mm", self.range_mm))

    @classmethod
    def preset(cls, name: str, **other: float | ArrayLike) -> Self:
        """A way to track by its name: ``robotic``, ``mlc`` or ``couch``; `other` keywords as of the class.

        Examples
        --------
        >>> mlc = Tracking.preset("mlc", correlation_sd_mm=1.0)
        >>> mlc.latency_s, mlc.source
        (0.23, 'dynamic MLC, 230 ± 11 ms: PMC4182919; predictors differ, a linear one is assumed')
        """
        if name not in SYSTEMS:
            raise MotionError(f"tracking {name!r}: use {', '.join(repr(one) for one in SYSTEMS)}")
        return cls(**{**SYSTEMS[name]._asdict(), **other})

    @property
    def moves_alone(self) -> bool:
        """Tracking moves nothing."""
        return False

    def check(self, breathing: Breathing | None) -> None:
        """Refuse tracking of no breathing."""
        needed(breathing, "tracking")

    def draw(self, breathing: Breathing | None, ask: Ask, rng: Streams) -> BreathingDraw:
        """What tracking leaves of the breathing."""
        own = needed(breathing, "tracking")
        free = own.motion(ask.patients, ask.fractions, ask.beam_s, rng)
        moving = free.moving
        assert moving is not None
        shape = (ask.patients, ask.fractions)
        left = self._left(free, moving, ask, rng.fraction.random((*shape, 1)))
        time = rng.times(*shape, ask.samples, ask.beam_s)
        ends = self._candidates_s(moving, ask) if ask.extremes else time[:, :, :1]
        exact = left(ends)
        if moving.on_line and not np.any(self.noise_sd_mm) and not ask.drifts and self.range_mm is None:
            ends = two_furthest(exact, ends)
            exact = left(ends)
        nothing = np.zeros((*shape, 3))
        return free._replace(
            reference_mm=nothing[:, :1],
            planning_day_mm=nothing[:, :1],
            baseline_mm=nothing,
            drift_mm=nothing,
            wave_mm=left(time) + self._noise(time, rng.fraction),
            time_s=time,
            extremes_mm=exact + self._noise(ends, rng.fraction),
            extremes_s=ends,
            day_amplitude_mm=nothing,
            day_baseline_mm=nothing,
            hidden_mm=rng.patient.standard_normal((*shape, 3)) * vector(self.correlation_sd_mm),
            duty=np.ones(shape),
        )

    def _left(self, free: BreathingDraw, moving: Moving, ask: Ask, ticks: Floats) -> Callable[[Floats], Floats]:
        """Where the target is less where the beam is (P, F, T, 3), as a function of times (P, F, T)."""
        still = (free.reference_mm + free.baseline_mm - free.planning_day_mm)[:, :, None]
        rate = free.drift_mm[:, :, None] / ask.beam_s

        def target(time_s: Floats) -> Floats:
            return still + moving.at(time_s) + rate * time_s[..., None]

        def left(time_s: Floats) -> Floats:
            seen_s = time_s - self.latency_s
            if self.update_s:
                seen_s = seen_s - (time_s + ticks * self.update_s) % self.update_s
            beam = target(seen_s)
            if self.predictor == "linear":
                beam = beam + (beam - target(seen_s - self.interval_s)) * (self.latency_s / self.interval_s)
            if self.range_mm is not None:
                beam = np.clip(beam, -vector(self.range_mm), vector(self.range_mm))
            return target(time_s) - beam

        return left

    def _noise(self, time_s: Floats, rng: np.random.Generator) -> Floats:
        """What the noise of measured positions adds to the beam's (P, F, T, 3)."""
        line = self.latency_s / self.interval_s if self.predictor == "linear" else 0.0
        noise: Floats = rng.standard_normal((*time_s.shape, 3)) * vector(self.noise_sd_mm) * np.hypot(1 + line, line)
        return noise

    def _candidates_s(self, moving: Moving, ask: Ask) -> Floats:
        """Rising times (P, F, T) among which what is left is largest: within breaths, or where the beam is updated."""
        times = moving.turning_s(ask.beam_s, finely=True)
        step = self.update_s or (self.interval_s if np.any(self.noise_sd_mm) else 0.0)
        lags = [0.0, self.latency_s, self.latency_s + self.interval_s]
        if not moving.on_line:  # a recording bends at its samples, and so does what was predicted from them
            times = np.concatenate([times + lag for lag in lags], axis=2)
        if step:
            ticks = np.arange(0.0, ask.beam_s, step)
            times = np.concatenate([times, np.broadcast_to(ticks, (*times.shape[:2], len(ticks)))], axis=2)
        rising: Floats = np.sort(np.clip(times, 0.0, ask.beam_s), axis=2)
        return rising
