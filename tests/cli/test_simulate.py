"""`ptvkit simulate`, `trace` and `setup-stats` as a user runs them."""

import csv
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from ptvkit.cli import main
from ptvkit.errors import FileError
from ptvkit.request.request import Request

AFFINE = np.array([[-1.0, 0, 0, 24.5], [0, -1.2, 0, 23.0], [0, 0, 2.0, -31.25], [0, 0, 0, 1.0]])
ERRORS = ["--error", "set-up:2,2,3/2,2,3", "--error", "drawing:1:nothing"]
QUICK = ["--patients", "60", "--fractions", "2", "--seed", "3", "--no-pictures", "--no-maps"]


def ellipsoid(path: Path, semi: float, affine: NDArray[np.float64] = AFFINE) -> Path:
    index = np.moveaxis(np.indices((50, 42, 32)), 0, -1)
    points = index @ affine[:3, :3].T + affine[:3, 3]
    inside = np.linalg.norm((points - [1.0, -2.0, 0.5]) / [1.0, 0.8, 1.2], axis=-1) <= semi
    nib.save(nib.Nifti1Image(inside.astype(np.uint8), affine), path)
    return path


@pytest.fixture
def case(tmp_path: Path) -> list[str]:
    return ["--ctv", str(ellipsoid(tmp_path / "ctv.nii.gz", 10)), "--ptv", str(ellipsoid(tmp_path / "ptv.nii.gz", 15))]


def run(*arguments: object) -> int:
    return main(["simulate", *map(str, arguments)])


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "coverage.json").read_text(encoding="utf-8"))
    return found


def test_writes_everything_it_says(case: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(*case, "--study", "liver-protocol", "--patients", 150, "--fractions", 3, "-o", out) == 0
    told = capsys.readouterr()
    assert "warning" not in told.err
    assert "contained" in told.out
    assert "not a medical device" in told.out
    names = {path.name for path in out.iterdir()}
    pictures = {f"coverage_{name}.png" for name in ("budget", "course", "map", "misses")}
    maps = {f"{name}.nii.gz{more}" for name in ("ctv_inside_ptv", "occupied_by_ctv") for more in ("", ".json")}
    dose = {"dose.json", "dose.csv", "dose_dvh.png", "dose_map.png", "dose_population.png"}
    assert names == {"coverage.json", "coverage.csv"} | pictures | maps | dose
    found = content(out)
    assert found["schema"] == "ptvkit-coverage/1"
    assert found["patients"] == 150
    share = found["target"]["contained_within_mm"]["2"]
    assert 0 <= share["low"] <= share["value"] <= share["high"] <= 1
    assert "never a margin criterion" in found["target"]["geometric_index"]["meaning"]
    assert [row["name"] for row in found["residual_errors_mm"]][-1] == "total"
    assert {cost["name"] for cost in found["costs"]} >= {"set-up", "delineation", "breathing", "all together"}
    assert found["asked"]["breathing"]["reference"] == "snapshot"
    assert {Path(source["path"]).name for source in found["inputs"]} == {"ctv.nii.gz", "ptv.nii.gz"}
    with open(out / "coverage.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 150 * 3
    assert set(rows[0]) == {"patient", "fraction", "target", "coverage", "miss_mm", "side", "time_out"}
    deepest = {row["patient"]: 0.0 for row in rows}
    for row in rows:
        deepest[row["patient"]] = max(deepest[row["patient"]], float(row["miss_mm"]))
        assert (row["side"] == "-") == (float(row["miss_mm"]) == 0)
    contained = np.mean([depth <= 0 for depth in deepest.values()])
    assert contained == pytest.approx(found["target"]["contained_within_mm"]["0"]["value"])
    image = nib.load(out / "occupied_by_ctv.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert float(np.asarray(image.dataobj).max()) <= 1


def test_flags_and_files_say_the_same(case: list[str], tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        '[cases]\nctv = "ctv.nii.gz"\nptv = "ptv.nii.gz"\n'
        '[[errors]]\nname = "set-up"\nsystematic_mm = [2, 2, 3]\nrandom_mm = [2, 2, 3]\n'
        '[[errors]]\nname = "drawing"\nsystematic_mm = 1\nseen_by = "nothing"\n'
        '[guidance]\nmatch = "bone"\naction_level_mm = 2\n'
        '[breathing]\namplitude_mm = [1, 3, 9]\ninhale = [1, 1, -1]\nreference = "time_mean"\n'
        "[simulation]\nfractions = 2\npatients = 60\nseed = 3\n",
        encoding="utf-8",
    )
    flags = [*ERRORS, "--match", "bone", "--action-level", "2", "--amplitude", "1,3,9", "--inhale", "1,1,-1"]
    assert run(*case, *flags, "--reference", "time_mean", *QUICK, "-o", tmp_path / "a") == 0
    assert run("--study", study, "--no-pictures", "--no-maps", "-o", tmp_path / "b") == 0
    assert (tmp_path / "a/coverage.csv").read_bytes() == (tmp_path / "b/coverage.csv").read_bytes()
    assert content(tmp_path / "a")["target"] == content(tmp_path / "b")["target"]
    # an option goes before the file
    assert run("--study", study, "--match", "none", "--no-pictures", "--no-maps", "-o", tmp_path / "c") == 0
    assert content(tmp_path / "c")["target"] != content(tmp_path / "b")["target"]
    assert "guidance" not in content(tmp_path / "c")["asked"]


def test_another_breathing_leaves_behind_what_described_the_one_before() -> None:
    study = {"breathing": {"preset": "liver-compression", "variation": "free", "reference": "snapshot"}}
    other = Request.load(study, {"breathing.trace": ["a.csv"], "breathing.axes": "RAS"}).content["breathing"]
    assert other == {"trace": ["a.csv"], "axes": "RAS", "reference": "snapshot"}
    assert Request.load(study, {"breathing.preset": "none"}).tables.breathing is None
    assert Request.load(study, {"breathing.reference": "exhale"}).content["breathing"]["variation"] == "free"
    plan = {"dose": {"prescription_gy": 22.8, "edge_level": 0.9}}
    assert Request.load(plan, {"dose.file": "d.nii"}).content["dose"] == {"file": "d.nii", "prescription_gy": 22.8}
    with pytest.raises(FileError, match=r"guidance\.match is none, and guidance\.mode is set"):
        Request.load(None, {"guidance.match": "none", "guidance.mode": "vector"})


def test_other_grids_are_resampled_and_said(
    case: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = AFFINE.copy()
    other[:3, 3] += [0.3, -0.4, 1.0]
    path = ellipsoid(tmp_path / "other.nii.gz", 15, other)
    assert run(*case[:2], "--ptv", path, *ERRORS, *QUICK, "-o", tmp_path / "out") == 0
    assert "are on different grids; the PTV's surface is resampled" in capsys.readouterr().err
    assert "different grids" in content(tmp_path / "out")["warnings"][0]
    assert run(*case, *ERRORS, *QUICK, "-o", tmp_path / "same") == 0
    a, b = (content(tmp_path / name)["target"]["contained_within_mm"]["2"]["value"] for name in ("out", "same"))
    assert a == pytest.approx(b, abs=0.1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--error", "a:-1"], "[[errors]] 1: a: systematic_mm: needs numbers from 0"),
        (["--error", "2,2,3"], "--error 2,2,3: give NAME:Σ/σ"),
        (["--error", "a:1,2/1"], "--error a:1,2/1: give one number, or three for LR,AP,SI"),
        (["--error", "a:1/1:skin"], "--error a:1/1:skin: input should be 'bone_and_soft_tissue'"),
        ([], "nothing displaces the target; give errors, breathing, or a study such as liver-protocol"),
        (["--error", "a:1", "--patients", "90000000", "--fractions", "12"], "1.08e+09 displacements, about"),
        (["--error", "a:1", "--patients", "0"], "patients: needs a whole number from 1"),
        (["--amplitude", "1,2,3", "--inhale", "1,1,-1", "--period", "0", "--reference", "exhale"], "period_s: needs a"),
        (["--amplitude", "1,2,3", "--reference", "exhale"], "amplitude_mm needs inhale"),
        (["--breathing", "deep", "--reference", "exhale"], "breathing preset 'deep': use one of liver-free-median"),
        (["--breathing", "liver-compression"], "breathing.reference: field required"),
        (["--breathing", "liver-compression", "--reference", "deep"], "reference: use 'time_mean', 'exhale'"),
        (["--study", "no.toml"], "no.toml: no such file"),
        (["--trace", "trace.csv", "--reference", "time_mean"], "axes= is missing"),
        (["--trace", "trace.csv", "--axes", "RAS", "--reference", "exhale"], "does not tell which end is inhale"),
        (["--trace", "bare.csv", "--axes", "RAS", "--reference", "time_mean"], "column x has no unit"),
        (["--trace", "nan.csv", "--axes", "RAS", "--reference", "time_mean"], "line 3: y is 'nan', not a number"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    case: list[str],
    tmp_path: Path,
    options: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.csv").write_text("t_s,x_mm,y_mm,z_mm\n0,0,0,0\n1,0,1,-5\n2,0,0,0\n", encoding="utf-8")
    (tmp_path / "bare.csv").write_text("t_s,x,y,z\n0,0,0,0\n1,0,1,-5\n", encoding="utf-8")
    (tmp_path / "nan.csv").write_text("t_s,x_mm,y_mm,z_mm\n0,0,0,0\n1,0,nan,-5\n", encoding="utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run(*case, *options, "-o", "out") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert says in told
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_exchanged_masks_are_refused(case: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exchanged = ["--ctv", case[3], "--ptv", case[1]]
    assert run(*exchanged, *ERRORS, *QUICK, "-o", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "ptv.nii.gz lies outside" in told
    assert "before any displacement" in told
    assert not (tmp_path / "out").exists()


def test_missing_masks(case: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*case[:2], *ERRORS, "-o", tmp_path / "out") == 2
    assert "ptv: is missing; give the PTV's mask" in capsys.readouterr().err


def test_an_input_is_never_replaced(case: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ellipsoid(tmp_path / "occupied_by_ctv.nii.gz", 10)
    assert run("--ctv", tmp_path / "occupied_by_ctv.nii.gz", *case[2:], *ERRORS, *QUICK, "-o", tmp_path) == 2
    assert "occupied_by_ctv.nii.gz" in capsys.readouterr().err


TRACE = "t_s,LR_mm,AP_mm,SI_mm\n" + "".join(
    f"{0.2 * n:.1f},{0.1 * u:.4f},{3 * u:.4f},{-10 * u:.4f}\n"
    for n, u in enumerate(np.sin(np.pi * np.arange(200) * 0.05) ** 6)
)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE, encoding="utf-8")
    return path


def test_trace(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", str(trace), "--axes", "RAS", "--picture", str(tmp_path / "a.png")]) == 0
    told = capsys.readouterr().out
    assert "10.00" in told
    assert "4.00 s" in told
    assert (tmp_path / "a.png").stat().st_size > 20_000
    assert main(["trace", str(trace), "--axes", "RAS", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["range_mm"] == pytest.approx([0.1, 3, 10])
    assert found["breaths"]["axis"][2] < -0.9
    assert sum(found["duty"]) == pytest.approx(1)
    assert main(["trace", str(trace)]) == 2
    assert "axes= is missing" in capsys.readouterr().err
    assert main(["trace", str(trace), "--axes", "RAS", "--picture", str(trace)]) == 2
    assert trace.read_text(encoding="utf-8") == TRACE


def test_setup_stats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daily = {"a": [2, 1, 1, 1], "b": [4, -2, 2, 0], "c": [1, -1, 2, 2], "d": [3, -3, -2, 1]}
    rows = [f"{name},{n},{x},0,{-x}" for name, values in daily.items() for n, x in enumerate(values)]
    path = tmp_path / "shifts.csv"
    path.write_text("patient,fraction,LR_mm,AP_mm,SI_mm\n" + "\n".join(rows) + "\n", encoding="utf-8")
    arguments = ["setup-stats", str(path), "--sign", "displacement", "--axes", "RAS"]
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert "0.68" in told.out
    assert "2.03" in told.out
    assert "Σ² comes out below 0" in told.err
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["random_mm"] == pytest.approx([2.031010, 0, 2.031010], abs=1e-6)
    assert found["mean_mm"] == pytest.approx([0.75, 0, -0.75])
    assert main(["setup-stats", str(path), "--axes", "RAS"]) == 2
    assert "--sign: say displacement" in capsys.readouterr().err


def test_the_exact_method_writes_and_prints_derivatives(
    case: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(*case, *ERRORS, "--fractions", 2, "--method", "exact", "-o", out) == 0
    told = capsys.readouterr()
    assert "points per cc" in told.out
    assert "draws no patients" in told.err
    assert {path.name for path in out.iterdir()} == {"coverage.json", "derivatives.csv"}
    found = content(out)
    assert found["simulation_method"] == "exact"
    assert found["standard_error"] == 0
    assert set(found["derivatives"]["margin"]) == set("RLAPSI")
    assert set(found["derivatives"]["systematic"]) == {"set-up", "drawing"}
    assert main(["check", str(out)]) == 0


def test_the_exact_method_refuses_what_it_cannot_have(
    case: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--set", "guidance.mode=vector", "--action-level", 2, "--method", "exact", "-o", out]
    assert run(*case, *ERRORS, *options) == 2
    assert 'use method="sampled"' in capsys.readouterr().err
    assert not out.exists()
