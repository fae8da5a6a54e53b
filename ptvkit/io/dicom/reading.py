"""Reading of DICOM files; damaged content raises a `FileError`."""

import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, GridError, PtvkitError, PtvkitWarning
from ptvkit.geometry.grid import Grid
from ptvkit.io.files import PathLike, open_input
from ptvkit.io.grids import grid_of_file

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Floats = NDArray[np.float64]

TO_RAS: Final = np.array([-1.0, -1.0, 1.0])
"""DICOM axes point left, posterior, superior (LPS)."""
KINDS: Final = {
    "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT",
    "1.2.840.10008.5.1.4.1.1.481.2": "RTDOSE",
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
}
COPIED: Final = (
    *("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID"),
    "PositionReferenceIndicator",
)
"""Patient and study elements that a derived file must carry."""
MOST_BYTES: Final = 2_000_000_000
MOST_INFLATED: Final = 256_000_000
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
DEEPEST: Final = 16
"""Depth of nested sequences; radiotherapy files have five."""
PREAMBLE: Final = 128
CONTOUR_DATA: Final = 0x30060050


def is_dicom(path: PathLike) -> bool:
    """Whether a file begins with the DICOM preamble."""
    try:
        with open(path, "rb") as file:
            return file.read(PREAMBLE + 4)[PREAMBLE:] == b"DICM"
    except OSError:
        return False


def kind_of(path: PathLike) -> str:
    """``RTSTRUCT``, ``RTDOSE``, ``SEG``, or the modality of another file.

    Raises
    ------
    FileError
    """
    return _kind(read_dataset(path, headers_only=True))


def _kind(data: "Dataset") -> str:
    return KINDS.get(str(data.get("SOPClassUID", "")), code_of(data, "Modality") or "unknown")


def code_of(data: "Dataset", name: str) -> str:
    """A code for messages; empty for any other text, which in a damaged file may be a patient's name."""
    code = str(data.get(name, ""))
    return code if re.fullmatch(r"[A-Z0-9_]{1,16}", code) else ""


def require_pydicom() -> Any:
    """Import pydicom, or raise a `FileError` that names the package to install."""
    try:
        import pydicom
    except ImportError:
        raise FileError('DICOM files need pydicom; install it with  pip install "ptvkit[dicom]"') from None
    return pydicom


def read_dataset(path: PathLike, *, kind: str | None = None, headers_only: bool = False) -> "Dataset":
    """Read a DICOM file.

    Parameters
    ----------
    path : path
    kind : str, optional
        Required kind, as `kind_of` returns it.
    headers_only : bool
        Skip the pixels.

    Raises
    ------
    FileError
        When the file cannot be read, is not DICOM, is damaged, or is of another kind.
    """
    pydicom = require_pydicom()
    place = Path(path)
    with open_input(place, "a DICOM file") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(PREAMBLE + 4)[PREAMBLE:] != b"DICM":
            raise FileError(f"{place}: is not a DICOM file; give one that begins with a preamble and DICM")
        if size > MOST_BYTES:
            raise FileError(f"{place}: has {size / 1e9:.1f} GB; files up to {MOST_BYTES / 1e9:.0f} GB are read")
        file.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _refuse_floods(file, place)
                file.seek(0)
                data: Dataset = pydicom.dcmread(file, stop_before_pixels=headers_only)
                _check_depth(data, 0)
        except PtvkitError:
            raise
        except OSError as error:
            if error.errno is not None:  # the disk's, not the parser's
                raise
            raise _damaged(place, error) from None
        except damage_types() as error:
            raise _damaged(place, error) from None
    if kind is not None and _kind(data) != kind:
        raise FileError(f"{place}: is of kind {_kind(data)}; give one of kind {kind}")
    return data


class DamageError(ValueError):
    """Reason for an error, without any text of the file that may identify a patient."""


_DAMAGE: Final = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, LookupError, ArithmeticError),
    *(RecursionError, MemoryError, NotImplementedError, struct.error, zlib.error, AssertionError, RuntimeError),
)
"""Exceptions of a parser for damaged content."""


def damage_types() -> tuple[type[Exception], ...]:
    """`_DAMAGE` and the exceptions of pydicom."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*_DAMAGE, BytesLengthException, InvalidDicomError)


def _refuse_floods(file: BinaryIO, place: Path) -> None:
    """Refuse a deflated file that is too large when inflated: the parser inflates it as a whole.

    Raises
    ------
    FileError
    """
    from pydicom.filereader import _read_file_meta_info, read_preamble  # they leave the file where the content begins

    read_preamble(file, force=False)
    if str(_read_file_meta_info(file).get("TransferSyntaxUID", "")) != DEFLATED:
        return
    stream, remaining = zlib.decompressobj(-zlib.MAX_WBITS), MOST_INFLATED
    while chunk := file.read(1 << 20):
        while chunk and remaining >= 0:
            remaining -= len(stream.decompress(chunk, 1 << 24))
            chunk = stream.unconsumed_tail
        if remaining < 0:
            raise FileError(
                f"{place}: holds more than {MOST_INFLATED // 10**6} MB when inflated; export it without compression"
            )


def _damaged(path: Path, error: BaseException) -> FileError:
    # The library's message may quote the file, for example a patient's name in another element.
    missing = getattr(error, "name", None) if isinstance(error, AttributeError) else None
    if missing:
        why = f"it has no {missing}"
    else:
        why = str(error) if isinstance(error, DamageError) else "its elements are not what they promise"
    return FileError(f"{path}: is damaged or not readable as DICOM ({why}); export it again")


def _check_depth(data: Any, depth: int) -> None:
    """Parse all sequences except contours, so that damage is detected here."""
    if depth > DEEPEST:
        raise DamageError("sequences too deeply nested")
    for tag in data.keys() - {CONTOUR_DATA}:
        element = data[tag]
        if element.VR == "SQ":
            for item in element.value or []:
                _check_depth(item, depth + 1)


@contextmanager
def damage(path: PathLike) -> Iterator[None]:
    """Context that turns missing elements and wrong types into a `FileError` that names the file."""
    try:
        with np.errstate(over="raise", invalid="raise"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pydicom")
            yield
    except PtvkitError:
        raise
    except damage_types() as error:
        raise _damaged(Path(path), error) from None


def numbers(values: Any, count: int, what: str) -> Floats:
    """Values of an element: exactly `count` finite numbers."""
    array = np.array([float(value) for value in values], float)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise DamageError(f"{what} needs {count} numbers")
    return array


def plane_axes(data: Any) -> tuple[Floats, Floats]:
    """Unit vectors (3,) of increasing column and row index, RAS+."""
    cosines = numbers(data.ImageOrientationPatient, 6, "ImageOrientationPatient").reshape(2, 3) * TO_RAS
    across, down = cosines / np.linalg.norm(cosines, axis=1, keepdims=True)
    if abs(float(across @ down)) > 1e-3:
        raise DamageError("ImageOrientationPatient is not right-angled")
    return across, down


def grid_of(
    across: Floats,
    down: Floats,
    spacing: Floats,
    shape: tuple[int, int],
    places: Floats,
    path: PathLike,
    *,
    thickness_mm: float | None = None,
) -> tuple[Grid, NDArray[np.int64]]:
    """Grid with array axes (column, row, slice) of slices in any order, and the order that sorts them.

    Parameters
    ----------
    across, down : (3,)
        From `plane_axes`.
    spacing : (2,)
        PixelSpacing: distance between rows, and between columns, mm.
    shape : (rows, columns)
    places : (N, 3)
        Centre of each slice's first pixel, RAS+, mm.
    thickness_mm : float, optional
        Slice thickness of a single slice.

    Raises
    ------
    GridError
        When slices are missing, duplicated, not collinear, or tilted.
    """
    normal = np.cross(across, down)
    heights = places @ normal
    order = np.argsort(heights, kind="stable")
    steps = np.diff(places[order], axis=0)
    rises = np.diff(heights[order])
    if not len(steps):
        if thickness_mm is None:
            raise GridError(f"{path}: a single slice has no slice distance; give the whole series")
        step = normal * thickness_mm
    else:
        step = np.median(steps, axis=0)
        usual = float(np.median(rises))
        if rises.min() < 0.05 or usual <= 0:
            raise GridError(f"{path}: two slices have the same position; remove the duplicate")
        if np.abs(rises - usual).max() > max(0.02 * usual, 0.05):
            at = int(np.abs(rises - usual).argmax())
            raise GridError(
                f"{path}: slices are {usual:g} mm apart, but {rises[at]:g} mm between number {at + 1} and {at + 2};"
                " give the whole series"
            )
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = across * spacing[1], down * spacing[0], step
    affine[:3, 3] = places[order[0]]
    return grid_of_file((shape[1], shape[0], len(places)), affine, path), order


def warn_about(path: PathLike, text: str) -> None:
    """Issue a warning about a file."""
    warnings.warn(f"{path}: {text}", PtvkitWarning, stacklevel=4)
