"""The region: a structure as a signed level on a small working grid, its surface between the voxels."""

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import figure_of, html_of, line
from ptvkit.errors import GridError, PtvkitWarning
from ptvkit.geometry.grid import Grid, Triple
from ptvkit.geometry.mask import Mask
from ptvkit.kernels.level import crossings, sample_lattice, sample_points, volume_in_cells
from ptvkit.kernels.scan import bounding_box

if TYPE_CHECKING:
    import trimesh

ON_SURFACE_MM: Final = 1e-4
"""A voxel centre on the surface is inside: levels up to this count, so that float32 rounding never decides a tie."""

LEAST_CC: Final = 0.005
"""Volumes up to this are rounding, not findings, cm³."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """A structure whose surface lies between the voxels.

    The surface is the zero of the level, linearly interpolated between the nodes of the grid; beyond the grid
    everything is outside. Make one with `region_from_mask`, or from a level that you have.

    Parameters
    ----------
    level : (I, J, K) array
        Negative inside, positive outside, mm. Near the surface it is the signed distance to first order after a
        reconstruction or an equal margin; after an unequal margin only its sign and its zero are meant.
    grid : Grid
        The working grid, in the patient frame RAS+.
    name : str
        What messages call it.

    Raises
    ------
    GridError
        When level and grid differ in shape, or the level is not finite.

    Examples
    --------
    A ball of radius 10 mm around the origin:

    >>> grid = Grid(shape=(25, 25, 25), affine=[[1, 0, 0, -12], [0, 1, 0, -12], [0, 0, 1, -12], [0, 0, 0, 1]])
    >>> points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    >>> ball = Region(level=np.linalg.norm(points, axis=-1) - 10, grid=grid)
    >>> round(ball.volume_cc, 2)
    4.17
    """

    level: NDArray[np.float32]
    grid: Grid
    name: str = "the region"

    def __post_init__(self) -> None:
        level = np.ascontiguousarray(self.level, dtype=np.float32).view()
        level.setflags(write=False)
        if level.shape != self.grid.shape:
            raise GridError(f"{self.name}: level {level.shape} and grid {self.grid.shape} differ in shape")
        if not np.isfinite(level).all():
            raise GridError(f"{self.name}: the level holds NaN or infinity")
        object.__setattr__(self, "level", level)

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy is read-only again
        return _region, (np.array(self.level), self.grid, self.name)

    def __repr__(self) -> str:
        return line(self, self.name, f"{self.volume_cc:.4g} cc", str(self.grid))

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """Three planes with the outline, a matplotlib figure; options: `image` (array, Grid), `centre_mm`."""
        return figure_of(self, **options)

    @property
    def inside_box(self) -> tuple[Triple, Triple] | None:
        """First and last node index (inclusive) inside along each axis; None when no node is inside."""
        return bounding_box(self.level < 0)

    @property
    def is_empty(self) -> bool:
        """Whether no node is inside."""
        return bool(self.level.min() >= 0)

    @property
    def volume_cc(self) -> float:
        """Volume inside the sub-voxel surface, cm³: the level taken as linear in the six tetrahedra of each cell."""
        return volume_in_cells(self.level) * self.grid.voxel_volume_mm3 / 1000.0

    def sample(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Level (...,) at patient points (..., 3), mm; 1000 beyond the grid."""
        index = self.grid.to_index(points_mm)
        return sample_points(self.level, np.ascontiguousarray(index.reshape(-1, 3))).reshape(index.shape[:-1])

    def sample_on(self, grid: Grid) -> NDArray[np.float32]:
        """Level at the voxel centres of another grid, as an array of its shape; 1000 beyond this region's grid."""
        matrix = np.linalg.inv(self.grid.affine) @ grid.affine
        return sample_lattice(self.level, np.ascontiguousarray(matrix[:3]), grid.shape)

    def surface_points(self) -> NDArray[np.float64]:
        """Points (N, 3) where the surface crosses the grid's edges, patient frame RAS+, mm."""
        return self.grid.to_mm(crossings(self.level))

    def is_inside(self, grid: Grid) -> bool:
        """Whether no part of the region can lie beyond the outer voxel faces of an image."""
        box = self.inside_box
        if box is None:
            return True
        index = grid.to_index(self.grid.to_mm(_corners(box)))
        return bool((index >= -0.5).all() and (index <= np.asarray(grid.shape) - 0.5).all())

    def cut_to(self, grid: Grid) -> Self:
        """The part of the region within the outer voxel faces of an image."""
        index = grid.to_index(self.grid.to_mm(np.moveaxis(np.indices(self.grid.shape), 0, -1)))
        beyond = np.maximum(-0.5 - index, index - (np.asarray(grid.shape) - 0.5)) * np.asarray(grid.spacing_mm)
        return replace(self, level=np.maximum(self.level, beyond.max(axis=-1)))

    def to_mask(self, grid: Grid) -> Mask:
        """The voxels of any grid whose centres lie inside.

        On the grid of the mask that a region was made from, this is that mask, voxel for voxel.

        Warns
        -----
        PtvkitWarning
            When part of the region lies beyond the grid; the message says how much.
        """
        box = self.inside_box
        none = np.zeros((0, 0, 0), bool)
        if box is None:
            return Mask.from_box(none, (0, 0, 0), grid, name=self.name)
        if not self.is_inside(grid):
            self._warn_of_loss(grid)
        index = grid.to_index(self.grid.to_mm(_corners(box)))
        low = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(index.max(axis=0)).astype(int), np.asarray(grid.shape) - 1)
        if (high < low).any():
            return Mask.from_box(none, (0, 0, 0), grid, name=self.name)
        inside = self.sample_on(grid.box(low.tolist(), high.tolist())) <= ON_SURFACE_MM
        return Mask.from_box(inside, (int(low[0]), int(low[1]), int(low[2])), grid, name=self.name)

    def _warn_of_loss(self, grid: Grid) -> None:
        lost = self.volume_cc - self.cut_to(grid).volume_cc
        if lost > LEAST_CC:
            text = (
                f"{self.name}: {lost:.2f} cc fall outside the image and are lost in its mask; use a larger grid (--pad)"
            )
            warnings.warn(text, PtvkitWarning, stacklevel=3)

    def to_mesh(self) -> "trimesh.Trimesh":
        """The surface as a closed, outward-facing mesh, vertices in the patient frame RAS+, mm."""
        from ptvkit.geometry.mesh import mesh_of

        return mesh_of(self)


def _corners(box: tuple[Triple, Triple]) -> NDArray[np.float64]:
    """The eight corners of a box of nodes, one node further out on each side."""
    low, high = np.asarray(box[0], float) - 1, np.asarray(box[1], float) + 1
    return np.array([[(low, high)[a][0], (low, high)[b][1], (low, high)[c][2]] for a, b, c in np.ndindex(2, 2, 2)])


def _region(level: NDArray[np.float32], grid: Grid, name: str) -> Region:
    return Region(level=level, grid=grid, name=name)
