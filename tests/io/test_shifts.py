"""Tables of daily shifts: signs asked for, patients kept apart."""

from pathlib import Path

import numpy as np
import pytest

from ptvkit.errors import FileError, MotionError
from ptvkit.io.shifts import read_shifts

TABLE = """patient,fraction,LR_mm,AP_mm,SI_mm
a,1,1,2,3
b,1,-1,0,0.5
a,2,0,1,-2
b,2,2,2,2
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "shifts.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_patients_and_signs(table: Path) -> None:
    found = read_shifts(table, sign="displacement", axes="RAS")
    assert list(found) == ["a", "b"]
    np.testing.assert_allclose(found["a"], [[1, 2, 3], [0, 1, -2]])
    couch = read_shifts(table, sign="couch", axes="LPS")
    np.testing.assert_allclose(couch["b"], [[-1, 0, -0.5], [2, 2, -2]])


def test_couch_coordinates(tmp_path: Path) -> None:
    """Vertical up, longitudinal to the gantry, lateral to its right: for a supine patient A, S and L."""
    path = tmp_path / "couch.csv"
    path.write_text("id,vrt_cm,lng_cm,lat_cm\nx,0.1,0.2,0.3\nx,0,0,0\n", encoding="utf-8")
    found = read_shifts(path, sign="couch", axes="IEC61217", patient_position="HFS")["x"]
    np.testing.assert_allclose(found[0], [3, -1, -2])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("patient,", "who,", "no column holds the patient"),
        ("SI_mm", "note", "no column holds SI; a set-up shift has three axes"),
        ("b,2,2", "b,1,2", "line 5: the same patient and fraction as in line 3"),
        ("0.5", "half", "line 3: SI is 'half', not a number"),
    ],
)
def test_what_is_no_table(table: Path, old: str, new: str, says: str) -> None:
    table.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(FileError, match=says):
        read_shifts(table, sign="displacement", axes="RAS")


def test_the_sign_is_asked_for(table: Path) -> None:
    with pytest.raises(MotionError, match="use 'displacement'"):
        read_shifts(table, sign="plus", axes="RAS")  # type: ignore[arg-type]


def test_a_gap_of_any_length_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("patient,fraction,LR_mm,AP_mm,SI_mm\nA,1,0,0,0\nA,9000000000,1,1,1\n", encoding="utf-8")
    with pytest.raises(FileError, match="has fractions 1 to 9000000000 without 2"):
        read_shifts(path, axes="RAS", sign="displacement")
