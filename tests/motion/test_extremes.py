"""Containment at the ends of breaths: closed forms, and the dense trajectory between the ends."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.motion.breathing import Breathing, Streams
from ptvkit.motion.course import Course, sample_course
from ptvkit.motion.coverage import prepare
from ptvkit.motion.simulate import simulate_coverage
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.variation import Variation
from tests.motion.bodies import ball

Floats = NDArray[np.float64]
LETTERS = ("right", "left", "anterior", "posterior", "superior", "inferior")
POPULATION = (1.5, 1.6, 3.1)
EVEN = (15, 15, 15, 15, 15, 15)
LONG = (8, 8, 8, 8, 8, 20)
WIDE = (10, 10, 10, 10, 20, 20)
SMALL = (5, 5, 5, 5, 8, 20)
DEEP = (5, 5, 5, 5, 8, 25)
PATIENTS = 4000


def margin_of(ctv: pk.Region, sides: tuple[float, ...]) -> pk.Region:
    return pk.expand(ctv, pk.Margin(**dict(zip(LETTERS, sides, strict=True))))


def contained(sides: tuple[float, ...], breathing: Breathing | None, systematic: object, **more: object) -> float:
    """Share of patients whose ball stays in its PTV."""
    ctv = ball(12.0)
    ptv = margin_of(ctv, sides)
    course = Course(
        setup=[pk.SetupError(systematic_mm=systematic, random_mm=more.pop("random_mm", 0.0))],
        breathing=breathing,
        **more,
    )
    return float(simulate_coverage(ctv, ptv, course, patients=PATIENTS, seed=2, samples=1).contained())


def wave(amplitude: float, reference: object, **more: object) -> Breathing:
    return Breathing.lujan(amplitude_mm=(0, 0, amplitude), inhale=(0, 0, -1), reference=reference, **more)


def within(share: float) -> float:
    """Three standard errors, and what the lattice adds."""
    return 3 * float(np.sqrt(share * (1 - share) / PATIENTS)) + 0.003


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("sides", "systematic", "amplitude", "reference", "share"),
    [
        (EVEN, 2, 15, "exhale", 0.446808),
        (EVEN, 2, 20, "time_mean", 0.686267),
        (SMALL, 2, 10, "exhale", 0.892749),
        (SMALL, 2, 20, "time_mean", 0.489144),
        (LONG, POPULATION, 15, "exhale", 0.898580),
        (LONG, POPULATION, 20, "time_mean", 0.632896),
        (WIDE, POPULATION, 20, "exhale", 0.438107),
        (LONG, POPULATION, 15, "snapshot", 0.656214),
        (WIDE, POPULATION, 20, "snapshot", 0.655428),
    ],
)
def test_both_ends_of_a_stroke(
    sides: tuple[float, ...], systematic: object, amplitude: float, reference: str, share: float
) -> None:
    """The Gaussian measure of the displacements whose exhale and inhale both lie in the margin's body."""
    assert contained(sides, wave(amplitude, reference), systematic) == pytest.approx(share, abs=within(share))


def varied(amplitude: float, sd: float, reference: object) -> Breathing:
    return wave(amplitude, reference, variation=Variation(amplitude_mm=sd, correlation=0.0))


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("amplitude", "sd", "cycles", "long", "deep"),
    [
        (10, 1.6, 20, 0.925283, 0.888554),
        (15, 1.6, 20, 0.793780, 0.753157),
        (15, 3.0, 20, 0.656154, 0.575882),
        (10, 1.6, 600, 0.915583, 0.853835),
        (15, 1.6, 600, 0.719852, 0.641458),
        (15, 3.0, 600, 0.297874, 0.224139),
    ],
)
def test_the_largest_of_many_breaths(amplitude: float, sd: float, cycles: int, long: float, deep: float) -> None:
    seconds = 4.0 * cycles
    about_mean, from_exhale = (varied(amplitude, sd, at) for at in ((0, 0, -0.3125 * amplitude), "exhale"))
    assert contained(LONG, about_mean, POPULATION, fraction_s=seconds) == pytest.approx(long, abs=within(long))
    assert contained(DEEP, from_exhale, 2, fraction_s=seconds) == pytest.approx(deep, abs=within(deep))


class FromExhale(np.random.Generator):
    """Fractions begin where a breath does."""

    def random(self, size: Any = None, *_: Any, **__: Any) -> Any:
        return np.zeros(size)


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("amplitude", "sd", "long", "deep"),
    [(10, 1.6, 0.927821, 0.918895), (15, 1.6, 0.824959, 0.846757), (15, 3.0, 0.810334, 0.827581)],
)
def test_one_whole_breath(amplitude: float, sd: float, long: float, deep: float) -> None:
    """A window of one period from the breath's own beginning meets no other breath."""
    normals = np.random.default_rng(8).normal(size=(PATIENTS, 1, 1, 3))
    for sides, reference, systematic, share in (
        (LONG, (0, 0, -0.3125 * amplitude), POPULATION, long),
        (DEEP, "exhale", 2.0, deep),
    ):
        streams = Streams(np.random.default_rng(5), FromExhale(np.random.PCG64(6)), np.random.default_rng(7))
        drawn = varied(amplitude, sd, reference).draw(PATIENTS, 1, 1, 4.0, streams)
        shifts = normals * systematic + drawn.reference_mm[:, :, None] + drawn.extremes_mm
        ctv = ball(12.0)
        ready = prepare(
            ctv, margin_of(ctv, sides), [], reach_mm=(shifts.min(axis=(0, 1, 2)), shifts.max(axis=(0, 1, 2)))
        )
        inside = (ready.lesions[0].depths(shifts).depth_mm <= 0).all(axis=(1, 2))
        assert inside.mean() == pytest.approx(share, abs=within(share))


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("sides", "amplitude", "reference", "shares"),
    [
        (WIDE, 10, "time_mean", (0.979166, 0.908855, 0.815619)),
        (WIDE, 15, "time_mean", (0.932408, 0.750589, 0.570629)),
        ((10, 10, 10, 10, 15, 30), 15, "exhale", (0.975461, 0.891687, 0.780179)),
    ],
)
def test_how_it_falls_with_the_number_of_fractions(
    sides: tuple[float, ...], amplitude: float, reference: str, shares: tuple[float, ...]
) -> None:
    for fractions, share in zip((1, 5, 12), shares, strict=True):
        found = contained(sides, wave(amplitude, reference), POPULATION, random_mm=(1.8, 2.7, 3.6), fractions=fractions)
        assert found == pytest.approx(share, abs=within(share))


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("sides", "systematic", "random", "shares"),
    [
        ((8,) * 6, 2, 2, {1: 0.953988, 5: 0.825031, 30: 0.505106}),
        ((10,) * 6, 2, 3, {5: 0.778570, 12: 0.581678}),
        ((10.0750,) * 6, 2, 2, {30: 0.9}),
        ((8, 8, 7, 9, 12, 14), (1.5, 1.6, 3.1), (1.8, 2.7, 3.6), {1: 0.945118, 5: 0.777544, 12: 0.590125}),
        ((5, 5, 5, 5, 10, 10), (1.5, 1.6, 3.1), (1.8, 2.7, 3.6), {1: 0.694021, 5: 0.205806, 12: 0.036383}),
        ((6, 4, 7, 5, 12, 9), (1, 1.2, 2), (1, 1.4, 1.6), {1: 0.985305, 5: 0.938950, 12: 0.881633}),
    ],
)
def test_in_every_fraction_without_breathing(
    sides: tuple[float, ...], systematic: object, random: object, shares: dict[int, float]
) -> None:
    """Each fraction's set-up lies in the margin's body, given the patient's own mean."""
    for fractions, share in shares.items():
        found = contained(sides, None, systematic, random_mm=random, fractions=fractions)
        assert found == pytest.approx(share, abs=within(share))


def trace() -> Trajectory:
    time = np.arange(0, 70, 0.2)
    rng = np.random.default_rng(4)
    drift = np.outer(time / 70, [1.0, 0, 3.0])
    moved = np.outer(np.sin(np.pi * time / 3.7) ** 6, [0.5, 3, -9]) + drift + rng.normal(size=(len(time), 3)) * 0.2
    return Trajectory(time_s=time, displacement_mm=moved)


BREATHINGS: dict[str, dict[str, Any]] = {
    "steady": {},
    "free": {"variation": "free"},
    "baseline": {"variation": Variation(amplitude_mm=2, period_s=0.7, baseline_mm=1)},
    "drift": {"variation": Variation(amplitude_mm=2, drift_mean_mm=(0, 0, 4))},
    "lag": {"lag": (0, 0.25, 0), "variation": Variation(amplitude_mm=2, period_s=0.5)},
    "lead": {"lag": (0, -0.2, 0.1)},
    "opposed": {"lag": (0, 0.5, 0), "variation": Variation(amplitude_mm=3)},
    "lag and baseline": {"lag": (0, 0.25, 0), "variation": Variation(baseline_mm=1.5)},
    "lag and drift": {"lag": (0, 0.25, 0), "variation": Variation(amplitude_mm=2, drift_mm=2)},
}


@pytest.mark.parametrize(
    ("name", "fraction_s"),
    [*product([*BREATHINGS, "trace", "blocks"], [1.5, 6.0, 14.7]), *product(["free", "drift"], [45.0, 90.0])],
)
def test_the_extremes_hold_the_whole_trajectory(name: str, fraction_s: float) -> None:
    """In any direction the extremes reach as far as thousands of times do, and no further."""
    if name in BREATHINGS:
        breathing = Breathing.lujan(
            amplitude_mm=(0, 6, 12), inhale=(0, 1, -1), reference="time_mean", **BREATHINGS[name]
        )
    else:
        breathing = Breathing.from_trace(trace(), reference="time_mean", block_s=None if name == "trace" else 4.0)
    drawn = sample_course(
        Course(setup=[pk.SetupError(systematic_mm=1)], breathing=breathing, fractions=2, fraction_s=fraction_s),
        patients=20,
        samples=6000,
        seed=3,
    )
    assert drawn.time_s is not None
    normals = np.random.default_rng(1).normal(size=(40, 3))
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    ends = (drawn.extreme_shifts_mm @ normals.T).max(axis=2)
    dense = (with_ends(drawn.shifts_mm, drawn.time_s, fraction_s) @ normals.T).max(axis=2)
    assert (dense - ends).max() < 0.02
    assert (ends - dense).max() < 0.02


def with_ends(moved: Floats, time_s: Floats, fraction_s: float) -> Floats:
    """Positions (P, F, T, 3) at dense times, and where the nearest two lead at the beginning and the end."""
    speed = np.diff(moved, axis=2) / np.diff(time_s, axis=2)[..., None]
    begin = moved[:, :, :1] - speed[:, :, :1] * time_s[:, :, :1, None]
    last = moved[:, :, -1:] + speed[:, :, -1:] * (fraction_s - time_s[:, :, -1:, None])
    return np.concatenate([begin, moved, last], axis=2)


def test_drift_after_the_match_counts_every_breath() -> None:
    breathing = wave(10, "exhale", variation="free")
    guidance = pk.ImageGuidance(drift_sd_mm=4)
    drawn = sample_course(Course(guidance=guidance, breathing=breathing), patients=10, samples=3000, seed=1)
    for sign in (1, -1):
        ends, dense = ((sign * shifts[..., 2]).max(axis=2) for shifts in (drawn.extreme_shifts_mm, drawn.shifts_mm))
        np.testing.assert_allclose(ends, dense, atol=0.05)
    still = sample_course(Course(guidance=guidance), patients=10, seed=1)
    assert still.extreme_shifts_mm.shape == (10, 1, 2, 3)
    assert sample_course(Course(setup=[pk.SetupError()]), patients=2).extreme_shifts_mm.shape == (2, 1, 1, 3)


@pytest.mark.parametrize("rotation", [0.0, 2.0])
def test_containment_does_not_depend_on_samples(rotation: float) -> None:
    ctv = ball(9.0, (20, 3, 5))
    ptv = pk.expand(ctv, pk.Margin(superior=6, inferior=12, left=4, right=4, anterior=5, posterior=5))
    course = Course(
        setup=[pk.SetupError(systematic_mm=1.5, random_mm=1, systematic_deg=rotation)],
        breathing=wave(9, "time_mean", variation="free"),
        fractions=3,
    )
    few, many = (simulate_coverage(ctv, ptv, course, patients=40, seed=1, samples=n) for n in (20, 640))
    assert few.miss_mm.tobytes() == many.miss_mm.tobytes()
    assert few.side.tobytes() == many.side.tobytes()
    assert 0 < few.contained() < 1
    assert few.coverage.mean() == pytest.approx(many.coverage.mean(), abs=0.002)
    assert (many.miss_mm[many.time_out > 0] > 0).all()
    assert (many.coverage[many.miss_mm == 0] == 1).all()
