"""Breaths found in waves of known amplitude and period."""

import numpy as np
import pytest

from ptvkit.errors import MotionError
from ptvkit.motion.cycles import find_cycles, main_axis, position_histogram, trace_statistics
from ptvkit.motion.trajectory import Trajectory

TOWARDS = np.array([0.1, 0.3, -0.9])


def wave(amplitude: float = 10.0, period: float = 4.0, noise: float = 0.0, seconds: float = 80.0) -> Trajectory:
    time = np.arange(0, seconds, 0.1)
    u = np.sin(np.pi * time / period) ** 6
    jitter = np.random.default_rng(0).normal(size=(len(time), 3)) * noise
    return Trajectory(time_s=time, displacement_mm=amplitude * np.outer(u, TOWARDS) + jitter)


def test_amplitude_period_axis() -> None:
    found = trace_statistics(wave(noise=0.1))
    assert found.cycles is not None
    length = np.linalg.norm(TOWARDS)
    assert len(found.cycles.amplitude_mm) == 20
    assert np.median(found.cycles.amplitude_mm) == pytest.approx(10 * length, abs=0.5)
    assert np.median(found.cycles.period_s) == pytest.approx(4.0, abs=0.11)
    np.testing.assert_allclose(found.cycles.axis, TOWARDS / length, atol=0.02)
    np.testing.assert_allclose(found.range_mm, 10 * np.abs(TOWARDS), atol=0.9)


def test_axis_points_to_where_less_time_is_spent() -> None:
    trace = wave()
    np.testing.assert_allclose(main_axis(trace), TOWARDS / np.linalg.norm(TOWARDS), atol=1e-6)
    other = Trajectory(time_s=trace.time_s, displacement_mm=-trace.displacement_mm)
    np.testing.assert_allclose(main_axis(other), -TOWARDS / np.linalg.norm(TOWARDS), atol=1e-6)


def test_duty_and_histogram_are_those_of_the_wave() -> None:
    """An n = 3 wave spends 47.7 % of its time below a tenth and 11.9 % above nine tenths of its height."""
    found = trace_statistics(wave(seconds=400.0))
    assert found.duty.sum() == pytest.approx(1)
    edges, density = position_histogram(wave(amplitude=10.0, seconds=400.0), 0.5)
    np.testing.assert_allclose(density.sum(axis=1) * 0.5, 1)
    inferior = np.cumsum(density[2][::-1])[::-1] * 0.5  # share above each edge
    below = float(np.interp(-0.9, edges[:-1], inferior))  # a tenth of 9 mm, towards S of it
    assert below == pytest.approx(0.477, abs=0.03)


def test_drift_is_a_slope_per_minute() -> None:
    trace = wave()
    drifting = Trajectory(
        time_s=trace.time_s, displacement_mm=trace.displacement_mm + np.outer(trace.time_s / 60, [1.0, -2.0, 0.5])
    )
    change = trace_statistics(drifting).drift_mm_per_min - trace_statistics(trace).drift_mm_per_min
    np.testing.assert_allclose(change, [1.0, -2.0, 0.5], atol=1e-9)


def test_no_breaths() -> None:
    still = Trajectory(time_s=np.arange(50.0), displacement_mm=np.zeros((50, 3)))
    assert find_cycles(still) is None
    assert trace_statistics(still).cycles is None
    with pytest.raises(MotionError, match="direction of inhale"):
        find_cycles(still, (0, 0, 0))


def test_an_amplitude_is_measured_from_the_mean_of_both_lows() -> None:
    """On a drift of 1 mm a breath, a breath of 10 mm rises 10.5 mm and falls 9.5 mm."""
    time = np.arange(0, 60, 0.02)
    along = 10 * np.sin(np.pi * time / 4) ** 6 + time / 4
    found = find_cycles(Trajectory(time_s=time, displacement_mm=np.outer(along, [0, 0, 1])), (0, 0, 1))
    assert found is not None
    np.testing.assert_allclose(found.amplitude_mm[1:-1], 10, atol=0.1)
