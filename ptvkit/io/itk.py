"""MetaImage and other images, through SimpleITK."""

import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, GridError, MaskError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.io.files import PathLike, open_input, write_whole
from ptvkit.io.grids import grid_of_file
from ptvkit.io.segment import Listed

LPS: Final = np.array([-1.0, -1.0, 1.0])
MOST_BYTES: Final = 4_000_000_000
LONGEST_HEADER: Final = 100_000
LARGEST: Final = 1e12


def itk_library() -> Any:
    """SimpleITK.

    Raises
    ------
    FileError
        When it is not installed.
    """
    try:
        import SimpleITK
    except ImportError:
        raise FileError('MetaImage files need SimpleITK; install it with  pip install "ptvkit[itk]"') from None
    return SimpleITK


def itk_structures(path: PathLike) -> list[Listed]:
    """List the labels of a label image.

    Raises
    ------
    FileError
        When it cannot be read.
    MaskError
        When its values are not labels.
    GridError
        When it is not three-dimensional or sheared.
    """
    place = Path(path)
    with open_input(place, "an .mha file") as file:
        start = _check_header(file, place)
    itk = itk_library()
    reader = itk.ImageFileReader()
    reader.SetFileName(str(place))
    try:
        with _own_words_unheard():
            reader.ReadImageInformation()
            size = reader.GetSize()
            if np.prod(size, dtype=float) > min(MOST_BYTES, 2000.0 * max(place.stat().st_size, 1)):
                raise RuntimeError(f"its header states {' × '.join(map(str, size))} voxels")
            image = reader.Execute()
            if start:
                _check_compressed(place, start, image.GetNumberOfPixels() * image.GetSizeOfPixelComponent())
    except (RuntimeError, MemoryError, OverflowError) as error:
        why = " ".join(str(error).split())[-100:]
        raise FileError(f"{place}: is damaged or cannot be read ({why}); write it again") from None
    array, grid = from_itk(image, place)
    if array.dtype.kind == "f" and (not np.isfinite(array).all() or np.abs(array - np.rint(array)).max() > 1e-3):
        raise MaskError(f"{place}: holds values that are not labels; give a segmentation")
    labels = [int(value) for value in np.unique(np.rint(array)) if value != 0]
    if len(labels) > 1000:
        raise MaskError(f"{place}: holds {len(labels)} values besides 0, more like an image; give a segmentation")
    return [
        Listed(name="", number=value, read=partial(_label, array, value, grid, f"{place} ({value})"))
        for value in labels
    ]


def _label(array: NDArray[Any], value: int, grid: Grid, name: str) -> Mask:
    return Mask.from_array(np.rint(array) == value, grid.affine, name=name)


def _check_header(file: BinaryIO, path: Path) -> int:
    """Check what the library does not: references to other files, implausible numbers, wrong sizes.

    Returns
    -------
    int
        Offset of compressed voxels; 0 for uncompressed ones.

    Raises
    ------
    FileError, GridError
    """
    content = file.read(LONGEST_HEADER)
    end = re.search(rb"^ElementDataFile *= *(.*?)\s*?\n", content, re.MULTILINE)
    if end is None:
        raise FileError(f"{path}: is damaged or no MetaImage (its header does not end); write it again")
    if end[1] != b"LOCAL":
        raise FileError(f"{path}: keeps its voxels in another file; save it as one .mha file")
    lines = content[: end.start()].decode("ascii", "replace").splitlines()
    header = {key.strip(): values.split() for key, _, values in (line.partition("=") for line in lines)}
    for key, values in header.items():
        for value in values:
            with suppress(ValueError):
                if not abs(float(value)) < LARGEST:  # it would search for the axes of such a matrix for ever
                    raise FileError(f"{path}: is damaged ({key[:40]} holds {float(value):g}); write it again")
    if header.get("NDims") != ["3"]:  # other numbers are where it crashes
        raise GridError(f"{path}: needs three axes and one value for each voxel")
    if header.get("CompressedData", ["False"])[:1] == ["False"]:
        return 0
    stored = os.fstat(file.fileno()).st_size - end.end()
    if header.get("CompressedDataSize") != [str(stored)]:
        raise FileError(f"{path}: is damaged (it holds {stored} bytes of voxels, unlike its header); write it again")
    return end.end()


def _check_compressed(path: Path, start: int, size: int) -> None:
    """Inflate the voxels: the library would accept voxels that it failed to inflate, with uninitialised memory."""
    stream, left = zlib.decompressobj(wbits=47), size
    with path.open("rb") as file:
        file.seek(start)
        while not stream.eof and left >= 0 and (chunk := stream.unconsumed_tail or file.read(1 << 20)):
            try:
                left -= len(stream.decompress(chunk, 1 << 24))
            except zlib.error as error:
                raise RuntimeError(str(error)) from None
    if not stream.eof or left:
        raise RuntimeError("its compressed voxels are unlike its header")


@contextmanager
def _own_words_unheard() -> Iterator[None]:
    """Capture the stderr output of the C++ library; it is printed unless an exception reports it."""
    try:
        stderr = os.dup(2)
    except OSError:  # a process without one
        yield
        return
    with TemporaryFile() as heard:
        try:
            os.dup2(heard.fileno(), 2)
            yield
            os.dup2(stderr, 2)
            heard.seek(0)
            os.write(2, heard.read())
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def from_itk(image: Any, path: PathLike) -> tuple[NDArray[Any], Grid]:
    """Voxels (I, J, K) and grid of a SimpleITK image.

    Raises
    ------
    GridError
    """
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise GridError(f"{path}: needs three axes and one value for each voxel")
    array = itk_library().GetArrayFromImage(image).transpose(2, 1, 0)
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = LPS[:, None] * direction * np.array(image.GetSpacing())
    affine[:3, 3] = LPS * np.array(image.GetOrigin())
    return array, grid_of_file(array.shape, affine, path)


def to_itk(array: NDArray[Any], grid: Grid) -> Any:
    """A SimpleITK image of voxels (I, J, K)."""
    itk = itk_library()
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
    itk = itk_library()
    place = Path(path)
    with write_whole(place) as file:
        # The library writes to a path: a temporary file in the same folder, copied from there.
        beside = place.parent / f"{Path(file.name).stem}.mha"
        try:
            itk.WriteImage(to_itk(labels, grid), str(beside), True)
            file.write(beside.read_bytes())
        except RuntimeError as error:
            raise FileError(f"{place}: cannot be written: {' '.join(str(error).split())[-100:]}") from None
        finally:
            beside.unlink(missing_ok=True)
