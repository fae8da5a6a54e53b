"""Sensitivity studies end to end: what decides is what was made to decide."""

from pathlib import Path

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.cli import main
from tests.work.test_study import ball

STUDY = """
[cases]
masks = "masks"
[targets]
ctv = 2
ptv = 4
[[errors]]
name = "set-up"
systematic_mm = 2
[[errors]]
name = "drawing"
systematic_mm = 0
[simulation]
patients = 100
seed = 5
[sweep]
method = "{method}"
{points}
[sweep.parameters]
"errors.set-up.systematic_mm.SI" = {{low = 1, high = 4}}
"errors.drawing.random_mm.LR" = {{low = 0, high = 0.001}}
"""


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    ball(tmp_path / "masks" / "a.nii.gz", 7, (2, -3, 1))
    return tmp_path


def test_what_decides_is_said(masks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (masks / "s.toml").write_text(STUDY.format(method="sensitivity", points="points = 64"), encoding="utf-8")
    assert main(["run", str(masks / "s.toml"), "-o", str(masks / "out")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "What decides patients contained is set-up: superior-inferior systematic error Σ, mm (" in text
    assert "drawing: left-right random error σ, mm does not matter here" in text
    table = pk.read_sensitivity(masks / "out")
    assert list(table.columns) == [
        *("output", "parameter", "first", "first_low", "first_high", "total", "total_low", "total_high", "noise"),
    ]
    contained = table[table.output == "contained"].set_index("parameter")
    assert contained.total["errors.set-up.systematic_mm.SI"] > 0.95
    null = contained.loc["errors.drawing.random_mm.LR"]
    assert null.first_low <= 0 <= null.first_high
    assert null.total < 0.01
    ptv = table[table.output == "ptv_cc"]
    assert (ptv.total == 0).all()  # no margin is varied
    assert "What decides" in (masks / "out" / "report.html").read_text(encoding="utf-8")


def test_one_change_at_a_time(masks: Path) -> None:
    ball(masks / "masks" / "b.nii.gz", 5)
    (masks / "s.toml").write_text(STUDY.format(method="one_at_a_time", points=""), encoding="utf-8")
    outcome = pk.run_study(masks / "s.toml", masks / "out")
    table = pk.read_sensitivity(masks / "out")
    row = table[(table.output == "contained") & (table.parameter == "errors.set-up.systematic_mm.SI")].iloc[0]
    whole = pk.read_results(masks / "out").query("lesion == 'all'")
    key = "errors.set-up.systematic_mm.SI"
    means = [whole[np.isclose(whole[key], value)].contained.mean() for value in (1, 2, 4)]
    np.testing.assert_allclose(
        [row.at_low, row.base, row.at_high], [means[0], whole[whole[key] == 2].contained.mean(), means[2]]
    )
    assert row.at_low > row.at_high
    assert outcome.sensitivity is not None
    assert outcome.sensitivity.between_cases["ctv_cc"] == pytest.approx(1.0)
