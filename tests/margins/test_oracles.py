"""Margins against formulas, exact bodies and a clinical system."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from benchmarks.accuracy import errors
from benchmarks.truth import CASES, MARGINS, distance_to_body
from ptvkit import (
    Grid,
    Margin,
    Mask,
    PtvkitWarning,
    Region,
    contract,
    expand,
    expand_along,
    extent,
    read_mask,
    region_from_mask,
)
from ptvkit.geometry.extent import margins_between
from ptvkit.margins.expand import dilate, sweep
from tests.conftest import AXES
from tests.geometry.test_surface import shapes

UNEQUAL = Margin(left=5, right=3, anterior=7, posterior=4, superior=10, inferior=6)
SIDES = ("right", "left", "anterior", "posterior", "superior", "inferior")


def grid_around(reach: float, axes: str = "ras", spacing: float = 1.0) -> Grid:
    n = 2 * math.ceil(reach / spacing) + 1
    shape = (n, n + 1, n + 2)
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2) + (0.2, -0.3, 0.4)
    return Grid(shape=shape, affine=affine)


def points_of(grid: Grid) -> NDArray[np.float64]:
    return grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))


def ball(radius: float, axes: str = "ras", room: float = 3.0) -> Region:
    grid = grid_around(radius + room, axes)
    return Region(level=(np.linalg.norm(points_of(grid), axis=-1) - radius).astype(np.float32), grid=grid)


def box(half: tuple[float, float, float], axes: str = "ras") -> Region:
    grid = grid_around(max(half) + 3, axes, 0.5)
    beyond = np.abs(points_of(grid)) - half
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
    return Region(level=(outside + np.minimum(beyond.max(axis=-1), 0)).astype(np.float32), grid=grid)


@pytest.mark.parametrize(
    ("margin", "exact_cc"),
    [
        (Margin.uniform(5) + Margin(superior=5, inferior=5), 79.984267667),
        (UNEQUAL, 73.118938713),
        (Margin.uniform(5) + Margin(superior=5), 72.717057308),
    ],
)
@pytest.mark.parametrize("axes", ["ras", "lps", "permuted"])
def test_grown_ball(margin: Margin, exact_cc: float, axes: str) -> None:
    # a ball of 20 mm holds 33.5 cc; linear cells of 1 mm lose (h/r)²/4 of a volume, .06 % of it, at either end
    assert expand(ball(20, axes), margin).volume_cc == pytest.approx(exact_cc, rel=2.5e-3)


def test_grown_boxes() -> None:
    # no site lies on a sharp edge, the nearest up to half a node (.25 mm) from it: over 360 mm of edges, a quarter
    # turn of 5 mm each, the rims lose about .15 mm, .7 % of these volumes; never do they gain
    assert expand(box((20, 15, 10)), Margin.uniform(5)).volume_cc == pytest.approx(57.592182246, rel=8e-3)
    assert expand(box((20, 15, 10)), UNEQUAL).volume_cc == pytest.approx(67.464659861, rel=8e-3)
    assert expand(box((20, 15, 10)), UNEQUAL.reflected).volume_cc == pytest.approx(67.464659861, rel=8e-3)
    symmetric = Margin.uniform(5) + Margin(superior=5, inferior=5)
    assert expand(box((20, 15, 10)), symmetric).volume_cc == pytest.approx(75.613568166, rel=8e-3)


@pytest.mark.parametrize("axes", sorted(AXES))
@pytest.mark.parametrize(
    "margin",
    [
        UNEQUAL,
        Margin(superior=5, inferior=15),
        Margin(right=10, left=10, anterior=10, posterior=10),
        Margin(right=14.2, left=1.1, anterior=7.9, posterior=2.8, inferior=11.1),
        Margin.uniform(0.3),
        Margin.uniform(1.0),
        Margin.uniform(1.5),
        Margin(right=0.7, left=9, anterior=9, posterior=9, superior=9, inferior=9),
    ],
    ids=str,
)
def test_reach_in_six_directions(axes: str, margin: Margin) -> None:
    start = ball(18, axes, room=5)
    reached = margins_between(extent(start), extent(expand(start, margin)))
    # extremes are read off the edges of a 1 mm grid, so they differ by up to h²/8r of both surfaces, and by the
    # resampling of oblique grids
    assert reached == pytest.approx(margin.letters, abs=0.12 if axes == "oblique" else 0.06)


def test_breathing_alone_is_a_sweep() -> None:
    start = ball(20)
    grown = expand(start, Margin(superior=5, inferior=15)).volume_cc - start.volume_cc
    assert grown == pytest.approx(math.pi * 20**2 * 20 / 1000, rel=2e-3)


def test_semi_axes_lack_the_lateral_reach_of_the_sweep() -> None:
    """A point grown by 10 mm with 30 mm more superiorly: what is left of the 10 mm around (0, 0, 30)."""
    start = ball(3)
    semi = expand(start, Margin.uniform(10) + Margin(superior=30))
    swept = sweep(dilate(start, Margin.uniform(10)), np.array([0.0, 0, 1]), forward_mm=30, backward_mm=0)
    heights = np.array([[x, 0.0, 30.0] for x in np.arange(0, 16, 0.01)])
    exact = distance_to_body(heights, (10, 10, 10, 10, 40, 10)) - 3  # the ball of 3 mm around the body
    reach = [heights[level < 0][-1, 0] for level in (exact, semi.sample(heights), swept.sample(heights))]
    assert 10 * math.sqrt(1 - (30 / 40) ** 2) == pytest.approx(6.6, abs=0.02)
    assert reach[1] == pytest.approx(reach[0], abs=0.1)
    assert reach[2] == pytest.approx(13, abs=0.1)
    assert semi.volume_cc < swept.volume_cc


def test_contraction_is_by_the_reflected_body() -> None:
    start = box((20, 16, 18))
    margin = Margin(superior=6, inferior=2, right=1.5, left=4)
    lost = margins_between(extent(contract(start, margin)), extent(start))
    # the erosion {x : x + B ⊂ target}: the superior side moves by the superior margin; extremes are single points, and
    # those on the sharp rims are off by up to a quarter node (0.125 mm)
    assert lost == pytest.approx(margin.letters, abs=0.13)
    assert contract(box((3, 3, 3)), Margin.uniform(4)).is_empty


def test_grown_then_shrunk_holds_the_start() -> None:
    start = box((12, 9, 14))
    closed = contract(expand(start, UNEQUAL), UNEQUAL)
    assert closed.sample(start.surface_points()).max() < 0.15
    assert closed.volume_cc == pytest.approx(start.volume_cc, rel=0.01)


def test_margin_along_an_oblique_axis() -> None:
    axis = np.array([0.0, math.sin(math.radians(30)), math.cos(math.radians(30))])
    grown = expand_along(ball(10), axis, forward_mm=12, backward_mm=6, lateral_mm=4)
    points = grown.surface_points() - (0, 0, 0)
    along = points @ axis
    across = np.linalg.norm(points - along[:, None] * axis, axis=1)
    assert along.max() == pytest.approx(22, abs=0.1)
    assert along.min() == pytest.approx(-16, abs=0.1)
    assert across.max() == pytest.approx(14, abs=0.1)


def test_three_millimetres_on_five_millimetre_slices() -> None:
    rng = np.random.default_rng(5)
    moved = []
    for _ in range(8):
        radius, spacing = rng.uniform(9, 22), np.array([0.98, 0.98, 5.0])
        shape = 2 * np.ceil((radius + 6) / spacing).astype(int) + 1
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2 + rng.uniform(-0.5, 0.5, 3))
        grid = Grid(shape=tuple(int(n) for n in shape), affine=affine)
        mask = Mask.from_array(np.linalg.norm(points_of(grid), axis=-1) <= radius, affine)
        region = region_from_mask(mask)
        reached = margins_between(extent(region), extent(expand(region, Margin.uniform(3))))
        moved += [reached["S"], reached["I"]]
    assert moved == pytest.approx([3.0] * len(moved), abs=0.1)


@pytest.mark.parametrize("seed", range(12))
def test_voxel_rule_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = rng.random((9, 10, 11)) < rng.choice([0.01, 0.05, 0.4])
    array[4, 5, 6] = True
    affine = np.eye(4)
    affine[:3, :3] = AXES[sorted(AXES)[seed % 5]] * rng.choice([1, 0.977, 2, 3], 3)
    margin = Margin(**{side: float(rng.choice([0, 2, 3, 9.77, rng.uniform(0, 9)])) for side in SIDES})
    mask = Mask.from_array(array, affine)
    every = np.argwhere(np.ones(array.shape, bool)) @ affine[:3, :3].T
    expected = np.zeros(len(every), bool)
    for start in np.argwhere(array) @ affine[:3, :3].T:
        step = every - start
        cost = np.zeros(len(every))
        for axis, (plus, minus) in enumerate(("RL", "AP", "SI")):
            length = np.where(step[:, axis] >= 0, margin.letters[plus], margin.letters[minus])
            away = np.where(np.abs(step[:, axis]) < 1e-9, 0, np.abs(step[:, axis]))
            with np.errstate(divide="ignore", invalid="ignore"):
                cost += np.where(away > 0, (away / length) ** 2, 0)
        expected |= cost <= (1 + 1e-6) ** 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = expand(mask, margin, method="voxel").array
    np.testing.assert_array_equal(found, expected.reshape(array.shape))


def test_voxel_rule_tells_what_leaves_the_image() -> None:
    array = np.zeros((9, 10, 11), bool)
    array[1, 5, 5] = True
    mask = Mask.from_array(array, np.diag([1.0, 1.0, 2.0, 1.0]), name="gtv")
    with pytest.warns(PtvkitWarning, match=r"gtv: 0\.00 cc of the grown mask"):
        found = expand(mask, Margin(left=3), method="voxel")
    assert np.argwhere(found.array).tolist() == [[0, 5, 5], [1, 5, 5]]
    assert expand(mask, Margin(left=1, right=4), method="voxel").array.sum() == 6


def test_equal_voxel_margins_are_the_distance_transform() -> None:
    rng = np.random.default_rng(2)
    mask = Mask.from_array(rng.random((25, 27, 15)) < 0.01, np.diag([0.977, -0.977, 2.5, 1.0]))
    near = ndimage.distance_transform_edt(~mask.array, sampling=(0.977, 0.977, 2.5)) <= 9.77 * (1 + 1e-9)
    with pytest.warns(PtvkitWarning, match="fall outside the image"):
        found = expand(mask, Margin.uniform(9.77), method="voxel").array
    np.testing.assert_array_equal(found, near)


@pytest.mark.statistics
@pytest.mark.parametrize("case", [CASES[1], CASES[2], CASES[4], CASES[5]], ids=lambda case: case.name)
@pytest.mark.parametrize("margin", ["3", "10", "six"])
def test_error_is_a_third_of_the_voxel_rules_at_most(case, margin: str) -> None:  # type: ignore[no-untyped-def]
    offsets = list(np.random.default_rng(9).uniform(-0.5, 0.5, (4, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = errors(case, MARGINS[margin], offsets)
    assert abs(found["region"]) < abs(found["voxel rule"]) / 3
    assert found["voxel rule"] < -0.15


@pytest.mark.statistics
@pytest.mark.parametrize("axes", ["ras", "lps", "oblique"])
def test_six_random_margins(axes: str) -> None:
    rng = np.random.default_rng(23)
    reach = []
    for _ in range(8):
        radius, lengths = rng.uniform(8, 16), rng.uniform(1, 14, 6)
        affine = np.eye(4)
        turn = Rotation.from_rotvec(rng.normal(size=3) * 0.3).as_matrix() if axes == "oblique" else AXES[axes]
        spacing = np.array([1.0, 1.0, 2.0])
        affine[:3, :3] = turn * spacing
        shape = 2 * np.ceil((radius + 17) / spacing).astype(int) + 1
        affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2 + rng.uniform(-0.5, 0.5, 3))
        grid = Grid(shape=tuple(int(n) for n in shape), affine=affine)
        mask = Mask.from_array(np.linalg.norm(points_of(grid), axis=-1) <= radius, affine)
        margin = Margin(**dict(zip(SIDES, lengths, strict=True)))
        grown = expand(region_from_mask(mask), margin)
        reach += [abs(extent(grown)[letter]) - radius - length for letter, length in margin.letters.items()]
        fine = grid_around(radius + 16, "ras", 0.7)
        exact = distance_to_body(points_of(fine).reshape(-1, 3), tuple(lengths)).reshape(fine.shape) - radius
        exact_cc = Region(level=exact.astype(np.float32), grid=fine).volume_cc
        assert grown.to_mask(grid).volume_cc == pytest.approx(exact_cc, rel=0.02)
        faces = extent(grown.to_mask(grid))
        voxel = np.abs(affine[:3, :3]).sum(axis=1)
        for axis, (plus, minus) in enumerate(("RL", "AP", "SI")):
            assert faces[plus] - radius - margin.letters[plus] == pytest.approx(0, abs=voxel[axis])
            assert -faces[minus] - radius - margin.letters[minus] == pytest.approx(0, abs=voxel[axis])
    assert np.abs(reach).mean() < 0.3
    assert np.abs(reach).max() < 0.9


@pytest.mark.realdata
def test_clinical_case(shared_data: Path) -> None:
    gtv, ctv, ptv = (read_mask(shared_data / "ent_brain" / f"{name}.nii.gz") for name in ("GTV", "CTV", "PTV1"))

    def dice(a: Mask, b: Mask) -> float:
        return float(2 * (a.array & b.array).sum() / (a.array.sum() + b.array.sum()))

    assert dice(expand(gtv, Margin.uniform(10)), ctv) >= 0.975
    assert dice(expand(ctv, Margin.uniform(5)), ptv) >= 0.982
    np.testing.assert_array_equal(expand(gtv, Margin()).array, gtv.array)


def check_nearest(region: Region, margin_mm: float) -> None:
    """Every point of the grown surface lies at the margin from the nearest of the surface, found by brute force."""
    points = region.surface_points()
    grown = expand(region, Margin.uniform(margin_mm))
    away, _ = cKDTree(points).query(grown.surface_points())
    # the nearest known point is up to half a millimetre aside of the nearest point, √(m² + .5²) − m, and nodes about
    # 1 mm apart place a surface of radius m to h²/8m
    aside = math.hypot(margin_mm, 0.5) - margin_mm
    assert away.mean() == pytest.approx(margin_mm, abs=0.6 * aside + 1 / (8 * margin_mm))
    assert np.percentile(np.abs(away - margin_mm), 99) < 0.12
    assert (cKDTree(grown.surface_points()).query(points)[0] > margin_mm - 0.15).all()


@pytest.mark.parametrize("name", ["ring", "cup", "branch", "hollow"])
def test_concave_shapes_against_the_nearest_point(name: str) -> None:
    check_nearest(region_from_mask(Mask.from_array(shapes()[name], np.diag([1.0, 1.2, 3.0, 1.0]))), 4.0)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["lung1", "lung2"])
def test_lung_against_the_nearest_point(name: str, shared_data: Path) -> None:
    check_nearest(region_from_mask(read_mask(shared_data / "lung_gtv" / f"{name}_gtv.nii.gz")), 8.0)
