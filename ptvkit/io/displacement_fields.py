"""Displacement fields as files: NIfTI, and MetaImage through SimpleITK."""

import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, GridError
from ptvkit.geometry.warp import DisplacementField
from ptvkit.io.files import PathLike
from ptvkit.io.grids import grid_of_file
from ptvkit.io.itk import LPS, itk_library

FRAMES: Final = {"RAS": np.ones(3), "LPS": LPS}
"""Factors of the vectors' components towards R, A and S."""


def read_displacement_field(path: PathLike, *, vectors: str) -> DisplacementField:
    """Read a displacement field.

    Parameters
    ----------
    path : path
        ``.nii`` or ``.nii.gz`` of shape (I, J, K, 1, 3) or (I, J, K, 3), or ``.mha``; vectors in mm.
    vectors : {"LPS", "RAS"}
        Frame of the components, which files do not state: ITK, elastix and ANTs write LPS.

    Raises
    ------
    FileError
        When it cannot be read or holds no vectors, or `vectors` is missing.
    GridError
    """
    if vectors not in FRAMES:
        raise FileError(f"{path}: vectors {vectors!r}: give 'LPS' (as ITK, elastix and ANTs write) or 'RAS'")
    place = Path(path)
    if not place.is_file():
        raise FileError(f"{path}: no such file; check the path")
    name = place.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        values, affine = _from_nifti(place)
    elif name.endswith((".mha", ".nrrd")):
        values, affine = _from_itk(place)
    else:
        raise FileError(f"{path}: is no displacement field; give .nii, .nii.gz, .mha or .nrrd with three components")
    grid = grid_of_file(values.shape[:3], affine, path)
    return DisplacementField(vectors_mm=values.astype(float) * FRAMES[vectors], grid=grid, name=str(path))


def _from_nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    import nibabel

    loader: Any = nibabel
    try:
        image = loader.load(path)
        values = np.asarray(image.dataobj)
    except (loader.filebasedimages.ImageFileError, loader.spatialimages.HeaderDataError, zlib.error) as error:
        raise FileError(f"{path}: is damaged or cannot be read ({error}); write it again") from None
    except (OSError, ValueError, EOFError, OverflowError, MemoryError, TypeError) as error:
        raise FileError(f"{path}: is damaged or cannot be read ({error}); write it again") from None
    if values.dtype.kind not in "iuf":
        raise FileError(f"{path}: holds {values.dtype} values; a field has real numbers")
    if values.ndim == 5 and values.shape[3] == 1:
        values = values[:, :, :, 0]
    if values.ndim != 4 or values.shape[3] != 3:
        raise FileError(f"{path}: has shape {values.shape}; a field has three components, (I, J, K, 1, 3)")
    return values, np.asarray(image.affine, float)


def _from_itk(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    itk = itk_library()
    try:
        image = itk.ReadImage(str(path))
    except RuntimeError as error:
        raise FileError(f"{path}: is damaged or cannot be read ({' '.join(str(error).split())[-100:]})") from None
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 3:
        raise GridError(f"{path}: needs three axes and three components for each voxel")
    affine = np.eye(4)
    affine[:3, :3] = LPS[:, None] * np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = LPS * np.array(image.GetOrigin())
    return itk.GetArrayFromImage(image).transpose(2, 1, 0, 3), affine
