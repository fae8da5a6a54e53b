"""Grids as files give them: what is wrong with one is said with the file's name."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import GridError
from ptvkit.geometry.grid import Grid
from ptvkit.io.files import PathLike

SMALLEST_VOXEL_MM: Final = 0.05
"""No scanner of patients has smaller voxels, and margins on them would need more memory than there is."""


def grid_of_file(shape: tuple[int, ...], affine: NDArray[np.float64], path: PathLike) -> Grid:
    """The grid of a file's voxels.

    Raises
    ------
    GridError
        When the affine is sheared or singular, or voxels are too small or too large to be a patient's in mm.
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
