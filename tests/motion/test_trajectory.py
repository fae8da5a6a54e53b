"""Trajectories: valid when made, weighed by time, read-only."""

import pickle

import numpy as np
import pytest

from ptvkit.errors import MotionError
from ptvkit.motion.trajectory import Trajectory

TIME = np.array([0.0, 1.0, 3.0, 4.0])
MOVED = np.array([[0.0, 1, 2], [2, 1, 0], [4, 0, -2], [6, 3, 1]])


def test_mean_and_sd_weigh_samples_by_time() -> None:
    trace = Trajectory(time_s=TIME, displacement_mm=MOVED)
    # trapezoid rule: weights 0.5, 1.5, 1.5, 0.5 of 4 s
    weights = np.array([0.5, 1.5, 1.5, 0.5]) / 4
    np.testing.assert_allclose(trace.mean_mm, weights @ MOVED)
    np.testing.assert_allclose(trace.sd_mm, np.sqrt(weights @ (MOVED - weights @ MOVED) ** 2))
    assert (trace.duration_s, trace.interval_s) == (4.0, 1.0)


def test_at_interpolates_and_refuses_beyond() -> None:
    trace = Trajectory(time_s=TIME, displacement_mm=MOVED, name="a.csv")
    np.testing.assert_allclose(trace.at([2.0, 3.5]), [[3, 0.5, -1], [5, 1.5, -0.5]])
    assert len(trace.even(0.5).time_s) == 9
    with pytest.raises(MotionError, match=r"a\.csv: covers 0 to 4 s"):
        trace.at(4.1)


@pytest.mark.parametrize(
    ("time", "moved", "says"),
    [
        ([0, 1], [[0, 0, 0]], "needs times"),
        ([0], [[0, 0, 0]], "at least 2 samples"),
        ([0, 1], [[0, 0], [0, 0]], "needs times"),
        ([0, 1], [[0, 0, 0], [0, np.nan, 0]], "sample 2 has a displacement that is not a number"),
        ([0, np.inf], np.zeros((2, 3)), "sample 2 has a time that is not a number"),
        ([0, 2, 1], np.zeros((3, 3)), "does not rise at sample 3"),
    ],
)
def test_what_is_no_trajectory(time: list[float], moved: list[list[float]], says: str) -> None:
    with pytest.raises(MotionError, match=says):
        Trajectory(time_s=time, displacement_mm=moved)


def test_arrays_are_copied_and_read_only() -> None:
    moved = MOVED.copy()
    trace = Trajectory(time_s=TIME, displacement_mm=moved)
    moved[0] = 99
    assert trace.displacement_mm[0, 0] == 0
    for one in (trace, pickle.loads(pickle.dumps(trace))):
        with pytest.raises(ValueError, match="read-only"):
            one.displacement_mm[0] = 1
