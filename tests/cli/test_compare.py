"""The command compare: its files, its JSON, and what it refuses."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ptvkit.cli import main

SHORT = ("--set", "breathing.amplitude_mm=[0,3,10]", "--set", "breathing.inhale=[0,1,-1]", "--error", "set-up:2/2")
GATE = ("--set", "management.kind=gate")
GTV = "phantom:lesion_3"


def run(*words: str) -> int:
    return main(["compare", GTV, "--patients", "60", *words])


def test_files_of_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(*SHORT, "--ctv", "3", "--strategies", "mid_position,gating", "-o", str(out), "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["mid_position", "gating"]
    record = json.loads((out / "strategies.json").read_text())
    assert record["schema"] == "ptvkit-strategies/1"
    assert record["strategies"] == rows
    with open(out / "strategies.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert float(table[1]["margin"]) == pytest.approx(rows[1]["margin"], abs=1e-3)
    assert {"systematic_mm_SI", "duty", "minutes", "reached"} <= set(table[0])
    page = (out / "strategies.html").read_text()
    assert "Plotly" in page
    assert len(page) < 6e6
    assert main(["check", str(out)]) == 0


def test_a_patients_own_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    time = np.arange(0, 40, 0.2)
    moved = 10 * np.sin(np.pi * time / 4) ** 4
    trace = tmp_path / "patient.csv"
    lines = [f"{t:.1f},0,{0.3 * x:.3f},{-x:.3f}" for t, x in zip(time, moved, strict=True)]
    trace.write_text("\n".join(["t_s,LR_mm,AP_mm,SI_mm", *lines]))
    words = (
        "--trace",
        str(trace),
        "--axes",
        "RAS",
        "--error",
        "set-up:2/2",
        "--strategies",
        "mid_position",
        "--ctv",
        "3",
    )
    assert run(*words) == 0
    said = capsys.readouterr()
    assert "fewer than 15" in said.err
    assert "mid-position" in said.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--strategies", "best", *SHORT), "best"),
        (("--error", "set-up:2/2"), "breathing"),
        ((*SHORT, "--mu", "500"), "mu_per_min"),
        ((*SHORT, *GATE), "duty"),
        ((*SHORT, *GATE, "--set", "management.factor=0.5"), "factor"),
        (
            (
                *SHORT,
                "--set",
                "management.kind=gate",
                "--set",
                "management.duty=0.05",
                "--set",
                "management.latency_s=[1,0]",
            ),
            "never opens",
        ),
        ((*SHORT, "--set", "management.kind=balloon"), "balloon"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(*words, "-o", str(out)) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert says in said[-1]
    assert not out.exists()
