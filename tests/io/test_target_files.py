"""Masks of targets that a grid cannot hold are refused."""

import numpy as np
import pytest

from ptvkit import Grid, Margin, MaskError, Region, Targets, make_targets
from ptvkit.geometry.extent import share_on
from ptvkit.io.target_files import refuse_cut_masks


@pytest.fixture(scope="module")
def targets() -> Targets:
    """A ball of 8 mm around (3, -4, 5), with 4 + 4 mm."""
    affine = np.eye(4)
    affine[:3, 3] = (-9, -16, -7)
    grid = Grid(shape=(25, 26, 24), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    ball = Region(level=np.linalg.norm(points - [3, -4, 5], axis=-1) - 8, grid=grid)
    four = Margin.uniform(4)
    return make_targets(ball, ctv=four, ptv=four)


def image(top_mm: float, spacing: float = 2.0) -> Grid:
    """Its outer face towards S lies at `top_mm`."""
    affine = np.diag([1.5, 1.5, spacing, 1.0])
    affine[:3, 3] = (-40, -45, top_mm - 30 * spacing + 0.5 * spacing)
    return Grid(shape=(60, 58, 30), affine=affine)


@pytest.mark.parametrize("height", [3.0, 1.0])
def test_the_share_that_a_grid_holds_is_that_of_a_cap_cut_off(targets: Targets, height: float) -> None:
    cap = (3 * 16 - height) * height**2 / (4 * 16**3)  # of a sphere's volume
    assert share_on(targets.ptv, image(21 - height)) == pytest.approx(1 - cap, abs=1e-3)


def test_cut_masks_are_refused_unless_that_is_allowed(targets: Targets) -> None:
    refuse_cut_masks(targets, image(30))
    refuse_cut_masks(targets, image(20))  # .3 % of the PTV
    with pytest.raises(MaskError, match=r"ptv: [45]\.\d % of it lie outside the output grid"):
        refuse_cut_masks(targets, image(17))  # the CTV's end
    with pytest.raises(MaskError, match=r"ctv: 7\.\d % of it lie outside the output grid"):
        refuse_cut_masks(targets, image(13))
    refuse_cut_masks(targets, image(13), allow_cut=True)


@pytest.mark.parametrize("allowed", [True, False])
def test_empty_masks_are_refused_always(targets: Targets, allowed: bool) -> None:
    with pytest.raises(MaskError, match="ctv: its mask would be empty"):
        refuse_cut_masks(targets, image(-20), allow_cut=allowed)
    one_slice = Grid(shape=(60, 58, 1), affine=image(80).affine)
    with pytest.raises(MaskError, match="ctv: its mask would be empty"):
        refuse_cut_masks(targets, one_slice, allow_cut=allowed)


def test_a_target_that_falls_between_the_voxels_is_refused(targets: Targets) -> None:
    coarse = Grid(shape=(9, 8, 7), affine=[[45, 0, 0, -160], [0, 45, 0, -161.5], [0, 0, 45, -152.5], [0, 0, 0, 1]])
    with pytest.raises(MaskError, match="would be empty"):
        refuse_cut_masks(targets, coarse)
