"""Points carried by rigid poses through a distance: how deep they end, on which side, and how many stay inside.

Points come in patches, each with a centre and a radius. A distance changes by at most 1 mm for each mm, so a patch
whose centre lies deeper than its radius below the best point cannot hold the answer.
"""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Floats = NDArray[np.float64]
CHUNK = 32
"""Shifts on a line that are worked out together."""
STEEPEST = 1.02
"""Slope of an interpolated distance, at most."""
SLACK_MM = 0.5
"""What an interpolated distance may rise above its slope of 1 within a patch."""


def deepest(
    poses: Floats,
    step_mm: Floats,
    floor_mm: float,
    distance: NDArray[np.float32],
    beyond: float,
    points: Floats,
    first: NDArray[np.int64],
    patches: Floats,
    to_mm: Floats,
) -> tuple[Floats, NDArray[np.int8]]:
    """Largest distance that any point reaches in each pose, mm, and the direction in which it lies.

    From one pose to the next no point's distance changes by more than the step, so that most patches need no look.

    Parameters
    ----------
    poses : (N, 3, 4) float64
        From mm to fractional index in `distance`.
    step_mm : (N,) float64
        What no point moves more than since the pose before; infinity where that is not known.
    floor_mm : float
        Distances come no lower than this.
    distance : (I, J, K) float32
    beyond : float
        Distance outside its grid.
    points : (M, 3) float64
        mm, ordered by patch.
    first : (K + 1,) int64
        Where each patch's points begin.
    patches : (K, 4) float64
        Centre and radius, mm.
    to_mm : (3, 3) float64
        From the distance's slope per node to its slope in the patient, per mm.

    Returns
    -------
    (N,) float64
    (N,) int8
        Direction of the slope there, 0 to 5 for R L A P S I; −1 at the floor.
    """
    found = np.empty(len(poses))
    side = np.empty(len(poses), np.int8)
    run_in_slices(
        _deepest, len(poses), poses, step_mm, floor_mm, distance, beyond, points, first, patches, to_mm, found, side
    )
    return found, side


def deepest_of_shifts(
    shape: tuple[int, int, int],
    first_shift: tuple[int, int, int],
    stride: tuple[int, int, int],
    floor_mm: float,
    distance: NDArray[np.float32],
    points: Floats,
    first: NDArray[np.int64],
    patches: Floats,
    to_mm: Floats,
    rows: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """`deepest` for a lattice of shifts by whole nodes, some of its rows.

    A point keeps its place between the nodes, so that it is read off for many shifts of a line at once.

    Parameters
    ----------
    shape : (3,) ints
        Of the lattice.
    first_shift, stride : (3,) ints
        Its first shift and its steps, in nodes of `distance`, which must hold every point at every shift.
    floor_mm : float
        Depths come no lower than this.
    points, patches : arrays
        As for `deepest`, but their positions in nodes of `distance`.
    rows : (2,) ints
        First and last row (exclusive) along the first axis.
    """
    found = np.empty((rows[1] - rows[0], *shape[1:]), np.float32)
    side = np.empty(found.shape, np.int8)
    begin = (first_shift[0] + rows[0] * stride[0], first_shift[1], first_shift[2])
    lines = found.shape[0] * shape[1]
    across = np.linalg.inv(to_mm)[:2]  # mm, of a step from line to line
    step_mm = float(np.linalg.norm(across * np.asarray(stride[:2])[:, None], axis=1).max())
    run_in_slices(_lines, lines, begin, stride, step_mm, floor_mm, distance, points, first, patches, to_mm, found, side)
    return found, side


def share_inside(
    poses: Floats,
    step_mm: Floats,
    distance: NDArray[np.float32],
    beyond: float,
    points: Floats,
    first: NDArray[np.int64],
    patches: Floats,
    width_mm: float,
    wanted: NDArray[np.bool_],
) -> Floats:
    """Share of the points inside {distance < 0} in each wanted pose, 1 in the others.

    A point counts in part where the surface passes within half of `width_mm`; patches that lie wholly inside or outside
    need no look at their points, nor do those that have not moved far enough to change: `step_mm` is as for `deepest`.
    Distances must be told at least as deep as the patches are wide.
    """
    share = np.ones(len(poses))
    run_in_slices(
        _share_inside, len(poses), poses, step_mm, distance, beyond, points, first, patches, width_mm, wanted, share
    )
    return share


@kernel
def _at(distance: NDArray[np.float32], x: float, y: float, z: float, beyond: float) -> float:
    ni, nj, nk = distance.shape
    if not (0 <= x < ni - 1 and 0 <= y < nj - 1 and 0 <= z < nk - 1):
        return beyond
    i, j, k = int(x), int(y), int(z)
    u, v, w = x - i, y - j, z - k
    a = distance[i, j, k] + w * (distance[i, j, k + 1] - distance[i, j, k])
    b = distance[i, j + 1, k] + w * (distance[i, j + 1, k + 1] - distance[i, j + 1, k])
    c = distance[i + 1, j, k] + w * (distance[i + 1, j, k + 1] - distance[i + 1, j, k])
    d = distance[i + 1, j + 1, k] + w * (distance[i + 1, j + 1, k + 1] - distance[i + 1, j + 1, k])
    e = a + v * (b - a)
    return e + u * (c + v * (d - c) - e)


@kernel
def _in_pose(pose: Floats, point: Floats, distance: NDArray[np.float32], beyond: float) -> float:
    x = pose[0, 0] * point[0] + pose[0, 1] * point[1] + pose[0, 2] * point[2] + pose[0, 3]
    y = pose[1, 0] * point[0] + pose[1, 1] * point[1] + pose[1, 2] * point[2] + pose[1, 3]
    z = pose[2, 0] * point[0] + pose[2, 1] * point[1] + pose[2, 2] * point[2] + pose[2, 3]
    return _at(distance, x, y, z, beyond)


@kernel
def _deepest(
    start: int,
    stop: int,
    poses: Floats,
    step_mm: Floats,
    floor_mm: float,
    distance: NDArray[np.float32],
    beyond: float,
    points: Floats,
    first: NDArray[np.int64],
    patches: Floats,
    to_mm: Floats,
    found: Floats,
    side: NDArray[np.int8],
) -> None:
    count = len(patches)
    bound = np.empty(count)
    likely = 0
    for n in range(start, stop):
        pose = poses[n]
        step = step_mm[n] if n > start else np.inf
        best, where, best_patch = floor_mm, -1, likely
        for turn in range(-1, count):
            p = likely if turn < 0 else turn
            if turn == likely:
                continue
            bound[p] = bound[p] + STEEPEST * step if step < np.inf else np.inf
            if bound[p] <= best:
                continue
            centre = _in_pose(pose, patches[p, :3], distance, beyond)
            bound[p] = min(bound[p], centre + patches[p, 3] + SLACK_MM)
            if bound[p] <= best:
                continue
            deep, at = -np.inf, 0
            for m in range(first[p], first[p + 1]):
                here = _in_pose(pose, points[m], distance, beyond)
                if here > deep:
                    deep, at = here, m
            bound[p] = deep
            if deep > best:
                best, where, best_patch = deep, at, p
        likely = best_patch
        found[n] = best
        side[n] = -1 if where < 0 else _side(pose, points[where], distance, beyond, to_mm)


@kernel
def _lines(
    start: int,
    stop: int,
    begin: tuple[int, int, int],
    stride: tuple[int, int, int],
    step_mm: float,
    floor: float,
    distance: NDArray[np.float32],
    points: Floats,
    first: NDArray[np.int64],
    patches: Floats,
    to_mm: Floats,
    found: NDArray[np.float32],
    side: NDArray[np.int8],
) -> None:
    _, nj, nk = found.shape
    here = np.empty(CHUNK, np.float32)
    best = np.empty(CHUNK, np.float32)
    where = np.empty(CHUNK, np.int32)
    one = np.empty(1, np.float32)
    before = np.full(nk, -1, np.int32)  # the deepest point of each shift on the line before: likely again
    # a patch below the best of a chunk comes nearer to it by so much with each line, at most: due some lines later
    nearer = np.float32(2 * STEEPEST * step_mm)
    due = np.zeros(((nk + CHUNK - 1) // CHUNK, len(patches)), np.int32)
    for line in range(start, stop):
        i, j = line // nj, line % nj
        if i % 2:  # to and fro, so that the next line is always a neighbour
            j = nj - 1 - j
        x, y = begin[0] + i * stride[0], begin[1] + j * stride[1]
        for k in range(0, nk, CHUNK):
            z, count = begin[2] + k * stride[2], min(CHUNK, nk - k)
            best[:] = floor
            where[:] = -1
            for t in range(count):
                m = before[k + t]
                if m >= 0:
                    at = z + t * stride[2]
                    _along(distance, points[m, 0] + x, points[m, 1] + y, points[m, 2] + at, stride[2], 1, one)
                    if one[0] > floor:
                        best[t], where[t] = one[0], m
            soon = due[k // CHUNK]
            for p in range(len(patches)):
                if line < soon[p]:
                    continue
                _along(distance, patches[p, 0] + x, patches[p, 1] + y, patches[p, 2] + z, stride[2], count, here)
                room = np.float32(patches[p, 3] + SLACK_MM)
                least = np.float32(np.inf)
                for t in range(count):
                    least = min(least, best[t] - here[t])
                if least >= room:
                    soon[p] = line + 1 + int((least - room) / nearer)
                    continue
                for m in range(first[p], first[p + 1]):
                    _along(distance, points[m, 0] + x, points[m, 1] + y, points[m, 2] + z, stride[2], count, here)
                    for t in range(count):
                        # of points equally deep the first, in whatever order they are seen
                        deeper = here[t] > best[t] or (here[t] == best[t] and m < where[t])
                        best[t] = here[t] if deeper else best[t]
                        where[t] = np.int32(m) if deeper else where[t]
            for t in range(count):
                found[i, j, k + t] = best[t]
                side[i, j, k + t] = -1
                m = where[t]
                before[k + t] = m
                if m >= 0:
                    at = z + t * stride[2]
                    side[i, j, k + t] = _steepest(
                        distance, points[m, 0] + x, points[m, 1] + y, points[m, 2] + at, floor, to_mm
                    )


@kernel
def _along(
    distance: NDArray[np.float32], x: float, y: float, z: float, step: int, count: int, out: NDArray[np.float32]
) -> None:
    """Distance at an index and at `count` - 1 more, `step` nodes apart along the last axis."""
    i, j, k = int(x), int(y), int(z)
    u, v, w = np.float32(x - i), np.float32(y - j), np.float32(z - k)
    one = np.float32(1)
    a, b, c, d = (one - u) * (one - v), (one - u) * v, u * (one - v), u * v
    if step == 1:  # a loop without gaps, which the compiler makes wide
        near, far = distance[i, j, k : k + count + 1], distance[i, j + 1, k : k + count + 1]
        near_up, far_up = distance[i + 1, j, k : k + count + 1], distance[i + 1, j + 1, k : k + count + 1]
        for t in range(count):
            low = a * near[t] + b * far[t] + c * near_up[t] + d * far_up[t]
            high = a * near[t + 1] + b * far[t + 1] + c * near_up[t + 1] + d * far_up[t + 1]
            out[t] = low + w * (high - low)
        return
    for t in range(count):
        n = k + t * step
        low = a * distance[i, j, n] + b * distance[i, j + 1, n]
        low += c * distance[i + 1, j, n] + d * distance[i + 1, j + 1, n]
        high = a * distance[i, j, n + 1] + b * distance[i, j + 1, n + 1]
        high += c * distance[i + 1, j, n + 1] + d * distance[i + 1, j + 1, n + 1]
        out[t] = low + w * (high - low)


@kernel
def _side(pose: Floats, point: Floats, distance: NDArray[np.float32], beyond: float, to_mm: Floats) -> int:
    """Direction of the patient in which the distance rises most at a point."""
    at = np.empty(3)
    for axis in range(3):
        at[axis] = pose[axis, 0] * point[0] + pose[axis, 1] * point[1] + pose[axis, 2] * point[2] + pose[axis, 3]
    return _steepest(distance, at[0], at[1], at[2], beyond, to_mm)


@kernel
def _steepest(distance: NDArray[np.float32], x: float, y: float, z: float, beyond: float, to_mm: Floats) -> int:
    dx = _at(distance, x + 0.5, y, z, beyond) - _at(distance, x - 0.5, y, z, beyond)
    dy = _at(distance, x, y + 0.5, z, beyond) - _at(distance, x, y - 0.5, z, beyond)
    dz = _at(distance, x, y, z + 0.5, beyond) - _at(distance, x, y, z - 0.5, beyond)
    best, code = -1.0, 0
    for axis in range(3):
        along = to_mm[axis, 0] * dx + to_mm[axis, 1] * dy + to_mm[axis, 2] * dz
        if abs(along) > best + 1e-9:
            best = abs(along)
            code = 2 * axis if along > 0 else 2 * axis + 1
    return code


@kernel
def _share_inside(
    start: int,
    stop: int,
    poses: Floats,
    step_mm: Floats,
    distance: NDArray[np.float32],
    beyond: float,
    points: Floats,
    first: NDArray[np.int64],
    patches: Floats,
    width: float,
    wanted: NDArray[np.bool_],
    share: Floats,
) -> None:
    n = start
    while n < stop:
        end = n + 1
        while end < stop and step_mm[end] < np.inf:
            end += 1
        # patch by patch, so that what poses near each other read stays in the cache
        share[n:end] = 0.0
        for p in range(len(patches)):
            way, until, held = 0.0, -np.inf, 0.0
            for q in range(n, end):
                way += STEEPEST * step_mm[q] if q > n else 0.0
                if not wanted[q]:
                    continue
                if way >= until:
                    held, clear = _held(poses[q], distance, beyond, points, first, patches, width, p)
                    until = way + clear
                share[q] += held
        for q in range(n, end):
            share[q] = share[q] / len(points) if wanted[q] else 1.0
        n = end


@kernel
def _held(
    pose: Floats,
    distance: NDArray[np.float32],
    beyond: float,
    points: Floats,
    first: NDArray[np.int64],
    patches: Floats,
    width: float,
    p: int,
) -> tuple[float, float]:
    """How many points of a patch count, and by how much distances may change until that does."""
    centre = _in_pose(pose, patches[p, :3], distance, beyond)
    clear = abs(centre) - (patches[p, 3] + 0.5 * width + SLACK_MM)
    if clear >= 0:
        return (float(first[p + 1] - first[p]) if centre < 0 else 0.0), clear
    total, clear = 0.0, np.inf
    for m in range(first[p], first[p + 1]):
        here = _in_pose(pose, points[m], distance, beyond)
        total += min(max(0.5 - here / width, 0.0), 1.0)
        clear = min(clear, abs(here) - 0.5 * width)
    return total, clear
