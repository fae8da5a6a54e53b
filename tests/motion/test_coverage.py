"""Coverage and depth against two spheres; targets and PTVs that do not fit are refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.errors import MaskError, MotionError, PtvkitWarning
from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.motion.course import Course
from ptvkit.motion.coverage import prepare
from ptvkit.motion.lookup import lookup_of
from ptvkit.motion.setup import SetupError
from tests.conftest import AXES
from tests.motion.bodies import ball, ball_mask

STILL = Course(setup=[SetupError(systematic_mm=2)])
TWO_SPHERES = [
    (20, 5, 6, 0.9922148438),
    (20, 5, 8, 0.9478720703),
    (20, 5, 10, 0.8852539062),
    (10, 5, 8, 0.8782890625),
    (10, 3, 5, 0.9234000000),
]


def directions(count: int, seed: int = 1) -> NDArray[np.float64]:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    found: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return found


@pytest.mark.parametrize(("radius", "margin", "distance", "covered"), TWO_SPHERES)
def test_two_spheres_from_masks(radius: float, margin: float, distance: float, covered: float) -> None:
    ctv = pk.region_from_mask(ball_mask(radius))
    ptv = pk.expand(ctv, pk.Margin.uniform(margin))
    shifts = directions(300) * distance
    found = pk.coverage(ctv, ptv, shifts)
    assert found.mean() == pytest.approx(covered, abs=0.002)
    # single directions also feel that voxels of 1×1×2 mm are not quite a ball
    assert np.quantile(np.abs(found - covered), 0.95) < 0.006


@pytest.mark.parametrize("axes", sorted(AXES))
def test_two_spheres_on_any_axes(axes: str) -> None:
    """Table and direct sampling, coverage and depth, on oblique and flipped lattices, the PTV on another one."""
    ctv, ptv = ball(14.0, axes=AXES[axes]), ball(19.0, spacing=(1.1, 0.9, 1.0))
    shifts = np.vstack([directions(60) * 8, directions(60, 2) * 12])
    fit = lookup_of(ctv, ptv, np.full(3, -13.0), np.full(3, 13.0))
    exact = np.repeat([two_spheres(14, 19, 8), two_spheres(14, 19, 12)], 60)
    for found in (fit.translated(shifts), fit.posed(shifts)):
        np.testing.assert_allclose(found.covered, exact, atol=0.005)
        np.testing.assert_allclose(found.depth_mm, np.repeat([3.0, 7.0], 60), atol=0.17)
    beyond = fit.translated(shifts * 2)  # beyond the tables: worked out one by one
    np.testing.assert_allclose(beyond.depth_mm, np.repeat([11.0, 19.0], 60), atol=0.17)


def two_spheres(r: float, big: float, d: float) -> float:
    if d <= big - r:
        return 1.0
    lens = np.pi * (big + r - d) ** 2 * (d**2 + 2 * d * (big + r) - 3 * (big - r) ** 2) / (12 * d)
    return float(lens / (4 / 3 * np.pi * r**3))


@pytest.mark.parametrize("letter", list(DIRECTIONS))
def test_the_side_is_that_of_the_shift(letter: str) -> None:
    fit = lookup_of(ball(10.0), ball(13.0), np.full(3, -9.0), np.full(3, 9.0))
    shift = np.zeros((1, 3))
    shift[0, DIRECTIONS[letter].axis] = 7.0 * DIRECTIONS[letter].sign
    shift += [0.4, -0.3, 0.2]
    for found in (fit.translated(shift), fit.posed(shift)):
        assert list(DIRECTIONS)[found.side[0]] == letter


def test_rotation_about_the_centroid_of_a_long_target() -> None:
    """A capsule 60 mm long, turned by φ: its end, 30 mm from the middle, moves by the chord 2·30·sin(φ/2)."""
    from ptvkit.geometry.grid import Grid

    affine = np.diag([1.0, 1.0, 1.2, 1.0])
    affine[:3, 3] = [-15.2, -14.7, -48.1]
    grid = Grid(shape=(31, 31, 80), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    axis = np.clip(points[..., 2], -30, 30)[..., None] * [0, 0, 1]
    distance = np.linalg.norm(points - axis, axis=-1)
    ctv = pk.Region(level=(distance - 6).astype(np.float32), grid=grid)
    ptv = pk.Region(level=(distance - 8).astype(np.float32), grid=grid)
    fit = lookup_of(ctv, ptv, np.full(3, -5.0), np.full(3, 5.0), tables=False)
    angle = np.radians(10.0)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    found = fit.posed(np.zeros((1, 3)), turn[None], np.zeros(3))
    # the end's middle lies 30·sin φ beside the axis: the tip reaches 6 mm further, the PTV 8
    assert found.depth_mm[0] == pytest.approx(30 * np.sin(angle) + 6 - 8, abs=0.15)
    samples = np.argwhere(ctv.level < 0)
    turned = ctv.grid.to_mm(samples) @ turn.T
    assert found.covered[0] == pytest.approx((ptv.sample(turned) < 0).mean(), abs=0.01)


def test_coverage_of_shapes_and_shifts() -> None:
    ctv, ptv = ball(8.0), ball(12.0)
    assert pk.coverage(ctv, ptv, [0, 0, 0]).shape == ()
    assert pk.coverage(ctv, ptv, np.zeros((0, 3))).shape == (0,)
    assert pk.coverage(ctv, ptv, np.zeros((2, 4, 3))).shape == (2, 4)
    np.testing.assert_allclose(pk.coverage(ctv, ptv, [[0, 0, 0], [300, 0, 0], [0, -40, 0]]), [1, 0, 0], atol=1e-6)
    for wrong in ([1, 2], [[np.nan, 0, 0]], 3.0):
        with pytest.raises(MotionError, match="shifts_mm"):
            pk.coverage(ctv, ptv, wrong)


def test_larger_ptvs_cover_more() -> None:
    ctv = ball(9.0)
    shifts = np.random.default_rng(3).normal(size=(400, 3)) * 5
    small, large = (pk.coverage(ctv, pk.expand(ctv, pk.Margin.uniform(m)), shifts) for m in (3, 6))
    assert (large >= small - 1e-3).all()
    assert large.mean() > small.mean()


def test_lesions_are_prepared_apart() -> None:
    two = pk.union(ball(6.0, (-20, 0, 0)), ball(9.0, (20, 3, 5)))
    ready = prepare(two, pk.expand(two, pk.Margin.uniform(5)), STILL)
    assert ready.names == ("lesion 1", "lesion 2")
    np.testing.assert_allclose(ready.volumes_cc, [4 / 3 * np.pi * 0.729, 4 / 3 * np.pi * 0.216], rtol=0.02)
    weights = np.array([9.0**3, 6.0**3])
    expected = (weights @ [[20, 3, 5], [-20, 0, 0]]) / weights.sum()
    np.testing.assert_allclose(ready.centre_mm, expected, atol=0.15)


def test_a_target_outside_its_ptv_is_refused() -> None:
    with pytest.raises(MotionError, match=r"the CTV lies outside the PTV by 4\.\d mm \(A\) before any displacement"):
        prepare(ball(10.0, (0, 4, 0)), ball(10.0, (0, 0, 0)), STILL)
    with pytest.raises(MotionError, match="not exchanged"):
        prepare(ball(14.0), ball(10.0), STILL)
    with pytest.warns(PtvkitWarning, match="misses up to that depth"):
        prepare(ball(10.6), ball(10.0), STILL)


def test_nothing_to_cover() -> None:
    empty = pk.Mask.from_array(np.zeros((7, 9, 11), bool), np.diag([1.0, 2, 3, 1]), name="none.nii")
    with pytest.raises(MaskError, match=r"none\.nii: is empty"):
        prepare(empty, ball(5.0), STILL)
    with pytest.raises(MaskError, match=r"none\.nii: is empty"):
        pk.coverage(ball(5.0), empty, [[0, 0, 0]])
