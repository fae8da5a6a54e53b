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


def project(distance: Level, level: Level, spacing_mm: tuple[float, float, float], reach: tuple[float, float]) -> Level:
    """Signed distance made better: a node is carried onto the surface, and what the level says there is added.

    Parameters
    ----------
    distance, level : (I, J, K) float32
        The signed distance, mm, and the level whose surface it is of.
    spacing_mm : (3,)
    reach : (2,)
        Distances inside and outside from which on nothing is known, mm.
    """
    out = distance.copy()
    run_in_slices(_project, distance.shape[0] - 2, distance, level, spacing_mm, *reach, out)
    return out


@kernel
def _project(
    start: int,
    stop: int,
    distance: Level,
    level: Level,
    spacing_mm: tuple[float, float, float],
    inside: float,
    outside: float,
    out: Level,
) -> None:
    ni, nj, nk = distance.shape
    a, b, c = spacing_mm
    most = 0.5 * min(a, b, c)
    for i in range(start + 1, stop + 1):
        for j in range(1, nj - 1):
            for k in range(1, nk - 1):
                d = distance[i, j, k]
                if d <= -inside + most or d >= outside - most:
                    continue
                x = (distance[i + 1, j, k] - distance[i - 1, j, k]) / (2 * a)
                y = (distance[i, j + 1, k] - distance[i, j - 1, k]) / (2 * b)
                z = (distance[i, j, k + 1] - distance[i, j, k - 1]) / (2 * c)
                slope = np.sqrt(x * x + y * y + z * z)
                if slope < 0.8:  # near a ridge there is no one nearest point
                    continue
                u, v, w = i - d * x / (slope * a), j - d * y / (slope * b), k - d * z / (slope * c)
                if not (1 <= u < ni - 2 and 1 <= v < nj - 2 and 1 <= w < nk - 2):
                    continue
                rest = _height(level, u, v, w, spacing_mm)
                if abs(rest) < most:
                    out[i, j, k] = d + rest


@kernel
def _height(level: Level, u: float, v: float, w: float, spacing_mm: tuple[float, float, float]) -> float:
    """Distance of an index from the surface near it: the level over its slope, trilinear."""
    i, j, k = int(u), int(v), int(w)
    x, y, z = u - i, v - j, w - k
    near = (1 - y) * (1 - z) * level[i, j, k] + (1 - y) * z * level[i, j, k + 1]
    near += y * (1 - z) * level[i, j + 1, k] + y * z * level[i, j + 1, k + 1]
    far = (1 - y) * (1 - z) * level[i + 1, j, k] + (1 - y) * z * level[i + 1, j, k + 1]
    far += y * (1 - z) * level[i + 1, j + 1, k] + y * z * level[i + 1, j + 1, k + 1]
    left = (1 - x) * ((1 - z) * level[i, j, k] + z * level[i, j, k + 1])
    left += x * ((1 - z) * level[i + 1, j, k] + z * level[i + 1, j, k + 1])
    right = (1 - x) * ((1 - z) * level[i, j + 1, k] + z * level[i, j + 1, k + 1])
    right += x * ((1 - z) * level[i + 1, j + 1, k] + z * level[i + 1, j + 1, k + 1])
    low = (1 - x) * ((1 - y) * level[i, j, k] + y * level[i, j + 1, k])
    low += x * ((1 - y) * level[i + 1, j, k] + y * level[i + 1, j + 1, k])
    high = (1 - x) * ((1 - y) * level[i, j, k + 1] + y * level[i, j + 1, k + 1])
    high += x * ((1 - y) * level[i + 1, j, k + 1] + y * level[i + 1, j + 1, k + 1])
    a, b, c = spacing_mm
    slope = np.sqrt(((far - near) / a) ** 2 + ((right - left) / b) ** 2 + ((high - low) / c) ** 2)
    if slope == 0:
        return np.inf
    return ((1 - x) * near + x * far) / slope
