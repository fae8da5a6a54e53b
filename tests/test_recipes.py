"""Recipes against the worked examples of the literature."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit import recipes
from ptvkit.recipes import RECIPES, edge_factor, quantile

QUANTILES = [
    (0.80, 1.281552, 1.794123, 2.154444, 0.841621),
    (0.85, 1.439531, 1.947881, 2.305872, 1.036433),
    (0.90, 1.644854, 2.145966, 2.500278, 1.281552),
    (0.95, 1.959964, 2.447747, 2.795483, 1.644854),
    (0.99, 2.575829, 3.034854, 3.368214, 2.326348),
]


@pytest.mark.parametrize(("share", "one", "two", "three", "sided"), QUANTILES)
def test_quantiles(share: float, one: float, two: float, three: float, sided: float) -> None:
    assert [quantile(share, n) for n in (1, 2, 3)] == pytest.approx([one, two, three], abs=1e-6)
    assert edge_factor(share) == pytest.approx(sided, abs=1e-6)


@pytest.mark.parametrize(("systematic", "random", "margin"), [(2, 2, 5.940692), (2, 3, 6.945602), (3, 3, 9.445602)])
def test_van_herk(systematic: float, random: float, margin: float) -> None:
    assert recipes.van_herk(systematic, random, 3.2) == pytest.approx(margin, abs=1e-6)


def test_van_herk_exact_and_at_other_levels() -> None:
    assert recipes.van_herk(2, 3, 3.2, exact=True) == pytest.approx(6.951915, abs=1e-6)
    assert recipes.van_herk(2, 0, 3.2, population=0.95) == pytest.approx(2 * 2.795483, abs=1e-5)
    assert recipes.van_herk(2, 0, 3.2, dimensions=1) == pytest.approx(2 * 1.644854, abs=1e-5)
    assert recipes.van_herk(0, 3, 3.2, level=0.80) == pytest.approx(0.84 * (np.hypot(3, 3.2) - 3.2))
    three = recipes.van_herk((2, 2, 3), (2, 3, 3), 3.2)
    np.testing.assert_allclose(three, [5.940692, 6.945602, 9.445602], atol=1e-6)


def test_short_form_is_the_full_one_at_one_sigma() -> None:
    full, short = recipes.van_herk(2, 3.340244, 3.2), recipes.van_herk_short(2, 3.340244)
    assert full == pytest.approx(short, abs=1e-5)


def test_gtc_frame_example() -> None:
    for systematic, random, stroom, van_herk in ((0.56, 1.86, 2.42, 2.70), (0.42, 0.73, 1.35, 1.56)):
        assert recipes.stroom(systematic, random) == pytest.approx(stroom, abs=0.005)
        assert recipes.van_herk_short(systematic, random) == pytest.approx(van_herk, abs=0.006)


def test_simple_formulas() -> None:
    assert recipes.icru62(3, 4) == 5
    assert recipes.parker(3, 4) == 8
    assert recipes.mckenzie(5.2, 3.2) == pytest.approx(1.64 * 2)
    assert recipes.mckenzie(np.hypot(3, 3.2), 3.2) == pytest.approx(recipes.van_herk(0, 3, 3.2))
    assert recipes.mid_ventilation(2, 3, 10, 3.2) == pytest.approx(recipes.van_herk(2, np.hypot(3, 3.58), 3.2))
    assert recipes.prv(2) == pytest.approx(2.6)


def test_levels_of_recipes_that_build_on_van_herk() -> None:
    """Each is van Herk's at another Σ and σ, at whatever level."""
    wanted = {"population": 0.95, "level": 0.80, "dimensions": 2}
    alpha, beta = 2.447747, 0.841621
    found = recipes.mid_ventilation(2, 3, 10, 3.2, exact=True, **wanted)
    assert found == pytest.approx(alpha * 2 + beta * (np.sqrt(9 + 3.58**2 + 3.2**2) - 3.2), abs=1e-4)
    found = recipes.finite_fractions(2, 3, 5, 3.2, **wanted)
    assert found == pytest.approx(alpha * np.sqrt(4 + 9 / 5) + beta * (np.sqrt(9 * 0.8 + 3.2**2) - 3.2), abs=1e-4)
    found = recipes.rotation(2, 3, 50, 1.0, 1.0, 3.2, exact=True, **wanted)
    moved = 0.872665
    assert found == pytest.approx(alpha * np.hypot(2, moved) + beta * (np.sqrt(9 + moved**2 + 3.2**2) - 3.2), abs=1e-4)


@pytest.mark.parametrize(
    ("fractions", "margin"), [(1, 9.014879), (5, 7.627045), (12, 7.258568), (18, 7.160884), (30, 7.079576)]
)
def test_finite_fractions(fractions: int, margin: float) -> None:
    assert recipes.finite_fractions(2, 3, fractions, 3.2) == pytest.approx(margin, abs=1e-6)
    assert recipes.finite_fractions(2, 3, 1_000_000, 3.2) == pytest.approx(6.951915, abs=1e-4)


@pytest.mark.parametrize(("fractions", "margin"), [(2, 4.787840), (3, 4.755712), (5, 4.691964), (30, 4.552371)])
def test_substitution_on_one_edge(fractions: int, margin: float) -> None:
    """One edge of one axis: the one-sided quantile of 90 %, as the table's substitution has it."""
    kept, left = np.hypot(2, 3 / np.sqrt(fractions)), 3 * np.sqrt(1 - 1 / fractions)
    assert 1.281552 * kept + 1.644854 * (np.hypot(left, 3.2) - 3.2) == pytest.approx(margin, abs=2e-5)


@pytest.mark.statistics
@pytest.mark.parametrize(("fractions", "margin"), [(1, 4.620700), (2, 4.846820), (3, 4.877), (5, 4.878), (30, 4.615)])
def test_true_margin_of_one_edge(fractions: int, margin: float) -> None:
    """An edge Φ(·/σp) under Σ 2, σ 3: with this margin 90 % of patients get .95 there."""
    from scipy import special

    rng = np.random.default_rng(8)
    patients = 200_000
    systematic = rng.normal(size=patients)[:, None] * 2
    dose = np.zeros(patients)
    for _ in range(fractions):
        dose += special.ndtr((margin - systematic[:, 0] - 3 * rng.normal(size=patients)) / 3.2 + 1.644854) / fractions
    assert (dose >= 0.95).mean() == pytest.approx(0.90, abs=0.003)


def test_rotation() -> None:
    assert recipes.rotation_sd((50, 0, 0), 1.0)[1] == pytest.approx(0.872665, abs=1e-6)
    assert recipes.rotation_sd((30, 40, 0), 1.0)[2] == pytest.approx(0.872665, abs=1e-6)
    assert 2 * 50 * np.sin(np.deg2rad(3) / 2) == pytest.approx(2.617695, abs=1e-6)
    margins = [recipes.rotation(1, 1, d, 1.0, 1.0) for d in (0, 30, 100)]
    assert margins[0] == pytest.approx(recipes.van_herk(1, 1))
    assert margins[0] < margins[1] < margins[2]
    assert recipes.rotation(0, 0, 50, 1.0, 0.0) == pytest.approx(2.5 * 0.872665, abs=1e-5)


def test_imaged_fractions() -> None:
    assert recipes.imaged_fractions(3.1, 3.6, 12) == pytest.approx(4.022828, abs=1e-6)


def test_components_add_in_squares() -> None:
    found = recipes.combined({"set-up": ((2, 2, 3), 3), "delineation": (2, 0)})
    np.testing.assert_allclose(found.systematic_mm, [8**0.5, 8**0.5, 13**0.5])
    np.testing.assert_allclose(found.random_mm, 3)


def test_each_recipe_tells_where_it_comes_from() -> None:
    assert {recipe.status for recipe in RECIPES.values()} <= {"published", "quoted", "derived"}
    assert all(recipe.source and recipe.criterion and recipe.formula for recipe in RECIPES.values())
    for name, recipe in RECIPES.items():
        assert getattr(recipes, name.replace("-", "_")) is recipe.function


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: recipes.van_herk(-1, 2),
        lambda: recipes.van_herk((1, 2), 2),
        lambda: recipes.van_herk(2, float("nan")),
        lambda: recipes.van_herk(2, 2, population=1.0),
        lambda: recipes.van_herk(2, 2, level=0.2),
        lambda: recipes.van_herk(2, 2, dimensions=4),
        lambda: recipes.mckenzie(2, 3.2),
        lambda: recipes.finite_fractions(2, 2, 0),
        lambda: recipes.combined({}),
        lambda: recipes.combined({"a": (1, 2, 3)}),  # type: ignore[dict-item]
        lambda: recipes.rotation_sd((1, 2), 1),
    ],
)
def test_refused(wrong: object) -> None:
    with pytest.raises(pk.DoseError):
        wrong()  # type: ignore[operator]
