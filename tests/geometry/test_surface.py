"""From a mask to a surface and back: the mask comes back, the volume stays, and the surface is near the true one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import CubicSpline

from benchmarks.surfaces import KINDS, sampled
from benchmarks.truth import level as true_level
from ptvkit.errors import MaskError
from ptvkit.geometry.components import lesions, parts
from ptvkit.geometry.extent import extent
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import natural_spline, region_from_mask
from tests.conftest import AXES

SPACINGS = [(1.0, 2.0, 3.0), (0.6, 0.6, 5.0), (1.0, 1.0, 1.0), (3.0, 2.5, 3.0)]


def affine_of(axes: str, spacing: tuple[float, float, float]) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * spacing
    affine[:3, 3] = (-31.0, 12.5, 4.0)
    return affine


def blobs(seed: int, shape: tuple[int, int, int], share: float) -> NDArray[np.bool_]:
    """Noise of one scale: separate voxels, touching parts, holes and thin walls."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.0, 1.5))
    array: NDArray[np.bool_] = field > np.quantile(field, 1 - share)
    return array


@given(
    seed=st.integers(0, 10_000), share=st.floats(0.005, 0.7), axes=st.sampled_from(sorted(AXES)), n=st.integers(0, 3)
)
def test_sampled_back_a_region_is_the_mask(seed: int, share: float, axes: str, n: int) -> None:
    array = blobs(seed, (14, 11, 9), share)
    mask = Mask.from_array(array, affine_of(axes, SPACINGS[n]))
    found = region_from_mask(mask).to_mask(mask.grid.box((-2, -2, -2), (15, 12, 10))).array
    np.testing.assert_array_equal(found[2:-2, 2:-2, 2:-2], array)
    assert found.sum() == array.sum()  # nothing beyond the image either


def shapes() -> dict[str, NDArray[np.bool_]]:
    i, j, k = np.indices((26, 24, 15)) - np.array([12, 11, 7]).reshape(3, 1, 1, 1)
    radius = np.sqrt(i**2 + j**2 + (2 * k) ** 2)
    ring = (np.abs(np.hypot(i, j) - 8) < 2.2) & (np.abs(k) < 2)
    cup = (radius < 10) & (radius > 6) & (k < 1)
    branch = (np.hypot(i, j) < 2.5) & (k <= 0) | (np.abs(k) < 1) & (np.abs(j - i) < 2) & (i > 0) & (i < 9)
    corner = np.zeros_like(ring)
    corner[5:9, 5:9, 5:7] = corner[9:13, 9:13, 7:9] = True
    one = np.zeros_like(ring)
    one[3, 4, 5] = True
    wall = np.zeros_like(ring)
    wall[6:20, 10, 3:12] = True
    return {
        "ring": ring,
        "cup": cup,
        "hollow": (radius < 10) & (radius > 6),
        "branch": branch,
        "touching corners": corner,
        "one voxel": one,
        "wall of one voxel": wall,
    }


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 2.0), (1.0, 1.2, 5.0)])
@pytest.mark.parametrize("name", shapes())
def test_concave_and_small_shapes_keep_volume_and_parts(name: str, spacing: tuple[float, float, float]) -> None:
    array = shapes()[name]
    mask = Mask.from_array(array, affine_of("lps", spacing))
    region = region_from_mask(mask)
    # the voxels' volume is what the surface is moved to hold; the least level at voxel centres may keep it from that
    assert region.volume_cc == pytest.approx(mask.volume_cc, rel=0.12 if name == "wall of one voxel" else 0.05)
    assert len(parts(region)) == len(lesions(mask)) + (name == "touching corners")
    outside = ndimage.label(~np.pad(region.level < 0, 1))[1]
    assert outside == ndimage.label(~np.pad(array, 1))[1]  # holes stay holes


@pytest.mark.parametrize("kind", sorted(AXES))
def test_axes_and_order_change_nothing(kind: str) -> None:
    """The same voxels told by another affine, or in another memory order, give the same surface in the patient."""
    array = blobs(5, (15, 13, 11), 0.2)
    mask = Mask.from_array(array, affine_of(kind, (1.0, 2.0, 3.0)))
    expected = extent(region_from_mask(mask))
    flipped = Grid(shape=array.shape, affine=mask.grid.affine)
    back = np.diag([-1.0, 1.0, 1.0, 1.0])
    back[0, 3] = array.shape[0] - 1
    moved = flipped.affine @ back
    order = [2, 0, 1, 3]
    for other, affine in (
        (np.asfortranarray(array), mask.grid.affine),
        (array[::-1], moved),
        (array.transpose(2, 0, 1), mask.grid.affine[:, order]),
    ):
        found = extent(region_from_mask(Mask.from_array(other, affine)))
        # the six tetrahedra of a cell lie along one diagonal, so that flipped volumes differ a little
        assert found == pytest.approx(expected, abs=0.01)


def test_a_box_ends_half_a_slice_beyond_its_last_slice() -> None:
    array = np.zeros((60, 50, 16), bool)
    array[15:45, 12:38, 5:11] = True
    for thick in (2.0, 3.0, 5.0):
        mask = Mask.from_array(array, np.diag([1.0, 1.0, thick, 1.0]))
        reach, faces = extent(region_from_mask(mask)), extent(mask)
        for letter in "SI":
            assert reach[letter] == pytest.approx(faces[letter], abs=0.15 * thick)


def test_an_empty_mask_is_refused_by_name() -> None:
    with pytest.raises(MaskError, match="the tumour: is empty"):
        region_from_mask(Mask.from_array(np.zeros((4, 5, 6), bool), np.eye(4), name="the tumour"))


LIMITS = {1.0: (0.05, 0.20), 3.0: (0.08, 0.35), 5.0: (0.15, 0.65)}
"""Mean and 95th percentile of the surface's error, mm, by slice thickness."""


@pytest.mark.statistics
@pytest.mark.parametrize("slice_mm", LIMITS)
def test_surface_error(slice_mm: float) -> None:
    rng = np.random.default_rng(17)
    means, p95 = [], []
    for make in list(KINDS.values())[:3]:
        for _ in range(10):
            case = make(rng)
            points = region_from_mask(sampled(case, slice_mm, rng)).surface_points()
            errors = true_level(case, (0.0,) * 6, points)
            means.append(errors.mean())
            p95.append(np.percentile(np.abs(errors), 95))
    mean, spread = LIMITS[slice_mm]
    assert abs(np.mean(means)) < mean
    assert np.abs(means).max() < 2.5 * mean
    assert np.mean(p95) < spread


@pytest.mark.parametrize(("nodes", "factor"), [(2, 3), (3, 2), (9, 5), (40, 3)])
def test_natural_spline_is_the_one_through_the_nodes(nodes: int, factor: int) -> None:
    at = np.arange((nodes - 1) * factor + 1) / factor
    expected = CubicSpline(np.arange(nodes), np.eye(nodes), bc_type="natural")(at)
    np.testing.assert_allclose(natural_spline(nodes, at), expected, atol=1e-14)
