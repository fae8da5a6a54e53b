"""Every point of an ellipsoid moved one by one through a capsule, whose distance is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import qmc

import ptvkit as pk
from ptvkit.geometry.grid import Grid
from ptvkit.motion.course import Course, sample_course
from ptvkit.motion.coverage import centroid, prepare
from ptvkit.motion.drawn import Drawn
from tests.conftest import AXES

Floats = NDArray[np.float64]
CENTRE = np.array([31.0, -12.0, 7.0])
TILT = AXES["oblique"]
AXES_MM = np.array([7.0, 9.0, 15.0])
HALF_MM, RADIUS_MM = 8.0, 12.0


def lattice(half_mm: float) -> tuple[Grid, Floats]:
    """A grid around the centre, not aligned with it, and its nodes from the centre."""
    affine = np.diag([0.45, 0.5, 0.6, 1.0])
    shape = np.ceil(2 * half_mm / np.diag(affine)[:3]).astype(int)
    affine[:3, 3] = CENTRE - np.diag(affine)[:3] * ((shape - 1) / 2 + [0.3, -0.2, 0.4])
    grid = Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)
    return grid, grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - CENTRE


def ellipsoid() -> pk.Region:
    grid, points = lattice(21.0)
    scaled = points @ TILT / AXES_MM
    length = np.linalg.norm(scaled, axis=-1)
    slope = np.linalg.norm(scaled / AXES_MM, axis=-1) / np.maximum(length, 1e-9)
    return pk.Region(level=((length - 1) / np.maximum(slope, 1e-3)).astype(np.float32), grid=grid)


def beyond(points: Floats) -> Floats:
    """Signed distance (...) of points (..., 3), from the centre, to the capsule."""
    along = points @ TILT[:, 2]
    nearest = np.clip(along, -HALF_MM, HALF_MM)[..., None] * TILT[:, 2]
    found: Floats = np.linalg.norm(points - nearest, axis=-1) - RADIUS_MM
    return found


def capsule() -> pk.Region:
    grid, points = lattice(26.0)
    return pk.Region(level=beyond(points).astype(np.float32), grid=grid)


def cloud() -> tuple[Floats, Floats]:
    """Points spread evenly over the volume, and points on the surface, of the ellipsoid, from its centre."""
    cube = 2 * qmc.Sobol(3, seed=1).random_base2(16) - 1
    volume = cube[np.linalg.norm(cube, axis=1) <= 1]
    count = np.arange(12_000) + 0.5
    height, turn = 1 - 2 * count / len(count), count * np.pi * (3 - 5**0.5)
    flat = np.sqrt(1 - height**2)
    surface = np.column_stack([flat * np.cos(turn), flat * np.sin(turn), height])
    return volume * AXES_MM @ TILT.T, surface * AXES_MM @ TILT.T


def one_by_one(drawn: Drawn) -> tuple[Floats, Floats]:
    """Covered share and depth (patients, fractions, samples)."""
    volume, surface = cloud()
    shifts = drawn.shifts_mm
    covered, depth = np.empty(shifts.shape[:3]), np.empty(shifts.shape[:3])
    for at in np.ndindex(shifts.shape[:3]):
        turn = np.eye(3) if drawn.turns is None else drawn.turns[at[:2]]
        covered[at] = (beyond(volume @ turn.T + shifts[at]) <= 0).mean()
        depth[at] = beyond(surface @ turn.T + shifts[at]).max()
    return covered, depth


@pytest.mark.parametrize("turn_deg", [0.0, 6.0])
def test_points_moved_one_by_one(turn_deg: float) -> None:
    ctv, ptv = ellipsoid(), capsule()
    np.testing.assert_allclose(centroid(ctv), CENTRE, atol=0.02)
    error = pk.SetupError(systematic_mm=(3, 4, 5), random_mm=2, systematic_deg=turn_deg, random_deg=turn_deg / 2)
    breathing = pk.Breathing.lujan(amplitude_mm=(1, 4, 12), inhale=(1, 1, -1), reference="time_mean", lag=(0, 0.2, 0))
    course = Course(setup=[error], breathing=breathing, fractions=2)
    drawn = sample_course(course, patients=5, seed=3, samples=4, centre_mm=CENTRE)
    found = prepare(ctv, ptv, course).figures(drawn, np.ones((5, 2), bool))[0]
    covered, depth = (one.reshape(10, 4) for one in one_by_one(drawn))
    np.testing.assert_allclose(found.covered, covered, atol=0.003)
    out = depth > 0
    assert 0.2 < out.mean() < 0.95
    assert np.abs(found.depth_mm - depth)[out].mean() < 0.1
    assert np.abs(found.depth_mm - depth)[out].max() < 0.25
