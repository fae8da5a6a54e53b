"""A recording of six degrees of freedom played sample by sample by hand, and by simulations."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import ptvkit as pk
from ptvkit.motion.course import sample_course
from tests.motion.test_brute_force import CENTRE, beyond, capsule, cloud, ellipsoid

Floats = NDArray[np.float64]


def recording(duration_s: float = 20.0) -> pk.Trajectory:
    """Breaths with a loop, a drift and rotations that lag."""
    time = np.arange(round(duration_s * 5) + 1) / 5.0
    breath, later = (np.cos(np.pi * (time / 4.3 - lag)) ** 6 for lag in (0.0, 0.1))
    moved = (
        np.outer(breath, [0.5, 0.0, -7.0])
        + np.outer(later, [0, 3.0, 0])
        + np.outer(time / duration_s, [0.4, -0.5, 0.8])
    )
    turned = np.outer(later, [4.0, -3.0, 5.0]) + np.outer(np.sin(time / 7), [1.0, 2.0, 0.0])
    return pk.Trajectory(time_s=time, displacement_mm=moved, rotation_deg=turned)


def by_hand(trace: pk.Trajectory, planned: Floats, upright: Rotation) -> tuple[float, float]:
    """Mean coverage over the samples' time, and deepest reach outside."""
    volume, surface = cloud()
    covered, deepest = [], -np.inf
    assert trace.rotation_deg is not None
    for shift, vector in zip(trace.displacement_mm, trace.rotation_deg, strict=True):
        turn = (Rotation.from_rotvec(vector, degrees=True) * upright.inv()).as_matrix()
        covered.append((beyond(volume @ turn.T + shift - planned) <= 0).mean())
        deepest = max(deepest, float(beyond(surface @ turn.T + shift - planned).max()))
    return float(trace.weights @ covered), deepest


@pytest.mark.parametrize("reference", ["zero", "time_mean"])
def test_a_recording_is_replayed_as_by_hand(reference: str) -> None:
    trace = recording()
    assert trace.rotation_deg is not None
    mean = trace.rotation_deg.mean(axis=0)
    planned = np.zeros(3) if reference == "zero" else trace.displacement_mm.mean(axis=0)
    upright = Rotation.from_rotvec(np.zeros(3) if reference == "zero" else mean, degrees=True)
    covered, deepest = by_hand(trace, planned, upright)
    breathing = pk.Breathing.from_trace(trace, reference=(0, 0, 0) if reference == "zero" else "time_mean")
    course = pk.Course(breathing=breathing, fraction_s=trace.duration_s)
    found = pk.simulate_coverage(ellipsoid(), capsule(), course, patients=1, samples=400)
    assert deepest > 0.3
    assert found.miss_mm[0, 0] == pytest.approx(deepest, abs=0.05)
    assert found.coverage[0, 0] == pytest.approx(covered, abs=0.002)
    assert not found.contained().value


def test_containment_is_that_of_the_samples() -> None:
    trace = recording()
    _, deepest = by_hand(trace, np.zeros(3), Rotation.identity())
    course = pk.Course(breathing=pk.Breathing.from_trace(trace, reference=(0, 0, 0)), fraction_s=trace.duration_s)
    for more, contained in ((deepest + 0.15, 1.0), (deepest - 0.15, 0.0)):
        ptv = pk.expand(capsule(), more)
        assert pk.simulate_coverage(ellipsoid(), ptv, course, patients=1, samples=20).contained().value == contained


def test_set_up_turns_the_patient_in_whom_the_target_turns() -> None:
    trace = recording(12.0)
    error = pk.SetupError(systematic_deg=5.0)
    course = pk.Course(setup=[error], breathing=pk.Breathing.from_trace(trace, reference=(0, 0, 0)), fraction_s=12.0)
    drawn = sample_course(course, patients=2, seed=3, samples=4)
    assert drawn.sample_turns is not None
    assert drawn.turns is not None
    assert drawn.wave_turns_rad is not None
    at = (1, 0, 2)
    inner = Rotation.from_rotvec(drawn.wave_turns_rad[at]).as_matrix()
    np.testing.assert_allclose(drawn.sample_turns[at], drawn.turns[1, 0] @ inner, atol=1e-12)


def test_dose_is_that_of_the_turned_points() -> None:
    trace = recording(12.0)
    course = pk.Course(breathing=pk.Breathing.from_trace(trace, reference=(0, 0, 0)), fraction_s=trace.duration_s)
    dose = pk.conformal_dose(pk.contract(capsule(), 6), 20.0)
    found = pk.simulate_dose(dose, ellipsoid(), course, patients=1, samples=21)
    drawn = sample_course(course, patients=1, seed=0, samples=21, centre_mm=CENTRE)
    assert drawn.sample_turns is not None
    poses = list(zip(drawn.sample_turns[0, 0], drawn.shifts_mm[0, 0], strict=True))
    volume, surface = (
        np.mean([dose.sample(points @ turn.T + shift + CENTRE) for turn, shift in poses], axis=0)
        for points in (cloud()[0][::8], cloud()[1])
    )
    assert found.metric("mean_gy")[0] == pytest.approx(volume.mean(), rel=1e-3)
    assert found.metric("dmin_gy")[0] == pytest.approx(surface.min(), rel=5e-3)
    still = np.mean([dose.sample(cloud()[1] + shift + CENTRE) for _, shift in poses], axis=0)
    assert np.abs(still - surface).max() > 0.3


def test_statistics_and_even_steps_keep_rotations() -> None:
    trace = recording()
    found = pk.trace_statistics(trace)
    assert trace.rotation_deg is not None
    assert found.rotation_range_deg is not None
    np.testing.assert_allclose(found.rotation_range_deg, np.ptp(trace.rotation_deg, axis=0))
    even = trace.even(0.1).rotation_deg
    assert even is not None
    np.testing.assert_allclose(even[::2], trace.rotation_deg, atol=1e-9)
    with pytest.raises(pk.MotionError, match="rotations"):
        pk.Trajectory(time_s=[0.0, 1.0], displacement_mm=np.zeros((2, 3)), rotation_deg=np.zeros((3, 3)))
