"""DICOM files, opened so that whatever is in them ends in a value or in one clear line."""

import os
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, GridError, PtvkitWarning
from ptvkit.geometry.grid import Grid
from ptvkit.io.files import PathLike, open_input

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
DEEPEST: Final = 16
"""Sequences within sequences; radiotherapy files have five."""
PREAMBLE: Final = 128


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
    data = read_dataset(path, headers_only=True)
    return KINDS.get(str(data.get("SOPClassUID", "")), str(data.get("Modality", "unknown")))


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
                data: Dataset = pydicom.dcmread(file, stop_before_pixels=headers_only)
                _check_depth(data, 0)
        except _DAMAGE as error:
            raise _damaged(place, error) from None
    found = KINDS.get(str(data.get("SOPClassUID", "")), str(data.get("Modality", "unknown")))
    if kind is not None and found != kind:
        raise FileError(f"{place}: is of kind {found}; give one of kind {kind}")
    return data


class _NestingError(ValueError):
    """Sequences nested as no real file has them."""


_DAMAGE: Final = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, LookupError, ArithmeticError),
    *(RecursionError, MemoryError, NotImplementedError, struct.error, AssertionError, RuntimeError),
)
"""What a parser raises when a file is not what its lengths and types promise."""


def _damaged(path: Path, error: BaseException) -> FileError:
    why = " ".join(str(error).split())[:80] or type(error).__name__
    return FileError(f"{path}: is damaged or no DICOM that can be read ({why}); export it again")


def _check_depth(data: Any, depth: int) -> None:
    """Parse all sequences now, so that nothing is found to be wrong later on."""
    if depth > DEEPEST:
        raise _NestingError("sequences too deeply nested")
    for element in data:
        if element.VR == "SQ":
            for item in element.value or []:
                _check_depth(item, depth + 1)


def damage(path: PathLike) -> "_Guard":
    """A context in which what a file lacks, or has in a wrong type, becomes a `FileError` that names it."""
    return _Guard(Path(path))


class _Guard:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from ptvkit.errors import PtvkitError

        if isinstance(error, _DAMAGE) and not isinstance(error, PtvkitError):
            raise _damaged(self._path, error) from None


def numbers(values: Any, count: int, what: str) -> Floats:
    """Finite numbers of an element, so many."""
    found = np.array([float(value) for value in values], float)
    if found.shape != (count,) or not np.isfinite(found).all():
        raise ValueError(f"{what} needs {count} numbers")
    return found


def plane_axes(data: Any) -> tuple[Floats, Floats]:
    """Unit vectors (3,) along which an image's column and row numbers grow, RAS+."""
    cosines = numbers(data.ImageOrientationPatient, 6, "ImageOrientationPatient").reshape(2, 3) * TO_RAS
    across, down = cosines / np.linalg.norm(cosines, axis=1, keepdims=True)
    if abs(float(across @ down)) > 1e-3:
        raise ValueError("ImageOrientationPatient is not right-angled")
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
    try:
        return Grid(shape=(shape[1], shape[0], len(places)), affine=affine), order
    except GridError as error:
        raise GridError(f"{path}: {error}") from None


def told(path: PathLike, text: str) -> None:
    """Warn of something in a file."""
    warnings.warn(f"{path}: {text}", PtvkitWarning, stacklevel=4)
