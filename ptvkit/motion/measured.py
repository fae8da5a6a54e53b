"""Measured breathing: traces, put together anew from blocks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.cycles import find_cycles
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.variation import Variation
from ptvkit.values import is_snapshot, number, triple, vector

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """Traces as they were measured. Parameters as of `Breathing.from_trace`."""

    traces: tuple[Trajectory, ...]
    inhale: ArrayLike | None = None
    block_s: float = 20.0

    def __post_init__(self) -> None:
        if not self.traces or not all(isinstance(trace, Trajectory) for trace in self.traces):
            raise MotionError("from_trace: needs one or more traces, as read_trace gives them")
        object.__setattr__(self, "traces", tuple(trace.even() for trace in self.traces))
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
                "variation: a measured trace brings its own from cycle to cycle; only drift_mm and baseline_shift_mm"
                " can be added"
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
        found: Floats = trace.displacement_mm[cycles.high if reference == "inhale" else cycles.low].mean(axis=0)
        return found

    def draw(
        self,
        patients: int,
        fractions: int,
        time_s: Floats,
        reference: object,
        vary: Variation,
        of_patient: np.random.Generator,
        of_fraction: np.random.Generator,
    ) -> tuple[Floats, Floats, Floats]:
        """Time mean (P, 3), planned position (P, 3), wave about the mean (P, F, S, 3) at times (P, F, S), mm."""
        which = of_patient.integers(len(self.traces), size=patients)
        at_ct = of_patient.random(patients)
        blocks = int((time_s.max() - min(time_s.min(), 0.0)) / self.block_s) + 1
        begin = of_fraction.random((patients, fractions, blocks))
        mean, planned, wave = np.empty((patients, 3)), np.empty((patients, 3)), np.empty((*time_s.shape, 3))
        for number_, trace in enumerate(self.traces):
            own = which == number_
            if not own.any():
                continue
            mean[own] = trace.displacement_mm.mean(axis=0)
            planned[own] = _at_share(trace, at_ct[own]) if is_snapshot(reference) else self._position(trace, reference)
            wave[own] = self._blocks(trace, time_s[own], begin[own]) - mean[own][:, None, None, :]
        return mean, planned, wave

    def _blocks(self, trace: Trajectory, time_s: Floats, begin: Floats) -> Floats:
        """The trace where each time's block has it; at its end a block goes on from the trace's begin."""
        time = time_s - min(float(time_s.min()), 0.0)
        block = (time / self.block_s).astype(np.int64)
        length = len(trace.time_s) * trace.interval_s
        start = np.take_along_axis(begin, block, axis=-1)
        return _at_share(trace, (start + (time - block * self.block_s) / length) % 1.0)


def _at_share(trace: Trajectory, share: Floats) -> Floats:
    """The trace (..., 3) at shares (...) of its length, its samples in a circle."""
    values = trace.displacement_mm
    at = share * len(values)
    low = np.minimum(at.astype(np.int64), len(values) - 1)
    rest = (at - low)[..., None]
    found: Floats = values[low] * (1 - rest) + values[(low + 1) % len(values)] * rest
    return found
