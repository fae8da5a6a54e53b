"""Masks and images in NIfTI files (``.nii``, ``.nii.gz``)."""

import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import EmptyMaskError, FileError, GridError, MaskError, PtvkitWarning
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.io.class_files import class_file, is_folder
from ptvkit.io.files import PathLike, refuse_overwrite, write_whole
from ptvkit.io.inflate import ByteSource, open_bytes
from ptvkit.io.labels import Label, as_labels, labels_in, names_as_extension, none_chosen, not_present, numbers_of
from ptvkit.io.nifti_header import NiftiHeader, make_header, read_header
from ptvkit.io.nnunet import dataset_beside

_BLOCK = 1 << 20
_LEVEL = 1
"""Masks are long runs of one value: level 1 packs them at 1 GB/s, and higher levels save little."""


def read_mask(path: PathLike, *, label: Label | None = None, name: str | None = None) -> Mask:
    """Read one structure from a NIfTI file.

    Parameters
    ----------
    path : path
        ``.nii`` or ``.nii.gz``, integers or floats that are whole numbers within a thousandth; or a folder of such
        files, one for each structure, of which `label` names one (as TotalSegmentator writes).
    label : int, str or several ints, optional
        Which label is the structure, by number, or by name where the header names labels (as TotalSegmentator's
        files do) or a ``dataset.json`` beside the file does (nnU-Net's, regions too). Several numbers are taken
        together. Not needed when the file holds one.
    name : str, optional
        What messages call the mask; by default its file, and the label where one was chosen.

    Returns
    -------
    Mask
        On the file's grid, patient frame RAS+ mm; the array is in Fortran order, as the file is.

    Raises
    ------
    FileError
        When the file cannot be read, is damaged, or is not a NIfTI image of plain numbers.
    MaskError
        When no voxel is inside, values are not labels, several labels are there and none was chosen, the chosen
        one is not there, or the file holds several volumes.
    GridError
        When the affine is sheared, singular or not finite.

    Warns
    -----
    PtvkitWarning
        When the file gives no patient orientation, or its sform and qform differ.

    Examples
    --------
    >>> import tempfile
    >>> array = np.zeros((7, 9, 11), np.uint8)
    >>> array[2:4, 3:6, 5] = 1
    >>> mask = Mask.from_array(array, np.diag([1.0, 2.0, 3.0, 1.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_mask(mask, Path(folder) / "gtv.nii.gz")
    ...     read_mask(Path(folder) / "gtv.nii.gz").box
    ((2, 3, 5), (3, 5, 5))
    """
    if is_folder(Path(path)):
        path, label = class_file(Path(path), label if isinstance(label, int) or label is None else str(label)), None
    with _open(Path(path)) as (source, header):
        chosen = None if label is None else _chosen(label, header)
        inside, present = _select(source, header, chosen)
    if label is not None and not present & (chosen or set()):
        raise not_present(label, present, _names(header), source.path)
    if not present:
        raise EmptyMaskError(f"{path}: is empty: no voxel is inside; give a mask that contains a structure")
    if label is None and len(present) > 1:
        raise none_chosen(present, _names(header), source.path)
    called = str(path) if label is None else f"{path} ({label})"
    return Mask.from_array(inside, header.grid.affine, name=name or called)


def read_labels(path: PathLike) -> dict[int, str]:
    """Label numbers that voxels hold, 0 excepted, with their names; a label without a name has ``""``.

    Raises
    ------
    FileError, MaskError, GridError
        As `read_mask`.
    """
    with _open(Path(path)) as (source, header):
        present: set[int] = set()
        for _, labels in _label_blocks(source, header):
            present |= labels_in(labels, source.path)
    names = _names(header)
    return {number: names.get(number, "") for number in sorted(present)}


def read_label_map(path: PathLike) -> tuple[NDArray[np.int32], Grid, dict[int, str]]:
    """All labels of a file at once: (I, J, K) whole numbers, their grid, and the names in the header.

    Raises
    ------
    FileError, MaskError, GridError
        As `read_mask`.
    """
    with _open(Path(path)) as (source, header):
        labels_read = _room(header, np.dtype(np.int32))
        for start, labels in _label_blocks(source, header):
            labels_in(labels, source.path)
            labels_read[start : start + labels.size] = labels
    return labels_read.reshape(header.grid.shape, order="F"), header.grid, dict(header.names)


def read_image(path: PathLike) -> tuple[NDArray[np.float32], Grid]:
    """Read the values of a scalar image, such as a CT.

    Returns
    -------
    array : (I, J, K) float32
        Scaled as the header says; in Fortran order, as the file is.
    grid : Grid
        Patient frame RAS+ mm.

    Raises
    ------
    FileError
        When the file cannot be read, is damaged, or holds several volumes.
    GridError
        When the affine is sheared, singular or not finite.
    """
    with _open(Path(path)) as (source, header):
        if header.volumes != 1:
            raise FileError(f"{path}: holds {header.volumes} volumes; give an image with one")
        values = _room(header, np.dtype(np.float32))
        with np.errstate(over="ignore", invalid="ignore"):
            for start, stored in _blocks(source, header):
                part = values[start : start + stored.size]
                part[:] = stored * header.slope + header.intercept if header.is_scaled else stored
    return values.reshape(header.grid.shape, order="F"), header.grid


def read_grid(path: PathLike) -> Grid:
    """Grid of an image, from its header alone; further axes than three are left out.

    Raises
    ------
    FileError
        When the file cannot be read or its header is damaged.
    GridError
        When the affine is sheared, singular or not finite.
    """
    with open_bytes(Path(path)) as source:
        return read_header(source).grid


def write_mask(mask: Mask, path: PathLike, *, overwrite_guard: Iterable[PathLike] = ()) -> None:
    """Write a mask, whole or not at all: uint8 0 and 1, sform and qform codes set, units mm.

    The same mask gives the same bytes.

    Parameters
    ----------
    mask : Mask
    path : path
        ``.nii`` or ``.nii.gz`` in a folder that exists; an older file is replaced.
    overwrite_guard : paths
        Inputs, which `path` must not be.

    Raises
    ------
    FileError
        When the file cannot be written, has another ending, or is one of the inputs.

    Warns
    -----
    PtvkitWarning
        When the grid is sheared so slightly that only the sform can hold it; the qform code is 0 then.
    """
    # Untouched pages of zeros take no memory, and the box is all there is to copy.
    array = np.zeros(mask.grid.shape, np.uint8, order="F")
    if mask.box is not None:
        low, high = mask.box
        array[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = mask.cropped
    _write(array, mask.grid, Path(path), "ptvkit binary mask", overwrite_guard)


def write_image(array: NDArray[Any], grid: Grid, path: PathLike, *, overwrite_guard: Iterable[PathLike] = ()) -> None:
    """Write a scalar image, whole or not at all: uint8 and int16 as they are, all else as float32.

    Parameters
    ----------
    array : (I, J, K)
        Values; bool becomes uint8.
    grid : Grid
        Of the same shape.
    path : path
        ``.nii`` or ``.nii.gz`` in a folder that exists; an older file is replaced.
    overwrite_guard : paths
        Inputs, which `path` must not be.

    Raises
    ------
    GridError
        When array and grid differ in shape.
    FileError
        When the file cannot be written, has another ending, or is one of the inputs.

    Examples
    --------
    >>> import tempfile
    >>> grid = Grid(shape=(7, 9, 11), affine=np.diag([-1.0, 2.0, 3.0, 1.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_image(np.full((7, 9, 11), -1000, np.int16), grid, Path(folder) / "ct.nii.gz")
    ...     values, same = read_image(Path(folder) / "ct.nii.gz")
    >>> float(values[0, 0, 0]), same.codes
    (-1000.0, ('L', 'A', 'S'))
    """
    if array.shape != grid.shape:
        raise GridError(f"{path}: an array of shape {array.shape} does not fit a grid of shape {grid.shape}")
    _write(array, grid, Path(path), "ptvkit image", overwrite_guard)


def write_labels(array: NDArray[Any], grid: Grid, path: PathLike, names: Mapping[int, str]) -> None:
    """Write labels with their names, whole or not at all: uint8 up to 255, else int16.

    Raises
    ------
    FileError
        When the file cannot be written or has another ending.
    """
    kind = np.uint8 if array.max(initial=0) <= np.iinfo(np.uint8).max else np.int16
    _write(array.astype(kind), grid, Path(path), "ptvkit labels", (), names_as_extension(names))


def nifti_bytes(array: NDArray[Any], grid: Grid) -> bytes:
    """A scalar image as the bytes of an uncompressed NIfTI file; stored as `write_image` does."""
    dtype = _stored_as(array.dtype)
    return b"".join([make_header(grid, dtype, "ptvkit image", Path("image.nii")), *_slices(array, dtype)])


@contextmanager
def _open(path: Path) -> Iterator[tuple[ByteSource, NiftiHeader]]:
    with open_bytes(path) as source:
        yield source, read_header(source)


def _chosen(label: Label, header: NiftiHeader) -> frozenset[int]:
    """Numbers of a label: by the header's own names, else by nnU-Net's."""
    numbers = numbers_of(label, header.names, header.path)
    if numbers or not isinstance(label, str):
        return numbers
    dataset = dataset_beside(header.path)
    return frozenset() if dataset is None else dataset.labels.get(label, frozenset())


def _names(header: NiftiHeader) -> Mapping[int, str]:
    """Names for messages and lists; a damaged dataset.json is no reason to refuse a label chosen by number."""
    if not header.names:
        with suppress(FileError):
            dataset = dataset_beside(header.path)
            return {} if dataset is None else dataset.names
    return header.names


def _select(
    source: ByteSource, header: NiftiHeader, chosen: frozenset[int] | None
) -> tuple[NDArray[np.bool_], set[int]]:
    """Return where the chosen labels are (any, when None), and which labels there are."""
    inside = _room(header, np.dtype(np.bool_))
    present: set[int] = set()
    for start, labels in _label_blocks(source, header):
        present |= labels_in(labels, source.path)
        part = inside[start : start + labels.size]
        if chosen is None:
            np.not_equal(labels, 0, out=part)
        elif len(chosen) == 1:
            np.equal(labels, next(iter(chosen)), out=part)
        else:
            part[:] = np.isin(labels, sorted(chosen))
    return inside.reshape(header.grid.shape, order="F"), present


def _label_blocks(source: ByteSource, header: NiftiHeader) -> Iterator[tuple[int, NDArray[Any]]]:
    if header.volumes != 1:
        raise MaskError(f"{source.path}: holds {header.volumes} volumes; give a mask with one")
    for start, stored in _blocks(source, header):
        yield start, as_labels(stored, header.slope, header.intercept, source.path)


def _blocks(source: ByteSource, header: NiftiHeader) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the stored numbers in runs that fit the processor's cache, each with the index of its first voxel."""
    start, size = 0, header.dtype.itemsize
    while start < header.grid.size:
        content = source.read(min(_BLOCK, (header.grid.size - start) * size))
        if not content or len(content) % size:
            raise FileError(f"{source.path}: is cut short (its voxels end too early); copy or write it again")
        stored = np.frombuffer(content, header.dtype)
        yield start, stored
        start += stored.size
    _check_rest(source, header)


def _check_rest(source: ByteSource, header: NiftiHeader) -> None:
    """Read to the end, where a compressed file has its checksum, unless there is a slice or more left."""
    slice_bytes = header.grid.shape[0] * header.grid.shape[1] * header.dtype.itemsize
    rest = 0
    while rest < slice_bytes and (more := len(source.read(min(_BLOCK, slice_bytes)))):
        rest += more
    if rest >= slice_bytes:
        warnings.warn(
            f"{source.path}: holds more voxels than its header tells, which are left out; write it again",
            PtvkitWarning,
            stacklevel=2,
        )


def _room(header: NiftiHeader, dtype: np.dtype[Any]) -> NDArray[Any]:
    # The pages are taken only as voxels arrive, so a header cannot take more memory than its file fills.
    try:
        return np.empty(header.grid.size, dtype)
    except MemoryError:
        needed = header.grid.size * dtype.itemsize / 1e9
        raise FileError(f"{header.path}: needs {needed:.1f} GB of memory; crop it or use a larger computer") from None


def _write(
    array: NDArray[Any], grid: Grid, path: Path, description: str, guard: Iterable[PathLike], extension: bytes = b""
) -> None:
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise FileError(f"{path}: not a known ending; name it .nii or .nii.gz")
    refuse_overwrite([path], guard)
    dtype = _stored_as(array.dtype)
    header = make_header(grid, dtype, description, path, extension)
    with write_whole(path) as file:
        pack = zlib.compressobj(_LEVEL, wbits=31) if name.endswith(".gz") else None
        blocks: Iterator[bytes | memoryview] = chain([header], _slices(array, dtype))
        for block in blocks:
            file.write(block if pack is None else pack.compress(block))
        if pack is not None:
            file.write(pack.flush())


def _stored_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype in (np.bool_, np.uint8):
        return np.dtype("u1")
    return np.dtype("<i2" if (dtype.kind, dtype.itemsize) == ("i", 2) else "<f4")


def _slices(array: NDArray[Any], dtype: np.dtype[Any]) -> Iterator[memoryview]:
    """Bytes of the voxels in file order, some slices at a time."""
    step = max(1, 4 * _BLOCK // (array.shape[0] * array.shape[1] * dtype.itemsize))
    for start in range(0, array.shape[2], step):
        part = array[:, :, start : start + step].astype(dtype, copy=False)
        yield part.ravel(order="F").view(np.uint8).data
