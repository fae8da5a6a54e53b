"""One pass over a whole image: where the structure is."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Box = tuple[tuple[int, int, int], tuple[int, int, int]]


def bounding_box(array: NDArray[np.bool_]) -> Box | None:
    """First and last index (inclusive) of True along each axis, or None when there is none."""
    if array.size == 0:
        return None
    order = sorted(range(3), key=lambda axis: -abs(array.strides[axis]))
    lined = array.transpose(order).view(np.uint8)
    any_j = np.zeros((lined.shape[0], lined.shape[1]), np.uint8)
    any_k = np.zeros((lined.shape[0], lined.shape[2]), np.uint8)
    run_in_slices(_project, lined.shape[0], lined, any_j, any_k)
    if not any_j.any():
        return None
    hits = (any_j.any(axis=1), any_j.any(axis=0), any_k.any(axis=0))
    low, high = [0, 0, 0], [0, 0, 0]
    for axis, hit in zip(order, hits, strict=True):
        where = np.flatnonzero(hit)
        low[axis], high[axis] = int(where[0]), int(where[-1])
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


@kernel
def _project(
    start: int, stop: int, array: NDArray[np.uint8], any_j: NDArray[np.uint8], any_k: NDArray[np.uint8]
) -> None:
    for i in range(start, stop):
        for j in range(array.shape[1]):
            found = np.uint8(0)
            for k in range(array.shape[2]):
                found |= array[i, j, k]
            if found:
                any_j[i, j] = 1
                for k in range(array.shape[2]):
                    any_k[i, k] |= array[i, j, k]
