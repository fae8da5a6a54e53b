"""The separate parts of a mask or a region: lesions."""

from typing import Final

import numpy as np
from scipy import ndimage

from ptvkit.errors import MaskError
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import embedded

NEIGHBOURS: Final = np.ones((3, 3, 3), bool)
"""Voxels belong together when they share a face, an edge or a corner."""


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
    labels, count = ndimage.label(mask.cropped, structure=NEIGHBOURS)
    if count == 1:
        return (mask,)
    sizes = np.bincount(labels.reshape(-1))[1:]
    order = np.argsort(-sizes, kind="stable") + 1
    windows = ndimage.find_objects(labels)
    found = []
    for number, label in enumerate(order, start=1):
        window = windows[label - 1]
        start = tuple(s.start + low for s, low in zip(window, mask.box[0], strict=True))
        name = f"{mask.name}, lesion {number}"
        inside = labels[window] == label
        found.append(Mask.from_box(inside, (start[0], start[1], start[2]), mask.grid, name=name))
    return tuple(found)


def largest(mask: Mask) -> Mask:
    """The part with the most voxels, as the protocol's boost takes the largest of several lesions."""
    return lesions(mask)[0]


def parts(region: Region) -> tuple[Region, ...]:
    """The connected parts of a region, by its nodes, the largest first; each keeps its own surface as it is."""
    labels, count = ndimage.label(region.level < 0, structure=NEIGHBOURS)
    if count <= 1:
        return (region,)
    order = np.argsort(-np.bincount(labels.reshape(-1))[1:], kind="stable") + 1
    found = []
    for number, label in enumerate(order, start=1):
        others = (labels > 0) & (labels != label)
        level = np.where(others, np.abs(region.level), region.level)
        name = f"{region.name}, lesion {number}"
        found.append(embedded(Region(level=level, grid=region.grid, name=name), [(3, 3)] * 3))
    return tuple(found)
