"""Dilation of a binary array by any convex binary body, line by line."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices


def stamp(array: NDArray[np.bool_], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Union of the body placed at each True voxel, cut to the array.

    Parameters
    ----------
    array : (I, J, K) bool, C-contiguous
    body : (2a + 1, 2b + 1, 2c + 1) bool
        Centred; each of its lines along the last axis is one run (a convex body).
    """
    out = np.zeros_like(array)
    run_in_slices(_stamp, array.shape[0], array, *_runs(body), out)
    return out


def _runs(body: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets (N, 2) of the body's lines and their first and last offset (N, 2) along the last axis."""
    lines = np.argwhere(body.any(axis=2))
    filled = body[lines[:, 0], lines[:, 1]]
    centre = np.array(body.shape) // 2
    first = filled.argmax(axis=1) - centre[2]
    last = filled.shape[1] - 1 - filled[:, ::-1].argmax(axis=1) - centre[2]
    return lines - centre[:2], np.stack([first, last], axis=1)


@kernel
def _stamp(
    start: int,
    stop: int,
    array: NDArray[np.bool_],
    lines: NDArray[np.int64],
    runs: NDArray[np.int64],
    out: NDArray[np.bool_],
) -> None:
    ni, nj, nk = array.shape
    for i in range(start, stop):
        for n in range(lines.shape[0]):
            source_i = i - lines[n, 0]
            if not 0 <= source_i < ni:
                continue
            first, last = runs[n, 0], runs[n, 1]
            for j in range(max(0, lines[n, 1]), min(nj, nj + lines[n, 1])):
                source = array[source_i, j - lines[n, 1]]
                covered = 0  # voxels up to here are filled
                for k in range(nk):
                    if source[k]:
                        for at in range(max(covered, k + first), min(nk, k + last + 1)):
                            out[i, j, at] = True
                        covered = max(covered, k + last + 1)
