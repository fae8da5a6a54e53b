"""Targets and studies from a folder of phases."""

from pathlib import Path

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.errors import FileError
from ptvkit.io.requests import read_json
from ptvkit.request.cases import cases_of
from ptvkit.request.sweep import cells_of
from ptvkit.work.study_tasks import tasks_of
from ptvkit.work.values import course_of

pytestmark = pytest.mark.filterwarnings("ignore:.*nothing states the time weights")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("case") / "4d"
    home.mkdir()
    for number, shift in ((0, -3), (25, -1), (50, 0), (75, 0)):
        array = np.zeros((36, 34, 24), bool)
        array[12:24, 11:22, 9 + shift : 16 + shift] = True
        pk.write_mask(pk.Mask.from_array(array, np.diag([-2.0, -2.0, 3.0, 1.0])), home / f"phase_{number:02d}.nii.gz")
    return home


def asked(folder: Path, **more: object) -> pk.Request:
    tables = {"cases": {"gtv": str(folder)}, "targets": {"ctv": 3, "ptv": "4,S=5", "motion": "mid_ventilation"}}
    return pk.Request.load({**tables, **more})


def test_targets_say_how_they_were_made(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pk.run_targets(asked(folder), out)
    content = read_json(out / "targets.json")
    assert content["motion"]["target"] == "mid_ventilation"
    assert content["motion"]["phase"] == 25
    np.testing.assert_allclose(content["motion"]["residual_mm"], [0, 0, 0], atol=0.05)
    assert content["motion"]["internal_margin_mm"]["I"] == pytest.approx(6, abs=0.3)
    assert "the mid-ventilation phase, 25 %" in (out / "targets.html").read_text(encoding="utf-8")
    assert {Path(one["path"]).name for one in content["inputs"]} == {f"phase_{n:02d}.nii.gz" for n in (0, 25, 50, 75)}


def test_a_bad_request_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    for gtv, motion, text in (
        (folder, 40, "has no phase 40"),
        (folder / "phase_00.nii.gz", "itv", "no folder of phases"),
    ):
        ask = pk.Request.load({"cases": {"gtv": str(gtv)}, "targets": {"ctv": 3, "ptv": 4, "motion": motion}})
        with pytest.raises(pk.PtvkitError, match=text):
            pk.run_targets(ask, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    with pytest.raises(FileError, match="motion"):
        pk.Request.load({"cases": {"gtv": str(folder)}, "targets": {"motion": "snapshot"}})
    with pytest.raises(FileError, match="is a folder of 4 masks; choose one"):
        pk.run_targets(
            pk.Request.load({"cases": {"gtv": str(folder)}, "targets": {"ctv": 3, "ptv": 4}}), tmp_path / "out"
        )


def test_a_course_is_planned_where_the_targets_are(folder: Path) -> None:
    breathing = {"phases": str(folder), "reference": "planned", "period_s": 5.0}
    phases = pk.read_phases(folder)
    for motion, expected in (("mid_position", np.zeros(3)), (0, phases.displacement_mm[0])):
        own = course_of(asked(folder, breathing=breathing).with_values({"targets.motion": motion})).breathing
        assert own is not None
        np.testing.assert_allclose(own.wave.position(own.reference), expected)
    with pytest.raises(pk.MotionError, match=r"needs targets\.motion"):
        course_of(pk.Request.load({"breathing": breathing}))
    with pytest.raises(pk.MotionError, match="has a meaning with phases alone"):
        course_of(pk.Request.load({"breathing": {"preset": "liver-compression", "reference": "planned"}}))
    with pytest.raises(pk.MotionError, match="inhale has no meaning with phases"):
        course_of(asked(folder, breathing={**breathing, "inhale": [0, 1, -1]}))


def test_a_sweep_over_motions_has_a_course_for_each(folder: Path) -> None:
    sweep = {"parameters": {"targets.motion": ["itv", "mid_ventilation", 50]}}
    ask = asked(folder, breathing={"phases": str(folder), "reference": "planned"}, sweep=sweep)
    tasks = tasks_of(cases_of(ask), cells_of(ask))
    assert [task.cells[0].values["targets.motion"] for task in tasks] == ["itv", "mid_ventilation", 50]
    assert all(len(task.cells) == 1 for task in tasks)


def test_simulations_of_phases(folder: Path, tmp_path: Path) -> None:
    breathing = {"phases": str(folder), "reference": "planned"}
    quick = {"simulation": {"patients": 60}, "output": {"pictures": False, "maps": False}}
    ask = asked(folder, breathing=breathing, errors=[{"systematic_mm": 1.0}], **quick)
    kept = pk.run_simulation(ask.with_values({"targets.motion": "itv"}), tmp_path / "itv").simulation.result
    lost = pk.run_simulation(ask, tmp_path / "mid").simulation.result
    session = pk.Session(ask)
    for motion, result in (("itv", kept), ("mid_ventilation", lost)):
        session.set("targets.motion", motion)
        figures = session.figures(60)
        assert figures.contained == result.contained()
        assert figures.sides == result.sides
        assert figures.miss_mm["0.9"] == result.miss_quantile(0.9)
    assert kept.contained().value > 0.9
    assert lost.contained().value < 0.2
