"""Booleans, parts, extents and meshes of regions, against analytic shapes and fine sampling."""

import math

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from ptvkit import (
    Grid,
    Margin,
    Mask,
    MaskError,
    PtvkitWarning,
    Region,
    expand,
    extent,
    lesions,
    prv,
    region_from_mask,
    ring,
    wall,
)
from ptvkit.errors import MarginError
from ptvkit.geometry.boolean import difference, intersection, union
from ptvkit.geometry.components import largest, parts
from ptvkit.geometry.extent import edges_touched, grown_to_hold, volume_outside_cc
from tests.conftest import AXES


def ball(
    radius: float, centre: tuple[float, float, float] = (0, 0, 0), axes: str = "ras", spacing: float = 1.0
) -> Region:
    n = 2 * math.ceil((radius + 3) / spacing) + 1
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * spacing
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ [n // 2 + 0.3, n // 2 - 0.2, n // 2 + 0.1]
    grid = Grid(shape=(n, n + 1, n + 2), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return Region(level=(np.linalg.norm(points - np.array(centre), axis=-1) - radius).astype(np.float32), grid=grid)


def lens_cc(radius: float, other: float, distance: float) -> float:
    """Volume that two spheres share (oracle: the two-sphere formula), cm³."""
    r, s, d = radius, other, distance
    return math.pi * (r + s - d) ** 2 * (d * d + 2 * d * (r + s) - 3 * (r - s) ** 2) / (12 * d) / 1000


def sphere_cc(radius: float) -> float:
    return 4 / 3 * math.pi * radius**3 / 1000


@pytest.mark.parametrize("axes", ["ras", "lps", "oblique"])
@pytest.mark.parametrize("spacing", [1.0, 0.7])
def test_booleans_of_two_spheres_on_any_lattice(axes: str, spacing: float) -> None:
    a, b = ball(12), ball(9, (8, 5, -4), axes, spacing)
    shared = lens_cc(12, 9, math.sqrt(64 + 25 + 16))
    # linear cells lose up to (h/r)²/2 of a sphere, and creases a node of their width
    assert intersection(a, b).volume_cc == pytest.approx(shared, rel=0.02)
    assert union(a, b).volume_cc == pytest.approx(sphere_cc(12) + sphere_cc(9) - shared, rel=0.01)
    assert difference(a, b).volume_cc == pytest.approx(sphere_cc(12) - shared, rel=0.015)
    assert union(b, a).volume_cc == pytest.approx(union(a, b).volume_cc, rel=3e-3)  # on the other lattice


def test_booleans_that_leave_nothing_or_all() -> None:
    a, far = ball(6), ball(5, (60, -40, 30))
    assert intersection(a, far).is_empty
    assert difference(a, far).volume_cc == pytest.approx(a.volume_cc)
    assert difference(a, ball(9)).is_empty
    assert union(a, far).volume_cc == pytest.approx(a.volume_cc + far.volume_cc, rel=1e-6)
    nothing = intersection(a, far)
    assert union(nothing, a).volume_cc == a.volume_cc
    assert intersection(a, nothing).is_empty
    assert nothing.to_mask(a.grid).is_empty
    assert extent(nothing) == {}
    with pytest.raises(MaskError, match="no surface"):
        nothing.to_mesh()


def test_ring_wall_and_prv() -> None:
    organ = ball(15)
    assert ring(organ, inner_mm=3, outer_mm=8).volume_cc == pytest.approx(sphere_cc(23) - sphere_cc(18), rel=0.01)
    assert wall(organ, thickness_mm=4).volume_cc == pytest.approx(sphere_cc(15) - sphere_cc(11), rel=0.01)
    assert prv(organ, Margin.uniform(5)).volume_cc == pytest.approx(sphere_cc(20), rel=0.005)
    with pytest.raises(MarginError, match="above the inner"):
        ring(organ, inner_mm=8, outer_mm=3)


def scattered() -> NDArray[np.bool_]:
    array = np.zeros((40, 30, 20), bool)
    array[3:12, 4:11, 3:9] = True
    array[25:30, 20:26, 12:15] = True
    array[36, 2, 17] = True
    return array


def test_lesions_come_by_size_and_keep_their_surface() -> None:
    mask = Mask.from_array(scattered(), np.diag([1.0, 1.5, 2.5, 1.0]), name="gtv")
    found = lesions(mask)
    assert [int(part.array.sum()) for part in found] == [378, 90, 1]
    np.testing.assert_array_equal(np.any([part.array for part in found], axis=0), mask.array)
    assert largest(mask).name == "gtv, lesion 1"
    whole = region_from_mask(mask)
    pieces = parts(whole)
    assert sum(piece.volume_cc for piece in pieces) == pytest.approx(whole.volume_cc, rel=1e-4)
    for piece, part in zip(pieces, found, strict=True):
        np.testing.assert_array_equal(piece.to_mask(mask.grid).array, part.array)


@pytest.mark.parametrize("axes", sorted(AXES))
def test_extent_of_voxel_faces(axes: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * [1.0, 2.0, 3.0]
    mask = Mask.from_array(scattered(), affine)
    halves = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T
    corners = (np.argwhere(mask.array)[:, None, :] + halves).reshape(-1, 3) @ affine[:3, :3].T
    found = extent(mask)
    expected = {"R": corners[:, 0].max(), "L": corners[:, 0].min(), "S": corners[:, 2].max(), "P": corners[:, 1].min()}
    assert {letter: found[letter] for letter in expected} == pytest.approx(expected)


def test_edges_that_a_target_touches() -> None:
    array = np.zeros((7, 9, 11), bool)
    array[0, 4, 5:] = True
    for axes, expected in (("ras", {"L", "S"}), ("lps", {"R", "S"}), ("permuted", {"P", "L"})):
        affine = np.eye(4)
        affine[:3, :3] = AXES[axes]
        assert set(edges_touched(Mask.from_array(array, affine))) == expected


def test_volume_beyond_an_image_is_told_and_a_grid_can_grow() -> None:
    region = ball(10)
    affine = np.eye(4)
    affine[:3, 3] = (0.5, -20, -20)  # the image ends at the plane through the centre
    image = Grid(shape=(30, 41, 41), affine=affine)
    assert volume_outside_cc(region, image) == pytest.approx(sphere_cc(10) / 2, rel=0.01)
    with pytest.warns(PtvkitWarning, match=r"2\.\d+ cc fall outside the image"):
        half = region.to_mask(image)
    assert half.volume_cc == pytest.approx(sphere_cc(10) / 2, rel=0.02)
    larger = grown_to_hold(image, region)
    assert larger.offset_in(image) is not None
    # counting voxels errs by about the square root of the 1300 that the surface cuts: 1 %, twice that here
    assert region.to_mask(larger).volume_cc == pytest.approx(sphere_cc(10), rel=0.02)


@pytest.mark.parametrize("axes", sorted(AXES))
def test_mesh_is_closed_outward_and_in_the_patient(axes: str) -> None:
    array = scattered()
    array[6:9, 6:9, 5:7] = False  # a cavity
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * [1.0, 1.5, 2.5]
    affine[:3, 3] = (-50, 20, 7)
    region = region_from_mask(Mask.from_array(array, affine))
    mesh = region.to_mesh()
    assert isinstance(mesh, trimesh.Trimesh)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.body_count == 4  # three lesions and the cavity's inside
    # marching cubes and the tetrahedra of the volume differ within the cells that the surface crosses
    assert mesh.volume / 1000 == pytest.approx(region.volume_cc, rel=0.02)
    reach = extent(region)
    assert mesh.bounds[1] == pytest.approx([reach["R"], reach["A"], reach["S"]], abs=0.02)
    assert mesh.bounds[0] == pytest.approx([reach["L"], reach["P"], reach["I"]], abs=0.02)


def test_mesh_of_a_level_that_is_zero_at_nodes() -> None:
    points = np.moveaxis(np.indices((21, 21, 21)), 0, -1) - 10.0
    diamond = Region(
        level=(np.abs(points).sum(axis=-1) - 6).astype(np.float32), grid=Grid(shape=(21,) * 3, affine=np.eye(4))
    )
    mesh = diamond.to_mesh()
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * 6**3, rel=0.02)


def test_growing_parts_together_is_growing_each() -> None:
    mask = Mask.from_array(scattered(), np.diag([1.0, 1.5, 2.5, 1.0]))
    margin = Margin(right=6, left=3, anterior=4, posterior=5, superior=7, inferior=2)
    together = expand(region_from_mask(mask), margin)
    apart = union(*(expand(region_from_mask(part), margin) for part in lesions(mask)))
    assert together.volume_cc == pytest.approx(apart.volume_cc, rel=2e-3)
