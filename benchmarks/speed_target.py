"""The target of the speed benchmarks: a sphere of 7 cm on a whole CT."""

import numpy as np

from ptvkit import Mask

SHAPE = (512, 512, 150)
SPACING = (0.98, 0.98, 3.0)
RADIUS_MM = 35.0


def target() -> Mask:
    """The mask of a sphere of 7 cm, a little off the voxel centres."""
    centre = np.array([240.3, 260.7, 70.4]) * SPACING
    reach = np.ceil(RADIUS_MM / np.asarray(SPACING)).astype(int) + 2
    low = np.floor(centre / SPACING).astype(int) - reach
    index = np.moveaxis(np.indices(2 * reach + 1), 0, -1) + low
    array = np.zeros(SHAPE, np.uint8)
    window = tuple(slice(a, a + 2 * n + 1) for a, n in zip(low, reach, strict=True))
    array[window] = np.linalg.norm(index * SPACING - centre, axis=-1) <= RADIUS_MM
    return Mask.from_array(array, np.diag([*SPACING, 1.0]), name="sphere")
