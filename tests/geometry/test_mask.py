"""The mask: what arrays it takes, what it leaves alone, and its bounding box."""

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from ptvkit.errors import GridError, MaskError
from ptvkit.geometry.grid import Grid, Triple
from ptvkit.geometry.mask import Mask

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
LAYOUTS = {
    "C order": lambda array: np.ascontiguousarray(array),
    "Fortran order": lambda array: np.asfortranarray(array),
    "axes exchanged": lambda array: np.ascontiguousarray(array.transpose(1, 2, 0)).transpose(2, 0, 1),
    "every other voxel of a larger array": lambda array: np.repeat(np.repeat(array, 2, axis=0), 3, axis=2)[::2, :, ::3],
    "backwards": lambda array: np.ascontiguousarray(array[::-1, :, ::-1])[::-1, :, ::-1],
}


def block() -> NDArray[np.bool_]:
    """An off-centre block without symmetry, and a voxel beside it."""
    array = np.zeros((7, 9, 11), bool)
    array[1:3, 3:6, 5:9] = True
    array[3, 4, 2] = True
    return array


def box_by_brute_force(array: NDArray[np.bool_]) -> tuple[Triple, Triple] | None:
    where = np.argwhere(array)
    return (tuple(where.min(axis=0).tolist()), tuple(where.max(axis=0).tolist())) if len(where) else None


# The bounding box


@pytest.mark.parametrize("layout", LAYOUTS)
def test_box_in_any_layout(layout: str) -> None:
    array = LAYOUTS[layout](block())
    np.testing.assert_array_equal(array, block())
    mask = Mask.from_array(array, AFFINE)
    assert mask.box == ((1, 3, 2), (3, 5, 8))
    np.testing.assert_array_equal(mask.cropped, block()[1:4, 3:6, 2:9])


@given(
    array=hnp.arrays(bool, st.tuples(*[st.integers(1, 9)] * 3), elements=st.just(False), fill=st.just(False)),
    share=st.sampled_from([0.0, 0.01, 0.1, 1.0]),
    seed=st.integers(0, 2**16),
    layout=st.sampled_from(sorted(LAYOUTS)),
)
def test_box_against_brute_force(array: NDArray[np.bool_], share: float, seed: int, layout: str) -> None:
    filled = array | (np.random.default_rng(seed).random(array.shape) < share)
    assert Mask.from_array(LAYOUTS[layout](filled), AFFINE).box == box_by_brute_force(filled)


@pytest.mark.parametrize("at", [(0, 0, 0), (6, 8, 10), (0, 8, 0), (3, 4, 5)])
def test_box_of_one_voxel_anywhere(at: Triple) -> None:
    array = np.zeros((7, 9, 11), bool)
    array[at] = True
    assert Mask.from_array(array, AFFINE).box == (at, at)


def test_box_of_a_view_that_repeats_one_slice() -> None:
    array = np.broadcast_to(block()[:, :, 5:6], (7, 9, 11))
    assert Mask.from_array(array, AFFINE).box == ((1, 3, 0), (2, 5, 10))


def test_an_empty_mask_has_no_box() -> None:
    mask = Mask.from_array(np.zeros((7, 9, 11), bool), AFFINE)
    assert mask.is_empty
    assert mask.box is None
    assert mask.cropped.size == 0
    assert mask.volume_cc == 0


# What is left alone


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8])
def test_bool_and_uint8_are_viewed_read_only_and_the_callers_array_stays_as_it_was(layout: str, dtype: type) -> None:
    array = LAYOUTS[layout](block().astype(dtype))
    before, writeable = array.copy(), array.flags.writeable
    mask = Mask.from_array(array, AFFINE)
    assert np.shares_memory(mask.array, array)
    assert mask.array.dtype == np.bool_
    assert not mask.array.flags.writeable
    assert not mask.cropped.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        mask.array[1, 3, 5] = False
    assert array.flags.writeable == writeable
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, before)


def test_a_read_only_array_is_taken() -> None:
    array = block()
    array.setflags(write=False)
    assert Mask.from_array(array, AFFINE).box == box_by_brute_force(array)


# What is taken


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", ">i2", "uint16", "int32", "int64", "uint64", "float32", ">f4", "float64"]
)
@pytest.mark.parametrize("value", [1, 5, 100])
def test_numbers_of_any_kind_with_one_value_besides_0(dtype: str, value: int) -> None:
    mask = Mask.from_array(block() * np.array(value, dtype).astype(dtype), AFFINE)
    np.testing.assert_array_equal(mask.array, block())
    assert mask.box == box_by_brute_force(block())


def test_a_nested_list_is_taken() -> None:
    assert Mask.from_array([[[0, 1, 1]], [[0, 0, 1]]], AFFINE).box == ((0, 0, 1), (1, 0, 2))


def test_grid_and_volume(any_grid: Grid) -> None:
    mask = Mask.from_array(block(), any_grid.affine)
    assert mask.grid.matches(any_grid)
    assert mask.volume_cc == pytest.approx(25 * 6 / 1000, rel=1e-12)


# What is refused


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_several_values_are_refused_with_the_values(dtype: type) -> None:
    array = block().astype(dtype)
    array[3, 4, 2] = 7
    with pytest.raises(MaskError, match=r"gtv: holds several values besides 0 \(1, 7"):
        Mask.from_array(array, AFFINE, name="gtv")


def test_a_probability_map_is_refused() -> None:
    with pytest.raises(MaskError, match="several values"):
        Mask.from_array(np.linspace(0, 1, 7 * 9 * 11).reshape(7, 9, 11), AFFINE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_is_refused_also_in_an_otherwise_empty_mask(dtype: type) -> None:
    array = np.zeros((7, 9, 11), dtype)
    array[2, 3, 4] = np.nan
    with pytest.raises(MaskError, match="gtv: holds NaN"):
        Mask.from_array(array, AFFINE, name="gtv")


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 11, 1), (7, 9, 11, 2), ()])
def test_other_than_three_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MaskError, match="three axes"):
        Mask.from_array(np.ones(shape, bool), AFFINE)


@pytest.mark.parametrize("dtype", [complex, object, "U1", "M8[s]"])
def test_values_that_are_no_numbers_are_refused(dtype: object) -> None:
    with pytest.raises(MaskError, match="a mask holds numbers"):
        Mask.from_array(np.zeros((7, 9, 11), np.int64).astype(dtype), AFFINE)


def test_an_array_without_voxels_and_a_bad_affine_are_refused_as_grids() -> None:
    with pytest.raises(GridError, match="three positive sizes"):
        Mask.from_array(np.zeros((7, 0, 11), bool), AFFINE)
    with pytest.raises(GridError, match="singular"):
        Mask.from_array(block(), np.diag([1.0, 2.0, 0.0, 1.0]))


# A mask from the part of it that may be true


@pytest.mark.parametrize("start", [(0, 0, 0), (2, 1, 3)])
def test_from_box_places_the_part(any_grid: Grid, start: Triple) -> None:
    part = block()[1:4, 2:7, 1:9]
    mask = Mask.from_box(part, start, any_grid, name="ctv")
    expected = np.zeros(any_grid.shape, bool)
    expected[tuple(slice(a, a + n) for a, n in zip(start, part.shape, strict=True))] = part
    np.testing.assert_array_equal(mask.array, expected)
    assert mask.box == box_by_brute_force(expected)
    assert mask.grid is any_grid
    assert mask.name == "ctv"
    assert not mask.array.flags.writeable


@pytest.mark.parametrize("shape", [(0, 0, 0), (2, 3, 4)])
def test_from_box_of_nothing_is_empty(any_grid: Grid, shape: Triple) -> None:
    mask = Mask.from_box(np.zeros(shape, bool), (0, 0, 0), any_grid)
    assert mask.is_empty
    assert mask.array.shape == any_grid.shape
