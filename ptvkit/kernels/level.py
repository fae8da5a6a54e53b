"""Loops over a level: sampling it, its volume, its reach."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Level = NDArray[np.float32]
FAR = 1e3
"""Level beyond the grid, mm: outside, further than any margin."""


def sample_lattice(level: Level, matrix: NDArray[np.float64], shape: tuple[int, int, int]) -> Level:
    """Level at the voxel centres of another grid.

    Parameters
    ----------
    level : (I, J, K) float32
    matrix : (3, 4) float64
        From index in the other grid to fractional index in the level's.
    shape : (3,) ints
        Size of the other grid.
    """
    out = np.empty(shape, np.float32)
    run_in_slices(_sample_lattice, shape[0], level, matrix, out)
    return out


def sample_points(level: Level, index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level at fractional indices (N, 3)."""
    out = np.empty(len(index))
    run_in_slices(_sample_points, len(index), level, index, out)
    return out


def volume_in_cells(level: Level) -> float:
    """Volume where the level, linear in the six tetrahedra of each cell, is below 0; in cells."""
    parts = np.zeros(level.shape[0] - 1)
    run_in_slices(_volume, len(parts), level, parts)
    return float(parts.sum())


def crossings(level: Level) -> NDArray[np.float64]:
    """Fractional indices (N, 3) where the level changes sign along an edge between neighbouring nodes."""
    count = np.zeros((3, max(level.shape)), np.int64)
    rows = np.zeros(level.shape[:2], np.int32)
    _count_crossings(level, count, rows)
    start = np.cumsum(np.r_[0, count.reshape(-1)])
    out = np.empty((int(start[-1]), 3))
    _crossings(level, rows, start[:-1].reshape(count.shape), out)
    return out


@kernel
def _count_crossings(level: Level, count: NDArray[np.int64], rows: NDArray[np.int32]) -> None:
    """How many crossings begin at each index, for the edges along each axis, and how many in each row (I, J).

    Each axis has a loop of its own without branches, which the compiler makes wide.
    """
    ni, nj, nk = level.shape
    for i in range(ni):
        for j in range(nj):
            here = level[i, j]
            across = 0
            if i + 1 < ni:
                other = level[i + 1, j]
                for k in range(nk):
                    across += (here[k] < 0) != (other[k] < 0)
                count[0, i] += across
            up = 0
            if j + 1 < nj:
                other = level[i, j + 1]
                for k in range(nk):
                    up += (here[k] < 0) != (other[k] < 0)
                count[1, j] += up
            along = 0
            for k in range(nk - 1):
                along += (here[k] < 0) != (here[k + 1] < 0)
            if along:
                for k in range(nk - 1):
                    count[2, k] += (here[k] < 0) != (here[k + 1] < 0)
            rows[i, j] = across + up + along


@kernel
def _crossings(level: Level, rows: NDArray[np.int32], place: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    ni, nj, nk = level.shape
    for i in range(ni):
        for j in range(nj):
            if rows[i, j] == 0:
                continue
            for k in range(nk):
                a = np.float64(level[i, j, k])
                for axis in range(3):
                    u, v, w = i + (axis == 0), j + (axis == 1), k + (axis == 2)
                    if u >= ni or v >= nj or w >= nk or (a < 0) == (level[u, v, w] < 0):
                        continue
                    at = (i, j, k)[axis]
                    n = place[axis, at]
                    place[axis, at] += 1
                    out[n, 0], out[n, 1], out[n, 2] = i, j, k
                    out[n, axis] += a / (a - np.float64(level[u, v, w]))


@kernel
def _at(level: Level, x: float, y: float, z: float) -> float:
    """Trilinear; a coordinate within a millionth of a node is that node."""
    rx, ry, rz = np.rint(x), np.rint(y), np.rint(z)
    x = rx if abs(x - rx) < 1e-6 else x
    y = ry if abs(y - ry) < 1e-6 else y
    z = rz if abs(z - rz) < 1e-6 else z
    ni, nj, nk = level.shape
    if not (0 <= x <= ni - 1 and 0 <= y <= nj - 1 and 0 <= z <= nk - 1):
        return FAR
    i, j, k = int(x), int(y), int(z)
    i1, j1, k1 = min(i + 1, ni - 1), min(j + 1, nj - 1), min(k + 1, nk - 1)
    u, v, w = x - i, y - j, z - k
    a = (1 - w) * level[i, j, k] + w * level[i, j, k1]
    b = (1 - w) * level[i, j1, k] + w * level[i, j1, k1]
    c = (1 - w) * level[i1, j, k] + w * level[i1, j, k1]
    d = (1 - w) * level[i1, j1, k] + w * level[i1, j1, k1]
    return (1 - u) * ((1 - v) * a + v * b) + u * ((1 - v) * c + v * d)


@kernel
def _sample_lattice(start: int, stop: int, level: Level, m: NDArray[np.float64], out: Level) -> None:
    for i in range(start, stop):
        for j in range(out.shape[1]):
            x = m[0, 0] * i + m[0, 1] * j + m[0, 3]
            y = m[1, 0] * i + m[1, 1] * j + m[1, 3]
            z = m[2, 0] * i + m[2, 1] * j + m[2, 3]
            for k in range(out.shape[2]):
                out[i, j, k] = _at(level, x + m[0, 2] * k, y + m[1, 2] * k, z + m[2, 2] * k)


@kernel
def _sample_points(start: int, stop: int, level: Level, index: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for n in range(start, stop):
        out[n] = _at(level, index[n, 0], index[n, 1], index[n, 2])


@kernel
def _volume(start: int, stop: int, level: Level, parts: NDArray[np.float64]) -> None:
    for i in range(start, stop):
        total = 0.0
        for j in range(level.shape[1] - 1):
            for k in range(level.shape[2] - 1):
                a, b = level[i, j, k], level[i, j, k + 1]
                c, d = level[i, j + 1, k], level[i, j + 1, k + 1]
                e, f = level[i + 1, j, k], level[i + 1, j, k + 1]
                g, h = level[i + 1, j + 1, k], level[i + 1, j + 1, k + 1]
                least = min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h)))
                if least >= 0:
                    continue
                most = max(max(max(a, b), max(c, d)), max(max(e, f), max(g, h)))
                if most < 0:
                    total += 1.0
                    continue
                # the six tetrahedra around the cell's diagonal a–h
                total += (
                    _tetrahedron(a, b, d, h)
                    + _tetrahedron(a, b, f, h)
                    + _tetrahedron(a, c, d, h)
                    + _tetrahedron(a, c, g, h)
                    + _tetrahedron(a, e, f, h)
                    + _tetrahedron(a, e, g, h)
                ) / 6
        parts[i] = total


@kernel
def _tetrahedron(a: float, b: float, c: float, d: float) -> float:
    """Share of a tetrahedron where a linear level with these corner values is below 0."""
    if a > b:
        a, b = b, a
    if c > d:
        c, d = d, c
    if a > c:
        a, c = c, a
    if b > d:
        b, d = d, b
    if b > c:
        b, c = c, b
    if a >= 0:
        return 0.0
    if d < 0:
        return 1.0
    if b >= 0:
        return a * a * a / ((a - b) * (a - c) * (a - d))
    if c < 0:
        return 1.0 - d * d * d / ((d - a) * (d - b) * (d - c))
    ac, ad, bc, bd = a / (a - c), a / (a - d), b / (b - c), b / (b - d)
    return ac * ad + bc * bd * (1 - ad) + ad * bc * (1 - ac)  # the wedge between a and b, as three tetrahedra
