"""Courses that combine several kinds of motion: nothing is lost at their joints."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.motion.course import sample_course
from tests.motion.bodies import ball

WALK = pk.Intrafraction(walk_mm2_per_min=6)


def test_extremes_hold_every_position_of_a_walk_beside_breathing() -> None:
    breathing = pk.Breathing.lujan(amplitude_mm=(0, 0, 0.01), inhale=(0, 0, -1), reference="exhale", period_s=10)
    course = pk.Course(breathing=breathing, intrafraction=WALK, fractions=2, fraction_s=120)
    drawn = sample_course(course, patients=20, seed=3, samples=200)
    beyond = drawn.shifts_mm.max(axis=2) - drawn.extreme_shifts_mm.max(axis=2)
    assert beyond.max() < 0.01
    still = pk.Course(setup=[pk.SetupError(systematic_mm=0.001)], intrafraction=WALK, fractions=2, fraction_s=120)
    target, ptv = ball(10), ball(15)
    shares = [pk.simulate_coverage(target, ptv, one, patients=150, seed=3).contained() for one in (course, still)]
    assert abs(shares[0] - shares[1]) < 0.05  # the same streams


def test_a_hold_without_rotations_does_not_lose_its_dose() -> None:
    time = np.arange(0, 60, 0.2)
    wave = np.sin(2 * np.pi * time / 4)
    trace = pk.Trajectory(
        time_s=time, displacement_mm=np.outer(wave, [0, 1, 5]), rotation_deg=np.outer(wave, [2, 0, 0]), name="trace"
    )
    course = pk.Course(
        breathing=pk.Breathing.from_trace(trace, reference="time_mean"),
        management=pk.BreathHold(within_sd_mm=1),
        fractions=3,
    )
    dose = pk.conformal_dose(ball(16), prescription_gy=20)
    found = pk.simulate_treatment([pk.Part(dose=dose, course=course, name="a")], ball(10), patients=5, seed=1)
    single = pk.simulate_dose(dose, ball(10), course, patients=5, seed=1)
    np.testing.assert_allclose(found.metric("dmin"), single.metric("dmin"), atol=0.02)
    assert found.metric("dmin").min() > 15


def test_online_adaptation_takes_growth_away() -> None:
    growth = pk.ShapeChange(mm_per_day=0.5)
    adapted = pk.Intrafraction(adaptation_min=10)
    for within, grows in ((None, True), (adapted, False)):
        course = pk.Course(
            setup=[pk.SetupError(systematic_mm=1)], shape_change=growth, intrafraction=within, fractions=3
        )
        drawn = sample_course(course, patients=4, seed=1)
        assert drawn.growth_mm is not None
        assert bool(drawn.growth_mm.any()) is grows


def test_holds_that_end_before_a_drift_does_are_refused() -> None:
    course = pk.Course(
        management=pk.BreathHold(within_sd_mm=1, hold_s=20, holds=1),
        intrafraction=pk.Intrafraction(rate_mm_per_min=(0, 0, 6)),
        fractions=1,
        fraction_s=60,
    )
    with pytest.raises(pk.MotionError, match="shorter than the beam time"):
        sample_course(course, patients=2)


def test_models_of_another_ratio_are_refused() -> None:
    dose = pk.conformal_dose(ball(16), prescription_gy=20)
    part = pk.Part(dose=dose, course=pk.Course(setup=[pk.SetupError(systematic_mm=1)], fractions=5), name="a")
    with pytest.raises(pk.DoseError, match="of EQD2 with α/β 10 Gy, which no structure has"):
        pk.simulate_treatment([part], ball(10), alpha_beta_gy=3, metrics=["tcp_metastases"], patients=5)


def test_no_errors_may_be_written_as_none() -> None:
    assert pk.Course(setup=None, fractions=3).setup == ()  # type: ignore[arg-type]


def test_a_biological_result_shows_itself() -> None:
    dose = pk.conformal_dose(ball(16), prescription_gy=20)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=1)], fractions=2)
    found = pk.simulate_dose(dose, ball(10), course, patients=20, seed=1, alpha_beta_gy=10)
    assert "median Dmin" in repr(found)
    assert found.plot() is not None
    assert "<table" in found._repr_html_()


def test_phases_refuse_what_no_shape_is_known_for() -> None:
    phases = pk.Phases(regions=[ball(8, (0, 0, z)) for z in (0, 4, 8)], numbers=[0, 50, 80])
    for course in (
        pk.Course(setup=[pk.SetupError(systematic_mm=1)], shape_change=pk.ShapeChange(mm_per_day=0.1)),
        pk.Course(management=pk.Tracking(), breathing=pk.Breathing.from_phases(phases, reference="time_mean")),
    ):
        with pytest.raises(pk.MotionError, match="target of several phases"):
            pk.simulate_coverage(phases, ball(20), course, patients=5)


def test_compression_takes_a_position_and_variation_along() -> None:
    phases = pk.Phases(regions=[ball(8, (0, 0, z)) for z in (0, 4, 8)], numbers=[0, 50, 80])
    vary = pk.Variation(amplitude_mm=2)
    breathing = pk.Breathing.from_phases(phases, reference=0, variation=vary)
    named = pk.Compression(factor=0.5).compressed(breathing)
    assert named.variation.amplitude_mm == pytest.approx(1)
    np.testing.assert_allclose(np.asarray(named.reference), 0.5 * np.asarray(breathing.reference))
