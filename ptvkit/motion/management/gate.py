"""Gating: the beam is on only while the target, or a surrogate, is near one end of the breath."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, BreathingDraw, Streams
from ptvkit.motion.management.management import Ask, needed
from ptvkit.motion.moving import End, Moving, Opening
from ptvkit.motion.windows import Windows
from ptvkit.values import choice, number, triple, vector

Floats = NDArray[np.float64]

LEAST_DUTY: Final = 0.01
LATEST_S: Final = 5.0
INSIDE_S: Final = 1e-8
"""How far inside a window its edges are looked at: phases change just there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gate:
    """The beam is on while the breath is in a window round exhale or inhale.

    The fraction lasts until the beam has been on for as long as without a gate, as far as a steady breath tells; slow
    drifts go on meanwhile. The window is learnt on each day's breathing before the fraction.

    Parameters
    ----------
    at : {"exhale", "inhale"}
    duty : float, optional
        Share of the time that the window is open, 0.01 to 1, of a steady breath.
    window_mm : float, optional
        In place of `duty`: how far from the end of the breath the window reaches, on the axis of largest motion.
    by : {"amplitude", "phase"}
        ``amplitude``: where the target is. ``phase``: how much of the breath has passed; needs `duty`.
    phase_offset : float
        By which share of a breath a phase window lies later than the end of the breath, -0.5 to 0.5.
    latency_s : float or (on, off)
        From crossing the window's edge until the beam goes on and off, s.
    correlation_sd_mm : (3,) array or float
        Of a surrogate: SD of the target's distance from where the surrogate says it is, new in each fraction; no match
        sees it. 0: the gate is on the target itself.
    follows_baseline : bool
        Whether the window follows drifts within a fraction. A window that stands still keeps the target where it was,
        and is open for less time.
    planned : {"reference", "gate"}
        The planned position: the breathing's reference, or the patient's own mean in the gate on the day of the
        planning CT, as a gated CT shows it.

    Raises
    ------
    MotionError
        When a number is out of range, or not one of `duty` and `window_mm` is given.

    Notes
    -----
    A steady wave ``A·sin²ⁿθ`` in a window of duty d round exhale stays below ``A·sin²ⁿ(πd/2)``. The beam is on from
    ``−πd/2 + πL_on/τ`` to ``πd/2 + πL_off/τ``.

    Examples
    --------
    >>> from ptvkit import Course, sample_course
    >>> liver = Breathing.lujan(amplitude_mm=(0, 0, 15), inhale=(0, 0, -1), reference="exhale")
    >>> course = Course(breathing=liver, management=Gate(at="exhale", duty=0.5))
    >>> si = sample_course(course, patients=50, seed=1).extreme_shifts_mm[..., 2]
    >>> [round(float(end), 3) + 0.0 for end in (si.min(), si.max())]  # 15 sin⁶(π/4)
    [-1.875, 0.0]
    """

    at: End = "exhale"
    duty: float | None = None
    window_mm: float | None = None
    by: Literal["amplitude", "phase"] = "amplitude"
    phase_offset: float = 0.0
    latency_s: float | Sequence[float] = 0.0
    correlation_sd_mm: ArrayLike = 0.0
    follows_baseline: bool = True
    planned: Literal["reference", "gate"] = "reference"

    def __post_init__(self) -> None:
        choice("at", self.at, ("exhale", "inhale"))
        choice("by", self.by, ("amplitude", "phase"))
        choice("planned", self.planned, ("reference", "gate"))
        if (self.duty is None) == (self.window_mm is None):
            raise MotionError("gate: give one of duty and window_mm")
        if self.duty is not None:
            object.__setattr__(self, "duty", number("duty", self.duty, least=LEAST_DUTY, most=1.0))
        else:
            window = number("window_mm", self.window_mm or 0.0, least=0.0, most=100.0, above=True)
            object.__setattr__(self, "window_mm", window)
        if self.by == "phase" and self.duty is None:
            raise MotionError("gate by phase: a window of phases is a share of the breath; give duty, not window_mm")
        if self.by == "amplitude" and self.phase_offset:
            raise MotionError("phase_offset: has no meaning by amplitude; use by='phase'")
        number("phase_offset", self.phase_offset, least=-0.5, most=0.5)
        object.__setattr__(self, "latency_s", _both(self.latency_s))
        object.__setattr__(self, "correlation_sd_mm", triple("correlation_sd_mm", self.correlation_sd_mm))

    @property
    def moves_alone(self) -> bool:
        """A gate moves nothing."""
        return False

    def check(self, breathing: Breathing | None) -> None:
        """Refuse a gate without breathing, or on a recording without breaths."""
        self._elapsed_s(needed(breathing, "a gate"), 1.0)

    def draw(self, breathing: Breathing | None, ask: Ask, rng: Streams) -> BreathingDraw:
        """The breathing while the gate is open."""
        own = needed(breathing, "a gate")
        span = self._elapsed_s(own, ask.beam_s)
        free = own.motion(ask.patients, ask.fractions, span, rng)
        moving = free.moving
        assert moving is not None
        opening = self._opening(None if self.follows_baseline else free.drift_mm / ask.beam_s)
        windows = self._windows(moving, opening, span)
        shape, total = (ask.patients, ask.fractions), windows.total_s
        shares = rng.times(*shape, ask.samples, 1.0)
        time = windows.at(shares.reshape(len(total), -1) * total[:, None]).reshape(shares.shape)
        drifts = ask.drifts or own.variation.drifts
        extremes_s = furthest_s(moving, windows, span, drifts=drifts) if ask.extremes else time[:, :, :1]
        middle, days = moving.open_mean(opening)
        return free._replace(
            reference_mm=free.reference_mm + middle[:, None] if self.planned == "reference" else 0 * free.reference_mm,
            wave_mm=moving.at(time) - middle[:, None, None],
            time_s=time,
            extremes_mm=moving.at(extremes_s) - middle[:, None, None],
            extremes_s=extremes_s,
            day_amplitude_mm=days - middle[:, None],
            planned_mm=free.planned_mm if self.planned == "reference" else middle[:, None],
            hidden_mm=rng.patient.standard_normal((*shape, 3)) * vector(self.correlation_sd_mm),
            duty=total.reshape(shape) / span,
        )

    def _opening(self, drift_mm_per_s: Floats | None = None) -> Opening:
        return Opening(
            end=self.at,
            by=self.by,
            duty=self.duty,
            window_mm=self.window_mm,
            offset=self.phase_offset,
            drift_mm_per_s=drift_mm_per_s,
        )

    def _windows(self, moving: Moving, opening: Opening, span_s: float) -> Windows:
        """When the beam is on; a row for each fraction."""
        on_s, off_s = _both(self.latency_s)
        windows = moving.open(opening, span_s, max(on_s, off_s))
        if self.duty != 1.0:
            windows = windows.delayed(on_s, off_s).within(span_s)
        shut = windows.total_s <= 0
        if shut.any():
            raise MotionError(
                f"the gate never opens in {int(shut.sum())} of {len(shut)} fractions; widen it, make its latency"
                " shorter, or let it follow the baseline"
            )
        return windows

    def _elapsed_s(self, breathing: Breathing, beam_s: float) -> float:
        """How long a fraction lasts, from the share of a steady breath in which the beam is on."""
        if self.duty == 1.0:
            return beam_s
        share = self.duty if self.duty is not None else breathing.wave.share_open(self._opening())
        on_s, off_s = _both(self.latency_s)
        if on_s != off_s:
            share = min(share + (off_s - on_s) / breathing.wave.breath_s, 1.0)
        if share < LEAST_DUTY:
            raise MotionError(
                f"the gate never opens, or for less than {LEAST_DUTY:.0%} of the time; widen it, or make its latency"
                " shorter"
            )
        return beam_s / share


def furthest_s(moving: Moving, windows: Windows, span_s: float, *, drifts: bool) -> Floats:
    """Times (P, F, E), rising, at which the target reaches furthest while the beam is on.

    The edges of the windows and the ends of breaths inside them; the two furthest where all lies on one line.
    """
    turning = moving.turning_s(span_s)
    shape = turning.shape[:2]
    inside = turning.reshape(len(windows.start), -1)
    inside = np.where(windows.holds(inside), inside, windows.start[:, :1])
    used = windows.stop > windows.start + 2 * INSIDE_S
    edges = [np.where(used, edge, windows.start[:, :1]) for edge in (windows.start, windows.stop - 2 * INSIDE_S)]
    times = np.sort(np.hstack([np.hstack(edges) + INSIDE_S, inside]), axis=1).reshape(*shape, -1)
    return times if drifts or not moving.on_line else two_furthest(moving.at(times), times)


def two_furthest(positions_mm: Floats, times_s: Floats) -> Floats:
    """Of times (P, F, T) at positions (P, F, T, 3) on one line, the two (P, F, 2), rising, at its ends."""
    axis = int(np.ptp(positions_mm.reshape(-1, 3), axis=0).argmax())
    along = positions_mm[..., axis]
    ends = np.sort(np.stack([along.argmin(axis=2), along.argmax(axis=2)], axis=2), axis=2)
    two: Floats = np.take_along_axis(times_s, ends, axis=2)
    return two


def _both(latency_s: float | Sequence[float]) -> tuple[float, float]:
    """Latency on and off, s."""
    both = tuple(np.atleast_1d(np.asarray(latency_s, float)).tolist())
    if len(both) not in (1, 2):
        raise MotionError(f"latency_s: give one number, or two (on, off); found {len(both)}")
    on_s, off_s = (number("latency_s", value, least=0.0, most=LATEST_S) for value in (both[0], both[-1]))
    return on_s, off_s
