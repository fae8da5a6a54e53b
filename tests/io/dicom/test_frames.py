"""Files of different frames of reference are not laid over each other."""

from pathlib import Path

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.cli import main
from ptvkit.io.dicom.frames import frame_of
from tests.io.dicom.making import write_series

GRID = pk.Grid(shape=(24, 22, 12), affine=np.diag([-2.0, -2.0, 3.0, 1.0]))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two series in frames of their own, each with a structure set, and a dose in the first's."""
    array = np.zeros(GRID.shape, bool)
    array[8:15, 7:13, 4:8] = True
    for name in ("a", "b"):
        series = write_series(tmp_path / name, GRID)
        pk.write_rtstruct(tmp_path / f"{name}.dcm", {"GTV": pk.Mask.from_array(array, GRID.affine)}, reference=series)
    dose = pk.Dose(values=np.full(GRID.shape, 10.0, np.float32), grid=GRID)
    pk.write_dose(dose, tmp_path / "dose.dcm", reference=tmp_path / "a")
    return tmp_path


def test_frames_are_found(files: Path) -> None:
    frames = [frame_of(files / name) for name in ("a", "a.dcm", "dose.dcm", "b", "b.dcm")]
    assert frames[0] == frames[1] == frames[2] != frames[3] == frames[4]
    (files / "other.csv").write_text("t_s,SI_mm\n")
    assert frame_of(files / "other.csv") == ""


@pytest.mark.parametrize(
    "words",
    [
        ["dose", "--dose", "dose.dcm", "{0}.dcm:GTV"],
        ["targets", "a.dcm:GTV", "--ctv", "3", "--ptv", "3", "--grid", "{0}", "-o", "out"],
        ["targets", "a.dcm:GTV", "--ctv", "3", "--ptv", "3", "--grid", "a", "--limit", "{0}.dcm:GTV", "-o", "out"],
    ],
)
def test_commands_refuse_another_frame(
    words: list[str], files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    assert main([word.format("a") for word in words]) == 0
    capsys.readouterr()
    assert main([word.format("b").replace("out", "more") for word in words]) == 2
    told = capsys.readouterr().err
    assert "has another frame of reference than" in told
    assert told.count("\n") == 1
    assert not (files / "more").exists()
