"""Moving a region of one box onto another grid: more room around it, or axes along a frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region


def embedded(region: Region, room: Sequence[tuple[int, int]]) -> Region:
    """Region with each box cut to its inside nodes and `room` nodes on the lower and upper side of each axis.

    Nodes beyond the old grid are far outside. An empty box stays as it is.
    """
    return Region(boxes=[box.with_room(room) for box in region.boxes], name=region.name)


def nodes_with(region: Region, room: Sequence[tuple[int, int]]) -> int:
    """How many nodes `embedded` would give a region of one box."""
    box = region.inside_box
    if box is None:
        return 0
    sizes = [b - a + 1 + minus + plus for a, b, (minus, plus) in zip(*box, room, strict=True)]
    return sizes[0] * sizes[1] * sizes[2]


def region_on_box(region: Region, low: Sequence[int], high: Sequence[int]) -> Region:
    """Region of one box on the nodes from index `low` to `high` inclusive, far outside beyond its grid."""
    return resampled(region, region.grid.box(low, high))


def aligned(region: Region, frame: NDArray[np.float64]) -> Region:
    """Region of one box on a grid whose axes run along the frame's; itself when they do so already.

    Parameters
    ----------
    frame : (3, 3) array
        Orthonormal; one axis in each column, patient frame RAS+.
    """
    if region.is_empty or region.grid.is_aligned(frame):
        return region
    return resampled(region, grid_around(region, frame, min(region.grid.spacing_mm)))


def coarser(region: Region) -> Region:
    """Region on one grid along its own axes with twice its smallest spacing."""
    return resampled(region, grid_around(region, region.grid.axes, 2 * min(region.grid.spacing_mm)))


def grid_around(region: Region, frame: NDArray[np.float64], spacing_mm: float) -> Grid:
    """A cubic grid along the frame's axes that holds the region's surface with two nodes to spare.

    Grids of one frame and spacing share a lattice.
    """
    affine = np.eye(4)
    affine[:3, :3] = frame * spacing_mm
    return Grid(shape=(1, 1, 1), affine=affine).covering(region.surface_points(), room=2)


def resampled(region: Region, grid: Grid) -> Region:
    """Region sampled at the nodes of another grid, linearly."""
    return Region(level=region.sample_on(grid), grid=grid, name=region.name)
