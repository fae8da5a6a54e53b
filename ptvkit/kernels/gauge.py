"""Growing a level by the octant ellipsoid: by its gauge where the reach is long, to first order where it is short.

Lengths are in nodes. `SemiAxes` are ((towards lower index, towards higher index), …) for the three array axes.
"""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.envelope import crossing_cost, spread
from ptvkit.kernels.jit import kernel, run_in_slices
from ptvkit.kernels.level import FAR

Level = NDArray[np.float32]
SemiAxes = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

SHORT = 2.0
"""Below this many nodes a semi-axis is short: the surface moves less than the nodes can follow by their gauge."""
LEAST = 0.02
"""Semi-axis that stands for zero in the gauge, where it reaches no neighbour."""


def grown(level: Level, semi_axes: SemiAxes, spacing_mm: tuple[float, float, float]) -> Level:
    """Level of the Minkowski sum of {level < 0} with the octant ellipsoid.

    The level becomes ``(√cost − 1)·scale``, the least long semi-axis as scale: the distance to the new surface where
    the margin is that, cut off inside the old surface and two nodes outside the new one. Where the surface moves by
    less than two nodes along an axis, the level is the old one taken one first-order step,
    ``min over b of f(x − b) − ρ·h(∇f)``.

    Parameters
    ----------
    level : (I, J, K) float32, C-contiguous
        Negative inside, with enough room around it.
    """
    lengths = [length for pair in semi_axes for length in pair]
    if max(lengths) < SHORT:
        nowhere_else = np.zeros((1, 3), np.int64), np.ones(1)
        return _stepped(level, np.argwhere(np.ones(level.shape, bool)), semi_axes, nowhere_else).reshape(level.shape)
    least = min(length for length in lengths if length >= SHORT)
    limit = (1 + 1.8 / least) ** 2
    cost = gauge_cost(level, semi_axes, limit)
    flat = cost.reshape(-1)
    scale = min(n * h for pair, h in zip(semi_axes, spacing_mm, strict=True) for n in pair if n >= SHORT)
    run_in_slices(_level_of_cost, flat.size, flat, limit, _spacing_bias(semi_axes), scale)
    if min(lengths) < SHORT:
        short = _beside_short_steps(cost < 0, semi_axes)
        _put_in_mm(cost, level, _beside_crossings(cost < 0) & ~short, semi_axes, spacing_mm, scale, limit)
        cost[short] = _stepped(level, np.argwhere(short), semi_axes, _long_offsets(semi_axes))
    return cost


def gauge_cost(level: Level, semi_axes: SemiAxes, limit: float) -> Level:
    """Squared gauge of each node from {level < 0}: 0 inside, 1 on the grown surface, inf above the limit.

    The sites are the three families of surface crossings, one per axis, at fractional positions, and the nodes inside.
    Each family spreads along the two other axes; two families share the last pass.
    """
    x, y, z = ((max(a, LEAST), max(b, LEAST)) for a, b in semi_axes)
    cost = crossing_cost(level, 0, *x)
    spread(cost, 1, *y, limit)
    other = crossing_cost(level, 1, *y)
    spread(other, 0, *x, limit)
    np.minimum(cost, other, out=cost)
    spread(cost, 2, *z, limit)
    other = crossing_cost(level, 2, *z)
    spread(other, 0, *x, limit)
    spread(other, 1, *y, limit)
    np.minimum(cost, other, out=cost)
    return cost


def _spacing_bias(semi_axes: SemiAxes) -> float:
    """Mean cost of missing the nearest surface point between sites, 1/18 node² per axis; none along a short axis."""
    return sum(0.5 * (a**-2 + b**-2) for a, b in semi_axes if min(a, b) >= SHORT) / 18


@kernel
def _level_of_cost(start: int, stop: int, cost: Level, limit: float, bias: float, scale: float) -> None:
    top = np.float32((np.sqrt(limit) - 1) * scale)
    for n in range(start, stop):
        c = cost[n]
        if c > limit:
            cost[n] = top
        else:
            cost[n] = (np.sqrt(max(c - bias, 0.0)) - 1) * scale


def _put_in_mm(
    grown_level: Level,
    level: Level,
    where: NDArray[np.bool_],
    semi_axes: SemiAxes,
    spacing_mm: tuple[float, float, float],
    scale_mm: float,
    limit: float,
) -> None:
    """Put a level of `scale_mm` for each gauge unit into mm of distance at some nodes, in place.

    Stepped levels are distances, and a surface between two nodes needs one measure at both. The gauge's slope there is
    that of the step to the nearest inside node.
    """
    offsets, costs = _offsets(semi_axes, limit)
    lengths = np.array([[max(a, LEAST), max(b, LEAST)] for a, b in semi_axes])
    length = np.where(offsets >= 0, lengths[:, 1], lengths[:, 0])
    slopes = offsets / (length**2 * spacing_mm)
    units_per_mm = np.sqrt((slopes**2).sum(axis=1) / np.maximum(costs, 1e-12))
    order = np.argsort(costs, kind="stable")
    index = np.argwhere(where)
    mm = np.full(len(index), scale_mm)
    run_in_slices(_nearest, len(index), level, index, offsets[order], 1 / np.maximum(units_per_mm[order], 1e-6), mm)
    grown_level[where] *= (mm / scale_mm).astype(np.float32)


def _offsets(semi_axes: SemiAxes, limit: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Whole offsets (N, 3) of a cost up to a limit, the origin excepted, and their costs."""
    reach = np.sqrt(limit)
    steps = [np.arange(-int(reach * a), int(reach * b) + 1) for a, b in semi_axes]
    costs = [
        np.where(n >= 0, n / max(b, LEAST), n / max(a, LEAST)) ** 2 for n, (a, b) in zip(steps, semi_axes, strict=True)
    ]
    cost = costs[0][:, None, None] + costs[1][None, :, None] + costs[2][None, None, :]
    kept = np.nonzero((cost <= limit) & (cost > 0))
    offsets = np.stack([n[index] for n, index in zip(steps, kept, strict=True)], axis=1)
    return offsets.astype(np.int64), cost[kept]


@kernel
def _nearest(
    start: int,
    stop: int,
    level: Level,
    where: NDArray[np.int64],
    offsets: NDArray[np.int64],
    worth: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """The worth of the first offset that leads back to an inside node; `out` stays where none does."""
    ni, nj, nk = level.shape
    for n in range(start, stop):
        for m in range(offsets.shape[0]):
            i, j, k = where[n, 0] - offsets[m, 0], where[n, 1] - offsets[m, 1], where[n, 2] - offsets[m, 2]
            if 0 <= i < ni and 0 <= j < nj and 0 <= k < nk and level[i, j, k] < 0:
                out[n] = worth[m]
                break


def _beside_crossings(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Nodes at either end of an edge that the surface crosses."""
    found = np.zeros(inside.shape, bool)
    for axis in range(3):
        along, mark = np.moveaxis(inside, axis, 0), np.moveaxis(found, axis, 0)
        crossed = along[1:] != along[:-1]
        mark[1:] |= crossed
        mark[:-1] |= crossed
    return found


def _beside_short_steps(inside: NDArray[np.bool_], semi_axes: SemiAxes) -> NDArray[np.bool_]:
    """Nodes within two of a surface crossing along a direction in which the surface moved a short way."""
    marked = np.zeros(inside.shape, bool)
    for axis, (minus, plus) in enumerate(semi_axes):
        along, mark = np.moveaxis(inside, axis, 0), np.moveaxis(marked, axis, 0)
        leaves = np.zeros(along.shape, bool)
        if plus < SHORT:
            leaves[:-1] |= along[:-1] & ~along[1:]
        if minus < SHORT:
            leaves[:-1] |= along[1:] & ~along[:-1]
        for shift in range(-1, 3):  # the crossing's two nodes, and one more on each side
            source = leaves[max(-shift, 0) : len(leaves) - max(shift, 0)]
            mark[max(shift, 0) : len(leaves) - max(-shift, 0)] |= source
    return marked


def _long_offsets(semi_axes: SemiAxes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Whole offsets (N, 3) in the body along its long semi-axes, and the scale ρ of what is left for the short ones."""
    ranges, costs = [], []
    for minus, plus in semi_axes:
        steps = np.arange(-int(minus) if minus >= SHORT else 0, (int(plus) if plus >= SHORT else 0) + 1)
        ranges.append(steps)
        costs.append(np.where(steps >= 0, (steps / max(plus, 1.0)) ** 2, (steps / max(minus, 1.0)) ** 2))
    cost = costs[0][:, None, None] + costs[1][None, :, None] + costs[2][None, None, :]
    kept = np.nonzero(cost <= 1.0)
    offsets = np.stack([steps[index] for steps, index in zip(ranges, kept, strict=True)], axis=1)
    return offsets.astype(np.int64), np.sqrt(1.0 - cost[kept])


def _stepped(
    level: Level,
    where: NDArray[np.int64],
    semi_axes: SemiAxes,
    reach: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> Level:
    """Level at the nodes `where`: least over the long offsets of the level there less what the short axes add."""
    short = np.array([[length if length < SHORT else 0.0 for length in pair] for pair in semi_axes])
    out = np.empty(len(where), np.float32)
    offsets, rest = reach
    run_in_slices(_step, len(where), level, where, offsets, rest, short, out)
    return out


@kernel
def _step(
    start: int,
    stop: int,
    level: Level,
    where: NDArray[np.int64],
    offsets: NDArray[np.int64],
    rest: NDArray[np.float64],
    short: NDArray[np.float64],
    out: Level,
) -> None:
    shape = level.shape
    at = np.empty(3, np.int64)
    for n in range(start, stop):
        best = np.inf
        for m in range(offsets.shape[0]):
            outside = False
            for axis in range(3):
                at[axis] = where[n, axis] - offsets[m, axis]
                outside |= at[axis] < 0 or at[axis] >= shape[axis]
            if outside:
                continue
            here = level[at[0], at[1], at[2]]
            if here >= FAR:
                best = min(best, here)
                continue
            total = 0.0
            for axis in range(3):
                if short[axis, 0] == 0 and short[axis, 1] == 0:
                    continue
                x = at[axis]
                at[axis] = max(x - 1, 0)
                before = level[at[0], at[1], at[2]]
                at[axis] = min(x + 1, shape[axis] - 1)
                after = level[at[0], at[1], at[2]]
                at[axis] = x
                slope = _slope(before, here, after)
                step = short[axis, 1] * slope if slope > 0 else -short[axis, 0] * slope
                total += step * step
            best = min(best, here - rest[m] * np.sqrt(total))
        out[n] = best


@kernel
def _slope(before: float, here: float, after: float) -> float:
    """Slope of the level per node, from the side that lies on the region's grid where the other lies beyond it."""
    if before >= FAR:
        return 0.0 if after >= FAR else after - here
    return here - before if after >= FAR else 0.5 * (after - before)
