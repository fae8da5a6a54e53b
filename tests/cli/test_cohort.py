"""`ptvkit targets --each`: many cases, some of them bad."""

import csv
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from ptvkit.cli import main
from ptvkit.io.nifti import read_mask
from ptvkit.trust.check import check_folder
from ptvkit.work import targets

AFFINE = np.array([[-1.5, 0, 0, 20.0], [0, -2, 0, 31], [0, 0, 3, -40], [0, 0, 0, 1]])
OPTIONS = ["--label", "lesion", "--ctv", "4", "--ptv", "3"]


def save(path: Path, array: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, AFFINE), path)
    return path


def labels(shift: int = 0) -> NDArray[np.uint8]:
    """Liver 1 with a lesion 2 near its right side."""
    array = np.zeros((40, 33, 25), np.uint8)
    array[5:35, 5:28, 3:22] = 1
    array[7 + shift : 13 + shift, 10:15, 9:13] = 2
    return array


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """What nnU-Net leaves: two good cases, one without a lesion, one with NaN, one cut short; liver is a region."""
    home = tmp_path / "predictions"
    for number in range(2):
        save(home / f"case_{number}.nii.gz", labels(number))
    save(home / "none.nii.gz", np.minimum(labels(), 1))
    wrong = labels().astype(np.float32)
    wrong[0, 0, 0] = np.nan
    save(home / "nan.nii.gz", wrong)
    whole = (home / "case_0.nii.gz").read_bytes()
    (home / "short.nii.gz").write_bytes(whole[: len(whole) // 2])
    named = {"background": 0, "liver": [1, 2], "lesion": 2}
    (home / "dataset.json").write_text(json.dumps({"labels": named, "regions_class_order": [1, 2]}))
    return home


def run(*arguments: object) -> int:
    return main(["targets", *map(str, arguments)])


def table(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "cohort.csv", encoding="utf-8", newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_bad_cases_are_told_and_the_others_done(
    predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("--each", predictions, *OPTIONS, "--limit", ":liver", "-o", out) == 3
    rows = table(out)
    assert {name: row["status"] for name, row in rows.items()} == {
        "case_0": "done", "case_1": "done", "nan": "failed", "none": "failed", "short": "failed",
    }  # fmt: skip
    assert "NaN" in rows["nan"]["reason"]
    assert "no voxel holds it" in rows["none"]["reason"]
    assert "cut short" in rows["short"]["reason"]
    assert {path.name for path in out.iterdir()} == {"case_0", "case_1", "cohort.csv", "cohort.json", "cohort.journal"}
    told = capsys.readouterr()
    assert "2 cases done, 3 failed" in told.out
    single = tmp_path / "single"
    assert run(predictions / "case_1.nii.gz", *OPTIONS, "--limit", ":liver", "-o", single) == 0
    assert (single / "ptv.nii.gz").read_bytes() == (out / "case_1" / "ptv.nii.gz").read_bytes()
    volume = json.loads((single / "targets.json").read_text())["volume_cc"]["ptv"]["region"]
    assert float(rows["case_1"]["ptv_cc"]) == pytest.approx(volume, abs=1e-4)
    ctv, liver = (read_mask(path, label=label) for path, label in
                  ((out / "case_0" / "ctv.nii.gz", None), (predictions / "case_0.nii.gz", "liver")))  # fmt: skip
    assert not (ctv.array & ~liver.array).any()
    assert all(finding.is_fresh for finding in check_folder(out))


def test_any_number_of_workers_and_any_resumption_give_the_same_table(
    predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--each", predictions, *OPTIONS, "-o", tmp_path / "a") == 3
    assert run("--each", predictions, *OPTIONS, "-o", tmp_path / "b", "--workers", 2) == 3
    expected = (tmp_path / "a" / "cohort.csv").read_bytes()
    assert (tmp_path / "b" / "cohort.csv").read_bytes() == expected
    made = []
    usual = targets.make_case
    monkeypatch.setattr(targets, "make_case", lambda *given: made.append(given[1].name) or usual(*given))
    assert run("--each", predictions, *OPTIONS, "-o", tmp_path / "a", "--resume") == 3
    assert made == ["nan", "none", "short"]
    assert (tmp_path / "a" / "cohort.csv").read_bytes() == expected
    save(predictions / "case_0.nii.gz", labels(3))  # changed
    (tmp_path / "a" / "case_1" / "ctv.nii.gz").write_bytes(b"edited")
    made.clear()
    assert run("--each", predictions, *OPTIONS, "-o", tmp_path / "a", "--resume") == 3
    assert made[:2] == ["case_0", "case_1"]
    made.clear()
    assert run("--each", predictions, *OPTIONS, "--breathing", "S=3", "-o", tmp_path / "a", "--resume") == 3
    assert made[:2] == ["case_0", "case_1"]


def test_folders_of_masks_and_patterns(tmp_path: Path) -> None:
    whole = labels()
    for name in ("p1", "p2"):
        save(tmp_path / "seg" / name / "liver.nii.gz", (whole > 0).astype(np.uint8))
        save(tmp_path / "seg" / name / "liver_lesions.nii.gz", (whole == 2).astype(np.uint8))
    lesions = ["--label", "liver_lesions", "--ctv", "4", "--ptv", "3", "--limit", ":liver"]
    assert run("--each", tmp_path / "seg", *lesions, "-o", tmp_path / "a") == 0
    pattern = tmp_path / "seg" / "*" / "liver_lesions.nii.gz"
    limit = tmp_path / "seg" / "{case}" / "liver.nii.gz"
    assert run("--each", pattern, "--ctv", "4", "--ptv", "3", "--limit", limit, "-o", tmp_path / "b") == 0
    for name in ("p1", "p2"):
        found = [(tmp_path / out / name / "ptv.nii.gz").read_bytes() for out in "ab"]
        assert found[0] == found[1]
        inputs = json.loads((tmp_path / "a" / name / "targets.json").read_text())["inputs"]
        assert {Path(source["path"]).name for source in inputs} == {"liver.nii.gz", "liver_lesions.nii.gz"}


def test_bids_names_and_sidecars(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    save(raw / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_seg-nnunet_dseg.nii.gz", labels())
    (raw / "dataset_description.json").write_text("{}")
    pattern = raw / "sub-*" / "ses-*" / "anat" / "*_dseg.nii.gz"
    out = tmp_path / "targets"
    options = ["--label", "2", "--ctv", "4", "--ptv", "3", "-o", out, "--bids"]
    assert run("--each", pattern, *options) == 0
    home = out / "sub-01" / "ses-2" / "anat"
    name = "sub-01_ses-2_label-PTV_desc-nnunet_mask"
    said = json.loads((home / f"{name}.json").read_text())
    source = "bids:source:sub-01/ses-2/anat/sub-01_ses-2_seg-nnunet_dseg.nii.gz"
    assert (said["Type"], said["Sources"], said["SpatialReference"]) == ("ROI", [source], source)
    assert read_mask(home / f"{name}.nii.gz").volume_cc > 5
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert (out / described["DatasetLinks"]["source"]).resolve() == raw.resolve()
    assert all(finding.is_fresh for finding in check_folder(out))
    assert run(home.parents[3] / "raw/sub-01/ses-2/anat/sub-01_ses-2_seg-nnunet_dseg.nii.gz", *options) == 0
    (out / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "another"}]}')
    assert run("--each", pattern, *options) == 2


def test_what_is_refused_leaves_nothing(predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bare").mkdir()
    out = tmp_path / "out"
    for given, says in (
        (["--each", tmp_path / "bare"], "holds no case"),
        (["--each", tmp_path / "not"], "is not a folder"),
        (["--each", predictions, predictions / "case_0.nii.gz"], "leave this out"),
        (["--each", predictions, "--workers", 0], "needs 1 or more"),
        ([predictions / "case_0.nii.gz", "--resume"], "is for many cases"),
        ([], "give the mask, or --each"),
    ):
        assert run(*given, *OPTIONS, "-o", out) == 2
        told = capsys.readouterr().err
        assert says in told
        assert told.count("\n") == 1
        assert not out.exists()


def test_a_bug_in_one_case_does_not_stop_the_others(
    predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = targets.make_case

    def broken(request: Any, folder: Path, *more: Any) -> Any:
        if folder.name == "case_0":
            raise ZeroDivisionError("by design")
        return usual(request, folder, *more)

    monkeypatch.setattr(targets, "make_case", broken)
    assert run("--each", predictions, *OPTIONS, "-o", tmp_path / "out") == 1
    assert "ZeroDivisionError: by design" in table(tmp_path / "out")["case_0"]["reason"]
    assert table(tmp_path / "out")["case_1"]["status"] == "done"
    assert "Traceback" in capsys.readouterr().err
