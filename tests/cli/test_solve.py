"""`ptvkit solve` as a user runs it."""

import json
import math
from pathlib import Path

import pytest

from ptvkit.cli import main
from tests.cli.test_simulate import ellipsoid


def test_solve_prints_a_margin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctv = ellipsoid(tmp_path / "ctv.nii.gz", 10)
    words = ["solve", str(ctv), "--error", "set-up:2/0", "--criterion", "contained", "--patients", "1500"]
    assert main(words) == 0
    assert "contained for 90% of the patients: R " in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["margin_mm"]["S"] == pytest.approx(5.0, abs=0.25)
    assert main([*words, "--shape", "six", "--study", "liver-protocol", "--patients", "60", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["margin_mm"]["I"] > 3


def test_a_patients_own_breathing_beside_the_populations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One who hardly moves needs less craniocaudally than the protocol's patients, all else the same."""
    ctv = ellipsoid(tmp_path / "ctv.nii.gz", 10)
    trace = tmp_path / "calm.csv"
    lines = [f"{0.2 * n:.1f},0,{0.5 * math.sin(0.3 * n):.4f},0" for n in range(600)]
    trace.write_text("t_s,x_mm,y_mm,z_mm\n" + "\n".join(lines), encoding="utf-8")
    words = ["solve", str(ctv), "--study", "liver-protocol", "--criterion", "contained", "--shape", "per_axis"]
    words += ["--patients", "150", "--own-trace", str(trace), "--axes", "RAS", "--organ", str(ctv)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["own"]["margin_mm"]["S"] < 0.7 * found["margin_mm"]["S"]
    assert found["own"]["ptv_cc"] < found["ptv_cc"]
    assert found["organ_cc"] == pytest.approx(0, abs=0.01)  # the target itself has nothing outside itself
    assert main(words) == 0
    assert "for this patient's breathing: R " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing displaces the target; give errors, breathing, or a study such as liver-protocol"),
        (["--error", "x:1/1", "--criterion", "best"], "criterion 'best': use dmin>=0.95"),
        (["--error", "x:1/1", "--own-trace", "t.csv"], "--own-trace: give --reference"),
        (
            ["--error", "x:1/1", "--shape", "egg"],
            "--shape egg: input should be 'isotropic', 'per_axis' or 'six'",
        ),
    ],
)
def test_solve_refuses(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", str(ellipsoid(tmp_path / "ctv.nii.gz", 8)), *words]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
