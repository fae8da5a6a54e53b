"""The connected parts of an array: voxels that share a face, an edge or a corner."""

import math

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel

Labels = NDArray[np.int32]


def labelled(array: NDArray[np.bool_]) -> tuple[Labels, NDArray[np.int64]]:
    """Number the connected parts from 1, in the order of their first voxels.

    Parameters
    ----------
    array : (I, J, K) bool

    Returns
    -------
    (I, J, K) int32
        0 outside.
    (N, 2, 3) int64
        First and last index (inclusive) of each part along each axis.
    """
    labels = np.zeros(array.shape, np.int32)
    # of eight voxels that all touch only the first can begin a part
    parent = np.zeros(1 + math.prod((n + 1) // 2 for n in array.shape), np.int32)
    count = _labelled(np.ascontiguousarray(array), labels, parent)
    boxes = np.empty((count, 2, 3), np.int64)
    boxes[:, 0], boxes[:, 1] = np.iinfo(np.int64).max, -1
    _numbered(labels, parent, boxes)
    return labels, boxes


@kernel
def _root(parent: Labels, label: int) -> int:
    while parent[label] != label:
        parent[label] = parent[parent[label]]
        label = parent[label]
    return label


@kernel
def _labelled(array: NDArray[np.bool_], labels: Labels, parent: Labels) -> int:
    """Union-find over the thirteen neighbours that come before; afterwards `parent` holds each label's number."""
    ni, nj, nk = array.shape
    used = 0
    for i in range(ni):
        for j in range(nj):
            for k in range(nk):
                if not array[i, j, k]:
                    continue
                own = 0
                for n in range(13):
                    a, b, c = i - 1 + n // 9, j - 1 + n // 3 % 3, k - 1 + n % 3
                    if a < 0 or b < 0 or b >= nj or c < 0 or c >= nk or labels[a, b, c] == 0:
                        continue
                    other = _root(parent, labels[a, b, c])
                    if own == 0:
                        own = other
                    elif other != own:
                        low, high = min(own, other), max(own, other)
                        parent[high] = low
                        own = low
                if own == 0:
                    used += 1
                    own = used
                    parent[own] = own
                labels[i, j, k] = own
    count = 0
    for label in range(1, used + 1):  # a root comes before all labels that lead to it
        if parent[label] == label:
            count += 1
            parent[label] = count
        else:
            parent[label] = parent[parent[label]]
    return count


@kernel
def _numbered(labels: Labels, parent: Labels, boxes: NDArray[np.int64]) -> None:
    ni, nj, nk = labels.shape
    for i in range(ni):
        for j in range(nj):
            for k in range(nk):
                if labels[i, j, k] == 0:
                    continue
                number = parent[labels[i, j, k]]
                labels[i, j, k] = number
                box = boxes[number - 1]
                box[0, 0], box[0, 1], box[0, 2] = min(box[0, 0], i), min(box[0, 1], j), min(box[0, 2], k)
                box[1, 0], box[1, 1], box[1, 2] = max(box[1, 0], i), max(box[1, 1], j), max(box[1, 2], k)
