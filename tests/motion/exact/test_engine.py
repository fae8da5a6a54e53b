"""Shares contained against closed forms, and against courses drawn one by one."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.motion.course import sample_course
from tests.motion.exact.octants import holds, share

T = 4.53
"""Student's t of 7 degrees of freedom at 3 SDs: standard errors come from 8 scrambles."""
TALL = (8, 8, 7, 9, 12, 14)
SHORT = (6, 4, 7, 5, 12, 9)
OFF_CENTRE = (10, 10, 10, 10, 20, 20)
SIGMA, RANDOM = (1.5, 1.6, 3.1), (1.8, 2.7, 3.6)


@pytest.mark.parametrize(
    ("margins", "systematic", "random", "fractions", "expected"),
    [
        ((8,) * 6, 2, 2, 1, 0.953988),
        ((8,) * 6, 2, 2, 30, 0.505106),
        ((10,) * 6, 2, 3, 12, 0.581678),
        ((6.951915,) * 6, 2, 3, 30, 0.00085369),
        (TALL, SIGMA, RANDOM, 1, 0.945118),
        (TALL, SIGMA, RANDOM, 12, 0.590125),
        ((5, 5, 5, 5, 10, 10), SIGMA, RANDOM, 5, 0.205806),
        (SHORT, (1, 1.2, 2), (1, 1.4, 1.6), 12, 0.881633),
    ],
)
def test_containment_without_breathing_is_the_closed_form(margins, systematic, random, fractions, expected):
    course = pk.Course(setup=[pk.SetupError(systematic_mm=systematic, random_mm=random)], fractions=fractions)
    value, error = share(margins, course)
    assert error == 0
    assert value == pytest.approx(expected, abs=4e-4)


@pytest.mark.parametrize(
    ("margins", "amplitude", "reference", "systematic", "random", "fractions", "expected"),
    [
        ((15,) * 6, 20, "time_mean", 2, 0, 1, 0.686267),
        ((5, 5, 5, 5, 8, 20), 15, "exhale", 2, 0, 1, 0.704619),
        ((8, 8, 8, 8, 8, 20), 15, "time_mean", SIGMA, 0, 1, 0.828699),
        ((8, 8, 8, 8, 8, 20), 15, "snapshot", SIGMA, 0, 1, 0.656214),
        (OFF_CENTRE, 20, "snapshot", SIGMA, 0, 1, 0.655428),
        (OFF_CENTRE, 15, "time_mean", SIGMA, RANDOM, 12, 0.570629),
        ((10, 10, 10, 10, 15, 30), 15, "exhale", SIGMA, RANDOM, 5, 0.891687),
    ],
)
def test_breathing_is_judged_at_both_ends(margins, amplitude, reference, systematic, random, fractions, expected):
    wave = pk.Breathing.lujan(amplitude_mm=(0, 0, amplitude), inhale=(0, 0, -1), reference=reference)
    error = pk.SetupError(systematic_mm=systematic, random_mm=random)
    value, _ = share(margins, pk.Course(setup=[error], breathing=wave, fractions=fractions))
    assert value == pytest.approx(expected, abs=1e-3)


ERRORS = (
    pk.SetupError(name="body", mean_mm=(0.5, 0, -1), systematic_mm=(2, 1, 3), random_mm=(1, 2, 3)),
    pk.SetupError(name="liver", systematic_mm=(1.5, 1, 2), random_mm=(1, 1.5, 2), seen_by="soft_tissue"),
    pk.SetupError(name="contour", systematic_mm=(1, 1.5, 2), random_mm=0.8, seen_by="nothing"),
)
NOISE = {
    "action_level_mm": 3.0,
    "matching_sd_mm": (0.7, 1, 1.2),
    "matching_systematic_mm": (0.5, 0.8, 0.4),
    "couch_sd_mm": 0.5,
}
WAVE = pk.Breathing.lujan(amplitude_mm=(0, 3, 9), inhale=(0, 1, -1), reference="snapshot", variation="free")
POPULATION = pk.Breathing.lujan(
    amplitude_mm=(0, 3, 9), amplitude_sd_mm=(0, 1.5, 4), inhale=(0, 1, -1), reference="time_mean"
)


@pytest.mark.parametrize(
    ("guidance", "breathing"),
    [
        ({**NOISE}, None),
        ({**NOISE, "match": "soft_tissue", "mode": "per_axis"}, None),
        ({**NOISE, "match": "bone"}, None),
        ({"match": "soft_tissue", "action_level_mm": 2.0}, None),
        ({**NOISE, "action_level_mm": 0.0, "drift_sd_mm": (1, 2, 2)}, None),
        ({**NOISE, "soft_tissue_sees": "time_mean"}, WAVE),
        ({**NOISE, "match": "soft_tissue"}, WAVE),
    ],
)
def test_guidance_agrees_with_drawn_courses(guidance, breathing):
    course = pk.Course(setup=ERRORS, guidance=pk.ImageGuidance(**guidance), breathing=breathing, fractions=3)
    patients = 12_800 if breathing else 38_400
    drawn = holds(SHORT, sample_course(course, patients=patients, seed=8).extreme_shifts_mm).all(axis=(1, 2)).mean()
    value, error = share(SHORT, course, step=0.6)
    assert error < 0.002
    assert abs(value - drawn) < np.hypot(T * error, 3 * np.sqrt(drawn * (1 - drawn) / patients)) + 5e-4


def test_patients_of_different_amplitude():
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2, random_mm=1)], breathing=POPULATION, fractions=2)
    drawn = holds(SHORT, sample_course(course, patients=25_600, seed=8).extreme_shifts_mm).all(axis=(1, 2)).mean()
    value, error = share(SHORT, course, step=0.75, points=16)
    assert abs(value - drawn) < np.hypot(T * error, 3 * np.sqrt(drawn * (1 - drawn) / 25_600)) + 1e-3
