"""Measured traces put together anew: courses differ, the trace's statistics stay."""

import numpy as np
import pytest

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, Streams
from ptvkit.motion.course import Course, sample_course
from ptvkit.motion.guidance import ImageGuidance
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


def wandering() -> Trajectory:
    """Breaths of 8 mm on a slow wave of 240 s."""
    time = np.arange(0, 600, 0.2)
    slow = 4.3 * np.sin(2 * np.pi * time / 240)
    moved = np.outer(np.sin(np.pi * time / 4) ** 6, [0, 2, -8]) + np.outer(slow, [0, 0, 1])
    return Trajectory(time_s=time, displacement_mm=moved)


@pytest.mark.statistics
@pytest.mark.parametrize(("block_s", "kept"), [(None, True), (90.0, True), (20.0, False)])
def test_slow_drift_stays_in_whole_recordings(block_s: float | None, kept: bool) -> None:
    """The SD of means over 90 s is that of the recording's own windows."""
    source = wandering()
    along = source.displacement_mm[:, 2]
    windows = np.convolve(along, np.ones(450) / 450, mode="valid")
    breathing = Breathing.from_trace(source, reference="time_mean", block_s=block_s)
    drawn = breathing.draw(1000, 10, 90, 90.0, streams())
    found = drawn.wave_mm[..., 2].mean(axis=2).std()
    assert found == pytest.approx(windows.std(), rel=0.03) if kept else found < 0.8 * windows.std()


def test_a_match_sees_where_the_recording_was_and_the_drift_since_stays() -> None:
    """A steady drift of 3 mm a minute: 1.5 mm on average over a minute, and .5 mm for the 20 s the match looks back."""
    time = np.arange(0, 300, 0.5)
    source = Trajectory(time_s=time, displacement_mm=np.outer(time / 60, [0, 0, 3]))
    breathing = Breathing.from_trace(source, reference="time_mean")
    guidance = ImageGuidance(match="soft_tissue")
    course = Course(breathing=breathing, guidance=guidance, fractions=20, fraction_s=60)
    drawn = sample_course(course, patients=20, seed=1, samples=60)
    means = drawn.shifts_mm.mean(axis=2)[..., 2]
    later = drawn.parts[[part.name for part in drawn.parts].index("breathing baseline")]
    assert np.abs(later.shift_mm).max() < 1e-9  # corrected
    assert np.median(means) == pytest.approx(2.0, abs=0.05)
    unseen = sample_course(
        Course(breathing=breathing, guidance=ImageGuidance(match="bone"), fractions=20, fraction_s=60),
        patients=20,
        seed=1,
        samples=60,
    )
    assert unseen.shifts_mm.mean(axis=2)[..., 2].std() > 3


@pytest.mark.parametrize("block_s", [None, 3.0])
@pytest.mark.parametrize("seconds", [40.0, 600.0])
def test_nothing_jumps(block_s: float | None, seconds: float) -> None:
    """Neither where blocks join nor where a short recording turns back."""
    time = np.arange(0, seconds, 0.1)
    source = Trajectory(time_s=time, displacement_mm=np.outer(np.sin(time), [0, 0, 5]) + np.outer(time, [0.01, 0, 0]))
    drawn = Breathing.from_trace(source, reference="time_mean", block_s=block_s).draw(5, 4, 9000, 90.0, streams())
    speed = np.abs(np.diff(drawn.wave_mm[..., 2], axis=2)) / np.diff(drawn.time_s, axis=2)
    # over a join of .75 s at most 10 mm are crossed, besides the breathing's own 5 mm/s
    assert np.quantile(speed, 1.0) < 20


def test_every_point_of_a_recording_is_an_extreme() -> None:
    source = wandering()
    drawn = Breathing.from_trace(source, reference=(0, 0, 0)).draw(2, 2, 10, 60.0, streams())
    assert drawn.extremes_mm.shape == (2, 2, 301, 3)
    moved = drawn.extremes_mm + source.displacement_mm.mean(axis=0)
    first = np.abs(source.displacement_mm[:, None] - moved[0, 0, :1]).sum(axis=2).argmin()
    np.testing.assert_allclose(moved[0, 0], source.displacement_mm[first : first + 301], atol=1e-9)
