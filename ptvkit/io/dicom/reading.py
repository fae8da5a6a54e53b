"""DICOM files, opened so that whatever is in them ends in a value or in one clear line."""

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
"""DICOM's axes point left, posterior, superior."""
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
"""Of the patient and the study: what a file of theirs must carry, and nothing else."""
MOST_BYTES: Final = 2_000_000_000
MOST_INFLATED: Final = 256_000_000
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
DEEPEST: Final = 16
"""Sequences within sequences; radiotherapy files have five."""
PREAMBLE: Final = 128
CONTOUR_DATA: Final = 0x30060050


def is_dicom(path: PathLike) -> bool:
    """Whether a file begins as DICOM files do."""
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
    """A code that may be shown; not what else stands in its place in a damaged file, such as a patient's name."""
    found = str(data.get(name, ""))
    return found if re.fullmatch(r"[A-Z0-9_]{1,16}", found) else ""


def require_pydicom() -> Any:
    """The library; said plainly when it is not there."""
    try:
        import pydicom
    except ImportError:
        raise FileError('DICOM files need pydicom; install it with  pip install "ptvkit[dicom]"') from None
    return pydicom


def read_dataset(path: PathLike, *, kind: str | None = None, headers_only: bool = False) -> "Dataset":
    """A DICOM file's content.

    Parameters
    ----------
    path : path
    kind : str, optional
        What it must be, as `kind_of` tells.
    headers_only : bool
        Without pixels.

    Raises
    ------
    FileError
        When it cannot be read, is no DICOM file, is damaged, or is of another kind.
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
    """What is wrong with a file, in words that repeat nothing of a patient in it."""


_DAMAGE: Final = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, LookupError, ArithmeticError),
    *(RecursionError, MemoryError, NotImplementedError, struct.error, zlib.error, AssertionError, RuntimeError),
)
"""What a parser raises when a file is not what its lengths and types promise."""


def damage_types() -> tuple[type[Exception], ...]:
    """`_DAMAGE`, and the parser's own."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*_DAMAGE, BytesLengthException, InvalidDicomError)


def _refuse_floods(file: BinaryIO, place: Path) -> None:
    """Refuse a deflated file that holds far more than it weighs: the parser inflates it at once.

    Raises
    ------
    FileError
    """
    from pydicom.filereader import _read_file_meta_info, read_preamble  # they leave the file where the content begins

    read_preamble(file, force=False)
    if str(_read_file_meta_info(file).get("TransferSyntaxUID", "")) != DEFLATED:
        return
    stream, room = zlib.decompressobj(-zlib.MAX_WBITS), MOST_INFLATED
    while chunk := file.read(1 << 20):
        while chunk and room >= 0:
            room -= len(stream.decompress(chunk, 1 << 24))
            chunk = stream.unconsumed_tail
        if room < 0:
            raise FileError(
                f"{place}: holds more than {MOST_INFLATED // 10**6} MB when inflated; export it without compression"
            )


def _damaged(path: Path, error: BaseException) -> FileError:
    # the words of a library may hold what it stumbled over: a name that slipped into another element
    missing = getattr(error, "name", None) if isinstance(error, AttributeError) else None
    if missing:
        why = f"it has no {missing}"
    else:
        why = str(error) if isinstance(error, DamageError) else "its elements are not what they promise"
    return FileError(f"{path}: is damaged or no DICOM that can be read ({why}); export it again")


def _check_depth(data: Any, depth: int) -> None:
    """Parse all sequences now, so that nothing is found to be wrong later on; contours wait until they are read."""
    if depth > DEEPEST:
        raise DamageError("sequences too deeply nested")
    for tag in data.keys() - {CONTOUR_DATA}:
        element = data[tag]
        if element.VR == "SQ":
            for item in element.value or []:
                _check_depth(item, depth + 1)


@contextmanager
def damage(path: PathLike) -> Iterator[None]:
    """A context in which what a file lacks, or has in a wrong type, becomes a `FileError` that names it."""
    try:
        with np.errstate(over="raise", invalid="raise"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pydicom")
            yield
    except PtvkitError:
        raise
    except damage_types() as error:
        raise _damaged(Path(path), error) from None


def numbers(values: Any, count: int, what: str) -> Floats:
    """Finite numbers of an element, so many."""
    found = np.array([float(value) for value in values], float)
    if found.shape != (count,) or not np.isfinite(found).all():
        raise DamageError(f"{what} needs {count} numbers")
    return found


def plane_axes(data: Any) -> tuple[Floats, Floats]:
    """Unit vectors (3,) along which an image's column and row numbers grow, RAS+."""
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
        As from `plane_axes`.
    spacing : (2,)
        Between rows, and between columns, mm: DICOM's PixelSpacing.
    shape : (rows, columns)
    places : (N, 3)
        Centre of each slice's first pixel, RAS+, mm.
    thickness_mm : float, optional
        For a single slice.

    Raises
    ------
    GridError
        When slices are missing, doubled, not in a row, or tilted.
    """
    normal = np.cross(across, down)
    heights = places @ normal
    order = np.argsort(heights, kind="stable")
    steps = np.diff(places[order], axis=0)
    rises = np.diff(heights[order])
    if not len(steps):
        if thickness_mm is None:
            raise GridError(f"{path}: one slice does not tell how far apart slices are; give the whole series")
        step = normal * thickness_mm
    else:
        step = np.median(steps, axis=0)
        usual = float(np.median(rises))
        if rises.min() < 0.05 or usual <= 0:
            raise GridError(f"{path}: two slices lie in one place; remove the one that is twice")
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


def told(path: PathLike, text: str) -> None:
    """Warn of something in a file."""
    warnings.warn(f"{path}: {text}", PtvkitWarning, stacklevel=4)
