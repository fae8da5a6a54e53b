"""The separate parts of a mask or a region: lesions."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MaskError
from ptvkit.geometry.box import Box
from ptvkit.geometry.grid import Triple
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.kernels.parts import labelled


def lesions(mask: Mask) -> tuple[Mask, ...]:
    """The connected parts of a mask, the largest first, each a mask on the same grid.

    Parts that hold the same number of voxels keep the order of the array. Voxels belong together when they share a
    face, an edge or a corner.

    Raises
    ------
    MaskError
        When the mask is empty.

    Examples
    --------
    >>> array = np.zeros((7, 9, 11), bool)
    >>> array[1, 1, 1] = array[3:5, 3:6, 5] = True
    >>> [int(part.array.sum()) for part in lesions(Mask.from_array(array, np.diag([1.0, 2.0, 3.0, 1.0])))]
    [6, 1]
    """
    if mask.box is None:
        raise MaskError(f"{mask.name}: is empty; there is no lesion to choose")
    pieces = connected(mask.cropped)
    if len(pieces) == 1:
        return (mask,)
    return tuple(
        Mask.from_box(inside, _triple(np.add(mask.box[0], start)), mask.grid, name=f"{mask.name}, lesion {number}")
        for number, (inside, start) in enumerate(pieces, start=1)
    )


def lesion_sizes(mask: Mask) -> list[int]:
    """Number of voxels in each connected part of a mask, the largest first."""
    labels, _ = labelled(mask.cropped)
    return sorted(np.bincount(labels.reshape(-1))[1:].tolist(), reverse=True)


def connected(array: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], Triple]]:
    """Connected parts of an array, the largest first: each cut to its bounding box, and its first index."""
    labels, boxes = labelled(array)
    windows = [_window(*box) for box in boxes]
    order = np.argsort(-np.bincount(labels.reshape(-1))[1:], kind="stable")
    return [(labels[windows[n]] == n + 1, _triple([s.start for s in windows[n]])) for n in order]


def largest(mask: Mask) -> Mask:
    """The part with the most voxels, as the protocol's boost takes the largest of several lesions."""
    return lesions(mask)[0]


def parts(region: Region) -> tuple[Region, ...]:
    """The connected parts of a region, by its nodes, the largest first; each keeps its own surface as it is."""
    pieces = [piece for box in region.boxes for piece in _pieces(box)]
    if len(pieces) <= 1:
        return (region,)
    pieces.sort(key=lambda piece: -piece[0])
    return tuple(
        Region(boxes=[box], name=f"{region.name}, lesion {number}") for number, (_, box) in enumerate(pieces, start=1)
    )


def in_boxes(region: Region) -> Region:
    """The region with each connected part in a box of its own, three nodes around it."""
    found = parts(region)
    return region if len(found) == 1 else Region(boxes=[one.boxes[0] for one in found], name=region.name)


def _pieces(box: Box) -> list[tuple[float, Box]]:
    """The connected parts of a box with the volume of their nodes, mm³."""
    labels, found = labelled(box.level < 0)
    if not len(found):
        return []
    sizes = (np.bincount(labels.reshape(-1))[1:] * box.grid.voxel_volume_mm3).tolist()
    if len(found) == 1:
        return [(sizes[0], box)]
    return [
        (size, _alone(box, labels, label, _window(*ends)))
        for label, (size, ends) in enumerate(zip(sizes, found, strict=True), start=1)
    ]


def _alone(box: Box, labels: NDArray[np.integer], label: int, window: tuple[slice, ...]) -> Box:
    """One part of a box with three nodes around it; what else is there is made outside."""
    room = [slice(max(s.start - 3, 0), min(s.stop + 3, n)) for s, n in zip(window, labels.shape, strict=True)]
    others = (labels[tuple(room)] > 0) & (labels[tuple(room)] != label)
    level = box.level[tuple(room)]
    own = Box(
        level=np.where(others, np.abs(level), level),
        grid=box.grid.box([s.start for s in room], [s.stop - 1 for s in room]),
    )
    return own.with_room([(3, 3)] * 3)


def _window(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[slice, ...]:
    return tuple(slice(a, b + 1) for a, b in zip(first.tolist(), last.tolist(), strict=True))


def _triple(index: ArrayLike) -> Triple:
    i, j, k = np.asarray(index, int).tolist()
    return i, j, k
