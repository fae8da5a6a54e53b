"""Distances of a target's points from a surface as the target moves and turns: look-ups in a lattice."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel

Floats = NDArray[np.float64]
Single = NDArray[np.float32]
Shape = tuple[int, int, int]


class Field(NamedTuple):
    """A distance on a lattice: values (I, J, K), mm, and (3, 4) from mm to fractional index."""

    values: Single
    to_index: Floats
    spacing_mm: Floats


def distances(field: Field, points: Floats, shifts: Floats, turns: Floats) -> Single:
    """Distance (N, F·K) of points (N, 3) for one patient's displacements (F, K, 3); see `needed_of_worst`."""
    out = np.empty((len(points), shifts.shape[0] * shifts.shape[1]), np.float32)
    _distances(field, points, shifts, turns, out)
    return out


@kernel
def _inside(flat: Single, nj: int, nk: int, x: float, y: float, z: float) -> float:
    """Trilinear, by an index within the lattice."""
    i, j, k = int(x), int(y), int(z)
    u, v, w = x - i, y - j, z - k
    one, row, layer = np.uint64(1), np.uint64(nk), np.uint64(nj * nk)
    near = np.uint64((i * nj + j) * nk + k)  # unsigned: no index is counted from the end
    far = near + layer
    a, b = flat[near], flat[near + row]
    low = a + w * (flat[near + one] - a)
    low += v * (b + w * (flat[near + row + one] - b) - low)
    a, b = flat[far], flat[far + row]
    high = a + w * (flat[far + one] - a)
    high += v * (b + w * (flat[far + row + one] - b) - high)
    return low + u * (high - low)


@kernel
def _beyond(flat: Single, shape: Shape, spacing: Floats, x: float, y: float, z: float) -> float:
    """Beyond the lattice: the nearest value and the way there."""
    ni, nj, nk = shape
    u, v, w = min(max(x, 0.0), ni - 1.001), min(max(y, 0.0), nj - 1.001), min(max(z, 0.0), nk - 1.001)
    a, b, c = (x - u) * spacing[0], (y - v) * spacing[1], (z - w) * spacing[2]
    return _inside(flat, nj, nk, u, v, w) + np.sqrt(a * a + b * b + c * c)


@kernel
def moved_by(m: Floats, shifts: Floats, out: Floats) -> None:
    """Displacements (F, K, 3) in fractional index, one after the other (F·K, 3)."""
    n = 0
    for f in range(shifts.shape[0]):
        for k in range(shifts.shape[1]):
            for a in range(3):
                out[n, a] = m[a, 0] * shifts[f, k, 0] + m[a, 1] * shifts[f, k, 1] + m[a, 2] * shifts[f, k, 2]
            n += 1


@kernel
def base_of(m: Floats, point: Floats, turns: Floats, f: int) -> tuple[float, float, float]:
    """Fractional index of a point after a fraction's rotation."""
    x, y, z = point[0], point[1], point[2]
    if len(turns):
        r = turns[f]
        x, y, z = (
            r[0, 0] * x + r[0, 1] * y + r[0, 2] * z,
            r[1, 0] * x + r[1, 1] * y + r[1, 2] * z,
            r[2, 0] * x + r[2, 1] * y + r[2, 2] * z,
        )
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3],
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3],
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3],
    )


@kernel
def distances_at(field: Field, point: Floats, moved: Floats, turns: Floats, out: Floats) -> None:
    """Distance (K,) of one point for one patient's rotations and displacements in fractional index (K, 3)."""
    flat, spacing, to = field.values.reshape(-1), field.spacing_mm, field.to_index
    ni, nj, nk = field.values.shape
    each = len(moved) // max(len(turns), 1)
    for start in range(0, len(moved), each):
        p, q, r = base_of(to, point, turns, start // each)
        for n in range(start, start + each):
            x, y, z = p + moved[n, 0], q + moved[n, 1], r + moved[n, 2]
            if x >= 0 and y >= 0 and z >= 0 and x < ni - 1 and y < nj - 1 and z < nk - 1:
                out[n] = _inside(flat, nj, nk, x, y, z)
            else:
                out[n] = _beyond(flat, (ni, nj, nk), spacing, x, y, z)


@kernel
def _distances(field: Field, points: Floats, shifts: Floats, turns: Floats, out: Single) -> None:
    row, moved = np.empty(out.shape[1]), np.empty((out.shape[1], 3))
    moved_by(field.to_index, shifts, moved)
    for n in range(len(points)):
        distances_at(field, points[n], moved, turns, row)
        out[n] = row


@kernel
def slope_at(flat: Single, shape: Shape, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Of the trilinear interpolation, by index; on the lattice's edge beyond it."""
    ni, nj, nk = shape
    u, v, w = min(max(x, 0.0), ni - 1.001), min(max(y, 0.0), nj - 1.001), min(max(z, 0.0), nk - 1.001)
    i, j, k = int(u), int(v), int(w)
    u, v, w = u - i, v - j, w - k
    one, row, layer = np.uint64(1), np.uint64(nk), np.uint64(nj * nk)
    near = np.uint64((i * nj + j) * nk + k)
    far = near + layer
    a, b, c, d = flat[near], flat[near + one], flat[near + row], flat[near + row + one]
    e, f, g, h = flat[far], flat[far + one], flat[far + row], flat[far + row + one]
    p = (1 - v) * ((1 - w) * (e - a) + w * (f - b)) + v * ((1 - w) * (g - c) + w * (h - d))
    q = (1 - u) * ((1 - w) * (c - a) + w * (d - b)) + u * ((1 - w) * (g - e) + w * (h - f))
    r = (1 - u) * ((1 - v) * (b - a) + v * (d - c)) + u * ((1 - v) * (f - e) + v * (h - g))
    return p, q, r
