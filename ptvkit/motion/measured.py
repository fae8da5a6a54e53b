"""Measured breathing: recordings, replayed from anywhere in them."""

from copy import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.cycles import find_cycles
from ptvkit.motion.moving import Opening
from ptvkit.motion.replayed import Replay, Replayed, breaths_of, outside
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.turning import Turning
from ptvkit.motion.variation import Variation
from ptvkit.motion.wave_draw import WaveDraw
from ptvkit.values import is_snapshot, number, triple, vector

Floats = NDArray[np.float64]

MATCH_S: Final = 20.0
"""How much of the recording before a fraction its match sees."""
BLEND_S: Final = 1.0
"""Time in which a block goes over into the next, at most a quarter of a block."""


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

    @property
    def breath_s(self) -> float:
        """Median length of the first trace's breaths."""
        return float(np.median(breaths_of(self.traces[0], self.inhale).period_s))

    def share_open(self, opening: Opening) -> float:
        """Least share of a trace in which a gate with a window in mm is open."""
        return min(float((outside(trace, self.inhale, opening) <= 0).mean()) for trace in self.traces)

    @property
    def turns(self) -> bool:
        """Whether a recording has rotations."""
        return any(trace.rotation_deg is not None for trace in self.traces)

    @property
    def path_mm(self) -> Floats:
        """Every sample (N, 3) of the recordings, mm."""
        return np.concatenate([trace.displacement_mm for trace in self.traces])

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

    def _position(self, trace: Trajectory, reference: object, values: Floats | None = None) -> Floats:
        """A reference position in a trace's coordinates (3,), mm; or the mean of other values of its samples (T, 3)."""
        values = trace.displacement_mm if values is None else values
        if not isinstance(reference, str):
            return np.asarray(reference, float)
        if reference == "time_mean":
            return vector(values.mean(axis=0))
        if reference == "mid_range":
            return vector(values.min(axis=0) + values.max(axis=0)) / 2
        if self.inhale is None:
            raise MotionError(
                f"reference {reference!r}: {trace.name} does not tell which end is inhale; give inhale=, its direction"
                " (LR, AP, SI), or take time_mean"
            )
        cycles = find_cycles(trace, self.inhale)
        if cycles is None:
            raise MotionError(f"reference {reference!r}: no breaths were found in {trace.name}; take time_mean")
        position: Floats = values[cycles.high if reference == "inhale" else cycles.low].mean(axis=0)
        return position

    def _orientation(self, trace: Trajectory, reference: object, at_ct_s: Floats) -> Floats:
        """Rotation vector (1, 3) at a reference, or those (P, 3) of snapshots at times (P,), rad; of a vector 0."""
        turned = _turns_of(trace)
        if is_snapshot(reference):
            return _at(turned, at_ct_s)
        if not isinstance(reference, str):
            return np.zeros((1, 3))
        return self._position(trace, reference, turned.displacement_mm)[None]

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
        steps, lengths = zip(*(self._steps(trace, span_s) for trace in self.traces), strict=True)
        counts = [-(-step // length) for step, length in zip(steps, lengths, strict=True)]
        begin = of_fraction.random((patients, fractions, max(counts)))
        time = time_s - time_s.min(initial=0.0)
        points = max(steps) + 1
        mean, planned = np.empty((patients, 3)), np.empty((patients, 3))
        baseline, wave = np.empty((patients, fractions, 3)), np.empty((*time_s.shape, 3))
        extremes, when = np.empty((patients, fractions, points, 3)), np.empty((patients, fractions, points))
        replays = []
        turning: list[tuple[NDArray[np.bool_], Blocks, Floats]] = []
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
            joined = Blocks(trace, lengths[number_], begin[own, :, : counts[number_]])
            replays.append(Replay(trace, own, joined))
            if trace.rotation_deg is not None:
                turned = Blocks(_turns_of(trace), lengths[number_], begin[own, :, : counts[number_]])
                turning.append((own, turned, self._orientation(trace, reference, at_ct[own] * trace.duration_s)))
            baseline[own] = joined.at_match() - middle
            when[own] = np.minimum(np.arange(points) * trace.interval_s, span_s)
            wave[own] = joined.at(time[own]) - middle
            extremes[own] = joined.at(when[own]) - middle
        moving = Replayed(replays=tuple(replays), shape=(patients, fractions), inhale=self.inhale)
        rotations = Turning(replays=tuple(turning)) if turning else None
        return WaveDraw(mean, planned, wave, extremes, when, np.zeros_like(baseline), baseline, moving, rotations)

    def _steps(self, trace: Trajectory, span_s: float) -> tuple[int, int]:
        """How many steps of a trace a fraction holds, and a block of it."""
        steps = max(int(np.ceil(span_s / trace.interval_s - 1e-9)), 1)
        block = steps if self.block_s is None else max(round(self.block_s / trace.interval_s), 1)
        return steps, min(block, steps)


class Blocks:
    """A trace replayed in blocks of equal length, each from some sample on; neighbours are blended at their join.

    Blocks begin and end at samples, are blended sample by sample, and between samples the target moves in straight
    lines: its furthest positions are those at samples. A trace shorter than a block is played to its end and back
    again, so that nothing jumps.

    Parameters
    ----------
    trace : Trajectory
        At even steps.
    length : int
        Of a block, in steps.
    begin : (P, F, B) array
        Of each block, 0 to 1: where among the possible samples it begins.
    """

    __slots__ = ("begin", "blend", "length", "trace")

    def __init__(self, trace: Trajectory, length: int, begin: Floats) -> None:
        self.trace, self.length = trace, length
        blend = min(round(BLEND_S / trace.interval_s), length // 4)
        self.blend = blend if begin.shape[-1] > 1 else 0
        last = len(trace.time_s) - 1
        room = last - length - self.blend
        self.begin = np.floor(begin * ((room if room >= 0 else 2 * last) + 1)).astype(np.int64)

    def of(self, values: Floats) -> "Blocks":
        """The same replay of other values (T,), which become the first of three."""
        columns = np.column_stack([values, np.zeros((len(values), 2))])
        other = copy(self)
        other.trace = Trajectory(time_s=self.trace.time_s, displacement_mm=columns, name=self.trace.name)
        return other

    def samples(self, number_: NDArray[np.int64]) -> Floats:
        """Positions (P, F, S, 3) at samples (P, F, S) of the fraction, mm; those before it have negative numbers."""
        block = np.clip(number_ // self.length, 0, self.begin.shape[-1] - 1)
        passed = number_ - block * self.length
        moved = self._replayed(np.take_along_axis(self.begin, block, axis=-1) + passed)
        joins = (block > 0) & (passed < self.blend)
        if joins.any():
            before = np.take_along_axis(self.begin, np.maximum(block - 1, 0), axis=-1)[joins] + self.length
            share = (passed[joins] / self.blend)[:, None]
            moved[joins] = share * moved[joins] + (1 - share) * self._replayed(before + passed[joins])
        return moved

    def at(self, time_s: Floats) -> Floats:
        """Positions (P, F, S, 3) at times (P, F, S) of the fraction, linearly between samples, mm."""
        at = time_s / self.trace.interval_s
        low = np.floor(at + 1e-9).astype(np.int64)
        rest = np.maximum(at - low, 0.0)[..., None]
        moved: Floats = self.samples(low) * (1 - rest) + self.samples(low + 1) * rest
        return moved

    def at_match(self) -> Floats:
        """Mean position (P, F, 3) over the time of a match, which ends where the fraction begins, mm."""
        values = self.trace.displacement_mm
        width = min(max(round(MATCH_S / self.trace.interval_s), 1), len(values))
        total = np.vstack([np.zeros(3), np.cumsum(values, axis=0)])
        first = np.clip(self._folded(self.begin[..., 0]) - width, 0, len(values) - width)
        mean: Floats = (total[first + width] - total[first]) / width
        return mean

    def _replayed(self, sample: NDArray[np.int64]) -> Floats:
        return self.trace.displacement_mm[self._folded(sample)]

    def _folded(self, sample: NDArray[np.int64]) -> NDArray[np.int64]:
        """Samples of a recording that is played forwards and backwards in turn."""
        last = len(self.trace.time_s) - 1
        return last - np.abs(last - sample % (2 * last))


def _turns_of(trace: Trajectory) -> Trajectory:
    """The rotation vectors of a trace, rad, in place of its displacements."""
    turned = np.zeros_like(trace.displacement_mm) if trace.rotation_deg is None else np.radians(trace.rotation_deg)
    return Trajectory(time_s=trace.time_s, displacement_mm=turned, name=trace.name)


def _at(trace: Trajectory, time_s: Floats) -> Floats:
    """The trace (..., 3) at times (...) since its beginning, linearly between samples."""
    return trace.at(np.minimum(time_s, trace.duration_s) + trace.time_s[0])
