"""Intervals in which a beam is on, against a clock."""

import numpy as np

from ptvkit.motion.windows import whole, windows_of


def test_intervals_that_touch_or_overlap_are_one() -> None:
    start = np.array([[0.0, 1.0, 4.0], [0.0, 2.0, 9.0]])
    stop = np.array([[1.0, 2.0, 5.0], [0.0, 3.0, 8.0]])
    found = windows_of(start, stop)
    assert found.start.tolist() == [[0.0, 4.0], [2.0, 3.0]]
    assert found.stop.tolist() == [[2.0, 5.0], [3.0, 3.0]]
    assert found.total_s.tolist() == [3.0, 1.0]


def test_delays_against_a_clock() -> None:
    rng = np.random.default_rng(3)
    edges = np.cumsum(rng.uniform(0.05, 1.5, (40, 20)), axis=1)
    start, stop = edges[:, ::2], edges[:, 1::2]
    clock = np.arange(0.0, 12.0, 0.01) + 0.005
    for on_s, off_s in ((0.0, 0.0), (0.3, 0.3), (0.5, 0.1), (0.1, 0.6)):
        found = windows_of(start, stop).delayed(on_s, off_s).within(12.0)
        early, late = (start + on_s)[..., None], (stop + off_s)[..., None]
        is_on = ((clock >= early) & (clock <= late)).any(axis=1)
        np.testing.assert_array_equal(found.holds(np.broadcast_to(clock, is_on.shape)), is_on)
        np.testing.assert_allclose(found.total_s, is_on.mean(axis=1) * 12.0, atol=0.11)


def test_time_that_has_passed_inside_intervals() -> None:
    found = windows_of(np.array([[1.0, 5.0], [0.0, 0.0]]), np.array([[2.0, 7.0], [3.0, 0.0]]))
    passed = np.array([[0.0, 0.5, 1.5, 3.0], [0.0, 1.0, 2.0, 3.0]])
    np.testing.assert_allclose(found.at(passed), [[1.0, 1.5, 5.5, 7.0], [0.0, 1.0, 2.0, 3.0]])
    np.testing.assert_allclose(whole(2, 3.0).at(passed), passed)
