"""Grids of files: errors name the file."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import GridError
from ptvkit.geometry.grid import Grid
from ptvkit.io.files import PathLike

SMALLEST_VOXEL_MM: Final = 0.05
"""Smaller than the voxels of any patient scanner; margins on smaller voxels would exceed memory."""


def grid_of_file(shape: tuple[int, ...], affine: NDArray[np.float64], path: PathLike) -> Grid:
    """Grid of a file's voxels.

    Raises
    ------
    GridError
        When the affine is sheared or singular, or the voxel size is implausible in mm.
    """
    try:
        grid = Grid(shape=(shape[0], shape[1], shape[2]), affine=affine)
    except GridError as error:
        raise GridError(f"{path}: {error}") from None
    if min(grid.spacing_mm) < SMALLEST_VOXEL_MM:
        sizes = " × ".join(f"{size:g}" for size in grid.spacing_mm)
        raise GridError(
            f"{path}: has voxels of {sizes} mm, less than {SMALLEST_VOXEL_MM:g} mm along an axis; is its unit mm?"
        )
    return grid
