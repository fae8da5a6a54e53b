"""Histograms against closed forms: shifted spheres, linear gradients, partial volumes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptvkit as pk
from ptvkit.dose.metrics import metrics_of, unit_of
from ptvkit.dose.points import points_of
from ptvkit.geometry.grid import Grid
from tests.conftest import AXES
from tests.motion.bodies import ball

CENTRE = np.array([3.0, -5.0, 8.0])
SHIFTED = [
    (5, 1.0, 0.98285772, 0.99195156, 0.95),
    (8, 0.94787207, 0.89860270, 0.94783589, 0.76032663),
    (10, 0.88525391, 0.75644395, 0.85885173, 0.53281724),
]


def around(structure: pk.Region, spacing: float, axes: np.ndarray) -> Grid:
    """A dose grid around a structure, off its nodes."""
    low, high = structure.surface_points() @ axes, structure.surface_points() @ axes
    first, last = low.min(axis=0) - 7.3, high.max(axis=0) + 7.9
    shape = np.ceil((last - first) / spacing).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = axes @ first
    return Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)


@pytest.mark.parametrize(("away", "v95", "d98", "d95", "dmin"), SHIFTED)
def test_shifted_sphere(away: float, v95: float, d98: float, d95: float, dmin: float) -> None:
    ctv, ptv = ball(20, CENTRE), ball(25, CENTRE, AXES["oblique"])
    dose = pk.conformal_dose(ptv, 1.0)
    for direction in ((1, 0, 0), (0, -1, 0), (0.48, -0.6, 0.64)):
        found = pk.dose_metrics(dose, ctv, shift_mm=away * np.array(direction))
        assert found.volume_at(0.95) == pytest.approx(v95, abs=0.004)
        assert found.d98_gy == pytest.approx(d98, abs=0.005)
        assert found.d95_gy == pytest.approx(d95, abs=0.005)
        assert found.dmin_gy == pytest.approx(dmin, abs=0.008)


@pytest.mark.parametrize("axes", ["ras", "oblique"])
@pytest.mark.parametrize("spacing", [2.5, 3.3])
def test_linear_gradient_over_a_sphere(axes: str, spacing: float) -> None:
    """V = (1 − t)²(2 + t)/4, t from the centre; the gradient along a slant, the dose grid coarse."""
    radius, slope, middle = 16.0, 0.4, 30.0
    ctv = ball(radius, CENTRE)
    grid = around(ball(radius + 12, CENTRE), spacing, AXES[axes])
    direction = np.array([0.36, -0.48, 0.8])
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    dose = pk.Dose(values=middle + slope * ((points - CENTRE) @ direction), grid=grid)
    found = pk.dose_metrics(dose, ctv)
    scale = slope * radius
    assert found.d98_gy == pytest.approx(middle - 0.83192460 * scale, abs=0.005 * scale)
    assert found.d95_gy == pytest.approx(middle - 0.72929928 * scale, abs=0.005 * scale)
    assert found.d2_gy == pytest.approx(middle + 0.83192460 * scale, abs=0.005 * scale)
    assert found.dmin_gy == pytest.approx(middle - scale, abs=0.02 * scale)
    assert found.mean_gy == pytest.approx(middle, abs=0.002 * scale)
    for t in np.linspace(-0.9, 0.9, 7):
        assert found.volume_at(middle + t * scale) == pytest.approx((1 - t) ** 2 * (2 + t) / 4, abs=0.005)


def test_linear_gradient_across_a_cylinder() -> None:
    grid = Grid(shape=(60, 56, 50), affine=np.diag([1.0, 1.1, 1.2, 1.0]))
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - [29.3, 30.2, 29.6]
    level = np.maximum(np.hypot(points[..., 0], points[..., 1]) - 18, np.abs(points[..., 2]) - 20)
    ctv = pk.Region(level=level, grid=grid)
    found = pk.dose_metrics(pk.Dose(values=40 + 0.5 * points[..., 0], grid=grid), ctv)
    assert found.d98_gy == pytest.approx(40 - 0.89534110 * 9, abs=0.005 * 9)
    assert found.d95_gy == pytest.approx(40 - 0.80538364 * 9, abs=0.005 * 9)


@given(
    st.lists(st.tuples(st.floats(0.1, 80), st.floats(0.01, 3)), min_size=1, max_size=40),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_dose_and_volume_undo_each_other(parts: list[tuple[float, float]], a: float, b: float) -> None:
    doses, volumes = np.array(parts).T
    found = metrics_of("x", doses, volumes, doses[:1])
    low, high = sorted((a, b))
    assert found.dmin_gy <= found.dose_at(high) <= found.dose_at(low) <= found.dmax_gy
    level = found.dmin_gy + a * (found.dmax_gy - found.dmin_gy)
    assert 0 <= found.volume_at(level) <= 1
    assert found.volume_at(found.dmin_gy) == 1
    assert found.volume_at(found.dmax_gy * 1.01) == 0
    if len(set(doses)) == len(doses):
        assert found.dose_at(found.volume_at(level)) == pytest.approx(level, abs=1e-6 * found.dmax_gy)


def test_histogram_bins_say_the_same() -> None:
    rng = np.random.default_rng(3)
    doses, volumes = rng.normal(50, 4, 30_000), rng.uniform(0.5, 1.5, 30_000)
    exact = metrics_of("x", doses, volumes, doses[:5])
    binned = metrics_of("x", doses, volumes, doses[:5], bins=1000)
    for share in (0.02, 0.5, 0.95, 0.98):
        assert binned.dose_at(share) == pytest.approx(exact.dose_at(share), abs=0.02)
    assert (binned.dmin_gy, binned.dmax_gy, binned.mean_gy) == (exact.dmin_gy, exact.dmax_gy, exact.mean_gy)
    for level in (40, 50, 55):
        assert binned.volume_at(level) == pytest.approx(exact.volume_at(level), abs=3e-4)


def test_small_targets_take_35_mm3() -> None:
    """ICRU 91: a lesion of half a cc in a gradient; 35 mm³ are 6.5 % of it."""
    ctv = ball(5, CENTRE, spacing=(0.5, 0.5, 0.5))
    grid = around(ball(12, CENTRE), 2.0, np.eye(3))
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    found = pk.dose_metrics(pk.Dose(values=20 + 0.8 * (points[..., 2] - CENTRE[2]), grid=grid), ctv)
    assert found.volume_cc < 2
    share = 0.035 / (4 / 3 * np.pi * 0.125)
    t = next(x for x in np.linspace(1, -1, 20001) if (1 - x) ** 2 * (2 + x) / 4 >= share)
    assert found.near_max_gy == found.d35mm3_gy == pytest.approx(20 + 4 * t, abs=0.05)
    assert found.near_min_gy == found.d_less_35mm3_gy == pytest.approx(20 - 4 * t, abs=0.05)
    assert found.homogeneity == pytest.approx(2 * 0.8319 * 4 / 20, abs=0.005)
    large = pk.dose_metrics(pk.conformal_dose(ball(20), 10.0), ball(15))
    assert large.near_min_gy == large.d98_gy


def test_metrics_by_name() -> None:
    found = pk.dose_metrics(pk.conformal_dose(ball(20), 10.0), ball(18))
    assert found.value("D95%") == found.value("d 95 %") == found.d95_gy
    assert found.value("D95") == found.d95_gy
    assert found.value("V95") == found.volume_at(9.5)
    assert found.value("Dmean") == found.value("mean") == found.mean_gy
    assert found.value("D2cc") == found.dose_at_cc(2)
    assert found.value("D35mm3") == found.value("D35 mm³") == found.d35mm3_gy
    assert found.value("D(V-35mm3)") == found.d_less_35mm3_gy
    assert found.value("V9.5Gy") == pytest.approx(100 * found.volume_at(9.5))
    assert found.value("V9.5Gy_cc") == pytest.approx(found.volume_at_cc(9.5))
    assert [unit_of(name) for name in ("Dmax", "mean", "V20Gy", "V20Gy_cc", "D2cc")] == ["Gy", "Gy", "%", "cc", "Gy"]
    for wrong in ("D101%", "D101", "V101%", "dose", ""):
        with pytest.raises(pk.DoseError, match=r"there is none of that name; use one like Dmin, Dmax"):
            found.value(wrong)


def test_dose_that_does_not_reach_over_the_structure() -> None:
    grid = Grid(shape=(20, 40, 40), affine=np.diag([1.0, 1, 1, 1]) + np.array([[0, 0, 0, -17.0]] * 3 + [[0] * 4]))
    dose = pk.Dose(values=np.ones(grid.shape), grid=grid)
    with pytest.raises(pk.DoseError, match=r"does not cover .*: \d+\.\d\d cc \(\d+\.\d%\) lie outside its grid"):
        pk.dose_metrics(dose, ball(10))
    with pytest.raises(pk.DoseError, match="shift_mm"):
        pk.dose_metrics(dose, ball(3), shift_mm=(0, np.nan, 0))


def test_fewer_points_hold_the_same_volume() -> None:
    region = ball(15, CENTRE, AXES["oblique"])
    every, few = points_of(region), points_of(region, inner=3000, surface=500)
    assert few.volume_cc.sum() == pytest.approx(every.volume_cc.sum(), rel=1e-9)
    assert every.volume_cc.sum() == pytest.approx(4 / 3 * np.pi * 3.375, rel=0.01)
    for points in (every, few):
        centre = points.volume_cc @ points.inner / points.volume_cc.sum()
        np.testing.assert_allclose(centre, CENTRE, atol=0.1)  # points are drawn: 15 mm / √5 / √3000
        np.testing.assert_allclose(np.linalg.norm(points.surface - CENTRE, axis=1), 15, atol=0.05)
        assert np.linalg.norm(points.inner - CENTRE, axis=1).max() < 15.6  # a whole cell's point
    assert len(few.inner) < 5000
    assert 200 < len(few.surface) <= 500


def test_dvh_is_a_curve() -> None:
    doses, shares = pk.dvh(pk.conformal_dose(ball(20), 10.0), ball(18), step_gy=0.5)
    assert shares[0] == 1
    assert shares[-1] == 0
    assert (np.diff(shares) <= 0).all()
    np.testing.assert_allclose(np.diff(doses), 0.5)
