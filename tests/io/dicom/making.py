"""DICOM series made by code: each slice a file, in no order."""

from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.io.dicom import made_series

LPS = np.array([-1.0, -1.0, 1.0])


def write_series(folder: Path, grid: Grid, values: NDArray[np.int16] | None = None, *, frame: str = "") -> Path:
    """CT slices of a patient whose name is to appear nowhere else."""
    return made_series.write_series(folder, grid, values, frame=frame, patient=("Secret^Name", "SECRET-ID"))


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


def random_mask(seed: int, grid: Grid) -> Mask:
    """Blobs with holes and islands, parts that touch, single voxels."""
    rng = np.random.default_rng(seed)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    array = np.zeros(grid.shape, bool)
    for _ in range(rng.integers(1, 4)):
        centre, radius = rng.uniform(4, np.array(grid.shape) - 4), rng.uniform(2, 6)
        array ^= np.linalg.norm((index - centre) * [1, 1, 1.6], axis=-1) < radius
    array &= rng.random(grid.shape) > 0.04
    array |= rng.random(grid.shape) > 0.997
    array[[0, -1]] = array[:, [0, -1]] = False
    return Mask.from_array(array, grid.affine)
