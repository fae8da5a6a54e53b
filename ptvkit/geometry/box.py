"""One box of a region: a level on a grid of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import GridError
from ptvkit.geometry.grid import Grid, Triple
from ptvkit.kernels.level import FAR, crossings, sample_lattice, sample_points, volume_in_cells
from ptvkit.kernels.scan import bounding_box

Floats = NDArray[np.float64]
Level = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Box:
    """A level on a grid, read-only.

    Attributes
    ----------
    level : (I, J, K) float32
        Negative inside, positive outside, mm.
    grid : Grid
        Patient frame RAS+.

    Raises
    ------
    GridError
        When level and grid differ in shape, or the level is not finite.
    """

    level: Level
    grid: Grid

    def __post_init__(self) -> None:
        level = np.ascontiguousarray(self.level, dtype=np.float32).view()
        level.setflags(write=False)
        if level.shape != self.grid.shape:
            raise GridError(f"level {level.shape} and grid {self.grid.shape} differ in shape")
        if not np.isfinite(level).all():
            raise GridError("the level holds NaN or infinity")
        object.__setattr__(self, "level", level)

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy is read-only again
        return _box, (np.array(self.level), self.grid)

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
        """Volume inside the surface, cm³: the level taken as linear in the six tetrahedra of each cell."""
        return volume_in_cells(self.level) * self.grid.voxel_volume_mm3 / 1000.0

    @property
    def corners_mm(self) -> Floats | None:
        """Corners (8, 3) of the box of inside nodes and one more on each side; None when no node is inside."""
        box = self.inside_box
        return None if box is None else self.grid.to_mm(corners_of(box, 1))

    def surface_points(self) -> Floats:
        """Points (N, 3) where the surface crosses the grid's edges, patient frame RAS+, mm."""
        return self.grid.to_mm(crossings(self.level))

    def sample(self, points_mm: Floats) -> Floats:
        """Level (N,) at patient points (N, 3); 1000 beyond the grid."""
        return sample_points(self.level, np.ascontiguousarray(self.grid.to_index(points_mm)))

    def on_nodes(self, low: Sequence[int], high: Sequence[int]) -> Self:
        """The nodes from index `low` to `high` inclusive, which may lie beyond the grid (far outside there)."""
        grid = self.grid.box(low, high)
        level = np.full(grid.shape, FAR, np.float32)
        self._put(level, low)
        return type(self)(level=level, grid=grid)

    def with_room(self, room: Sequence[tuple[int, int]]) -> Self:
        """The inside nodes with `room` nodes on the lower and upper side of each axis; itself when empty."""
        box = self.inside_box
        if box is None:
            return self
        low = [a - below for a, (below, _) in zip(box[0], room, strict=True)]
        return self.on_nodes(low, [b + above for b, (_, above) in zip(box[1], room, strict=True)])

    def lower(self, level: Level, grid: Grid) -> None:
        """Lower a level on another grid to this one's, in place, where the two meet."""
        start = grid.offset_in(self.grid)
        if start is not None:
            self._put(level, start)
            return
        index = grid.to_index(self.grid.to_mm(corners_of(((0, 0, 0), self.grid.shape), 0)))
        low = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(index.max(axis=0)).astype(int), np.asarray(grid.shape) - 1)
        if (high < low).any():
            return
        part = grid.box(low.tolist(), high.tolist())
        matrix = np.linalg.inv(self.grid.affine) @ part.affine
        found = sample_lattice(self.level, np.ascontiguousarray(matrix[:3]), part.shape)
        window = level[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))]
        np.minimum(window, found, out=window)

    def _put(self, level: Level, low: Sequence[int]) -> None:
        """Lower a level, whose first node has index `low` here, to this one's; in place."""
        here, there = [], []
        for a, n, size in zip(low, level.shape, self.grid.shape, strict=True):
            first, end = max(a, 0), max(min(a + n, size), max(a, 0))
            here.append(slice(first, end))
            there.append(slice(first - a, end - a))
        window = level[tuple(there)]
        np.minimum(window, self.level[tuple(here)], out=window)


def corners_of(box: tuple[Sequence[int], Sequence[int]], room: int) -> Floats:
    """The eight corners (8, 3) of a box of nodes, some nodes further out on each side."""
    ends = np.asarray(box[0], float) - room, np.asarray(box[1], float) + room
    return np.array([[ends[a][0], ends[b][1], ends[c][2]] for a, b, c in np.ndindex(2, 2, 2)])


def level_on(boxes: Iterable[Box], grid: Grid) -> Level:
    """The least level of boxes at the nodes of a grid; 1000 beyond them all."""
    level = np.full(grid.shape, FAR, np.float32)
    for box in boxes:
        box.lower(level, grid)
    return level


def _box(level: Level, grid: Grid) -> Box:
    return Box(level=level, grid=grid)
