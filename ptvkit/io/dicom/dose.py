"""RTDOSE: dose grids of planning systems."""

from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.dose import Dose
from ptvkit.errors import DoseError, FileError
from ptvkit.io.dicom.reading import (
    COPIED,
    TO_RAS,
    DamageError,
    code_of,
    damage,
    grid_of,
    numbers,
    plane_axes,
    read_dataset,
    require_pydicom,
    warn_about,
)
from ptvkit.io.dicom.series import read_series
from ptvkit.io.files import PathLike, refuse_overwrite, write_whole

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

RTDOSE: Final = "1.2.840.10008.5.1.4.1.1.481.2"
WHOLE: Final = ("PLAN", "MULTI_PLAN", "PLAN_OVERVIEW")
UNCOMPRESSED: Final = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
STEPS: Final = 2**32 - 1
LONGEST_DECIMAL: Final = 16


def read_rtdose(path: PathLike, *, prescription_gy: float | None = None, frame: str | None = None) -> Dose:
    """Read a dose grid; offsets may increase or decrease, relative to the first plane or to the patient's origin.

    Raises
    ------
    FileError, GridError
        When the file is damaged, compressed, or its planes are not evenly spaced.
    DoseError
        When the dose is relative, or the file holds no dose.

    Warns
    -----
    PtvkitWarning
        When the dose is that of a part of a plan, such as a beam.
    """
    place = Path(path)
    data = read_dataset(place, kind="RTDOSE")
    with damage(place):
        units = code_of(data, "DoseUnits")
        if units != "GY":
            raise DoseError(f"{place}: its dose is in {units or 'no units'}, not Gy; export it as absolute dose")
        summation = code_of(data, "DoseSummationType")
        if summation not in WHOLE:
            warn_about(place, f"is the dose of a {summation or 'part that is not named'}, not of a whole plan")
        values, offsets = _values(data, place), _offsets(data)
        across, down = plane_axes(data)
        first = numbers(data.ImagePositionPatient, 3, "ImagePositionPatient") * TO_RAS
        normal = np.cross(across, down)
        places = first + offsets[:, None] * normal
        spacing = numbers(data.PixelSpacing, 2, "PixelSpacing")
        thickness = float(data.get("SliceThickness", None) or 0) or None
        grid, order = grid_of(across, down, spacing, values.shape[1:], places, place, thickness_mm=thickness)
        name = frame or str(data.get("FrameOfReferenceUID", "")) or None
    return Dose(
        values=np.ascontiguousarray(values[order].transpose(2, 1, 0)),
        grid=grid,
        prescription_gy=prescription_gy,
        frame=name,
        name=str(place),
    )


def _values(data: "Dataset", path: Path) -> NDArray[np.float32]:
    """Gy (planes, rows, columns)."""
    syntax = str(data.file_meta.get("TransferSyntaxUID", "")) if hasattr(data, "file_meta") else ""
    if syntax not in UNCOMPRESSED:
        raise FileError(f"{path}: its dose is compressed; export it without compression")
    rows, columns, planes = int(data.Rows), int(data.Columns), int(data.get("NumberOfFrames", 1) or 1)
    bits = int(data.BitsAllocated)
    if bits not in (16, 32) or min(rows, columns, planes) < 1:
        raise DamageError(f"{rows}×{columns}×{planes} values of {bits} bits")
    kind = np.dtype(f"{'i' if int(data.get('PixelRepresentation', 0)) else 'u'}{bits // 8}")
    kind = kind.newbyteorder(">" if syntax == UNCOMPRESSED[2] else "<")
    content = data.PixelData
    if len(content) < rows * columns * planes * kind.itemsize:
        raise DamageError(f"{len(content)} bytes of pixels, {rows * columns * planes * kind.itemsize} expected")
    stored = np.frombuffer(content, kind, rows * columns * planes).reshape(planes, rows, columns)
    scale = float(data.DoseGridScaling)
    if not np.isfinite(scale) or scale <= 0:
        raise DamageError(f"DoseGridScaling is {scale}")
    return (stored * scale).astype(np.float32)


def _offsets(data: "Dataset") -> NDArray[np.float64]:
    """Height of each plane above the first, along the cross product of rows and columns.

    DICOM has two ways (C.8.8.3.2): offsets from the first plane, which begin with 0, and the planes' z itself.
    """
    planes = int(data.get("NumberOfFrames", 1) or 1)
    if planes == 1:
        return np.zeros(1)
    stored = data.GridFrameOffsetVector
    offsets = numbers(stored, planes, "GridFrameOffsetVector")
    return offsets if offsets[0] == 0 else (offsets - offsets[0]) * _rising(data)


def _rising(data: "Dataset") -> float:
    """Sign of the plane normal along z of the DICOM frame; plane positions follow the patient, not the normal."""
    cosines = numbers(data.ImageOrientationPatient, 6, "ImageOrientationPatient").reshape(2, 3)
    return float(np.sign(np.cross(*cosines)[2]) or 1.0)


def write_rtdose(dose: Dose, path: PathLike, *, reference: PathLike) -> None:
    """Write a dose as RTDOSE with 32 bits, whole or not at all.

    Parameters
    ----------
    dose : Dose
    path : path
    reference : path
        Image series (folder or slice) that provides patient, study and frame of reference.

    Raises
    ------
    FileError
        When it cannot be written.
    DoseError
        When DICOM cannot represent the dose's left-handed axes.
    """
    pydicom = require_pydicom()
    refuse_overwrite([path], [reference])
    first = read_series(reference).slices[0]
    across, down, through = dose.grid.axes.T
    values = dose.values.transpose(2, 1, 0)
    origin, step = dose.grid.affine[:3, 3], dose.grid.spacing_mm[2]
    if float(np.cross(across, down) @ through) < 0:  # planes in the other order
        values, origin = values[::-1], dose.grid.to_mm([0, 0, dose.grid.shape[2] - 1])
    scale = float(values.max()) / STEPS
    data = _described(first, pydicom)
    data.ImagePositionPatient = _texts(origin * TO_RAS)
    data.ImageOrientationPatient = _texts([*(across * TO_RAS), *(down * TO_RAS)])
    data.PixelSpacing = _texts([dose.grid.spacing_mm[1], dose.grid.spacing_mm[0]])
    data.NumberOfFrames, data.Rows, data.Columns = values.shape
    data.GridFrameOffsetVector = _texts([n * step for n in range(len(values))])
    data.DoseGridScaling = _texts([scale])[0]
    scale = float(data.DoseGridScaling)
    stored = np.minimum(np.rint(values.astype(float) / scale), STEPS).astype("<u4")
    data.PixelData = np.ascontiguousarray(stored).tobytes()
    stream = BytesIO()
    data.save_as(stream, enforce_file_format=True)
    with write_whole(path) as file:
        file.write(stream.getvalue())


def _texts(values: Iterable[float]) -> list[str]:
    """Decimal strings of at most 16 characters, with the highest possible precision."""
    return [_text(float(value) + 0.0) for value in values]


def _text(value: float) -> str:
    texts = (f"{value:.{digits}g}" for digits in range(15, 0, -1))
    return next(text for text in texts if len(text) <= LONGEST_DECIMAL)


def _described(first: "Dataset", pydicom: Any) -> "Dataset":
    """Header elements other than the grid."""
    data: Dataset = pydicom.dataset.Dataset()
    now = datetime.now(UTC)
    data.SOPClassUID, data.SOPInstanceUID = RTDOSE, pydicom.uid.generate_uid()
    for name in COPIED:
        if name in first:
            data[name] = deepcopy(first[name])
    for name in ("StudyID", "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "StudyDate"):
        if name not in data:
            setattr(data, name, "")
    data.Modality, data.Manufacturer, data.SeriesInstanceUID = "RTDOSE", "ptvkit", pydicom.uid.generate_uid()
    data.OperatorsName, data.SeriesNumber, data.InstanceNumber = "", None, "1"
    data.SoftwareVersions = f"ptvkit {version('ptvkit')}"
    data.InstanceCreationDate, data.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 32, 32, 31
    data.FrameIncrementPointer = 0x3004000C
    data.SliceThickness = None
    data.DoseUnits, data.DoseType, data.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTDOSE, data.SOPInstanceUID
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta = meta
    return data
