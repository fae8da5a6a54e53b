"""Gauge cost of an octant ellipsoid, separable by axis: lower envelopes of asymmetric parabolas.

Lengths are in nodes along each axis. A line is a row of nodes along the axis that is being processed; arrays come as
(before, n, after), lines running along the middle, so that one kernel serves the three axes.
"""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

BLOCK = 16
"""Lines that are gathered together: neighbours in memory, one cache line of float32."""

Cost = NDArray[np.float32]


def along(array: Cost, axis: int) -> Cost:
    """View of a C-contiguous (I, J, K) array as (before, n, after) with `axis` in the middle."""
    before = int(np.prod(array.shape[:axis]))
    return array.reshape(before, array.shape[axis], -1)


def crossing_cost(level: Cost, axis: int, minus: float, plus: float) -> Cost:
    """Cost of reaching each node along one axis from the surface crossings on its line; 0 inside, inf where none.

    Parameters
    ----------
    level : (I, J, K) float32, C-contiguous
        Negative inside; crossings are where it changes sign, linearly interpolated.
    minus, plus : float
        Semi-axes in nodes towards lower and higher index.
    """
    cost = np.empty_like(level)
    lines = along(level, axis)
    run_in_slices(_crossing_cost, _tasks(lines), lines, along(cost, axis), 1 / minus**2, 1 / plus**2)
    return cost


def spread(cost: Cost, axis: int, minus: float, plus: float, limit: float) -> None:
    """Replace each cost by the least of its line's costs plus the parabola from there; in place.

    ``new[i] = min over s of cost[s] + c(i - s)``, ``c(d) = (d/plus)²`` for d ≥ 0, ``(d/minus)²`` below. Values above
    `limit`, and reaches beyond the semi-axis by more than 1.8 nodes, become inf.
    """
    lines = along(cost, axis)
    run_in_slices(_spread, _tasks(lines), lines, 1 / minus**2, 1 / plus**2, limit, minus + 1.8, plus + 1.8)


def _tasks(lines: Cost) -> int:
    return int(lines.shape[0] * -(-lines.shape[2] // BLOCK))


@kernel
def _crossing_cost(start: int, stop: int, level: Cost, cost: Cost, minus2: float, plus2: float) -> None:
    _, n, after = level.shape
    blocks = (after + BLOCK - 1) // BLOCK
    last = np.empty(BLOCK)
    for task in range(start, stop):
        p = task // blocks
        q0 = (task % blocks) * BLOCK
        width = min(BLOCK, after - q0)
        last[:] = -np.inf
        for i in range(n):
            for b in range(width):
                here = level[p, i, q0 + b]
                if here < 0:
                    cost[p, i, q0 + b] = 0.0
                    continue
                if i > 0:
                    before = level[p, i - 1, q0 + b]
                    if before < 0:
                        last[b] = i - here / (here - before)
                away = i - last[b]
                cost[p, i, q0 + b] = away * away * plus2
        last[:] = np.inf
        for i in range(n - 1, -1, -1):
            for b in range(width):
                here = level[p, i, q0 + b]
                if here < 0:
                    continue
                if i < n - 1:
                    before = level[p, i + 1, q0 + b]
                    if before < 0:
                        last[b] = i + here / (here - before)
                away = last[b] - i
                cost[p, i, q0 + b] = min(cost[p, i, q0 + b], np.float32(away * away * minus2))


@kernel
def _spread(
    start: int, stop: int, cost: Cost, minus2: float, plus2: float, limit: float, reach_minus: float, reach_plus: float
) -> None:
    _, n, after = cost.shape
    blocks = (after + BLOCK - 1) // BLOCK
    buffer = np.empty((BLOCK, n), np.float32)
    site = np.empty(n, np.int64)
    value = np.empty(n)
    begin = np.empty(n + 1)
    for task in range(start, stop):
        p = task // blocks
        q0 = (task % blocks) * BLOCK
        width = min(BLOCK, after - q0)
        for i in range(n):
            for b in range(width):
                buffer[b, i] = cost[p, i, q0 + b]
        for b in range(width):
            line = buffer[b]
            top = _build(line, limit, minus2, plus2, site, value, begin)
            if top < 0:
                line[:] = np.inf
            else:
                _evaluate(line, top, limit, minus2, plus2, reach_minus, reach_plus, site, value, begin)
        for i in range(n):
            for b in range(width):
                cost[p, i, q0 + b] = buffer[b, i]


@kernel
def _build(
    line: Cost,
    limit: float,
    minus2: float,
    plus2: float,
    site: NDArray[np.int64],
    value: NDArray[np.float64],
    begin: NDArray[np.float64],
) -> int:
    """Stack of the parabolas that are lowest somewhere, left to right, with where each begins to be so."""
    n = line.shape[0]
    top = -1
    for i in range(n):
        f = line[i]
        if f > limit:
            continue
        if f == 0 and 0 < i < n - 1 and line[i - 1] == 0 and line[i + 1] == 0:
            continue  # the inside of a run: its ends are lower everywhere outside it
        x = -np.inf
        while top >= 0:
            x = _meet(site[top], value[top], i, f, minus2, plus2)
            if x > begin[top]:
                break
            top -= 1
            x = -np.inf
        top += 1
        site[top], value[top], begin[top] = i, f, x
    begin[top + 1] = np.inf
    return top


@kernel
def _meet(s: int, fs: float, t: int, ft: float, minus2: float, plus2: float) -> float:
    """Where the parabola from s < t stops being the lower one. Their difference rises all the way: they meet once."""
    length = t - s
    if fs - ft >= minus2 * length * length:
        return 0.5 * (s + t) + (ft - fs) / (2 * minus2 * length)
    if ft - fs >= plus2 * length * length:
        return 0.5 * (s + t) + (ft - fs) / (2 * plus2 * length)
    half = minus2 * length
    rest = fs - ft - half * length
    return s - rest / (half + np.sqrt(half * half - (plus2 - minus2) * rest))


@kernel
def _evaluate(
    line: Cost,
    top: int,
    limit: float,
    minus2: float,
    plus2: float,
    reach_minus: float,
    reach_plus: float,
    site: NDArray[np.int64],
    value: NDArray[np.float64],
    begin: NDArray[np.float64],
) -> None:
    at = 0
    for i in range(line.shape[0]):
        while begin[at + 1] < i:
            at += 1
        if line[i] == 0:
            continue
        d = i - site[at]
        best = value[at] + d * d * (plus2 if d >= 0 else minus2)
        if best > limit or d > reach_plus or -d > reach_minus:
            best = np.inf
        line[i] = best
    return
