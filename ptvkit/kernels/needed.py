"""The margin that each patient needs: a root of a monotone sum, for the worst of many points.

A point x of the target gets ``Σ w_k f(d(x + u_k) − m)`` with a margin m: d the distance from the target or a first PTV,
u_k a few displacements with weights w_k, f a falling dose curve. The m at which that reaches a level changes by no more
than x does, as d is a distance. Points are kept in a tree, and a whole cell is left out when its centre's m, and what m
can change within the cell, do not exceed the largest m so far. By how much m changes follows from its slope along the
surface and from second derivatives: of a distance κ/(1 + κd), κ the surface's curvature, less that curvature itself.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.field import Field, base_of, distances_at, moved_by, slope_at
from ptvkit.kernels.jit import kernel, run_in_slices

Floats = NDArray[np.float64]
Single = NDArray[np.float32]
Whole = NDArray[np.int64]

ROOT_MM = 1e-3
BENDING = 1.5
"""Factor on the second derivative of m: it holds also what the dose curve's own bend adds."""
ROUGH_MM = 0.05
"""What lattices add to the change of a distance."""


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
    """Points in cells: centres (N, 3) which are points themselves, radii (N,), children from `first` to `last`.

    With t from a cell's centre to a point of it, and n its outward normal (N, 3), ``n·t ≤ rise − falls |t|²/2``:
    `rise` and `falls` (N,); falls is the least curvature, 1/mm, and `sharp` (N,) the largest there and around.
    """

    centres: Floats
    radii: Floats
    normals: Floats
    rise: Floats
    falls: Floats
    sharp: Floats
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


class Patient(NamedTuple):
    """One patient's displacements (K, 3) in fractional index, rotations (F, 3, 3) or none, and weights (K,)."""

    moved: Floats
    turns: Floats
    weights: Floats


class Bounds(NamedTuple):
    """How far results matter, mm: none is below `least`.

    Who needs less than `floor`, or more than `ceiling`, is searched no further than to be sure of it: his m is then too
    small, on the right side of these.
    """

    least: float
    floor: float
    ceiling: float


def needed_of_worst(
    field: Field, tree: Tree, at: Positions, curve: Curve, level: float, sketch: Sketch, bounds: Bounds, hints: Whole
) -> tuple[Floats, Whole]:
    """For each patient the m (P,) that his worst point needs, and which point of the tree that is (P,).

    Parameters
    ----------
    field, tree, at, curve, sketch
    level : float
        That the sum must reach; a value of 0 or less asks for the largest distance, the curve unread.
    bounds : Bounds
    hints : (P,) array
        Points of the tree that are likely the worst; -1 for none.
    """
    count = len(at.shifts)
    needed, worst = np.full(count, bounds.least), np.zeros(count, np.int64)
    run_in_slices(_needed_of_worst, count, field, tree, at, curve, level, sketch, bounds, hints, needed, worst)
    return needed, worst


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
def curve_at(d: float, curve: Floats, first: float, step: float) -> float:
    """Value of a curve at a distance."""
    t = (d - first) * (1 / step)
    if t <= 0:
        return curve[0]
    n = int(t)
    if n >= len(curve) - 1:
        return curve[len(curve) - 1]
    return curve[n] + (t - n) * (curve[n + 1] - curve[n])


@kernel
def _steepness(d: float, curve: Floats, first: float, step: float) -> float:
    n = int(np.floor((d - first) / step))
    if n < 0 or n >= len(curve) - 1:
        return 0.0
    return curve[n] - curve[n + 1]


@kernel
def _sum(d: Floats, weights: Floats, curve: Floats, first: float, step: float, margin: float) -> float:
    total = 0.0
    for n in range(len(d)):
        total += weights[n] * curve_at(d[n] - margin, curve, first, step)
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
def _weighted_curve(
    distance: Single, weights: Floats, curve: Floats, first: float, step: float, margin: float, out: Floats
) -> None:
    for n in range(len(distance)):
        total = 0.0
        for k in range(len(weights)):
            total += weights[k] * curve_at(distance[n, k] - margin, curve, first, step)
        out[n] = total


@kernel
def _change(
    field: Field, tree: Tree, cell: int, patient: Patient, curve: Curve, level: float, m: float, d: Floats
) -> float:
    """How much larger the m of a cell's points can be than its centre's, by the slope and bend of m near `m`."""
    radius, normal = tree.radii[cell], tree.normals[cell]
    x, y, z, bend, total = _mean_slope(field, tree.centres[cell], tree.sharp[cell], patient, curve, level, m, d, radius)
    across = x * normal[0] + y * normal[1] + z * normal[2]
    if total <= 0 or across <= 0:
        return radius
    along = np.sqrt(max(x * x + y * y + z * z - across * across, 0.0))
    bent = max(BENDING * bend - across * tree.falls[cell], 0.0)
    return min(along * radius + across * tree.rise[cell] + bent * radius * radius / 2 + ROUGH_MM, radius)


@kernel
def _mean_slope(
    field: Field,
    point: Floats,
    sharp: float,
    patient: Patient,
    curve: Curve,
    level: float,
    m: float,
    d: Floats,
    radius: float,
) -> tuple[float, float, float, float, float]:
    """Slope of a point's m in the target's own frame, its second derivative, and the weight that they are of."""
    flat, shape, to = field.values.reshape(-1), field.values.shape, field.to_index
    moved, turns, weights = patient
    values, first, step = curve
    each, top = len(moved) // max(len(turns), 1), d.max()
    total = bend = x = y = z = 0.0
    for start in range(0, len(moved), each):
        p, q, r = base_of(to, point, turns, start // each)
        a = b = c = 0.0
        for n in range(start, start + each):
            if level > 0:
                weight = weights[n] * _steepness(d[n] - m, values, first, step)
            else:
                weight = 1.0 if d[n] > top - radius else 0.0
            if weight > 0:
                u, v, w = slope_at(flat, shape, p + moved[n, 0], q + moved[n, 1], r + moved[n, 2])
                a, b, c, total = a + weight * u, b + weight * v, c + weight * w, total + weight
                bend += weight * sharp / (1 + sharp * max(d[n], -0.5 / sharp))
        a, b, c = (
            to[0, 0] * a + to[1, 0] * b + to[2, 0] * c,
            to[0, 1] * a + to[1, 1] * b + to[2, 1] * c,
            to[0, 2] * a + to[1, 2] * b + to[2, 2] * c,
        )
        if len(turns):
            t = turns[start // each]
            a, b, c = (
                t[0, 0] * a + t[1, 0] * b + t[2, 0] * c,
                t[0, 1] * a + t[1, 1] * b + t[2, 1] * c,
                t[0, 2] * a + t[1, 2] * b + t[2, 2] * c,
            )
        x, y, z = x + a, y + b, z + c
    by = 1 / max(total, 1e-300)
    return x * by, y * by, z * by, bend * by, total


@kernel
def _first_place(field: Field, tree: Tree, patient: Patient, curve: Curve, level: float, least: float) -> int:
    """A leaf down the worst cells of each level: a good bound before the tree is searched."""
    d = np.empty(len(patient.moved))
    best, place, begin, end = least, 0, 0, tree.roots
    while begin < end:
        down = begin
        for cell in range(begin, end):
            distances_at(field, tree.centres[cell], patient.moved, patient.turns, d)
            best, better = _raised(d, patient.weights, curve, level, best)
            if better:
                place, down = cell, cell
        begin, end = tree.first[down], tree.last[down]
    return place


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
def _patient(field: Field, at: Positions, p: int) -> Patient:
    moved = np.empty((at.shifts.shape[1] * at.shifts.shape[2], 3))
    moved_by(field.to_index, at.shifts[p], moved)
    return Patient(moved, at.turns[p] if len(at.turns) else np.zeros((0, 3, 3)), at.weights[p].reshape(-1))


@kernel
def _left_out(
    field: Field,
    tree: Tree,
    cell: int,
    patient: Patient,
    curve: Curve,
    level: float,
    best: float,
    d: Floats,
) -> bool:
    """Whether no point of a cell needs more than `best`, by the distances of its centre."""
    radius = tree.radii[cell]
    if radius <= 0 or _cannot_exceed(d, patient.weights, curve, level, best - radius):
        return radius > 0 or _cannot_exceed(d, patient.weights, curve, level, best)
    change = _change(field, tree, cell, patient, curve, level, best - radius / 2, d)
    return _cannot_exceed(d, patient.weights, curve, level, best - change)


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
    hints: Whole,
    needed: Floats,
    worst: Whole,
) -> None:
    d = np.empty(at.shifts.shape[1] * at.shifts.shape[2])
    waiting = np.empty(len(tree.radii), np.int64)
    sketched = len(sketch.at.shifts) > 0
    rough = np.empty(sketch.at.shifts.shape[1] * sketch.at.shifts.shape[2])
    for p in range(start, stop):
        patient = _patient(field, at, p)
        few = _patient(sketch.field, sketch.at, p) if sketched else patient
        place = hints[p]
        if place < 0 and sketched:
            place = _first_place(sketch.field, tree, few, sketch.curve, level, bounds.least)
        elif place < 0:
            place = _first_place(field, tree, patient, curve, level, bounds.least)
        distances_at(field, tree.centres[place], patient.moved, patient.turns, d)
        needed[p], worst[p] = _raised(d, patient.weights, curve, level, bounds.least)[0], place
        best = max(needed[p], bounds.floor)
        count = tree.roots
        for cell in range(count):
            waiting[cell] = cell
        while count and best <= bounds.ceiling:
            count -= 1
            cell = waiting[count]
            if sketched:
                distances_at(sketch.field, tree.centres[cell], few.moved, few.turns, rough)
                if _left_out(sketch.field, tree, cell, few, sketch.curve, level, best - sketch.slack, rough):
                    continue
            distances_at(field, tree.centres[cell], patient.moved, patient.turns, d)
            best, better = _raised(d, patient.weights, curve, level, best)
            if better:
                needed[p], worst[p] = best, cell
            if _left_out(field, tree, cell, patient, curve, level, best, d):
                continue
            for child in range(tree.first[cell], tree.last[cell]):
                waiting[count] = child
                count += 1
