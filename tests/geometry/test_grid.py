"""The grid: which affines it takes, where its voxels are, and the grids that are made from it."""

from itertools import product

import hypothesis.strategies as st
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.errors import GridError
from ptvkit.geometry.grid import SHEAR_TOLERANCE, Grid

ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
CORNERS = np.array(list(product((0, 1), repeat=3)))


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Grids of any size, spacing, order, flips, rotation and place."""
    order = draw(st.sampled_from(ORDERS))
    signs = draw(st.tuples(*[st.sampled_from([1.0, -1.0])] * 3))
    degrees = draw(st.tuples(*[st.floats(-60, 60)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.3, 6)] * 3))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ (np.eye(3)[list(order)] * signs)
    affine[:3, :3] *= spacing
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    shape = draw(st.tuples(*[st.integers(1, 12)] * 3))
    return Grid(shape=shape, affine=affine)


def sheared(cosine: float) -> NDArray[np.float64]:
    """1×2×3 mm voxels whose first two axes have this cosine."""
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[:3, 1] = 2.0 * np.array([cosine, np.sqrt(1 - cosine**2), 0.0])
    return affine


def faces(grid: Grid) -> NDArray[np.float64]:
    """Corners (8, 3) of the box that the outer voxel faces make, mm."""
    return grid.to_mm(CORNERS * grid.shape - 0.5)


# What is taken and what is refused


def test_any_right_angled_affine_is_taken(any_grid: Grid) -> None:
    assert any_grid.shape == (7, 9, 11)
    assert any_grid.spacing_mm == pytest.approx((1, 2, 3), abs=1e-12)
    assert any_grid.voxel_volume_mm3 == pytest.approx(6, abs=1e-12)
    assert any_grid.size == 7 * 9 * 11
    assert any_grid.codes == nib.aff2axcodes(any_grid.affine)


def test_clinical_axes_have_their_letters(grid: Grid) -> None:
    assert grid.codes == ("L", "P", "S")


def test_an_affine_with_a_gantry_tilt_is_refused_with_its_angle() -> None:
    with pytest.raises(GridError, match=r"sheared \(array axes 80\.00° apart.*resample"):
        Grid(shape=(7, 9, 11), affine=sheared(np.cos(np.radians(80))))


def test_shear_is_refused_beyond_the_tolerance_and_taken_within() -> None:
    Grid(shape=(7, 9, 11), affine=sheared(0.9 * SHEAR_TOLERANCE))
    with pytest.raises(GridError, match="sheared"):
        Grid(shape=(7, 9, 11), affine=sheared(1.1 * SHEAR_TOLERANCE))


def test_a_voxel_without_extent_is_singular() -> None:
    with pytest.raises(GridError, match="singular"):
        Grid(shape=(7, 9, 11), affine=np.diag([1.0, 0.0, 3.0, 1.0]))


def test_two_axes_along_each_other_are_singular() -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[:3, 1] = (2.0, 0.0, 0.0)
    with pytest.raises(GridError, match="singular"):
        Grid(shape=(7, 9, 11), affine=affine)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e7])
@pytest.mark.parametrize("at", [(0, 0), (1, 3), (2, 1)])
def test_an_affine_that_is_not_finite_or_far_away_is_refused(bad: float, at: tuple[int, int]) -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[at] = bad
    with pytest.raises(GridError, match="finite 4×4"):
        Grid(shape=(7, 9, 11), affine=affine)


def test_an_affine_of_another_shape_is_refused() -> None:
    with pytest.raises(GridError, match="4×4"):
        Grid(shape=(7, 9, 11), affine=np.eye(3))


def test_a_transposed_affine_is_refused(grid: Grid) -> None:
    with pytest.raises(GridError, match="last row"):
        Grid(shape=(7, 9, 11), affine=grid.affine.T)


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 11, 1), (7, 0, 11), (7, -9, 11), (7, 9.5, 11), ()])
def test_a_shape_that_is_not_three_positive_integers_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(GridError, match="three positive sizes"):
        Grid(shape=shape, affine=np.diag([1.0, 2.0, 3.0, 1.0]))


def test_the_affine_is_a_copy_that_cannot_be_written() -> None:
    given_affine = np.diag([1.0, 2.0, 3.0, 1.0])
    grid = Grid(shape=(7, 9, 11), affine=given_affine)
    given_affine[0, 0] = 5
    assert grid.spacing_mm == (1, 2, 3)
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 5


# Where the voxels are


def test_a_known_place() -> None:
    affine = np.array([[0, 0, -3, 10], [1, 0, 0, 20], [0, 2, 0, 30], [0, 0, 0, 1]], float)
    grid = Grid(shape=(7, 9, 11), affine=affine)
    assert grid.codes == ("A", "S", "L")
    assert grid.to_mm([4, 5, 6]).tolist() == [10 - 18, 20 + 4, 30 + 10]
    assert grid.to_index([10 - 18, 20 + 4, 30 + 10]) == pytest.approx([4, 5, 6], abs=1e-12)


@given(grid=grids())
def test_one_step_along_an_array_axis_is_one_spacing_along_its_unit_vector(grid: Grid) -> None:
    steps = grid.to_mm(np.eye(3)) - grid.to_mm(np.zeros(3))
    np.testing.assert_allclose(steps, (grid.axes * grid.spacing_mm).T, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), grid.spacing_mm, atol=1e-9)
    np.testing.assert_allclose(grid.axes.T @ grid.axes, np.eye(3), atol=1e-9)


@given(grid=grids(), index=st.tuples(*[st.floats(-20, 20)] * 3))
def test_index_of_a_place_of_an_index(grid: Grid, index: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(grid.to_index(grid.to_mm(index)), index, atol=1e-6)
    np.testing.assert_allclose(grid.to_mm(index), nib.affines.apply_affine(grid.affine, index), atol=1e-9)


def test_places_of_many_indices_keep_their_leading_axes(any_grid: Grid) -> None:
    index = np.moveaxis(np.indices(any_grid.shape), 0, -1)
    places = any_grid.to_mm(index)
    assert places.shape == (7, 9, 11, 3)
    np.testing.assert_allclose(places[2, 3, 4], any_grid.affine[:3] @ [2, 3, 4, 1], atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_relabelling_the_array_axes_relabels_spacing_codes_and_places(
    any_grid: Grid, order: tuple[int, int, int]
) -> None:
    other = Grid(
        shape=tuple(np.take(any_grid.shape, order)),
        affine=np.column_stack([any_grid.affine[:, :3][:, order], any_grid.affine[:, 3]]),
    )
    assert other.spacing_mm == tuple(np.take(any_grid.spacing_mm, order))
    assert other.codes == tuple(any_grid.codes[axis] for axis in order)
    index = np.array([2.0, 3.0, 4.0])
    np.testing.assert_allclose(other.to_mm(index[list(order)]), any_grid.to_mm(index), atol=1e-12)


def test_only_axes_along_the_patients_are_aligned(any_grid: Grid) -> None:
    straight = np.isclose(np.abs(any_grid.axes), 0) | np.isclose(np.abs(any_grid.axes), 1)
    assert any_grid.is_aligned() == bool(straight.all())
    assert any_grid.is_aligned(any_grid.axes)


def test_a_grid_is_aligned_to_a_hundredth_of_a_degree_or_not_at_all() -> None:
    for degrees, aligned in ((0.001, True), (0.01, False), (90.0, True), (45.0, False)):
        affine = np.eye(4)
        affine[:3, :3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix() * (1, 2, 3)
        assert Grid(shape=(7, 9, 11), affine=affine).is_aligned() is aligned


# Grids made from a grid


@given(grid=grids(), factors=st.tuples(*[st.integers(1, 5)] * 3))
def test_refining_keeps_every_voxel_centre(grid: Grid, factors: tuple[int, int, int]) -> None:
    fine = grid.refined(factors)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    np.testing.assert_allclose(fine.to_mm(index * factors), grid.to_mm(index), atol=1e-9)
    assert fine.shape == tuple((n - 1) * k + 1 for n, k in zip(grid.shape, factors, strict=True))
    np.testing.assert_allclose(np.multiply(fine.spacing_mm, factors), grid.spacing_mm, rtol=1e-12)


@given(grid=grids(), spacing=st.tuples(*[st.floats(0.2, 8)] * 3))
def test_resampling_keeps_the_outer_faces(grid: Grid, spacing: tuple[float, float, float]) -> None:
    new = grid.resampled(spacing)
    np.testing.assert_allclose(faces(new), faces(grid), atol=1e-9)
    np.testing.assert_allclose(new.axes, grid.axes, atol=1e-9)


@given(grid=grids(), spacing=st.tuples(*[st.floats(0.2, 8)] * 3))
def test_resampling_takes_the_number_of_voxels_nearest_to_the_spacing_asked(
    grid: Grid, spacing: tuple[float, float, float]
) -> None:
    for size, step, n, asked in zip(grid.shape, grid.spacing_mm, grid.resampled(spacing).shape, spacing, strict=True):
        assert n >= 1
        assert abs(n - size * step / asked) <= 0.5 + 1e-9 or n == 1


def test_resampling_to_the_same_spacing_is_the_same_grid(any_grid: Grid) -> None:
    assert any_grid.resampled(any_grid.spacing_mm).matches(any_grid)


@given(grid=grids(), low=st.tuples(*[st.integers(-9, 9)] * 3), size=st.tuples(*[st.integers(1, 9)] * 3))
def test_a_box_holds_the_same_voxels_also_beyond_the_grid(
    grid: Grid, low: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    high = [a + n - 1 for a, n in zip(low, size, strict=True)]
    box = grid.box(low, high)
    assert box.shape == size
    np.testing.assert_allclose(box.to_mm(np.zeros(3)), grid.to_mm(low), atol=1e-9)
    np.testing.assert_allclose(box.to_mm(np.subtract(size, 1)), grid.to_mm(high), atol=1e-9)
    assert box.offset_in(grid) == low
    assert grid.offset_in(box) == tuple(-a for a in low)


def test_grids_off_each_others_lattice_have_no_offset(any_grid: Grid) -> None:
    half = Grid(shape=any_grid.shape, affine=any_grid.affine @ nib.affines.from_matvec(np.eye(3), [0, 0.5, 0]))
    flipped = Grid(shape=any_grid.shape, affine=any_grid.affine @ np.diag([-1.0, 1.0, 1.0, 1.0]))
    for other in (half, flipped, any_grid.refined((1, 1, 2)), any_grid.resampled((1.1, 2, 3))):
        assert other.offset_in(any_grid) is None
        assert any_grid.offset_in(other) is None


# Whether two grids are one


def moved(grid: Grid, voxels: float, axis: int) -> Grid:
    shift = np.zeros(3)
    shift[axis] = voxels
    return Grid(shape=grid.shape, affine=grid.affine @ nib.affines.from_matvec(np.eye(3), shift))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_grids_match_to_a_thousandth_of_a_voxel(any_grid: Grid, axis: int) -> None:
    assert any_grid.matches(moved(any_grid, 5e-4, axis))
    assert not any_grid.matches(moved(any_grid, 2e-3, axis))
    assert not any_grid.matches(moved(any_grid, 1, axis))


def test_a_grid_in_single_precision_still_matches(any_grid: Grid) -> None:
    assert any_grid.matches(Grid(shape=any_grid.shape, affine=any_grid.affine.astype(np.float32)))


@pytest.mark.parametrize("shape", [(7, 9, 12), (9, 7, 11), (7, 11, 9)])
def test_grids_of_different_shape_do_not_match(any_grid: Grid, shape: tuple[int, int, int]) -> None:
    assert not any_grid.matches(Grid(shape=shape, affine=any_grid.affine))


def test_a_spacing_that_adds_up_to_a_shift_at_the_far_end_does_not_match(grid: Grid) -> None:
    affine = np.array(grid.affine)
    affine[:3, 2] *= 1 + 2e-4  # a fifth of a thousandth per slice, 2 thousandths at the last
    assert not grid.matches(Grid(shape=grid.shape, affine=affine))


def test_grids_with_axes_exchanged_do_not_match_although_a_cube_would_hide_it() -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    exchanged = affine[:, [1, 0, 2, 3]]
    assert not Grid(shape=(5, 5, 5), affine=affine).matches(Grid(shape=(5, 5, 5), affine=exchanged))
