"""Small volumes for a page: an image cut around the targets, and the targets as labels."""

import base64
import gzip
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ptvkit.geometry.directions import OPPOSITES
from ptvkit.geometry.extent import extent
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.io.nifti import nifti_bytes
from ptvkit.report.convention import WINDOW_HU

VOXEL_MM: Final = 1.5
ROOM_MM: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictured:
    """A case as a page shows it.

    Attributes
    ----------
    name : str
    gtv, ctv, ptv : Mask or Region
        The GTV where there is one.
    image : (array, Grid), optional
    """

    name: str
    gtv: Mask | Region | None
    ctv: Mask | Region
    ptv: Mask | Region
    image: tuple[NDArray[np.generic], Grid] | None


def volumes_of(case: Pictured) -> dict[str, Any]:
    """A case's name, its targets as one label volume (PTV 1, CTV 2, GTV 3), and its image; NIfTI in base64."""
    reach = extent(as_region(case.ptv))
    low = np.array([reach[b] for _, b in OPPOSITES]) - ROOM_MM
    size = np.ceil((np.array([reach[a] for a, _ in OPPOSITES]) + ROOM_MM - low) / VOXEL_MM).astype(int) + 1
    affine = np.diag([VOXEL_MM] * 3 + [1.0])
    affine[:3, 3] = low
    grid = Grid(shape=(int(size[0]), int(size[1]), int(size[2])), affine=affine)
    labels = np.zeros(grid.shape, np.uint8)
    for value, structure in enumerate((case.ptv, case.ctv, case.gtv), start=1):
        if structure is not None:
            labels[as_region(structure).sample_on(grid) <= 0] = value
    found = {"name": case.name, "targets": _packed(labels, grid)}
    if case.image is not None:
        found["image"] = _packed(_windowed(*case.image, grid), grid)
    return found


def _windowed(image: NDArray[np.generic], source: Grid, grid: Grid) -> NDArray[np.uint8]:
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    index = np.moveaxis(source.to_index(points), -1, 0)
    low, high = WINDOW_HU
    values = ndimage.map_coordinates(np.asarray(image, np.float32), index, order=1, mode="constant", cval=low)
    found: NDArray[np.uint8] = (255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8)
    return found


def _packed(values: NDArray[np.uint8], grid: Grid) -> str:
    return base64.b64encode(gzip.compress(nifti_bytes(values, grid), mtime=0)).decode()
