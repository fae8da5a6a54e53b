"""Structure sets: contours against their own areas, an independent reader, and voxels out and back."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import ptvkit as pk
from ptvkit.errors import FileError, MaskError, PtvkitWarning
from ptvkit.io.dicom.rtstruct import rtstruct_segments
from tests.io.dicom.making import opened, random_mask, write_series, write_structures

Floats = NDArray[np.float64]
AXES = {
    "supine": np.diag([-1.0, -1.0, 1.0]),
    "feet first": np.diag([1.0, -1.0, -1.0]),
    "oblique": Rotation.from_euler("xyz", [12, -20, 33], degrees=True).as_matrix(),
}


def grid_of(axes: Floats, shape: tuple[int, int, int] = (23, 19, 9)) -> pk.Grid:
    affine = np.eye(4)
    affine[:3, :3] = axes * [1.2, 0.9, 2.5]
    affine[:3, 3] = [40.5, -17.25, 88.0]
    return pk.Grid(shape=shape, affine=affine)


def square(side: float, z: float, at: tuple[float, float] = (0, 0)) -> Floats:
    half = side / 2
    corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
    return np.array([[x + at[0] + 30, y + at[1] - 50, z] for x, y in corners])


@pytest.mark.filterwarnings("ignore::ptvkit.errors.PtvkitWarning")
@pytest.mark.parametrize("axes", AXES)
def test_voxels_come_back(axes: str, tmp_path: Path) -> None:
    grid = grid_of(AXES[axes])
    series = write_series(tmp_path / "ct", grid)
    _, found = pk.read_ct(series)
    assert found.matches(grid)
    for seed in range(8):
        mask = random_mask(seed, grid)
        if mask.is_empty:
            continue
        pk.write_rtstruct(tmp_path / "rs.dcm", {"X": mask}, reference=series)
        back = pk.read_rtstruct(tmp_path / "rs.dcm", reference=series).to_mask(grid)
        np.testing.assert_array_equal(back.array, mask.array, err_msg=f"seed {seed}")


@pytest.mark.statistics
@pytest.mark.filterwarnings("ignore::ptvkit.errors.PtvkitWarning")
def test_two_hundred_masks_come_back(tmp_path: Path) -> None:
    grids = {name: grid_of(axes, (21, 17, 9)) for name, axes in AXES.items()}
    series = {name: write_series(tmp_path / name, grid) for name, grid in grids.items()}
    differ = 0
    for seed in range(200):
        name = list(AXES)[seed % len(AXES)]
        mask = random_mask(1000 + seed, grids[name])
        if mask.is_empty:
            continue
        pk.write_rtstruct(tmp_path / "rs.dcm", {"X": mask}, reference=series[name])
        back = pk.read_rtstruct(tmp_path / "rs.dcm", "X", reference=series[name]).to_mask(grids[name])
        differ += int((back.array != mask.array).any())
    assert differ == 0


@pytest.mark.parametrize("geometry", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_holes_islands_and_keyholes_are_areas(geometry: str, tmp_path: Path) -> None:
    """Volumes are areas times the slices\' thickness; a hole in it, an island in the hole, a channel of no width."""
    planes = [10.0, 13.0, 16.0, 19.0]
    nested = [square(side, z) for z in planes for side in (40, 20, 8)]
    inner, outer = square(20, 0)[::-1], square(40, 0)
    keyhole = np.vstack([outer, outer[:1], inner[-1:], inner, outer[:1]])
    around = [keyhole + [0, 0, z] for z in planes]
    rois = {"nested": nested, "keyhole": around, "open": [square(5, 10.0)]}
    path = write_structures(tmp_path / "rs.dcm", rois, geometry=geometry)
    # the island reaches no node more or less than half a cell: areas are those of the polygons to 1 %
    assert pk.read_rtstruct(path, "nested").volume_cc == pytest.approx((1600 - 400 + 64) * 12 / 1000, rel=0.01)
    found = pk.read_rtstruct(path, "keyhole")
    assert found.volume_cc == pytest.approx((1600 - 400) * 12 / 1000, rel=0.01)
    assert found.sample([[30 - 15.0, -50 - 15.0, 14.0]])[0] < -4  # on the channel: nothing is there
    reach = pk.extent(found)
    assert [reach["S"], reach["I"]] == pytest.approx([20.5, 8.5], abs=0.02)
    assert reach["R"] == pytest.approx(50, abs=0.02)


def test_slices_that_are_missing_are_told(tmp_path: Path) -> None:
    every = [square(20, z) for z in (0.0, 2.0, 4.0, 10.0, 12.0)]
    second = [square(20, z) for z in (0.0, 4.0, 8.0, 12.0)]
    path = write_structures(tmp_path / "rs.dcm", {"gap": every, "sparse": second})
    with pytest.warns(PtvkitWarning, match="no contour on 2 slices"):
        gap = pk.read_rtstruct(path, "gap")
    assert gap.volume_cc == pytest.approx(400 * 10 / 1000, rel=0.01)
    assert len(pk.lesions(gap.to_mask(pk.Grid(shape=(60, 60, 30), affine=_around())))) == 2
    assert pk.read_rtstruct(path, "sparse").volume_cc == pytest.approx(400 * 16 / 1000, rel=0.01)


def _around() -> Floats:
    affine = np.eye(4)
    affine[:3, 3] = [0, -80, -8]
    return affine


def test_what_is_there_is_listed_and_misspelt_names_are_helped(tmp_path: Path) -> None:
    path = write_structures(tmp_path / "rs.dcm", {"Tumor Bed": [square(9, 0), square(9, 3)], "Heart": []})
    rois = pk.read_rois(path)
    assert [(roi.number, roi.name, roi.kind, len(roi.contours)) for roi in rois] == [
        (3, "Tumor Bed", "ORGAN", 2),
        (4, "Heart", "ORGAN", 0),
    ]
    assert rois[0].colour == (10, 20, 30)
    assert pk.read_rtstruct(path).volume_cc == pk.read_rtstruct(path, "tumor_bed").volume_cc
    assert pk.read_rtstruct(path, 3).volume_cc == pytest.approx(81 * 6 / 1000, rel=0.02)
    for wanted, says in (
        ("Tumour Bed", "did you mean 'Tumor Bed'?"),
        (7, "has no structure 7"),
        ("Heart", "no closed"),
    ):
        with pytest.raises(MaskError, match=says):
            pk.read_rtstruct(path, wanted)
    single = write_structures(tmp_path / "one.dcm", {"X": [square(9, 0)]})
    with pytest.raises(MaskError, match="is drawn on one plane"):
        pk.read_rtstruct(single)


@pytest.mark.parametrize(
    ("contours", "says"),
    [
        ([np.array([[0.0, 0, 0], [1, 0, 0]])], "no closed contour with three points"),
        ([square(9, 0), np.array([[0.0, 0, 0], [9, 0, 9], [0, 9, 4]])], "another plane than the others"),
    ],
)
@pytest.mark.filterwarnings("ignore::ptvkit.errors.PtvkitWarning")
def test_contours_that_enclose_nothing(contours: list[Floats], says: str, tmp_path: Path) -> None:
    path = write_structures(tmp_path / "rs.dcm", {"X": contours})
    with pytest.raises(MaskError, match=says):
        pk.read_rtstruct(path)


def test_written_sets_are_valid_and_tell_no_more_of_the_patient_than_they_must(tmp_path: Path) -> None:
    grid = grid_of(AXES["supine"], (40, 40, 12))
    series = write_series(tmp_path / "ct", grid)
    ball = pk.Region(
        level=(np.linalg.norm(np.moveaxis(np.indices((40, 40, 40)), 0, -1) - [20, 20, 20], axis=-1) * 0.6 - 7).astype(
            np.float32
        ),
        grid=pk.Grid(shape=(40, 40, 40), affine=_placed(grid)),
    )
    pk.write_rtstruct(tmp_path / "rs.dcm", {"GTV": ball}, reference=series, description="as drawn")
    added = tmp_path / "added.dcm"
    ptv = pk.expand(ball, pk.Margin.uniform(3))
    pk.write_rtstruct(added, {"PTV_1": ptv}, add_to=tmp_path / "rs.dcm")
    old, new = opened(tmp_path / "rs.dcm"), opened(added)
    assert old.SOPInstanceUID != new.SOPInstanceUID
    assert old.ROIContourSequence[0] == new.ROIContourSequence[0]
    assert [one.RTROIInterpretedType for one in new.RTROIObservationsSequence] == ["GTV", "PTV"]
    assert old.StructureSetROISequence[0].ROIDescription == "as drawn"
    uids = {str(opened(file).SOPInstanceUID) for file in series.iterdir()}
    images = {
        str(one.ContourImageSequence[0].ReferencedSOPInstanceUID)
        for one in new.ROIContourSequence[1].ContourSequence
        if "ContourImageSequence" in one
    }
    assert images <= uids
    assert len(images) > 5
    for path, region in ((tmp_path / "rs.dcm", ball), (added, ptv)):
        back = pk.read_rtstruct(path, len(opened(path).StructureSetROISequence))
        assert back.volume_cc == pytest.approx(region.volume_cc, rel=0.02)  # slices of 2.5 mm through a ball
        if shutil.which("dciodvfy"):
            told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
            assert "Error" not in told.stderr + told.stdout
    with pytest.raises(MaskError, match="'GTV' is there already"):
        pk.write_rtstruct(tmp_path / "x.dcm", {"GTV": ptv}, add_to=added)
    with pytest.raises(FileError, match="would overwrite the input"):
        pk.write_rtstruct(added, {"P": ptv}, add_to=added)
    with pytest.raises(FileError, match="belongs to an image"):
        pk.write_rtstruct(tmp_path / "x.dcm", {"P": ptv})
    other = write_series(tmp_path / "other", grid)
    with pytest.raises(FileError, match="another frame of reference"):
        pk.read_rtstruct(added, "GTV", reference=other)
    assert not (tmp_path / "x.dcm").exists()


def _placed(grid: pk.Grid) -> Floats:
    affine = np.eye(4)
    affine[:3, :3] = 0.6 * np.eye(3)
    affine[:3, 3] = grid.to_mm((np.array(grid.shape) - 1) / 2) - 12
    return affine


def test_what_is_written_has_the_volume_as_plain_polygons(tmp_path: Path) -> None:
    grid = grid_of(AXES["supine"], (60, 60, 20))
    series = write_series(tmp_path / "ct", grid)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    array = np.linalg.norm((index - [30, 28, 10]) * [1.2, 0.9, 2.5], axis=-1) < 17
    array &= np.linalg.norm((index - [33, 28, 10]) * [1.2, 0.9, 2.5], axis=-1) > 6
    mask = pk.Mask.from_array(array, grid.affine)
    pk.write_rtstruct(tmp_path / "rs.dcm", {"shell": mask}, reference=series)
    planes: dict[float, list[Floats]] = {}
    for one in opened(tmp_path / "rs.dcm").ROIContourSequence[0].ContourSequence:
        points = np.array(one.ContourData, float).reshape(-1, 3)
        planes.setdefault(float(points[0, 2]), []).append(points[:, :2])
    assert {len(contours) for contours in planes.values()} == {1}  # holes are keyholes
    total = sum(_area(contours[0]) for contours in planes.values())
    assert total * 2.5 / 1000 == pytest.approx(mask.volume_cc, rel=0.01)
    assert len(rtstruct_segments(tmp_path / "rs.dcm")) == 1


def test_readers_that_fill_and_readers_that_take_the_exclusive_or_find_the_same(tmp_path: Path) -> None:
    """Even-odd filling of each polygon by brute force, joined by union and by exclusive or: both give the mask."""
    for seed, axes in enumerate(AXES):
        grid = grid_of(AXES[axes], (23, 19, 5))
        series = write_series(tmp_path / axes, grid)
        rng = np.random.default_rng(seed)
        array = rng.random(grid.shape) > 0.3  # holes, side by side and within islands
        array[[0, -1]] = array[:, [0, -1]] = False
        pk.write_rtstruct(tmp_path / "rs.dcm", {"X": pk.Mask.from_array(array, grid.affine)}, reference=series)
        union, exclusive = np.zeros((2, *grid.shape), bool)
        for points in pk.read_rois(tmp_path / "rs.dcm")[0].contours:
            index = grid.to_index(points)
            layer = round(float(index[0, 2]))
            inside = _even_odd(index[:, :2], grid.shape[:2])
            union[:, :, layer] |= inside
            exclusive[:, :, layer] ^= inside
        np.testing.assert_array_equal(union, array)
        np.testing.assert_array_equal(exclusive, array)


def _even_odd(polygon: Floats, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixel centres inside a polygon, a loop over its edges."""
    x, y = np.indices(shape)
    inside = np.zeros(shape, bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y0 <= y) != (y1 <= y)
        inside ^= crosses & (x0 + (y - y0) / np.where(y1 == y0, 1, y1 - y0) * (x1 - x0) > x)
    return inside


def _area(points: Floats) -> float:
    x, y = points[:, 0], points[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["Tumor_Bed", "Heart", "Lt_Lung"])
def test_breast_case(name: str, shared_data: Path) -> None:
    mask = pk.read_mask(shared_data / "breast_dicom" / f"{name}.nii.gz")
    region = pk.read_rtstruct(shared_data / "breast_dicom" / "rtss.dcm", name)
    assert region.volume_cc == pytest.approx(mask.volume_cc, rel=0.01)
    back = region.to_mask(mask.grid).array
    assert 2 * (back & mask.array).sum() / (back.sum() + mask.array.sum()) > 0.99


@pytest.mark.realdata
def test_a_ptv_added_to_the_breast_case(shared_data: Path, tmp_path: Path) -> None:
    case = shared_data / "breast_dicom" / "rtss.dcm"
    bed = pk.read_rtstruct(case, "Tumor Bed")
    ptv = pk.expand(bed, pk.Margin.uniform(7))
    pk.write_rtstruct(tmp_path / "rs.dcm", {"PTV": ptv}, add_to=case, description="Tumor Bed + 7 mm")
    assert pk.read_rtstruct(tmp_path / "rs.dcm", "PTV").volume_cc == pytest.approx(ptv.volume_cc, rel=0.011)
    assert len(pk.read_rois(tmp_path / "rs.dcm")) == 11


def test_targets_and_organs_have_the_colours_of_the_pages(tmp_path: Path) -> None:
    grid = grid_of(AXES["oblique"])
    series = write_series(tmp_path / "ct", grid)
    names = ("liver", "PTV", "CTV", "GTV 1")
    pk.write_rtstruct(tmp_path / "rs.dcm", dict.fromkeys(names, random_mask(1, grid)), reference=series)
    red, green, blue = np.array([one.colour for one in rtstruct_segments(tmp_path / "rs.dcm")])[[3, 0, 1]]
    orange = rtstruct_segments(tmp_path / "rs.dcm")[2].colour
    assert (red.argmax(), green.argmax(), blue.argmax()) == (0, 1, 2)
    assert orange is not None
    assert orange[0] > orange[1] > orange[2]
