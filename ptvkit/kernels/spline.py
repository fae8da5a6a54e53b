"""Cubic B-splines on a lattice: sampling one, and spreading shifts with its weights.

A spline with coefficients c has at a fractional index x the value Σ c_k β(x − k), β the cubic B-spline with its support
of four nodes along each axis.
"""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Floats = NDArray[np.float64]
Single = NDArray[np.float32]

LEAST_WEIGHT = 1e-8
"""Weights below this are lost in the rounding of single numbers."""


def combined(matrix: Single, planes: Single) -> Single:
    """Sums of planes (N, J, K) with the weights in each row of a matrix (M, N): (M, J, K).

    Not by a matrix product of a library, whose last digits depend on how many threads it takes.
    """
    source = np.ascontiguousarray(planes.reshape(len(planes), -1))
    out = np.zeros((len(matrix), source.shape[1]), np.float32)
    run_in_slices(_combined, len(matrix), matrix, source, out)
    return out.reshape(len(matrix), *planes.shape[1:])


def sample_spline(coefficients: Single, to_index: Floats, points: Floats) -> Floats:
    """Value (N,) at each point; NaN where its index lies beyond the nodes by more than half of one.

    Parameters
    ----------
    coefficients : (I, J, K) float32
        Continued beyond the lattice by its mirror image, as `scipy.ndimage.spline_filter` takes it to be.
    to_index : (3, 4) float64
        From mm to fractional index.
    points : (N, 3) float64
        mm.
    """
    out = np.empty(len(points))
    run_in_slices(_sample, len(points), coefficients, to_index, points, out)
    return out


def mean_of_shifts(coefficients: Single, to_index: Floats, points: Floats, shifts: Floats) -> Floats:
    """Mean (N,) over shifts (M, 3) of the spline at each point moved by it; beyond the nodes the edge goes on."""
    out = np.zeros(len(points))
    run_in_slices(_mean_of_shifts, len(points), coefficients, to_index, points, shifts, out)
    return out


def spread_shifts(weights: Single, size: tuple[int, int, int], to_index: Floats, shifts: Floats) -> bool:
    """Add each shift's spline weights to a lattice, in place; False when one needs nodes beyond the first `size`."""
    return bool(_spread(weights, size, to_index, shifts))


@kernel
def _combined(start: int, stop: int, matrix: Single, source: Single, out: Single) -> None:
    for m in range(start, stop):
        for n in range(matrix.shape[1]):
            weight = matrix[m, n]
            if abs(weight) < LEAST_WEIGHT:
                continue
            for k in range(source.shape[1]):
                out[m, k] += weight * source[n, k]


@kernel
def _weights(x: float, out: Floats) -> int:
    """The four weights of a cubic B-spline about x; the first node's index."""
    first = int(np.floor(x)) - 1
    t = x - np.floor(x)
    s = 1 - t
    out[0] = s * s * s / 6
    out[1] = 2.0 / 3.0 - t * t * (2 - t) / 2
    out[2] = 2.0 / 3.0 - s * s * (2 - s) / 2
    out[3] = t * t * t / 6
    return first


@kernel
def _mirrored(index: int, length: int) -> int:
    if index < 0:
        return -index
    return index if index < length else 2 * (length - 1) - index


@kernel
def _value(c: Single, x: float, y: float, z: float, wx: Floats, wy: Floats, wz: Floats) -> float:
    ni, nj, nk = c.shape
    if not (-0.5 <= x <= ni - 0.5 and -0.5 <= y <= nj - 0.5 and -0.5 <= z <= nk - 0.5):
        return np.nan
    i, j, k = _weights(x, wx), _weights(y, wy), _weights(z, wz)
    total = 0.0
    if i >= 0 and j >= 0 and k >= 0 and i + 3 < ni and j + 3 < nj and k + 3 < nk:
        for a in range(4):
            plane = 0.0
            for b in range(4):
                row = c[i + a, j + b, k : k + 4]
                plane += wy[b] * (wz[0] * row[0] + wz[1] * row[1] + wz[2] * row[2] + wz[3] * row[3])
            total += wx[a] * plane
        return total
    for a in range(4):
        p = _mirrored(i + a, ni)
        for b in range(4):
            q = _mirrored(j + b, nj)
            for n in range(4):
                r = _mirrored(k + n, nk)
                total += wx[a] * wy[b] * wz[n] * c[p, q, r]
    return total


@kernel
def _sample(start: int, stop: int, c: Single, m: Floats, points: Floats, out: Floats) -> None:
    wx, wy, wz = np.empty(4), np.empty(4), np.empty(4)
    for n in range(start, stop):
        px, py, pz = points[n]
        x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
        y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
        z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
        out[n] = _value(c, x, y, z, wx, wy, wz)


@kernel
def _mean_of_shifts(start: int, stop: int, c: Single, m: Floats, points: Floats, shifts: Floats, out: Floats) -> None:
    wx, wy, wz = np.empty(4), np.empty(4), np.empty(4)
    for n in range(start, stop):
        total = 0.0
        for s in range(len(shifts)):
            px, py, pz = points[n, 0] + shifts[s, 0], points[n, 1] + shifts[s, 1], points[n, 2] + shifts[s, 2]
            x = min(max(m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3], 0.0), c.shape[0] - 1.0)
            y = min(max(m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3], 0.0), c.shape[1] - 1.0)
            z = min(max(m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3], 0.0), c.shape[2] - 1.0)
            total += _value(c, x, y, z, wx, wy, wz)
        out[n] = total / len(shifts)


@kernel
def _spread(weights: Single, size: tuple[int, int, int], m: Floats, shifts: Floats) -> bool:
    ni, nj, nk = size
    wx, wy, wz = np.empty(4), np.empty(4), np.empty(4)
    for n in range(len(shifts)):
        sx, sy, sz = shifts[n]
        i = _weights(m[0, 0] * sx + m[0, 1] * sy + m[0, 2] * sz + m[0, 3], wx)
        j = _weights(m[1, 0] * sx + m[1, 1] * sy + m[1, 2] * sz + m[1, 3], wy)
        k = _weights(m[2, 0] * sx + m[2, 1] * sy + m[2, 2] * sz + m[2, 3], wz)
        if i < 0 or j < 0 or k < 0 or i + 3 >= ni or j + 3 >= nj or k + 3 >= nk:
            return False
        for a in range(4):
            for b in range(4):
                w = wx[a] * wy[b]
                for d in range(4):
                    weights[i + a, j + b, k + d] += w * wz[d]
    return True
