"""Images that SimpleITK reads and writes: MetaImage and others."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, GridError, MaskError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.io.files import PathLike, open_input, write_whole
from ptvkit.io.segment import Segment

LPS: Final = np.array([-1.0, -1.0, 1.0])
MOST_BYTES: Final = 4_000_000_000


def _library() -> Any:
    try:
        import SimpleITK
    except ImportError:
        raise FileError('MetaImage files need SimpleITK; install it with  pip install "ptvkit[itk]"') from None
    return SimpleITK


def read_itk(path: PathLike) -> list[Segment]:
    """The labels of a label image.

    Raises
    ------
    FileError
        When it cannot be read.
    MaskError
        When its values are no labels.
    GridError
        When it is not three-dimensional or sheared.
    """
    place = Path(path)
    with open_input(place, "an .mha file"):
        pass
    itk = _library()
    reader = itk.ImageFileReader()
    reader.SetFileName(str(place))
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
        if np.prod(size, dtype=float) > min(MOST_BYTES, 2000.0 * max(place.stat().st_size, 1)):
            raise RuntimeError(f"its header promises {' × '.join(map(str, size))} voxels")
        image = reader.Execute()
    except (RuntimeError, MemoryError, OverflowError) as error:
        why = " ".join(str(error).split())[-100:]
        raise FileError(f"{place}: is damaged or cannot be read ({why}); write it again") from None
    array, grid = from_itk(image, place)
    if array.dtype.kind == "f" and (not np.isfinite(array).all() or np.abs(array - np.rint(array)).max() > 1e-3):
        raise MaskError(f"{place}: holds values that are no labels; give a segmentation")
    labels = [int(value) for value in np.unique(np.rint(array)) if value != 0]
    if len(labels) > 1000:
        raise MaskError(f"{place}: holds {len(labels)} values besides 0, more like an image; give a segmentation")
    return [
        Segment(name="", shape=Mask.from_array(array == value, grid.affine, name=f"{place} ({value})"), number=value)
        for value in labels
    ]


def from_itk(image: Any, path: PathLike) -> tuple[NDArray[Any], Grid]:
    """Voxels (I, J, K) and grid of a SimpleITK image.

    Raises
    ------
    GridError
    """
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise GridError(f"{path}: needs three axes and one value for each voxel")
    array = _library().GetArrayFromImage(image).transpose(2, 1, 0)
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = LPS[:, None] * direction * np.array(image.GetSpacing())
    affine[:3, 3] = LPS * np.array(image.GetOrigin())
    try:
        return array, Grid(shape=array.shape, affine=affine)
    except GridError as error:
        raise GridError(f"{path}: {error}") from None


def to_itk(array: NDArray[Any], grid: Grid) -> Any:
    """A SimpleITK image of voxels (I, J, K)."""
    itk = _library()
    image = itk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing_mm)
    image.SetDirection((LPS[:, None] * grid.axes).reshape(-1).tolist())
    image.SetOrigin((LPS * grid.affine[:3, 3]).tolist())
    return image


def write_itk(path: PathLike, labels: NDArray[np.uint16], grid: Grid) -> None:
    """Write a label image, whole or not at all.

    Raises
    ------
    FileError
    """
    itk = _library()
    place = Path(path)
    with write_whole(place) as file:
        # the library writes by name: beside, in the same folder, and from there
        beside = place.parent / f"{Path(file.name).stem}.mha"
        try:
            itk.WriteImage(to_itk(labels, grid), str(beside), True)
            file.write(beside.read_bytes())
        except RuntimeError as error:
            raise FileError(f"{place}: cannot be written: {' '.join(str(error).split())[-100:]}") from None
        finally:
            beside.unlink(missing_ok=True)
