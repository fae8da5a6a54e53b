"""Points that stand for a structure: parts of its volume, and its surface."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.box import Box
from ptvkit.geometry.region import Region
from ptvkit.kernels.occupancy import cell_points, occupancy

Floats = NDArray[np.float64]


RIM_MM: Final = 4.0
"""Depth within which the dose of a target may fall steeply."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """A structure as points, patient frame RAS+, mm.

    Attributes
    ----------
    inner : (N, 3) array
        In the parts of its volume.
    volume_cc : (N,) array
        Volume of each part, cut cells by what of them lies inside.
    surface : (M, 3) array
        On its surface.
    """

    inner: Floats
    volume_cc: Floats
    surface: Floats


def points_of(region: Region, *, inner: int | None = None, surface: int | None = None) -> Points:
    """Points that stand for a region; no more than about so many, where a number is given.

    The volume is split along the working grid, and cells that the surface cuts count with the part inside, at its
    centre. Fewer points are made by letting one cell speak for its neighbours, drawn by what they hold: their volume is
    kept, and the spread of dose within them.
    """
    boxes = [box.with_room([(2, 2)] * 3) for box in region.boxes if not box.is_empty]
    cells = [cell_points(box.level, occupancy(box.level)) for box in boxes]
    whole = sum(len(index) for index, _ in cells)
    if inner is not None and whole > inner:
        cells = [
            _joined(index, share, _depth(box, index) > RIM_MM, max(1, inner * len(index) // whole))
            for box, (index, share) in zip(boxes, cells, strict=True)
        ]
    crossings = region.surface_points()
    if surface is not None and len(crossings) > surface:
        crossings = _thinned(crossings, surface)
    both = list(zip(boxes, cells, strict=True))
    return Points(
        inner=np.concatenate([np.zeros((0, 3)), *(box.grid.to_mm(index) for box, (index, _) in both)]),
        volume_cc=np.concatenate([[], *(share * box.grid.voxel_volume_mm3 / 1000.0 for box, (_, share) in both)]),
        surface=np.ascontiguousarray(crossings),
    )


def _joined(index: Floats, share: Floats, deep: NDArray[np.bool_], most: int) -> tuple[Floats, Floats]:
    """About `most` blocks of cells; `deep` ones, where dose is flat, of twice the width."""
    width = ((share[~deep].sum() + share[deep].sum() / 8) / most) ** (1 / 3)
    blocks = [_blocks(index[part], share[part], size) for part, size in ((~deep, width), (deep, 2 * width))]
    chosen, total = (np.concatenate(each) for each in zip(*blocks, strict=True))
    return chosen, total


def _blocks(index: Floats, share: Floats, width: float) -> tuple[Floats, Floats]:
    """One cell of each block, drawn by its share, and the share of all."""
    if not len(index):
        return index, share
    _, block = np.unique(_cubes(index, width), return_inverse=True)
    # the least of exponential times, each with its share as rate, falls on a cell as often as its share says
    times = np.random.default_rng(0).exponential(size=len(index)) / share
    order = np.lexsort((times, block))
    first = order[np.r_[True, np.diff(block[order]) > 0]]
    return index[first], np.asarray(np.bincount(block, share), float)


def _thinned(points: Floats, most: int) -> Floats:
    """One point of each of about `most` small cubes."""
    size = np.ptp(points, axis=0).max() / 512
    while True:
        _, first = np.unique(_cubes(points, size), return_index=True)
        if len(first) <= most:
            return points[np.sort(first)]
        size *= 1.2 * max(1.0, (len(first) / most) ** 0.5 / 1.2)


def _cubes(points: Floats, size: float) -> NDArray[np.int64]:
    """Number (N,) of the cube that each point lies in."""
    cell = np.floor((points - points.min(axis=0)) / size).astype(np.int64)
    count = cell.max(axis=0) + 1
    found: NDArray[np.int64] = (cell[:, 0] * count[1] + cell[:, 1]) * count[2] + cell[:, 2]
    return found


def _depth(box: Box, index: Floats) -> Floats:
    """How deep inside cells lie (N,), mm, by the level at their nodes."""
    node = np.minimum(np.rint(index).astype(np.int64), np.asarray(box.grid.shape) - 1)
    found: Floats = -np.asarray(box.level[tuple(node.T)], float)
    return found
