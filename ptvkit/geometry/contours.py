"""From contours on parallel planes to a region, and back; not by way of voxels."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MaskError, PtvkitWarning
from ptvkit.geometry.boxes import groups_that_meet, merged
from ptvkit.geometry.components import in_boxes
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.kernels.polygon import polygon_levels

Floats = NDArray[np.float64]
Level = NDArray[np.float32]

FLAT_MM: Final = 0.2
"""How far a contour's points may lie off its plane."""
SAME_MM: Final = 0.05
"""Planes nearer to each other than this are one."""
EDGE_MM: Final = 1e-3
"""Ends of edges nearer to each other than this are one; holes may be as small as a few hundredths of a millimetre."""
FINE_MM: Final = 1.0
"""About the spacing of the nodes; half of it for structures under `SMALL_MM`."""
SMALL_MM: Final = 24.0
REACH_MM: Final = 15.0
"""How far from a contour distances are followed, for the shapes between planes."""
ROOM: Final = 3
MOST_NODES: Final = 60_000_000
SPARSE: Final = 2.5
"""Slices up to which apart planes may be for a structure that was not drawn on every slice."""
UNEVEN: Final = 0.2
"""By how much of their usual distance planes may differ to be evenly apart."""
GAP: Final = 1.5
"""Planes further apart than this many steps have nothing between them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Contours sorted by their plane.

    Attributes
    ----------
    frame : (3, 3) array
        In its columns two axes in the planes and their normal, patient frame RAS+.
    heights_mm : (P,) array
        Of the planes along the normal, rising.
    planes : tuple of tuple of (N, 2) array
        The polygons of each plane, mm along the two axes.
    """

    frame: Floats
    heights_mm: Floats
    planes: tuple[tuple[Floats, ...], ...]


def region_from_contours(
    contours: Sequence[Floats], *, slice_mm: float | None = None, grid: Grid | None = None, name: str = "the contours"
) -> Region:
    """The region that closed contours on parallel planes enclose.

    On its plane a contour is kept as it is: the level is the distance from its edges, and a contour within another is a
    hole. Between planes the level is interpolated linearly, so shapes change gradually; beyond the last plane, and
    where planes are missing, a structure ends flat at half a slice.

    Parameters
    ----------
    contours : sequence of (N, 3) arrays
        Corners of closed polygons, patient frame RAS+, mm.
    slice_mm : float, optional
        Distance between slices, where the contours alone do not tell; by default the usual step between their planes.
    grid : Grid, optional
        Of the image that they were drawn on. Its pixels become nodes, so that sampling back on it is exact.
    name : str
        What messages call it.

    Raises
    ------
    MaskError
        When there is no contour with three points, one is not flat, or the planes are not parallel.

    Warns
    -----
    PtvkitWarning
        When planes are missing between others, or contours are left out.

    Examples
    --------
    >>> square = np.array([[0.0, 0, 0], [20, 0, 0], [20, 10, 0], [0, 10, 0]])
    >>> box = region_from_contours([square + [0, 0, z] for z in (0.0, 3.0, 6.0)])
    >>> round(box.volume_cc, 1)
    1.8
    """
    stack = _stacked(contours, grid, name)
    step = _step(stack, slice_mm, name)
    _warn_of_missing(stack.heights_mm, step, name)
    found = [_region(part, step, grid, name) for part in _apart(stack, step)]
    return merged([box for one in found for box in one.boxes], name)


def _region(stack: Stack, step: float, grid: Grid | None, name: str) -> Region:
    """The region of contours that belong together, on a lattice of their own."""
    lattice, to_nodes = _lattice(stack, step, grid, name)
    edges = [_edges(polygons, to_nodes) for polygons in stack.planes]
    first = np.cumsum([0, *(len(plane) for plane in edges)]).astype(np.int64)
    levels = polygon_levels(np.concatenate(edges), first, lattice.shape[:2], lattice.spacing_mm[:2], REACH_MM)
    nodes = lattice.to_mm(np.stack(np.meshgrid([0], [0], np.arange(lattice.shape[2]), indexing="ij"), -1))[0, 0]
    level = between(levels, stack.heights_mm, step, nodes @ stack.frame[:, 2])
    return in_boxes(Region(level=level, grid=lattice, name=name))


def _apart(stack: Stack, step: float) -> list[Stack]:
    """The contours in groups that have nothing to do with each other.

    Two belong together when the rectangles around them meet and they lie on one plane, or on planes that follow each
    other.
    """
    flat = [polygon for plane in stack.planes for polygon in plane]
    home = np.repeat(np.arange(len(stack.planes)), [len(plane) for plane in stack.planes])
    follows = np.r_[np.diff(stack.heights_mm) <= GAP * step, False]
    low = np.array([(*one.min(axis=0), n) for one, n in zip(flat, home, strict=True)], float)
    high = np.array([(*one.max(axis=0), n + follows[n]) for one, n in zip(flat, home, strict=True)], float)
    return [_chosen(stack, flat, home, np.array(group)) for group in groups_that_meet(low, high)]


def _chosen(stack: Stack, flat: list[Floats], home: NDArray[np.int64], chosen: NDArray[np.int64]) -> Stack:
    planes = np.unique(home[chosen])
    polygons = tuple(tuple(flat[n] for n in chosen[home[chosen] == plane].tolist()) for plane in planes)
    return Stack(frame=stack.frame, heights_mm=stack.heights_mm[planes], planes=polygons)


def _stacked(contours: Sequence[Floats], grid: Grid | None, name: str) -> Stack:
    given = [np.asarray(one, float).reshape(-1, 3) for one in contours]
    kept = [one for one in given if len(one) >= 3 and np.isfinite(one).all() and np.linalg.norm(_normal(one)) > 1e-6]
    if not kept:
        raise MaskError(f"{name}: has no closed contour with three points or more; there is no structure to work on")
    kept, doubled = _distinct(kept)
    left_out = len(given) - len(kept) - doubled
    for count, what in ((left_out, "without area or with points that are no numbers"), (doubled, "drawn twice")):
        if count:
            warnings.warn(f"{name}: {count} contours {what} are left out", PtvkitWarning, stacklevel=4)
    frame = _frame(max((_normal(one) for one in kept), key=lambda n: float(np.linalg.norm(n))), grid)
    planes: list[tuple[float, list[Floats]]] = []
    for points in sorted((one @ frame for one in kept), key=lambda one: float(one[:, 2].mean())):
        height = float(points[:, 2].mean())
        if np.abs(points[:, 2] - height).max() > FLAT_MM:
            raise MaskError(f"{name}: a contour lies in another plane than the others, or in none; export it again")
        if planes and height - planes[-1][0] < SAME_MM:
            planes[-1][1].append(points[:, :2])
        else:
            planes.append((height, [points[:, :2]]))
    return Stack(
        frame=frame, heights_mm=np.array([h for h, _ in planes]), planes=tuple(tuple(found) for _, found in planes)
    )


def _distinct(contours: list[Floats]) -> tuple[list[Floats], int]:
    """Contours without those that repeat another: twice the same would be a hole in itself."""
    found = {np.round(one, 3).tobytes(): one for one in contours}
    return list(found.values()), len(contours) - len(found)


def _normal(points: Floats) -> Floats:
    """Normal of a polygon, as long as twice its area (Newell)."""
    around: Floats = np.cross(points - points[0], np.roll(points, -1, axis=0) - points[0]).sum(axis=0)
    return around


def _frame(normal: Floats, grid: Grid | None) -> Floats:
    """Axes of the planes and their normal; those of the image where it has such slices."""
    unit = normal / np.linalg.norm(normal)
    given = np.eye(3) if grid is None else grid.axes
    along = np.abs(given.T @ unit)
    third = int(along.argmax())
    if along[third] > np.cos(np.radians(0.5)):
        others = [axis for axis in range(3) if axis != third]
        return given[:, [*others, third]]
    # on no slice of the image: any two axes in the plane do
    unit = unit * np.sign(unit[np.abs(unit).argmax()])
    first = np.eye(3)[:, int(np.abs(unit).argmin())]
    first = first - unit * (first @ unit)
    first /= np.linalg.norm(first)
    return np.column_stack([first, np.cross(unit, first), unit])


def _step(stack: Stack, slice_mm: float | None, name: str) -> float:
    """Distance between planes that follow each other."""
    gaps = np.diff(stack.heights_mm)
    if not len(gaps):
        if slice_mm is None:
            raise MaskError(f"{name}: is drawn on one plane; give the image that it was drawn on, for its slices")
        return slice_mm
    own = float(np.median(gaps))
    if np.ptp(gaps) > UNEVEN * own:
        return float(gaps.min())
    # evenly on every second slice or so is how some draw; further apart it is other parts
    return own if slice_mm is None or own <= SPARSE * slice_mm else slice_mm


def _lattice(stack: Stack, step: float, grid: Grid | None, name: str) -> tuple[Grid, Floats]:
    """The working grid, and the (2, 2) rows of origin and spacing that take polygons to its nodes."""
    corners = np.concatenate([polygon for plane in stack.planes for polygon in plane])
    low, high = corners.min(axis=0), corners.max(axis=0)
    fine = FINE_MM if float((high - low).max()) > SMALL_MM else 0.5 * FINE_MM
    while True:
        spacing, origin = _in_plane(stack.frame, low, fine, grid)
        slices = max(1, round(step / fine))
        count = np.ceil((high - origin) / spacing).astype(int) + ROOM + 1
        extent = stack.heights_mm[-1] - stack.heights_mm[0] + 2 * step
        layers = int(np.ceil(extent / step)) * slices + 1
        if count.prod() * layers <= MOST_NODES or fine > 8:
            break
        fine *= 1.25
    affine = np.eye(4)
    affine[:3, :3] = stack.frame * [*spacing, step / slices]
    affine[:3, 3] = stack.frame @ [*origin, stack.heights_mm[0] - step]
    try:
        lattice = Grid(shape=(int(count[0]), int(count[1]), layers), affine=affine)
    except ValueError as error:
        raise MaskError(f"{name}: {error}") from None
    return lattice, np.stack([origin, spacing])


def _in_plane(frame: Floats, low: Floats, fine: float, grid: Grid | None) -> tuple[Floats, Floats]:
    """Spacing and first node (2,) along the two axes; pixels of the image are nodes."""
    spacing, start = np.full(2, fine), np.zeros(2)
    if grid is not None and np.allclose(np.abs(grid.axes.T @ frame).max(axis=0), 1.0, atol=1e-6):
        pixel = np.asarray(grid.spacing_mm)[np.abs(grid.axes.T @ frame[:, :2]).argmax(axis=0)]
        spacing = pixel / np.maximum(np.round(pixel / fine), 1)
        start = grid.affine[:3, 3] @ frame[:, :2]
    return spacing, start + (np.floor((low - start) / spacing) - ROOM) * spacing


def _edges(polygons: Sequence[Floats], to_nodes: Floats) -> Floats:
    """Edges (M, 4) in nodes; those that are run through twice, as a keyhole's channel is, cancel."""
    found = np.concatenate([np.hstack([one, np.roll(one, -1, axis=0)]) for one in polygons])
    ends = np.round(found / EDGE_MM).astype(np.int64)
    forwards = (ends[:, 0] > ends[:, 2]) | ((ends[:, 0] == ends[:, 2]) & (ends[:, 1] > ends[:, 3]))
    place = np.where(forwards[:, None], ends, ends[:, [2, 3, 0, 1]])
    _, group = np.unique(place, axis=0, return_inverse=True)
    group = group.reshape(-1)
    twice = np.bincount(group) // 2 * 2
    kept = found[_rank(group) >= twice[group]]
    origin, spacing = to_nodes
    scaled: Floats = (kept.reshape(-1, 2, 2) - origin) / spacing
    return np.ascontiguousarray(scaled.reshape(-1, 4))


def _rank(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The how-manieth of its group each entry is, from 0."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    begin = np.r_[0, np.flatnonzero(np.diff(ordered)) + 1]
    rank = np.arange(len(groups)) - np.repeat(begin, np.diff(np.r_[begin, len(groups)]))
    found = np.empty(len(groups), np.int64)
    found[order] = rank
    return found


def _warn_of_missing(heights: Floats, step: float, name: str) -> None:
    gaps = np.diff(heights)
    missing = int((np.rint(gaps[gaps > GAP * step] / step) - 1).sum())
    if missing:
        text = f"{name}: has no contour on {missing} slices between others, and is taken to be empty there"
        warnings.warn(text, PtvkitWarning, stacklevel=3)


def between(levels: Level, heights: Floats, step: float, nodes: Floats) -> Level:
    """Level (I, J, K) at the nodes' heights (K,), from that on the planes."""
    out = np.full((*levels.shape[1:], len(nodes)), REACH_MM, np.float32)
    segments = [(heights[0] - step, _ended(levels[0]), heights[0], levels[0])]
    for n, (a, b) in enumerate(pairwise(heights.tolist())):
        if b - a <= GAP * step:
            segments.append((a, levels[n], b, levels[n + 1]))
            continue
        segments.append((a, levels[n], a + step, _ended(levels[n])))
        segments.append((b - step, _ended(levels[n + 1]), b, levels[n + 1]))
    segments.append((heights[-1], levels[-1], heights[-1] + step, _ended(levels[-1])))
    for low, lower, high, upper in segments:
        for k in np.flatnonzero((nodes >= low - 1e-6) & (nodes <= high + 1e-6)):
            share = np.float32(np.clip((nodes[k] - low) / (high - low), 0.0, 1.0))
            np.minimum(out[:, :, k], lower + share * (upper - lower), out=out[:, :, k])
    return out


def _ended(level: Level) -> Level:
    """A slice beyond the last one: outside everywhere, so that the surface lies half way."""
    return np.abs(level)


def contours_of(region: Region, grid: Grid, axis: int = 2) -> dict[int, list[Floats]]:
    """Contours of a region on an image's slices: (N, 3) closed polygons, patient frame RAS+, mm, by slice number.

    Parameters
    ----------
    region : Region
    grid : Grid
        Of the image.
    axis : int
        Along which its slices follow each other.
    """
    from skimage import measure  # slow to load, and only writing needs it

    found: dict[int, list[Floats]] = {}
    for one in region.by_box():
        if one.is_empty:
            continue
        plane, slices = _plane_grid(one, grid, axis)
        level = np.moveaxis(one.sample_on(plane), axis, 0)
        for n, values in zip(slices, level, strict=True):
            if not (values < 0).any():
                continue
            rows = measure.find_contours(values, 0.0)  # type: ignore[no-untyped-call]
            full = [np.insert(one[:-1], axis, n - slices[0], axis=1) for one in rows if len(one) > 3]
            if full:
                found.setdefault(n, []).extend(plane.to_mm(one) for one in full)
    return found


def _plane_grid(region: Region, grid: Grid, axis: int) -> tuple[Grid, list[int]]:
    """The region's extent on the image's slices, with finer pixels in them."""
    points = grid.to_index(region.surface_points())
    factors = [max(1, round(h / max(0.5, min(region.grid.spacing_mm)))) for h in grid.spacing_mm]
    factors[axis] = 1
    low, high = np.floor(points.min(axis=0)).astype(int) - 1, np.ceil(points.max(axis=0)).astype(int) + 1
    box = grid.box(low.tolist(), high.tolist())
    return box.refined(factors), list(range(int(low[axis]), int(high[axis]) + 1))
