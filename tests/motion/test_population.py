"""Set-up statistics against the published fixture, and against populations of known Σ and σ."""

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from ptvkit.errors import MotionError, PtvkitWarning
from ptvkit.motion.population import sd_factors, setup_statistics

DAILY = [[2, 1, 1, 1], [4, -2, 2, 0], [1, -1, 2, 2], [3, -3, -2, 1]]
FIXTURE = [np.outer(x, [1.0, 0.0, -2.0]) for x in DAILY]


def population(patients: int, fractions: int, seed: int = 0) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(patients, 1, 3)) * [1.0, 2.0, 3.0] + [0.5, 0, -1]
    return list(means + rng.normal(size=(patients, fractions, 3)) * [3.0, 1.0, 2.0])


def test_published_fixture() -> None:
    with pytest.warns(PtvkitWarning) as told:
        found = setup_statistics(FIXTURE)
    np.testing.assert_allclose(found.mean_mm, [0.75, 0, -1.5], atol=1e-6)
    np.testing.assert_allclose(found.apparent_systematic_mm, [0.677003, 0, 2 * 0.677003], atol=1e-6)
    np.testing.assert_allclose(found.random_mm, [2.031010, 0, 2 * 2.031010], atol=1e-6)
    np.testing.assert_allclose(found.variance_mm2, [-0.572917, 0, 4 * -0.572917], atol=2e-6)
    assert (found.systematic_mm == 0).all()
    messages = [str(warning.message) for warning in told]
    assert any("4 patients are few" in m for m in messages)
    assert any("4 fractions each are few" in m for m in messages)
    assert any("Σ² comes out below 0 on LR, SI and counts as 0" in m for m in messages)


@pytest.mark.statistics
def test_known_population_is_found_again() -> None:
    found = setup_statistics(population(20_000, 6))
    np.testing.assert_allclose(found.systematic_mm, [1, 2, 3], rtol=0.03)  # σ²/6 of 1.5 mm² taken off on LR
    np.testing.assert_allclose(found.random_mm, [3, 1, 2], rtol=0.02)
    np.testing.assert_allclose(found.mean_mm, [0.5, 0, -1], atol=0.08)
    less = setup_statistics(population(20_000, 6), matching_sd_mm=(1, 0.6, 1), matching_systematic_mm=(0, 1, 0))
    np.testing.assert_allclose(less.random_mm, np.sqrt(np.array([9, 1, 4]) - [1, 0.36, 1]), rtol=0.02)
    np.testing.assert_allclose(less.systematic_mm, np.sqrt(np.array([1, 4, 9]) - [0, 1, 0]), rtol=0.03)


@pytest.mark.statistics
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = []
    for seed in range(400):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PtvkitWarning)  # a floored Σ now and then
            found = setup_statistics(population(14, 30, seed))
        low, high = found.random_interval_mm
        held.append((low <= [3, 1, 2]) & (high >= [3, 1, 2]))
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
    np.testing.assert_allclose(sd_factors(13), [0.725, 1.611], atol=1e-3)


def test_patients_with_unlike_numbers_of_fractions() -> None:
    tables = [np.ones((n, 3)) * value for n, value in ((3, 0.0), (5, 1.0), (1, 2.0))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = setup_statistics(tables)
    assert found.fractions == pytest.approx(3 / (1 / 3 + 1 / 5 + 1))
    np.testing.assert_allclose(found.mean_mm, 1.0)
    np.testing.assert_allclose(found.systematic_mm, 1.0)


def test_as_error_carries_the_sample_size() -> None:
    error = setup_statistics(population(30, 10)).as_error("daily", seen_by="soft_tissue")
    assert (error.name, error.seen_by, error.patients) == ("daily", "soft_tissue", 30)
    np.testing.assert_allclose(error.systematic_mm, setup_statistics(population(30, 10)).systematic_mm)


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ([np.zeros((3, 3))], "at least 2 patients"),
        ([np.zeros((1, 3)), np.zeros((1, 3))], "at least 2 fractions"),
        ([np.zeros((3, 2)), np.zeros((3, 3))], "patient 1: needs finite shifts"),
        ([np.zeros((3, 3)), np.full((3, 3), np.nan)], "patient 2: needs finite shifts"),
    ],
)
def test_what_is_no_population(tables: list[NDArray[np.float64]], says: str) -> None:
    with pytest.raises(MotionError, match=says):
        setup_statistics(tables)
