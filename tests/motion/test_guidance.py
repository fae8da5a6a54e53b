"""What guidance leaves, against the closed forms of action levels and of NAL."""

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ptvkit.errors import MotionError
from ptvkit.motion.course import Course, sample_course
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.residuals import residual_errors
from ptvkit.motion.setup import SetupError

PATIENTS = 400_000


def residual_sd(
    tau: float | tuple[float, ...], level: float, noise: float, couch: float, mode: str
) -> NDArray[np.float64]:
    rng = np.random.default_rng(7)
    protocol = ImageGuidance(action_level_mm=level, mode=mode, matching_sd_mm=noise, couch_sd_mm=couch)
    left = protocol.correct(rng.normal(size=(PATIENTS, 3)) * tau, rng)
    found: NDArray[np.float64] = left.std(axis=0)
    return found


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("case", "per_axis", "vector"),
    [
        ((3, 2, 0, 0), 0.78851649, 0.23205752),
        ((3, 2, 1, 0), 1.21575493, 1.01851031),
        ((3, 2, 1, 0.5), 1.26879169, 1.12801768),
        ((4, 2, 1, 0.5), 1.25753972, 1.12366877),
    ],
)
def test_residual_sd_per_axis_and_vector(case: tuple[float, ...], per_axis: float, vector: float) -> None:
    np.testing.assert_allclose(residual_sd(*case, "per_axis"), per_axis, rtol=0.01)
    np.testing.assert_allclose(residual_sd(*case, "vector"), vector, rtol=0.01)


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ((3, 2, 0, 0), 0.390327),
        ((3, 2, 1, 0.5), 1.153462),
        ((4, 2, 1, 0.5), 1.138400),
        (((2.34, 3.14, 4.75), 2, 1, 0), (1.034522, 1.041995, 1.048235)),
    ],
)
def test_residual_sd_any_axis(case: tuple[float, ...], expected: object) -> None:
    np.testing.assert_allclose(residual_sd(*case, "any_axis"), expected, rtol=0.01)


@pytest.mark.statistics
@pytest.mark.parametrize("mode", ["per_axis", "any_axis"])
def test_residual_sd_anisotropic_by_the_formula(mode: str) -> None:
    """Σ_i τ_i²σ_e²/v_i + (τ_i⁴/v_i)G_i + (σ_e⁴/v_i)(1 − G_i) + σ_c²(1 − P), with every axis its own τ."""
    tau, level, noise, couch = np.array([1.5, 4.0, 2.5]), 3.0, 0.8, 0.4
    v = tau**2 + noise**2
    low, high = stats.chi2.cdf(level**2 / v, 1), stats.chi2.cdf(level**2 / v, 3)
    if mode == "any_axis":
        none = low.prod()
        gate = high * none / low
    else:
        none, gate = low, high
    variance = tau**2 * noise**2 / v + tau**4 / v * gate + noise**4 / v * (1 - gate) + couch**2 * (1 - none)
    np.testing.assert_allclose(residual_sd(tuple(tau), level, noise, couch, mode), np.sqrt(variance), rtol=0.01)


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("systematic", "random", "level", "noise", "couch", "expected"),
    [
        (2, 2, 2, 0, 0, (0.192378, 0.782214)),
        (3.1, 3.6, 2, 0, 0, (0.067020, 0.648301)),
        (3.1, 3.6, 5, 0, 0, (0.762553, 2.119365)),
        (3.1, 3.6, 2, 1, 0.5, (0.062183, 1.243978)),
    ],
)
def test_split_into_systematic_and_random(
    systematic: float, random: float, level: float, noise: float, couch: float, expected: tuple[float, float]
) -> None:
    protocol = ImageGuidance(
        match="bone", action_level_mm=level, mode="per_axis", matching_sd_mm=noise, couch_sd_mm=couch
    )
    course = Course(setup=[SetupError(systematic_mm=systematic, random_mm=random)], guidance=protocol, fractions=40)
    total = residual_errors(course, patients=12_000, seed=5)[-1]
    assert total.name == "total"
    # the standard error of Σ'² is that of a variance of means that carry σ'²/40
    error = 4 * sqrt(2 / 36_000) * (expected[0] ** 2 + expected[1] ** 2 / 40)
    assert (total.systematic_mm**2).mean() == pytest.approx(expected[0] ** 2, abs=error)
    np.testing.assert_allclose(total.random_mm, expected[1], rtol=0.01)


@pytest.mark.statistics
@pytest.mark.parametrize(("noise", "whole", "rest"), [(0.0, 1.509967, 1.732051), (1.0, 1.596872, 1.825742)])
def test_nal(noise: float, whole: float, rest: float) -> None:
    protocol = ImageGuidance(match="bone", corrected_from="nal", nal_fractions=3, matching_sd_mm=noise)
    course = Course(setup=[SetupError(systematic_mm=3, random_mm=3)], guidance=protocol, fractions=30)
    shifts = sample_course(course, patients=40_000, seed=3).shifts_mm[:, :, 0]
    relative = 4 * sqrt(1 / (2 * 120_000))
    assert shifts.mean(axis=1).std() == pytest.approx(whole, rel=relative)
    # of the remaining fractions: their mean has the random error's own part as well
    after = sqrt(rest**2 + 9 / 27)
    assert shifts[:, 3:].mean(axis=1).std() == pytest.approx(after, rel=relative)
    assert shifts[:, :3].mean(axis=1).std() == pytest.approx(sqrt(9 + 9 / 3), rel=relative)


def test_what_each_match_sees() -> None:
    setup = [
        SetupError(name="body", mean_mm=(4, 0, 0)),
        SetupError(name="liver", mean_mm=(0, 5, 0), seen_by="soft_tissue"),
        SetupError(name="drawing", mean_mm=(0, 0, 6), seen_by="nothing"),
    ]
    left = {
        match: sample_course(
            Course(setup=setup, guidance=None if match is None else ImageGuidance(match=match)), patients=1
        ).shifts_mm[0, 0, 0]
        for match in (None, "bone", "soft_tissue", "bone_then_soft_tissue")
    }
    np.testing.assert_allclose(left[None], [4, 5, 6])
    np.testing.assert_allclose(left["bone"], [0, 5, 6])
    np.testing.assert_allclose(left["soft_tissue"], [0, 0, 6])
    np.testing.assert_allclose(left["bone_then_soft_tissue"], [0, 0, 6])


def test_the_second_match_acts_on_what_the_first_left() -> None:
    """A body 3 mm off and a liver 1.5 mm back: after bone, 1.5 mm are below the level, and stay."""
    setup = [
        SetupError(name="body", mean_mm=(3, 0, 0)),
        SetupError(name="liver", mean_mm=(-1.5, 0, 0), seen_by="soft_tissue"),
    ]
    two = ImageGuidance(match="bone_then_soft_tissue", action_level_mm=2)
    one = ImageGuidance(match="soft_tissue", action_level_mm=2)
    for protocol, expected in ((two, -1.5), (one, 1.5)):
        left = sample_course(Course(setup=setup, guidance=protocol), patients=1).shifts_mm
        assert left[0, 0, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("any_axis", [[1.9, 0, 1.9], [0, 0, 0], [0, 0, 0]]),
        ("per_axis", [[1.9, 0, 1.9], [1.9, 0, 0], [1.9, 0, 0]]),
        ("vector", [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    ],
)
def test_modes_and_the_tie(mode: str, left: list[list[float]]) -> None:
    errors = [[1.9, 0, 1.9], [1.9, 0, 2.0], [1.9, 0.0, -2.1]]
    protocol = ImageGuidance(action_level_mm=2.0, mode=mode)
    np.testing.assert_allclose(protocol.correct(errors, np.random.default_rng(0)), left)
    tenths = ImageGuidance(action_level_mm=0.3, mode=mode)  # 0.7 - 0.4 is a little less than 0.3
    np.testing.assert_allclose(tenths.correct([[0.7 - 0.4, 0, 0]], np.random.default_rng(0)), 0)


def test_a_systematic_matching_error_stays() -> None:
    protocol = ImageGuidance(match="bone", matching_systematic_mm=(0, 2, 0))
    found = residual_errors(Course(setup=[SetupError(systematic_mm=3)], guidance=protocol, fractions=4), seed=1)
    total = found[-1]
    np.testing.assert_allclose(total.systematic_mm, [0, 2, 0], atol=0.1)
    assert {row.name for row in found} == {"set-up", "bone match", "total"}


def test_drift_grows_within_the_fraction() -> None:
    course = Course(guidance=ImageGuidance(drift_sd_mm=(0, 0, 4)), fractions=3)
    shifts = sample_course(course, patients=3000, seed=2, samples=20).shifts_mm
    assert shifts[..., 19, 2].std() == pytest.approx(4 * 19.5 / 20, rel=0.03)
    # of a straight line to D: within each fraction D/√12, so that σ' = √(D²/4 + D²/12)
    assert residual_errors(course, seed=2)[-1].random_mm[2] == pytest.approx(4 / sqrt(3), rel=0.03)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"match": "skin"}, "match: use 'bone', 'soft_tissue', 'bone_then_soft_tissue'; found 'skin'"),
        ({"mode": "all"}, "mode: use"),
        ({"action_level_mm": -1}, "action_level_mm: needs a number from 0"),
        ({"matching_sd_mm": (1, -1, 0)}, "matching_sd_mm: needs numbers from 0"),
        ({"matching_sd_mm": (1, 1)}, "matching_sd_mm: needs one number or three"),
        ({"corrected_from": "nal"}, "corrected_from 'nal': takes one match"),
        ({"nal_fractions": 0}, "nal_fractions"),
    ],
)
def test_what_is_no_protocol(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(MotionError, match=says):
        ImageGuidance(**wrong)
