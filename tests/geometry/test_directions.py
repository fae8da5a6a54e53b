"""The six letters, the three patient axes, and the letters of array axes."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.geometry.directions import DIRECTIONS, OPPOSITES, axis_codes, letter_of

TABLE = [
    ("R", "right", (+1, 0, 0)),
    ("L", "left", (-1, 0, 0)),
    ("A", "anterior", (0, +1, 0)),
    ("P", "posterior", (0, -1, 0)),
    ("S", "superior", (0, 0, +1)),
    ("I", "inferior", (0, 0, -1)),
]
SIGNED_PERMUTATIONS = [
    np.eye(3)[list(order)] * signs for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)
]


@pytest.mark.parametrize(("letter", "name", "towards"), TABLE)
def test_each_letter_has_its_name_axis_and_sign(letter: str, name: str, towards: tuple[int, int, int]) -> None:
    direction = DIRECTIONS[letter]
    assert (direction.letter, direction.name) == (letter, name)
    assert tuple(direction.sign * np.eye(3, dtype=int)[direction.axis]) == towards


def test_there_are_six_directions_and_each_is_in_one_pair_of_opposites() -> None:
    assert list(DIRECTIONS) == [letter for letter, _, _ in TABLE]
    assert [letter for pair in OPPOSITES for letter in pair] == list(DIRECTIONS)
    for axis, (plus, minus) in enumerate(OPPOSITES):
        assert (DIRECTIONS[plus].axis, DIRECTIONS[plus].sign) == (axis, +1)
        assert (DIRECTIONS[minus].axis, DIRECTIONS[minus].sign) == (axis, -1)


@pytest.mark.parametrize(("letter", "name", "towards"), TABLE)
@pytest.mark.parametrize("length", [1.0, 0.3, 2.5])
def test_letter_of_an_axis_and_a_component(
    letter: str, name: str, towards: tuple[int, int, int], length: float
) -> None:
    axis = int(np.flatnonzero(towards)[0])
    assert letter_of(axis, length * towards[axis]) == letter


@pytest.mark.parametrize("axes", SIGNED_PERMUTATIONS, ids=lambda axes: "".join(nib.aff2axcodes(np.pad(axes, (0, 1)))))
@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, -15, 30), (-25, 10, -20)])
def test_codes_of_all_48_orientations_agree_with_nibabel(
    axes: NDArray[np.float64], degrees: tuple[int, int, int]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ axes
    assert axis_codes(affine[:3, :3]) == nib.aff2axcodes(affine)


def test_codes_name_each_patient_axis_once_where_two_array_axes_lean_the_same_way() -> None:
    axes = Rotation.from_euler("z", 44.9, degrees=True).as_matrix() @ Rotation.from_euler("x", 44.9, True).as_matrix()
    codes = axis_codes(axes)
    assert sorted(DIRECTIONS[code].axis for code in codes) == [0, 1, 2]
