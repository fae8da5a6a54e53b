"""Breathing against the moments of Lujan's wave, the directions of a liver, and the references."""

from math import asin, comb, pi, sqrt

import numpy as np
import pytest
from scipy import optimize, stats

import ptvkit as pk
from ptvkit.errors import MotionError, PtvkitWarning
from ptvkit.motion.breathing import Breathing, Streams
from ptvkit.motion.lujan import Lujan
from ptvkit.motion.variation import COACHED, FREE, Variation, autoregressive

AMPLITUDE = np.array([0.0, 3.8, 11.9])
PERIOD = np.linspace(0, 4, 4001)[:-1]


def liver(reference: object = "exhale", **more: object) -> Breathing:
    return Breathing.lujan(amplitude_mm=AMPLITUDE, inhale=(0, 1, -1), reference=reference, period_s=4.0, **more)


def streams(seed: int = 0) -> Streams:
    return Streams(*(np.random.default_rng([seed, n]) for n in range(3)))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_mean_sd_and_cdf(n: int) -> None:
    moved = liver(n=n).displacement(PERIOD)[:, 2]
    mean, second = comb(2 * n, n) / 4**n, comb(4 * n, 2 * n) / 4 ** (2 * n)
    assert moved.mean() / 11.9 == pytest.approx(-mean, abs=1e-4)
    assert moved.std() / 11.9 == pytest.approx(sqrt(second - mean**2), abs=1e-4)
    for u in (0.1, 0.5, 0.9):
        assert (-moved / 11.9 <= u).mean() == pytest.approx(2 / pi * asin(u ** (1 / (2 * n))), abs=1e-3)
    assert np.abs(np.gradient(moved, PERIOD)).max() * 4 / 11.9 == pytest.approx(
        {1: 3.141593, 2: 4.081049, 3: 4.878344}[n], rel=1e-3
    )


def test_inhale_is_inferior_and_anterior() -> None:
    at_exhale, at_inhale = liver().displacement([2.0, 0.0])
    np.testing.assert_allclose(at_exhale, [0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(at_inhale, [0, 3.8, -11.9])


@pytest.mark.parametrize(
    ("reference", "position"),
    [("exhale", 0.0), ("inhale", 1.0), ("mid_range", 0.5), ("time_mean", 0.3125)],
)
def test_references(reference: str, position: float) -> None:
    planned = position * AMPLITUDE * [0, 1, -1]
    np.testing.assert_allclose(liver(reference).displacement(PERIOD), liver().displacement(PERIOD) - planned)
    given = liver(tuple(planned))
    np.testing.assert_allclose(
        given.draw(2, 3, 4, 60.0, streams()).reference_mm, liver(reference).draw(2, 3, 4, 60.0, streams()).reference_mm
    )
    np.testing.assert_allclose(given.displacement(PERIOD), liver(reference).displacement(PERIOD))


def margin(side: str, displacement: np.ndarray, sigma: float) -> float:
    """Margin (mm) at which an edge on one side of the target still gets 95 % of a plan with that edge dose."""
    outward = {"inferior": -displacement[:, 2], "superior": displacement[:, 2]}[side]
    blur = sqrt(3.2**2 + sigma**2)

    def dose(m: float) -> float:
        return float(stats.norm.cdf((stats.norm.ppf(0.95) * 3.2 + m - outward) / blur).mean()) - 0.95

    return float(optimize.brentq(dose, -30, 60))


@pytest.mark.parametrize(
    ("amplitude", "sigma", "inhale", "exhale"),
    [(10, 0, 3.24537, 1.92409), (15, 0, 6.11869, 3.33157), (20, 0, 9.14444, 4.78687), (15, 2, 6.58145, 4.10550)],
)
def test_breathing_margins_are_larger_on_the_inhale_side_which_is_inferior(
    amplitude: float, sigma: float, inhale: float, exhale: float
) -> None:
    wave = Breathing.lujan(amplitude_mm=(0, 0, amplitude), inhale=(0, 0, -1), reference="time_mean")
    moved = wave.displacement(PERIOD)
    assert margin("inferior", moved, sigma) == pytest.approx(inhale, abs=2e-4)
    assert margin("superior", moved, sigma) == pytest.approx(exhale, abs=2e-4)


def test_mid_range_turns_the_asymmetry_round() -> None:
    wave = Breathing.lujan(amplitude_mm=(0, 0, 15), inhale=(0, 0, -1), reference="mid_range")
    moved = wave.displacement(PERIOD)
    assert margin("inferior", moved, 2) / 15 == pytest.approx(0.251, abs=5e-4)
    assert margin("superior", moved, 2) / 15 == pytest.approx(0.461, abs=5e-4)


def test_lag_is_hysteresis() -> None:
    moved = liver(lag=(0, 0.1, 0)).displacement([0.0, 0.4])
    assert moved[0, 2] == -11.9
    # a tenth of 4 s later; where SI turns at exhale, AP is a tenth of a cycle from its own
    assert moved[1, 1] == pytest.approx(3.8 * (1 - np.sin(0.1 * np.pi) ** 6))


@pytest.mark.statistics
def test_a_snapshot_is_a_systematic_error_of_the_oracles_size() -> None:
    drawn = liver("snapshot").draw(20_000, 3, 2, 90.0, streams())
    found = drawn.reference_mm[:, 0, 2]
    assert found.std() == pytest.approx(0.3576726 * 11.9, rel=0.02)  # 4.3 mm
    low, high = np.quantile(found, [0.05, 0.95])
    assert low == pytest.approx(-3.7, abs=0.1)
    assert high == pytest.approx(8.0, abs=0.15)
    assert drawn.reference_mm.shape[1] == 1  # kept for the whole course


@pytest.mark.statistics
@pytest.mark.parametrize("variation", ["none", "free", "coached"])
def test_drawn_waves_keep_their_moments(variation: str) -> None:
    drawn = liver("time_mean", variation=variation).draw(400, 12, 50, 90.0, streams(3))
    np.testing.assert_allclose(drawn.wave_mm.mean(axis=(0, 1, 2)), 0, atol=0.15)
    rms_of_u = sqrt(0.3576726**2 + 0.3125**2)
    grown = {"none": 0.0, "free": 1.6 / rms_of_u, "coached": 0.8 / rms_of_u}[variation]
    # amplitude SD s about A: E[A²] = A² + s²; the mean's part of the variance stays
    expected = sqrt(0.3576726**2 * 11.9**2 + (0.3576726**2 + 0.3125**2) * grown**2)
    assert drawn.wave_mm[..., 2].std() == pytest.approx(expected, rel=0.02)
    assert (drawn.reference_mm == 0).all()


@pytest.mark.statistics
@pytest.mark.parametrize(("rho", "cycles", "variance"), [(0.5, 10, 0.26003906), (0.8, 20, 0.35115292)])
def test_means_of_correlated_cycles(rho: float, cycles: int, variance: float) -> None:
    series = autoregressive(np.random.default_rng(2).standard_normal((40_000, cycles)), rho)
    assert series.std() == pytest.approx(1, rel=0.01)
    # standard error of a variance: √(2/N)
    assert series.mean(axis=1).var() == pytest.approx(variance, rel=4 * sqrt(2 / 40_000))


@pytest.mark.statistics
def test_a_population_has_the_means_and_sds_asked_for() -> None:
    wave = Lujan(amplitude_mm=(2.9, 2.3, 5.3), amplitude_sd_mm=(1.2, 1.1, 2.2), inhale=(1, 1, -1))
    rng = np.random.default_rng(0)
    amplitudes = np.abs(wave._amplitudes(rng.standard_normal((40_000, 4))))
    np.testing.assert_allclose(amplitudes.mean(axis=0), [2.9, 2.3, 5.3], rtol=0.02)
    np.testing.assert_allclose(amplitudes.std(axis=0), [1.2, 1.1, 2.2], rtol=0.03)
    assert amplitudes.min() > 0
    assert np.corrcoef(amplitudes[:, 1], amplitudes[:, 2])[0, 1] > 0.97  # SI and AP go together
    apart = Lujan(amplitude_mm=(2.9, 2.3, 5.3), amplitude_sd_mm=1.0, inhale=(1, 1, -1), amplitude_correlation=-0.4)
    amplitudes = np.abs(apart._amplitudes(rng.standard_normal((40_000, 4))))
    assert np.corrcoef(amplitudes.T)[0, 2] == pytest.approx(-0.4, abs=0.06)


def test_variation_by_name() -> None:
    assert liver(variation="free").variation is FREE
    assert liver(variation="coached").variation is COACHED
    with pytest.raises(MotionError, match="use 'none', 'free', 'coached'; found 'wild'"):
        liver(variation="wild")


@pytest.mark.statistics
def test_drift_and_baseline_shift_are_as_large_as_asked() -> None:
    vary = Variation(drift_mm=(0, 1, 3), baseline_shift_mm=(1, 0, 2))
    drawn = liver("exhale", variation=vary).draw(2000, 10, 1, 60.0, streams())
    np.testing.assert_allclose(drawn.drift_mm.std(axis=(0, 1)), [0, 1, 3], rtol=0.02)
    np.testing.assert_allclose(drawn.baseline_mm.std(axis=(0, 1)), [1, 0, 2], rtol=0.02)


@pytest.mark.statistics
def test_a_drift_has_a_mean() -> None:
    drawn = liver("exhale", variation=Variation(drift_mm=1, drift_mean_mm=(0, -1, 3))).draw(
        2000, 10, 1, 60.0, streams()
    )
    np.testing.assert_allclose(drawn.drift_mm.mean(axis=(0, 1)), [0, -1, 3], atol=0.04)
    np.testing.assert_allclose(drawn.drift_mm.std(axis=(0, 1)), 1, rtol=0.02)
    assert not Variation(drift_mean_mm=(0, 0, 1)).is_none


@pytest.mark.statistics
@pytest.mark.parametrize(("name", "rms"), [("free", 1.6), ("coached", 0.8)])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_published_variation_is_of_the_displacement(name: str, rms: float, n: int) -> None:
    """At equal phases cycles differ from the mean cycle by the RMS that was published."""
    vary = liver(variation=name, n=n).variation
    steady = Variation(amplitude_mm=vary.amplitude_mm, correlation=vary.correlation)
    breathing = liver(variation=steady, n=n)
    rng = np.random.default_rng(3)
    time = np.arange(0, 4 * 3000, 0.05)
    moved = breathing.displacement(time, rng)[:, 2].reshape(-1, 80)
    assert np.sqrt(((moved - moved.mean(axis=0)) ** 2).mean()) == pytest.approx(rms, rel=0.04)
    assert vary.period_s == {"free": 0.77, "coached": 0.2}[name]


@pytest.mark.parametrize("lag", [(0, 0.25, 0), (0, -0.1, 0.15)])
@pytest.mark.parametrize("end", ["exhale", "inhale"])
def test_both_ends_lie_on_the_trajectory(lag: tuple[float, float, float], end: str) -> None:
    """With hysteresis the axes do not turn together: an end is where the largest does."""
    wave = liver(end, lag=lag)
    moved = wave.displacement(PERIOD)
    assert np.linalg.norm(moved, axis=1).min() < 0.02
    turn = moved[:, 2].min() if end == "inhale" else moved[:, 2].max()
    assert turn == pytest.approx(0, abs=1e-4)


def test_one_draw_is_the_sum_of_its_parts_and_seeded() -> None:
    wave = liver("snapshot", variation=Variation(amplitude_mm=2, drift_mm=1))
    time = np.linspace(0, 30, 90)
    a, b, c = (wave.displacement(time, np.random.default_rng(n)) for n in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)
    with pytest.raises(MotionError, match="give rng="):
        wave.displacement(time)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"period_s": 0}, "period_s: needs a number above 0"),
        ({"period_s": float("nan")}, "period_s"),
        ({"n": 0}, "n: needs a whole number"),
        ({"n": 2.5}, "n: needs a whole number"),
        ({"amplitude_mm": (1, 2)}, "amplitude_mm: needs one number or three"),
        ({"amplitude_mm": (-1, 2, 3)}, "amplitude_mm: needs numbers from 0"),
        ({"inhale": (0, 0.5, -1)}, "inhale: needs -1, 0 or 1"),
        ({"amplitude_sd_mm": -1}, "amplitude_sd_mm: needs numbers from 0"),
        ({"reference": "deep"}, "reference: use 'time_mean', 'exhale', 'inhale', 'mid_range', 'snapshot'"),
        ({"reference_seen_by": "bone"}, "reference_seen_by"),
    ],
)
def test_what_no_wave_can_be(wrong: dict[str, object], says: str) -> None:
    good = {"amplitude_mm": (0, 1, 2), "inhale": (1, 1, -1), "reference": "exhale"}
    with pytest.raises(MotionError, match=says):
        Breathing.lujan(**{**good, **wrong})


def test_an_amplitude_without_a_direction_is_said() -> None:
    with pytest.warns(PtvkitWarning, match=r"LR amplitude of 1\.3 mm has no direction of inhale and is left out"):
        Breathing.lujan(amplitude_mm=(1.3, 3.8, 11.9), inhale=(0, 1, -1), reference="exhale")


@pytest.mark.parametrize("name", sorted(pk.breathing_presets))
def test_presets_say_where_they_are_from(name: str) -> None:
    preset = pk.breathing_presets[name]
    assert preset.source
    assert preset.note.startswith("a median") == (preset.amplitude_sd_mm == (0.0, 0.0, 0.0))
    made = Breathing.preset(name, reference="snapshot")
    np.testing.assert_array_equal(made.wave.amplitude_mm, preset.amplitude_mm)
    assert made.wave.signed_mm[2] < 0


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(MotionError, match="liver-compression"):
        Breathing.preset("liver", reference="exhale")
