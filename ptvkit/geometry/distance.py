"""The signed distance: how far a point is from a region's surface, also where the level is not one."""

from collections.abc import Sequence

import numpy as np

from ptvkit.errors import GridError
from ptvkit.geometry.box import Box
from ptvkit.geometry.region import Region
from ptvkit.kernels.distance import distance_outside, project


def signed_distance(
    region: Region, *, outside_mm: float, inside_mm: float, room: Sequence[tuple[int, int]] | None = None
) -> Region:
    """The same surface with its true distance as level.

    Parameters
    ----------
    region : Region
        With any level; only its surface is read.
    outside_mm, inside_mm : float
        How far from the surface distances are wanted; beyond, they stay at these values.
    room : (3,) pairs of ints, optional
        Nodes on the lower and upper side of each axis; by default enough for `outside_mm` all around, so that beyond
        the grid lie points further out than that.

    Returns
    -------
    Region
        On the region's lattices, with that room around each box. Boxes may reach into each other; the distance from
        the whole region is the least of theirs, as `Region.sample` takes it.

    Raises
    ------
    GridError
        When the region is empty: nothing has a distance from it.

    Examples
    --------
    >>> from ptvkit.geometry.grid import Grid
    >>> grid = Grid(shape=(25, 25, 25), affine=[[1, 0, 0, -12], [0, 1, 0, -12], [0, 0, 1, -12], [0, 0, 0, 1]])
    >>> points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    >>> ball = Region(level=(points**2).sum(axis=-1) - 100, grid=grid)  # of radius 10 mm, the level no distance
    >>> far = signed_distance(ball, outside_mm=8, inside_mm=5)
    >>> np.round(far.sample([[0, 16, 0], [7, 0, 0], [0, 0, 10], [0, 0, 0]]), 1)
    array([ 6., -3.,  0., -5.])
    """
    if region.is_empty:
        raise GridError(f"{region.name}: is empty; nothing has a distance from it")
    boxes = [_measured(box, outside_mm, inside_mm, room) for box in region.boxes if not box.is_empty]
    return Region(boxes=boxes, name=region.name)


def _measured(box: Box, outside_mm: float, inside_mm: float, room: Sequence[tuple[int, int]] | None) -> Box:
    spacing = box.grid.spacing_mm
    near = box.with_room(room or [(int(outside_mm / h) + 3,) * 2 for h in spacing])
    signed = distance_outside(near.level, spacing, outside_mm)
    own = box.with_room([(2, 2)] * 3)  # no node further out is inside
    inside = distance_outside(np.negative(own.level), spacing, inside_mm)
    start = own.grid.offset_in(near.grid)
    assert start is not None, "both are of one lattice"
    within = signed[tuple(slice(a, a + n) for a, n in zip(start, own.grid.shape, strict=True))]
    np.copyto(within, -inside, where=own.level < 0)
    return Box(level=project(signed, near.level, spacing, (inside_mm, outside_mm)), grid=near.grid)
