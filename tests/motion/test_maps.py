"""Maps of probability."""

import numpy as np
import pytest
from scipy import stats

import ptvkit as pk
from ptvkit.motion.maps import probability_maps
from tests.conftest import AXES
from tests.motion.bodies import ball

WAVE = pk.Breathing.lujan(amplitude_mm=(0, 3, 12), inhale=(0, 1, -1), reference="exhale")


@pytest.mark.statistics
@pytest.mark.parametrize("axes", ["las", "oblique"])
def test_maps_of_a_gaussian_are_blurred_balls(axes: str) -> None:
    """Occupancy of a ball of radius a under an isotropic Gaussian s: oracle 4.5; and the PTV's, correlated."""
    ctv, ptv = ball(15.0, axes=AXES[axes]), ball(20.0)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=3.2, random_mm=0)])
    maps = probability_maps(ctv, ptv, course, patients=40_000, seed=1)
    assert maps.poses == 40_000
    centre = np.array([3.0, -5.0, 8.0])
    towards = AXES["oblique"].T
    for radius in (0.0, 10.0, 14.0, 20.0):
        points = np.vstack([centre + radius * towards, centre - radius * towards])
        index = np.rint(maps.grid.to_index(points)).astype(int)
        at = np.linalg.norm(maps.grid.to_mm(index) - centre, axis=1)
        expected = [blurred(15.0, 3.2, r) for r in at]
        np.testing.assert_allclose(maps.occupied[tuple(index.T)], expected, atol=0.03)
        if radius < 14:
            expected = [blurred(20.0, 3.2, r) for r in at]
            np.testing.assert_allclose(maps.inside_ptv[tuple(index.T)], expected, atol=0.03)
    assert np.isnan(maps.inside_ptv[tuple(np.rint(maps.grid.to_index(centre + [0, 0, 17])).astype(int))])
    # what is occupied, on average, is the target's volume
    total = maps.occupied.sum(dtype=float) * maps.grid.voxel_volume_mm3 / 1000
    assert total == pytest.approx(ctv.volume_cc, rel=0.005)


def blurred(a: float, s: float, r: float) -> float:
    """P(a point at r lies within a ball of radius a that is displaced by an isotropic Gaussian of SD s)."""
    return float(stats.ncx2.cdf((a / s) ** 2, 3, (r / s) ** 2))


def test_blurred_ball_is_the_oracles() -> None:
    assert blurred(15, 3.2, 10) == pytest.approx(0.9032518335, abs=1e-9)
    assert blurred(25, 4, 20) == pytest.approx(0.8578204093, abs=1e-9)


def test_maps_keep_the_direction_of_motion() -> None:
    """Breathing from exhale occupies space inferior and anterior of the planned target, never superior."""
    ctv = ball(10.0)
    maps = probability_maps(ctv, ball(12.0), pk.Course(breathing=WAVE), patients=50, seed=1, samples=40)
    index = np.argwhere(maps.occupied > 0.02)
    reach = maps.grid.to_mm(index) - [3.0, -5.0, 8.0]
    assert reach[:, 2].min() < -18
    assert reach[:, 2].max() < 11.5
    assert reach[:, 1].max() > 11
    lower = maps.grid.to_index([3.0, -5.0, 8.0 - 9.0])
    upper = maps.grid.to_index([3.0, -5.0, 8.0 + 8.0])
    share = [maps.inside_ptv[tuple(np.rint(at).astype(int))] for at in (lower, upper)]
    assert share[0] < 0.75 < 0.95 < share[1]


def test_maps_of_rotations_agree_with_translations_when_they_are_tiny() -> None:
    ctv, ptv = ball(14.0), ball(18.0)
    plain, turned = (
        probability_maps(
            ctv, ptv, pk.Course(setup=[pk.SetupError(systematic_mm=3, systematic_deg=angle)]), patients=512, seed=2
        )
        for angle in (0.0, 1e-5)
    )
    assert turned.poses == 400
    for field in ("occupied", "inside_ptv"):
        a = getattr(plain, field)
        points = plain.grid.to_index(turned.grid.to_mm(np.argwhere(np.isfinite(getattr(turned, field)))))
        index = np.rint(points).astype(int)
        inside = ((index >= 0) & (index < a.shape)).all(axis=1)
        b = getattr(turned, field)[np.isfinite(getattr(turned, field))][inside]
        other = a[tuple(index[inside].T)]
        both = np.isfinite(other)
        assert np.abs(b[both] - other[both]).mean() < 0.02
        assert np.abs(b[both] - other[both]).max() < 0.12  # six standard errors of a share of 400
