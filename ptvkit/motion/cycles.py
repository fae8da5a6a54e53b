"""Breathing cycles of a trace: amplitudes, periods, drift, where the time is spent."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from ptvkit.errors import MotionError
from ptvkit.motion.trajectory import Trajectory

Floats = NDArray[np.float64]

LEAST_PROMINENCE: Final = 0.25
"""Of the 95 % range: what a turn must rise and fall to count as a breath."""
SHORTEST_S: Final = 1.2
"""Breaths closer than this are one: 50 a minute."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cycles:
    """The breaths of a trace along the axis of its largest motion.

    Attributes
    ----------
    axis : (3,) array
        Unit vector of that axis (LR, AP, SI); it points to where the trace spends less time, as inhale is for a liver.
    high, low : (N,) ints
        Samples of the extremes along it, each high between two lows.
    amplitude_mm : (N,) array
        Of each breath along the axis, peak to peak: the high less the mean of the lows beside it.
    period_s : (N − 1,) array
        From high to high.
    """

    axis: Floats
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    amplitude_mm: Floats
    period_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TraceStatistics:
    """What a trace is like. Triples are (LR, AP, SI), mm.

    Attributes
    ----------
    samples : int
    duration_s, interval_s, largest_gap_s : float
    mean_mm, sd_mm, range_mm, range95_mm : (3,) array
        Over time; the range95 from the 2.5th to the 97.5th percentile.
    drift_mm_per_min : (3,) array
        Slope of a straight line through it.
    cycles : Cycles or None
        None when no breath was found.
    duty : (10,) array
        Share of the time in each tenth of the 95 % range along the axis of largest motion.
    rotation_mean_deg, rotation_sd_deg, rotation_range_deg : (3,) array or None
        Of the rotation vectors about the LR, AP and SI axes, degrees; None without rotations.
    """

    samples: int
    duration_s: float
    interval_s: float
    largest_gap_s: float
    mean_mm: Floats
    sd_mm: Floats
    range_mm: Floats
    range95_mm: Floats
    drift_mm_per_min: Floats
    cycles: Cycles | None
    duty: Floats
    rotation_mean_deg: Floats | None = None
    rotation_sd_deg: Floats | None = None
    rotation_range_deg: Floats | None = None


def trace_statistics(trace: Trajectory) -> TraceStatistics:
    """Statistics of a trace.

    Examples
    --------
    >>> t = np.arange(0, 60, 0.1)
    >>> u = np.cos(np.pi * t / 4) ** 6
    >>> found = trace_statistics(Trajectory(time_s=t, displacement_mm=np.outer(u, [0, 0, -10])))
    >>> np.round(found.range_mm[2], 1), np.round(np.median(found.cycles.period_s), 2)
    (np.float64(10.0), np.float64(4.0))
    """
    moved = trace.displacement_mm
    low, high = np.percentile(trace.even().displacement_mm, [2.5, 97.5], axis=0)
    minutes = (trace.time_s - trace.time_s[0]) / 60
    along = moved @ main_axis(trace)
    a, b = np.percentile(along, [2.5, 97.5])
    where = np.clip((along - a) / max(b - a, 1e-9) * 10, 0, 9.999).astype(int)
    return TraceStatistics(
        samples=len(trace.time_s),
        duration_s=trace.duration_s,
        interval_s=trace.interval_s,
        largest_gap_s=float(np.diff(trace.time_s).max()),
        mean_mm=trace.mean_mm,
        sd_mm=trace.sd_mm,
        range_mm=np.ptp(moved, axis=0),
        range95_mm=high - low,
        drift_mm_per_min=np.polyfit(minutes, moved, 1, w=np.sqrt(trace.weights))[0],
        cycles=find_cycles(trace),
        duty=np.histogram(where, bins=np.arange(11), weights=trace.weights)[0].astype(float),
        **_of_rotations(trace),
    )


def _of_rotations(trace: Trajectory) -> dict[str, Floats]:
    if trace.rotation_deg is None:
        return {}
    mean = trace.weights @ trace.rotation_deg
    return {
        "rotation_mean_deg": mean,
        "rotation_sd_deg": np.sqrt(trace.weights @ (trace.rotation_deg - mean) ** 2),
        "rotation_range_deg": np.ptp(trace.rotation_deg, axis=0),
    }


def main_axis(trace: Trajectory) -> Floats:
    """Unit vector of the largest motion, towards the side where the trace spends less time."""
    centred = trace.displacement_mm - trace.mean_mm
    _, vectors = np.linalg.eigh((centred * trace.weights[:, None]).T @ centred)
    axis: Floats = vectors[:, -1]
    skewed = float(trace.weights @ (centred @ axis) ** 3)
    return axis if skewed >= 0 else -axis


def find_cycles(trace: Trajectory, axis: ArrayLike | None = None) -> Cycles | None:
    """The breaths of a trace along an axis (3,), by default that of its largest motion; None when there are none."""
    even = trace.even()
    direction = main_axis(trace) if axis is None else np.asarray(axis, float)
    length = float(np.linalg.norm(direction))
    if length == 0:
        raise MotionError(f"{trace.name}: the direction of inhale must not be (0, 0, 0)")
    along = even.displacement_mm @ (direction / length)
    rise = LEAST_PROMINENCE * float(np.subtract(*np.percentile(along, [97.5, 2.5])))
    if rise <= 1e-6:
        return None
    apart = max(1, round(SHORTEST_S / even.interval_s))
    high, _ = signal.find_peaks(along, prominence=rise, distance=apart)
    if len(high) < 2:
        return None
    low = np.array([a + int(along[a:b].argmin()) for a, b in pairwise(high.tolist())])
    first = int(along[: high[0] + 1].argmin())
    last = high[-1] + int(along[high[-1] :].argmin())
    lows = np.r_[first, low, last]
    amplitude = along[high] - 0.5 * (along[lows[:-1]] + along[lows[1:]])
    return Cycles(
        axis=direction / length,
        high=high.astype(np.int64),
        low=lows.astype(np.int64),
        amplitude_mm=amplitude,
        period_s=np.diff(even.time_s[high]),
    )


def position_histogram(trace: Trajectory, width_mm: float = 0.5) -> tuple[Floats, Floats]:
    """Where the time is spent: bin edges (N + 1,) in mm common to the axes, and the density (3, N) per mm."""
    low, high = trace.displacement_mm.min(), trace.displacement_mm.max()
    first, last = np.floor(low / width_mm), np.floor(high / width_mm) + 1
    edges = np.arange(first, last + 1) * width_mm
    found = [np.histogram(x, bins=edges, weights=trace.weights)[0] / width_mm for x in trace.displacement_mm.T]
    return edges, np.array(found)
