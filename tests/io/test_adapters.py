"""Images in memory: the same PTV whatever the kind, where an independent calculation puts it."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.errors import FileError, GridError, MaskError, PtvkitWarning
from ptvkit.geometry.grid import Grid
from ptvkit.io import adapters

MARGIN = pk.Margin(right=1, left=4, anterior=2, posterior=5, superior=3, inferior=9)


@pytest.fixture
def array() -> NDArray[np.int16]:
    """A structure without symmetry, off the centre, longer along each axis to one side."""
    array = np.zeros((23, 19, 17), np.int16)
    array[8:12, 8:11, 7:10] = 1
    array[12, 8, 7] = 1
    return array


@pytest.fixture
def affine(any_grid: Grid) -> NDArray[np.float64]:
    return np.array(any_grid.affine)


def itk(array: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    """Placed by ITK's own words: origin, direction and spacing in LPS."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((affine[:3, 3] * (-1, -1, 1)).tolist())
    image.SetDirection((affine[:3, :3] / spacing * np.array([[-1], [-1], [1]])).ravel().tolist())
    return image


KINDS: dict[str, Callable[[NDArray[Any], NDArray[np.float64]], Any]] = {
    "nifti": nib.Nifti1Image,
    "nifti2": nib.Nifti2Image,
    "mgh": lambda a, m: nib.MGHImage(a.astype(np.int32), m),
    "nifti of four axes": lambda a, m: nib.Nifti1Image(a[..., None], m),
    "pair": lambda a, m: (a, m),
    "itk": itk,
}


def voxels_of(kind: str, image: Any) -> NDArray[Any]:
    """Voxels as each library gives them."""
    if kind == "itk":
        return np.asarray(sitk.GetArrayFromImage(image)).T
    if kind == "pair":
        return np.asarray(image[0])
    return np.asarray(image.dataobj).reshape(image.shape[:3])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_ptv_whatever_the_kind(
    kind: str, array: NDArray[np.int16], affine: NDArray[np.float64], tmp_path: Path
) -> None:
    path = tmp_path / "gtv.nii.gz"
    nib.save(nib.Nifti1Image(array, affine), path)
    wanted = pk.expand(pk.as_mask(path), MARGIN)
    image = KINDS[kind](array, affine)
    before = np.array(voxels_of(kind, image))
    made = pk.like(pk.expand(pk.as_mask(image), MARGIN), image)
    assert type(made) is type(image)
    np.testing.assert_array_equal(voxels_of(kind, made), wanted.array)
    assert voxels_of(kind, made).dtype.name == before.dtype.name
    np.testing.assert_array_equal(voxels_of(kind, image), before)


@pytest.mark.parametrize("kind", KINDS)
def test_margins_go_where_the_patient_has_them(
    kind: str, array: NDArray[np.int16], affine: NDArray[np.float64], tmp_path: Path
) -> None:
    """Each voxel of the PTV against the definition of the margin, from voxel centres and faces, without ptvkit's grid.

    A centre inside the body around a voxel's centre must be in; one outside the bodies around all corners of the
    voxels, half a diagonal further, must be out.
    """
    image = KINDS[kind](array, affine)
    made = voxels_of(kind, pk.like(pk.expand(pk.as_mask(image), MARGIN), image)) > 0
    index = np.moveaxis(np.indices(array.shape), 0, -1).reshape(-1, 3)
    centres = index @ affine[:3, :3].T + affine[:3, 3]
    if kind == "itk":  # ITK's own transform, turned from LPS
        step = np.array([image.TransformIndexToPhysicalPoint([int(n) for n in i]) for i in index[:: len(index) // 7]])
        np.testing.assert_allclose(step * (-1, -1, 1), centres[:: len(index) // 7], atol=1e-5)
    away = centres[:, None] - centres[array.reshape(-1) > 0][None]
    plus, minus = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 9.0])  # R A S, L P I
    half = 0.5 * np.linalg.norm(affine[:3, :3].sum(axis=1))
    reach = lambda more: (away / np.where(away > 0, plus + more, minus + more)) ** 2  # noqa: E731
    surely_in = (reach(0.0).sum(axis=-1) <= 0.95).any(axis=1)
    surely_out = (reach(half + 1.0).sum(axis=-1) > 1.0).all(axis=1)
    assert surely_in.sum() > 150
    assert surely_out.sum() > 1000
    assert made.reshape(-1)[surely_in].all()
    assert not made.reshape(-1)[surely_out].any()


def test_placement_of_what_is_given_back(array: NDArray[np.int16], affine: NDArray[np.float64]) -> None:
    image = itk(array, affine)
    image.SetMetaData("patient", "x")
    made = pk.like(pk.as_mask(image), image)
    assert made.GetOrigin() == image.GetOrigin()
    assert made.GetDirection() == image.GetDirection()
    assert made.GetSpacing() == image.GetSpacing()
    assert made.GetPixelIDTypeAsString() == "16-bit signed integer"
    assert made.GetMetaData("patient") == "x"
    nifti = nib.Nifti1Image(array, affine)
    nifti.header["descrip"] = b"from the scanner"
    again = pk.like(pk.as_mask(nifti), nifti)
    np.testing.assert_array_equal(again.affine, nifti.affine)
    assert again.header["descrip"] == nifti.header["descrip"]


def test_numbers_that_a_file_scaled_are_written_plain(array: NDArray[np.int16], tmp_path: Path) -> None:
    content = bytearray(nib.Nifti1Image(2 * array, np.diag([1.0, 2.0, 3.0, 1.0])).to_bytes())
    struct.pack_into("<2f", content, 112, 0.5, 0)  # 0 and 1 as stored 0 and 2
    scaled = nib.Nifti1Image.from_bytes(bytes(content))
    made = pk.like(pk.as_mask(scaled), scaled)
    nib.save(made, tmp_path / "made.nii.gz")
    np.testing.assert_array_equal(pk.read_mask(tmp_path / "made.nii.gz").array, array > 0)


def test_a_region_is_sampled_on_the_image(array: NDArray[np.int16], affine: NDArray[np.float64]) -> None:
    image = itk(array, affine)
    region = pk.region_from_mask(pk.as_mask(image))
    np.testing.assert_array_equal(voxels_of("itk", pk.like(region, image)), array)
    with pytest.raises(MaskError, match="has no affine"):
        pk.like(region, array)


def test_labels_by_number_and_by_name(array: NDArray[np.int16]) -> None:
    array[0:2, 0, 0] = 7
    image = nib.Nifti1Image(array, np.diag([1.0, 2.0, 3.0, 1.0]))
    table = b'<LabelTable><Label Key="7">liver</Label><Label Key="1">tumour</Label></LabelTable>'
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, table))
    assert pk.as_mask(image, label=7).volume_cc == pk.as_mask(image, label="liver").volume_cc == pytest.approx(0.012)
    assert pk.as_mask(image, label=[1, 7]).array.sum() == (array > 0).sum()
    assert not pk.like(pk.as_mask(image, label=7), image).header.extensions  # the names were of other labels
    with pytest.raises(MaskError, match=r"several labels: 1 \(tumour\), 7 \(liver\); choose one"):
        pk.as_mask(image)
    with pytest.raises(MaskError, match="did you mean 'liver'"):
        pk.as_mask(image, label="livr")
    with pytest.raises(MaskError, match="several labels: 1, 7"):
        pk.as_mask(array, np.eye(4), name="prediction")


def test_units_of_a_header_count(array: NDArray[np.int16]) -> None:
    image = nib.Nifti1Image(array, np.diag([0.001, 0.002, 0.003, 1.0]))
    image.header.set_xyzt_units("meter")
    with pytest.warns(PtvkitWarning, match="lengths in metres"):
        assert pk.as_mask(image).grid.spacing_mm == pytest.approx((1, 2, 3))


def test_an_array_alone_needs_its_affine(array: NDArray[np.int16], affine: NDArray[np.float64]) -> None:
    mask = pk.as_mask(array, affine)
    np.testing.assert_array_equal(mask.grid.affine, affine)
    made = pk.like(mask, array)
    assert made.dtype == array.dtype
    np.testing.assert_array_equal(made, array)
    with pytest.raises(MaskError, match="has no affine; pass affine="):
        pk.as_mask(array)
    with pytest.raises(MaskError, match="has an affine of its own; leave affine out"):
        pk.as_mask((array, affine), affine)
    with pytest.raises(GridError, match="has the shape"):
        pk.like(mask, array[1:])


def test_a_mask_on_another_grid_is_refused(array: NDArray[np.int16], affine: NDArray[np.float64]) -> None:
    mask = pk.as_mask(array, affine)
    moved = affine.copy()
    moved[0, 3] += 0.5
    for thing in (nib.Nifti1Image(array, moved), itk(array, moved), (array, moved)):
        with pytest.raises(GridError, match="on another grid"):
            pk.like(mask, thing)
    assert pk.like(mask, mask) is mask


@pytest.mark.parametrize(
    ("change", "error", "found"),
    [
        (lambda a: a * 0, MaskError, "is empty"),
        (lambda a: np.where(a, np.nan, 0.0), MaskError, "holds NaN"),
        (lambda a: a * 0.4, MaskError, "not labels, such as 0.4"),
        (lambda a: a + 1j, MaskError, "must be numbers, found complex128"),
        (lambda a: a[0], MaskError, "three axes"),
        (lambda a: np.stack([a, a]), MaskError, "three axes"),
        (lambda a: a[:0], GridError, "three positive sizes"),
        (lambda a: a.astype(str), MaskError, "must be numbers"),
    ],
)
def test_what_is_no_mask(
    array: NDArray[np.int16], change: Callable[[Any], Any], error: type[Exception], found: str
) -> None:
    with pytest.raises(error, match=found) as caught:
        pk.as_mask(change(array), np.diag([1.0, 2.0, 3.0, 1.0]), name="prediction")
    assert str(caught.value).startswith("prediction")


@pytest.mark.parametrize("thing", [3, None, [1, 2], (1, 2, 3), {}])
def test_what_is_no_image(thing: Any) -> None:
    with pytest.raises(MaskError):
        pk.as_mask(thing)


def test_one_voxel_at_the_edge(affine: NDArray[np.float64]) -> None:
    array = np.zeros((7, 9, 11), np.uint8)
    array[0, 8, 10] = 1
    for kind in ("itk", "pair", "nifti"):
        image = KINDS[kind](array, affine)
        with pytest.warns(PtvkitWarning, match="fall outside the image"):
            made = pk.like(pk.expand(pk.as_mask(image), pk.Margin.uniform(3)), image)
        found = voxels_of(kind, made) > 0
        assert found[0, 8, 10]
        assert found.sum() > 1


def test_almost_whole_numbers_are_labels(array: NDArray[np.int16]) -> None:
    np.testing.assert_array_equal(pk.as_mask(array * np.float32(1.0000001), np.eye(4)).array, array > 0)
    np.testing.assert_array_equal(pk.as_mask(array > 0, np.eye(4)).array, array > 0)


def test_things_that_are_read_by_path_or_are_masks_already(array: NDArray[np.int16], tmp_path: Path) -> None:
    mask = pk.as_mask(array, np.eye(4))
    assert pk.as_mask(mask) is mask
    with pytest.raises(MaskError, match="leave label out"):
        pk.as_mask(mask, label=1)
    with pytest.raises(MaskError, match="leave affine out"):
        pk.as_mask(tmp_path / "x.nii", np.eye(4))
    with pytest.raises(MaskError, match="write the result with write_mask"):
        pk.like(mask, tmp_path / "x.nii")
    with pytest.raises(MaskError, match="to_mask"):
        pk.as_mask(pk.region_from_mask(mask))
    with pytest.raises(FileError, match="no such file"):
        pk.as_mask(str(tmp_path / "x.nii"))


def test_images_of_vectors_and_planes_are_refused() -> None:
    for image in (sitk.Image([4, 5], sitk.sitkUInt8), sitk.Image([4, 5, 6], sitk.sitkVectorUInt8, 3)):
        with pytest.raises(MaskError, match="three axes and one component"):
            pk.as_mask(image)


class Volume:
    """A kind of image that ptvkit does not know."""

    def __init__(self, voxels: NDArray[Any], affine: NDArray[np.float64]) -> None:
        self.voxels, self.affine = voxels, affine


class Derived(Volume):
    """And one that derives from it."""


def test_a_third_party_teaches_its_own(
    array: NDArray[np.int16], affine: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "_adapters", dict(adapters._adapters))
    volume = Derived(array, affine)
    with pytest.raises(MaskError, match=r"Derived is not a known image type.*register_adapter"):
        pk.as_mask(volume)
    pk.register_adapter(
        f"{Volume.__module__}.{Volume.__qualname__}",
        read=lambda v: (v.voxels, v.affine),
        write=lambda inside, v: type(v)(inside, v.affine),
    )
    made = pk.like(pk.expand(pk.as_mask(volume), MARGIN), volume)
    assert type(made) is Derived
    np.testing.assert_array_equal(made.voxels, pk.expand(pk.as_mask(array, affine), MARGIN).array)
    with pytest.raises(MaskError, match="module and name"):
        pk.register_adapter("Volume", read=len, write=len)


def test_no_other_library_is_imported() -> None:
    code = (
        "import numpy, ptvkit as pk, sys; m = pk.as_mask(numpy.ones((3, 4, 5), 'u1'), numpy.eye(4));"
        "pk.like(m, m.array);"
        "print({'SimpleITK', 'torch', 'monai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
