"""Points of a surface in cells of cells, so that whole parts of it can be left out of a search."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ptvkit.kernels.needed import Tree

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


def tree_of(points: Floats, sizes_mm: Sequence[float]) -> Tree:
    """Points (N, 3) thinned to one for each cube of the last size, in cells of the others, from large to small.

    Each cell's centre is one of its points, and its first level's centres come first.
    """
    chosen = [_one_of_each_cube(points, sizes_mm[-1])]
    for size in reversed(sizes_mm[:-1]):
        chosen.append(chosen[-1][_one_of_each_cube(points[chosen[-1]], size)])
    levels, parents = [points[chosen[-1]]], []
    for below in reversed(chosen[:-1]):
        parent = np.asarray(cKDTree(levels[-1]).query(points[below])[1], np.int64)
        order = np.argsort(parent, kind="stable")
        levels.append(points[below][order])
        parents.append(parent[order])
    return _tree(levels, parents)


def _one_of_each_cube(points: Floats, size: float) -> Whole:
    """Index of the point of each cube that is nearest to the mean of its points."""
    cube = np.floor((points - points.min(axis=0)) / size).astype(np.int64)
    _, of = np.unique(cube, axis=0, return_inverse=True)
    of = of.reshape(-1)
    count = np.bincount(of)
    mean = np.stack([np.bincount(of, points[:, a]) / count for a in range(3)], axis=1)
    away = ((points - mean[of]) ** 2).sum(axis=1)
    order = np.lexsort((away, of))
    return order[np.r_[True, np.diff(of[order]) > 0]]


def _tree(levels: Sequence[Floats], parents: Sequence[Whole]) -> Tree:
    """Levels of centres from coarse to fine, and for each but the first's the parent in the level above."""
    sizes = [len(level) for level in levels]
    radii = [np.zeros(sizes[-1])]
    for (above, below), parent in zip(reversed([*pairwise(levels)]), reversed(parents), strict=True):
        reach = np.linalg.norm(below - above[parent], axis=1) + radii[0]
        radii.insert(0, np.zeros(len(above)))
        np.maximum.at(radii[0], parent, reach)
    first, last, start = [], [], sizes[0]
    for parent, size in zip(parents, sizes, strict=False):
        stop = start + np.cumsum(np.bincount(parent, minlength=size))
        first.append(np.r_[start, stop[:-1]])
        last.append(stop)
        start += len(parent)
    leaves = np.zeros(sizes[-1], np.int64)
    return Tree(
        np.ascontiguousarray(np.concatenate(levels)),
        np.concatenate(radii),
        np.concatenate([*first, leaves]).astype(np.int64),
        np.concatenate([*last, leaves]).astype(np.int64),
        sizes[0],
    )
