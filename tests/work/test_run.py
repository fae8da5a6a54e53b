"""Requests carried out: what is read, what is written, and what happens when files change in between."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.work import simulation, target_case
from ptvkit.work.journal import read_journal
from ptvkit.work.plan_check import check_plan
from ptvkit.work.solve import run_solve
from ptvkit.work.study import plan_study, run_study
from ptvkit.work.study_table import joined
from tests.work.test_study import STUDY, ball, rows_of

QUICK = STUDY.replace("patients = 150", "patients = 40").split("[sweep.parameters]")[0]
SWEEP = QUICK + '[sweep.parameters]\n"targets.ptv.SI" = [2, 3, 4, 5, 6, 7]\n'


def study_in(folder: Path, text: str = SWEEP, cases: int = 2) -> Path:
    for number in range(cases):
        ball(folder / "masks" / f"p{number}.nii.gz", 5 + 0.7 * number, (3 * number, 0, 2))
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def table_of(folder: Path) -> bytes:
    return (folder / "results.csv").read_bytes()


def cut(journal: Path, lines: int) -> None:
    """Leave the first lines, as a kill would."""
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:lines]))


def test_threads_of_one_dask_worker_give_the_same_bytes(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed") if not os.environ.get("CI") else __import__("distributed")
    study = study_in(tmp_path, cases=4)
    run_study(study, tmp_path / "here")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=4, processes=False, dashboard_address=":0", protocol="tcp://", host="127.0.0.1"
    ) as cluster:
        outcome = run_study(study, tmp_path / "dask", scheduler=cluster.scheduler_address)
    assert not outcome.failed
    assert table_of(tmp_path / "dask") == table_of(tmp_path / "here")
    assert "PTVKIT_THREADS" not in os.environ


def test_resuming_does_again_what_was_computed_from_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, out = study_in(tmp_path), tmp_path / "out"
    first = rows_of(run_study(study, out))
    cut(out / "study.journal", 3)  # head, what is about to run, and one task of the first case
    ball(tmp_path / "masks" / "p0.nii.gz", 9, (0, 0, 0))
    resumed = rows_of(run_study(study, out, resume=True))
    run_study(study, tmp_path / "anew")
    assert table_of(out) == table_of(tmp_path / "anew")
    assert {row["gtv_cc"] for row in resumed if row["case"] == "p0"} & {row["gtv_cc"] for row in first} == set()
    # the content of files counts, not from where they are named
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done: list[int] = []
    run_study("../study.toml", "../out", resume=True, progress=lambda *counts: done.append(counts[0]))
    assert done == [len(plan_study(study).tasks)]


def test_swept_files_are_beside_the_study_and_part_of_what_a_resumption_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = '[sweep.parameters]\n"targets.limit" = ["limits/wide.nii.gz", "limits/{case}.nii.gz"]\n'
    study = study_in(tmp_path, QUICK + sweep, cases=1)
    ball(tmp_path / "limits" / "wide.nii.gz", 12)
    ball(tmp_path / "limits" / "p0.nii.gz", 6, (0, 0, 2))
    monkeypatch.chdir(tmp_path.parent)
    first = rows_of(run_study(study, tmp_path / "out"))
    assert float(first[0]["ctv_cc"]) > 1.2 * float(first[1]["ctv_cc"])
    ball(tmp_path / "limits" / "p0.nii.gz", 6.5, (0, 0, 3))
    resumed = rows_of(run_study(study, tmp_path / "out", resume=True))
    assert (resumed[0]["ctv_cc"], resumed[1]["ctv_cc"] == first[1]["ctv_cc"]) == (first[0]["ctv_cc"], False)


def test_shards_with_other_files_are_not_joined(tmp_path: Path) -> None:
    study = study_in(tmp_path, SWEEP.replace("ctv = 2", 'ctv = 2\nlimit = "limit.nii.gz"'))
    ball(tmp_path / "limit.nii.gz", 12)
    run_study(study, tmp_path / "out", shard=(1, 2))
    (tmp_path / "limit.nii.gz").unlink()
    ball(tmp_path / "limit.nii.gz", 7)
    with pytest.raises(pk.FileError, match=r"study-2-of-2\.journal: was run with other files than study-1-of-2"):
        run_study(study, tmp_path / "out", shard=(2, 2))
    rows = rows_of(run_study(study, tmp_path / "out", shard=(1, 2), resume=True))
    run_study(study, tmp_path / "anew")
    assert table_of(tmp_path / "out") == table_of(tmp_path / "anew")
    assert rows


def test_a_case_that_failed_is_tried_again(tmp_path: Path) -> None:
    study, out = study_in(tmp_path), tmp_path / "out"
    good = (tmp_path / "masks" / "p1.nii.gz").read_bytes()
    (tmp_path / "masks" / "p1.nii.gz").write_bytes(b"no mask")
    assert set(run_study(study, out).failed) == {"p1"}
    (tmp_path / "masks" / "p1.nii.gz").write_bytes(good)
    assert not run_study(study, out, resume=True).failed
    run_study(study, tmp_path / "anew")
    assert table_of(out) == table_of(tmp_path / "anew")


@pytest.mark.parametrize("damage", ["first line", "another program's"])
def test_a_journal_that_cannot_be_gone_on_with_is_set_aside(tmp_path: Path, damage: str) -> None:
    study, out = study_in(tmp_path, QUICK, cases=1), tmp_path / "out"
    run_study(study, out)
    table, journal = table_of(out), out / "study.journal"
    content = journal.read_bytes()
    before = b"{}" + content[2:] if damage == "first line" else b"Mon 1: lunch\nTue 2: nothing\n"
    journal.write_bytes(before)
    with pytest.warns(pk.PtvkitWarning, match=r"set aside as study\.journal\.set-aside-1"):
        run_study(study, out, resume=True)
    assert (out / "study.journal.set-aside-1").read_bytes() == before
    assert table_of(out) == table


def test_a_damaged_line_costs_itself_alone(tmp_path: Path) -> None:
    study, out = study_in(tmp_path), tmp_path / "out"
    run_study(study, out)
    table, journal = table_of(out), out / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"contained", b"contaimed", 1)
    journal.write_bytes(b"".join(lines) + b"0000 torn")
    done: list[int] = []
    with pytest.warns(pk.PtvkitWarning, match="1 damaged line"):
        run_study(study, out, resume=True, progress=lambda *counts: done.append(counts[0]))
    assert done[0] == len(lines) - 3
    assert table_of(out) == table


def test_a_study_whose_cases_all_fail_has_a_table(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(b"no mask")
    outcome = run_study(study, tmp_path / "out")
    assert set(outcome.failed) == {"p0", "p1"}
    assert table_of(tmp_path / "out").decode().startswith("case,lesion,targets.ptv.SI,gtv_cc")
    assert table_of(tmp_path / "out").count(b"\n") == 1
    assert joined([tmp_path / "out" / "study.journal"]).tasks == len(plan_study(study).tasks)


def while_reading(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], object]) -> None:
    """Do something just before a function of a module is called."""
    usual = getattr(module, name)

    def changed(*given: Any, **named: Any) -> Any:
        act()
        return usual(*given, **named)

    monkeypatch.setattr(module, name, changed)


def test_an_input_that_changes_meanwhile_fails_its_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ptvkit.work import study_tasks

    study = study_in(tmp_path, QUICK)
    mask = tmp_path / "masks" / "p0.nii.gz"
    while_reading(monkeypatch, study_tasks, "_simulated", lambda: ball(mask, 9))
    outcome = run_study(study, tmp_path / "out")
    assert "p0.nii.gz: has changed while it was in use" in outcome.failed["p0"]
    ask = pk.Request.load({"cases": {"masks": str(mask)}, "targets": {"ptv": 4}, "output": {"page": False}})
    while_reading(monkeypatch, target_case, "output_grid", lambda: ball(mask, 9.5))
    outcome_of_targets = pk.run_targets(ask, tmp_path / "targets")
    assert "has changed while it was in use" in outcome_of_targets.failed["p0"]
    assert sorted(path.name for path in (tmp_path / "targets").iterdir()) == [
        "cohort.csv", "cohort.journal", "cohort.json",
    ]  # fmt: skip


def simulated(tmp_path: Path, **more: Any) -> pk.Request:
    content: dict[str, Any] = {
        "cases": {"gtv": str(ball(tmp_path / "masks" / "gtv.nii.gz", 7))},
        "targets": {"ctv": 2, "ptv": {"all": 4, "SI": 6}},
        "errors": [{"systematic_mm": 2, "random_mm": 1}],
        "simulation": {"patients": 50, "fractions": 2},
        "output": {"pictures": False, "maps": False},
    }
    return pk.Request.load(content, more)


def test_simulation_refuses_an_input_that_changes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = simulated(tmp_path)
    while_reading(monkeypatch, simulation, "simulate_all", lambda: ball(tmp_path / "masks" / "gtv.nii.gz", 9))
    with pytest.raises(pk.FileError, match="has changed while it was in use"):
        pk.run_simulation(ask, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_simulation_makes_its_targets_from_the_gtv(tmp_path: Path) -> None:
    outcome = pk.run_simulation(simulated(tmp_path), tmp_path / "out")
    margins = pk.Margin(left=4, right=4, anterior=4, posterior=4, superior=6, inferior=6)
    made = pk.make_targets(pk.read_mask(tmp_path / "masks" / "gtv.nii.gz"), ctv=2, ptv=margins)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2, random_mm=1)], fractions=2)
    alone = pk.simulate_coverage(made.ctv, made.ptv, course, patients=50, seed=0)
    np.testing.assert_allclose(outcome.simulation.result.coverage, alone.coverage, atol=1e-9)
    wide = pk.run_simulation(simulated(tmp_path, **{"targets.ptv": 15}), tmp_path / "wide").simulation
    assert wide.result.contained() > outcome.simulation.result.contained()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"masks"', '["masks/p0.nii.gz", "masks/none.nii.gz"]', "none"),
        ('"masks"', '"phantom:livr"', "livr"),
        ("ctv = 2", 'ctv = 2\nlimit = "no.nii.gz"', r"case p0: .*no\.nii\.gz: no such file"),
        ('"guidance.action_level_mm" = [1, 4]', '"guidance.action_level_mm" = [1, -10]', "action_level_mm = -10: "),
        ("[guidance]", '[breathing]\ntrace = "no.csv"\nreference = "time_mean"\n[guidance]', r"no\.csv"),
    ],
)
def test_a_plan_that_could_not_run_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    study = study_in(tmp_path, STUDY.replace(old, new, 1), cases=1)
    with pytest.raises(pk.PtvkitError, match=says):
        check_plan(plan_study(study))


def test_a_plan_says_how_long_it_will_take(tmp_path: Path) -> None:
    study = study_in(tmp_path, SWEEP.replace("patients = 40", "patients = 20000"))
    check = check_plan(plan_study(study))
    begin = time.perf_counter()
    run_study(study, tmp_path / "out")
    assert (check.cases, check.cells, check.targets) == (2, 6, 6)
    assert 1 / 4 < check.seconds / (time.perf_counter() - begin) < 4  # other work on the machine may begin or end


def test_a_line_for_each_patient_and_fraction(tmp_path: Path) -> None:
    ask = simulated(tmp_path, **{"output.patients": True, "dose.prescription_gy": 20})
    outcome = pk.run_simulation(ask, tmp_path / "out")
    with open(tmp_path / "out" / "patients.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50 * 2
    result, dosed = outcome.simulation.result, outcome.simulation.dosed
    assert dosed is not None
    np.testing.assert_allclose([float(row["coverage"]) for row in rows], result.coverage.ravel(), rtol=1e-5)
    np.testing.assert_allclose([float(row["dmin_gy"]) for row in rows[::2]], dosed.metric("dmin_gy"), rtol=1e-5)
    assert (tmp_path / "out" / "patients.parquet").exists()
    assert (tmp_path / "out" / "dose.json").exists()
    # nothing of this request stays beside the next
    pk.run_simulation(simulated(tmp_path), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["coverage.csv", "coverage.json"]


def test_precision_holds_in_simulations_and_studies(tmp_path: Path) -> None:
    ask = simulated(tmp_path, **{"simulation.precision": 0.12})
    result = pk.run_simulation(ask, tmp_path / "one").simulation.result
    assert result.contained().width <= 0.12
    assert result.patients > 50
    row = rows_of(run_study(ask, tmp_path / "study"))[0]
    assert float(row["contained_high"]) - float(row["contained_low"]) <= 0.12
    assert int(row["patients"]) > 50


def test_what_was_put_over_the_file_and_is_not_read_is_refused(tmp_path: Path) -> None:
    study = study_in(tmp_path, QUICK + "[criteria]\npopulation = 0.8\n", cases=1)
    assert any("does not read [criteria]" in note for note in plan_study(study).notes)
    for run, key, value in (
        (pk.run_targets, "simulation.patients", 9),
        (pk.run_targets, "targets.organ", "phantom:liver"),
        (pk.run_simulation, "targets.grid", 2.0),
        (pk.run_study, "output.rtstruct", True),
    ):
        with pytest.raises(pk.FileError, match=f"{key}: .* does not read it; leave it out"):
            run(pk.Request.load(study, {key: value}), tmp_path / "out")
        assert not (tmp_path / "out").exists()
    with pytest.raises(pk.FileError, match=r"simulation\.precision: solve does not read it"):
        run_solve(simulated(tmp_path, **{"simulation.precision": 0.1, "output": None, "targets.ptv": None}))


def test_solve_reads_dose_and_simulation(tmp_path: Path) -> None:
    """Penumbra, edge level, patients and seed are those of the request."""
    ask = {
        "cases": {"ctv": str(ball(tmp_path / "masks" / "ctv.nii.gz", 8))},
        "errors": [{"systematic_mm": 2, "random_mm": 3}],
        "simulation": {"patients": 60, "seed": 4, "fractions": 3},
        "dose": {"prescription_gy": 20},
    }
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2, random_mm=3)], fractions=3)
    target = pk.read_mask(tmp_path / "masks" / "ctv.nii.gz")
    solution, notes = run_solve(pk.Request.load(ask, {"dose.penumbra_mm": 8, "dose.edge_level": 0.7}))
    alone = pk.solve_margin(target, course, patients=60, seed=4, penumbra_mm=8, edge_level=0.7)
    assert solution.margin == alone.margin
    assert "dose.prescription_gy" in notes[0]


def test_an_output_folder_is_of_its_request(tmp_path: Path) -> None:
    mask = ball(tmp_path / "masks" / "gtv.nii.gz", 7)
    base = {"cases": {"gtv": str(mask)}, "targets": {"ptv": 5}, "output": {"page": False}}
    first = pk.Request.load(base, {"targets.eval_limit": str(mask), "output.picture": True})
    out = tmp_path / "out"
    pk.run_targets(first, out)
    assert {"ptv_eval.nii.gz", "targets.png"} < {path.name for path in out.iterdir()}
    pk.run_targets(pk.Request.load(base), out)
    masks = {f"{name}.nii.gz{more}" for name in ("ctv", "ptv") for more in ("", ".json")}
    assert {path.name for path in out.iterdir()} == masks | {"targets.json"}
    pk.run_targets(first, out)
    (out / "ptv_eval.nii.gz").write_bytes(b"edited")
    with pytest.raises(pk.FileError, match=r"ptv_eval\.nii\.gz: .* was edited since"):
        pk.run_targets(pk.Request.load(base), out)
    assert (out / "targets.png").exists()


def test_a_cohort_leaves_nothing_of_cases_that_it_no_longer_has(tmp_path: Path) -> None:
    for number in range(3):
        ball(tmp_path / "masks" / f"p{number}.nii.gz", 5 + number)
    ask = pk.Request.load({"cases": {"masks": str(tmp_path / "masks")}, "targets": {"ptv": 4}}, {"output.page": False})
    out = tmp_path / "out"
    assert [case.case for case in pk.run_targets(ask, out, workers=2).cases] == ["p0", "p1", "p2"]
    (tmp_path / "masks" / "p0.nii.gz").unlink()
    (tmp_path / "masks" / "p1.nii.gz").write_bytes(b"no mask")
    done: list[int] = []
    outcome = pk.run_targets(ask, out, resume=True, progress=lambda *counts: done.append(counts[0]))
    assert done == [1, 2]
    assert set(outcome.failed) == {"p1"}
    assert {path.name for path in out.iterdir()} == {"p2", "cohort.csv", "cohort.json", "cohort.journal"}
    assert read_journal(out / "cohort.journal").head is not None
    alone = pk.Request.load({"cases": {"gtv": str(tmp_path / "masks" / "p2.nii.gz")}, "targets": {"ptv": 4}})
    pk.run_targets(alone, tmp_path / "alone")
    assert (tmp_path / "alone" / "ptv.nii.gz").read_bytes() == (out / "p2" / "ptv.nii.gz").read_bytes()
    assert json.loads((out / "cohort.json").read_text())["schema"] == "ptvkit-cohort/1"


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_workers_end_when_their_parent_dies(tmp_path: Path) -> None:
    study = study_in(tmp_path, SWEEP.replace("patients = 40", "patients = 200000"), cases=2)
    run = f"run_study({str(study)!r}, 'out', workers=2)"
    code = f"if __name__ == '__main__':\n    from ptvkit.work.study import run_study\n    {run}\n"
    script = tmp_path / "run.py"
    script.write_text(code, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
    )
    limit = time.monotonic() + 60
    while len(children := children_of(parent.pid)) < 2 and time.monotonic() < limit:
        time.sleep(0.1)
    time.sleep(1.0)
    children = children_of(parent.pid)
    assert len(children) >= 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    limit = time.monotonic() + 2
    while any(is_alive(pid) for pid in children) and time.monotonic() < limit:
        time.sleep(0.05)
    assert [pid for pid in children if is_alive(pid)] == []


def children_of(pid: int) -> list[int]:
    words = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)]
    listed = subprocess.run(words, capture_output=True, text=True, check=False)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]


def is_alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")
