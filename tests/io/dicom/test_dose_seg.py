"""RTDOSE and DICOM SEG: placed where their headers say, whatever the order of planes and frames."""

from pathlib import Path

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.errors import DoseError, FileError, MaskError, PtvkitWarning
from ptvkit.io.dicom.seg import seg_segments
from tests.io.dicom.making import LPS, opened, write_series
from tests.io.dicom.test_rtstruct import AXES, grid_of, random_mask


def dose_on(grid: pk.Grid) -> pk.Dose:
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    middle = grid.to_mm((np.array(grid.shape) - 1) / 2)
    values = 20 * np.exp(-(((points - middle - [2, -1, 3]) / [7, 9, 12]) ** 2).sum(axis=-1))
    return pk.Dose(values=values.astype(np.float32), grid=grid)


@pytest.mark.parametrize("axes", AXES)
def test_dose_comes_back_and_lies_where_its_header_says(axes: str, tmp_path: Path) -> None:
    grid = grid_of(AXES[axes], (11, 13, 7))
    series = write_series(tmp_path / "ct", grid)
    dose = dose_on(grid)
    pk.write_dose(dose, tmp_path / "d.dcm", reference=series)
    back = pk.read_dose(tmp_path / "d.dcm", prescription_gy=18)
    assert back.prescription_gy == 18
    assert back.grid.matches(grid)
    np.testing.assert_allclose(back.values, dose.values, atol=1e-6)
    data = opened(tmp_path / "d.dcm")
    # by the standard\'s own words: row 2, column 3, plane 4
    place = np.array(data.ImagePositionPatient, float)
    cosines = np.array(data.ImageOrientationPatient, float)
    place += 3 * data.PixelSpacing[1] * cosines[:3] + 2 * data.PixelSpacing[0] * cosines[3:]
    place += data.GridFrameOffsetVector[4] * np.cross(cosines[:3], cosines[3:])
    stored = data.pixel_array[4, 2, 3] * float(data.DoseGridScaling)
    assert back.sample(place * LPS) == pytest.approx(stored, rel=1e-5)


@pytest.mark.parametrize("axes", ["supine", "feet first"])
@pytest.mark.parametrize("kind", ["falling", "own z", "own z falling"])
def test_offsets_in_every_form(kind: str, axes: str, tmp_path: Path) -> None:
    """C.8.8.3.2: from the first plane, or the planes\' z; rising or falling."""
    grid = grid_of(AXES[axes], (9, 8, 6))
    dose = dose_on(grid)
    series = write_series(tmp_path / "ct", grid)
    pk.write_dose(dose, tmp_path / "d.dcm", reference=series)
    data = opened(tmp_path / "d.dcm")
    offsets = np.array(data.GridFrameOffsetVector, float)
    first = float(data.ImagePositionPatient[2])
    up = 1 if axes == "supine" else -1  # which way the normal points along the patient's z
    if "falling" in kind:
        data.PixelData = data.pixel_array[::-1].astype("<u4").tobytes()
        first += up * offsets[-1]
        data.ImagePositionPatient = [*data.ImagePositionPatient[:2], round(first, 4)]
        offsets = -offsets
    data.GridFrameOffsetVector = [*np.round(first + up * offsets if "own" in kind else offsets, 4)]
    data.save_as(tmp_path / "e.dcm")
    back = pk.read_dose(tmp_path / "e.dcm")
    assert back.grid.matches(grid)
    np.testing.assert_allclose(back.values, dose.values, atol=1e-6)


def test_doses_that_are_refused_or_told(tmp_path: Path) -> None:
    grid = grid_of(AXES["supine"], (9, 8, 6))
    pk.write_dose(dose_on(grid), tmp_path / "d.dcm", reference=write_series(tmp_path / "ct", grid))
    for change, says, kind in (
        ({"DoseUnits": "RELATIVE"}, "is in RELATIVE, not Gy", DoseError),
        ({"GridFrameOffsetVector": [0, 2.5, 5, 7.5, 11, 12.5]}, "slices are 2.5 mm apart, but", ValueError),
        ({"PixelData": b"12"}, "is damaged", FileError),
        ({"DoseGridScaling": "0"}, "is damaged", FileError),
    ):
        data = opened(tmp_path / "d.dcm")
        for name, value in change.items():
            setattr(data, name, value)
        data.save_as(tmp_path / "bad.dcm")
        with pytest.raises(kind, match=says):
            pk.read_dose(tmp_path / "bad.dcm")
    data = opened(tmp_path / "d.dcm")
    data.DoseSummationType = "BEAM"
    data.save_as(tmp_path / "beam.dcm")
    with pytest.warns(PtvkitWarning, match="dose of a BEAM"):
        pk.read_dose(tmp_path / "beam.dcm")
    with pytest.raises(DoseError, match="states its own units"):
        pk.read_dose(tmp_path / "d.dcm", units="Gy")
    with pytest.raises(FileError, match="an RTDOSE belongs to an image"):
        pk.write_dose(dose_on(grid), tmp_path / "x.dcm")


@pytest.mark.filterwarnings("ignore::ptvkit.errors.PtvkitWarning")
@pytest.mark.parametrize("axes", AXES)
def test_segments_come_back(axes: str, tmp_path: Path) -> None:
    grid = grid_of(AXES[axes])
    series = write_series(tmp_path / "ct", grid)
    for seed in range(3):
        masks = {name: random_mask(10 * seed + n, grid) for n, name in enumerate(("GTV", "liver"))}
        pk.write_seg(tmp_path / "s.dcm", masks, reference=series)
        found = {one.name: one.shape for one in seg_segments(tmp_path / "s.dcm")}
        assert found.keys() == masks.keys()
        for name, mask in masks.items():
            shape = found[name]
            assert isinstance(shape, pk.Mask)
            # layers without a frame at the ends are not in the file
            back = pk.Mask.from_array(np.zeros(grid.shape, bool), grid.affine).array.copy()
            start = np.rint(grid.to_index(shape.grid.affine[:3, 3])).astype(int)
            assert np.allclose(grid.to_mm(start), shape.grid.affine[:3, 3], atol=1e-3)
            assert np.allclose(shape.grid.affine[:3, :3], grid.affine[:3, :3], atol=1e-5)
            i, j, k = start
            n, m, o = shape.grid.shape
            back[i : i + n, j : j + m, k : k + o] = shape.array
            np.testing.assert_array_equal(back, mask.array)
        assert pk.read_seg(tmp_path / "s.dcm", "GTV").volume_cc == pytest.approx(masks["GTV"].volume_cc)


@pytest.mark.parametrize("most", [200, 255])
def test_fractions_are_inside_from_one_half_of_their_maximum(most: int, tmp_path: Path) -> None:
    grid = grid_of(AXES["supine"], (9, 8, 6))
    series = write_series(tmp_path / "ct", grid)
    whole = np.zeros(grid.shape, bool)
    whole[2:7, 1:6, 1:5] = True
    pk.write_seg(tmp_path / "s.dcm", {"X": pk.Mask.from_array(whole, grid.affine)}, reference=series)
    data = opened(tmp_path / "s.dcm")
    stored = np.random.default_rng(5).choice([0, most // 2 - 1, -(-most // 2), most], (int(data.NumberOfFrames), 8, 9))
    data.SegmentationType, data.SegmentationFractionalType = "FRACTIONAL", "PROBABILITY"
    data.MaximumFractionalValue = most
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.PixelData = stored.astype(np.uint8).tobytes()
    data.save_as(tmp_path / "f.dcm")
    with pytest.warns(PtvkitWarning, match="is fractional"):
        found = pk.read_seg(tmp_path / "f.dcm", "X")
    assert int(found.array.sum()) == int((2 * stored >= most).sum())


def test_a_library_reads_the_segments_alike(tmp_path: Path) -> None:
    import highdicom

    grid = grid_of(AXES["supine"])
    series = write_series(tmp_path / "ct", grid)
    mask = random_mask(5, grid)
    pk.write_seg(tmp_path / "s.dcm", {"GTV": mask}, reference=series)
    volume = highdicom.seg.segread(tmp_path / "s.dcm").get_volume()
    inside = np.argwhere(np.asarray(volume.array).reshape(volume.spatial_shape) > 0)
    theirs = (volume.affine[:3, :3] @ inside.T).T + volume.affine[:3, 3]
    ours = grid.to_mm(np.argwhere(mask.array))
    np.testing.assert_allclose(np.sort((theirs * LPS).round(3), axis=0), np.sort(ours.round(3), axis=0), atol=2e-3)


@pytest.mark.filterwarnings("ignore::ptvkit.errors.PtvkitWarning")
def test_series_that_are_refused(tmp_path: Path) -> None:
    grid = grid_of(AXES["supine"], (6, 5, 8))
    values = np.arange(240, dtype=np.int16).reshape(6, 5, 8)
    series = write_series(tmp_path / "ct", grid, values)
    array, found = pk.read_ct(series)
    assert found.matches(grid)
    np.testing.assert_array_equal(array, 2.0 * values - 1000)
    third = next(file for file in series.iterdir() if found.to_index(place_of(file))[2].round() == 3)
    content = third.read_bytes()
    third.unlink()
    with pytest.raises(ValueError, match=r"slices are 2.5 mm apart, but 5 mm between number 3 and 4"):
        pk.read_ct(series)
    (series / "a.dcm").write_bytes(content)
    (series / "b.dcm").write_bytes(content)
    with pytest.raises(ValueError, match="two slices have the same position"):
        pk.read_ct(series)
    (series / "b.dcm").unlink()
    write_series(tmp_path / "two", grid)
    (tmp_path / "two" / "000.dcm").rename(series / "c.dcm")
    with pytest.raises(FileError, match="holds 2 image series"):
        pk.read_ct(series)
    with pytest.raises(FileError, match="holds no image slices"):
        pk.read_ct(tmp_path)
    far = pk.Mask.from_array(np.ones((2, 2, 2)), np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 900)
    with pytest.raises(MaskError, match="has no voxel on the image"):
        pk.write_seg(tmp_path / "s.dcm", {"x": far}, reference=write_series(tmp_path / "whole", grid))


def place_of(file: Path) -> np.ndarray:
    return np.array(opened(file).ImagePositionPatient, float) * LPS


@pytest.mark.realdata
def test_breast_dose(shared_data: Path) -> None:
    case = shared_data / "breast_dicom"
    dicom, nifti = pk.read_dose(case / "rtdose.dcm"), pk.read_dose(case / "dose_gy.nii.gz")
    assert dicom.grid.matches(nifti.grid)
    assert np.abs(dicom.values - nifti.values).max() < 1e-4
    bed = pk.read_rtstruct(case / "rtss.dcm", "Tumor Bed")
    got, same = pk.dose_metrics(dicom, bed), pk.dose_metrics(nifti, pk.read_mask(case / "Tumor_Bed.nii.gz"))
    assert got.d95_gy == pytest.approx(same.d95_gy, abs=0.05)
    assert got.mean_gy == pytest.approx(same.mean_gy, abs=0.05)
