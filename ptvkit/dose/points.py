"""Points that stand for a structure: parts of its volume, and its surface."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import embedded
from ptvkit.kernels.occupancy import cell_centres, occupancy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """A structure as points, patient frame RAS+, mm.

    Attributes
    ----------
    inner : (N, 3) array
        Centres of the parts of its volume.
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
    centre. Fewer points are made by joining neighbouring cells at their common centre, so that no volume is lost.
    """
    near = embedded(region, [(2, 2)] * 3)
    index, share = cell_centres(near.level, occupancy(near.level))
    if inner is not None and len(index) > inner:
        index, share = _joined(index, share, inner)
    crossings = region.surface_points()
    if surface is not None and len(crossings) > surface:
        crossings = _thinned(crossings, surface)
    return Points(
        inner=np.ascontiguousarray(near.grid.to_mm(index)),
        volume_cc=share * near.grid.voxel_volume_mm3 / 1000.0,
        surface=np.ascontiguousarray(crossings),
    )


def _joined(index: Floats, share: Floats, most: int) -> tuple[Floats, Floats]:
    width = (share.sum() / most) ** (1 / 3)
    _, block = np.unique(_cubes(index, width), return_inverse=True)
    total = np.bincount(block, share)
    centre = np.stack([np.bincount(block, share * index[:, axis]) / total for axis in range(3)], axis=1)
    return centre, np.asarray(total, float)


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
