"""Breathing and coverage from phases, against moments and shapes that are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.motion.course import sample_course
from tests.margins.test_phases import balls

Floats = NDArray[np.float64]
AMPLITUDE_MM = 15.0


def lujan_phases(radius: float = 9.0) -> pk.Phases:
    """Ten equal phases of a Lujan wave, n = 3, the first at inhale; AP lags by a tenth of the cycle."""
    share = np.arange(10) / 10
    places = np.cos(np.pi * share)[:, None] ** 6 * [0, 0, -AMPLITUDE_MM]
    places = places + np.cos(np.pi * (share - 0.1))[:, None] ** 6 * [0, 5.0, 0]
    return pk.Phases(regions=balls(radius, places, 1.0))


@pytest.fixture(scope="module")
def phases() -> pk.Phases:
    return lujan_phases()


def test_moments_are_those_of_the_phases(phases: pk.Phases) -> None:
    """Ten phases of a wave of three harmonics have its mean, .3125, and its SD, .357673, exactly."""
    breathing = pk.Breathing.from_phases(phases, reference="exhale", period_s=4.0)
    drawn = sample_course(pk.Course(breathing=breathing, fractions=2, fraction_s=80.0), patients=128, samples=400)
    shifts = drawn.shifts_mm.reshape(-1, 3)
    assert shifts[:, 2].mean() == pytest.approx(-0.3125 * AMPLITUDE_MM, abs=0.03)
    assert shifts[:, 2].std() == pytest.approx(0.357673 * AMPLITUDE_MM, abs=0.03)
    furthest = drawn.extreme_shifts_mm.reshape(-1, 3)
    assert np.ptp(furthest[:, 2]) == pytest.approx(AMPLITUDE_MM, abs=0.05)


def test_the_distance_of_the_mid_ventilation_phase_is_systematic(phases: pk.Phases) -> None:
    breathing = pk.Breathing.from_phases(phases, reference="mid_ventilation")
    residual = phases.displacement_mm[phases.mid_ventilation]
    rows = {row.name: row for row in pk.residual_errors(pk.Course(breathing=breathing, fractions=3), patients=300)}
    np.testing.assert_allclose(rows["breathing reference"].mean_mm, -residual, atol=1e-9)
    by_number = pk.Breathing.from_phases(phases, reference=float(phases.numbers[phases.mid_ventilation]))
    np.testing.assert_array_equal(by_number.reference, breathing.reference)
    with pytest.raises(pk.MotionError, match="has no phase 55"):
        pk.Breathing.from_phases(phases, reference=55)
    with pytest.raises(pk.MotionError, match="reference"):
        pk.Breathing.from_phases(phases, reference="middle")  # type: ignore[arg-type]


def test_cycles_vary_as_a_variation_or_a_trace_says(phases: pk.Phases) -> None:
    rng = np.random.default_rng(5)
    heights = 1 + 0.2 * rng.standard_normal(40)
    time = np.arange(0, 160, 0.2)
    cycle = np.minimum((time / 4).astype(int), 39)
    marker = pk.Trajectory(
        time_s=time, displacement_mm=np.outer(heights[cycle] * np.sin(np.pi * time / 4) ** 6, [0, 3, 0])
    )
    of_trace = pk.Breathing.from_phases(phases, reference="time_mean", variation=marker)
    assert of_trace.wave.period_s == pytest.approx(4.0, abs=0.1)  # type: ignore[union-attr]
    assert of_trace.variation.amplitude_mm == pytest.approx(heights.std(ddof=1) * AMPLITUDE_MM, rel=0.2)
    free = pk.Breathing.from_phases(phases, reference="time_mean", variation="free")
    drawn = sample_course(pk.Course(breathing=free, fraction_s=60.0), patients=256, samples=50, seed=2)
    assert np.ptp(drawn.extreme_shifts_mm[..., 2]) > AMPLITUDE_MM + 2
    assert drawn.shifts_mm[..., 2].mean() == pytest.approx(0, abs=0.25)
    short = pk.Trajectory(time_s=time[:30], displacement_mm=marker.displacement_mm[:30])
    with pytest.raises(pk.MotionError, match="fewer than 5 breaths"):
        pk.Breathing.from_phases(phases, reference="time_mean", variation=short)


def stretched() -> pk.Phases:
    """Ellipsoids that move and grow longer."""
    share = np.cos(np.pi * np.arange(6) / 6) ** 4
    places = np.outer(share, [0, 3.0, -10.0])
    base = balls(9, places, 1.0)
    grid = base[0].grid
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    regions = []
    for place, longer in zip(places, 1 + 0.3 * share, strict=True):
        away = (points - place) / [1, 1, longer]
        regions.append(pk.Region(level=(np.linalg.norm(away, axis=-1) - 9) * 0.9, grid=grid))
    return pk.Phases(regions=regions, weights=(0.1, 0.15, 0.2, 0.2, 0.2, 0.15))


def test_each_instant_has_the_shape_of_its_phase() -> None:
    phases = stretched()
    ptv = pk.expand(phases.regions[phases.mid_ventilation], 4)
    found = pk.simulate_coverage(phases, ptv, pk.Course(fractions=1, fraction_s=400.0), patients=4, samples=2000)
    by_phase = [float(pk.coverage(region, ptv, [[0, 0, 0]])[0]) for region in phases.regions]
    assert min(by_phase) < 0.95
    np.testing.assert_allclose(found.coverage, phases.weights @ by_phase, atol=0.002)
    rigid = pk.simulate_coverage(
        phases.regions[phases.mid_ventilation],
        ptv,
        pk.Course(breathing=pk.Breathing.from_phases(phases, reference="mid_ventilation"), fraction_s=400.0),
        patients=4,
        samples=2000,
    )
    assert abs(rigid.coverage.mean() - found.coverage.mean()) > 0.005
    inside = pk.simulate_coverage(phases, pk.expand(pk.itv(phases), 0.2), pk.Course(fractions=2), patients=20)
    assert inside.contained().value == 1


def test_errors_move_every_shape() -> None:
    phases = stretched()
    whole = pk.itv(phases)
    error = pk.SetupError(systematic_mm=2, random_mm=1)
    drawn = sample_course(pk.Course(setup=[error], fractions=2), patients=40, seed=7)
    course = pk.Course(
        setup=[error], breathing=pk.Breathing.from_phases(phases, reference="mid_ventilation"), fractions=2
    )
    ptv = pk.expand(whole, 3)
    found = pk.simulate_coverage(phases, ptv, course, patients=40, seed=7)
    worst = np.max(
        [pk.prepare(region, ptv, []).lesions[0].depths(drawn.shifts_mm).depth_mm for region in phases.regions], axis=0
    )
    np.testing.assert_allclose(found.miss_mm, np.maximum(worst.max(axis=2), 0), atol=0.08)


def test_phases_and_ptv_must_belong_together() -> None:
    phases = stretched()
    pose = np.eye(4)
    pose[0, 3] = 60
    with pytest.raises(pk.MotionError, match="every phase lies outside"):
        pk.simulate_coverage(phases, phases.regions[0].moved(pose), pk.Course(), patients=10)
