"""Growing and shrinking: the Minkowski sum with the octant ellipsoid, with a segment, and their reverse."""

from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MarginError
from ptvkit.geometry.boxes import for_each_box
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.reconstruct import as_region, check_structure
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import aligned, coarser, embedded, nodes_with
from ptvkit.kernels.gauge import grown
from ptvkit.margins.margin import PATIENT, Margin, MarginLike, as_margin, in_nodes
from ptvkit.margins.voxel import expand_voxels

Method = Literal["region", "voxel"]
Target = TypeVar("Target", Mask, Region)
Grown = TypeVar("Grown", Mask, Region, Phases)

MOST_NODES: Final = 20_000_000
"""Working nodes above which a large margin goes on on a coarser grid: 80 MB an array."""
FIRST_NODES: Final = 8


def expand(target: Grown, margin: MarginLike, *, method: Method = "region") -> Grown:
    """Grow a target by a margin in patient directions.

    The result is {x : min over y in the target of Σ cᵢ(xᵢ − yᵢ) ≤ 1} with cᵢ(d) = (d/m₊)² for d ≥ 0 and (d/m₋)² below:
    the Minkowski sum with eight octants of ellipsoids. For equal margins this is the Euclidean distance; a zero margin
    adds nothing in its direction.

    Parameters
    ----------
    target : Mask, Region or Phases
        A Mask gives a Mask on the same grid (what falls outside its image is lost, as the image has no room for it);
        a Region gives a Region, Phases give Phases.
    margin : Margin, float or str
        mm, along the patient's directions, also on oblique grids.
    method : {"region", "voxel"}
        ``"region"`` moves the sub-voxel surface. ``"voxel"`` is the classical rule, from voxel centre to voxel centre,
        exact; for masks, and for comparison with other tools: it loses about half a voxel.

    Raises
    ------
    MaskError
        When the mask is empty.
    MarginError
        When the method is unknown, or is ``"voxel"`` for a Region.

    Examples
    --------
    >>> array = np.zeros((40, 30, 12), bool)
    >>> array[18:22, 13:17, 5:7] = True
    >>> gtv = Mask.from_array(array, np.diag([1.0, 1.0, 3.0, 1.0]))
    >>> ptv = expand(gtv, 5)
    >>> ptv.grid.shape, ptv.volume_cc > gtv.volume_cc
    ((40, 30, 12), True)
    """
    if method not in ("region", "voxel"):
        raise MarginError(f"method {method!r}: use 'region' (sub-voxel) or 'voxel' (voxel centres)")
    margin = as_margin(margin)
    if not isinstance(target, Phases):
        check_structure(target)
    if not isinstance(target, Mask):
        if method == "voxel":
            raise MarginError("method 'voxel' counts voxel centres: give it a Mask, such as region.to_mask(grid)")
        if isinstance(target, Phases):
            return target.of_each(lambda region: dilate(region, margin))
        return dilate(target, margin)
    if method == "voxel":
        return expand_voxels(target, margin)
    return dilate(as_region(target), margin).to_mask(target.grid)


def contract(target: Target, margin: MarginLike) -> Target:
    """Shrink a target by a margin in patient directions.

    The erosion by the margin's body B, {x : x + B ⊂ target}: the surface moves inwards by `superior` at the superior
    side, and so on. It is the complement of the complement grown by the reflected body.

    Parameters
    ----------
    target : Mask or Region
        A Mask gives a Mask on the same grid, a Region a Region; either may be empty when nothing is left.
    margin : Margin, float or str
        mm, along the patient's directions.

    Examples
    --------
    >>> array = np.zeros((40, 30, 12), bool)
    >>> array[10:30, 5:25, 2:10] = True
    >>> mask = Mask.from_array(array, np.diag([1.0, 1.0, 3.0, 1.0]))
    >>> contract(mask, 3).box
    ((13, 8, 3), (26, 21, 8))
    """
    check_structure(target)
    margin = as_margin(margin)
    if isinstance(target, Mask):
        return erode(as_region(target), margin).to_mask(target.grid)
    return erode(target, margin)


def expand_along(
    target: Target, direction: ArrayLike, *, forward_mm: float, backward_mm: float = 0.0, lateral_mm: float = 0.0
) -> Target:
    """Grow a target by a margin along an arbitrary axis.

    Parameters
    ----------
    target : Mask or Region
    direction : (3,)
        The axis in the patient frame (LR, AP, SI), positive towards R, A, S; any length.
    forward_mm, backward_mm : float
        Margin along and against the direction, mm.
    lateral_mm : float
        Margin at right angles to it, mm. With 0 the target is swept along the axis; else it grows by octants of
        ellipsoids around the axis.

    Raises
    ------
    MarginError
        When the direction has no length, or a margin is not between 0 and 100 mm.
    """
    axis = np.asarray(direction, float)
    if axis.shape != (3,) or not np.isfinite(axis).all() or np.linalg.norm(axis) < 1e-9:
        raise MarginError(f"direction {direction!r}: give three numbers (LR, AP, SI), positive towards R, A, S")
    frame = _frame_along(axis / np.linalg.norm(axis))
    region = as_region(target)
    if lateral_mm == 0:
        found = sweep(region, frame[:, 2], forward_mm=forward_mm, backward_mm=backward_mm)
    else:
        lateral = Margin(right=lateral_mm, left=lateral_mm, anterior=lateral_mm, posterior=lateral_mm)
        found = dilate(region, lateral + Margin(superior=forward_mm, inferior=backward_mm), frame)
    return found.to_mask(target.grid) if isinstance(target, Mask) else found


def dilate(region: Region, margin: Margin, frame: NDArray[np.float64] = PATIENT) -> Region:
    """Region grown by the octant ellipsoid whose semi-axes R, A, S run along the columns of `frame`."""
    if margin.is_zero:
        return region
    return for_each_box(region, lambda one: _dilated(one, margin, frame))


def _dilated(region: Region, margin: Margin, frame: NDArray[np.float64]) -> Region:
    start = aligned(region, frame)
    nodes = in_nodes(start.grid, margin, frame)
    room = [(int(np.ceil(a)) + 3, int(np.ceil(b)) + 3) for a, b in nodes]
    longest = max(max(pair) for pair in nodes)
    if longest > 4 * FIRST_NODES and nodes_with(start, room) > MOST_NODES:
        # The bodies are convex: growing by a share and then by the rest is growing by the whole. After the first share
        # nothing is so thin that a grid twice as coarse could lose it.
        first = FIRST_NODES / longest
        grown_first = _dilated(start, margin.scaled(first), frame)
        return _dilated(coarser(grown_first), margin.scaled(1 - first), frame)
    start = embedded(start, room)
    return Region(level=grown(start.level, nodes, start.grid.spacing_mm), grid=start.grid, name=region.name)


def erode(region: Region, margin: Margin) -> Region:
    """Region shrunk by the margin's octant ellipsoid along the patient's directions."""
    if margin.is_zero:
        return region
    return for_each_box(region, lambda one: _eroded(one, margin))


def _eroded(region: Region, margin: Margin) -> Region:
    start = embedded(aligned(region, PATIENT), [(3, 3)] * 3)
    nodes = in_nodes(start.grid, margin.reflected)
    return Region(level=-grown(-start.level, nodes, start.grid.spacing_mm), grid=start.grid, name=region.name)


def sweep(region: Region, direction: NDArray[np.float64], *, forward_mm: float, backward_mm: float) -> Region:
    """Region swept along a unit vector (LR, AP, SI): the Minkowski sum with the segment from −backward to +forward, mm.

    The least of the level along the segment, linearly interpolated at its ends.
    """
    Margin(superior=forward_mm, inferior=backward_mm)  # refuses what is no margin
    if forward_mm == backward_mm == 0:
        return region
    return for_each_box(region, lambda one: _swept(one, direction, forward_mm, backward_mm))


def _swept(region: Region, direction: NDArray[np.float64], forward_mm: float, backward_mm: float) -> Region:
    start = aligned(region, _frame_along(direction))
    along = start.grid.axes.T @ direction
    axis = int(np.argmax(np.abs(along)))
    lengths = (backward_mm, forward_mm) if along[axis] > 0 else (forward_mm, backward_mm)
    minus, plus = (length / start.grid.spacing_mm[axis] for length in lengths)
    room = [(1, 1)] * 3
    room[axis] = (int(np.ceil(minus)) + 1, int(np.ceil(plus)) + 1)
    start = embedded(start, room)
    return Region(level=_least_along(start.level, axis, minus, plus), grid=start.grid, name=region.name)


def _frame_along(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal frame whose third column is the axis; the patient's own where the axis is one of them."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    first = np.cross(helper, axis)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(axis, first), axis], axis=1)


def _least_along(level: NDArray[np.float32], axis: int, minus: float, plus: float) -> NDArray[np.float32]:
    """Least of ``level[i − t]`` over t from −minus to plus, in nodes along an axis; far outside beyond the array."""
    lines = np.moveaxis(level, axis, 0)
    n = len(lines)
    out = np.full_like(lines, lines.max())
    for t in sorted({-minus, plus, *range(-int(minus), int(plus) + 1)}):
        low = int(np.floor(t))
        share = np.float32(t - low)
        first, last = max(low + (1 if share else 0), 0), min(n + low, n)
        moved = lines[first - low : last - low]
        if share:
            moved = (1 - share) * moved + share * lines[first - low - 1 : last - low - 1]
        np.minimum(out[first:last], moved, out=out[first:last])
    return np.ascontiguousarray(np.moveaxis(out, 0, axis))
