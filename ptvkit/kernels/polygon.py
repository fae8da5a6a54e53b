"""Polygons on a plane's nodes: how far each node is from their edges, and on which side.

Inside is what a line from far away enters an odd number of times: a contour within another is a hole.
"""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Floats = NDArray[np.float64]
Level = NDArray[np.float32]


def polygon_levels(
    edges: Floats, first: NDArray[np.int64], shape: tuple[int, int], spacing_mm: tuple[float, float], reach_mm: float
) -> Level:
    """Signed distance of a grid's nodes from polygons, plane by plane.

    Parameters
    ----------
    edges : (M, 4) float64
        From (x, y) to (x, y), in nodes, plane by plane.
    first : (P + 1,) int64
        Where each plane's edges begin.
    shape : (I, J)
        Nodes of each plane.
    spacing_mm : (2,)
    reach_mm : float
        How far from the edges distances are followed; beyond, they stay at this.

    Returns
    -------
    (P, I, J) float32
        Negative inside, mm.
    """
    level = np.full((len(first) - 1, *shape), np.float32(reach_mm) ** 2, np.float32)
    run_in_slices(_levels, len(level), edges, first, *spacing_mm, reach_mm, level)
    return level


@kernel
def _levels(
    start: int, stop: int, edges: Floats, first: NDArray[np.int64], a: float, b: float, reach: float, level: Level
) -> None:
    _, ni, nj = level.shape
    for p in range(start, stop):
        odd = np.zeros((ni, nj + 1), np.bool_)
        for e in range(first[p], first[p + 1]):
            _near(edges[e], a, b, reach, level[p])
            _toggle(edges[e], odd)
        for i in range(ni):
            inside = False
            for j in range(nj):
                inside ^= odd[i, j]
                distance = np.sqrt(level[p, i, j])
                level[p, i, j] = -distance if inside else distance


@kernel
def _near(edge: Floats, a: float, b: float, reach: float, squared: Level) -> None:
    """Lower the squared distance of the nodes around an edge to that from it."""
    ni, nj = squared.shape
    x0, y0, x1, y1 = edge[0] * a, edge[1] * b, edge[2] * a, edge[3] * b
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    low_i = max(0, int(np.ceil((min(x0, x1) - reach) / a)))
    low_j = max(0, int(np.ceil((min(y0, y1) - reach) / b)))
    high_i = min(ni - 1, int(np.floor((max(x0, x1) + reach) / a)))
    high_j = min(nj - 1, int(np.floor((max(y0, y1) + reach) / b)))
    for i in range(low_i, high_i + 1):
        u = i * a - x0
        for j in range(low_j, high_j + 1):
            v = j * b - y0
            along = min(max((u * dx + v * dy) / length, 0.0), 1.0) if length > 0 else 0.0
            p, q = u - along * dx, v - along * dy
            squared[i, j] = min(squared[i, j], np.float32(p * p + q * q))


@kernel
def _toggle(edge: Floats, odd: NDArray[np.bool_]) -> None:
    """Mark, on each row of nodes that an edge crosses, the first node beyond it."""
    ni, nj = odd.shape
    x0, y0, x1, y1 = edge[0], edge[1], edge[2], edge[3]
    if x0 > x1:
        x0, y0, x1, y1 = x1, y1, x0, y0
    # half open, so that a row through a corner is crossed once
    for i in range(max(0, int(np.ceil(x0))), min(ni, int(np.ceil(x1)))):
        y = y0 + (i - x0) / (x1 - x0) * (y1 - y0)
        j = max(0, int(np.floor(y)) + 1)
        if j < nj:
            odd[i, j] ^= True
