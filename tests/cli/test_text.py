"""What users name is text: never markup, a formula, an escape, or more than one line."""

import csv
from pathlib import Path

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.cli import main
from ptvkit.io.dicom.reading import read_dataset
from tests.io.dicom.making import write_series, write_structures

GRID = pk.Grid(shape=(21, 23, 25), affine=np.array([[-1.5, 0, 0, 30], [0, -1, 0, 20], [0, 0, 2, -10], [0, 0, 0, 1.0]]))


def ball(path: Path, radius: float = 5.0) -> Path:
    distance = np.linalg.norm(
        GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1)) - GRID.to_mm([10, 11, 12]), axis=-1
    )
    pk.write_mask(pk.Mask.from_array(distance <= radius, GRID.affine), path)
    return path


def targets(gtv: Path, out: Path, *more: str) -> int:
    return main(["targets", str(gtv), "--ctv", "1", "--ptv", "2", "-o", str(out), *more])


def test_names_are_no_markup_and_no_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "w" / "[" / "x]\x1b[31m"
    assert targets(ball(tmp_path / "gtv.nii.gz"), out) == 0
    assert targets(tmp_path / "none\x1b[2J.nii.gz", tmp_path / "o") == 2
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "[/x]\\x1b[31m" in said.out.replace("\n", "")


def test_cases_that_a_spreadsheet_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("=cmd", "p1[left]", "p1[right]"):
        (tmp_path / "in" / name).mkdir(parents=True)
        ball(tmp_path / "in" / name / "gtv.nii.gz")
    arguments = ["--each", str(tmp_path / "in" / "*" / "gtv.nii.gz"), "--ctv", "1", "--ptv", "2"]
    assert main(["targets", *arguments, "--workers", "1", "-o", str(tmp_path / "out")]) == 0
    with open(tmp_path / "out" / "cohort.csv", encoding="utf-8", newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == ["'=cmd", "p1[left]", "p1[right]"]
    said = capsys.readouterr().out
    assert "p1[left]" in said
    assert "p1[right]" in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--clearance", "nan"], "--clearance nan: input should be a finite number"),
        (["--eval-depth", "inf"], "--eval-depth inf: input should be a finite number"),
        (["--label", "9" * 5000], "there is no label"),
        (["--lesion", "9" * 5000], "input should be a valid integer"),
        (["--image", ""], "is empty"),
        (["--image="], "is empty"),
    ],
)
def test_values_that_mean_nothing_are_one_line(
    more: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert targets(ball(tmp_path / "gtv.nii.gz"), tmp_path / "out", *more) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert len(said) < 2100
    assert not (tmp_path / "out").exists()


def test_an_empty_output_writes_nothing_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gtv = ball(tmp_path / "gtv.nii.gz")
    monkeypatch.chdir(tmp_path)
    assert main(["targets", str(gtv), "--ctv", "1", "--ptv", "2", "-o", ""]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["gtv.nii.gz"]


def test_memory_that_runs_out_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 3.7 TiB")

    monkeypatch.setattr("ptvkit.work.structures.make_targets", full)
    assert targets(ball(tmp_path / "gtv.nii.gz"), tmp_path / "out") == 2
    assert capsys.readouterr().err == (
        "ptvkit: memory ran out (Unable to allocate 3.7 TiB); use coarser voxels, fewer workers, or a larger machine\n"
    )


def test_nothing_stale_stands_beside_a_new_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gtv, out = ball(tmp_path / "gtv.nii.gz"), tmp_path / "out"
    assert targets(gtv, out, "--eval-limit", str(ball(tmp_path / "limit.nii.gz", 6)), "--picture") == 0
    assert {"ptv_eval.nii.gz", "ptv_eval.nii.gz.json", "targets.png"} <= {path.name for path in out.iterdir()}
    assert targets(gtv, out) == 0
    kept = {"ctv.nii.gz", "ctv.nii.gz.json", "ptv.nii.gz", "ptv.nii.gz.json", "targets.html", "targets.json"}
    assert {path.name for path in out.iterdir()} == kept
    assert main(["check", str(out)]) == 0


def test_an_input_that_changes_during_the_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptvkit.work import simulation

    ctv, ptv = ball(tmp_path / "ctv.nii.gz"), ball(tmp_path / "ptv.nii.gz", 8)
    real = simulation.simulate_all

    def slow(*given: object, **options: object) -> object:
        ball(tmp_path / "ptv.nii.gz", 3)
        return real(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(simulation, "simulate_all", slow)
    arguments = ["--ctv", str(ctv), "--ptv", str(ptv), "--error", "a:1/1", "--patients", "10", "--no-pictures"]
    assert main(["simulate", *arguments, "--no-maps", "-o", str(tmp_path / "out")]) == 2
    assert "ptv.nii.gz: has changed while it was in use" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_are_no_formulas_in_pictures(tmp_path: Path) -> None:
    ctv, ptv = ball(tmp_path / "ctv.nii.gz"), ball(tmp_path / "ptv.nii.gz", 8)
    arguments = ["--ctv", str(ctv), "--ptv", str(ptv), "--error", r"a$\frac$[/b]:2/2", "--patients", "10", "--no-maps"]
    assert main(["simulate", *arguments, "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "coverage_budget.png").exists()


def structure_set(folder: Path) -> tuple[Path, Path]:
    series = write_series(folder / "ct", GRID)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = np.stack([8 * np.cos(angle), 8 * np.sin(angle), 0 * angle], axis=1)
    middle = GRID.to_mm([10, 11, 12])
    contours = [circle + middle + [0, 0, 2.0 * n] for n in range(-3, 4)]
    frame = str(read_dataset(next(series.iterdir())).FrameOfReferenceUID)
    return write_structures(folder / "rs.dcm", {"GTV": contours, "PTV": contours}, frame=frame), series


def test_targets_go_back_into_the_structure_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rs, series = structure_set(tmp_path)
    named, out = Path(f"{rs}:GTV"), tmp_path / "out"
    assert targets(named, out, "--grid", str(series), "--rtstruct") == 0
    rois = {roi.name: roi for roi in pk.read_rois(out / "rtstruct.dcm")}
    assert list(rois) == ["GTV", "PTV", "CTV", "PTV_2"]
    old = {roi.name: roi for roi in pk.read_rois(rs)}
    for name in old:  # what the clinic drew stays as it was
        for before, after in zip(old[name].contours, rois[name].contours, strict=True):
            np.testing.assert_array_equal(before, after)
    reach = {name: pk.extent(pk.read_rtstruct(out / "rtstruct.dcm", name)) for name in ("CTV", "PTV_2")}
    middle = GRID.to_mm([10, 11, 12])
    assert reach["CTV"]["R"] - middle[0] == pytest.approx(9, abs=0.3)
    assert reach["PTV_2"]["A"] - middle[1] == pytest.approx(11, abs=0.3)
    assert main(["check", str(out)]) == 0


def test_contours_on_a_spacing_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rs, _ = structure_set(tmp_path)
    assert targets(Path(f"{rs}:GTV"), tmp_path / "out", "--grid", "1", "--rtstruct") == 0
    ptv = pk.read_mask(tmp_path / "out" / "ptv.nii.gz")
    assert ptv.grid.spacing_mm == pytest.approx((1, 1, 1))
    assert ptv.grid.codes == ("L", "P", "S")
    reach = pk.extent(ptv)
    assert reach["R"] - reach["L"] == pytest.approx(22, abs=1.01)
    assert targets(Path(f"{rs}:GTV"), tmp_path / "o") == 2
    assert "give targets.grid: the folder of the image, an image file, or a spacing in mm" in capsys.readouterr().err


def test_a_structure_set_needs_a_set_or_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gtv, series = ball(tmp_path / "gtv.nii.gz"), write_series(tmp_path / "ct", GRID)
    assert targets(gtv, tmp_path / "out", "--rtstruct") == 2
    assert "needs the GTV from an RTSTRUCT, or grid" in capsys.readouterr().err
    assert targets(gtv, tmp_path / "out", "--rtstruct", "--grid", str(series)) == 0
    assert [roi.name for roi in pk.read_rois(tmp_path / "out" / "rtstruct.dcm")] == ["GTV", "CTV", "PTV"]
