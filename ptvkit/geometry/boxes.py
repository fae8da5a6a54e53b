"""Boxes that belong together: those whose insides meet become one, the others stay apart."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.box import Box, level_on
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region, grid_of

MOST_NODES: Final = 20_000_000
"""Nodes above which boxes that are joined go on on a coarser lattice: 80 MB an array."""


def merged(boxes: Iterable[Box], name: str) -> Region:
    """The union of boxes: those whose insides meet, or are neighbours, are joined; empty ones are left out."""
    given = list(boxes)
    filled = [box for box in given if not box.is_empty]
    groups = _groups(filled)
    return Region(boxes=[_joined(group) for group in groups] or given[:1], name=name)


def joined(region: Region, *, most: int = MOST_NODES) -> Region:
    """The region in one box, on the lattice of its finest box; on a coarser one where that has too many nodes."""
    if len(region.boxes) == 1:
        return region
    return Region(boxes=[_joined([box for box in region.boxes if not box.is_empty], most)], name=region.name)


def around(region: Region, low_mm: NDArray[np.float64], high_mm: NDArray[np.float64]) -> Region:
    """The boxes of a region that reach into a box along the patient's axes; the nearest one when none does."""
    if len(region.boxes) == 1:
        return region
    low, high = _bounds(region.boxes)
    gaps = np.maximum(np.maximum(low - high_mm, low_mm - high), 0.0)
    away = np.where(np.isfinite(gaps).all(axis=1), np.linalg.norm(gaps, axis=1), np.inf)
    chosen = np.flatnonzero(away <= 0) if away.min() <= 0 else [int(away.argmin())]
    return replace(region, boxes=tuple(region.boxes[n] for n in chosen))


def for_each_box(region: Region, function: Callable[[Region], Region]) -> Region:
    """The union of what a function makes of each box that is not empty."""
    found = [function(one) for one in region.by_box() if not one.is_empty]
    return merged([box for one in found for box in one.boxes], region.name) if found else region


def near(box: Box, others: Sequence[Box]) -> list[Box]:
    """Those of other boxes whose insides' bounds meet a box's."""
    if not others:
        return []
    low, high = _bounds([box])
    lows, highs = _bounds(others)
    meets = np.logical_and(lows <= high, highs >= low).all(axis=1)
    return [others[n] for n in np.flatnonzero(meets).tolist()]


def _bounds(boxes: Sequence[Box]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest patient coordinates (N, 3) of each box's inside nodes and one more; NaN for empty ones."""
    corners = [box.corners_mm for box in boxes]
    ends = [np.full((2, 3), np.nan) if c is None else np.stack([c.min(axis=0), c.max(axis=0)]) for c in corners]
    both = np.array(ends).reshape(-1, 2, 3)
    return both[:, 0], both[:, 1]


def groups_that_meet(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[list[int]]:
    """Numbers of the boxes, from corner to corner (N, 3), that meet directly or by way of others, group by group."""
    return _linked(len(low), _pairs(low, high), lambda a, b: True)


def _groups(boxes: Sequence[Box]) -> list[list[Box]]:
    """Boxes whose insides meet, in the order of the first of each group."""
    pairs = _pairs(*_bounds(boxes)) if len(boxes) > 1 else ()
    groups = _linked(len(boxes), pairs, lambda a, b: _meet(boxes[a], boxes[b]))
    return [[boxes[n] for n in group] for group in groups]


def _linked(count: int, pairs: Iterable[tuple[int, int]], really: Callable[[int, int], bool]) -> list[list[int]]:
    """Numbers from 0 in the groups that pairs of them make; a pair that would change nothing is not looked at."""
    home = list(range(count))

    def root(n: int) -> int:
        while home[n] != n:
            home[n] = home[home[n]]
            n = home[n]
        return n

    for a, b in pairs:
        first, second = sorted((root(a), root(b)))
        if first != second and really(a, b):
            home[second] = first
    groups: dict[int, list[int]] = {}
    for n in range(count):
        groups.setdefault(root(n), []).append(n)
    return list(groups.values())


def _pairs(low: NDArray[np.float64], high: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Pairs of boxes, from corner to corner (N, 3), that meet."""
    axis = int(np.argmax(np.ptp(low, axis=0)))
    order = np.argsort(low[:, axis], kind="stable")
    low, high = low[order], high[order]
    ends = np.searchsorted(low[:, axis], high[:, axis], side="right")
    for n, end in enumerate(ends.tolist()):
        later = slice(n + 1, end)
        meets = ((low[later] <= high[n]) & (high[later] >= low[n])).all(axis=1)
        for other in np.flatnonzero(meets).tolist():
            yield int(order[n]), int(order[n + 1 + other])


def _meet(a: Box, b: Box) -> bool:
    """Whether a node inside one is a node inside the other, or next to one, on the finer lattice."""
    if a.grid.voxel_volume_mm3 > b.grid.voxel_volume_mm3:
        a, b = b, a
    box, corners = a.inside_box, b.corners_mm
    assert box is not None, "empty boxes were left out"
    assert corners is not None, "empty boxes were left out"
    index = a.grid.to_index(corners)
    low = np.maximum(np.asarray(box[0]) - 1, np.floor(index.min(axis=0)).astype(int)).tolist()
    high = np.minimum(np.asarray(box[1]) + 1, np.ceil(index.max(axis=0)).astype(int)).tolist()
    if any(y < x for x, y in zip(low, high, strict=True)):
        return False
    part = a.on_nodes(low, high)
    others = level_on([b], part.grid) < 0
    inside = part.level < 0
    if not inside.any() or not others.any():
        return False
    return bool((inside & _with_neighbours(others)).any())


def _with_neighbours(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True nodes and the 26 around each."""
    for axis in range(3):
        along = np.moveaxis(inside, axis, 0)
        grown = along.copy()
        grown[1:] |= along[:-1]
        grown[:-1] |= along[1:]
        inside = np.moveaxis(grown, 0, axis)
    return inside


def _joined(group: Sequence[Box], most: int = MOST_NODES) -> Box:
    """One box around several, on the finest one's lattice, or on a coarser one that keeps to the most nodes."""
    if len(group) == 1:
        return group[0]
    grid = grid_of(group)
    if grid.size > most:
        coarsest = max(group, key=lambda box: box.grid.voxel_volume_mm3)
        grid = coarsest.grid.covering(grid.corners_mm)
    while grid.size > most:
        grid = _thinned(grid)
    return Box(level=level_on(group, grid), grid=grid)


def _thinned(grid: Grid) -> Grid:
    """Every second node along the axes that have the smallest spacing, and one beyond the end."""
    finest = min(grid.spacing_mm)
    steps = [2 if h < 1.5 * finest else 1 for h in grid.spacing_mm]
    affine = grid.affine @ np.diag([*map(float, steps), 1.0])
    i, j, k = ((n - 1 + step - 1) // step + 1 for n, step in zip(grid.shape, steps, strict=True))
    return Grid(shape=(i, j, k), affine=affine)
