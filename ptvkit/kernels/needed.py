"""The margin that each patient needs: a root of a monotone sum, for the worst of many points.

A point x of the target gets ``Σ w_k f(d(x + u_k) − m)`` with a margin m: d the distance from the target or a first PTV,
u_k a few displacements with weights w_k, f a falling dose curve. The m at which that reaches a level changes by no more
than x does, as d is a distance: points are kept in a tree, and a whole cell is left out when its centre's m and its
radius cannot exceed the largest m so far.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Floats = NDArray[np.float64]
Single = NDArray[np.float32]
Whole = NDArray[np.int64]

ROOT_MM = 1e-3
SMALL_MM = 4.0
SMOOTH = 0.5
"""Of the radius of small cells: within them a surface is smooth, and the m of its points changes less than they do."""


class Field(NamedTuple):
    """A distance on a lattice: values (I, J, K), mm, and (3, 4) from mm to fractional index."""

    values: Single
    to_index: Floats
    spacing_mm: Floats


class Curve(NamedTuple):
    """A falling curve of distance, linear between its knots: values (N,), the first knot and their step, mm."""

    values: Floats
    first_mm: float
    step_mm: float


class Positions(NamedTuple):
    """What patients' targets do: displacements (P, F, K, 3), weights (P, F, K), and rotations (P, F, 3, 3).

    The weights of a patient sum to 1; rotations have length 0 where nothing turns.
    """

    shifts: Floats
    weights: Floats
    turns: Floats


class Tree(NamedTuple):
    """Points in cells: centres (N, 3) which are points themselves, radii (N,), children from `first` to `last`."""

    centres: Floats
    radii: Floats
    first: Whole
    last: Whole
    roots: int


class Sketch(NamedTuple):
    """A rougher picture of the same patients, by which cells are left out that need less by `slack`, mm.

    Positions of length 0 for none.
    """

    field: Field
    at: Positions
    curve: Curve
    slack: float


class Bounds(NamedTuple):
    """How far results matter, mm: none is below `least`.

    Who needs less than `floor`, or more than `ceiling`, is searched no further than to be sure of it: his m is then too
    small, on the right side of these.
    """

    least: float
    floor: float
    ceiling: float


def needed_of_worst(
    field: Field, tree: Tree, at: Positions, curve: Curve, level: float, sketch: Sketch, *, bounds: Bounds
) -> tuple[Floats, Whole]:
    """For each patient the m (P,) that his worst point needs, and which point of the tree that is (P,).

    Parameters
    ----------
    field, tree, at, curve, sketch
    level : float
        That the sum must reach; a value of 0 or less asks for the largest distance, the curve unread.
    bounds : Bounds
    """
    count = len(at.shifts)
    needed, worst = np.full(count, bounds.least), np.zeros(count, np.int64)
    run_in_slices(_needed_of_worst, count, field, tree, at, curve, level, sketch, bounds, needed, worst)
    return needed, worst


def distances(field: Field, points: Floats, shifts: Floats, turns: Floats) -> Single:
    """Distance (N, F·K) of points (N, 3) for one patient's displacements (F, K, 3); see `needed_of_worst`."""
    out = np.empty((len(points), shifts.shape[0] * shifts.shape[1]), np.float32)
    _distances(*field, points, shifts, turns, out)
    return out


def weighted_curve(distance: Single, weights: Floats, curve: Curve, margin: float) -> Floats:
    """Sum (N,) over displacements of the curve at ``distance − margin``, distances (N, K)."""
    out = np.empty(len(distance))
    _weighted_curve(distance, weights, *curve, margin, out)
    return out


def curve_slope(curve: Curve, distance: Single) -> Floats:
    """How steeply the curve falls at distances of any shape."""
    at = np.clip((np.asarray(distance, float) - curve.first_mm) / curve.step_mm, 0, len(curve.values) - 2).astype(
        np.int64
    )
    found: Floats = (curve.values[at] - curve.values[at + 1]) / curve.step_mm
    return found


@kernel
def _at(values: Single, m: Floats, spacing: Floats, px: float, py: float, pz: float) -> float:
    """Trilinear; beyond the lattice the nearest value and the way there."""
    ni, nj, nk = values.shape
    x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
    y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
    z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
    u, v, w = min(max(x, 0.0), ni - 1.001), min(max(y, 0.0), nj - 1.001), min(max(z, 0.0), nk - 1.001)
    beyond = 0.0
    if u != x or v != y or w != z:
        a, b, c = (x - u) * spacing[0], (y - v) * spacing[1], (z - w) * spacing[2]
        beyond = np.sqrt(a * a + b * b + c * c)
    i, j, k = int(u), int(v), int(w)
    u, v, w = u - i, v - j, w - k
    low = (1 - v) * ((1 - w) * values[i, j, k] + w * values[i, j, k + 1])
    low += v * ((1 - w) * values[i, j + 1, k] + w * values[i, j + 1, k + 1])
    high = (1 - v) * ((1 - w) * values[i + 1, j, k] + w * values[i + 1, j, k + 1])
    high += v * ((1 - w) * values[i + 1, j + 1, k] + w * values[i + 1, j + 1, k + 1])
    return (1 - u) * low + u * high + beyond


@kernel
def _curve_at(d: float, curve: Floats, first: float, step: float) -> float:
    t = (d - first) / step
    if t <= 0:
        return curve[0]
    n = int(t)
    if n >= len(curve) - 1:
        return curve[len(curve) - 1]
    return curve[n] + (t - n) * (curve[n + 1] - curve[n])


@kernel
def _sum(d: Floats, weights: Floats, curve: Floats, first: float, step: float, margin: float) -> float:
    total, n = 0.0, 0
    for f in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            total += weights[f, k] * _curve_at(d[n] - margin, curve, first, step)
            n += 1
    return total


@kernel
def _root(
    d: Floats, weights: Floats, curve: Floats, first: float, step: float, level: float, low: float, high: float
) -> float:
    """Margin between `low`, where the sum is below the level, and `high`, by regula falsi kept from stalling."""
    below = _sum(d, weights, curve, first, step, low) - level
    above = _sum(d, weights, curve, first, step, high) - level
    while high - low > ROOT_MM:
        share = min(max(below / (below - above), 0.05), 0.95)
        cut = low + share * (high - low)
        value = _sum(d, weights, curve, first, step, cut) - level
        if abs(value) < 1e-7:
            return cut
        if value < 0:
            low, below = cut, value
            above *= 0.5
        else:
            high, above = cut, value
            below *= 0.5
    return high


@kernel
def _distances_at(
    values: Single, m: Floats, spacing: Floats, point: Floats, shifts: Floats, turns: Floats, out: Floats
) -> None:
    n = 0
    for f in range(shifts.shape[0]):
        x, y, z = point[0], point[1], point[2]
        if len(turns):
            r = turns[f]
            x, y, z = (
                r[0, 0] * x + r[0, 1] * y + r[0, 2] * z,
                r[1, 0] * x + r[1, 1] * y + r[1, 2] * z,
                r[2, 0] * x + r[2, 1] * y + r[2, 2] * z,
            )
        for k in range(shifts.shape[1]):
            out[n] = _at(values, m, spacing, x + shifts[f, k, 0], y + shifts[f, k, 1], z + shifts[f, k, 2])
            n += 1


@kernel
def _distances(
    values: Single, m: Floats, spacing: Floats, points: Floats, shifts: Floats, turns: Floats, out: Single
) -> None:
    row = np.empty(out.shape[1])
    for n in range(len(points)):
        _distances_at(values, m, spacing, points[n], shifts, turns, row)
        out[n] = row


@kernel
def _weighted_curve(
    distance: Single, weights: Floats, curve: Floats, first: float, step: float, margin: float, out: Floats
) -> None:
    for n in range(len(distance)):
        total = 0.0
        for k in range(len(weights)):
            total += weights[k] * _curve_at(distance[n, k] - margin, curve, first, step)
        out[n] = total


@kernel
def _first_bound(
    field: Field, tree: Tree, at: Positions, p: int, curve: Curve, level: float, least: float, d: Floats
) -> tuple[float, int]:
    """The m of one leaf, down the worst cells of each level: a good bound before the tree is searched."""
    turn = at.turns[p] if len(at.turns) else np.zeros((0, 3, 3))
    best, place, begin, end = least, 0, 0, tree.roots
    while begin < end:
        down = begin
        for cell in range(begin, end):
            _distances_at(field.values, field.to_index, field.spacing_mm, tree.centres[cell], at.shifts[p], turn, d)
            best, better = _raised(d, at.weights[p], curve, level, best)
            if better:
                place, down = cell, cell
        begin, end = tree.first[down], tree.last[down]
    return best, place


@kernel
def _raised(d: Floats, weights: Floats, curve: Curve, level: float, best: float) -> tuple[float, bool]:
    """The larger of a bound and a point's own m."""
    if level <= 0:
        return max(best, d.max()), d.max() > best
    if _sum(d, weights, curve.values, curve.first_mm, curve.step_mm, best) >= level:
        return best, False
    top = d.max() - curve.first_mm
    return _root(d, weights, curve.values, curve.first_mm, curve.step_mm, level, best, top), True


@kernel
def _cannot_exceed(d: Floats, weights: Floats, curve: Curve, level: float, bound: float) -> bool:
    """Whether a point's m is no larger than a bound."""
    if level <= 0:
        return bool(d.max() <= bound)
    return bool(_sum(d, weights, curve.values, curve.first_mm, curve.step_mm, bound) >= level)


@kernel
def _needed_of_worst(
    start: int,
    stop: int,
    field: Field,
    tree: Tree,
    at: Positions,
    curve: Curve,
    level: float,
    sketch: Sketch,
    bounds: Bounds,
    needed: Floats,
    worst: Whole,
) -> None:
    few = sketch.at
    d = np.empty(at.shifts.shape[1] * at.shifts.shape[2])
    rough = np.empty(few.shifts.shape[1] * few.shifts.shape[2])
    still = np.zeros((0, 3, 3))
    waiting = np.empty(len(tree.radii), np.int64)
    for p in range(start, stop):
        turn = at.turns[p] if len(at.turns) else still
        needed[p], worst[p] = _first_bound(field, tree, at, p, curve, level, bounds.least, d)
        best = max(needed[p], bounds.floor)
        count = tree.roots
        for cell in range(count):
            waiting[cell] = cell
        while count and best <= bounds.ceiling:
            count -= 1
            cell = waiting[count]
            radius = tree.radii[cell] * (SMOOTH if tree.radii[cell] < SMALL_MM else 1.0)
            centre = tree.centres[cell]
            if len(few.shifts):
                coarse = sketch.field
                _distances_at(coarse.values, coarse.to_index, coarse.spacing_mm, centre, few.shifts[p], still, rough)
                if _cannot_exceed(rough, few.weights[p], sketch.curve, level, best - radius - sketch.slack):
                    continue
            _distances_at(field.values, field.to_index, field.spacing_mm, centre, at.shifts[p], turn, d)
            best, better = _raised(d, at.weights[p], curve, level, best)
            if better:
                needed[p], worst[p] = best, cell
            if radius <= 0 or _cannot_exceed(d, at.weights[p], curve, level, best - radius):
                continue
            for child in range(tree.first[cell], tree.last[cell]):
                waiting[count] = child
                count += 1
