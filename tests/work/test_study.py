"""Studies: the same bytes whatever happens in between."""

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import ptvkit as pk
from ptvkit.cli import main
from ptvkit.work.schedule import records_of
from ptvkit.work.study import Outcome, merge_study, plan_study, run_study
from ptvkit.work.study_tasks import carry_out_task

STUDY = """
[cases]
masks = "masks"
[targets]
ctv = 2
ptv = {all = 3, SI = 4}
[[errors]]
name = "set-up"
systematic_mm = 2
random_mm = [1, 2, 3]
[[errors]]
name = "drawing"
systematic_mm = 1
seen_by = "nothing"
[guidance]
action_level_mm = 2
[simulation]
patients = 150
fractions = 3
seed = 5
[sweep.parameters]
"targets.ptv.SI" = [2, 6]
"guidance.action_level_mm" = [1, 4]
"errors.drawing.systematic_mm.SI" = [0, 2]
"""


def ball(path: Path, radius: float, at: tuple[float, float, float] = (0, 0, 0)) -> Path:
    affine = np.array([[-1.5, 0, 0, 30], [0, 1.5, 0, -25], [0, 0, 3.0, -28], [0, 0, 0, 1]])
    points = np.moveaxis(np.indices((40, 36, 20)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    found = nib.load(path).get_fdata() > 0 if path.exists() else np.zeros((40, 36, 20), bool)
    path.parent.mkdir(exist_ok=True)
    inside = (np.linalg.norm(points - at, axis=-1) < radius) | found
    nib.save(nib.Nifti1Image(inside.astype(np.uint8), affine), path)
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    ball(tmp_path / "masks" / "b.nii.gz", 8)
    ball(tmp_path / "masks" / "a.nii.gz", 5, (-12, 0, 3))
    ball(tmp_path / "masks" / "a.nii.gz", 6, (12, 2, -3))
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def rows_of(outcome: Outcome) -> list[dict[str, str]]:
    assert outcome.results is not None
    with open(outcome.results, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_with_a_line_for_each_case_lesion_and_cell(study: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []
    outcome = run_study(study, tmp_path / "out", progress=lambda *told: seen.append(told))
    rows = rows_of(outcome)
    assert outcome.rows == len(rows) == 8 * 3 + 8  # case a has two lesions
    assert seen[-1] == (8, 8, 0)
    assert [row["case"] for row in rows] == sorted(row["case"] for row in rows)
    assert {row["lesion"] for row in rows if row["case"] == "a"} == {"all", "lesion 1", "lesion 2"}
    assert list(rows[0])[:5] == [
        "case",
        "lesion",
        "targets.ptv.SI",
        "guidance.action_level_mm",
        "errors.drawing.systematic_mm.SI",
    ]
    one = {tuple(row.values())[2:5]: float(row["contained"]) for row in rows if row["case"] == "b"}
    assert one["6", "1", "0"] > one["2", "1", "0"]  # a larger margin
    assert one["6", "1", "0"] > one["6", "1", "2"]  # a smaller error
    assert all(float(row["contained_low"]) <= float(row["contained"]) <= float(row["contained_high"]) for row in rows)
    found = pk.read_results(tmp_path / "out")
    assert len(found) == len(rows)
    assert (tmp_path / "out" / "results.parquet").exists()


def test_a_cell_is_what_it_is_alone(study: Path, tmp_path: Path) -> None:
    """The figures are those of `simulate_coverage` with the same course."""
    rows = rows_of(run_study(study, tmp_path / "out"))
    row = next(row for row in rows if row["case"] == "b" and list(row.values())[2:5] == ["6", "4", "2"])
    gtv = pk.read_mask(tmp_path / "masks" / "b.nii.gz")
    ptv = pk.Margin(left=3, right=3, anterior=3, posterior=3, superior=6, inferior=6)
    made = pk.make_targets(gtv, ctv=pk.Margin.uniform(2), ptv=ptv)
    setup = [
        pk.SetupError(name="set-up", systematic_mm=2, random_mm=(1, 2, 3)),
        pk.SetupError(name="drawing", systematic_mm=(1, 1, 2), seen_by="nothing"),
    ]
    course = pk.Course(setup=setup, guidance=pk.ImageGuidance(action_level_mm=4), fractions=3)
    alone = pk.simulate_coverage(made.ctv, made.ptv, course, patients=150, seed=int(row["seed"]))
    assert float(row["contained"]) == pytest.approx(alone.contained(), abs=1 / 150 + 1e-9)
    assert float(row["coverage_loss"]) == pytest.approx(alone.coverage_loss, rel=0.02, abs=1e-5)
    assert float(row["ptv_cc"]) == pytest.approx(made.ptv.volume_cc, rel=1e-5)


def test_workers_shards_and_resumption_give_the_same_bytes(study: Path, tmp_path: Path) -> None:
    here = run_study(study, tmp_path / "here").results
    beside = run_study(study, tmp_path / "beside", workers=2).results
    for part in (2, 1):
        outcome = run_study(study, tmp_path / "shards", shard=(part, 2))
    assert outcome.results is not None
    # a run that was torn in the midst of a line
    journal = tmp_path / "here" / "study.journal"
    torn = tmp_path / "torn"
    torn.mkdir()
    content = journal.read_bytes()
    (torn / "study.journal").write_bytes(content[: len(content) * 2 // 3])
    resumed = run_study(study, torn, resume=True)
    assert here is not None
    assert beside is not None
    assert resumed.results is not None
    assert here.read_bytes() == beside.read_bytes() == outcome.results.read_bytes() == resumed.results.read_bytes()


def test_the_same_bytes_whatever_threads_a_library_takes(study: Path, tmp_path: Path) -> None:
    tables = []
    for name, threads in (("one", "1"), ("more", "2")):
        command = [sys.executable, "-c", "import sys; from ptvkit.cli import main; sys.exit(main())"]
        taken = {f"{library}_NUM_THREADS": threads for library in ("OMP", "OPENBLAS", "MKL", "BLIS")}
        words = [*command, "run", str(study), "-o", str(tmp_path / name)]
        subprocess.run(words, env=os.environ | taken | {"PTVKIT_THREADS": threads}, check=True, capture_output=True)
        tables.append((tmp_path / name / "results.csv").read_bytes())
    assert tables[0] == tables[1]


def test_killed_and_resumed(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.replace("patients = 150", "patients = 1500"), encoding="utf-8")
    whole = run_study(study, tmp_path / "whole").results
    out = tmp_path / "out"
    command = [sys.executable, "-c", "import sys; from ptvkit.cli import main; sys.exit(main())"]
    process = subprocess.Popen([*command, "run", str(study), "-o", str(out)], stderr=subprocess.DEVNULL)
    journal = out / "study.journal"
    limit = time.monotonic() + 60
    while time.monotonic() < limit and process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= 4:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = journal.read_bytes()
    assert not (out / "results.csv").exists() or done.count(b"\n") == 10
    resumed = run_study(study, out, resume=True)
    assert journal.read_bytes().startswith(done[: done.rindex(b"\n") + 1])  # nothing was done again
    assert whole is not None
    assert resumed.results is not None
    assert resumed.results.read_bytes() == whole.read_bytes()


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_worker_that_dies_costs_nothing_but_its_time(study: Path, tmp_path: Path) -> None:
    whole = run_study(study, tmp_path / "whole").results
    killed: list[int] = []

    def kill_a_worker(done: int, total: int, failures: int) -> None:
        if done == 1 and not killed:
            killed.extend(child.pid or 0 for child in multiprocessing.active_children())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    outcome = run_study(study, tmp_path / "out", workers=1, progress=kill_a_worker)
    assert len(killed) == 1
    assert not outcome.failed
    assert whole is not None
    assert outcome.results is not None
    assert outcome.results.read_bytes() == whole.read_bytes()


class Fragile:
    """Dies of case a, and takes along what is under way."""

    def __init__(self) -> None:
        self.submitted: list[Future[Any]] = []

    def submit(self, call: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.submitted.append(future)
        if len(self.submitted) == 2:
            for one in self.submitted:
                one.set_exception(BrokenExecutor("gone"))
        elif len(self.submitted) > 2 and call.args[1].case.name == "a":
            future.set_exception(BrokenExecutor("gone"))
        elif len(self.submitted) > 2:
            future.set_result({"rows": []})
        return future


def test_a_task_that_kills_its_worker_fails_alone(study: Path) -> None:
    plan = plan_study(study)
    tasks = [plan.tasks[0], plan.tasks[-1]]
    assert [task.case.name for task in tasks] == ["a", "b"]
    executor = Fragile()
    found = {
        record["case"]: record for record in records_of([executor], 2, partial(carry_out_task, plan.request), tasks)
    }
    assert "its worker died" in found["a"]["failed"]
    assert found["b"]["rows"] == []
    assert len(executor.submitted) == 4


def test_dask(study: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed") if not os.environ.get("CI") else __import__("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    ) as cluster:
        beside = run_study(study, tmp_path / "dask", scheduler=cluster.scheduler_address).results
    here = run_study(study, tmp_path / "here").results
    assert here is not None
    assert beside is not None
    assert here.read_bytes() == beside.read_bytes()


@pytest.mark.parametrize("workers", [None, 1])
def test_warnings_are_kept_whoever_has_them(study: Path, tmp_path: Path, workers: int | None) -> None:
    study.write_text(STUDY.replace("ptv = {all = 3, SI = 4}", "ptv = {all = 14, SI = 14}"), encoding="utf-8")
    outcome = run_study(study, tmp_path / "out", workers=workers)
    assert len(outcome.warned) == len(set(outcome.warned)) >= 1
    assert any("merge into one" in text and "a.nii.gz" in text for text in outcome.warned)
    assert merge_study(study, tmp_path / "out").warned == outcome.warned


def test_a_case_that_fails_is_told_and_the_others_go_on(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "masks" / "c.nii.gz").write_bytes(b"no mask at all")
    out = tmp_path / "out"
    assert main(["run", str(study), "-o", str(out)]) == 3
    told = capsys.readouterr()
    assert "ptvkit: c: " in told.err
    assert "32 rows, 1 cases failed" in told.out
    with open(out / "results.csv", encoding="utf-8") as file:
        assert {row["case"] for row in csv.DictReader(file)} == {"a", "b"}


def test_manifest_with_values_of_its_own(study: Path, tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(
        "case,mask,targets.ctv,simulation.fractions\nfirst,masks/b.nii.gz,4,\nsecond,masks/b.nii.gz,,1\n",
        encoding="utf-8",
    )
    study.write_text(STUDY.replace('masks = "masks"', 'manifest = "cases.csv"'), encoding="utf-8")
    rows = rows_of(run_study(study, tmp_path / "out"))
    first, second = (next(row for row in rows if row["case"] == name) for name in ("first", "second"))
    assert float(first["ctv_cc"]) > 1.3 * float(second["ctv_cc"])
    assert (first["fractions"], second["fractions"]) == ("3", "1")
    assert first["seed"] != second["seed"]


@pytest.mark.parametrize(("method", "points"), [("lhs", 6), ("sobol", 8)])
def test_points_of_a_sweep(study: Path, method: str, points: int) -> None:
    head = STUDY.split("[sweep.parameters]")[0]
    sweep = f'[sweep]\nmethod = "{method}"\npoints = {points}\n[sweep.parameters]\n'
    sweep += '"targets.ptv.SI" = {low = 2, high = 10}\n"guidance.mode" = ["any_axis", "vector"]\n'
    study.write_text(head + sweep, encoding="utf-8")
    cells = plan_study(study).cells
    assert len(cells) == points
    values = sorted(cell.values["targets.ptv.SI"] for cell in cells)
    np.testing.assert_allclose(values, 2 + 8 * (np.arange(points) + 0.5) / points, atol=8 / points)
    assert {cell.values["guidance.mode"] for cell in cells} == {"any_axis", "vector"}
    assert [cell.values for cell in plan_study(study).cells] == [cell.values for cell in cells]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('masks = "masks"', "", "[cases] names no case; give gtv, masks, a manifest, or ctv and ptv"),
        ('masks = "masks"', 'masks = "none*"', "holds no case; give a folder"),
        ("[sweep.parameters]", "[sweep]\npoints = 3\n[sweep.parameters]", "points has no meaning for a grid"),
        ("[sweep.parameters]", '[sweep]\nmethod = "sobol"\npoints = 3\n[sweep.parameters]', "needs a power of 2"),
        ("[sweep.parameters]", '[sweep]\nmethod = "lhs"\n[sweep.parameters]', "lhs needs points"),
        ("systematic_mm = 2", "sytematic_mm = 2", "did you mean systematic_mm?"),
        ("patients = 150", 'patients = "many"', "simulation.patients"),
    ],
)
def test_a_study_that_cannot_run(
    study: Path, tmp_path: Path, old: str, new: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(STUDY.replace(old, new, 1), encoding="utf-8")
    assert main(["run", str(study), "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_keys_that_lead_nowhere(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key, says in (
        ("errors.nobody.systematic_mm", "there is none named 'nobody'"),
        ("guidance.levels", "no such key; did you mean action_level_mm?"),
        ("targets.ptv.X", "'X' is no direction"),
    ):
        study.write_text(STUDY.replace("errors.drawing.systematic_mm.SI", key), encoding="utf-8")
        assert main(["run", str(study), "-o", str(tmp_path / key)]) == 2
        assert not (tmp_path / key).exists()
        assert says in capsys.readouterr().err


def test_journals_of_other_studies(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["run", str(study), "-o", str(out), "--shard", "1/2"]) == 0
    assert "tasks of others are missing" in capsys.readouterr().out
    assert main(["run", str(study), "-o", str(out), "--shard", "1/2"]) == 2
    assert "is from an earlier run; resume it, or choose another folder" in capsys.readouterr().err
    assert main(["merge", str(study), "-o", str(out)]) == 3
    assert main(["run", str(study), "-o", str(out), "--shard", "3/2"]) == 2
    assert main(["run", str(study), "-o", str(out), "--shard", "x"]) == 2
    study.write_text(STUDY.replace("seed = 5", "seed = 6"), encoding="utf-8")
    assert main(["run", str(study), "-o", str(out), "--shard", "1/2", "--resume"]) == 2
    assert "belongs to another study: its study differs" in capsys.readouterr().err
    assert main(["merge", str(study), "-o", str(tmp_path / "nowhere")]) == 2
    with pytest.raises(pk.FileError, match="belongs to another study"):
        merge_study(study, out)


def test_new_study_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-study"]) == 0
    assert main(["new-study"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["run", "study.toml", "-o", "out", "--dry-run"]) == 0
    assert "targets.breathing.SI" in capsys.readouterr().out
    assert not Path("out").exists()
    text = Path("study.toml").read_text(encoding="utf-8")
    Path("study.toml").write_text(text.replace("patients = 300", "patients = 40").replace("[3, 10, 20, 30]", "[3, 20]"))
    assert main(["run", "study.toml", "-o", "out"]) == 0
    with open("out/results.csv", encoding="utf-8") as file:
        found = {(row["targets.breathing.SI"], row["guidance.action_level_mm"]): row for row in csv.DictReader(file)}
    assert float(found["20", "1"]["contained"]) > float(found["3", "1"]["contained"])
    assert json.dumps(sorted(found)) == '[["20", "1"], ["20", "2"], ["20", "5"], ["3", "1"], ["3", "2"], ["3", "5"]]'
