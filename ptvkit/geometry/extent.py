"""How far a structure reaches in each direction of the patient, and how much lies beyond an image."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MaskError
from ptvkit.geometry.directions import DIRECTIONS, OPPOSITES
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region

Extent = dict[str, float]
"""Patient coordinate, mm, that is reached in each direction R L A P S I; empty for an empty structure."""


def extent(structure: Mask | Region) -> Extent:
    """Patient coordinate that a structure reaches in each direction, mm.

    A Region reaches to its surface, a Mask to the faces of its voxels.
    """
    if isinstance(structure, Region):
        points, half = structure.surface_points(), np.zeros(3)
    else:
        index = _outer_voxels(structure)
        points = structure.grid.to_mm(index)
        half = 0.5 * np.abs(structure.grid.affine[:3, :3]).sum(axis=1)
    if not len(points):
        return {}
    low, high = points.min(axis=0) - half, points.max(axis=0) + half
    return {d.letter: float(high[d.axis] if d.sign > 0 else low[d.axis]) for d in DIRECTIONS.values()}


def margins_between(inner: Extent, outer: Extent) -> dict[str, float]:
    """How much further one extent reaches than another in each direction, mm; negative where it was cut.

    Examples
    --------
    >>> margins_between({"R": 10.0, "L": -10.0}, {"R": 13.0, "L": -15.0})
    {'R': 3.0, 'L': 5.0}
    """
    return {letter: (outer[letter] - inner[letter]) * DIRECTIONS[letter].sign for letter in outer if letter in inner}


def volume_outside_cc(region: Region, grid: Grid) -> float:
    """Volume of a region beyond the outer voxel faces of an image, cm³."""
    beyond = [one for one in region.by_box() if not one.is_inside(grid)]
    return sum(one.volume_cc - one.cut_to(grid).volume_cc for one in beyond)


def share_on(region: Region, grid: Grid) -> float:
    """Share of a region's volume, 0 to 1, that lies within the outer voxel faces of an image; 1 of an empty region."""
    whole = region.volume_cc
    return 1.0 if whole == 0 else 1.0 - volume_outside_cc(region, grid) / whole


def grown_to_hold(grid: Grid, *regions: Region) -> Grid:
    """The grid with as many voxels more on each side as it takes to hold the regions, on the same lattice."""
    low, high = np.zeros(3), np.asarray(grid.shape) - 1.0
    for region in regions:
        index = grid.to_index(region.surface_points())
        if len(index):
            low = np.minimum(low, np.floor(index.min(axis=0)))
            high = np.maximum(high, np.ceil(index.max(axis=0)))
    return grid.box(low.astype(int).tolist(), high.astype(int).tolist())


def grid_around(spacing_mm: float, *regions: Region) -> Grid:
    """A grid of cubic voxels along the patient's axes (L, P, S, as CTs have them) that holds regions, with room.

    Raises
    ------
    MaskError
        When all regions are empty.
    """
    reaches = [reach for region in regions if (reach := extent(region))]
    if not reaches:
        raise MaskError("there is nothing to lay a grid around: every region is empty")
    low = np.array([min(reach[letter] for reach in reaches) for letter in "LPI"])
    high = np.array([max(reach[letter] for reach in reaches) for letter in "RAS"])
    first = np.floor(low / spacing_mm).astype(int) - 2
    last = np.ceil(high / spacing_mm).astype(int) + 2
    affine = np.diag([-spacing_mm, -spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = spacing_mm * np.array([last[0], last[1], first[2]])
    columns, rows, slices = (int(n) for n in last - first + 1)
    return Grid(shape=(columns, rows, slices), affine=affine)


def edges_touched(mask: Mask) -> tuple[str, ...]:
    """Directions in which a mask reaches the outermost voxels of its image: it may go on beyond.

    Examples
    --------
    >>> array = np.zeros((7, 9, 11), bool)
    >>> array[0, 4, 4:] = True
    >>> edges_touched(Mask.from_array(array, np.diag([1.0, 2.0, 3.0, 1.0])))
    ('L', 'S')
    """
    if mask.box is None:
        return ()
    opposite = {a: b for pair in OPPOSITES for a, b in (pair, pair[::-1])}
    low, high = mask.box
    found = []
    for axis, code in enumerate(mask.grid.codes):
        if low[axis] == 0:
            found.append(opposite[code])
        if high[axis] == mask.grid.shape[axis] - 1:
            found.append(code)
    return tuple(found)


def _outer_voxels(mask: Mask) -> NDArray[np.int64]:
    """Indices (N, 3) of the first and last voxel of each line: they hold every extreme."""
    if mask.box is None:
        return np.zeros((0, 3), np.int64)
    inside = mask.cropped
    ends = inside.copy()
    ends[:, :, 1:-1] &= ~(inside[:, :, :-2] & inside[:, :, 2:])
    found: NDArray[np.int64] = np.argwhere(ends) + np.asarray(mask.box[0])
    return found
