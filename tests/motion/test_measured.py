"""Measured traces put together anew: courses differ, the trace's statistics stay."""

import numpy as np
import pytest

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, Streams
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.variation import Variation


def trace(amplitude: float = 10.0, name: str = "a.csv") -> Trajectory:
    time = np.arange(0, 120, 0.2)
    rng = np.random.default_rng(1)
    height = 1 + 0.2 * np.repeat(rng.normal(size=31), 20)[: len(time)]
    u = height * np.sin(np.pi * time / 4) ** 6
    return Trajectory(time_s=time, displacement_mm=amplitude * np.outer(u, [0.05, 0.3, -0.95]), name=name)


def streams(seed: int = 0) -> Streams:
    return Streams(*(np.random.default_rng([seed, n]) for n in range(3)))


@pytest.mark.statistics
def test_statistics_stay() -> None:
    source = trace()
    drawn = Breathing.from_trace(source, reference="time_mean").draw(200, 10, 40, 60.0, streams())
    mean = source.displacement_mm.mean(axis=0)
    flat = drawn.wave_mm.reshape(-1, 3)
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(flat.std(axis=0), source.displacement_mm.std(axis=0), rtol=0.02)
    between = source.at(np.linspace(0, source.time_s[-1], 20_000))[:, 2]  # it is linear between its samples
    for q in (0.02, 0.5, 0.98):
        expected = np.quantile(between - mean[2], q)
        assert np.quantile(flat[:, 2], q) == pytest.approx(expected, abs=0.15)
    assert (drawn.reference_mm == 0).all()


def test_courses_differ_and_patients_are_seeded() -> None:
    breathing = Breathing.from_trace(trace(), reference="snapshot")
    a, b = (breathing.draw(3, 2, 30, 60.0, streams(n)) for n in (1, 1))
    np.testing.assert_array_equal(a.wave_mm, b.wave_mm)
    assert not np.allclose(a.wave_mm[0, 0], a.wave_mm[0, 1])
    assert not np.allclose(a.reference_mm[0], a.reference_mm[1])


def test_within_a_block_it_is_the_trace() -> None:
    source = trace()
    drawn = Breathing.from_trace(source, reference="time_mean", block_s=60.0).draw(1, 1, 300, 59.9, streams())
    moved = drawn.wave_mm[0, 0] + source.displacement_mm.mean(axis=0)
    time = drawn.time_s[0, 0]
    starts = np.arange(0, 120, 0.02)
    circle = np.vstack([source.displacement_mm, source.displacement_mm[:1]])
    at = np.append(source.time_s, 120.0)
    misfit = [np.abs(np.interp((time + s) % 120, at, circle[:, 2]) - moved[:, 2]).max() for s in starts]
    assert min(misfit) < 0.4


def test_several_traces_are_a_population() -> None:
    both = Breathing.from_trace([trace(5.0), trace(15.0, "b.csv")], reference="time_mean")
    assert both.wave.is_population
    heights = np.abs(both.draw(60, 1, 100, 60.0, streams()).wave_mm[..., 2]).max(axis=(1, 2))
    assert 10 < (heights > 8).sum() < 50


@pytest.mark.parametrize("which", ["inhale", "exhale"])
def test_ends_need_a_direction(which: str) -> None:
    with pytest.raises(MotionError, match=r"a\.csv does not tell which end is inhale; give inhale="):
        Breathing.from_trace(trace(), reference=which)
    known = Breathing.from_trace(trace(), reference=which, inhale=(0, 0.3, -0.95))
    position = known.wave.position(which)[2]
    assert position < -7 if which == "inhale" else position > -0.5


def test_references_of_a_trace() -> None:
    source = trace()
    moved = source.displacement_mm
    for reference, expected in (
        ("time_mean", moved.mean(axis=0)),
        ("mid_range", 0.5 * (moved.min(axis=0) + moved.max(axis=0))),
        ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0)),
    ):
        found = Breathing.from_trace(source, reference=reference).displacement(source.time_s)
        np.testing.assert_allclose(found, moved - expected, atol=1e-9)
        drawn = Breathing.from_trace(source, reference=reference).draw(2, 1, 3, 60.0, streams()).reference_mm
        np.testing.assert_allclose(drawn, np.broadcast_to(moved.mean(axis=0) - expected, (2, 1, 3)), atol=1e-9)


def test_what_cannot_be() -> None:
    with pytest.raises(MotionError, match="a measured trace brings its own"):
        Breathing.from_trace(trace(), reference="time_mean", variation=Variation(amplitude_mm=1))
    with pytest.raises(MotionError, match="one or more traces"):
        Breathing.from_trace([], reference="time_mean")
    with pytest.raises(MotionError, match="no direction"):
        Breathing.from_trace(trace(), reference="inhale", inhale=(0, 0, 0))
    still = Trajectory(time_s=np.arange(9.0), displacement_mm=np.zeros((9, 3)), name="still.csv")
    with pytest.raises(MotionError, match=r"no breaths were found in still\.csv"):
        Breathing.from_trace(still, reference="inhale", inhale=(0, 0, -1))
