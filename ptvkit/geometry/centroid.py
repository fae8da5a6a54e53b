"""The centroid of a region."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.region import Region
from ptvkit.kernels.occupancy import occupancy

Floats = NDArray[np.float64]


def centroid(region: Region) -> Floats:
    """Centroid (3,) of a region, patient frame RAS+, mm."""
    total, volume = np.zeros(3), 0.0
    for box in region.boxes:
        share = occupancy(box.level)
        sums = [share.sum(axis=tuple({0, 1, 2} - {a}), dtype=float) @ np.arange(n) for a, n in enumerate(share.shape)]
        weight = float(share.sum(dtype=float))
        here = weight * box.grid.voxel_volume_mm3
        total += here * box.grid.to_mm(np.array(sums) / max(weight, 1e-12))
        volume += here
    return total / volume
