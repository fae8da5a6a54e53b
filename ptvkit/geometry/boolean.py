"""Union, intersection and difference of regions."""

from functools import reduce

import numpy as np

from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import region_on_box, resampled


def union(first: Mask | Region, *others: Mask | Region) -> Region:
    """What lies in any of the structures.

    Parameters
    ----------
    first, *others : Mask or Region
        On any grids. When they do not share one lattice the result is on the finest, and the others are sampled there.

    Returns
    -------
    Region
        Its level is the least of theirs.
    """
    regions = [as_region(target) for target in (first, *others)]
    return reduce(_union, regions)


def intersection(first: Mask | Region, *others: Mask | Region) -> Region:
    """What lies in all of the structures; empty when they do not meet. Grids as for `union`."""
    regions = [as_region(target) for target in (first, *others)]
    return reduce(_intersection, regions)


def difference(first: Mask | Region, *others: Mask | Region) -> Region:
    """What lies in the first structure and in none of the others. Grids as for `union`."""
    regions = [as_region(target) for target in (first, *others)]
    return reduce(_difference, regions)


def overlap(a: Region, b: Region) -> bool:
    """Whether two regions share a node inside both."""
    return not intersection(a, b).is_empty


def _union(a: Region, b: Region) -> Region:
    if a.is_empty or b.is_empty:
        return b if a.is_empty else a
    a, b = _on_one_lattice(a, b, whole=True)
    return Region(level=np.minimum(a.level, b.level), grid=a.grid, name=a.name)


def _intersection(a: Region, b: Region) -> Region:
    if a.is_empty or b.is_empty:
        return a if a.is_empty else b
    a, b = _on_one_lattice(a, b, whole=False)
    return Region(level=np.maximum(a.level, b.level), grid=a.grid, name=a.name)


def _difference(a: Region, b: Region) -> Region:
    if a.is_empty or b.is_empty:
        return a
    a, b = _on_one_lattice(a, b, whole=False)
    return Region(level=np.maximum(a.level, -b.level), grid=a.grid, name=a.name)


def _on_one_lattice(a: Region, b: Region, *, whole: bool) -> tuple[Region, Region]:
    """Both regions on one grid: around both when `whole`, else around the first, on the finer of their lattices."""
    if b.grid.offset_in(a.grid) is None:
        if a.grid.voxel_volume_mm3 <= b.grid.voxel_volume_mm3 * 1.001:
            b = resampled(b, _covering(a.grid, b))
        else:
            a = resampled(a, _covering(b.grid, a))
    start = b.grid.offset_in(a.grid)
    assert start is not None, "regions on one lattice have a whole offset"
    low, high = [0, 0, 0], [n - 1 for n in a.grid.shape]
    if whole:
        low = [min(x, y) for x, y in zip(low, start, strict=True)]
        high = [max(x, y + n - 1) for x, y, n in zip(high, start, b.grid.shape, strict=True)]
    shifted = [(x - s, y - s) for x, y, s in zip(low, high, start, strict=True)]
    return region_on_box(a, low, high), region_on_box(b, [x for x, _ in shifted], [y for _, y in shifted])


def _covering(lattice: Grid, region: Region) -> Grid:
    """The part of a lattice, extended as needed, that holds a region's surface with two nodes to spare."""
    index = lattice.to_index(region.surface_points())
    low = np.floor(index.min(axis=0)).astype(int) - 2
    high = np.ceil(index.max(axis=0)).astype(int) + 2
    return lattice.box(low.tolist(), high.tolist())
