"""Union, intersection and difference of regions."""

from functools import reduce

import numpy as np

from ptvkit.geometry.box import Box, level_on
from ptvkit.geometry.boxes import MOST_NODES, merged, near
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region


def union(first: Mask | Region, *others: Mask | Region) -> Region:
    """What lies in any of the structures.

    Parameters
    ----------
    first, *others : Mask or Region
        On any grids. Boxes whose insides meet are joined, on the finest of their lattices; the others are sampled
        there.

    Returns
    -------
    Region
        Its level is the least of theirs.
    """
    regions = [as_region(target) for target in (first, *others)]
    name = next((region.name for region in regions if not region.is_empty), regions[0].name)
    return merged([box for region in regions for box in region.boxes], name)


def intersection(first: Mask | Region, *others: Mask | Region) -> Region:
    """What lies in all of the structures; empty when they do not meet. Grids as for `union`."""
    return reduce(_intersection, [as_region(target) for target in (first, *others)])


def difference(first: Mask | Region, *others: Mask | Region) -> Region:
    """What lies in the first structure and in none of the others. Grids as for `union`."""
    return reduce(_difference, [as_region(target) for target in (first, *others)])


def _intersection(a: Region, b: Region) -> Region:
    cut = [_limited(box, near(box, b.boxes), within=True) for box in a.boxes]
    return _filled(cut, a.name)


def _difference(a: Region, b: Region) -> Region:
    cut = [_limited(box, near(box, b.boxes), within=False) for box in a.boxes]
    return _filled(cut, a.name)


def _filled(boxes: list[Box], name: str) -> Region:
    """A region of the boxes that hold something, or of the first."""
    return Region(boxes=[box for box in boxes if not box.is_empty] or boxes[:1], name=name)


def _limited(box: Box, others: list[Box], *, within: bool) -> Box:
    """What of a box lies within other boxes, or without them, on the finest of their lattices."""
    if box.is_empty or (not others and not within):
        return box
    finest = min([box, *others], key=lambda one: one.grid.voxel_volume_mm3 * (1 if one is box else 1.001)).grid
    grid = box.grid if finest.offset_in(box.grid) is not None else finest.covering(box.surface_points(), room=2)
    if grid.size > MOST_NODES:
        grid = box.grid
    level, limit = level_on([box], grid), level_on(others, grid)
    return Box(level=np.maximum(level, limit if within else -limit), grid=grid)
