"""Points of a surface in cells of cells, so that whole parts of it can be left out of a search."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ptvkit.kernels.needed import Tree

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

LEAST_BEND: Final = 0.005
"""Curvature that a surface has at least, 1/mm, in what is said about its distance."""


def tree_of(points: Floats, normals: Floats, sizes_mm: Sequence[float]) -> Tree:
    """Points (N, 3) of a surface and their outward normals in cells of these sizes, from large to small.

    Each cell's centre is one of its points, and the centres of the first level come first.
    """
    chosen = [np.arange(len(points))]
    for size in reversed(sizes_mm):
        chosen.append(chosen[-1][one_of_each_cube(points[chosen[-1]], size)])
    levels, parents = [chosen[-1]], []
    for below in reversed(chosen[:-1]):
        parent = np.asarray(cKDTree(points[levels[-1]]).query(points[below])[1], np.int64)
        order = np.argsort(parent, kind="stable")
        levels.append(below[order])
        parents.append(parent[order])
    return _tree([points[level] for level in levels], normals[levels[-1]], parents)


def one_of_each_cube(points: Floats, size: float) -> Whole:
    """Index of the point of each cube that is nearest to the mean of its points."""
    cube = np.floor((points - points.min(axis=0)) / size).astype(np.int64)
    _, of = np.unique(cube, axis=0, return_inverse=True)
    of = of.reshape(-1)
    count = np.bincount(of)
    mean = np.stack([np.bincount(of, points[:, a]) / count for a in range(3)], axis=1)
    away = ((points - mean[of]) ** 2).sum(axis=1)
    order = np.lexsort((away, of))
    return order[np.r_[True, np.diff(of[order]) > 0]]


def _tree(levels: Sequence[Floats], normals: Floats, parents: Sequence[Whole]) -> Tree:
    """Levels of centres from coarse to fine, and for each but the first's the parent in the level above."""
    sizes = [len(level) for level in levels]
    above, bodies = np.arange(sizes[-1]), list[tuple[Floats, ...]]()
    for level, parent in zip(reversed(levels), [*reversed(parents), None], strict=True):
        bodies.insert(0, _bodies(level, levels[-1], normals, above))
        above = above if parent is None else parent[above]
    for (*_, around), (*_, own), parent in zip(bodies, bodies[1:], parents, strict=False):
        np.maximum(own, around[parent], out=own)
    first, last, start = [], [], sizes[0]
    for parent, size in zip(parents, sizes, strict=False):
        stop = start + np.cumsum(np.bincount(parent, minlength=size))
        first.append(np.r_[start, stop[:-1]])
        last.append(stop)
        start += len(parent)
    leaves = np.zeros(sizes[-1], np.int64)
    radii, planes, rise, falls, sharp = (np.concatenate(each) for each in zip(*bodies, strict=True))
    return Tree(
        centres=np.ascontiguousarray(np.concatenate(levels)),
        radii=radii,
        normals=planes,
        rise=rise,
        falls=falls,
        sharp=sharp,
        first=np.concatenate([*first, leaves]).astype(np.int64),
        last=np.concatenate([*last, leaves]).astype(np.int64),
        roots=sizes[0],
    )


def _bodies(centres: Floats, points: Floats, normals: Floats, of: Whole) -> tuple[Floats, ...]:
    """Of each cell's points (N,): radius, plane's outward normal (N, 3), and rise, fall and sharpness; see `Tree`."""
    count, away = len(centres), points - centres[of]
    products = away[:, :, None] * away[:, None, :]
    sums = [np.bincount(of, products[:, a, b], count) for a in range(3) for b in range(3)]
    plane = np.linalg.eigh(np.stack(sums, axis=1).reshape(-1, 3, 3))[1][..., 0]
    facing = np.stack([np.bincount(of, normals[:, a], count) for a in range(3)], axis=1)
    plane *= np.where((plane * facing).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    square, height = (away**2).sum(axis=1), (away * plane[of]).sum(axis=1)
    radius, rise = np.zeros(count), np.zeros(count)
    least, most = np.full(count, np.inf), np.full(count, LEAST_BEND)
    np.maximum.at(radius, of, np.sqrt(square))
    far = square > (0.5 * radius[of]) ** 2
    bend = -2 * height / np.maximum(square, 1e-9)
    np.minimum.at(least, of[far], bend[far])
    np.maximum.at(most, of[far], bend[far])
    falls = np.where(np.isfinite(least), least, 0.0)
    np.maximum.at(rise, of, height + falls[of] * square / 2)
    return radius, plane, rise, falls, most
