"""Distance to a level's surface, on its own nodes."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.envelope import crossing_cost, spread
from ptvkit.kernels.jit import kernel, run_in_slices

Level = NDArray[np.float32]
NEAR = 0.8
"""Below this many nodes the distance comes from the plane through the crossings, not from the nearest of them."""


def distance_outside(level: Level, spacing_mm: tuple[float, float, float], reach_mm: float) -> Level:
    """Distance of each node from {level < 0}, mm: 0 inside, `reach_mm` from there on.

    The sites are the crossings along the three axes, as for margins; close to the surface their mean distance from the
    nearest surface point matters, and the plane through a node's own crossings is used instead.
    """
    semi = [reach_mm / h for h in spacing_mm]
    x, y, z = (crossing_cost(level, axis, n, n) for axis, n in enumerate(semi))
    plane = np.empty_like(level)
    run_in_slices(_plane, level.size, x.reshape(-1), y.reshape(-1), z.reshape(-1), plane.reshape(-1))
    spread(x, 1, semi[1], semi[1], 1.0)
    spread(y, 0, semi[0], semi[0], 1.0)
    np.minimum(x, y, out=x)
    spread(x, 2, semi[2], semi[2], 1.0)
    spread(z, 0, semi[0], semi[0], 1.0)
    spread(z, 1, semi[1], semi[1], 1.0)
    np.minimum(x, z, out=x)
    near = NEAR * min(spacing_mm) / reach_mm
    bias = sum(n**-2 for n in semi) / 18  # mean cost of missing the nearest surface point between sites
    run_in_slices(_distance, level.size, x.reshape(-1), plane.reshape(-1), near, bias, reach_mm)
    return x


@kernel
def _plane(start: int, stop: int, x: Level, y: Level, z: Level, out: Level) -> None:
    """Gauge distance to the plane that meets the three axes where the surface does."""
    for n in range(start, stop):
        if x[n] == 0 or y[n] == 0 or z[n] == 0:
            out[n] = 0.0
        else:
            out[n] = 1 / np.sqrt(1 / x[n] + 1 / y[n] + 1 / z[n])


@kernel
def _distance(start: int, stop: int, cost: Level, plane: Level, near: float, bias: float, reach_mm: float) -> None:
    for n in range(start, stop):
        c = cost[n]
        far = 1.0 if c > 1 else np.sqrt(max(c - bias, 0.0))
        c = plane[n] if plane[n] < near else far
        cost[n] = c * reach_mm
