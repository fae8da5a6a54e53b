"""How much a margin from one recording leaves open: the recording put together anew from blocks of its breaths."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import Course
from ptvkit.motion.cycles import trace_statistics
from ptvkit.motion.measured import Measured
from ptvkit.motion.trajectory import Trajectory

Floats = NDArray[np.float64]

FEWEST_BREATHS: Final = 15
RESAMPLES: Final = 8
BREATHS: Final = 4
"""Of a block: neighbouring breaths resemble each other."""
DRIFT_SHARE: Final = 0.5
"""Of the SD of a recording, what a straight line through it may explain before the drift dominates."""


def trace_warnings(breathing: Breathing) -> Iterator[str]:
    """What a recording is too short to tell, in words."""
    if not isinstance(breathing.wave, Measured):
        return
    for trace in breathing.wave.traces:
        known = trace_statistics(trace)
        breaths = 0 if known.cycles is None else len(known.cycles.high)
        if breaths < FEWEST_BREATHS:
            yield (
                f"{trace.name}: has {breaths} breaths, fewer than {FEWEST_BREATHS}; how one breath differs from the"
                " next is hardly known"
            )
        minutes = trace.duration_s / 60
        explained = np.abs(known.drift_mm_per_min) * minutes / np.sqrt(12)
        axis = int(known.sd_mm.argmax())
        if explained[axis] > DRIFT_SHARE * known.sd_mm[axis]:
            yield (
                f"{trace.name}: drifts by {known.drift_mm_per_min[axis] * minutes:.1f} mm over its {minutes:.1f} min,"
                " which dominates its breaths; another recording may drift otherwise"
            )


def bootstrap_half_width(course: Course, size_of: Callable[[Course], float], seed: int) -> float:
    """Half the width of the 95 % interval of what `size_of` finds, by the recording's length; 0 without a recording.

    The recording is put together anew from blocks of whole breaths, drawn with replacement.
    """
    breathing = course.breathing
    if breathing is None or not isinstance(breathing.wave, Measured) or len(breathing.wave.traces) > 1:
        return 0.0
    trace, rng = breathing.wave.traces[0], np.random.default_rng([seed, 15])
    edges = block_edges(trace)
    if len(edges) < 3:
        return 0.0
    found = []
    for _ in range(RESAMPLES):
        other = replace(breathing.wave, traces=(resampled_trace(trace, edges, rng),))
        found.append(size_of(replace(course, breathing=replace(breathing, wave=other))))
    return float(stats.t.ppf(0.975, RESAMPLES - 1) * np.std(found, ddof=1))


def block_edges(trace: Trajectory) -> NDArray[np.int64]:
    """Samples at which blocks of some whole breaths begin, and the last one's end; from exhale to exhale."""
    cycles = trace_statistics(trace).cycles
    lows = np.zeros(0, np.int64) if cycles is None else cycles.low[1:-1]
    return lows[::BREATHS] if len(lows) > 2 * BREATHS else lows[:: max(len(lows) // 2, 1)]


def resampled_trace(trace: Trajectory, edges: NDArray[np.int64], rng: np.random.Generator) -> Trajectory:
    """A recording about as long, of blocks drawn with replacement, each as it was measured."""
    count = len(edges) - 1
    pieces = [trace.displacement_mm[edges[n] : edges[n + 1]] for n in rng.integers(count, size=count)]
    moved = np.concatenate(pieces)
    time = np.arange(len(moved), dtype=float) * trace.interval_s
    return Trajectory(time_s=np.asarray(time, float), displacement_mm=moved, name=trace.name)
