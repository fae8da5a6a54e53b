"""How much of each node's cell lies inside a level's surface."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Level = NDArray[np.float32]
PARTS = 4
"""A cell that the surface passes is counted at this many places along each axis."""


def occupancy(level: Level) -> Level:
    """Share (I, J, K) of the cell around each node, half a node each way, where the level is below 0."""
    out = np.empty_like(level)
    run_in_slices(_occupancy, level.shape[0], level, out)
    return out


@kernel
def _occupancy(start: int, stop: int, level: Level, out: Level) -> None:
    ni, nj, nk = level.shape
    for i in range(start, stop):
        i0, i1 = max(i - 1, 0), min(i + 1, ni - 1)
        for j in range(nj):
            j0, j1 = max(j - 1, 0), min(j + 1, nj - 1)
            for k in range(nk):
                k0, k1 = max(k - 1, 0), min(k + 1, nk - 1)
                inside = level[i, j, k] < 0
                mixed = False
                for a in range(i0, i1 + 1):
                    for b in range(j0, j1 + 1):
                        for c in range(k0, k1 + 1):
                            mixed |= (level[a, b, c] < 0) != inside
                if mixed:
                    out[i, j, k] = _share(level, i, j, k)
                else:
                    out[i, j, k] = 1.0 if inside else 0.0


@kernel
def _share(level: Level, i: int, j: int, k: int) -> float:
    ni, nj, nk = level.shape
    count = 0
    for a in range(PARTS):
        u = (a + 0.5) / PARTS - 0.5
        p = min(max(i + (1 if u > 0 else -1), 0), ni - 1)
        u = abs(u)
        for b in range(PARTS):
            v = (b + 0.5) / PARTS - 0.5
            q = min(max(j + (1 if v > 0 else -1), 0), nj - 1)
            v = abs(v)
            for c in range(PARTS):
                w = (c + 0.5) / PARTS - 0.5
                r = min(max(k + (1 if w > 0 else -1), 0), nk - 1)
                w = abs(w)
                near = (1 - v) * ((1 - w) * level[i, j, k] + w * level[i, j, r]) + v * (
                    (1 - w) * level[i, q, k] + w * level[i, q, r]
                )
                far = (1 - v) * ((1 - w) * level[p, j, k] + w * level[p, j, r]) + v * (
                    (1 - w) * level[p, q, k] + w * level[p, q, r]
                )
                if (1 - u) * near + u * far < 0:
                    count += 1
    return count / PARTS**3
