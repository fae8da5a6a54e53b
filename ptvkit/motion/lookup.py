"""Coverage and depth of one displaced target in its PTV: computed once on a lattice of shifts, then looked up."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.boxes import around
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import coarser, embedded, nodes_with, resampled
from ptvkit.kernels.pose import deepest, share_inside
from ptvkit.kernels.table import look_up, look_up_nearest
from ptvkit.motion.tables import SLICE, Cloud, Table, coverage_table, depth_table, in_nodes

Floats = NDArray[np.float64]

PATCH_MM: Final = 4.0
"""Size of the patches into which points are sorted."""
SURFACE_SHARE: Final = 1 / 12
SURFACE_MM: Final = 2.0
"""Width of the cubes of which one point of the surface is kept: a share of the radius of a ball of the target's volume,
and the most. Depths lose about .005 mm by it."""
INNER_POINTS: Final = 20_000
"""Points within the target that stand for its volume where no table can: rotations, and rare far shifts."""
INSIDE_MM: Final = 8.0
"""Depth below the PTV's surface to which distances are kept: deeper is safely inside."""
MOST_NODES: Final = 20_000_000
BEYOND: Final = 0.3
BEYOND_MM: Final = 8.0
"""Room of the distance beyond the shifts that tables are made for: a share of their range, and mm."""
FLOOR_MM: Final = -2.0
"""How far inside a target's deepest point is told: nobody asks how much further."""


class Figures(NamedTuple):
    """What displacements cost: arrays of one shape.

    Attributes
    ----------
    covered : (...,)
        Share of the target's volume inside the PTV.
    depth_mm : (...,)
        Deepest reach of the target outside the PTV; negative when all of it is inside.
    side : (...,) int8
        Direction in which the deepest point lies outside, 0 to 5 for R L A P S I.
    """

    covered: Floats
    depth_mm: Floats
    side: NDArray[np.int8]


class Depths(NamedTuple):
    """`Figures` without coverage."""

    depth_mm: Floats
    side: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookup:
    """One target and its PTV, prepared for many displacements. Make one with `lookup_of`.

    Attributes
    ----------
    ctv, ptv : Region
        On one lattice.
    distance : Region
        The PTV, its level the true signed distance.
    reach_mm : float
        Distance beyond its grid.
    room : (2, 3) array
        Lowest and highest shift in nodes of it that leaves the target on it.
    surface, inner : Cloud
        Points of the target's surface, and those that stand for its volume.
    width_mm : float
        Spacing of the inner points.
    inside_mm : float
        Depths this far inside the PTV are kept too.
    covered, depth, side
        Tables by translation; None when every pose is computed.
    """

    ctv: Region
    ptv: Region
    distance: Region
    reach_mm: float
    room: Floats
    surface: Cloud
    inner: Cloud
    width_mm: float
    inside_mm: float = 0.0
    covered: Table | None = None
    depth: Table | None = None
    side: NDArray[np.int8] | None = None

    def translated(self, shifts_mm: Floats) -> Figures:
        """Figures for translations (..., 3), mm: from the tables, and computed one by one beyond them."""
        flat = np.ascontiguousarray(shifts_mm, float).reshape(-1, 3)
        if self.covered is None or self.depth is None or self.side is None:
            return self.posed(shifts_mm)
        covered = look_up(self.covered.values, self.covered.to_index, flat)
        depth = look_up(self.depth.values, self.depth.to_index, flat)
        side = look_up_nearest(self.side, self.depth.to_index, flat)
        far = np.isnan(covered) | np.isnan(depth)
        if far.any():
            covered[far], depth[far], side[far] = self._holding(flat[far]).posed(flat[far])
        covered[depth <= 0] = 1.0
        shape = shifts_mm.shape[:-1]
        return Figures(covered.reshape(shape), depth.reshape(shape), side.reshape(shape))

    def depths(self, shifts_mm: Floats) -> Depths:
        """Depths for translations (..., 3), mm, as `translated`, without coverage."""
        flat = np.ascontiguousarray(shifts_mm, float).reshape(-1, 3)
        if self.depth is None or self.side is None:
            return self.posed_depths(shifts_mm)
        depth = look_up(self.depth.values, self.depth.to_index, flat)
        side = look_up_nearest(self.side, self.depth.to_index, flat)
        far = np.isnan(depth)
        if far.any():
            depth[far], side[far] = self._holding(flat[far]).posed_depths(flat[far])
        return Depths(depth.reshape(shifts_mm.shape[:-1]), side.reshape(shifts_mm.shape[:-1]))

    def _holding(self, shifts_mm: Floats) -> "Lookup":
        """Itself, or another whose distance reaches as far as these shifts (N, 3)."""
        low, high = shifts_mm.min(axis=0), shifts_mm.max(axis=0)
        first, last = in_nodes(self.distance.grid, low, high)
        if (first >= self.room[0]).all() and (last <= self.room[1]).all():
            return self
        reach, points = _reach(low, high), self.surface.points
        distance = _distance(self.ptv, points, low, high, reach, turns=False, inside_mm=self.inside_mm)
        return replace(self, distance=distance, reach_mm=1.5 * reach, room=_room_left(distance.grid, points))

    def posed(
        self,
        shifts_mm: Floats,
        rotations: Floats | None = None,
        centre_mm: Floats | None = None,
        *,
        floor_mm: float | None = None,
    ) -> Figures:
        """Figures for rotations (..., 3, 3) about a centre, then shifts (..., 3), mm; each pose is computed.

        Depths come no lower than `floor_mm`, by default 2 mm below `inside_mm`. Neighbours along the last axis but one
        that share a rotation are fast.
        """
        covered = np.empty(shifts_mm.shape[:-1])
        floor = self._floor_mm if floor_mm is None else floor_mm
        depths = self._posed(shifts_mm, rotations, centre_mm, floor, covered.reshape(-1))
        return Figures(covered, *depths)

    def posed_depths(
        self, shifts_mm: Floats, rotations: Floats | None = None, centre_mm: Floats | None = None
    ) -> Depths:
        """Depths as `posed` has them, without coverage."""
        return self._posed(shifts_mm, rotations, centre_mm, self._floor_mm, None)

    @property
    def _floor_mm(self) -> float:
        return FLOOR_MM - self.inside_mm

    def _posed(
        self,
        shifts_mm: Floats,
        rotations: Floats | None,
        centre_mm: Floats | None,
        floor_mm: float,
        covered: Floats | None,
    ) -> Depths:
        """Depths of poses; their coverage is put into `covered` (N,), if there is one."""
        shape = shifts_mm.shape[:-1]
        shifts = np.asarray(shifts_mm, float).reshape(-1, 3)
        turns = np.broadcast_to(np.eye(3), (len(shifts), 3, 3)) if rotations is None else rotations.reshape(-1, 3, 3)
        centre = np.zeros(3) if centre_mm is None else centre_mm
        distance, beyond = self.distance.level, self.reach_mm
        order = _in_short_steps(shifts, shape[-1] if shape else 1)
        to_index = np.linalg.inv(self.distance.grid.affine)
        slope = self.distance.grid.axes / np.asarray(self.distance.grid.spacing_mm)
        depth, side = np.empty(len(shifts)), np.empty(len(shifts), np.int8)
        for start in range(0, len(shifts), SLICE):
            chosen = order[start : start + SLICE]
            turn, shift = turns[chosen], shifts[chosen]
            poses = np.empty((len(turn), 3, 4))
            poses[..., :3] = to_index[:3, :3] @ turn
            poses[..., 3] = (centre + shift - turn @ centre) @ to_index[:3, :3].T + to_index[:3, 3]
            steps = _steps(turn, shift)
            deep, letter = deepest(poses, steps, floor_mm, distance, beyond, *self.surface, slope)
            depth[chosen], side[chosen] = deep, letter
            if covered is not None:
                covered[chosen] = share_inside(poses, steps, distance, beyond, *self.inner, self.width_mm, deep > 0)
        return Depths(depth.reshape(shape), side.reshape(shape))


def lookup_of(
    ctv: Region, ptv: Region, low_mm: Floats, high_mm: Floats, *, tables: bool = True, inside_mm: float = 0.0
) -> Lookup:
    """Prepare a target and a PTV for displacements between two corners (3,), mm; beyond them it is only slower."""
    return lookups_of([ctv], ptv, low_mm, high_mm, tables=tables, inside_mm=inside_mm)[0]


def lookups_of(
    lesions: Sequence[Region],
    ptv: Region,
    low_mm: Floats,
    high_mm: Floats,
    *,
    tables: bool = True,
    inside_mm: float = 0.0,
) -> tuple[Lookup, ...]:
    """Prepare lesions and the PTV that they share; those on one lattice by the same part of it share its distance."""
    low, high = np.asarray(low_mm, float), np.asarray(high_mm, float)
    reach = _reach(low, high)
    lookups: dict[int, Lookup] = {}
    for planned, group in _sharing(lesions, ptv, low - reach, high + reach):
        ctvs = {number: embedded(lesions[number], [(2, 2)] * 3) for number in group}
        points = {number: ctv.surface_points() for number, ctv in ctvs.items()}
        distance = _distance(
            planned, np.concatenate(list(points.values())), low, high, reach, turns=not tables, inside_mm=inside_mm
        )
        for number, ctv in ctvs.items():
            inner, width = inner_points(ctv)
            lookup = Lookup(
                ctv=ctv,
                ptv=planned,
                distance=distance,
                reach_mm=1.5 * reach,
                room=_room_left(distance.grid, points[number]),
                surface=in_patches(_thinned(points[number], ctv)),
                inner=in_patches(inner),
                width_mm=width,
                inside_mm=inside_mm,
            )
            lookups[number] = _with_tables(lookup, low, high) if tables else lookup
    return tuple(lookups[number] for number in range(len(lesions)))


def _sharing(lesions: Sequence[Region], ptv: Region, low_mm: Floats, high_mm: Floats) -> list[tuple[Region, list[int]]]:
    """The parts of a PTV that lesions can meet, each with the numbers of its lesions and on their lattice."""
    found: list[tuple[Region, Region, list[int]]] = []
    for number, lesion in enumerate(lesions):
        own = ptv_near(lesion, ptv, low_mm, high_mm)
        for near, planned, group in found:
            if near.boxes == own.boxes and planned.grid.offset_in(lesion.grid) is not None:
                group.append(number)
                break
        else:
            found.append((own, on_one_lattice(lesion, own)[1], [number]))
    return [(planned, group) for _, planned, group in found]


def _with_tables(lookup: Lookup, low: Floats, high: Floats) -> Lookup:
    depth, side = depth_table(lookup.distance, lookup.surface, low, high, inside_mm=lookup.inside_mm)
    covered = coverage_table(lookup.ctv, lookup.ptv, low, high)
    return replace(lookup, covered=covered, depth=depth, side=side)


def ptv_near(lesion: Region, ptv: Region, low_mm: Floats, high_mm: Floats) -> Region:
    """The boxes of a PTV that a lesion can meet when it is displaced between two corners (3,), mm."""
    points = lesion.surface_points()
    return around(ptv, points.min(axis=0) + low_mm, points.max(axis=0) + high_mm)


def _reach(low_mm: Floats, high_mm: Floats) -> float:
    """How far a box of shifts reaches, and some more, mm."""
    return float(np.linalg.norm(np.maximum(np.abs(low_mm), np.abs(high_mm)))) + 5.0


def _distance(
    planned: Region, points: Floats, low: Floats, high: Floats, reach: float, *, turns: bool, inside_mm: float
) -> Region:
    """The PTV with its true signed distance as level, with room for displacements of a target's points (N, 3)."""
    source, room = planned, _room(planned, points, low, high, reach, turns=turns)
    if nodes_with(planned, room) > MOST_NODES:
        source = coarser(planned)
        room = _room(source, points, low, high, reach, turns=turns)
    return signed_distance(source, outside_mm=1.5 * reach, inside_mm=INSIDE_MM + inside_mm, room=room)


def _room(
    planned: Region, points: Floats, low_mm: Floats, high_mm: Floats, reach_mm: float, *, turns: bool
) -> list[tuple[int, int]]:
    """Nodes around the PTV that points need which shift between two corners, and some more for those that get further.

    A target that turns gets the whole reach on each side of the PTV.
    """
    grid, box = planned.grid, planned.inside_box
    assert box is not None, "a PTV that is prepared is not empty"
    if turns:
        return [(int(reach_mm / h) + 3,) * 2 for h in grid.spacing_mm]
    low, high = in_nodes(grid, low_mm - BEYOND * (high_mm - low_mm), high_mm + BEYOND * (high_mm - low_mm))
    more = BEYOND_MM / np.asarray(grid.spacing_mm)
    index = grid.to_index(points)
    low, high = box[0] - (index.min(axis=0) + low), index.max(axis=0) + high - box[1]
    below, above = (np.maximum(np.ceil(one + more).astype(int) + 3, 2) for one in (low, high))
    return list(zip(below.tolist(), above.tolist(), strict=True))


def _room_left(grid: Grid, points: Floats) -> Floats:
    """Lowest and highest shift (2, 3), in nodes, that leaves points on a grid."""
    index = grid.to_index(points)
    return np.stack([1 - index.min(axis=0), np.asarray(grid.shape) - 2 - index.max(axis=0)])


def _in_short_steps(shifts: Floats, length: int) -> NDArray[np.int64]:
    """An order of shifts (N, 3) that walks each row of `length` along the axis on which shifts spread most."""
    if not len(shifts):
        return np.empty(0, np.int64)
    axis = int(shifts.var(axis=0).argmax())
    rows = shifts[:, axis].reshape(-1, length)
    found: NDArray[np.int64] = np.argsort(rows, axis=1, kind="stable") + np.arange(len(rows))[:, None] * length
    return found.reshape(-1)


def _steps(turns: Floats, shifts: Floats) -> Floats:
    """How far each pose is from the one before; infinity where it turns."""
    steps = np.full(len(shifts), np.inf)
    same = (turns[1:] == turns[:-1]).all(axis=(1, 2))
    steps[1:][same] = np.linalg.norm(np.diff(shifts, axis=0), axis=1)[same]
    return steps


def on_one_lattice(ctv: Region, ptv: Region) -> tuple[Region, Region]:
    """Both on the lattice of the target's region, each cut to its own box with two nodes to spare."""
    if len(ptv.boxes) > 1 or ptv.grid.offset_in(ctv.grid) is None:
        ptv = resampled(ptv, ctv.grid.covering(ptv.surface_points(), room=2))
    return embedded(ctv, [(2, 2)] * 3), embedded(ptv, [(2, 2)] * 3)


def _thinned(points: Floats, ctv: Region) -> Floats:
    """The outermost point of the surface in each small cube; all of a target so small that each counts."""
    width = min(SURFACE_MM, SURFACE_SHARE * float(ctv.volume_cc * 750 / np.pi) ** (1 / 3))
    if width <= min(ctv.grid.spacing_mm):
        return points
    slope = np.stack([ctv.sample(points + step) - ctv.sample(points - step) for step in 0.5 * np.eye(3)], axis=1)
    _, cube = np.unique(_cubes(points, width), return_inverse=True)
    outward = np.stack([np.bincount(cube, slope[:, axis]) for axis in range(3)], axis=1)
    # the outermost point of each cube: of an edge or a tip that which lies on it
    order = np.lexsort((-np.einsum("na,na->n", points, outward[cube]), cube))
    return points[np.sort(order[np.r_[True, np.diff(cube[order]) > 0]])]


def in_patches(points: Floats) -> Cloud:
    """Points ordered by the cubes that they lie in."""
    key = _cubes(points, PATCH_MM)
    order = np.argsort(key, kind="stable")
    points, key = np.ascontiguousarray(points[order]), key[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    count = np.diff(np.r_[first, len(points)])
    centre = np.add.reduceat(points, first) / count[:, None]
    away = np.linalg.norm(points - np.repeat(centre, count, axis=0), axis=1)
    patches = np.column_stack([centre, np.maximum.reduceat(away, first)])
    return Cloud(points, np.r_[first, len(points)].astype(np.int64), patches)


def _cubes(points: Floats, width: float) -> NDArray[np.int64]:
    """Number (N,) of the cube that each point lies in."""
    cell = np.floor((points - points.min(axis=0)) / width).astype(np.int64)
    size = cell.max(axis=0) + 1
    number: NDArray[np.int64] = (cell[:, 0] * size[1] + cell[:, 1]) * size[2] + cell[:, 2]
    return number


def inner_points(ctv: Region) -> tuple[Floats, float]:
    """Points (P, 3) that stand for equal parts of a target's volume, about `INNER_POINTS` of them; their spacing."""
    spacing = (ctv.volume_cc * 1000 / INNER_POINTS) ** (1 / 3)
    box = ctv.inside_box
    assert box is not None, "a target that is prepared is not empty"
    corners = ctv.grid.to_mm([[box[a][0], box[b][1], box[c][2]] for a, b, c in np.ndindex(2, 2, 2)])
    low, high = corners.min(axis=0) - spacing, corners.max(axis=0) + spacing
    steps = [np.arange(a + 0.5 * spacing, b, spacing) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[ctv.sample(points) < 0], spacing
