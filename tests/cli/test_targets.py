"""`ptvkit targets` as a user runs it."""

import gzip
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from ptvkit.cli import main

AFFINE = np.array([[-1.0, 0, 0, 14.5], [0, -2.0, 0, 33.0], [0, 0, 3.0, -41.25], [0, 0, 0, 1.0]])
MARGINS = ["--ctv", "4", "--ptv", "5"]


def write(path: Path, array: NDArray[Any], affine: NDArray[np.float64] = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def block(shape: tuple[int, int, int] = (60, 33, 25)) -> NDArray[np.uint8]:
    """A structure off the centre, longer to the patient's right (low first index here) than to the left."""
    array = np.zeros(shape, np.uint8)
    array[22:34, 12:18, 9:14] = 1
    array[18:22, 13:16, 10:12] = 1
    return array


@pytest.fixture
def gtv(tmp_path: Path) -> Path:
    return write(tmp_path / "gtv.nii.gz", block())


def run(*arguments: object) -> int:
    return main(["targets", *map(str, arguments)])


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "targets.json").read_text(encoding="utf-8"))
    return found


def test_writes_masks_sidecars_and_a_summary(gtv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(gtv, *MARGINS, "--breathing", "S=3,I=9", "-o", out) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "PTV" in told.out
    names = {"ctv.nii.gz", "ctv.nii.gz.json", "ptv.nii.gz", "ptv.nii.gz.json", "targets.json", "targets.html"}
    assert {path.name for path in out.iterdir()} == names
    image = nib.load(out / "ptv.nii.gz")
    assert image.get_data_dtype() == np.uint8
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    found = content(out)
    assert found["margin_asked_mm"]["breathing"] == {"R": 0, "L": 0, "A": 0, "P": 0, "S": 3, "I": 9}
    reached = found["margin_achieved_mm"]["region"]["ptv"]
    # extremes are read off a grid of about 1 mm: a tenth of it at most
    assert reached == pytest.approx({"R": 5, "L": 5, "A": 5, "P": 5, "S": 8, "I": 14}, abs=0.1)
    digest = hashlib.sha256((out / "ptv.nii.gz").read_bytes()).hexdigest()
    assert found["files"]["ptv"] == {"path": "ptv.nii.gz", "sha256": digest}
    assert found["inputs"][0]["path"] == "../gtv.nii.gz"
    assert json.loads((out / "ptv.nii.gz.json").read_text())["output"]["sha256"] == digest


def test_breathing_goes_to_the_side_that_is_named(gtv: Path, tmp_path: Path) -> None:
    """Directions against the affine, without any of ptvkit's own: 3 mm slices, superior is towards high index."""
    assert run(gtv, *MARGINS, "--breathing", "I=12", "-o", tmp_path / "out") == 0
    slices = np.flatnonzero(np.asarray(nib.load(tmp_path / "out" / "ptv.nii.gz").dataobj).any(axis=(0, 1)))
    assert (9 - slices[0], slices[-1] - 13) == (7, 3)  # 4 + 5 + 12 = 21 mm, 4 + 5 = 9 mm


def test_zero_margins_give_the_input_voxel_for_voxel(gtv: Path, tmp_path: Path) -> None:
    assert run(gtv, "--ctv", "0", "--ptv", "0", "-o", tmp_path) == 0
    for name in ("ctv", "ptv"):
        assert (np.asarray(nib.load(tmp_path / f"{name}.nii.gz").dataobj) == block()).all()


def test_same_command_same_bytes(gtv: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(gtv, *MARGINS, "-o", tmp_path / name) == 0
    assert (tmp_path / "a" / "ptv.nii.gz").read_bytes() == (tmp_path / "b" / "ptv.nii.gz").read_bytes()


def test_finer_grid_and_padding(gtv: Path, tmp_path: Path) -> None:
    assert run(gtv, "--ctv", "10", "--ptv", "10", "--grid", "1.5", "--pad", "-o", tmp_path / "out") == 0
    image = nib.load(tmp_path / "out" / "ptv.nii.gz")
    np.testing.assert_allclose(nib.affines.voxel_sizes(image.affine), 1.5, atol=0.05)
    array = np.asarray(image.dataobj)
    edges = [array.take(at, axis=axis).any() for axis in range(3) for at in (0, -1)]
    assert not any(edges)
    assert content(tmp_path / "out")["cut_cc"]["ptv_outside_image"] == 0


def test_a_mask_that_the_image_would_cut_needs_consent(
    gtv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = (gtv, "--ctv", "20", "--ptv", "20", "-o", tmp_path / "out")
    assert run(*wide) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert all(word in told for word in ("ptv", "enlarge the grid", "allow the cut"))
    assert not (tmp_path / "out").exists()
    assert run(*wide, "--allow-cut") == 0
    assert "PTV" in capsys.readouterr().err
    assert any("fall outside the image" in line for line in content(tmp_path / "out")["warnings"])


def test_an_image_that_misses_the_target_is_refused(
    gtv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = AFFINE.copy()
    away[2, 3] = 300.0
    other = write(tmp_path / "slice.nii.gz", np.zeros((60, 33, 1), np.uint8), away)
    for consent in ((), ("--allow-cut",)):
        assert run(gtv, *MARGINS, "--grid", other, *consent, "-o", tmp_path / "out") == 2
        assert "ctv: its mask would be empty" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_limit_avoid_and_evaluation(gtv: Path, tmp_path: Path) -> None:
    organ = np.zeros_like(block())
    organ[15:36, 9:25, 6:17] = 1
    bone = np.zeros_like(block())
    bone[:, 20:23, :] = 1
    labels = write(tmp_path / "organs.nii.gz", organ + 2 * bone * (1 - organ) + 2 * bone * organ)
    out = tmp_path / "out"
    wanted = ["--limit", write(tmp_path / "organ.nii.gz", organ), "--avoid", write(tmp_path / "bone.nii.gz", bone)]
    wanted += ["--clearance", 2, "--eval-limit", tmp_path / "organ.nii.gz", "--eval-depth", 1]
    assert run(gtv, "--ctv", "8", "--ptv", "5", *wanted, "-o", out) == 0
    masks = {n: np.asarray(nib.load(out / f"{n}.nii.gz").dataobj).astype(bool) for n in ("ctv", "ptv", "ptv_eval")}
    assert not (masks["ctv"] & ~organ.astype(bool)).any()
    assert not (masks["ctv"] & bone.astype(bool)).any()
    assert (masks["ctv"] >= block().astype(bool)).all()
    assert (masks["ptv"] & ~organ.astype(bool)).any()  # the PTV is not cut
    eroded = ndimage.distance_transform_edt(organ, sampling=(1, 2, 3)) > 0
    assert (masks["ptv_eval"] <= eroded).all()
    assert masks["ptv_eval"].sum() < (masks["ptv"] & organ.astype(bool)).sum()
    assert content(out)["cut_cc"]["ctv_limit"] > 0
    assert labels.exists()


def test_labels_and_lesions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = 3 * block()
    array[52:56, 26:29, 3:5] = 3
    array[5:8, 2:4, 20:22] = 7
    path = write(tmp_path / "seg.nii.gz", array)
    assert run(f"{path}:3", "--lesion", "largest", "--ctv", "0", "--ptv", "0", "-o", tmp_path / "one") == 0
    assert (np.asarray(nib.load(tmp_path / "one" / "ptv.nii.gz").dataobj) == block()).all()
    assert run(path, "--label", 3, *MARGINS, "--lesion-ptv", "2:0", "--lesion-ctv", "2:0", "-o", tmp_path / "two") == 0
    ptv = np.asarray(nib.load(tmp_path / "two" / "ptv.nii.gz").dataobj)
    far = np.zeros_like(ptv)
    far[46:, 23:, :] = 1
    assert ((ptv * far) == (array == 3) * far).all()  # the second lesion did not grow
    found = content(tmp_path / "two")
    assert [lesion["number"] for lesion in found["lesions"]] == [1, 2]
    assert len(found["margin_asked_mm"]["lesions"]) == 2
    capsys.readouterr()
    assert run(path, *MARGINS, "-o", tmp_path / "three") == 2
    assert "3, 7" in capsys.readouterr().err


def test_merging_lesions_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = block()
    array[40:44, 12:16, 9:12] = 1
    assert run(write(tmp_path / "gtv.nii.gz", array), *MARGINS, "-o", tmp_path / "out") == 0
    assert "lesions 1, 2 merge" in capsys.readouterr().err
    assert [lesion["merged_with"] for lesion in content(tmp_path / "out")["lesions"]] == [[2], [1]]


def test_picture_and_json(gtv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = write(tmp_path / "ct.nii.gz", np.zeros((60, 33, 25), np.int16))
    assert run(gtv, *MARGINS, "--picture", "--image", image, "--json", "-o", tmp_path / "out") == 0
    assert json.loads(capsys.readouterr().out) == content(tmp_path / "out")
    assert (tmp_path / "out" / "targets.png").read_bytes().startswith(b"\x89PNG")


def damaged(folder: Path, case: str) -> Path:
    """A GTV file that cannot be used, by the name of what is wrong with it."""
    path = folder / f"{case}.nii.gz"
    array: NDArray[Any] = block()
    if case == "folder":
        path.mkdir()
    elif case == "empty":
        path.touch()
    elif case == "no image":
        path.write_text("a letter")
    elif case == "truncated":
        whole = write(folder / "whole.nii.gz", array).read_bytes()
        path.write_bytes(whole[: len(whole) * 2 // 3])
    elif case == "promises too much":
        header = bytearray(gzip.decompress(write(folder / "whole.nii.gz", array).read_bytes())[:352])
        header[40:48] = struct.pack("<4h", 3, 30000, 30000, 30000)
        path.write_bytes(gzip.compress(bytes(header)))
    elif case != "missing":
        affine = AFFINE
        if case == "no voxel":
            array = array * 0
        elif case == "nan":
            array = np.where(array > 0, np.float32(1), np.float32(np.nan))
        elif case == "fractions":
            array = array * np.float32(0.4)
        elif case == "several labels":
            array[0, 0, 0] = 9
        elif case == "several volumes":
            array = np.stack([array, array], axis=-1)
        elif case == "sheared":
            affine = AFFINE.copy()
            affine[0, 1] = 0.8
        write(path, array, affine)
    return path


CASES = {
    "missing": "no such file",
    "folder": "folder",
    "empty": "empty",
    "no image": "",
    "truncated": "cut short",
    "promises too much": "promises",
    "no voxel": "no voxel is inside",
    "nan": "NaN",
    "fractions": "not labels",
    "several labels": "--label",
    "several volumes": "volumes",
    "sheared": "sheared",
}


@pytest.mark.parametrize("case", CASES)
def test_bad_gtv_is_one_line_status_2_and_no_file(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = damaged(tmp_path, case), tmp_path / "new" / "out"
    assert run(path, *MARGINS, "-o", out) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert str(path) in told.err
    assert CASES[case] in told.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--ctv", "-3", "--ptv", "5"], "--ctv -3"),
        (["--ctv", "4", "--ptv", "nan"], "--ptv nan"),
        (["--ctv", "4", "--ptv", "S=101"], "100 mm"),
        (["--ctv", "4", "--ptv", "supperior=5"], "did you mean superior"),
        (["--ctv", "4", "--ptv", "ten"], "not a number"),
        (["--ctv", "4", "--ptv", "S=3,S=4"], "twice"),
        (["--ctv", "4"], "--ptv"),
        ([*MARGINS, "--breathing", "10"], "name each side"),
        ([*MARGINS, "--lesion", "3"], "--lesion 3"),
        ([*MARGINS, "--lesion-ptv", "4:3"], "--lesion-ptv 4:3"),
        ([*MARGINS, "--grid", "0"], "--grid 0"),
        ([*MARGINS, "--grid", "none.nii.gz"], "none.nii.gz"),
        ([*MARGINS, "--eval-depth", "3"], "eval_depth_mm needs eval_limit"),
        ([*MARGINS, "--label", "spleen"], "spleen"),
        ([*MARGINS, "--colour", "red"], "--colour"),
    ],
)
def test_bad_options_are_one_line_and_status_2(
    wrong: list[str], said: str, gtv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(gtv, *wrong, "-o", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert said in told
    assert not (tmp_path / "out").exists()


def test_other_grid_is_refused(gtv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 0.5
    liver = write(tmp_path / "liver.nii.gz", np.ones_like(block()), moved)
    assert run(gtv, *MARGINS, "--limit", liver, "-o", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert str(liver) in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("link", ["same name", "hard link", "symbolic link"])
def test_an_output_that_is_an_input_is_refused(link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    target = write(out / "ptv.nii.gz", block())
    gtv = target
    if link == "hard link":
        gtv = tmp_path / "gtv.nii.gz"
        gtv.hardlink_to(target)
    elif link == "symbolic link":
        gtv = tmp_path / "gtv.nii.gz"
        gtv.symlink_to(target)
    before = target.read_bytes()
    assert run(gtv, *MARGINS, "-o", out) == 2
    assert "overwrite" in capsys.readouterr().err
    assert target.read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["ptv.nii.gz"]


def test_out_that_is_a_file_is_refused(gtv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = gtv.read_bytes()
    assert run(gtv, *MARGINS, "-o", gtv) == 2
    assert "give a folder" in capsys.readouterr().err
    assert gtv.read_bytes() == before


def test_a_failure_while_writing_leaves_nothing(
    gtv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert run(gtv, *MARGINS, "-o", tmp_path / "out") == 2
    assert "no space is left" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_nothing(gtv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", stop)
    assert run(gtv, *MARGINS, "-o", tmp_path / "out") == 130
    assert not (tmp_path / "out").exists()


def test_a_bug_keeps_its_traceback(gtv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("ptvkit.margins.lesion_parts.dilate", bug)
    with pytest.raises(TypeError, match="a bug"):
        run(gtv, *MARGINS, "-o", tmp_path / "out")


@pytest.mark.realdata
@pytest.mark.parametrize("case", ["ent_brain/GTV.nii.gz", "lung_gtv/lung1_gtv.nii.gz", "lung_gtv/lung2_gtv.nii.gz"])
def test_clinical_masks(case: str, shared_data: Path, tmp_path: Path) -> None:
    ten = ["--ctv", "10", "--ptv", "10", "--breathing", "S=12,I=18", "--pad"]
    assert run(shared_data / case, *ten, "-o", tmp_path) == 0
    reached = content(tmp_path)["margin_achieved_mm"]["region"]
    assert reached["ctv"] == pytest.approx(dict.fromkeys("RLAPSI", 10), abs=0.1)
    assert reached["ptv"] == pytest.approx({"R": 10, "L": 10, "A": 10, "P": 10, "S": 22, "I": 28}, abs=0.1)
