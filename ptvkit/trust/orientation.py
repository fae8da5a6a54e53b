"""Orientation test: an asymmetric body that shows exchanged or flipped axes after a round trip."""

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
"""Arm lengths from the centre, mm; all differ by more than a voxel."""
HALF_MM: Final = 4.0
"""Half the thickness of an arm."""
CENTRE: Final = np.array([-31.0, 17.5, 64.0])
SPACING: Final = (1.5, 2.0, 2.5)
TURNS: Final[Mapping[str, tuple[float, float, float]]] = {
    "oblique 1": (12, -8, 15),
    "oblique 2": (-30, 20, 5),
    "oblique 3": (4, 35, -25),
}
"""Rotations about the patient axes, degrees."""


def grids() -> dict[str, Grid]:
    """Grids for the body by name: all 48 orders and directions of the array axes, and oblique grids."""
    by_name = {}
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            axes = np.zeros((3, 3))
            axes[list(order), range(3)] = signs
            grid = _around(axes)
            by_name["".join(grid.codes)] = grid
    for name, degrees in TURNS.items():
        axes = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        by_name[name] = _around(axes * (-1.0, -1.0, 1.0))
    return by_name


def body(grid: Grid) -> Mask:
    """The body on a grid: six arms of unequal length along the patient directions."""
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - CENTRE
    inside = np.zeros(grid.shape, bool)
    for axis, (plus, minus) in enumerate((("R", "L"), ("A", "P"), ("S", "I"))):
        across = np.delete(points, axis, axis=-1)
        along = points[..., axis]
        arm = (np.abs(across) <= HALF_MM).all(axis=-1)
        inside |= arm & (along <= ARMS_MM[plus]) & (along >= -ARMS_MM[minus])
    return Mask.from_array(inside, grid.affine, name="the body")


def reach(structure: Mask | Region) -> dict[str, float]:
    """Extent of a structure from the body's centre by direction, mm."""
    return {
        letter: (value - CENTRE[DIRECTIONS[letter].axis]) * DIRECTIONS[letter].sign
        for letter, value in extent(structure).items()
    }


def went(there: Mapping[str, float], back: Mapping[str, float], tolerance_mm: float) -> dict[str, str]:
    """Direction in which every arm is read back: its own letter, another letter, or "?" for a lost arm.

    Examples
    --------
    >>> there = {"R": 12, "L": 17, "A": 22, "P": 27, "S": 33, "I": 39}
    >>> went(there, {"R": 17, "L": 12, "A": 22, "P": 27, "S": 39.2, "I": 50}, 0.5)
    {'R': 'L', 'L': 'R', 'A': 'A', 'P': 'P', 'S': '?', 'I': 'S'}
    """
    directions = {}
    for letter, length in there.items():
        near = min(back, key=lambda other: (abs(back[other] - length), other != letter), default="")
        directions[letter] = near if near and abs(back[near] - length) <= tolerance_mm else "?"
    return directions


def _around(axes: NDArray[np.float64]) -> Grid:
    """Grid with these unit axes that contains the body; its centre differs from the body's centre."""
    n = np.ceil(2 * (max(ARMS_MM.values()) + 8) / np.asarray(SPACING)).astype(int) + (1, 0, 3)
    affine = np.eye(4)
    affine[:3, :3] = axes * SPACING
    affine[:3, 3] = CENTRE + (1.3, -0.7, 2.1) - affine[:3, :3] @ ((n - 1) / 2)
    return Grid(shape=(int(n[0]), int(n[1]), int(n[2])), affine=affine)
