"""Phases as files: names, manifests, weights, structure sets, displacement fields."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.io.displacement_fields import read_displacement_field

AFFINE = np.diag([-2.0, -2.0, 3.0, 1.0])
SHAPE = (30, 28, 24)


def mask(shift: int = 0, array: NDArray[np.bool_] | None = None, affine: NDArray[np.float64] = AFFINE) -> pk.Mask:
    if array is None:
        array = np.zeros(SHAPE, bool)
        array[9:20, 9:19, 8 + shift : 15 + shift] = True
    return pk.Mask.from_array(array, affine)


def folder(home: Path, names: dict[str, int]) -> Path:
    home.mkdir(exist_ok=True)
    for name, shift in names.items():
        pk.write_mask(mask(shift), home / name)
    return home


@pytest.mark.filterwarnings("ignore:.*nothing states the time weights")
@pytest.mark.parametrize(
    "names",
    [
        {"gtv_T80.nii.gz": 0, "gtv_T00.nii.gz": -3, "gtv_T30.nii.gz": -1},
        {"p07 phase 80.nii": 0, "p07 phase 0.nii": -3, "p07 phase 30.nii": -1},
        {"80%_gtv2.nii.gz": 0, "0%_gtv2.nii.gz": -3, "30%_gtv2.nii.gz": -1},
        {"80.nii.gz": 0, "000.nii.gz": -3, "30.nii.gz": -1},
    ],
)
def test_numbers_come_from_names(names: dict[str, int], tmp_path: Path) -> None:
    found = pk.read_phases(folder(tmp_path / "4d", names))
    assert found.numbers.tolist() == [0, 30, 80]
    np.testing.assert_allclose(found.displacement_mm[:, 2], [-5, 1, 4], atol=0.05)
    assert found.grid is not None
    assert pk.read_phases(str(tmp_path / "4d" / "*.nii*")).numbers.tolist() == [0, 30, 80]


def test_weights_come_from_names_a_manifest_or_arguments(tmp_path: Path) -> None:
    names = {"phase_0_w0.2.nii.gz": -3, "phase_30_w0.3.nii.gz": -1, "phase_80_w0.5.nii.gz": 0}
    home = folder(tmp_path / "named", names)
    np.testing.assert_allclose(pk.read_phases(home).weights, [0.2, 0.3, 0.5])
    np.testing.assert_allclose(pk.read_phases(home, weights=(50, 25, 25)).weights, [0.5, 0.25, 0.25])
    home = folder(tmp_path / "listed", {"a.nii.gz": -3, "b.nii.gz": -1, "c.nii.gz": 0})
    (home / "phases.csv").write_text("file,phase,weight\nb.nii.gz,40,0.3\na.nii.gz,0,0.2\nc.nii.gz,70,0.5\n")
    found = pk.read_phases(home)
    np.testing.assert_allclose(found.weights, [0.2, 0.3, 0.5])
    assert found.numbers.tolist() == [0, 40, 70]
    with pytest.raises(pk.MotionError, match=r"add up to 0\.9"):
        pk.read_phases(home, weights=(0.3, 0.3, 0.3))


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    home = folder(tmp_path / "4d", {"a.nii.gz": -3, "b.nii.gz": -1, "c.nii.gz": 0})
    with pytest.warns(pk.PtvkitWarning) as said:
        found = pk.read_phases([home / "a.nii.gz", home / "b.nii.gz", home / "c.nii.gz"])
    texts = " | ".join(str(one.message) for one in said)
    assert "the files name no phases; they are taken in this order" in texts
    assert "nothing states the time weights of the phases; they are taken as equal, 1/3 each" in texts
    np.testing.assert_allclose(found.weights, 1 / 3)
    with pytest.raises(pk.FileError, match="names no phase, as phase_30 does"):
        pk.read_phases(home)
    with pytest.warns(pk.PtvkitWarning, match="time weights"):
        assert pk.read_phases(home, numbers=(10, 50, 90)).numbers.tolist() == [10, 50, 90]


@pytest.mark.filterwarnings("ignore:.*nothing states the time weights")
def test_bad_phases_are_refused(tmp_path: Path) -> None:
    home = folder(tmp_path / "4d", {"phase_0.nii.gz": -3, "phase_30.nii.gz": -1})
    with pytest.raises(pk.MotionError, match="holds 2 phases"):
        pk.read_phases(home)
    pk.write_mask(mask(affine=np.diag([-2.0, -2.0, 2.5, 1.0])), home / "phase_60.nii.gz")
    with pytest.raises(pk.GridError, match=r"phase_60\.nii\.gz lies on another grid"):
        pk.read_phases(home)
    pk.write_mask(mask(array=np.zeros(SHAPE, bool)), home / "phase_60.nii.gz")
    with pytest.raises(pk.EmptyMaskError, match="phase_60"):
        pk.read_phases(home)
    folder(home, {"phase_60.nii.gz": 0, "other_T60.nii.gz": 0})
    with pytest.raises(pk.FileError, match="both phase 60"):
        pk.read_phases(home)
    (tmp_path / "none").mkdir()
    with pytest.raises(pk.FileError, match="holds no structures"):
        pk.read_phases(tmp_path / "none")
    with pytest.raises(pk.FileError, match="no folder of phases"):
        pk.read_phases(tmp_path / "missing")


@pytest.mark.filterwarnings("ignore:.*nothing states the time weights")
def test_a_phase_that_shrinks_or_is_cut_is_warned_of(tmp_path: Path) -> None:
    home = folder(tmp_path / "4d", {"phase_0.nii.gz": -3, "phase_30.nii.gz": -1})
    array = np.zeros(SHAPE, bool)
    array[9:20, 9:19, 17:] = True
    pk.write_mask(mask(array=array), home / "phase_60.nii.gz")
    array = np.zeros(SHAPE, bool)
    array[12:17, 13:17, 10:14] = True
    pk.write_mask(mask(array=array), home / "phase_80.nii.gz")
    with pytest.warns(pk.PtvkitWarning) as said:
        pk.read_phases(home)
    texts = " | ".join(str(one.message) for one in said)
    assert "phase_60.nii.gz: reaches the image's edge (S)" in texts
    assert "the volume changes by" in texts


def field(path: Path, shift_ras: tuple[float, float, float], *, vectors: str, as_itk: bool) -> Path:
    """A constant field."""
    components = np.array(shift_ras) * ([-1, -1, 1] if vectors == "LPS" else [1, 1, 1])
    values = np.broadcast_to(components, (*SHAPE, 3)).astype(np.float32)
    if not as_itk:
        nib.save(nib.Nifti1Image(values[:, :, :, None], AFFINE), path)  # type: ignore[no-untyped-call]
        return path
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0, 3)), isVector=True)
    image.SetSpacing((2.0, 2.0, 3.0))  # along L, P and S, as the affine says
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.mark.filterwarnings("ignore:.*nothing states the time weights")
@pytest.mark.parametrize("as_itk", [False, True])
@pytest.mark.parametrize("vectors", ["LPS", "RAS"])
def test_fields_carry_one_structure_to_the_phases(as_itk: bool, vectors: str, tmp_path: Path) -> None:
    if as_itk:
        pytest.importorskip("SimpleITK")
    pk.write_mask(mask(), tmp_path / "gtv.nii.gz")
    moved = {0: (1.0, 4.0, -9.0), 30: (0.0, 2.0, -3.0)}
    end = "mha" if as_itk else "nii.gz"
    fields = [
        field(tmp_path / f"dvf_T{n:02d}.{end}", shift, vectors=vectors, as_itk=as_itk) for n, shift in moved.items()
    ]
    common = {"fields": fields, "vectors": vectors, "reference": 50, "weights": (0.3, 0.3, 0.4)}
    found = pk.read_phases(tmp_path / "gtv.nii.gz", maps="from_reference", **common)
    expected = np.array([*moved.values(), (0, 0, 0)])
    np.testing.assert_allclose(found.displacement_mm, expected - [0.3, 0.3, 0.4] @ expected, atol=0.05)
    assert found.numbers.tolist() == [0, 30, 50]
    np.testing.assert_allclose(found.volume_cc, found.volume_cc[0], rtol=0.01)
    back = pk.read_phases(tmp_path / "gtv.nii.gz", maps="to_reference", **common)
    np.testing.assert_allclose(back.displacement_mm, -found.displacement_mm, atol=0.05)


def test_a_field_of_the_wrong_direction_is_refused(tmp_path: Path) -> None:
    pk.write_mask(mask(), tmp_path / "gtv.nii.gz")
    fields = [
        field(tmp_path / f"dvf_T{n:02d}.nii.gz", (0, 0, shift), vectors="LPS", as_itk=False)
        for n, shift in ((0, -9.0), (30, -3.0))
    ]
    drawn = [tmp_path / "gtv_T00.nii.gz"]
    pk.write_mask(mask(-3), drawn[0])
    common = {"fields": fields, "vectors": "LPS", "reference": 50, "weights": (0.3, 0.3, 0.4), "delineated": drawn}
    pk.read_phases(tmp_path / "gtv.nii.gz", maps="from_reference", **common)
    with pytest.raises(
        pk.MotionError, match=r"T00.nii.gz: has the wrong direction.*lies 18.0 mm .*maps='from_reference'"
    ):
        pk.read_phases(tmp_path / "gtv.nii.gz", maps="to_reference", **common)
    with pytest.raises(pk.MotionError, match="fields need vectors"):
        pk.read_phases(tmp_path / "gtv.nii.gz", fields=fields)
    with pytest.raises(pk.FileError, match="vectors 'XYZ'"):
        pk.read_phases(tmp_path / "gtv.nii.gz", fields=fields, vectors="XYZ")
    with pytest.raises(pk.FileError, match="a field has three components"):
        pk.read_phases(tmp_path / "gtv.nii.gz", fields=drawn * 1, vectors="LPS", numbers=(0,))


def test_folding_is_reported(tmp_path: Path) -> None:
    pk.write_mask(mask(), tmp_path / "gtv.nii.gz")
    fields = [
        field(tmp_path / f"dvf_T{n}.nii.gz", (0, 0, -3.0 * n / 10), vectors="RAS", as_itk=False) for n in (10, 20)
    ]
    heights = (np.arange(SHAPE[2]) * 3.0 - 36)[:, None] * [0.0, 0.0, -1.4]
    folds = np.broadcast_to(heights, (*SHAPE, 3)).astype(np.float32)
    nib.save(nib.Nifti1Image(folds, AFFINE), tmp_path / "dvf_T30.nii.gz")  # type: ignore[no-untyped-call]
    fields.append(tmp_path / "dvf_T30.nii.gz")
    with pytest.warns(pk.PtvkitWarning, match=r"dvf_T30.nii.gz: folds at 100.0% of its nodes"):
        pk.read_phases(tmp_path / "gtv.nii.gz", fields=fields, vectors="RAS", weights=(0.3, 0.3, 0.4))


@pytest.mark.parametrize("harm", ["datatype", "gzip", "negative", "huge", "complex"])
def test_a_damaged_field_is_refused_in_a_line(harm: str, tmp_path: Path) -> None:
    path = tmp_path / ("field.nii.gz" if harm == "gzip" else "field.nii")
    kind = np.complex64 if harm == "complex" else np.float32
    nib.save(nib.Nifti1Image(np.ones((6, 5, 4, 1, 3), kind), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    if harm == "datatype":
        content[70:72] = (999).to_bytes(2, "little")
    elif harm == "gzip":
        content[30:60] = bytes(30)
    elif harm in ("negative", "huge"):
        size = -5 if harm == "negative" else 32767
        content[42:48] = size.to_bytes(2, "little", signed=True) * 3
    path.write_bytes(content)
    with pytest.raises(pk.FileError, match=r"field\.nii") as refusal:
        read_displacement_field(path, vectors="RAS")
    assert "\n" not in str(refusal.value)
