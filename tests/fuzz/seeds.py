"""Small valid files of each kind, to be damaged."""

from pathlib import Path

import nibabel as nib
import numpy as np

import ptvkit as pk
from ptvkit.io.formats import write_segments
from ptvkit.io.segment import Wish
from tests.io.dicom.making import write_series

GRID = pk.Grid(shape=(14, 12, 6), affine=np.array([[-2.0, 0, 0, 9], [0, -2, 0, 7], [0, 0, 3, -5], [0, 0, 0, 1]]))


def make_seeds(folder: Path) -> dict[str, list[Path]]:
    """Files by family: NIfTI, DICOM, others."""
    folder.mkdir(parents=True, exist_ok=True)
    array = np.zeros(GRID.shape, np.uint8)
    array[4:10, 3:9, 1:5] = 1
    array[6:8, 5:7, 2:4] = 0  # a hole
    labels = array.copy()
    labels[5, 4, 2] = 2
    masks = {"GTV": pk.Mask.from_array(array, GRID.affine), "one": pk.Mask.from_array(labels == 2, GRID.affine)}
    segments = [pk.Segment(name=name, shape=mask) for name, mask in masks.items()]
    return {
        "NIfTI": _nifti(folder, array, labels, segments),
        "DICOM": _dicom(folder, masks, segments),
        "others": _others(folder, masks["GTV"], segments),
    }


def _nifti(folder: Path, array: np.ndarray, labels: np.ndarray, segments: list[pk.Segment]) -> list[Path]:
    pk.write_mask(pk.Mask.from_array(array, GRID.affine), folder / "a.nii")
    pk.write_mask(pk.Mask.from_array(array, GRID.affine), folder / "b.nii.gz")
    apart = [segments[0], pk.Segment(name="two", shape=pk.Mask.from_array(labels * (array == 0) == 2, GRID.affine))]
    write_segments(folder / "c.nii.gz", apart[:1] + [pk.Segment(name="rest", shape=_corner(array))])
    swapped = nib.Nifti1Image(labels.astype(">i2"), GRID.affine, nib.Nifti1Header(endianness=">"))
    nib.save(swapped, folder / "d.nii")
    floats = nib.Nifti1Image(array.astype(np.float32), GRID.affine)
    floats.header.set_slope_inter(2.0, 0.0)
    nib.save(floats, folder / "e.nii")
    return [folder / name for name in ("a.nii", "b.nii.gz", "c.nii.gz", "d.nii", "e.nii")]


def _corner(array: np.ndarray) -> pk.Mask:
    corner = np.zeros(array.shape, bool)
    corner[0:2, 0:2, 0] = True
    return pk.Mask.from_array(corner, GRID.affine)


def _dicom(folder: Path, masks: dict[str, pk.Mask], segments: list[pk.Segment]) -> list[Path]:
    series = write_series(folder / "ct", GRID)
    pk.write_rtstruct(folder / "rs.dcm", masks, reference=series)
    values = np.linspace(0, 20, GRID.size).reshape(GRID.shape).astype(np.float32)
    pk.write_dose(pk.Dose(values=values, grid=GRID), folder / "dose.dcm", reference=series)
    write_segments(folder / "seg.dcm", segments, Wish(reference=series), kind="seg")
    return [folder / "rs.dcm", folder / "dose.dcm", folder / "seg.dcm", sorted(series.iterdir())[0]]


def _others(folder: Path, mask: pk.Mask, segments: list[pk.Segment]) -> list[Path]:
    names = ("x.seg.nrrd", "x.mha", "x.stl", "x.ply")
    for name in names:
        write_segments(folder / name, segments if name == "x.seg.nrrd" else segments[:1], Wish(frame="RAS"))
    return [folder / name for name in names]
