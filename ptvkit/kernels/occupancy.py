"""How much of each node's cell lies inside a level's surface, and points of that part."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Level = NDArray[np.float32]
Floats = NDArray[np.float64]
PARTS = 4
"""A cell that the surface passes is counted at this many places along each axis."""


def occupancy(level: Level) -> Level:
    """Share (I, J, K) of the cell around each node, half a node each way, where the level is below 0."""
    out = np.empty_like(level)
    run_in_slices(_occupancy, level.shape[0], level, out)
    return out


def cell_points(level: Level, share: Level) -> tuple[Floats, Floats]:
    """Cells that hold some of the inside: a point of that part (N, 3), in indices, and its share (N,) of the cell.

    Of a cut cell it is the part's centre. Whole cells have each another point of theirs, spread evenly from cell to
    cell: at their nodes a dose that falls along an axis would come in steps.

    Parameters
    ----------
    level, share : (I, J, K) float32
        A level and its `occupancy`.
    """
    at = np.argwhere(share > 0)
    found = np.asarray(share[tuple(at.T)], float)
    points = at.astype(float)
    run_in_slices(_points, len(at), level, at, found, points)
    return points, found


@kernel
def _points(start: int, stop: int, level: Level, at: NDArray[np.int64], share: Floats, out: Floats) -> None:
    sums = np.empty(4)
    for n in range(start, stop):
        if share[n] < 1:
            _sums(level, at[n, 0], at[n, 1], at[n, 2], sums)
            for axis in range(3):
                out[n, axis] += sums[axis + 1] / sums[0]
        else:  # the R3 sequence: M. Roberts 2018, powers of 1 / 1.2207440846
            out[n, 0] += (0.5 + n * 0.8191725133961645) % 1.0 - 0.5
            out[n, 1] += (0.5 + n * 0.6710436067037893) % 1.0 - 0.5
            out[n, 2] += (0.5 + n * 0.5497004779019703) % 1.0 - 0.5


@kernel
def _occupancy(start: int, stop: int, level: Level, out: Level) -> None:
    ni, nj, nk = level.shape
    sums = np.empty(4)
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
                    _sums(level, i, j, k, sums)
                    out[i, j, k] = sums[0] / PARTS**3
                else:
                    out[i, j, k] = 1.0 if inside else 0.0


@kernel
def _sums(level: Level, i: int, j: int, k: int, out: Floats) -> None:
    """How many places of a cell lie inside, and the sums of their offsets from its node."""
    ni, nj, nk = level.shape
    out[:] = 0.0
    for a in range(PARTS):
        x = (a + 0.5) / PARTS - 0.5
        p = min(max(i + (1 if x > 0 else -1), 0), ni - 1)
        u = abs(x)
        for b in range(PARTS):
            y = (b + 0.5) / PARTS - 0.5
            q = min(max(j + (1 if y > 0 else -1), 0), nj - 1)
            v = abs(y)
            for c in range(PARTS):
                z = (c + 0.5) / PARTS - 0.5
                r = min(max(k + (1 if z > 0 else -1), 0), nk - 1)
                w = abs(z)
                near = (1 - v) * ((1 - w) * level[i, j, k] + w * level[i, j, r]) + v * (
                    (1 - w) * level[i, q, k] + w * level[i, q, r]
                )
                far = (1 - v) * ((1 - w) * level[p, j, k] + w * level[p, j, r]) + v * (
                    (1 - w) * level[p, q, k] + w * level[p, q, r]
                )
                if (1 - u) * near + u * far < 0:
                    out[0] += 1
                    out[1] += x
                    out[2] += y
                    out[3] += z
