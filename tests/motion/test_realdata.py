"""Measured liver traces: read, summarised as their own summary has it, simulated."""

import csv
from pathlib import Path

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.cli import main

LIVER = ("BaselineWanderWithCardiac70s", "Erratic70s", "LargeSI70s", "LargeSIandAP70s", "RegularBreathing70s")


def read(path: Path) -> pk.Trajectory:
    return pk.read_trace(path, axes="IEC61217", patient_position="HFS")


@pytest.mark.realdata
def test_traces_are_as_their_summary_says(shared_data: Path) -> None:
    folder = shared_data / "tumour_traces"
    with open(folder / "summary.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    for row in rows:
        found = pk.trace_statistics(read(folder / row["file"]))
        assert found.samples == int(row["n"])
        assert found.duration_s == pytest.approx(float(row["duration_s"]), abs=0.2)
        for axis, name in enumerate(("LR", "AP", "SI")):
            assert found.range_mm[axis] == pytest.approx(float(row[f"range_{name}_mm"]), abs=0.006)
            assert found.range95_mm[axis] == pytest.approx(float(row[f"p95range_{name}_mm"]), rel=0.01, abs=0.03)
            assert found.sd_mm[axis] == pytest.approx(float(row[f"sd_{name}_mm"]), rel=0.01, abs=0.006)


@pytest.mark.realdata
@pytest.mark.parametrize("name", LIVER)
def test_liver_traces_breathe_inferior_and_anterior(shared_data: Path, name: str) -> None:
    """Where less time is spent, at inhale, the tumour is lower and further in front; a sign error would show here."""
    found = pk.trace_statistics(read(shared_data / "tumour_traces" / f"LiverTraj_{name}_robot.csv"))
    assert found.cycles is not None
    assert found.cycles.axis[2] < -0.9
    assert found.cycles.axis[1] > 0.1
    assert 3.0 < np.median(found.cycles.period_s) < 5.0


@pytest.mark.realdata
def test_a_liver_trace_is_simulated(shared_data: Path) -> None:
    trace = read(shared_data / "tumour_traces/LiverTraj_LargeSIandAP70s_robot.csv")
    ctv = pk.phantom.region("lesion_2")
    losses = []
    for superior in (3, 15):
        ptv = pk.expand(ctv, pk.Margin.uniform(3) + pk.Margin(superior=superior, inferior=superior))
        course = pk.Course(breathing=pk.Breathing.from_trace(trace, reference="snapshot"), fractions=5)
        losses.append(pk.simulate_coverage(ctv, ptv, course, patients=200, seed=1).coverage_loss)
    assert losses[0] > 0.005
    assert losses[1] < 0.2 * losses[0]


@pytest.mark.realdata
def test_the_protocol_on_a_clinical_case_in_one_command(shared_data: Path, tmp_path: Path) -> None:
    gtv = shared_data / "ent_brain/GTV.nii.gz"
    margins = ["--ctv", "10", "--ptv", "10", "--breathing", "S=12,I=18"]
    assert main(["targets", str(gtv), *margins, "-o", str(tmp_path)]) == 0
    trace = shared_data / "tumour_traces/LiverTraj_LargeSIandAP70s_robot.csv"
    course = ["--study", "liver-protocol", "--trace", str(trace), "--axes", "IEC61217", "--patient-position", "HFS"]
    case = ["--ctv", str(tmp_path / "ctv.nii.gz"), "--ptv", str(tmp_path / "ptv.nii.gz")]
    assert main(["simulate", *case, *course, "--patients", "300", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "coverage_map.png").stat().st_size > 50_000


@pytest.mark.realdata
def test_markers_are_surrogates(shared_data: Path) -> None:
    for path in sorted((shared_data / "marker_traces").glob("*_N.csv"))[:4]:
        trace = pk.read_trace(path, column="z_mm", scale=(0, 0.5, -2.0))
        found = pk.trace_statistics(trace)
        assert found.cycles is not None
        assert 2 < np.median(found.cycles.period_s) < 8
