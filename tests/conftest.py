"""Fixtures that every room uses."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.geometry.grid import Grid

settings.register_profile("ptvkit", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("ptvkit")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SHAPE = (7, 9, 11)
SPACING = np.array([1.0, 2.0, 3.0])
OFFSET = np.array([-12.5, 31.0, 7.25])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The clinical cases beside the project; without them tests are skipped, but fail under CI."""
    found = Path(os.environ.get("PTVKIT_SHARED_DATA", SHARED))
    if not found.is_dir():
        message = f"{found} is missing: the clinical cases that this test reads"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def affine_of(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Affine with the given unit axes, the usual spacing, and an origin off the centre."""
    affine = np.eye(4)
    affine[:3, :3] = axes * SPACING
    affine[:3, 3] = OFFSET
    return affine


AXES = {
    "ras": np.eye(3),
    "las": np.diag([-1.0, 1.0, 1.0]),
    "lps": np.diag([-1.0, -1.0, 1.0]),
    "permuted": np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "oblique": Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix(),
}


@pytest.fixture(params=sorted(AXES))
def any_grid(request: pytest.FixtureRequest) -> Grid:
    """A grid of 7×9×11 voxels of 1×2×3 mm, off the centre, on each kind of axes."""
    return Grid(shape=SHAPE, affine=affine_of(AXES[request.param]))


@pytest.fixture
def grid() -> Grid:
    """The same grid with axes along L, P and S, as clinical CTs have them."""
    return Grid(shape=SHAPE, affine=affine_of(AXES["lps"]))
