"""Dose of single fractions: a table of doses by displacement, and sums of its rows.

A table (nodes, N) holds, for each of N points, the coefficients of a cubic spline in the displacement. A fraction's
mean dose over its displacements is then the sum of a few rows with the weights that its displacements have on the
nodes.
"""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel
from ptvkit.kernels.spline import _weights

Floats = NDArray[np.float64]
Single = NDArray[np.float32]
Indices = NDArray[np.int64]

TOGETHER = 16
"""Points whose columns are written at a time."""


def table_of(coefficients: Single, index: Floats, count: tuple[int, int, int]) -> Single:
    """Spline (nodes, N) about points at fractional indices (N, 3): at `count` whole steps along each axis.

    The coefficients must reach from a node before each point to two nodes beyond its last step.
    """
    out = np.empty((count[0] * count[1] * count[2], len(index)), np.float32)
    _table_of(coefficients, index, count, out)
    return out


def add_fractions(
    table: Single, start: Indices, node: Indices, weight: Single, total: Single, weighted: Single, alpha_beta: float
) -> None:
    """Add the doses d of fractions to `total` (N,), and ``d (d + α/β) / (2 + α/β)`` to `weighted` (N,), in place.

    Parameters
    ----------
    table : (nodes, N) float32
    start : (fractions + 1,) int64
        Where each fraction's nodes begin in `node` and `weight`.
    node, weight : (entries,)
    total, weighted : (N,) float32
    alpha_beta : float
        Gy; 0 or less leaves `weighted` alone.
    """
    _add_fractions(table, start, node, weight, total, weighted, np.float32(alpha_beta))  # type: ignore[arg-type]


@kernel
def _table_of(c: Single, index: Floats, count: tuple[int, int, int], out: Single) -> None:
    ni, nj, nk = count
    first = np.empty((ni + 3, nj + 3, nk), np.float32)
    second = np.empty((ni + 3, nj, nk), np.float32)
    several = np.empty((TOGETHER, ni * nj * nk), np.float32)
    wx, wy, wz = np.empty(4), np.empty(4), np.empty(4)
    for low in range(0, len(index), TOGETHER):
        size = min(TOGETHER, len(index) - low)
        for n in range(size):
            i = _weights(index[low + n, 0], wx)
            j = _weights(index[low + n, 1], wy)
            k = _weights(index[low + n, 2], wz)
            _along_rows(c[i : i + ni + 3, j : j + nj + 3, k : k + nk + 3], wz.astype(np.float32), first)
            _along_planes(first, wy.astype(np.float32), wx.astype(np.float32), second, several[n].reshape(ni, nj, nk))
        for node in range(out.shape[0]):
            for n in range(size):
                out[node, low + n] = several[n, node]


@kernel
def _along_rows(c: Single, w: Single, out: Single) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            row, sums = c[i, j], out[i, j]
            for k in range(len(sums)):
                sums[k] = w[0] * row[k] + w[1] * row[k + 1] + w[2] * row[k + 2] + w[3] * row[k + 3]


@kernel
def _along_planes(first: Single, wy: Single, wx: Single, second: Single, out: Single) -> None:
    for i in range(second.shape[0]):
        for j in range(second.shape[1]):
            a, b, c, d, sums = first[i, j], first[i, j + 1], first[i, j + 2], first[i, j + 3], second[i, j]
            for k in range(len(sums)):
                sums[k] = wy[0] * a[k] + wy[1] * b[k] + wy[2] * c[k] + wy[3] * d[k]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            a, b, c, d = second[i, j], second[i + 1, j], second[i + 2, j], second[i + 3, j]
            sums = out[i, j]
            for k in range(len(sums)):
                sums[k] = wx[0] * a[k] + wx[1] * b[k] + wx[2] * c[k] + wx[3] * d[k]


@kernel
def _add_fractions(
    table: Single,
    start: Indices,
    node: Indices,
    weight: Single,
    total: Single,
    weighted: Single,
    alpha_beta: float,
) -> None:
    dose = np.empty(table.shape[1], np.float32)
    scale = np.float32(1.0) / (np.float32(2.0) + alpha_beta)
    for f in range(len(start) - 1):
        _mean_dose(table, node[start[f] : start[f + 1]], weight[start[f] : start[f + 1]], dose)
        for k in range(len(dose)):
            total[k] += dose[k]
        if alpha_beta > 0:
            for k in range(len(dose)):
                weighted[k] += dose[k] * (dose[k] + alpha_beta) * scale


@kernel
def _mean_dose(table: Single, node: Indices, weight: Single, dose: Single) -> None:
    """Sum of rows with their weights, four at a time, none below 0."""
    dose[:] = 0
    last = len(node) - len(node) % 4
    for n in range(0, last, 4):
        a, b, c, d = weight[n], weight[n + 1], weight[n + 2], weight[n + 3]
        p, q, r, s = table[node[n]], table[node[n + 1]], table[node[n + 2]], table[node[n + 3]]
        for k in range(len(dose)):
            dose[k] += a * p[k] + b * q[k] + c * r[k] + d * s[k]
    for n in range(last, len(node)):
        a, p = weight[n], table[node[n]]
        for k in range(len(dose)):
            dose[k] += a * p[k]
    for k in range(len(dose)):
        dose[k] = max(dose[k], np.float32(0.0))
