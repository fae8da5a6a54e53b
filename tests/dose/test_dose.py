"""Doses on grids, conformal doses, and prescriptions."""

import pickle

import numpy as np
import pytest
from scipy import special

import ptvkit as pk
from ptvkit.geometry.grid import Grid
from tests.conftest import AXES, affine_of
from tests.motion.bodies import ball

CENTRE = np.array([3.0, -5.0, 8.0])


def linear(grid: Grid, slope: tuple[float, float, float] = (0.3, -0.2, 0.5)) -> pk.Dose:
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return pk.Dose(values=points @ slope + 100, grid=grid)


@pytest.mark.parametrize("axes", sorted(AXES))
def test_sample_is_exact_at_the_nodes_and_smooth_between(axes: str) -> None:
    grid = Grid(shape=(9, 10, 11), affine=affine_of(AXES[axes]))
    rng = np.random.default_rng(1)
    rough = pk.Dose(values=rng.uniform(5, 9, grid.shape), grid=grid)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    np.testing.assert_allclose(rough.sample(grid.to_mm(index)), rough.values, atol=2e-5)
    ramp = linear(grid)
    inner = grid.to_mm(rng.uniform(3, 5.5, (200, 3)))  # a mirrored edge bends a ramp near it
    np.testing.assert_allclose(ramp.sample(inner), inner @ (0.3, -0.2, 0.5) + 100, atol=0.03)


def test_beyond_the_outer_faces_there_is_no_dose() -> None:
    dose = pk.Dose(values=np.full((5, 6, 7), 2.0), grid=Grid(shape=(5, 6, 7), affine=np.diag([2.0, 2.0, 3.0, 1.0])))
    inside = dose.sample([[-0.9, 0, 0], [8.9, 10.9, 19.4]])
    np.testing.assert_allclose(inside, 2.0, atol=1e-5)
    assert np.isnan(dose.sample([[-1.1, 0, 0], [9.1, 0, 0], [0, 0, 19.6]])).all()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros((5, 5, 5)), "is 0 everywhere"),
        (-np.ones((5, 5, 5)), "has no dose above 0"),
        (np.r_[[-0.01], np.ones(124)].reshape(5, 5, 5), "holds negative doses, down to -0.01 Gy"),
        (np.full((5, 5, 5), np.nan), "holds NaN"),
        (np.ones((5, 5, 4)), "differ in shape"),
    ],
)
def test_no_dose(values: np.ndarray, says: str) -> None:
    with pytest.raises(pk.DoseError, match=says):
        pk.Dose(values=values, grid=Grid(shape=(5, 5, 5), affine=np.eye(4)))


def test_a_slab_of_a_dose_is_refused() -> None:
    with pytest.raises(pk.DoseError, match="needs 4 or more"):
        pk.Dose(values=np.ones((9, 9, 3)), grid=Grid(shape=(9, 9, 3), affine=np.eye(4)))


def test_rounding_below_zero_counts_as_zero_and_the_array_stays() -> None:
    values = np.ones((5, 5, 5))
    values[0, 0, 0] = -1e-7
    dose = pk.Dose(values=values, grid=Grid(shape=(5, 5, 5), affine=np.eye(4)))
    assert dose.values.min() == 0
    assert values[0, 0, 0] == -1e-7
    assert pickle.loads(pickle.dumps(dose)).sample([2, 2, 2]) == pytest.approx(1.0)


@pytest.mark.parametrize("radius", [6.0, 20.0])
@pytest.mark.parametrize(("edge", "penumbra"), [(0.95, 3.2), (0.6, 2.0), (0.8, 6.4)])
def test_conformal_dose_follows_the_distance(radius: float, edge: float, penumbra: float) -> None:
    ptv = ball(radius, CENTRE, AXES["oblique"])
    dose = pk.conformal_dose(ptv, 20.0, penumbra, edge)
    rng = np.random.default_rng(2)
    away = rng.uniform(max(2.0, radius - 6), radius + 6, 4000)  # at the centre the distance has a ridge
    direction = rng.normal(size=(4000, 3))
    points = CENTRE + direction / np.linalg.norm(direction, axis=1, keepdims=True) * away[:, None]
    truth = 20 * special.ndtr(special.ndtri(edge) - (away - radius) / penumbra)
    error = dose.sample(points) - truth
    # the steepest fall is .4 of the dose for each penumbra; the surface is known to .1 mm
    assert np.abs(error).max() < 20 * 0.4 / penumbra * 0.12
    assert abs(error.mean()) < 0.01 * 20 / penumbra
    assert dose.prescription_gy == 20


def test_penumbra_in_each_direction() -> None:
    ptv = ball(20, CENTRE)
    dose = pk.conformal_dose(ptv, 1.0, pk.Margin(right=3, left=5, anterior=4, posterior=4, superior=6, inferior=2))
    for direction, width in (((1, 0, 0), 3), ((-1, 0, 0), 5), ((0, 1, 0), 4), ((0, 0, 1), 6), ((0, 0, -1), 2)):
        outside = CENTRE + (20.0 + 1.5 * width) * np.array(direction)
        assert dose.sample(outside) == pytest.approx(special.ndtr(special.ndtri(0.95) - 1.5), abs=0.012), direction
    slanted = CENTRE + 26.0 * np.array([0, 0.6, 0.8])
    width = np.hypot(0.6 * 4, 0.8 * 6)
    assert dose.sample(slanted) == pytest.approx(special.ndtr(special.ndtri(0.95) - 6 / width), abs=0.012)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prescription_gy": 0}, "prescription_gy"),
        ({"penumbra_mm": 0}, "penumbra_mm"),
        ({"penumbra_mm": (3, 3)}, "penumbra_mm"),
        ({"edge_level": 1.0}, "edge_level"),
        ({"edge_level": 0.3}, "edge_level"),
    ],
)
def test_conformal_dose_refuses(options: dict[str, object], says: str) -> None:
    with pytest.raises(pk.DoseError, match=says):
        pk.conformal_dose(ball(8), **({"prescription_gy": 10.0} | options))  # type: ignore[arg-type]


def test_prescribe_gives_the_share_its_dose() -> None:
    ptv = ball(15, CENTRE)
    dose = pk.prescribe(pk.conformal_dose(ptv, 3.0, edge_level=0.7), ptv, 22.8, covers=0.9)
    assert pk.dose_metrics(dose, ptv).dose_at(0.9) == pytest.approx(22.8, rel=1e-4)
    assert dose.prescription_gy == 22.8
    with pytest.raises(pk.DoseError, match="covers"):
        pk.prescribe(dose, ptv, 22.8, covers=0.0)


def test_an_isodose_that_is_never_reached() -> None:
    grid = Grid(shape=(60, 60, 60), affine=np.diag([2.0, 2, 2, 1]) + np.array([[0, 0, 0, -57.0]] * 3 + [[0] * 4]))
    values = np.zeros(grid.shape)
    values[:20] = 5.0
    with pytest.raises(pk.DoseError, match=r"90% of .* get no more than 0 Gy"):
        pk.prescribe(pk.Dose(values=values, grid=grid), ball(10), 20.0)
    with pytest.raises(pk.DoseError, match="nowhere the 20 Gy prescribed"):
        pk.conformity(pk.Dose(values=values, grid=grid), ball(10), 20.0)


def test_conformity_of_a_ball() -> None:
    """The 95 % isodose of a conformal dose is the PTV itself."""
    ptv = ball(15, CENTRE)
    found = pk.conformity(pk.conformal_dose(ptv, 1.0), ptv, 0.95)
    assert found.paddick == pytest.approx(1.0, abs=0.02)
    assert found.isodose_cc == pytest.approx(4 / 3 * np.pi * 3.375, rel=0.02)
    wide = pk.conformity(pk.conformal_dose(ball(20, CENTRE), 1.0), ptv, 0.95)
    assert wide.covered == 1
    assert wide.rtog == pytest.approx((20 / 15) ** 3, rel=0.02)
    assert wide.paddick == pytest.approx((15 / 20) ** 3, rel=0.02)
