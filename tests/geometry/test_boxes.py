"""Regions of several boxes: each part as if alone, and volumes, distances and surfaces that add up."""

import math
import subprocess
import sys

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from ptvkit import Grid, GridError, Margin, Mask, MaskError, Region, contract, expand, extent, lesions, region_from_mask
from ptvkit.geometry.boolean import difference, intersection, union
from ptvkit.geometry.boxes import around, joined
from ptvkit.geometry.components import parts
from ptvkit.geometry.contours import contours_of, region_from_contours
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.from_mesh import region_from_mesh
from ptvkit.margins.expand import sweep
from tests.conftest import AXES
from tests.geometry.test_structures import ball, lens_cc, sphere_cc


def nodules(axes: str, *, which: tuple[int, ...] = (0, 1)) -> Mask:
    """Ellipsoids of 10×10×15 mm, 350 mm apart, on voxels of 1×1×5 mm."""
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * [1.0, 1.0, 5.0]
    affine[:3, 3] = (-180.0, 20.0, 7.0)
    array = np.zeros((400, 40, 20), bool)
    index = np.moveaxis(np.indices(array.shape), 0, -1) * [1.0, 1.0, 5.0]
    for n in which:
        away = (index - [20.3 + 350 * n, 19.6, 48.7 - 3 * n]) / [5.0, 5.0, 7.5]
        array |= (away**2).sum(axis=-1) <= 1
    return Mask.from_array(array, affine, name="gtv")


@pytest.mark.parametrize("axes", ["lps", "oblique"])
def test_far_apart_each_nodule_grows_as_if_alone(axes: str) -> None:
    margin = Margin(right=3, left=3, anterior=3, posterior=3, superior=5, inferior=4)
    whole = nodules(axes)
    together = parts(expand(region_from_mask(whole), margin))
    assert len(together) == 2
    total = np.zeros(whole.grid.shape, bool)
    for n in range(2):
        alone = expand(region_from_mask(nodules(axes, which=(n,))), margin)
        reach = extent(alone)
        same = min(together, key=lambda part: abs(extent(part)["R"] - reach["R"]))
        assert extent(same) == pytest.approx(reach, abs=0.02)
        assert same.volume_cc == pytest.approx(alone.volume_cc, rel=1e-3)
        total |= alone.to_mask(whole.grid).array
    np.testing.assert_array_equal(expand(whole, margin).array, total)


def test_a_liver_gets_the_grid_of_a_lesion() -> None:
    spacing = np.array([1.0, 1.0, 5.0])

    def sphere(radius: float) -> Region:
        n = 2 * np.ceil(radius / spacing).astype(int) + 3
        index = np.moveaxis(np.indices(n), 0, -1)
        inside = np.linalg.norm((index - (n - 1) / 2 + [0.2, -0.1, 0.3]) * spacing, axis=-1) <= radius
        return region_from_mask(Mask.from_array(inside, np.diag([*spacing, 1.0])))

    liver = sphere(72.6)  # 1,600 cc
    assert liver.grid.spacing_mm == sphere(12.0).grid.spacing_mm == (1.0, 1.0, 1.0)
    assert liver.volume_cc == pytest.approx(sphere_cc(72.6), rel=0.005)


def far_balls() -> Region:
    """Balls of 8 and 6 mm, 200 mm apart, on lattices of their own."""
    return union(ball(8, (-100, 5, 3)), ball(6, (100, 0, 0), "oblique", 0.7))


def test_volumes_surfaces_and_distances_of_balls_add_up() -> None:
    region = far_balls()
    assert len(region.boxes) == len(region.by_box()) == 2
    assert region.volume_cc == pytest.approx(sphere_cc(8) + sphere_cc(6), rel=0.01)
    points = np.array([[-100, 5, 17.0], [100, 9, 0], [-100, 5, 0], [0, 0, 0]])
    distance = signed_distance(region, outside_mm=15, inside_mm=4)
    assert distance.sample(points)[:3] == pytest.approx([6, 3, -4], abs=0.05)
    assert distance.sample(points)[3] >= 15
    away = np.linalg.norm(region.surface_points()[:, None] - [[-100, 5, 3], [100, 0, 0]], axis=-1)
    assert np.abs((away - [8, 6])[np.arange(len(away)), away.argmin(axis=1)]).max() < 0.1
    mesh = region.to_mesh()
    assert mesh.is_watertight
    assert mesh.body_count == 2
    assert mesh.volume / 1000 == pytest.approx(region.volume_cc, rel=0.02)
    with pytest.raises(GridError, match="2 boxes"):
        _ = region.level


def test_margins_of_balls_apart_and_grown_together() -> None:
    region = far_balls()
    assert expand(region, Margin.uniform(10)).volume_cc == pytest.approx(sphere_cc(18) + sphere_cc(16), rel=0.01)
    large = union(ball(18, (-100, 0, 0)), ball(16, (100, 0, 0)))
    assert contract(large, Margin.uniform(3)).volume_cc == pytest.approx(sphere_cc(15) + sphere_cc(13), rel=0.01)
    swept = sweep(region, np.array([0.0, 0.0, 1.0]), forward_mm=10, backward_mm=0)
    rods = math.pi * (8**2 + 6**2) * 10 / 1000
    assert swept.volume_cc == pytest.approx(region.volume_cc + rods, rel=0.01)
    near = union(ball(8), ball(6, (30, 0, 0)))
    assert len(near.boxes) == 2
    grown = expand(near, Margin.uniform(10))
    assert len(grown.boxes) == len(parts(grown)) == 1
    assert grown.volume_cc == pytest.approx(sphere_cc(18) + sphere_cc(16) - lens_cc(18, 16, 30), rel=0.005)


def test_booleans_of_several_boxes() -> None:
    region, other = far_balls(), ball(9, (104, 0, 0))
    shared = lens_cc(6, 9, 4)
    assert intersection(region, other).volume_cc == pytest.approx(shared, rel=0.03)
    assert difference(region, other).volume_cc == pytest.approx(sphere_cc(8) + sphere_cc(6) - shared, rel=0.02)
    both = union(region, other)
    assert both.volume_cc == pytest.approx(sphere_cc(8) + sphere_cc(6) + sphere_cc(9) - shared, rel=0.02)
    assert len(both.boxes) == 2
    assert joined(both).volume_cc == pytest.approx(both.volume_cc, rel=0.01)
    low, high = np.array([80.0, -20, -20]), np.array([120.0, 20, 20])
    assert around(region, low, high).volume_cc == pytest.approx(sphere_cc(6), rel=0.01)


@pytest.mark.parametrize("coarse_first", [True, False])
def test_a_boolean_is_on_the_finer_lattice(coarse_first: bool) -> None:
    pair = [ball(12, spacing=2.0), ball(9, (8, 5, -4), spacing=0.7)]
    a, b = pair if coarse_first else pair[::-1]
    for found in (union(a, b), intersection(a, b), difference(a, b)):
        assert found.grid.spacing_mm == pytest.approx((0.7,) * 3)


def test_masks_contours_and_grids_of_several_boxes() -> None:
    region = far_balls()
    grid = Grid(shape=(260, 40, 40), affine=np.array([[1, 0, 0, -130], [0, 1, 0, -20], [0, 0, 1, -20], [0, 0, 0, 1.0]]))
    mask = region.to_mask(grid)
    assert mask.volume_cc == pytest.approx(region.volume_cc, rel=0.03)
    np.testing.assert_array_equal(mask.array, region.sample_on(grid) <= 1e-4)
    planes = contours_of(region, grid)
    assert len(planes[20]) == 2  # z = 0 cuts both
    half = grid.box((130, 0, 0), (259, 39, 39))
    assert region.cut_to(half).volume_cc == pytest.approx(sphere_cc(6), rel=0.01)


def test_a_region_up_to_the_outer_faces_is_inside() -> None:
    region = ball(5)  # inside nodes and one more reach to 5.3 mm or so
    for low, inside in ((-6.0, True), (-5.0, False)):
        affine = np.eye(4)
        affine[:3, 3] = low
        assert region.is_inside(Grid(shape=(21, 22, 23), affine=affine)) is inside


def test_a_cropped_mask_puts_its_array_together(any_grid: Grid) -> None:
    inside = np.array([[[False, True], [True, True]]])
    mask = Mask.from_box(inside, (2, 3, 4), any_grid)
    expected = np.zeros(any_grid.shape, bool)
    expected[2:3, 3:5, 4:6] = inside
    np.testing.assert_array_equal(mask.array, expected)
    np.testing.assert_array_equal(mask.cropped, inside)
    assert mask.box == ((2, 3, 4), (2, 4, 5))
    assert not mask.array.flags.writeable
    assert mask.held.size == 4


@pytest.mark.parametrize("size", [0.001, 0.015])
def test_tiny_voxels_are_refused_before_memory_is_taken(size: float) -> None:
    array = np.ones((6, 7, 8), bool)
    with pytest.raises(MaskError, match=r"gtv: voxels of 0.0.*million nodes"):
        region_from_mask(Mask.from_array(array, np.diag([size, size, size, 1.0]), name="gtv"))


SPECKS = """
import resource, warnings
import numpy as np
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30,) * 2)
from ptvkit import Margin, Mask, lesions, make_targets, region_from_mask
warnings.simplefilter("ignore")
array = np.zeros((256, 256, 160), bool)
array[2::16, 3::16, 5::16] = True
mask = Mask.from_array(array, np.diag([1.0, 1.0, 2.0, 1.0]))
region = region_from_mask(mask)
assert len(lesions(mask)) == len(region.boxes) == 2560
assert (region.to_mask(mask.grid).array == array).all()
few = Mask.from_array(array[:, :, :7], mask.grid.affine)
ptv = make_targets(few, ctv=Margin(), ptv=Margin.uniform(3)).ptv
print(ptv.volume_cc / len(ptv.boxes))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_thousands_of_specks_take_little_memory_and_grow_as_one_does() -> None:
    done = subprocess.run([sys.executable, "-c", SPECKS], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    one: NDArray[np.bool_] = np.zeros((9, 9, 9), bool)
    one[4, 4, 4] = True
    alone = expand(region_from_mask(Mask.from_array(one, np.diag([1.0, 1.0, 2.0, 1.0]))), Margin.uniform(3))
    assert float(done.stdout) == pytest.approx(alone.volume_cc, rel=1e-4)


def test_lesions_are_the_boxes_in_order() -> None:
    mask = nodules("lps")
    for part, one in zip(lesions(mask), region_from_mask(mask).by_box(), strict=True):
        np.testing.assert_array_equal(one.to_mask(mask.grid).array, part.array)


def rings(centre: tuple[float, float, float], radius: float, heights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Contours of a ball on planes."""
    turns = np.linspace(0, 2 * math.pi, 90, endpoint=False)
    circle = np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=-1)
    across = [(z, math.sqrt(radius**2 - (z - centre[2]) ** 2)) for z in heights if abs(z - centre[2]) < radius]
    return [np.array([centre[0], centre[1], z]) + r * circle for z, r in across]


def test_contoured_nodules_far_apart_are_each_as_if_alone() -> None:
    heights = np.arange(-40, 40, 3.0)
    one, other = rings((-170, 12, 1), 7, heights), rings((180, -150, 8), 9, heights)
    both = region_from_contours([*one, *other])
    assert len(both.boxes) == 2
    for alone in (region_from_contours(one, slice_mm=3), region_from_contours(other, slice_mm=3)):
        same = min(both.by_box(), key=lambda box: abs(extent(box)["R"] - extent(alone)["R"]))
        assert extent(same) == pytest.approx(extent(alone), abs=1e-4)
        assert same.volume_cc == pytest.approx(alone.volume_cc, rel=1e-5)
        assert same.boxes[0].grid.spacing_mm == pytest.approx((0.5, 0.5, 0.5))


def test_contours_with_a_hole_or_a_branch_belong_together() -> None:
    heights = np.arange(-21, 22, 3.0)
    outer, inner = rings((0, 0, 0), 20, heights), rings((2, 0, 0), 9, heights)
    hollow = region_from_contours([*outer, *inner])
    assert hollow.volume_cc == pytest.approx(sphere_cc(20) - sphere_cc(9), rel=0.02)
    square = np.array([[-5.0, -5, 0], [5, -5, 0], [5, 5, 0], [-5, 5, 0]])
    trunk = [2.5 * square + [0, 0, z] for z in (0.0, 3.0)]
    twigs = [square + [x, 0, z] for z in (6.0, 9.0) for x in (-7.0, 7.0)]
    assert len(region_from_contours([*trunk, *twigs]).boxes) == 1


def test_meshes_far_apart_are_each_as_if_alone_and_keep_their_cavities() -> None:
    far, hollow = trimesh.creation.icosphere(3, radius=6), trimesh.creation.icosphere(3, radius=15)
    hole = trimesh.creation.icosphere(3, radius=8)
    hole.invert()
    far.apply_translation([350, -3, 200])
    found = region_from_mesh(trimesh.util.concatenate([hollow, hole, far]))
    assert len(found.boxes) == 2
    alone = region_from_mesh(far)
    same = max(found.by_box(), key=lambda one: extent(one)["R"])
    assert extent(same) == pytest.approx(extent(alone), abs=1e-4)
    assert same.volume_cc == pytest.approx(alone.volume_cc, rel=1e-6)
    assert found.volume_cc == pytest.approx((hollow.volume + hole.volume + far.volume) / 1000, rel=0.005)


def test_too_many_parts_are_refused_with_a_way_out() -> None:
    array = np.zeros((120, 120, 120), bool)
    array[1::6, 1::6, 1::6] = True
    array[:7, :7, :7] = True
    mask = Mask.from_array(array, np.diag([1.0, 2.0, 3.0, 1.0]), name="gtv")
    with pytest.raises(MaskError, match=r"gtv: holds 7,993 separate parts, above 4,000; remove those of up to 6 mm³"):
        region_from_mask(mask)


def test_a_grid_for_which_there_is_no_room_is_refused_before_memory_is_taken() -> None:
    affine = np.diag([-0.1, -0.1, 0.1, 1.0])
    affine[:3, 3] = (250, 250, -225)
    fine = Grid(shape=(5000, 5001, 4500), affine=affine)
    says = r"the region: a grid of 5000×5001×4500 of .*112,522 million voxels, above 2,000 million; use larger voxels"
    for lay in (ball(5).to_mask, ball(5).sample_on, far_balls().to_mask):
        with pytest.raises(GridError, match=says):
            lay(fine)
    with pytest.raises(GridError, match="112,522 million"):
        Mask.from_box(np.ones((2, 2, 2), bool), (9, 9, 9), fine)
