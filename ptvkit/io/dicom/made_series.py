"""Synthetic image series: a reference for contours and segments without a scan."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import GridError
from ptvkit.geometry.grid import Grid
from ptvkit.io.dicom.reading import TO_RAS, require_pydicom

SLOPE, INTERCEPT = 2, -1000


def write_series(
    folder: Path,
    grid: Grid,
    values: NDArray[np.int16] | None = None,
    *,
    frame: str = "",
    patient: tuple[str, str] = ("Phantom", "PHANTOM"),
) -> Path:
    """Write CT slices, one file per slice, with file names in no particular order.

    Parameters
    ----------
    folder : Path
        Created when missing.
    grid : Grid
        Right-handed axes (column, row, slice), as in DICOM.
    values : (I, J, K) int16 array, optional
        Stored values: ``2 × value - 1000`` HU; 0 by default.
    frame : str, optional
        UID of the frame of reference; a new one by default.
    patient : (name, identifier)

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    GridError
        When the grid is left-handed.
    """
    pydicom = require_pydicom()
    if np.linalg.det(grid.axes) < 0:
        raise GridError(f"{folder}: a DICOM series has right-handed axes; flip one axis of the image")
    folder.mkdir(parents=True, exist_ok=True)
    new = pydicom.uid.generate_uid
    study, series, frame = new(), new(), frame or new()
    names = np.random.default_rng(1).permutation(grid.shape[2])
    for n in range(grid.shape[2]):
        data = pydicom.dataset.Dataset()
        data.SOPClassUID, data.SOPInstanceUID = pydicom.uid.CTImageStorage, new()
        data.PatientName, data.PatientID = patient
        data.PatientBirthDate, data.PatientSex, data.StudyDate, data.StudyTime = "", "", "20200102", "101010"
        data.AccessionNumber, data.ReferringPhysicianName, data.StudyID = "", "", "1"
        data.Modality, data.StudyInstanceUID, data.SeriesInstanceUID = "CT", study, series
        data.FrameOfReferenceUID, data.PositionReferenceIndicator = frame, ""
        data.ImagePositionPatient = [f"{v:.6f}" for v in grid.to_mm([0, 0, n]) * TO_RAS]
        data.ImageOrientationPatient = [f"{v:.10f}" for axis in (0, 1) for v in grid.axes[:, axis] * TO_RAS]
        data.PixelSpacing = [f"{grid.spacing_mm[1]:.8g}", f"{grid.spacing_mm[0]:.8g}"]
        data.SliceThickness = f"{grid.spacing_mm[2]:.8g}"
        data.Rows, data.Columns = grid.shape[1], grid.shape[0]
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 1
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.RescaleSlope, data.RescaleIntercept = str(SLOPE), str(INTERCEPT)
        plane = np.zeros(grid.shape[:2], np.int16) if values is None else values[:, :, n]
        data.PixelData = np.ascontiguousarray(plane.T).astype("<i2").tobytes()
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.file_meta = meta
        data.save_as(folder / f"{names[n]:03}.dcm", enforce_file_format=True)
    return folder
