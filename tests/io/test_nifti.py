"""Reading and writing of good NIfTI files."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from ptvkit.errors import MaskError, PtvkitWarning
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.io.nifti import read_grid, read_image, read_labels, read_mask, write_image, write_mask

nib: Any = nibabel  # Its types are partial.
Encode = Callable[..., bytes]
Voxels = NDArray[np.uint8]


def rotation(degrees: float, axis: int) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    a, b = [i for i in range(3) if i != axis]
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def placed(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = (-120.5, 33.25, 410.0)
    return affine


AFFINES = {
    "ras": placed(np.diag([1.0, 2.0, 3.0])),
    "las": placed(np.diag([-1.0, 2.0, 3.0])),
    "lpi": placed(np.diag([-1.0, -2.0, -3.0])),
    "permuted": placed(np.array([[0, 0, -3.0], [1.0, 0, 0], [0, 2.0, 0]])),
    "oblique": placed(rotation(25, 0) @ rotation(-12, 2) @ np.diag([-1.0, 2.0, 3.0])),
}
XML = (
    b'<?xml version="1.0" encoding="UTF-8"?> <CaretExtension><VolumeInformation Index="0"><LabelTable>'
    b'<Label Key="2" Red="1"><![CDATA[kidney_right]]></Label><Label Key="5"> liver\n</Label>'
    b'<Label Key="7">stomach</Label></LabelTable></VolumeInformation></CaretExtension>'
)


@pytest.fixture(params=sorted(AFFINES))
def affine(request: pytest.FixtureRequest) -> NDArray[np.float64]:
    return AFFINES[request.param]


@pytest.fixture
def labels() -> Voxels:
    array = np.zeros((7, 9, 11), np.uint8)
    array[1:3, 3:6, 5:9] = 5
    array[4, 2, 1:4] = 2
    return array


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII.GZ"])
def test_reads_a_mask_that_another_program_wrote(
    tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, affine: NDArray[np.float64], ending: str
) -> None:
    path = tmp_path / f"gtv{ending}"
    content = nifti_bytes(voxels, affine)
    path.write_bytes(gzip.compress(content) if ending.lower().endswith("gz") else content)
    mask = read_mask(path)
    assert mask.array.dtype == bool
    assert np.array_equal(mask.array, voxels == 1)
    assert mask.name == str(path)
    assert mask.grid.matches(Grid(shape=(7, 9, 11), affine=affine))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_each_type_of_number_in_both_byte_orders(
    tmp_path: Path, nifti_bytes: Encode, labels: Voxels, dtype: str, order: str
) -> None:
    path = tmp_path / "seg.nii"
    path.write_bytes(nifti_bytes(labels.astype(dtype), order=order))
    assert np.array_equal(read_mask(path, label=5).array, labels == 5)
    assert read_labels(path) == {2: "", 5: ""}
    image, grid = read_image(path)
    assert image.dtype == np.float32
    assert np.array_equal(image, labels)
    assert grid.spacing_mm == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("shape", [(7, 9, 11, 1), (7, 9, 11, 1, 1), (7, 9, 11, 1, 1, 1, 1)])
def test_trailing_axes_of_one_are_dropped(
    tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, shape: tuple[int, ...]
) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels.reshape(shape)))
    assert np.array_equal(read_mask(path).array, voxels == 1)


def test_scaled_values_near_a_whole_number_are_labels(tmp_path: Path, voxels: Voxels) -> None:
    path = tmp_path / "resaved.nii.gz"
    image = nib.Nifti1Image(voxels.astype(float), AFFINES["las"])
    image.header.set_data_dtype(np.int16)
    nib.save(image, path)
    stored = nib.load(path)
    assert stored.get_fdata().max() != 1.0
    assert np.array_equal(read_mask(path).array, voxels == 1)
    assert read_labels(path) == {1: ""}


def test_scale_and_intercept_apply_to_images(tmp_path: Path, nifti_bytes: Encode) -> None:
    stored = np.arange(7 * 9 * 11, dtype=np.int16).reshape(7, 9, 11)
    path = tmp_path / "ct.nii"
    path.write_bytes(nifti_bytes(stored, fields={112: ("f", 0.5), 116: ("f", -1000.0)}))
    values, _ = read_image(path)
    assert np.array_equal(values, stored * 0.5 - 1000)


@pytest.mark.parametrize("slope", [0.0, float("nan")])
def test_no_slope_means_no_scaling(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, slope: float) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels, fields={112: ("f", slope), 116: ("f", float("nan"))}))
    assert np.array_equal(read_mask(path).array, voxels == 1)


@pytest.mark.parametrize("value", [1, 5, 255])
def test_one_value_besides_zero_needs_no_label(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, value: int) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels * np.uint8(value)))
    assert np.array_equal(read_mask(path).array, voxels == 1)


@pytest.mark.parametrize("label", [5, "5", "liver", np.int64(5)])
def test_label_by_number_or_name(tmp_path: Path, nifti_bytes: Encode, labels: Voxels, label: int | str) -> None:
    path = tmp_path / "seg.nii"
    path.write_bytes(nifti_bytes(labels, extension=XML))
    mask = read_mask(path, label=label)
    assert np.array_equal(mask.array, labels == 5)
    assert mask.name == f"{path} ({label})"
    assert read_mask(path, label=label, name="liver").name == "liver"
    assert read_labels(path) == {2: "kidney_right", 5: "liver"}


def test_damaged_names_do_not_stop_reading(tmp_path: Path, nifti_bytes: Encode, labels: Voxels) -> None:
    path = tmp_path / "seg.nii"
    path.write_bytes(nifti_bytes(labels, extension=XML[:150]))
    assert read_labels(path) == {2: "", 5: ""}


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (None, "several labels: 2 (kidney_right), 5 (liver); choose one with label='kidney_right' (--label kidney_r"),
        (3, "no label 3; present: 2 (kidney_right), 5 (liver); choose one of these"),
        ("livr", "did you mean 'liver'?"),
        ("Liver", "did you mean 'liver'?"),
        ("7", "label 7 (stomach) has a name, but no voxel holds it; present: 2"),
        ("stomach", "label 7 (stomach) has a name, but no voxel holds it; present: 2"),
        (0, "label 0 is the background"),
        (10**30, "no label 1000000000000000000000000000000; present: 2"),
        (5.5, "no label 5.5; present: 2"),
        ("", "no label ''; present: 2"),
    ],
)
def test_wrong_choice_of_label(tmp_path: Path, nifti_bytes: Encode, labels: Voxels, label: Any, said: str) -> None:
    path = tmp_path / "seg.nii"
    path.write_bytes(nifti_bytes(labels, extension=XML))
    with pytest.raises(MaskError) as caught:
        read_mask(path, label=label)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_given_twice_is_not_a_choice(tmp_path: Path, nifti_bytes: Encode, labels: Voxels) -> None:
    path = tmp_path / "seg.nii"
    path.write_bytes(nifti_bytes(labels, extension=XML.replace(b"kidney_right", b"liver")))
    with pytest.raises(MaskError, match="several labels are named 'liver' \\(2, 5\\); choose by number"):
        read_mask(path, label="liver")


def test_long_lists_of_labels_are_cut(tmp_path: Path, nifti_bytes: Encode) -> None:
    path = tmp_path / "seg.nii"
    path.write_bytes(nifti_bytes(np.arange(693, dtype=np.int16).reshape(7, 9, 11) % 31))
    with pytest.raises(MaskError, match="1, 2, 3, 4, 5, 6, 7, 8, and 22 more; choose one"):
        read_mask(path)


def test_negative_and_large_labels(tmp_path: Path, nifti_bytes: Encode, labels: Voxels) -> None:
    path = tmp_path / "seg.nii"
    wide = np.where(labels == 5, -70000, np.where(labels == 2, 2**31 - 1, 0)).astype(np.int64)
    path.write_bytes(nifti_bytes(wide))
    assert list(read_labels(path)) == [-70000, 2**31 - 1]
    assert np.array_equal(read_mask(path, label=-70000).array, labels == 5)


def test_several_gzip_members_and_padding(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels) -> None:
    content = nifti_bytes(voxels)
    path = tmp_path / "gtv.nii.gz"
    path.write_bytes(gzip.compress(content[:100]) + gzip.compress(b"") + gzip.compress(content[100:]) + bytes(300_000))
    assert np.array_equal(read_mask(path).array, voxels == 1)


def test_large_array_over_many_blocks(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    array = np.zeros((190, 210, 67), np.int32)
    array[20:60, 30:90, 10:50] = rng.integers(0, 4, (40, 60, 40))
    path = tmp_path / "seg.nii.gz"
    nib.save(nib.Nifti1Image(array, AFFINES["oblique"]), path)
    assert np.array_equal(read_mask(path, label=3).array, array == 3)
    assert np.array_equal(read_image(path)[0], array)


def test_nifti_2(tmp_path: Path, voxels: Voxels, affine: NDArray[np.float64]) -> None:
    path = tmp_path / "gtv.nii.gz"
    nib.save(nib.Nifti2Image(voxels, affine), path)
    mask = read_mask(path)
    assert np.array_equal(mask.array, voxels == 1)
    assert np.allclose(mask.grid.affine, affine, atol=1e-9)


def test_qform_alone(tmp_path: Path, voxels: Voxels, affine: NDArray[np.float64]) -> None:
    path = tmp_path / "gtv.nii"
    image = nib.Nifti1Image(voxels, affine)
    image.set_qform(affine, code=1)
    image.set_sform(None, code=0)
    nib.save(image, path)
    assert read_grid(path).matches(Grid(shape=(7, 9, 11), affine=affine))


@pytest.mark.parametrize(("unit", "factor"), [(1, 1000.0), (3, 0.001)])
def test_metres_and_microns_are_converted_aloud(
    tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, unit: int, factor: float
) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels, np.diag([1 / factor, 2 / factor, 3 / factor, 1]), fields={123: ("B", unit)}))
    with pytest.warns(PtvkitWarning, match="gtv.nii: gives lengths in .* voxels 1 × 2 × 3 mm"):
        grid = read_grid(path)
    assert np.allclose(grid.spacing_mm, (1, 2, 3))


@pytest.mark.parametrize("unit", [0, 8, 10])
def test_no_unit_and_seconds_are_millimetres(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, unit: int) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels, fields={123: ("B", unit)}))
    assert read_grid(path).spacing_mm == (1.0, 2.0, 3.0)


def test_no_orientation_is_a_warning(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels, fields={254: ("h", 0)}))
    with pytest.warns(PtvkitWarning, match="gtv.nii: gives no patient orientation"):
        grid = read_grid(path)
    assert (grid.codes, grid.spacing_mm) == (("L", "A", "S"), (1.0, 2.0, 3.0))


@pytest.mark.parametrize(("away_mm", "warns"), [(0.0005, False), (0.01, True), (float("nan"), True)])
def test_sform_and_qform_that_differ(tmp_path: Path, voxels: Voxels, away_mm: float, warns: bool) -> None:
    path = tmp_path / "gtv.nii"
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    image = nib.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header["qoffset_x"] = away_mm
    path.write_bytes(image.header.binaryblock + bytes(4) + voxels.tobytes(order="F"))
    if warns:
        with pytest.warns(PtvkitWarning, match="gtv.nii: its sform and its qform place"):
            read_mask(path)
    else:
        read_mask(path)


def test_voxels_beyond_the_header_are_a_warning(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels) -> None:
    path = tmp_path / "gtv.nii.gz"
    path.write_bytes(gzip.compress(nifti_bytes(voxels, fields={46: ("h", 10)})))
    with pytest.warns(PtvkitWarning, match="gtv.nii.gz: holds more voxels than its header tells"):
        assert np.array_equal(read_mask(path).array, voxels[:, :, :10] == 1)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_written_mask_byte_by_byte(
    tmp_path: Path, voxels: Voxels, affine: NDArray[np.float64], ending: str, layout: Any
) -> None:
    path = tmp_path / f"ptv{ending}"
    write_mask(Mask.from_array(np.array(voxels, order=layout), affine), path)
    content = path.read_bytes() if ending == ".nii" else gzip.decompress(path.read_bytes())
    assert struct.unpack("<i8h", content[:4] + content[40:56]) == (348, 3, 7, 9, 11, 1, 1, 1, 1)
    assert struct.unpack("<2h", content[70:74]) == (2, 8)
    assert np.allclose(struct.unpack("<3f", content[80:92]), np.linalg.norm(affine[:3, :3], axis=0))
    assert struct.unpack("<3f", content[108:120]) == (352, 1, 0)
    assert content[123] == 2
    assert struct.unpack("<2h", content[252:256]) == (1, 1)
    assert np.allclose(struct.unpack("<12f", content[280:328]), affine[:3].ravel())
    assert content[344:352] == b"n+1\0\0\0\0\0"
    assert content[352:] == voxels.tobytes(order="F")
    other = nib.load(path)
    assert np.allclose(other.get_qform(coded=True)[0], affine, atol=1e-4)
    assert other.header.get_xyzt_units()[0] == "mm"


def test_same_mask_same_bytes(tmp_path: Path, voxels: Voxels) -> None:
    mask = Mask.from_array(voxels, AFFINES["oblique"])
    write_mask(mask, tmp_path / "a.nii.gz")
    write_mask(read_mask(tmp_path / "a.nii.gz"), tmp_path / "b.nii.gz")
    packed = (tmp_path / "a.nii.gz").read_bytes()
    assert packed == (tmp_path / "b.nii.gz").read_bytes()
    assert packed[3:8] == bytes(5)


def test_empty_mask_is_written_but_not_read(tmp_path: Path) -> None:
    path = tmp_path / "core.nii.gz"
    write_mask(Mask.from_array(np.zeros((7, 9, 11), bool), AFFINES["las"]), path)
    assert not np.asarray(nib.load(path).dataobj).any()
    with pytest.raises(MaskError, match=r"core\.nii\.gz: is empty"):
        read_mask(path)


def test_slight_shear_is_said_and_kept_in_the_sform(tmp_path: Path, voxels: Voxels) -> None:
    affine = AFFINES["las"].copy()
    affine[0, 1] += 0.0018
    path = tmp_path / "ptv.nii"
    with pytest.warns(PtvkitWarning, match="ptv.nii: its grid is slightly sheared"):
        write_mask(Mask.from_array(voxels, affine), path)
    assert struct.unpack("<2h", path.read_bytes()[252:256]) == (0, 1)
    assert read_grid(path).matches(Grid(shape=(7, 9, 11), affine=affine))


@pytest.mark.parametrize(
    ("dtype", "stored"), [("bool", "u1"), ("u1", "u1"), ("i2", "i2"), (">i2", "i2"), ("f4", "f4"), ("f8", "f4")]
)
def test_written_images(tmp_path: Path, dtype: str, stored: str) -> None:
    values = (np.arange(693).reshape(7, 9, 11) % 250).astype(dtype)
    path = tmp_path / "ct.nii.gz"
    write_image(values, Grid(shape=(7, 9, 11), affine=AFFINES["permuted"]), path)
    image = nib.load(path)
    assert image.get_data_dtype() == np.dtype(stored)
    assert np.array_equal(np.asarray(image.dataobj), values)
    assert np.allclose(image.affine, AFFINES["permuted"])
    assert np.array_equal(read_image(path)[0], values)


@pytest.mark.realdata
def test_totalsegmentator_labels(shared_data: Path) -> None:
    folder = shared_data / "totalsegmentator"
    rows = [line.split(",") for line in (folder / "labels.csv").read_text().split()[1:]]
    known = {int(number): name for number, name, *_ in rows}
    path = folder / "example_seg.nii.gz"
    assert read_labels(path) == known
    for number, name, count, _ in rows:
        by_name, by_number = read_mask(path, label=name), read_mask(path, label=int(number))
        assert np.count_nonzero(by_name.array) == np.count_nonzero(by_number.array) == int(count)
    with pytest.raises(MaskError, match="lung_upper_lobe_right\\) has a name, but no voxel holds it"):
        read_mask(path, label="lung_upper_lobe_right")


@pytest.mark.realdata
def test_ent_brain_gtv(shared_data: Path) -> None:
    mask = read_mask(shared_data / "ent_brain" / "GTV.nii.gz")
    assert np.count_nonzero(mask.array) == 3399
    assert mask.grid.shape == (151, 201, 66)
