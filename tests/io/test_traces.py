"""Traces read: axes, units, surrogates; what is odd is told, what is missing is asked for."""

from pathlib import Path

import numpy as np
import pytest

from ptvkit.errors import FileError, MotionError, PtvkitWarning
from ptvkit.io.columns import IEC61217, letters_of
from ptvkit.io.traces import read_trace

ROWS = [(0.0, 1.0, 2.0, 3.0), (0.2, 1.5, 2.5, 3.5), (0.4, 2.0, 1.0, -4.0), (0.6, 0.0, 0.5, 0.25)]
MOVED = np.array(ROWS)[:, 1:]


def csv(path: Path, header: str = "t_s,x_mm,y_mm,z_mm", rows: object = ROWS, between: str = ",") -> Path:
    lines = [header.replace(",", between)] + [between.join(str(v) for v in row) for row in rows]
    path.write_text("# a remark\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("position", sorted(IEC61217))
def test_iec_axes_are_a_rotation_of_the_patient(position: str) -> None:
    """X, Y, Z stay right-handed, and each position is known from where gravity and the head lie."""
    vectors = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    x, y, z = (np.array(vectors[letter]) for letter in letters_of("IEC61217", position, Path("a")))
    np.testing.assert_array_equal(np.cross(x, y), z)
    assert IEC61217[position][1] == {"H": "S", "F": "I"}[position[0]]  # Y to the gantry: where the head points
    up = {"S": "A", "P": "P", "DR": "L", "DL": "R"}[position[2:]]  # on his right side: left is up
    assert IEC61217[position][2] == up


@pytest.mark.parametrize(
    ("axes", "position", "expected"),
    [
        ("RAS", None, MOVED),
        ("LPS", None, MOVED * [-1, -1, 1]),
        ("IEC61217", "HFS", MOVED[:, [0, 2, 1]] * [-1, 1, 1]),
        ("IEC61217", "ffp", MOVED[:, [0, 2, 1]] * [-1, -1, -1]),
        ("iec 61217", "HFDR", np.column_stack([-MOVED[:, 2], -MOVED[:, 0], MOVED[:, 1]])),
    ],
)
def test_axes(tmp_path: Path, axes: str, position: str | None, expected: np.ndarray) -> None:
    found = read_trace(csv(tmp_path / "a.csv"), axes=axes, patient_position=position)
    np.testing.assert_allclose(found.displacement_mm, expected)
    np.testing.assert_allclose(found.time_s, [0, 0.2, 0.4, 0.6])
    assert found.name == str(tmp_path / "a.csv")


def test_columns_that_name_an_axis_take_its_letter(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "t_s,LR_mm,SI_mm,AP_mm")
    found = read_trace(path, axes="IEC61217", patient_position="HFS").displacement_mm
    np.testing.assert_allclose(found, MOVED[:, [0, 2, 1]] * [-1, 1, 1])
    feet = read_trace(path, axes="IEC61217", patient_position="FFS").displacement_mm
    np.testing.assert_allclose(feet, MOVED[:, [0, 2, 1]] * [1, 1, -1])


@pytest.mark.parametrize(
    ("header", "between", "factor", "seconds"),
    [
        ("time (ms),LR [cm],AP [cm],SI [cm]", ";", 10.0, 0.001),
        ("Timestamp_s,x_m,y_m,z_m", "\t", 1000.0, 1.0),
        ("t min,X mm,Y mm,Z mm", ",", 1.0, 60.0),
    ],
)
def test_units_and_separators(tmp_path: Path, header: str, between: str, factor: float, seconds: float) -> None:
    found = read_trace(csv(tmp_path / "a.txt", header, between=between), axes="RAS")
    np.testing.assert_allclose(found.displacement_mm, MOVED * factor)
    np.testing.assert_allclose(found.time_s[1], 0.2 * seconds)


def test_units_that_the_header_lacks_have_to_be_given(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "t,x,y,z")
    with pytest.raises(FileError, match=r"a\.csv: column t has no unit; name it t_s, or give time_units="):
        read_trace(path, axes="RAS", units="mm")
    with pytest.raises(FileError, match=r"column x has no unit; name it x_mm, or give units="):
        read_trace(path, axes="RAS", time_units="s")
    found = read_trace(path, axes="RAS", units="cm", time_units="ms")
    np.testing.assert_allclose(found.displacement_mm, MOVED * 10)
    with pytest.raises(MotionError, match="the header says x is in mm, units='cm' says otherwise"):
        read_trace(csv(tmp_path / "b.csv"), axes="RAS", units="cm")
    with pytest.raises(MotionError, match="units='inch': use one of mm, cm, m"):
        read_trace(path, axes="RAS", units="inch", time_units="s")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "axes= is missing; give 'IEC61217' with patient_position="),
        ({"axes": "IEC61217"}, "need patient_position=: HFS, HFP"),
        ({"axes": "IEC61217", "patient_position": "sitting"}, "patient_position 'sitting': use one of HFS"),
        ({"axes": "RLA"}, "one of each of R/L, A/P, S/I"),
        ({"axes": "xyz"}, "axes 'xyz'"),
    ],
)
def test_axes_are_asked_for(tmp_path: Path, given: dict[str, str], says: str) -> None:
    with pytest.raises(MotionError, match=says):
        read_trace(csv(tmp_path / "a.csv"), **given)


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        ("t_s,x_mm,y_mm,z_mm", [(0, 1, 2, 3), (1, "nan", 2, 3)], r"a\.csv, line 4: x is 'nan', not a number"),
        ("t_s,x_mm,y_mm,z_mm", [(0, 1, 2, 3), (1, "1,5", 2, 3)], r"line 4: has 5 fields, the header 4"),
        ("t_s,x_mm,y_mm,z_mm", [(0, 1, 2, 3), (1, "", 2, 3)], "line 4: x is '', not a number"),
        ("t_s,x_mm,y_mm,z_mm", [(0, 1, 2, 3), (2, 1, 2, 3), (1, 1, 2, 3)], r"time runs backwards at sample 3 \(1 s\)"),
        ("t_s,x_mm,y_mm,z_mm", [], "has no rows under a header"),
        ("t_s,x_mm,y_mm,z_mm", [(0, 1, 2, 3)], "holds 1 sample; a trace needs at least 2"),
        ("0.0,1.0,2.0,3.0", ROWS, "the first line has no column names"),
        ("a_s,x_mm,y_mm,z_mm", ROWS, "no column holds the time; found a, x, y, z"),
        ("t_s,u_mm,v_mm,w_mm", ROWS, "no column holds a position; found t, u, v, w"),
        ("t_s,x_mm,X_mm,z_mm", ROWS, "two columns hold the LR axis"),
        ("t_s,x_ms,y_mm,z_mm", ROWS, "column x is in 'ms'; known units are mm, cm, m"),
    ],
)
def test_what_is_no_trace(tmp_path: Path, header: str, rows: list[tuple[object, ...]], says: str) -> None:
    with pytest.raises(FileError, match=says):
        read_trace(csv(tmp_path / "a.csv", header, rows), axes="RAS")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_trace(tmp_path / "none.csv", axes="RAS")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00 not text")
    with pytest.raises(FileError, match="not a text file in UTF-8"):
        read_trace(tmp_path / "b.csv", axes="RAS")


def test_odd_sampling_is_told(tmp_path: Path) -> None:
    time = [0, 0.2, 0.2, 0.4, 0.45, 0.6, 0.8, 3.0, 3.2]
    rows = [(t, n, 0, 0) for n, t in enumerate(time)]
    with pytest.warns(PtvkitWarning) as told:
        found = read_trace(csv(tmp_path / "a.csv", rows=rows), axes="RAS")
    messages = " | ".join(str(warning.message) for warning in told)
    assert "1 samples repeat the time before them, 1 of them with another position" in messages
    assert "1 gaps, the longest 2.20 s" in messages
    assert "sampled irregularly, every 0.05 to 0.2 s" in messages
    assert len(found.time_s) == 8
    assert found.displacement_mm[1, 0] == 1  # the first of the two


def test_missing_axes_are_told_and_rotations_read(tmp_path: Path) -> None:
    rows = [(0, 1.0, 0.0), (1, 2.0, 3.0)]
    with pytest.warns(PtvkitWarning) as told:
        found = read_trace(csv(tmp_path / "a.csv", "t_s,SI_mm,pitch_deg", rows), axes="RAI")
    messages = " | ".join(str(warning.message) for warning in told)
    assert "no column holds LR, AP; that motion is taken as 0" in messages
    np.testing.assert_allclose(found.rotation_deg, [[0, 0, 0], [3, 0, 0]])
    np.testing.assert_allclose(found.displacement_mm, [[0, 0, -1], [0, 0, -2]])


def test_a_surrogate_needs_a_scale(tmp_path: Path) -> None:
    path = csv(tmp_path / "marker.csv")
    found = read_trace(path, column="z_mm", scale=(0, 0.5, -2))
    signal = MOVED[:, 2] - MOVED[:, 2].mean()
    np.testing.assert_allclose(found.displacement_mm, np.outer(signal, [0, 0.5, -2]))
    with pytest.raises(MotionError, match="choose one with column=: x, y, z"):
        read_trace(path, scale=(0, 0, -1))
    with pytest.raises(MotionError, match="has no column 'w'; use one of x, y, z"):
        read_trace(path, column="w", scale=(0, 0, -1))
    for wrong in ((0, 0, 0), 1.0, (1, 2)):
        with pytest.raises(MotionError, match="scale"):
            read_trace(path, column="z", scale=wrong)


VXP = """[Header]
CRC=1234
Version=1.6
Data_layout=amplitude,phase,timestamp,validflag,ttlin,mark,ttlout
Patient_ID=SECRET
Samples_per_second=25
Scale_factor=10.0
[Data]
0.10,0.1,0,0,1,,0
0.30,0.2,40,0,1,,0
9.99,0.3,80,-1,1,,0
0.20,0.4,120,0,1,,0
"""


def test_vxp(tmp_path: Path) -> None:
    path = tmp_path / "rpm.vxp"
    path.write_text(VXP, encoding="utf-8")
    with pytest.raises(MotionError, match=r"rpm\.vxp: is a surrogate signal, not the target; give scale="):
        read_trace(path)
    with pytest.warns(PtvkitWarning) as warned:
        found = read_trace(path, scale=(0, 1, -3))
    said = [str(one.message).removeprefix(f"{path}: ") for one in warned]
    assert said == [
        "1 of 4 samples are flagged as invalid and left out",
        "sampled irregularly, every 0.04 to 0.08 s",
    ]
    np.testing.assert_allclose(found.time_s, [0, 0.04, 0.12])
    np.testing.assert_allclose(found.displacement_mm[:, 1], [-1, 1, 0], atol=1e-9)  # 1, 3, 2 mm less their mean
    np.testing.assert_allclose(found.displacement_mm[:, 2], [3, -3, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[Data]", "[Date]", r"lacks \[Header\] or \[Data\]"),
        ("amplitude,phase", "depth,phase", "Data_layout must name amplitude and timestamp"),
        ("0.30,0.2,40,0,1,,0", "0.30,0.2,40", "rows do not have the 7 fields"),
        ("0.30,", "high,", "line 10: amplitude is 'high', not a number"),
        ("Scale_factor=10.0", "Scale_factor=ten", "Scale_factor is 'ten'"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*flagged as invalid")
def test_damaged_vxp(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "rpm.vxp"
    path.write_text(VXP.replace(old, new), encoding="utf-8")
    with pytest.raises(FileError, match=says) as raised:
        read_trace(path, scale=(0, 0, -1))
    assert "SECRET" not in str(raised.value)
