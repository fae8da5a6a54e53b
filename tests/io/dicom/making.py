"""DICOM series made by code: each slice a file, in no order."""

from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ptvkit.geometry.grid import Grid

LPS = np.array([-1.0, -1.0, 1.0])


def write_series(folder: Path, grid: Grid, values: NDArray[np.int16] | None = None, *, frame: str = "") -> Path:
    """CT slices of a grid whose axes are (column, row, slice) and right-handed."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = generate_uid(), generate_uid(), frame or generate_uid()
    names = np.random.default_rng(1).permutation(grid.shape[2])
    for n in range(grid.shape[2]):
        data = Dataset()
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
        data.PatientName, data.PatientID = "Secret^Name", "SECRET-ID"
        data.PatientBirthDate, data.PatientSex, data.StudyDate, data.StudyTime = "", "", "20200102", "101010"
        data.AccessionNumber, data.ReferringPhysicianName, data.StudyID = "", "", "1"
        data.Modality, data.StudyInstanceUID, data.SeriesInstanceUID = "CT", study, series
        data.FrameOfReferenceUID, data.PositionReferenceIndicator = frame, ""
        data.ImagePositionPatient = [f"{v:.6f}" for v in grid.to_mm([0, 0, n]) * LPS]
        data.ImageOrientationPatient = [f"{v:.10f}" for axis in (0, 1) for v in grid.axes[:, axis] * LPS]
        data.PixelSpacing = [f"{grid.spacing_mm[1]:.8g}", f"{grid.spacing_mm[0]:.8g}"]
        data.SliceThickness = f"{grid.spacing_mm[2]:.8g}"
        data.Rows, data.Columns = grid.shape[1], grid.shape[0]
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 1
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.RescaleSlope, data.RescaleIntercept = "2", "-1000"
        plane = np.zeros(grid.shape[:2], np.int16) if values is None else values[:, :, n]
        data.PixelData = np.ascontiguousarray(plane.T).astype("<i2").tobytes()
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, data.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta = meta
        data.save_as(folder / f"{names[n]:03}.dcm", enforce_file_format=True)
    return folder


def write_structures(path: Path, rois: dict[str, list[NDArray[np.float64]]], **options: str) -> Path:
    """A structure set of contours (N, 3), RAS mm, as plainly as can be; options: geometry, frame."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", generate_uid()
    data.Modality = "RTSTRUCT"
    data.StructureSetROISequence, data.ROIContourSequence, data.RTROIObservationsSequence = [], [], []
    for number, (name, contours) in enumerate(rois.items(), start=3):
        roi, drawn, seen = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        roi.ReferencedFrameOfReferenceUID = options.get("frame", "1.2.3")
        drawn.ReferencedROINumber, drawn.ROIDisplayColor = number, [10, 20, 30]
        drawn.ContourSequence = []
        for points in contours:
            one = Dataset()
            one.ContourGeometricType = options.get("geometry", "CLOSED_PLANAR")
            one.NumberOfContourPoints = len(points)
            one.ContourData = [f"{v:.6g}" for v in (points * LPS).reshape(-1)]
            drawn.ContourSequence.append(one)
        seen.ObservationNumber, seen.ReferencedROINumber, seen.RTROIInterpretedType = number, number, "ORGAN"
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
        data.RTROIObservationsSequence.append(seen)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    data.save_as(path, enforce_file_format=True)
    return path


def opened(path: Path) -> Dataset:
    return pydicom.dcmread(path)
