"""Breathing waves sampled at many times: cycles of varying height, length and baseline."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Floats = NDArray[np.float64]


def cycle_wave(
    times: Floats, end: Floats, scale: Floats, base: Floats, amplitude: Floats, n: int, lag: Floats
) -> Floats:
    """Displacement from exhale, (N, S, 3), of cycles that begin and end at exhale.

    ``x_axis(t) = A_axis · scale_k · sin²ⁿ(π(f − lag_axis)) + base_k,axis`` with f the share of cycle k that has passed.
    A lagging axis still follows the cycle before until its own begins.

    Parameters
    ----------
    times : (N, S) float64
        Rising in each row, s, from the first cycle's begin.
    end : (N, K) float64
        When each cycle ends, s, rising; times beyond the last stay in it.
    scale : (N, K), base : (N, K, 3)
        Of each cycle; base in mm.
    amplitude : (N, 3)
        Signed, mm.
    n : int
    lag : (3,)
        Shares of a cycle, 0 to 1.
    """
    out = np.empty((*times.shape, 3))
    run_in_slices(_cycle_wave, len(times), times, end, scale, base, amplitude, n, lag, out)
    return out


@kernel
def _cycle_wave(
    start: int,
    stop: int,
    times: Floats,
    end: Floats,
    scale: Floats,
    base: Floats,
    amplitude: Floats,
    n: int,
    lag: Floats,
    out: Floats,
) -> None:
    count = end.shape[1]
    for row in range(start, stop):
        k = 0
        for s in range(times.shape[1]):
            t = times[row, s]
            while k < count - 1 and t >= end[row, k]:
                k += 1
            begin = end[row, k - 1] if k > 0 else 0.0
            passed = (t - begin) / (end[row, k] - begin)
            of, power = k, 0.0
            for axis in range(3):
                if axis == 0 or lag[axis] != lag[axis - 1]:  # axes that do not lag apart share their sine
                    share = passed - lag[axis]
                    of = k if share >= 0 or k == 0 else k - 1
                    u = np.sin(np.pi * share) ** 2
                    power = u
                    for _ in range(n - 1):
                        power *= u
                out[row, s, axis] = amplitude[row, axis] * scale[row, of] * power + base[row, of, axis]
