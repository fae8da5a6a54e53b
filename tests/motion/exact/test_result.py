"""Exact coverage of real bodies beside the sampled one, its derivatives, and what it refuses."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.errors import MotionError
from ptvkit.motion.exact.derivatives import MARGIN_MM, derivatives_of, growth
from tests.motion.bodies import ball
from tests.motion.exact.octants import allowed, model, share

CTV = ball(9, spacing=(1.0, 1.0, 1.5))
MARGIN = pk.Margin("5,S=6,I=8")
PTV = pk.expand(CTV, MARGIN)
GUIDED = pk.Course(
    setup=[
        pk.SetupError(systematic_mm=(1, 1, 2), random_mm=(1, 1.5, 2)),
        pk.SetupError(name="contour", systematic_mm=1, seen_by="nothing"),
    ],
    guidance=pk.ImageGuidance(match="soft_tissue", action_level_mm=2.0, matching_sd_mm=1.0),
    breathing=pk.Breathing.lujan(amplitude_mm=(0, 2, 5), inhale=(0, 1, -1), reference="time_mean"),
    fractions=4,
)


@pytest.fixture(scope="module")
def exact():
    return pk.simulate_coverage(CTV, PTV, GUIDED, seed=2, method="exact")


def test_exact_agrees_with_sampled(exact):
    patients = 6_000
    drawn = pk.simulate_coverage(CTV, PTV, GUIDED, patients=patients, seed=5, samples=20)
    assert isinstance(exact, pk.CoverageResult)
    assert (exact.method, drawn.method) == ("exact", "sampled")
    for tolerance in (0.0, 1.0):
        one, other = exact.contained(tolerance), drawn.contained(tolerance)
        assert abs(one - other) < 3 * np.sqrt(other * (1 - other) / patients) + 1.5e-3
    for one, other in ((exact.coverage_loss, drawn.coverage_loss), (exact.mean_time_out, drawn.mean_time_out)):
        assert abs(one - other) < 3 * (other.high - other.low) / 3.92 + 0.02 * other
    quantile = exact.miss_quantile(0.9)
    assert abs(exact.contained(quantile) - 0.9) < 0.003


def test_the_result_says_how_sure_it_is(exact):
    value = exact.contained()
    assert value.low < value < value.high
    assert value.width < 0.0021
    assert exact.answer.changed < 5e-4
    assert "standard error" in exact.summary()


@pytest.mark.parametrize("name", ["coverage", "miss_mm", "side", "time_out", "deepest_mm", "sides"])
def test_figures_of_single_patients_are_refused_in_one_line(exact, name):
    with pytest.raises(MotionError, match=rf'^{name}: .*method="sampled"$'):
        getattr(exact, name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"setup": [pk.SetupError(systematic_deg=1)]}, "rotations"),
        ({"guidance": pk.ImageGuidance(mode="vector", action_level_mm=2)}, "vector"),
        ({"guidance": pk.ImageGuidance(match="bone", corrected_from="nal")}, "nal"),
        (
            {
                "breathing": pk.Breathing.lujan(
                    amplitude_mm=(0, 4, 9), inhale=(0, 1, -1), lag=(0, 0.2, 0), reference="exhale"
                )
            },
            "lag",
        ),
        (
            {
                "breathing": pk.Breathing.lujan(
                    amplitude_mm=(0, 0, 9),
                    inhale=(0, 0, -1),
                    reference="exhale",
                    variation=pk.Variation(drift_mm=(0, 0, 1)),
                )
            },
            "drift",
        ),
    ],
)
def test_what_it_cannot_have_is_refused(changes, words):
    with pytest.raises(MotionError, match=f'{words}.*; use method="sampled"$'):
        pk.simulate_coverage(CTV, PTV, pk.Course(**{"fractions": 3} | changes), method="exact")


@pytest.mark.parametrize(
    ("sd", "fractions", "margin", "by_margin", "by_systematic", "by_random"),
    [
        ((2, 2), 5, 8, 0.137577, -0.242212, -0.308097),
        ((2, 3), 12, 10, 0.210962, -0.253189, -0.534413),
    ],
)
def test_derivatives_are_the_closed_form(sd, fractions, margin, by_margin, by_systematic, by_random):
    course = pk.Course(setup=[pk.SetupError(systematic_mm=sd[0], random_mm=sd[1])], fractions=fractions)
    own = model(course)
    body = allowed((margin,) * 6)
    slopes = derivatives_of(own, body, np.full((3, 2), float(margin)))
    assert sum(slopes.margin.values()) == pytest.approx(by_margin, rel=0.01)
    assert sum(slopes.systematic["set-up"].values()) == pytest.approx(by_systematic, rel=0.01)
    assert sum(slopes.random["set-up"].values()) == pytest.approx(by_random, rel=0.01)


def test_a_side_is_worth_what_other_bodies_say():
    margins = (8, 8, 7, 9, 12, 14)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=(1.5, 1.6, 3.1), random_mm=(1.8, 2.7, 3.6))], fractions=5)
    ends = np.array([(8, 8), (9, 7), (14, 12)], float)  # below and above
    slopes = derivatives_of(model(course), allowed(margins), ends).margin
    for place, letter in enumerate("RLAPSI"):
        pair = [tuple(m + sign * (n == place) for n, m in enumerate(margins)) for sign in (0.5, -0.5)]
        expected = share(pair[0], course)[0] - share(pair[1], course)[0]
        assert slopes[letter] == pytest.approx(expected, rel=0.05)


def test_derivatives_by_errors_and_breathing_match_independent_runs(exact):
    slopes = exact.derivatives()
    wider = {
        "amplitude": pk.Breathing.lujan(amplitude_mm=(0, 2.4, 6), inhale=(0, 1, -1), reference="time_mean"),
        "less": pk.Breathing.lujan(amplitude_mm=(0, 1.6, 4), inhale=(0, 1, -1), reference="time_mean"),
    }
    shares = [
        pk.simulate_coverage(
            CTV,
            PTV,
            pk.Course(setup=GUIDED.setup, guidance=GUIDED.guidance, breathing=wave, fractions=4),
            seed=9,
            precision=0.001,
            method="exact",
        ).contained()
        for wave in wider.values()
    ]
    assert slopes.amplitude == pytest.approx((shares[0] - shares[1]) / 2, rel=0.06)
    assert set(slopes.systematic["contour"]) == {"LR", "AP", "SI"}
    assert "contour" not in slopes.random
    assert slopes.per_cc("I") == slopes.margin["I"] / slopes.volume_cc["I"]


def test_the_volume_grows_as_the_expanded_target_does():
    slopes = growth(np.array([[0.6, 0.0, -0.8]]), np.array([(5, 5), (5, 5), (5, 5)], float))
    assert {letter: round(float(slope[0]), 6) for letter, slope in slopes.items() if slope[0]} == {"R": 0.36, "I": 0.64}
    from ptvkit.motion.exact.derivatives import volume_slopes

    found = volume_slopes(CTV, PTV)
    for letter, text in (("I", "5,S=6,I={}"), ("S", "5,S={},I=8")):
        start = {"I": 8.0, "S": 6.0}[letter]
        pair = [pk.expand(CTV, pk.Margin(text.format(start + sign * MARGIN_MM * 2))).volume_cc for sign in (1, -1)]
        assert found[letter] == pytest.approx((pair[0] - pair[1]) / (4 * MARGIN_MM), rel=0.04)
