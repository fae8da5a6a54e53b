"""Strategies against closed forms, and against the margin and the simulation of one course."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ptvkit import phantom
from ptvkit.analysis.solve import solve_margin
from ptvkit.analysis.strategies import compare_strategies
from ptvkit.analysis.strategy_courses import STRATEGIES, nearest_phase
from ptvkit.analysis.trace_bootstrap import block_edges, bootstrap_half_width, trace_warnings
from ptvkit.errors import MotionError
from ptvkit.geometry.phases import Phases
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import Margin
from ptvkit.margins.phases import itv
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import Course
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.management.tracking import Tracking
from ptvkit.motion.setup import SetupError
from ptvkit.motion.simulate import simulate_coverage
from ptvkit.motion.trajectory import Trajectory

GTV = phantom.region("lesion_3")


def course(**more: Any) -> Course:
    breathing = Breathing.lujan(amplitude_mm=(0, 4, 12), inhale=(0, 1, -1), reference="exhale")
    return Course(setup=[SetupError(systematic_mm=2, random_mm=2)], breathing=breathing, fractions=4, **more)


def recording(seconds: float, drift: float = 0.0) -> Breathing:
    time = np.arange(0, seconds, 0.2)
    height = (8 + np.sin(time / 7)) * np.sin(np.pi * time / 4.1) ** 4 + drift * time
    return Breathing.from_trace(
        Trajectory(time_s=time, displacement_mm=np.outer(height, [0, 0.3, -1])),
        reference="time_mean",
        inhale=(0, 0.3, -1),
    )


def phases() -> Phases:
    poses = np.tile(np.eye(4), (6, 1, 1))
    poses[:, 2, 3] = 0, -3, -9, -12, -6, -1
    return Phases(regions=[GTV.moved(pose) for pose in poses])


def test_phases_are_compared_by_their_own_breathing() -> None:
    found = compare_strategies(
        phases(),
        replace(course(), breathing=None),
        ctv=3,
        strategies=("itv", "mid_ventilation", "gating"),
        patients=100,
    )
    whole, nearest, gated = found.strategies
    assert whole.margin_mm < nearest.margin_mm
    assert gated.random_mm[2] < nearest.random_mm[2]
    assert gated.duty < 0.6
    assert found.gtv.volume_cc == pytest.approx(GTV.volume_cc, rel=0.01)


@pytest.mark.parametrize(("n", "rms"), [(1, 0.08980), (3, 0.09752)])
def test_the_nearest_of_ten_phases_is_a_tenth_of_the_stroke_away(n: int, rms: float) -> None:
    wave = Breathing.lujan(amplitude_mm=(0, 0, 20), inhale=(0, 0, -1), reference="exhale", n=n)
    assert nearest_phase(wave).systematic_mm == pytest.approx([0, 0, 20 * rms], rel=0.005)


def test_the_margin_is_that_of_the_course_and_common_to_all() -> None:
    names = ("mid_position", "itv", "tracking", "gating")
    managements = {"tracking": Tracking()}
    found = compare_strategies(
        GTV,
        course(),
        ctv=3,
        strategies=names,
        patients=200,
        seed=2,
        fixed=6,
        managements=managements,
        organ=phantom.region("liver"),
    )
    assert [row["name"] for row in found.table()] == list(names)
    ctv = expand(GTV, Margin.uniform(3))
    alone = solve_margin(ctv, course_at_mean(), patients=200, seed=2)
    mid, itv, tracked, gated = found.strategies
    assert mid.margin_mm == pytest.approx(alone.margin.superior, abs=0.05)
    assert mid.reached == pytest.approx(alone.reached, abs=0.011)
    still = solve_margin(ctv, Course(setup=course().setup, fractions=4), patients=200, seed=2)
    assert tracked.margin_mm == pytest.approx(still.margin.superior, abs=0.05)
    assert itv.margin_mm < mid.margin_mm
    assert itv.organ_cc is not None
    assert gated.minutes == pytest.approx(1.5 / gated.duty)
    assert gated.duty == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(tracked.systematic_mm, 2, atol=0.2)
    for one in found.strategies:
        assert one.margin_mm.low <= one.margin_mm <= one.margin_mm.high
        assert one.ptv_cc.low <= one.ptv_cc <= one.ptv_cc.high
    assert "smallest PTV" in found.in_words()


def course_at_mean() -> Course:
    breathing = Breathing.lujan(amplitude_mm=(0, 4, 12), inhale=(0, 1, -1), reference="time_mean")
    return Course(setup=course().setup, breathing=breathing, fractions=4)


def test_shares_of_an_internal_target_are_those_of_a_simulation() -> None:
    found = compare_strategies(
        GTV, course(), ctv=0, strategies=("itv",), patients=200, seed=2, fixed=5, criterion="contained"
    )["itv"]
    ptv = expand(itv(GTV, np.array([[0, 0, 0], [0, 4, -12.0]]) - np.array([0, 1.25, -3.75])), Margin.uniform(5))
    whole = simulate_coverage(GTV, ptv, course_at_mean(), patients=200, seed=2)
    assert found.fixed_reached == pytest.approx(whole.contained(), abs=0.02)
    assert found.reached == pytest.approx(0.9, abs=0.09)  # three standard errors of 200 and 200 patients


def test_a_short_or_drifting_recording_is_said() -> None:
    assert list(trace_warnings(recording(120))) == []
    assert "fewer than 15" in next(trace_warnings(recording(30)))
    assert any("drift" in text for text in trace_warnings(recording(120, drift=0.2)))
    assert list(trace_warnings(course().breathing)) == []  # type: ignore[arg-type]


def test_the_bootstrap_of_a_recording_has_the_spread_of_its_blocks() -> None:
    breathing = recording(240)
    trace = breathing.wave.traces[0]  # type: ignore[union-attr]
    edges = block_edges(trace)
    means = [trace.displacement_mm[a:b, 2].mean() for a, b in pairwise(edges.tolist())]

    def mean_of(other: Course) -> float:
        wave: Any = other.breathing.wave  # type: ignore[union-attr]
        return float(wave.traces[0].displacement_mm[:, 2].mean())

    halves = [bootstrap_half_width(Course(breathing=breathing), mean_of, seed) for seed in range(30)]
    expected = 2.365 * np.std(means) / np.sqrt(len(means))  # t of 7 degrees of freedom
    assert np.sqrt(np.mean(np.square(halves))) == pytest.approx(expected, rel=0.2)
    assert bootstrap_half_width(course(), mean_of, 0) == 0


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"strategies": ("best",)}, "best"),
        ({"population": 1.5}, "population"),
        ({"beam_min": 0}, "beam_min"),
        ({"criterion": "nothing"}, "criterion"),
    ],
)
def test_bad_comparisons_are_refused(more: Any, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        compare_strategies(GTV, course(), **more)


def test_a_course_without_breathing_has_nothing_to_manage() -> None:
    still = Course(setup=[SetupError(systematic_mm=2)], guidance=ImageGuidance())
    with pytest.raises(MotionError, match="no breathing"):
        compare_strategies(GTV, still)
    assert len(STRATEGIES) == 8
