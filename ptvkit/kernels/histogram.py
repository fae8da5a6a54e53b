"""Weighted histograms."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel

Floats = NDArray[np.float64]


def histogram(values: Floats, weights: Floats, low: float, high: float, bins: int) -> Floats:
    """Sum (bins,) of the weights (N,) of the values (N,) in equal bins from `low` to `high`, which hold them all."""
    out = np.zeros(bins)
    _histogram(values, weights, low, high, out)
    return out


@kernel
def _histogram(values: Floats, weights: Floats, low: float, high: float, out: Floats) -> None:
    scale = len(out) / max(high - low, 1e-300)
    for n in range(len(values)):
        at = int((values[n] - low) * scale)
        out[min(max(at, 0), len(out) - 1)] += weights[n]
