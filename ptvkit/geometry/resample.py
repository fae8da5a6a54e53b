"""Moving a region onto another grid: more room around it, or axes along a frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.kernels.level import FAR


def embedded(region: Region, room: Sequence[tuple[int, int]]) -> Region:
    """Region cut to its inside nodes with `room` nodes on the lower and upper side of each axis; itself when empty.

    Nodes beyond the old grid are far outside.
    """
    box = region.inside_box
    if box is None:
        return region
    low = [box[0][axis] - room[axis][0] for axis in range(3)]
    high = [box[1][axis] + room[axis][1] for axis in range(3)]
    return region_on_box(region, low, high)


def nodes_with(region: Region, room: Sequence[tuple[int, int]]) -> int:
    """How many nodes `embedded` would give."""
    box = region.inside_box
    if box is None:
        return 0
    sizes = [b - a + 1 + minus + plus for a, b, (minus, plus) in zip(*box, room, strict=True)]
    return sizes[0] * sizes[1] * sizes[2]


def region_on_box(region: Region, low: Sequence[int], high: Sequence[int]) -> Region:
    """Region on the nodes from index `low` to `high` inclusive, which may lie beyond its grid (far outside there)."""
    grid = region.grid.box(low, high)
    level = np.full(grid.shape, FAR, np.float32)
    size = region.grid.shape
    source = tuple(slice(max(a, 0), max(min(b + 1, n), 0)) for a, b, n in zip(low, high, size, strict=True))
    target = tuple(slice(s.start - a, max(s.stop - a, s.start - a)) for s, a in zip(source, low, strict=True))
    level[target] = region.level[source]
    return Region(level=level, grid=grid, name=region.name)


def aligned(region: Region, frame: NDArray[np.float64]) -> Region:
    """Region on a grid whose axes run along the frame's; itself when they do so already.

    Parameters
    ----------
    frame : (3, 3) array
        Orthonormal; one axis in each column, patient frame RAS+.
    """
    if region.is_empty or region.grid.is_aligned(frame):
        return region
    return resampled(region, grid_around(region, frame, min(region.grid.spacing_mm)))


def coarser(region: Region) -> Region:
    """Region on a grid along its own axes with twice its smallest spacing."""
    return resampled(region, grid_around(region, region.grid.axes, 2 * min(region.grid.spacing_mm)))


def grid_around(region: Region, frame: NDArray[np.float64], spacing_mm: float) -> Grid:
    """A cubic grid along the frame's axes that holds the region's surface with two nodes to spare."""
    points = region.surface_points() @ frame
    low = points.min(axis=0) - 2 * spacing_mm
    shape = np.ceil((points.max(axis=0) + 2 * spacing_mm - low) / spacing_mm).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = frame * spacing_mm
    affine[:3, 3] = frame @ low
    return Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)


def resampled(region: Region, grid: Grid) -> Region:
    """Region sampled at the nodes of another grid, linearly."""
    return Region(level=region.sample_on(grid), grid=grid, name=region.name)
