"""The region: a structure as signed levels on small working grids, its surface between the voxels."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import figure_of, html_of, line
from ptvkit.errors import GridError, PtvkitWarning
from ptvkit.geometry.box import Box, level_on
from ptvkit.geometry.grid import Grid, Triple
from ptvkit.geometry.mask import Mask
from ptvkit.kernels.level import FAR

if TYPE_CHECKING:
    import trimesh

ON_SURFACE_MM: Final = 1e-4
"""A voxel centre on the surface is inside: levels up to this count, so that float32 rounding never decides a tie."""

LEAST_CC: Final = 0.005
"""Volumes up to this are rounding, not findings, cm³."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, init=False)
class Region:
    """A structure whose surface lies between the voxels.

    The surface is the zero of a level, linearly interpolated between the nodes of a grid; beyond the grid everything is
    outside. A structure of several parts has a box, a level on a grid of its own, for each part or group of parts:
    what lies far away changes nothing here. Boxes may overlap; what lies inside them does not. Make a region with
    `region_from_mask`, or from a level that you have.

    Parameters
    ----------
    level : (I, J, K) array
        Negative inside, positive outside, mm. Near the surface it is the signed distance to first order after a
        reconstruction or an equal margin; after an unequal margin only its sign and its zero are meant.
    grid : Grid
        The working grid, in the patient frame RAS+.
    boxes : sequence of Box
        In place of level and grid.
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

    boxes: tuple[Box, ...]
    name: str

    def __init__(
        self,
        *,
        level: NDArray[np.floating] | None = None,
        grid: Grid | None = None,
        boxes: Iterable[Box] = (),
        name: str = "the region",
    ) -> None:
        boxes = tuple(boxes)
        if bool(boxes) == (level is not None and grid is not None) or (level is None) != (grid is None):
            raise GridError(f"{name}: a region needs a level and its grid, or boxes")
        if level is not None and grid is not None:
            try:
                boxes = (Box(level=np.asarray(level, np.float32), grid=grid),)
            except GridError as error:
                raise GridError(f"{name}: {error}") from None
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "name", name)

    @property
    def level(self) -> NDArray[np.float32]:
        """The level of a region of one box.

        Raises
        ------
        GridError
            When there are several boxes, with a level each.
        """
        return self._only.level

    @property
    def grid(self) -> Grid:
        """The working grid; of several boxes the finest one's lattice, around them all."""
        return self.boxes[0].grid if len(self.boxes) == 1 else grid_of(self.boxes)

    def __repr__(self) -> str:
        return line(self, self.name, f"{self.volume_cc:.4g} cc", str(self.grid))

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """Three planes with the outline, a matplotlib figure; options: `image` (array, Grid), `centre_mm`."""
        return figure_of(self, **options)

    @property
    def inside_box(self) -> tuple[Triple, Triple] | None:
        """First and last node index (inclusive) inside along each axis, of one box; None when no node is inside."""
        return self._only.inside_box

    @property
    def _only(self) -> Box:
        if len(self.boxes) > 1:
            raise GridError(f"{self.name}: has a level in each of {len(self.boxes)} boxes; use region.boxes or sample")
        return self.boxes[0]

    @property
    def is_empty(self) -> bool:
        """Whether no node is inside."""
        return all(box.is_empty for box in self.boxes)

    @property
    def volume_cc(self) -> float:
        """Volume inside the sub-voxel surface, cm³: the level taken as linear in the six tetrahedra of each cell."""
        return sum(box.volume_cc for box in self.boxes)

    def by_box(self) -> tuple[Self, ...]:
        """Each box as a region of its own."""
        return (self,) if len(self.boxes) == 1 else tuple(type(self)(boxes=(x,), name=self.name) for x in self.boxes)

    def sample(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Level (...,) at patient points (..., 3), mm; 1000 beyond the boxes."""
        points = np.asarray(points_mm, float)
        flat = points.reshape(-1, 3)
        found = np.full(len(flat), FAR)
        for box in self.boxes:
            np.minimum(found, box.sample(flat), out=found)
        return found.reshape(points.shape[:-1])

    def sample_on(self, grid: Grid) -> NDArray[np.float32]:
        """Level at the voxel centres of another grid, as an array of its shape; 1000 beyond this region's boxes.

        Raises
        ------
        GridError
            When the grid has more than 2,000 million voxels.
        """
        grid.require_size(self.name)
        return level_on(self.boxes, grid)

    def surface_points(self) -> NDArray[np.float64]:
        """Points (N, 3) where the surface crosses the grids' edges, patient frame RAS+, mm."""
        return np.concatenate([box.surface_points() for box in self.boxes])

    def moved(self, pose: NDArray[np.float64]) -> Self:
        """The region in another rigid pose, a (4, 4) matrix that takes patient points to patient points, mm."""
        moved = (Grid(shape=box.grid.shape, affine=pose @ box.grid.affine) for box in self.boxes)
        boxes = (Box(level=box.level, grid=grid) for box, grid in zip(self.boxes, moved, strict=True))
        return type(self)(boxes=boxes, name=self.name)

    def is_inside(self, grid: Grid) -> bool:
        """Whether no part of the region can lie beyond the outer voxel faces of an image."""
        return all(_fits(box, grid) for box in self.boxes)

    def cut_to(self, grid: Grid) -> Self:
        """The part of the region within the outer voxel faces of an image."""
        return type(self)(boxes=[x if _fits(x, grid) else _cut(x, grid) for x in self.boxes], name=self.name)

    def to_mask(self, grid: Grid) -> Mask:
        """The voxels of any grid whose centres lie inside.

        On the grid of the mask that a region was made from, this is that mask, voxel for voxel.

        Warns
        -----
        PtvkitWarning
            When part of the region lies beyond the grid; the message says how much.

        Raises
        ------
        GridError
            When the grid has more than 2,000 million voxels.
        """
        grid.require_size(self.name)
        if not self.is_inside(grid):
            self._warn_of_loss(grid)
        windows = [(box, window) for box in self.boxes if (window := _window(box, grid)) is not None]
        if not windows:
            return Mask.from_box(np.zeros((0, 0, 0), bool), (0, 0, 0), grid, name=self.name)
        low = np.min([window[0] for _, window in windows], axis=0)
        high = np.max([window[1] for _, window in windows], axis=0)
        inside = np.zeros(tuple(high - low + 1), bool)
        for box, (first, last) in windows:
            found = level_on([box], grid.box(first.tolist(), last.tolist())) <= ON_SURFACE_MM
            inside[tuple(slice(a, b + 1) for a, b in zip(first - low, last - low, strict=True))] |= found
        return Mask.from_box(inside, (int(low[0]), int(low[1]), int(low[2])), grid, name=self.name)

    def _warn_of_loss(self, grid: Grid) -> None:
        lost = self.volume_cc - self.cut_to(grid).volume_cc
        if lost > LEAST_CC:
            text = f"{self.name}: {lost:.2f} cc fall outside the image and are lost in its mask; use a larger grid"
            warnings.warn(text, PtvkitWarning, stacklevel=3)

    def to_mesh(self) -> "trimesh.Trimesh":
        """The surface as a closed, outward-facing mesh, vertices in the patient frame RAS+, mm."""
        from ptvkit.geometry.mesh import mesh_of

        return mesh_of(self.boxes, self.name)


def grid_of(boxes: Iterable[Box]) -> Grid:
    """The lattice of the finest of boxes, around them all."""
    boxes = list(boxes)
    finest = min(boxes, key=lambda box: box.grid.voxel_volume_mm3).grid
    return finest.covering(np.concatenate([box.grid.corners_mm for box in boxes]))


def _fits(box: Box, grid: Grid) -> bool:
    corners = box.corners_mm
    if corners is None:
        return True
    index = grid.to_index(corners)
    return bool((index >= -0.5).all() and (index <= np.asarray(grid.shape) - 0.5).all())


def _cut(box: Box, grid: Grid) -> Box:
    """What of a box lies within the outer voxel faces of an image."""
    matrix = np.linalg.inv(grid.affine) @ box.grid.affine
    level = box.level
    nodes = [np.arange(n, dtype=np.float32) for n in box.grid.shape]
    for row, size, spacing in zip(matrix[:3].astype(np.float32), grid.shape, grid.spacing_mm, strict=True):
        i, j, k = (n * step for n, step in zip(nodes, row, strict=False))
        index = (i[:, None] + j)[:, :, None] + (k + row[3])
        beyond = np.maximum(-0.5 - index, index - np.float32(size - 0.5)) * np.float32(spacing)
        level = np.maximum(level, beyond)
    return Box(level=level, grid=box.grid)


def _window(box: Box, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """First and last voxel of an image that a box can hold the centre of; None when there is none."""
    corners = box.corners_mm
    if corners is None:
        return None
    index = grid.to_index(corners)
    low = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int), np.asarray(grid.shape) - 1)
    return None if (high < low).any() else (low, high)
