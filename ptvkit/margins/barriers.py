"""Where a target must not go: the structure that it stays inside, the structures that it stays out of."""

from collections.abc import Iterable

import numpy as np

from ptvkit.errors import GridError
from ptvkit.geometry.boolean import difference, intersection
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import region_from_mask
from ptvkit.geometry.region import Region
from ptvkit.margins.expand import dilate, erode
from ptvkit.margins.margin import Margin

Structure = Mask | Region

ROOM_MM = 15.0
"""How far beyond the target a barrier is reconstructed: its cut ends then lie outside all that is asked of it."""


def stay_inside(target: Region, limit: Structure, *, depth_mm: float = 0.0) -> Region:
    """What of the target lies inside a structure, at least `depth_mm` below its surface (skin, build-up)."""
    inner = erode(near(limit, target, depth_mm), Margin.uniform(depth_mm))
    return intersection(target, inner)


def stay_out(target: Region, organs: Iterable[Structure], *, clearance_mm: float = 0.0) -> Region:
    """What of the target keeps `clearance_mm` from each of the organs."""
    for organ in organs:
        barrier = near(organ, target, clearance_mm)
        target = difference(target, dilate(barrier, Margin.uniform(clearance_mm)))
    return target


def near(structure: Structure, target: Region, reach_mm: float) -> Region:
    """The part of a structure that a target can meet within a reach; for a mask only that part is reconstructed."""
    if isinstance(structure, Region) or target.is_empty or structure.box is None:
        return structure if isinstance(structure, Region) else region_from_mask(structure)
    index = structure.grid.to_index(target.surface_points())
    room = (reach_mm + ROOM_MM) / np.asarray(structure.grid.spacing_mm)
    low = np.maximum(np.floor(index.min(axis=0) - room).astype(int), structure.box[0])
    high = np.minimum(np.ceil(index.max(axis=0) + room).astype(int), structure.box[1])
    if (high < low).any():
        return _empty(target)
    first = structure.box[0]
    window = tuple(slice(a - start, b + 1 - start) for a, b, start in zip(low, high, first, strict=True))
    affine = structure.grid.box(low.tolist(), high.tolist()).affine
    part = Mask.from_array(structure.cropped[window], affine, name=structure.name)
    return _empty(target) if part.is_empty else region_from_mask(part)


def same_grid(mask: Structure, reference: Structure) -> None:
    """Refuse two masks on different grids.

    Raises
    ------
    GridError
    """
    if isinstance(mask, Mask) and isinstance(reference, Mask) and not mask.grid.matches(reference.grid):
        raise GridError(
            f"{mask.name}: its grid ({_told(mask.grid)}) is not that of {reference.name} ({_told(reference.grid)});"
            " resample it onto that image, or check that both belong to one planning CT"
        )


def _told(grid: Grid) -> str:
    size = "×".join(str(n) for n in grid.shape)
    spacing = "×".join(f"{h:.4g}" for h in grid.spacing_mm)
    return f"{size} voxels of {spacing} mm, {''.join(grid.codes)}"


def _empty(like: Region) -> Region:
    box = like.boxes[0]
    return Region(level=np.full_like(box.level, 1e3), grid=box.grid, name=like.name)
