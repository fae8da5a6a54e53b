"""Measured breathing: recordings, replayed from anywhere in them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.cycles import find_cycles
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.variation import Variation
from ptvkit.motion.wave_draw import WaveDraw
from ptvkit.values import is_snapshot, number, triple, vector

Floats = NDArray[np.float64]

MATCH_S: Final = 20.0
"""How much of the recording before a fraction its match sees."""
BLEND_S: Final = 1.0
"""Time in which a block goes over into the next."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """Traces as they were measured. Parameters as of `Breathing.from_trace`."""

    traces: tuple[Trajectory, ...]
    inhale: ArrayLike | None = None
    block_s: float | None = None

    def __post_init__(self) -> None:
        if not self.traces or not all(isinstance(trace, Trajectory) for trace in self.traces):
            raise MotionError("from_trace: needs one or more traces, as read_trace gives them")
        object.__setattr__(self, "traces", tuple(trace.even() for trace in self.traces))
        if self.block_s is not None:
            object.__setattr__(self, "block_s", number("block_s", self.block_s, least=0.0, most=1e4, above=True))
        if self.inhale is not None:
            direction = triple("inhale", self.inhale, least=-1.0, most=1.0)
            if not direction.any():
                raise MotionError("inhale: (0, 0, 0) is no direction; for a liver such as (0, 0.3, -0.95)")
            object.__setattr__(self, "inhale", direction)

    @property
    def is_population(self) -> bool:
        """Whether patients differ."""
        return len(self.traces) > 1

    def check(self, variation: Variation) -> None:
        """Breaths vary as they were measured: nothing may be added to that.

        Raises
        ------
        MotionError
        """
        if variation.of_cycles or variation.amplitude_between_mm:
            raise MotionError(
                "variation: a measured trace brings its own from cycle to cycle; only drift_mm, drift_mean_mm and"
                " baseline_shift_mm can be added"
            )

    def plain(self, time_s: Floats) -> Floats:
        """The first trace itself (..., 3) at times (...), mm."""
        return self.traces[0].at(time_s)

    def position(self, reference: object) -> Floats:
        """A reference position in the first trace's coordinates (3,), mm."""
        return self._position(self.traces[0], reference)

    def _position(self, trace: Trajectory, reference: object) -> Floats:
        if not isinstance(reference, str):
            return np.asarray(reference, float)
        if reference == "time_mean":
            return vector(trace.displacement_mm.mean(axis=0))
        if reference == "mid_range":
            return vector(trace.displacement_mm.min(axis=0) + trace.displacement_mm.max(axis=0)) / 2
        if self.inhale is None:
            raise MotionError(
                f"reference {reference!r}: {trace.name} does not tell which end is inhale; give inhale=, its direction"
                " (LR, AP, SI), or take time_mean"
            )
        cycles = find_cycles(trace, self.inhale)
        if cycles is None:
            raise MotionError(f"reference {reference!r}: no breaths were found in {trace.name}; take time_mean")
        position: Floats = trace.displacement_mm[cycles.high if reference == "inhale" else cycles.low].mean(axis=0)
        return position

    def draw(
        self,
        patients: int,
        fractions: int,
        time_s: Floats,
        span_s: float,
        reference: object,
        vary: Variation,
        of_patient: np.random.Generator,
        of_fraction: np.random.Generator,
        *,
        drifts: bool = False,
    ) -> WaveDraw:
        """Draw patients' breathing at times (P, F, S) of fractions that last `span_s`; all points are extremes."""
        which = of_patient.integers(len(self.traces), size=patients)
        at_ct = of_patient.random(patients)
        block = span_s if self.block_s is None else min(self.block_s, span_s)
        begin = of_fraction.random((patients, fractions, max(1, int(np.ceil(span_s / block - 1e-9)))))
        time = time_s - time_s.min(initial=0.0)
        points = max(int(np.ceil(span_s / trace.interval_s - 1e-9)) + 1 for trace in self.traces)
        mean, planned = np.empty((patients, 3)), np.empty((patients, 3))
        baseline, wave = np.empty((patients, fractions, 3)), np.empty((*time_s.shape, 3))
        extremes, when = np.empty((patients, fractions, points, 3)), np.empty((patients, fractions, points))
        for number_, trace in enumerate(self.traces):
            own = which == number_
            if not own.any():
                continue
            mean[own] = middle = trace.displacement_mm.mean(axis=0)
            planned[own] = (
                _at(trace, at_ct[own] * trace.duration_s)
                if is_snapshot(reference)
                else self._position(trace, reference)
            )
            joined = Blocks(trace, block, begin[own])
            baseline[own] = joined.at_match() - middle
            when[own] = np.minimum(np.arange(points) * trace.interval_s, span_s)
            wave[own] = joined.at(time[own]) - middle
            extremes[own] = joined.at(when[own]) - middle
        return WaveDraw(mean, planned, wave, extremes, when, np.zeros_like(baseline), baseline)


class Blocks:
    """A trace replayed in blocks of equal length, each from some sample on; neighbours are blended at their join.

    A trace shorter than a block is played to its end and back again, so that nothing jumps.

    Parameters
    ----------
    trace : Trajectory
        At even steps.
    block_s : float
    begin : (P, F, B) array
        Of each block, 0 to 1: where among the possible samples it begins.
    """

    __slots__ = ("begin_s", "blend_s", "block_s", "trace")

    def __init__(self, trace: Trajectory, block_s: float, begin: Floats) -> None:
        self.trace, self.block_s = trace, block_s
        self.blend_s = min(BLEND_S, block_s / 4) if begin.shape[-1] > 1 else 0.0
        room = trace.duration_s - block_s - self.blend_s
        steps = (room if room >= -1e-9 else 2 * trace.duration_s) / trace.interval_s
        self.begin_s = np.floor(begin * (int(steps + 1e-6) + 1)) * trace.interval_s

    def at(self, time_s: Floats) -> Floats:
        """Positions (P, F, S, 3) at times (P, F, S) of the fraction, mm."""
        block = np.minimum((time_s / self.block_s).astype(np.int64), self.begin_s.shape[-1] - 1)
        passed = time_s - block * self.block_s
        moved = _at(self.trace, np.take_along_axis(self.begin_s, block, axis=-1) + passed)
        joins = (block > 0) & (passed < self.blend_s)
        if joins.any():
            before = np.take_along_axis(self.begin_s, np.maximum(block - 1, 0), axis=-1)[joins] + self.block_s
            share = (passed[joins] / self.blend_s)[:, None]
            moved[joins] = share * moved[joins] + (1 - share) * _at(self.trace, before + passed[joins])
        return moved

    def at_match(self) -> Floats:
        """Mean position (P, F, 3) over the time of a match, which ends where the fraction begins, mm."""
        values, step = self.trace.displacement_mm, self.trace.interval_s
        width = min(max(round(MATCH_S / step), 1), len(values))
        total = np.vstack([np.zeros(3), np.cumsum(values, axis=0)])
        first = np.round(_folded(self.begin_s[..., 0], self.trace.duration_s) / step).astype(np.int64) - width
        first = np.clip(first, 0, len(values) - width)
        mean: Floats = (total[first + width] - total[first]) / width
        return mean


def _folded(time_s: Floats, duration_s: float) -> Floats:
    """Times of a recording that is played forwards and backwards in turn."""
    rest = np.mod(time_s, 2 * duration_s)
    return np.where(rest > duration_s, 2 * duration_s - rest, rest)


def _at(trace: Trajectory, time_s: Floats) -> Floats:
    """The trace (..., 3) at times (...) since its beginning, linearly between samples."""
    values = trace.displacement_mm
    at = _folded(time_s, trace.duration_s * (1 + 1e-12)) / trace.interval_s
    low = np.minimum(at.astype(np.int64), len(values) - 2)
    rest = (at - low)[..., None]
    moved: Floats = values[low] * (1 - rest) + values[low + 1] * rest
    return moved
