"""Tables over a lattice of shifts: filling look-ups, and histograms of shifts."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Floats = NDArray[np.float64]


def look_up(table: NDArray[np.float32], to_index: Floats, shifts: Floats) -> Floats:
    """Table's value at each shift, linearly interpolated; NaN beyond the table.

    Parameters
    ----------
    table : (I, J, K) float32
    to_index : (3, 4) float64
        From mm to fractional index in the table.
    shifts : (N, 3) float64
        mm.
    """
    out = np.empty(len(shifts))
    run_in_slices(_look_up, len(shifts), table, to_index, shifts, out)
    return out


def look_up_nearest(table: NDArray[np.int8], to_index: Floats, shifts: Floats) -> NDArray[np.int8]:
    """Table's value at its node next to each shift; −1 beyond the table."""
    out = np.empty(len(shifts), np.int8)
    run_in_slices(_look_up_nearest, len(shifts), table, to_index, shifts, out)
    return out


def spread_counts(counts: Floats, to_index: Floats, shifts: Floats) -> int:
    """Add each shift to the eight nodes around it, in place, in the order given; how many lie beyond the table."""
    return int(_spread_counts(counts, to_index, shifts))


@kernel
def _index(to_index: Floats, shift: Floats, axis: int) -> float:
    return (
        to_index[axis, 0] * shift[0] + to_index[axis, 1] * shift[1] + to_index[axis, 2] * shift[2] + to_index[axis, 3]
    )


@kernel
def _look_up(start: int, stop: int, table: NDArray[np.float32], to_index: Floats, shifts: Floats, out: Floats) -> None:
    ni, nj, nk = table.shape
    for n in range(start, stop):
        x, y, z = _index(to_index, shifts[n], 0), _index(to_index, shifts[n], 1), _index(to_index, shifts[n], 2)
        if not (0 <= x <= ni - 1 and 0 <= y <= nj - 1 and 0 <= z <= nk - 1):
            out[n] = np.nan
            continue
        i, j, k = min(int(x), ni - 2), min(int(y), nj - 2), min(int(z), nk - 2)
        u, v, w = x - i, y - j, z - k
        a = table[i, j, k] + w * (table[i, j, k + 1] - table[i, j, k])
        b = table[i, j + 1, k] + w * (table[i, j + 1, k + 1] - table[i, j + 1, k])
        c = table[i + 1, j, k] + w * (table[i + 1, j, k + 1] - table[i + 1, j, k])
        d = table[i + 1, j + 1, k] + w * (table[i + 1, j + 1, k + 1] - table[i + 1, j + 1, k])
        e = a + v * (b - a)
        out[n] = e + u * (c + v * (d - c) - e)


@kernel
def _look_up_nearest(
    start: int, stop: int, table: NDArray[np.int8], to_index: Floats, shifts: Floats, out: NDArray[np.int8]
) -> None:
    ni, nj, nk = table.shape
    for n in range(start, stop):
        x, y, z = _index(to_index, shifts[n], 0), _index(to_index, shifts[n], 1), _index(to_index, shifts[n], 2)
        if not (0 <= x <= ni - 1 and 0 <= y <= nj - 1 and 0 <= z <= nk - 1):
            out[n] = -1
        else:
            out[n] = table[int(x + 0.5), int(y + 0.5), int(z + 0.5)]


@kernel
def _spread_counts(counts: Floats, to_index: Floats, shifts: Floats) -> int:
    ni, nj, nk = counts.shape
    beyond = 0
    for n in range(len(shifts)):
        x, y, z = _index(to_index, shifts[n], 0), _index(to_index, shifts[n], 1), _index(to_index, shifts[n], 2)
        if not (0 <= x <= ni - 1 and 0 <= y <= nj - 1 and 0 <= z <= nk - 1):
            beyond += 1
            continue
        i, j, k = min(int(x), ni - 2), min(int(y), nj - 2), min(int(z), nk - 2)
        u, v, w = x - i, y - j, z - k
        counts[i, j, k] += (1 - u) * (1 - v) * (1 - w)
        counts[i, j, k + 1] += (1 - u) * (1 - v) * w
        counts[i, j + 1, k] += (1 - u) * v * (1 - w)
        counts[i, j + 1, k + 1] += (1 - u) * v * w
        counts[i + 1, j, k] += u * (1 - v) * (1 - w)
        counts[i + 1, j, k + 1] += u * (1 - v) * w
        counts[i + 1, j + 1, k] += u * v * (1 - w)
        counts[i + 1, j + 1, k + 1] += u * v * w
    return beyond
