"""The phantom against its own figures: analytic volumes and diameters, and where organs lie."""

import math

import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from ptvkit import MaskError, phantom
from ptvkit.geometry.grid import Grid
from tests.conftest import AXES

CAPSULE_CC = (4 / 3 * math.pi * 30**3 + math.pi * 30**2 * 10.0) / 1000  # radius 30 mm, 10 mm between its ends


def test_largest_lesion_measures_7_cm() -> None:
    region = phantom.region("lesion_1", 1.0)
    points = region.surface_points()
    hull = points[ConvexHull(points).vertices]
    assert pdist(hull).max() == pytest.approx(70, abs=0.2)
    assert region.volume_cc == pytest.approx(CAPSULE_CC, rel=2e-3)  # linear cells lose about h²/r²


def test_round_lesion_is_a_sphere_of_12_mm() -> None:
    centre = np.array([42.0, 28.0, -28.0])
    rng = np.random.default_rng(1)
    points = centre + rng.normal(size=(50, 3)) * 10
    exact = np.linalg.norm(points - centre, axis=1) - 12
    np.testing.assert_allclose(phantom.level("lesion_2", points), exact, atol=1e-9)


def test_lesions_lie_in_the_liver_and_together_are_the_gtv() -> None:
    grid = phantom.grid((3.0, 3.0, 3.0))
    lesions = [phantom.mask(f"lesion_{n}", grid).array for n in (1, 2, 3)]
    assert sum(lesion.astype(int) for lesion in lesions).max() == 1
    np.testing.assert_array_equal(np.any(lesions, axis=0), phantom.mask("gtv", grid).array)
    for n in (1, 2, 3):
        assert phantom.level("liver", phantom.region(f"lesion_{n}").surface_points()).max() < 0


def test_organs_do_not_overlap() -> None:
    grid = phantom.grid((3.0, 3.0, 4.0))
    organs = [name for name in phantom.STRUCTURES if name != "body" and name[:6] not in ("lesion", "gtv")]
    counts = sum(phantom.mask(name, grid).array.astype(int) for name in organs)
    assert counts.max() == 1
    inside_body = phantom.mask("body", grid).array
    assert not ((counts > 0) & ~inside_body).any()


def test_organs_are_on_their_side_and_of_their_size() -> None:
    grid = phantom.grid((4.0, 4.0, 5.0))
    middle = {name: grid.to_mm(np.argwhere(phantom.mask(name, grid).array)).mean(axis=0) for name in phantom.STRUCTURES}
    right, posterior = 0, 1
    assert middle["liver"][right] > 30
    assert middle["stomach"][right] < -30
    assert middle["kidney_right"][right] > 30
    assert middle["kidney_left"][right] < -30
    assert middle["spine"][posterior] < -40
    assert middle["lung_right"][2] > middle["liver"][2] > middle["kidney_right"][2]
    assert 1400 < phantom.mask("liver", grid).volume_cc < 2000


@pytest.mark.parametrize("name", ["lesion_1", "liver", "kidney_left"])
@pytest.mark.parametrize("axes", sorted(AXES))
def test_every_grid_shows_the_same_structure(name: str, axes: str) -> None:
    spacing = np.array([3.0, 4.0, 5.0])
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * spacing
    reach = np.array([130, 96, 80])
    affine[:3, 3] = -affine[:3, :3] @ ((reach - 1) / 2)
    mask = phantom.mask(name, Grid(shape=(130, 96, 80), affine=affine))
    truth = phantom.region(name, 2.0)
    points = mask.grid.to_mm(np.argwhere(mask.array))
    assert (phantom.level(name, points) <= 0).all()
    # counting voxels of 60 mm³ in a volume V errs by about the square root of the surface's voxels, under 1 %
    assert mask.volume_cc == pytest.approx(truth.volume_cc, rel=0.02)


def test_image_shows_the_organs() -> None:
    grid = phantom.grid((4.0, 4.0, 5.0))
    image = phantom.image(grid, seed=3)
    assert image.dtype == np.int16
    for name, hu in {"liver": 112, "spine": 260, "lung_left": -830, "kidney_right": 170}.items():
        inside = phantom.level(name, grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))) < -4
        if name == "liver":
            inside &= ~phantom.mask("gtv", grid).array
        assert np.median(image[inside]) == pytest.approx(hu, abs=3)
    np.testing.assert_array_equal(image, phantom.image(grid, seed=3))
    assert (image != phantom.image(grid, seed=4)).any()


def test_labels_name_what_they_hold() -> None:
    grid = phantom.grid((4.0, 4.0, 5.0))
    array, names = phantom.labels(grid)
    number = next(n for n, name in names.items() if name == "lesion_1")
    np.testing.assert_array_equal(array == number, phantom.mask("lesion_1", grid).array)
    assert "gtv" not in names.values()


def test_a_grid_elsewhere_shows_nothing() -> None:
    affine = np.eye(4)
    affine[:3, 3] = 5000
    far = Grid(shape=(5, 6, 7), affine=affine)
    assert phantom.mask("liver", far).is_empty
    assert phantom.image(far).max() < -900


def test_unknown_structure_lists_those_there_are() -> None:
    with pytest.raises(MaskError, match="lesion_1"):
        phantom.level("spleen", [0, 0, 0])
