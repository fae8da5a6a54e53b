"""The header of a NIfTI file: what it holds and where that lies in the patient, checked before anything is read."""

import math
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from ptvkit.errors import FileError, GridError, PtvkitWarning
from ptvkit.geometry.grid import Grid, Triple
from ptvkit.io.grids import grid_of_file
from ptvkit.io.inflate import ACCEPTED, ByteSource
from ptvkit.io.labels import label_names

RawHeader = Any
"""One of nibabel's header classes, which carry no types."""

_HEADERS: Mapping[int, RawHeader] = {348: Nifti1Header, 540: Nifti2Header}
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {1: "metres", 3: "microns"}
_MOST_MM = 1e6
_MOST_EXTENSION = 1 << 24
_SAME_VOXEL = 1e-3
_COMMENT = 6
_LONGEST_AXIS = 32767

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiHeader:
    """What a NIfTI file says about itself.

    Attributes
    ----------
    path : Path
    grid : Grid
        The first three axes, patient frame RAS+ mm.
    volumes : int
        Product of the further axes.
    dtype : numpy dtype
        Integers or floats, in the file's byte order.
    slope, intercept : float
        Value = slope × stored + intercept.
    names : mapping
        Label names by number, from an extension; often empty.
    """

    path: Path
    grid: Grid
    volumes: int
    dtype: np.dtype[np.generic]
    slope: float
    intercept: float
    names: Mapping[int, str]

    @property
    def is_scaled(self) -> bool:
        """Whether stored numbers differ from values."""
        return (self.slope, self.intercept) != (1.0, 0.0)


def read_header(source: ByteSource) -> NiftiHeader:
    """Read the header and leave the source at the first voxel.

    Raises
    ------
    FileError
        When this is not a NIfTI image, its header is damaged, or it promises more voxels than the file can hold.
    GridError
        When the affine is missing a direction, sheared, singular or not finite.
    """
    path = source.path
    raw = _read_raw(source)
    if raw["magic"].item()[:3] not in (b"n+1", b"n+2"):
        raise FileError(f"{path}: is the header of a .hdr/.img pair, or damaged; convert it to one .nii.gz file")
    shape, volumes = _shape(raw, path)
    dtype = _dtype(raw, path)
    offset = _voxel_offset(raw, path)
    promised = offset + math.prod(shape) * volumes * dtype.itemsize
    if promised > source.capacity:
        raise FileError(
            f"{path}: its header promises {promised:.4g} bytes of voxels, more than the file can hold; it is cut short"
            " or damaged: copy or write it again"
        )
    slope, intercept = _scaling(raw, path)
    return NiftiHeader(
        path=path,
        grid=grid_of(raw, shape, path),
        volumes=volumes,
        dtype=dtype,
        slope=slope,
        intercept=intercept,
        names=_names(source, raw, offset),
    )


def make_header(grid: Grid, dtype: np.dtype[np.generic], description: str, path: Path, extension: bytes = b"") -> bytes:
    """Bytes of a ``.nii`` file before the first voxel: both codes 1 (scanner), units mm, no scaling, an extension.

    Raises
    ------
    FileError
        When an axis is longer than NIfTI-1 can say.
    GridError
        When single precision cannot hold the affine to a thousandth of a voxel.

    Warns
    -----
    PtvkitWarning
        When the qform, a rotation, cannot hold the affine to a thousandth of a voxel; its code is 0 then.
    """
    if max(grid.shape) > _LONGEST_AXIS:
        raise FileError(f"{path}: NIfTI holds at most {_LONGEST_AXIS} voxels along an axis, found {grid.shape}")
    raw: RawHeader = _HEADERS[348](endianness="<")
    raw.set_data_dtype(dtype)
    raw.set_data_shape(grid.shape)
    # Both from the affine as it will be read back, so that a file written anew keeps its bytes.
    affine = grid.affine.astype(np.float32).astype(np.float64)
    raw.set_qform(affine, code=1)
    raw.set_sform(affine, code=1)
    raw.set_xyzt_units("mm")
    extra = _as_extension(extension)
    raw["vox_offset"], raw["scl_slope"], raw["scl_inter"] = 352 + len(extra), 1, 0
    raw["descrip"] = description.encode()
    if not _is_same_place(grid, _array(raw.get_sform())):
        raise GridError(f"{path}: NIfTI cannot hold this affine precisely enough; move the origin nearer to the image")
    if not _is_same_place(grid, _array(raw.get_qform())):
        raw["qform_code"] = 0
        _warn(f"{path}: its grid is slightly sheared, which only the sform can hold; the qform code is 0")
    block: bytes = raw.binaryblock
    return block + bytes([len(extra) > 0, 0, 0, 0]) + extra


def _as_extension(content: bytes) -> bytes:
    """A header extension: its size, a multiple of 16, the code of a comment, and its content."""
    if not content:
        return b""
    size = 16 * -(-(len(content) + 8) // 16)
    return struct.pack("<ii", size, _COMMENT) + content.ljust(size - 8, b"\0")


def _read_raw(source: ByteSource) -> RawHeader:
    """Tell version and byte order from the first number, as the standard has it."""
    start = source.read(4)
    for order in "<>":
        size = struct.unpack(order + "i", start)[0] if len(start) == 4 else 0
        if size in _HEADERS:
            block = start + source.read(size - 4)
            if len(block) < size:
                raise FileError(f"{source.path}: is cut short (its header ends too early); copy or write it again")
            return _HEADERS[size](block, order, check=False)
    raise FileError(f"{source.path}: is not a NIfTI image; give {ACCEPTED}, or convert the image to one")


def _shape(raw: RawHeader, path: Path) -> tuple[Triple, int]:
    sizes = [int(n) for n in raw["dim"]]
    if not 1 <= sizes[0] <= 7 or min(sizes[1 : sizes[0] + 1]) < 1:
        raise FileError(f"{path}: its header gives the impossible size {sizes[1:]}; it is damaged: write it again")
    if sizes[0] < 3:
        raise FileError(f"{path}: has {sizes[0]} axes; give an image with three")
    return (sizes[1], sizes[2], sizes[3]), math.prod(sizes[4 : sizes[0] + 1])


def _dtype(raw: RawHeader, path: Path) -> np.dtype[np.generic]:
    try:
        dtype: np.dtype[np.generic] = raw.get_data_dtype()
    except (HeaderDataError, KeyError):
        code = int(raw["datatype"])
        raise FileError(f"{path}: holds the unknown data type {code}; it is damaged: write it again") from None
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise FileError(f"{path}: holds {_plain_name(dtype)} values, not plain numbers; convert it to uint8 or int16")
    return dtype


def _plain_name(dtype: np.dtype[np.generic]) -> str:
    if dtype.names:
        return "".join(dtype.names) + " colour"
    return "bit-packed" if dtype.kind == "V" else str(dtype.name)


def _voxel_offset(raw: RawHeader, path: Path) -> int:
    offset = float(raw["vox_offset"])
    least = int(raw["sizeof_hdr"]) + 4
    if offset == 0:
        return least
    if not (least <= offset < 2**62 and offset == int(offset)):
        raise FileError(f"{path}: its header puts the voxels at byte {offset:g}; it is damaged: write it again")
    return int(offset)


def _scaling(raw: RawHeader, path: Path) -> tuple[float, float]:
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0 or math.isnan(slope):
        return 1.0, 0.0
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise FileError(f"{path}: its header scales values by {slope:g} and {intercept:g}; write it again")
    return slope, intercept


def _names(source: ByteSource, raw: RawHeader, offset: int) -> dict[int, str]:
    """Read on to the first voxel; return the label names in the extensions on the way."""
    left = offset - int(raw["sizeof_hdr"])
    if left > _MOST_EXTENSION:
        while left > 0 and (skipped := source.read(min(left, _MOST_EXTENSION))):
            left -= len(skipped)
        return {}
    content = source.read(left)
    if len(content) < 4 or content[0] == 0:
        return {}
    names: dict[int, str] = {}
    at = 4
    while at + 8 <= len(content):
        size = struct.unpack_from(raw.endianness + "i", content, at)[0]
        if size < 8:
            break
        names |= label_names(content[at + 8 : at + size])
        at += size
    return names


def grid_of(raw: RawHeader, shape: Triple, path: Path) -> Grid:
    """Where a header places its voxels; `path` is what messages call it."""
    with np.errstate(all="ignore"):
        affine, other = _affines(raw, path)
        unit = int(raw["xyzt_units"]) & 7
        if unit not in _MM_PER_UNIT:
            raise FileError(f"{path}: its header gives lengths in the unknown unit {unit}; write it again in mm")
        affine[:3] *= _MM_PER_UNIT[unit]
        if np.abs(affine).max() > _MOST_MM:
            raise GridError(f"{path}: its affine places voxels beyond a kilometre; rewrite the image's geometry")
        grid = grid_of_file(shape, affine, path)
        if unit in _UNIT_NAMES:
            spacing = " × ".join(f"{s:g}" for s in grid.spacing_mm)
            _warn(f"{path}: gives lengths in {_UNIT_NAMES[unit]}, which makes its voxels {spacing} mm; check that")
        if other is not None and not _is_same_place(grid, other * np.array([[_MM_PER_UNIT[unit]]] * 3 + [[1.0]])):
            _warn(
                f"{path}: its sform and its qform place the image differently; the sform is used, other programs may"
                " differ: rewrite the image's geometry"
            )
        return grid


def _affines(raw: RawHeader, path: Path) -> tuple[Array, Array | None]:
    """Return the affine to use, and the qform where the sform goes before it and both are given."""
    sform = _array(raw.get_sform()) if int(raw["sform_code"]) > 0 else None
    qform = _qform(raw) if int(raw["qform_code"]) > 0 else None
    if sform is not None:
        return sform, qform
    if qform is not None:
        return qform, None
    _warn(
        f"{path}: gives no patient orientation (sform and qform codes are 0); assumed: first axis towards the left,"
        " second towards anterior, third towards superior. Check left and right, or rewrite the image's geometry"
    )
    return _array(raw.get_base_affine()), None


def _qform(raw: RawHeader) -> Array:
    # The standard reads a qfac of 0 as 1; nibabel refuses it.
    raw["pixdim"][0] = -1.0 if raw["pixdim"][0] < 0 else 1.0
    try:
        return _array(raw.get_qform())
    except (HeaderDataError, ValueError):
        return np.full((4, 4), np.nan)


def _array(matrix: object) -> Array:
    return np.array(matrix, dtype=np.float64)


def _is_same_place(grid: Grid, affine: Array) -> bool:
    corners = np.array(list(product(*((0, n - 1) for n in grid.shape))), dtype=np.float64)
    away = grid.to_index(corners @ affine[:3, :3].T + affine[:3, 3]) - corners
    return bool(np.abs(away).max() <= _SAME_VOXEL)


def _warn(message: str) -> None:
    warnings.warn(message, PtvkitWarning, stacklevel=2)
