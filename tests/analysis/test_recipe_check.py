"""A recipe held against a simulation, and that against a straightforward sum."""

import numpy as np
import pytest
from scipy import special

import ptvkit as pk
from tests.motion.bodies import ball


def test_few_fractions_on_a_small_lesion() -> None:
    errors = {"systematic_mm": 2, "random_mm": 3}
    margin = pk.recipes.van_herk(**errors)
    check = pk.check_recipe("van-herk", margin, ball(10), **errors, fractions=5, patients=2000, seed=1)
    assert check.found == pytest.approx(_straightforward(10, 6.9456, 5), abs=0.03)
    assert check.diameter_mm == pytest.approx(20, abs=0.2)
    assert check.sentence().startswith("van-herk promises 90%; this 20 mm target with 5 fractions gets 6")


def test_the_margin_is_the_recipes_on_each_axis() -> None:
    errors = {"systematic_mm": (1, 2, 3), "random_mm": 1}
    check = pk.check_recipe("stroom", pk.recipes.stroom(**errors), ball(8), **errors, fractions=2, patients=50)
    assert check.margin == pk.Margin(left=2.7, right=2.7, anterior=4.7, posterior=4.7, superior=6.7, inferior=6.7)


def _straightforward(radius: float, margin: float, fractions: int) -> float:
    """The same by direct summation over a ball's surface: Φ of the distance, Σ 2, σ 3, σp 3.2, α-quantile apart."""
    rng = np.random.default_rng(11)
    n = np.arange(600) + 0.5
    polar, turn = np.arccos(1 - n / 300), np.pi * (1 + 5**0.5) * n
    surface = radius * np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)
    reached = 0
    for _ in range(3000):
        systematic = rng.normal(size=3) * 2
        dose = np.zeros(len(surface))
        for _ in range(fractions):
            away = np.linalg.norm(surface + systematic + rng.normal(size=3) * 3, axis=1)
            dose += special.ndtr(1.644854 - (away - radius - margin) / 3.2) / fractions
        reached += dose.min() >= 0.95
    return reached / 3000
