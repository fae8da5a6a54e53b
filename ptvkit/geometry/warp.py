"""Displacement fields: a structure of one phase carried to another."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import GridError
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region, grid_of

Floats = NDArray[np.float64]
Maps = Literal["to_reference", "from_reference"]
MAPS: Final = ("to_reference", "from_reference")

ITERATIONS: Final = 30
"""Of the inversion; a field that bends by less than half a millimetre each millimetre converges to 1e-9."""
REACH_MM: Final = 10.0
"""Distance from the surface to which levels are carried."""
ROOM: Final = 3
"""Nodes around the carried surface."""
FOLDING_MM: Final = 10.0
"""How far around a structure folding is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DisplacementField:
    """Vectors on a grid; between its nodes they are linear.

    Parameters
    ----------
    vectors_mm : (I, J, K, 3) array
        (LR, AP, SI), patient frame RAS+, mm.
    grid : Grid
    name : str

    Raises
    ------
    GridError
        When vectors and grid differ in shape, or a vector is not finite.
    """

    vectors_mm: Floats
    grid: Grid
    name: str = "the field"

    def __post_init__(self) -> None:
        if self.vectors_mm.shape != (*self.grid.shape, 3):
            raise GridError(f"{self.name}: vectors {self.vectors_mm.shape} and grid {self.grid.shape} differ in shape")
        if not np.isfinite(self.vectors_mm).all():
            raise GridError(f"{self.name}: holds vectors that are not numbers; write it again")

    def at(self, points_mm: Floats) -> Floats:
        """Vectors (N, 3) at patient points (N, 3), mm; beyond the grid those of its edge."""
        index = self.grid.to_index(points_mm).T
        from scipy import ndimage  # slow to import, and only displacement fields need it

        each = [ndimage.map_coordinates(self.vectors_mm[..., a], index, order=1, mode="nearest") for a in range(3)]
        return np.stack(each, axis=-1)

    def determinant(self) -> Floats:
        """Jacobian determinant (I, J, K) of the map x + u(x); where it is 0 or less the map folds."""
        along = [np.gradient(self.vectors_mm, axis=axis) for axis in range(3)]
        slopes = np.stack(along, axis=-1)
        found: Floats = np.linalg.det(np.eye(3) + slopes @ np.linalg.inv(self.grid.affine[:3, :3]))
        return found


def folded_share(field: DisplacementField, region: Region) -> float:
    """Share of a field's nodes within 10 mm of a structure's bounds at which it folds (Jacobian ≤ 0)."""
    index = field.grid.to_index(region.surface_points())
    room = FOLDING_MM / np.asarray(field.grid.spacing_mm)
    low = np.clip(np.floor(index.min(axis=0) - room), 0, np.asarray(field.grid.shape) - 2).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + room), low + 1, np.asarray(field.grid.shape) - 1).astype(int)
    window = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
    part = DisplacementField(vectors_mm=field.vectors_mm[window], grid=field.grid.box(low.tolist(), high.tolist()))
    return float((part.determinant() <= 0).mean())


def warped(region: Region, field: DisplacementField, maps: Maps) -> Region:
    """A structure of the reference phase, carried to the phase of a field.

    Parameters
    ----------
    region : Region
    field : DisplacementField
    maps : {"to_reference", "from_reference"}
        Whether ``x + u(x)`` takes a point of the phase to the reference (fields that resample the reference image onto
        the phase), or a point of the reference to the phase.

    Raises
    ------
    GridError
        When the structure lies partly outside the field.
    """
    if not region.is_inside(field.grid):
        raise GridError(f"{field.name}: does not cover {region.name}; give a field of the whole image")
    source = signed_distance(region, outside_mm=REACH_MM, inside_mm=REACH_MM)
    surface = region.surface_points()
    moved = surface + (_inverse(field, surface) if maps == "to_reference" else field.at(surface))
    grid = grid_of(source.boxes).covering(moved, room=ROOM)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)).reshape(-1, 3)
    back = field.at(points) if maps == "to_reference" else _inverse(field, points)
    level = np.minimum(source.sample(points + back), REACH_MM).reshape(grid.shape)
    return Region(level=level, grid=grid, name=f"{region.name} by {field.name}")


def _inverse(field: DisplacementField, points_mm: Floats) -> Floats:
    """Vectors v (N, 3) with v(y) = −u(y + v(y)), by fixed-point iteration."""
    back = -field.at(points_mm)
    for _ in range(ITERATIONS):
        change = -field.at(points_mm + back) - back
        back += change
        if np.abs(change).max(initial=0.0) < 1e-4:
            break
    return back
