"""Which way is which: an asymmetric body that shows, after any journey, where each of its sides has gone."""

from collections.abc import Mapping
from itertools import permutations, product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.geometry.extent import extent
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region

ARMS_MM: Final[Mapping[str, float]] = {"R": 12.0, "L": 17.0, "A": 22.0, "P": 27.0, "S": 33.0, "I": 39.0}
"""How far the body reaches in each direction from its centre; no two alike, and further apart than a voxel is long."""
HALF_MM: Final = 4.0
"""Half the thickness of an arm."""
CENTRE: Final = np.array([-31.0, 17.5, 64.0])
SPACING: Final = (1.5, 2.0, 2.5)
TURNS: Final[Mapping[str, tuple[float, float, float]]] = {
    "oblique 1": (12, -8, 15),
    "oblique 2": (-30, 20, 5),
    "oblique 3": (4, 35, -25),
}
"""Degrees about the patient's axes."""


def grids() -> dict[str, Grid]:
    """Grids on which the body fits: each of the 48 orders and senses of array axes, and oblique ones, by name."""
    found = {}
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            axes = np.zeros((3, 3))
            axes[list(order), range(3)] = signs
            grid = _around(axes)
            found["".join(grid.codes)] = grid
    for name, degrees in TURNS.items():
        axes = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        found[name] = _around(axes * (-1.0, -1.0, 1.0))
    return found


def body(grid: Grid) -> Mask:
    """The body on a grid: six arms of unequal length, along the patient's directions whatever the grid's are."""
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - CENTRE
    inside = np.zeros(grid.shape, bool)
    for axis, (plus, minus) in enumerate((("R", "L"), ("A", "P"), ("S", "I"))):
        across = np.delete(points, axis, axis=-1)
        along = points[..., axis]
        arm = (np.abs(across) <= HALF_MM).all(axis=-1)
        inside |= arm & (along <= ARMS_MM[plus]) & (along >= -ARMS_MM[minus])
    return Mask.from_array(inside, grid.affine, name="the body")


def reach(structure: Mask | Region) -> dict[str, float]:
    """How far a structure reaches from the body's centre in each direction, mm."""
    return {
        letter: (value - CENTRE[DIRECTIONS[letter].axis]) * DIRECTIONS[letter].sign
        for letter, value in extent(structure).items()
    }


def went(there: Mapping[str, float], back: Mapping[str, float], tolerance_mm: float) -> dict[str, str]:
    """Where each side of the body is found: its letter when all is well, another's when not, "?" when nowhere.

    Examples
    --------
    >>> there = {"R": 12, "L": 17, "A": 22, "P": 27, "S": 33, "I": 39}
    >>> went(there, {"R": 17, "L": 12, "A": 22, "P": 27, "S": 39.2, "I": 50}, 0.5)
    {'R': 'L', 'L': 'R', 'A': 'A', 'P': 'P', 'S': '?', 'I': 'S'}
    """
    found = {}
    for letter, length in there.items():
        near = min(back, key=lambda other: (abs(back[other] - length), other != letter), default="")
        found[letter] = near if near and abs(back[near] - length) <= tolerance_mm else "?"
    return found


def _around(axes: NDArray[np.float64]) -> Grid:
    """A grid with these unit axes, its middle off the body's centre, that holds the body with room to spare."""
    n = np.ceil(2 * (max(ARMS_MM.values()) + 8) / np.asarray(SPACING)).astype(int) + (1, 0, 3)
    affine = np.eye(4)
    affine[:3, :3] = axes * SPACING
    affine[:3, 3] = CENTRE + (1.3, -0.7, 2.1) - affine[:3, :3] @ ((n - 1) / 2)
    return Grid(shape=(int(n[0]), int(n[1]), int(n[2])), affine=affine)
