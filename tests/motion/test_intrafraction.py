"""Motion within fractions: random walks and drifts against closed forms, images while the beam is on, adaptation."""

from dataclasses import replace

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.motion.intrafraction import Path
from ptvkit.work.values import course_of

WALKS = [
    # q mm²/min, T min, segments, delay min, mean square, variance of the mean, within
    (1, 10, 1, 0, 5, 3.33333, 1.66667),
    (1, 10, 2, 0, 2.5, 0.833333, 1.66667),
    (1, 10, 5, 0, 1, 0.133333, 0.866667),
    (1, 10, 5, 0.5, 1.5, 0.253333, 1.24667),
    (0.5, 20, 4, 1, 1.75, 0.352083, 1.39792),
    (0.5, 20, 4, 5, 3.75, 1.30208, 2.44792),
]
LEVELS = [
    # action level, SD of the image's error, RMS while the beam is on, corrections
    (0, 0.5, 1.11803, 4),
    (1, 0.5, 1.15980, 2.13701),
    (2, 0.5, 1.34409, 0.997714),
    (3, 0.5, 1.59618, 0.475720),
    (2, 0, 1.29475, 0.868499),
    (2, 1, 1.52884, 1.34506),
    (99, 0.5, 2.29129, 0),
]


def path_of(
    motion: pk.Intrafraction, minutes: float, patients: int = 640, fractions: int = 4, **more: object
) -> tuple[Path, pk.Course]:
    course = pk.Course(intrafraction=motion, fraction_s=60 * minutes, fractions=fractions, **more)  # type: ignore[arg-type]
    path = pk.sample_course(course, patients=patients, seed=5, samples=2).path
    assert path is not None
    return path, course


@pytest.mark.parametrize(("q", "minutes", "segments", "delay", "square", "mean", "within"), WALKS)
def test_a_random_walk_between_images(
    q: float, minutes: float, segments: int, delay: float, square: float, mean: float, within: float
) -> None:
    """Mean square q(L + I/2), variance of a fraction's mean (q/K)(L + I/3) + q(K − 1)L²/(K²I)."""
    every = None if segments == 1 else minutes / segments
    path, _ = path_of(pk.Intrafraction(walk_mm2_per_min=q, image_every_min=every, image_delay_min=delay), minutes)
    # 7,680 fractions on each axis: a variance is known to about 2 %
    assert (path.mean_mm**2).mean() == pytest.approx(mean, rel=0.05)
    assert path.variance_mm2.mean() == pytest.approx(within, rel=0.05)
    assert (path.mean_mm**2).mean() + path.variance_mm2.mean() == pytest.approx(square, rel=0.05)


@pytest.mark.parametrize(("level", "error", "rms", "corrections"), LEVELS)
def test_images_with_an_action_level(level: float, error: float, rms: float, corrections: float) -> None:
    """The start has the error of the image before the fraction; what is measured counts from there."""
    sd = (error, 0, 0)
    motion = pk.Intrafraction(walk_mm2_per_min=(1, 0, 0), image_every_min=2, action_level_mm=level, matching_sd_mm=sd)
    path, course = path_of(motion, 10, 1280, 4, setup=[pk.SetupError(random_mm=sd)])
    start = pk.sample_course(course, patients=1280, seed=5, samples=2).parts[0].shift_mm
    whole = Path(path.shares, path.path_mm + start[:, :, None])
    square = (whole.mean_mm**2 + whole.variance_mm2)[..., 0].mean()
    assert np.sqrt(square) == pytest.approx(rms, rel=0.03)
    assert path.corrections.mean() == pytest.approx(corrections, rel=0.05, abs=1e-9)


def test_drifts_have_a_sign_and_spread() -> None:
    """D over the fraction: mean D/2, SDs Σ_D/2 and σ_D/2 of the mean, √((D² + Σ² + σ²)/12) within."""
    motion = pk.Intrafraction(
        rate_mm_per_min=(0, -0.2, 0), rate_between_mm_per_min=(0, 0.1, 0), rate_within_mm_per_min=(0, 0.15, 0)
    )
    course = pk.Course(intrafraction=motion, fraction_s=600, fractions=10)
    total = pk.residual_errors(course, patients=1500, seed=3)[-1]
    assert total.mean_mm[1] == pytest.approx(-1.0, abs=0.05)
    assert total.systematic_mm[1] == pytest.approx(0.5, rel=0.06)
    assert total.random_mm[1] == pytest.approx(np.hypot(0.75, 0.777282), rel=0.04)
    assert total.systematic_mm[[0, 2]].max() == 0


@pytest.mark.parametrize(("delay", "images"), [(0, 1), (0, 4), (1.5, 4)])
def test_a_drift_between_images(delay: float, images: int) -> None:
    """Mean D(L/T + 1/(2K)), SD D/(K√12)."""
    motion = pk.Intrafraction(
        rate_mm_per_min=(0.3, 0, 0), image_every_min=10 / images if images > 1 else None, image_delay_min=delay
    )
    path, _ = path_of(motion, 10, 3, 2)
    assert path.mean_mm[..., 0] == pytest.approx(np.full((3, 2), 3 * (delay / 10 + 1 / (2 * images))))
    within = 9 / (12 * images**2)
    assert path.variance_mm2[..., 0] == pytest.approx(np.full((3, 2), within))


def test_the_deepest_position_does_not_depend_on_samples() -> None:
    """A drift is judged at the ends of its parts, a walk at all its positions."""
    ctv = pk.phantom.region("lesion_3")
    ptv = pk.expand(ctv, 3)
    motion = pk.Intrafraction(rate_mm_per_min=(0, 0, -0.5), walk_mm2_per_min=0.2, image_every_min=4)
    course = pk.Course(intrafraction=motion, fraction_s=600, fractions=2)
    few, many = (pk.simulate_coverage(ctv, ptv, course, patients=60, seed=1, samples=n) for n in (1, 50))
    assert (few.miss_mm == many.miss_mm).all()
    drift = replace(course, intrafraction=replace(motion, walk_mm2_per_min=0.0))
    drawn = pk.sample_course(drift, patients=2, samples=1)
    assert drawn.extreme_shifts_mm[0, 0, :, 2] == pytest.approx([0, -2, 0, -2, 0, -1])


def test_a_walk_stays_inside_as_often_as_a_brownian_path_does() -> None:
    """P(|W| < a on [0, T]) = Σ 4(−1)^k/(π(2k + 1)) exp(−(2k + 1)²π²qT/(8a²)), a moved out by .5826√(q·1 s).

    Broadie, Glasserman and Kou 1997, Math Finance 7:325, for what a walk watched at intervals misses.
    """
    q, minutes, a = 2.0, 10.0, 6.0
    motion = pk.Intrafraction(walk_mm2_per_min=(q, 0, 0))
    path, _ = path_of(motion, minutes, 2560, 1)
    share = float((np.abs(path.path_mm[:, 0, :, 0]).max(axis=1) < a).mean())
    seen = a + 0.5826 * np.sqrt(q / 60)
    odd = 2 * np.arange(20) + 1
    expected = (
        4 / np.pi * (-1.0) ** np.arange(20) / odd * np.exp(-((odd * np.pi / seen) ** 2) * q * minutes / 8)
    ).sum()
    assert share == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 2560))


def test_online_adaptation_trades_set_up_for_contour_and_minutes() -> None:
    setup = [
        pk.SetupError(systematic_mm=4, random_mm=4, systematic_deg=2),
        pk.SetupError(name="delineation", systematic_mm=1, seen_by="nothing"),
    ]
    motion = pk.Intrafraction(walk_mm2_per_min=0.3, adaptation_min=15, contour_sd_mm=0.8)
    course = pk.Course(setup=setup, intrafraction=motion, fraction_s=120, fractions=8)
    *_, total = pk.residual_errors(course, patients=1500, seed=2)
    assert total.systematic_mm == pytest.approx(np.full(3, 1.0), rel=0.08)
    # contour; walk of 15 minutes before the beam, and of the mean square half of two with it
    assert total.random_mm == pytest.approx(np.full(3, np.sqrt(0.64 + 0.3 * 15 + 0.3)), rel=0.03)
    assert not np.any(pk.sample_course(course, patients=3).rotations_rad)


def test_time_costs_margin() -> None:
    """Without images σ'² grows by q/2 for each minute; the margin follows van Herk."""
    walk = pk.Intrafraction(walk_mm2_per_min=(0.1, 0.5, 1.0))
    course = pk.Course(setup=[pk.SetupError(systematic_mm=1, random_mm=1)], intrafraction=walk, fractions=12)
    found = pk.beam_time(course, (4, 12), patients=1000)
    for row, minutes in enumerate((4, 12)):
        random = np.sqrt(1 + np.array([0.1, 0.5, 1.0]) * minutes / 2)
        assert found.random_mm[row] == pytest.approx(random, rel=0.03)
        assert found.margin_mm[row] == pytest.approx(pk.recipes.van_herk(np.ones(3), random), abs=0.25)
    assert found.mm_per_10_min[2] > found.mm_per_10_min[0] > 0
    assert "each ten minutes more cost" in str(found)
    with pytest.raises(pk.MotionError, match="at least two different times"):
        pk.beam_time(course, (4, 4))


def test_breathing_and_a_drift_add_up() -> None:
    breathing = pk.Breathing.lujan(amplitude_mm=(0, 0, 10), inhale=(1, 1, -1), reference="exhale", period_s=4)
    drift = pk.Intrafraction(rate_mm_per_min=(0, 0, -1))
    course = pk.Course(breathing=breathing, intrafraction=drift, fraction_s=120, fractions=3)
    drawn = pk.sample_course(course, patients=4, seed=1, samples=400)
    assert drawn.extreme_shifts_mm[..., 2].min() == pytest.approx(-12, abs=0.1)
    assert drawn.shifts_mm[..., 2].min() >= drawn.extreme_shifts_mm[..., 2].min() - 1e-9


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"image_every_min": 0}, "image_every_min: needs a number above 0"),
        ({"walk_mm2_per_min": -1}, "walk_mm2_per_min: needs numbers from 0"),
        ({"contour_sd_mm": 1}, "give adaptation_min too"),
        ({"mode": "all"}, "mode: use"),
    ],
)
def test_what_cannot_be(keys: dict[str, object], words: str) -> None:
    with pytest.raises(pk.MotionError, match=words):
        pk.Intrafraction(**keys)  # type: ignore[arg-type]
    with pytest.raises(pk.MotionError, match="above 1000; take fewer"):
        pk.sample_course(pk.Course(intrafraction=pk.Intrafraction(image_every_min=0.001)), patients=1)


def test_tables_of_a_request_become_the_course() -> None:
    ask = pk.Request.load(
        {
            "errors": [{"trend_mm": 0.1}],
            "guidance": {"match": "bone", "corrected_from": "enal", "image_every": 4},
            "intrafraction": {"walk_mm2_per_min": 0.3, "image_every_min": 2.5},
            "shape_change": {"mm_per_day": -0.1},
        },
        {"intrafraction.walk_mm2_per_min.SI": 0.8, "simulation.fraction_s": 300},
    )
    course = course_of(ask)
    assert course.intrafraction is not None
    assert np.asarray(course.intrafraction.walk_mm2_per_min) == pytest.approx([0.3, 0.3, 0.8])
    assert (course.intrafraction.image_every_min, course.fraction_s) == (2.5, 300)
    assert course.guidance is not None
    assert (course.guidance.corrected_from, course.guidance.image_every) == ("enal", 4)
    assert course.shape_change == pk.ShapeChange(mm_per_day=-0.1)
    with pytest.raises(pk.MotionError, match=r"\[intrafraction\]: image_delay_min"):
        course_of(pk.Request.load({"intrafraction": {"image_delay_min": -1.0}}))
