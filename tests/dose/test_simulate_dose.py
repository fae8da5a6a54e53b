"""Accumulated dose against closed forms: skewed motion, van Herk's recipe end to end, blurred spheres."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

import ptvkit as pk
from ptvkit.dose.blur import blur_of
from ptvkit.dose.points import Points
from ptvkit.dose.simulate import accumulated, prepare_dose
from ptvkit.geometry.grid import Grid
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.guidance import Part
from tests.conftest import AXES
from tests.motion.bodies import ball

CENTRE = np.array([3.0, -5.0, 8.0])
VAN_HERK = 6.951915  # Σ 2, σ 3, σp 3.2, exact quantiles


def test_blur_is_the_mean_over_shifts() -> None:
    dose = pk.conformal_dose(ball(14, CENTRE, AXES["oblique"]), 20.0)
    rng = np.random.default_rng(4)
    shifts = rng.normal(size=(300, 3)) * [1, 2, 5] + [0, 1, -3]
    points = CENTRE + rng.uniform(-12, 12, (200, 3))
    blur = blur_of(dose, points.min(axis=0), points.max(axis=0), shifts.min(axis=0), shifts.max(axis=0))
    each = np.mean([np.nan_to_num(dose.sample(points + shift)) for shift in shifts], axis=0)
    np.testing.assert_allclose(blur.mean(points, shifts), each, atol=0.004)
    # beyond what was prepared for, and beyond the dose's grid, it is worked out shift by shift
    for far in ([0, 0, 22.0], [-300.0, 40, 0]):
        more = np.concatenate([shifts, [far]])
        there = np.append(each[:, None] * 300, np.nan_to_num(dose.sample(points + far))[:, None], axis=1).sum(axis=1)
        np.testing.assert_allclose(blur.mean(points, more), there / 301, atol=0.004)


def test_a_dose_that_ends_where_the_target_still_gets_it() -> None:
    ctv = ball(8, CENTRE)
    grid = Grid(shape=(14, 14, 14), affine=np.diag([2.0, 2, 2, 1]))
    grid = Grid(shape=grid.shape, affine=grid.affine + np.array([[0, 0, 0, x] for x in (*(CENTRE - 13.2), 0)]))
    dose = pk.Dose(values=np.full(grid.shape, 10.0), grid=grid)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=4)])
    with pytest.warns(pk.PtvkitWarning, match="displaced targets leave its grid, where it still has 10 Gy"):
        found = pk.simulate_dose(dose, ctv, course, patients=50)
    np.testing.assert_allclose(found.metric("dmin_gy"), 10, atol=1e-3)


@pytest.mark.parametrize(
    ("margins", "reached"), [((6.58145, 4.10550), True), ((4.10550, 6.58145), False)], ids=["as-derived", "swapped"]
)
def test_breathing_margins_are_larger_on_the_inhale_side(margins: tuple[float, float], reached: bool) -> None:
    """A = 15 mm, σ = 2 mm, σp = 3.2 mm, about the time mean: the edges get .95 with the asymmetric margins alone."""
    inferior, superior = margins
    grid = Grid(shape=(90, 90, 60), affine=np.diag([1.0, 1, 1, 1]) + np.array([[0, 0, 0, -45.0]] * 2 + [[0] * 4] * 2))
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - [0, 0, 30.3]
    level = np.maximum(np.abs(points[..., :2]).max(axis=-1) - 25, np.abs(points[..., 2]) - 15)
    ctv = pk.Region(level=level, grid=grid)
    ptv = pk.expand(ctv, pk.Margin(left=15, right=15, anterior=15, posterior=15, superior=superior, inferior=inferior))
    breathing = pk.Breathing.lujan(amplitude_mm=(0, 0, 15), inhale=(0, 0, -1), n=3, reference="time_mean")
    course = pk.Course(setup=[pk.SetupError(random_mm=(0, 0, 2))], breathing=breathing, fractions=1000)
    shifts = pk.sample_course(course, patients=1, seed=5, samples=40).shifts_mm.reshape(-1, 3)
    ready = prepare_dose(pk.conformal_dose(ptv, 1.0), ctv, course)
    edges = np.array([[0, 0, 30.3 - 15.0], [0, 0, 30.3 + 15.0]])
    found = ready.blurs[0].mean(edges, shifts)
    # σ of the mean of 1000 random errors is .06 mm, .006 of the dose at most at these edges: taken off
    found = ready.blurs[0].mean(edges, shifts - [0, 0, shifts[:, 2].mean()])
    if reached:
        np.testing.assert_allclose(found, 0.95, atol=0.005)
    else:
        assert found[0] < 0.92
        assert found[1] > 0.97


@pytest.mark.statistics
def test_van_herk_with_systematic_errors_alone() -> None:
    ctv = ball(20, CENTRE)
    dose = pk.conformal_dose(pk.expand(ctv, pk.Margin.uniform(2.500278 * 2)), 1.0)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2)])
    found = pk.simulate_dose(dose, ctv, course, patients=4000, seed=1)
    assert found.probability("dmin_gy", at_least=0.95) == pytest.approx(0.90, abs=0.02)
    # Maxwell((M + 1.644854σp − σp Φ⁻¹(x)) / Σ): another level of the same patients
    depth = 5.000556 + 3.2 * (1.644854 - special.ndtri(0.85))
    truth = special.erf(depth / 2 / np.sqrt(2)) - np.sqrt(2 / np.pi) * depth / 2 * np.exp(-((depth / 2) ** 2) / 2)
    assert found.probability("dmin_gy", at_least=0.85) == pytest.approx(truth, abs=0.01)


@pytest.mark.statistics
@pytest.mark.parametrize(("radius", "truth"), [(5, 0.773), (10, 0.822), (20, 0.856), (45, 0.879)])
def test_van_herk_is_optimistic_for_small_targets(radius: float, truth: float) -> None:
    spacing = (0.5, 0.5, 0.5) if radius < 10 else (1.0, 1.0, 1.0)
    ctv = ball(radius, CENTRE, spacing=spacing)
    dose = pk.conformal_dose(pk.expand(ctv, pk.Margin.uniform(VAN_HERK)), 1.0)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2, random_mm=3)], fractions=400)
    found = pk.simulate_dose(dose, ctv, course, patients=1000, seed=2)
    assert found.probability("dmin_gy", at_least=0.95) == pytest.approx(truth, abs=0.03)


@pytest.mark.statistics
def test_few_fractions_cost_more() -> None:
    ctv = ball(20, CENTRE)
    dose = pk.conformal_dose(pk.expand(ctv, pk.Margin.uniform(VAN_HERK)), 1.0)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2, random_mm=3)], fractions=12)
    found = pk.simulate_dose(dose, ctv, course, patients=1500, seed=3)
    assert found.probability("dmin_gy", at_least=0.95) == pytest.approx(0.77, abs=0.03)


def test_blurred_sphere() -> None:
    """A uniform sphere of dose, blurred: .9032518335 at r 10, a 15, s 3.2; .8578204093 at r 20, a 25, s 4."""
    grid = Grid(shape=(71, 71, 71), affine=np.diag([1.0, 1, 1, 1]) + np.array([[0, 0, 0, -35.0]] * 3 + [[0] * 4]))
    away = np.linalg.norm(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), axis=-1)
    rng = np.random.default_rng(6)
    normals = rng.normal(size=(40_000, 3))
    normals = np.concatenate([normals, -normals])
    for radius, a, s, truth in ((10, 15, 3.2, 0.9032518335), (20, 25, 4.0, 0.8578204093)):
        penumbra = 2.0  # of the dose itself; the rest of s comes from motion
        profile = _blurred_sphere(away, a, penumbra)
        dose = pk.Dose(values=profile, grid=grid)
        shifts = normals * np.sqrt(s**2 - penumbra**2)
        points = radius * np.array([[1.0, 0, 0], [0, -1, 0], [0.6, 0, -0.8]])
        blur = blur_of(dose, points.min(axis=0), points.max(axis=0), shifts.min(axis=0), shifts.max(axis=0))
        np.testing.assert_allclose(blur.mean(points, shifts), truth, atol=0.006)


def _blurred_sphere(r: np.ndarray, a: float, s: float) -> np.ndarray:
    r = np.maximum(r, 1e-6)
    inside = special.ndtr((a - r) / s) - special.ndtr(-(a + r) / s)
    rest = (
        s / (np.sqrt(2 * np.pi) * r) * (np.exp(-((a - r) ** 2) / (2 * s * s)) - np.exp(-((a + r) ** 2) / (2 * s * s)))
    )
    return inside - rest


SETUP = pk.SetupError(systematic_mm=(1, 2, 3), random_mm=2)


def case(**more: object) -> tuple[pk.Dose, pk.Region, pk.Course]:
    ctv = ball(12, CENTRE)
    dose = pk.conformal_dose(pk.expand(ctv, pk.Margin.uniform(4)), 22.8)
    return dose, ctv, pk.Course(setup=[SETUP], fractions=3, **more)  # type: ignore[arg-type]


def test_same_seed_same_bytes_whatever_the_workers() -> None:
    dose, ctv, course = case()
    one, two = (pk.simulate_dose(dose, ctv, course, patients=150, seed=7, workers=n) for n in (1, 2))
    for name in one.metrics:
        assert one.metric(name).tobytes() == two.metric(name).tobytes()
    assert one.dvh.tobytes() == two.dvh.tobytes()
    more = pk.simulate_dose(dose, ctv, course, patients=160, seed=7)
    assert (more.metric("d98_gy")[:150] == one.metric("d98_gy")).all()
    assert (pk.simulate_dose(dose, ctv, course, patients=150, seed=8).metric("dmin_gy") != one.metric("dmin_gy")).any()


def test_patients_are_those_of_the_coverage() -> None:
    """Who is never out keeps his Dmin; who misses most has the least."""
    ctv = ball(12, CENTRE)
    ptv = pk.expand(ctv, pk.Margin.uniform(4))
    course = pk.Course(setup=[pk.SetupError(systematic_mm=3)])
    miss = pk.simulate_coverage(ctv, ptv, course, patients=300, seed=9).deepest_mm
    least = pk.simulate_dose(pk.conformal_dose(ptv, 1.0), ctv, course, patients=300, seed=9).metric("dmin_gy")
    out = miss > 0.2
    np.testing.assert_allclose(least[out], special.ndtr(special.ndtri(0.95) - miss[out] / 3.2), atol=0.025)
    assert (least[miss == 0] > 0.93).all()


def test_rotation_about_the_centroid_leaves_a_ball_alone_and_turns_others() -> None:
    dose, ctv, _ = case()
    turning = pk.Course(setup=[pk.SetupError(systematic_deg=8, random_deg=5)], fractions=2)
    found = pk.simulate_dose(dose, ctv, turning, patients=20, seed=1)
    np.testing.assert_allclose(found.metric("dmin_gy"), found.planned["dmin_gy"], atol=0.15)
    two = pk.union(ball(6, CENTRE - [20, 0, 0]), ball(6, CENTRE + [20, 0, 0]))
    planned = pk.conformal_dose(pk.expand(two, pk.Margin.uniform(3)), 22.8)
    turned = pk.simulate_dose(planned, two, turning, patients=20, seed=1)
    assert turned.metric("dmin_gy").mean() < 0.95 * turned.planned["dmin_gy"]
    assert len(turned.lesions) == 2
    assert (np.minimum(*(lesion.metric("dmin_gy") for lesion in turned.lesions)) == turned.metric("dmin_gy")).all()


def test_result_says_what_it_is() -> None:
    dose, ctv, course = case()
    found = pk.simulate_dose(dose, ctv, course, patients=200, seed=1)
    assert found.lesions == (found.lesions[0],)
    assert "static dose cloud" in found.summary()
    assert found.metric("dmin_gy").shape == (200,)
    assert (found.metric("dmin_gy") <= found.metric("d98_gy")).all()
    assert (found.metric("d98_gy") <= found.metric("mean_gy")).all()
    assert found.planned["d98_gy"] >= np.median(found.metric("d98_gy"))
    with pytest.raises(pk.DoseError, match=r"'d99': use one of dmin_gy, d98_gy, .*v95"):
        found.metric("d99")
    levels, share, low, high = found.population("dmin_gy")
    assert share[0] == 1
    assert (np.diff(share) <= 0).all()
    assert ((low <= share) & (share <= high)).all()
    assert found.probability("dmin_gy", at_least=levels[100]) == share[100]
    middle, bottom, top = found.dvh_band()
    assert ((bottom <= middle) & (middle <= top)).all()
    assert middle[0] == 1
    plain = replace(dose, prescription_gy=None)
    assert "v95" not in pk.simulate_dose(plain, ctv, course, patients=10).metrics
    given = pk.simulate_dose(plain, ctv, course, patients=10, prescription_gy=20.0)
    assert given.prescription_gy == 20
    with pytest.raises(pk.DoseError, match="v95 needs prescription_gy"):
        pk.simulate_dose(plain, ctv, course, patients=10).metric("v95")


def test_what_cannot_be_simulated() -> None:
    dose, ctv, course = case()
    with pytest.raises(pk.DoseError, match="does not cover"):
        pk.simulate_dose(dose, ball(12, CENTRE + [0, 0, 60]), course, patients=5)
    with pytest.raises(pk.MotionError, match="ask for at most"):
        pk.simulate_dose(dose, ctv, course, patients=900_000_000)
    with pytest.raises(pk.DoseError, match="prescription_gy"):
        pk.simulate_dose(dose, ctv, course, patients=5, prescription_gy=-1)


OF_FRACTIONS = [
    (0.0, 3.0, 3, 56.8001, 47.2500),
    (0.0, 3.0, 10, 36.7917, 32.8125),
    (1.644854 * 3.2, 6.0, 3, 114.3493, 104.6861),
    (1.644854 * 3.2, 6.0, 10, 68.2848, 64.2585),
    (1.644854 * 3.2, 10.0, 3, 104.0040, 79.3454),
    (1.644854 * 3.2, 10.0, 10, 61.0049, 50.7305),
]


@pytest.mark.parametrize(("edge", "far", "ratio", "between", "within"), OF_FRACTIONS)
def test_eqd2_is_formed_in_each_fraction(edge: float, far: float, ratio: float, between: float, within: float) -> None:
    """3 × 15 Gy, Φ((c − x)/3.2) along SI: one of three positions in each fraction, or all three in each."""
    affine = np.diag([4.0, 4, 1, 1])
    affine[:3, 3] = -16, -16, -40
    grid = Grid(shape=(9, 9, 81), affine=affine)
    height = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 2]
    dose = pk.Dose(values=45 * special.ndtr((edge - height) / 3.2), grid=grid)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=1)], fractions=3)
    ready = prepare_dose(dose, ball(6, (0, 0, 0)), course, alpha_beta_gy=ratio)
    point = np.zeros((1, 3))
    ready = replace(ready, lesions=(Points(inner=point, volume_cc=np.ones(1), surface=point),))
    positions = np.array([-far, 0.0, far])
    one_each = np.zeros((1, 3, 3, 3))
    one_each[..., 2] = positions[:, None]
    all_in_each = np.zeros((1, 3, 3, 3))
    all_in_each[..., 2] = positions
    for wave, truth in ((one_each, between), (all_in_each, within)):
        still = Part("none", "nothing", np.zeros((1, 3, 3)))
        drawn = Drawn(parts=(still,), wave_mm=wave, rotations_rad=None, time_s=None, samples=3)
        assert accumulated(ready, drawn)[0].dmin_gy == pytest.approx(truth, rel=2e-3)


def test_eqd2_of_a_course() -> None:
    """Without displacements it is the plan's EQD2; breathing costs less than EQD2 before motion would say."""
    ctv = ball(9, CENTRE)
    dose = pk.conformal_dose(pk.expand(ctv, pk.Margin.uniform(3)), 45.0)
    still = pk.simulate_dose(dose, ctv, pk.Course(setup=[pk.SetupError()], fractions=3), patients=3, alpha_beta_gy=3)
    planned = pk.dose_metrics(pk.eqd2(dose, 3, 3), ctv)
    assert still.quantity == "eqd2"
    assert still.prescription_gy == pytest.approx(45 * (1 + 15 / 3) / (1 + 2 / 3))
    for name in ("dmin", "d98", "mean"):
        assert still.metric(f"{name}_eqd2_gy") == pytest.approx(planned.value(name), rel=0.01)
        assert still.metric(name) == pytest.approx(still.planned[f"{name}_eqd2_gy"], rel=0.003)
    with pytest.raises(pk.DoseError, match="use one of dmin_eqd2_gy"):
        still.metric("dmin_gy")
    breathing = pk.Breathing.lujan(amplitude_mm=(0, 0, 20), inhale=(0, 0, -1), reference="time_mean")
    moving = pk.Course(breathing=breathing, fractions=3)
    moved = pk.simulate_dose(dose, ctv, moving, patients=4, alpha_beta_gy=3, seed=1).metric("dmin")
    physical = pk.simulate_dose(dose, ctv, moving, patients=4, seed=1).metric("dmin_gy")
    np.testing.assert_allclose(moved, physical * (1 + physical / 9) / (1 + 2 / 3), rtol=0.02)
    assert "EQD2" in " ".join(still.table()[0])


def test_a_plan_in_eqd2_is_not_accumulated() -> None:
    dose, ctv, course = case()
    for given in (pk.eqd2(dose, 12, 10), pk.bed(dose, 12, 10)):
        with pytest.raises(pk.DoseError, match="already; give the physical dose, and alpha_beta_gy"):
            pk.simulate_dose(given, ctv, course, patients=5)
    with pytest.raises(pk.DoseError, match="alpha_beta_gy"):
        pk.simulate_dose(dose, ctv, course, patients=5, alpha_beta_gy=0)


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("edge", "margin", "whole", "most"), [(0.65, 5.45768, 0.840750, 0.892781), (0.95, 6.951915, 0.844875, 0.975549)]
)
def test_prescribed_at_the_edge(edge: float, margin: float, whole: float, most: float) -> None:
    """A ball of 15 mm, many fractions: shares with a minimum dose of 100 % and 95 % of the surface's."""
    ctv = ball(15, CENTRE)
    dose = pk.conformal_dose(pk.expand(ctv, pk.Margin.uniform(margin)), 45.0, 3.2, edge, "edge")
    assert float(dose.values.max()) == pytest.approx(45 / edge, rel=1e-3)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2, random_mm=3)], fractions=300)
    found = pk.simulate_dose(dose, ctv, course, patients=1000, seed=4)
    assert found.probability("dmin>=1") == pytest.approx(whole, abs=0.03)
    assert found.probability("dmin>=0.95") == pytest.approx(most, abs=0.03)
