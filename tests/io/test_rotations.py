"""Rotations in traces: which columns, about which axes, in which order."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import ptvkit as pk

IN_LSA = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
"""Columns: L, S and A in the patient frame RAS+."""


def written(path: Path, head: str, rows: list[tuple[float, ...]]) -> Path:
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def matrix(angles: tuple[float, float, float]) -> np.ndarray:
    """``R_AP R_SI R_LR`` in L, S, A, as a matrix in R, A, S."""
    about_l, about_s, about_a = (
        Rotation.from_rotvec(np.radians(angle) * axis).as_matrix()
        for angle, axis in zip(angles, np.eye(3), strict=True)
    )
    found: np.ndarray = IN_LSA @ (about_a @ about_s @ about_l) @ IN_LSA.T
    return found


def test_angles_become_rotations_of_the_patient(tmp_path: Path) -> None:
    angles = (10.0, -20.0, 30.0)
    rows = [(0, 0, 0, 0, 0, 0, 0), (1, 1, 2, 3, *angles)]
    for head in ("t_s,LR_mm,SI_mm,AP_mm,rLR_deg,rSI_deg,rAP_deg", "t_s,x_mm,y_mm,z_mm,rotx_deg,roty_deg,rotz_deg"):
        with pytest.warns(pk.PtvkitWarning, match="R = R_AP R_SI R_LR"):
            found = pk.read_trace(written(tmp_path / "a.csv", head, rows), axes="LSA")
        assert found.rotation_deg is not None
        turned = Rotation.from_rotvec(found.rotation_deg[1], degrees=True).as_matrix()
        np.testing.assert_allclose(turned, matrix(angles), atol=1e-12)
        np.testing.assert_allclose(found.displacement_mm[1], [-1, 3, 2])


def test_a_stated_order_is_used(tmp_path: Path) -> None:
    head = "t_s,LR_mm,SI_mm,AP_mm,rAP_deg,rSI_deg,rLR_deg"
    path = written(tmp_path / "a.csv", head, [(0, 0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 30, -20, 10)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pk.read_trace(path, axes="LSA", rotation_order="LR,SI,AP")
    assert found.rotation_deg is not None
    turned = Rotation.from_rotvec(found.rotation_deg[1], degrees=True).as_matrix()
    np.testing.assert_allclose(turned, matrix((10, -20, 30)), atol=1e-12)
    for order in ("LR,SI", "LR,SI,XY", "LR,LR,SI"):
        with pytest.raises(pk.MotionError, match="rotation_order"):
            pk.read_trace(path, axes="LSA", rotation_order=order)


def test_radians_and_bad_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "t_s,SI_mm,LR_mm,AP_mm,pitch_rad", [(0, 0, 0, 0, 0), (1, 0, 0, 0, 0.1)])
    found = pk.read_trace(path, axes="RAS")
    assert found.rotation_deg is not None
    np.testing.assert_allclose(found.rotation_deg[1], [np.degrees(0.1), 0, 0])
    path = written(tmp_path / "b.csv", "t_s,SI_mm,LR_mm,AP_mm,pitch", [(0, 0, 0, 0, 0), (1, 0, 0, 0, 2)])
    with pytest.raises(pk.FileError, match="column pitch has no unit of angles; name it pitch_deg"):
        pk.read_trace(path, axes="RAS")
    path = written(
        tmp_path / "c.csv", "t_s,SI_mm,LR_mm,AP_mm,pitch_deg,rLR_deg", [(0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 2, 1)]
    )
    with pytest.raises(pk.FileError, match="two columns hold rotations about the LR axis"):
        pk.read_trace(path, axes="RAS")


def test_angles_of_zero_are_none(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "t_s,LR_mm,SI_mm,AP_mm,rotx_deg", [(0, 0, 0, 0, 0), (1, 0, 0, 1, 0)])
    assert pk.read_trace(path, axes="LSA").rotation_deg is None


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:.*order of its rotations")
@pytest.mark.parametrize("name", ["made_liver_steady", "made_liver_uneven"])
def test_traces_of_six_degrees(name: str, shared_data: Path) -> None:
    path = shared_data / "six_dof_made" / f"{name}.csv"
    trace = pk.read_trace(path, axes="IEC61217", patient_position="HFS")
    assert trace.rotation_deg is not None
    raw = np.genfromtxt(path, delimiter=",", comments="#", skip_header=2 if "uneven" in name else 1)
    for row in (50, 211, 400):
        turned = Rotation.from_rotvec(trace.rotation_deg[row], degrees=True).as_matrix()
        np.testing.assert_allclose(turned, matrix(tuple(raw[row, 4:7])), atol=1e-9)
    breathing = pk.Breathing.from_trace(trace, reference="time_mean")
    assert breathing.turns
