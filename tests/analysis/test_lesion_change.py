"""Lesions of two scans: sizes against closed forms, matches, response."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import ptvkit as pk
from ptvkit.analysis.axial import axial_diameter
from ptvkit.cli import main

SPACING = np.array([0.98, 0.98, 3.0])
ORIGIN = np.array([-35.3, -28.1, -33.7])
SHAPE = (72, 68, 26)


def inside(
    semi_axes: tuple[float, float, float], turn: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """√(xᵀQx) − 1 of an ellipsoid, in mm of its smallest semi-axis."""
    local = points @ turn
    return (np.linalg.norm(local / np.asarray(semi_axes), axis=-1) - 1) * min(semi_axes)


def grid_of(spacing: NDArray[np.float64] = SPACING, shape: tuple[int, int, int] = SHAPE) -> pk.Grid:
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = ORIGIN * [-1, -1, 1]
    return pk.Grid(shape=shape, affine=affine)


def ball(
    *spheres: tuple[float, tuple[float, float, float]], grid: pk.Grid | None = None, name: str = "scan"
) -> pk.Mask:
    """Balls of radius and centre, mm."""
    own = grid or grid_of()
    points = own.to_mm(np.moveaxis(np.indices(own.shape), 0, -1))
    level = np.min([np.linalg.norm(points - np.array(centre), axis=-1) - radius for radius, centre in spheres], axis=0)
    return pk.Mask.from_array(level <= 0, own.affine, name=name)


CASES = [
    ((12, 8, 20), ("x", 35), 24.0, 18.8086),
    ((12, 8, 20), ("x", 60), 26.3038, 24.0),
    ((20, 12, 8), ("XYZ", [30, 50, 20]), 25.5224, 18.3321),
]


def turned(order: str, angles: object) -> NDArray[np.float64]:
    if order == "x":
        return Rotation.from_euler("x", angles, degrees=True).as_matrix()
    x, y, z = (
        Rotation.from_euler(axis, angle, degrees=True).as_matrix() for axis, angle in zip("xyz", angles, strict=True)
    )  # type: ignore[call-overload]
    matrix: NDArray[np.float64] = z @ y @ x
    return matrix


@pytest.mark.parametrize(("semi_axes", "rotation", "longest", "short"), CASES)
def test_axial_diameters_of_tilted_ellipsoids(
    semi_axes: tuple[float, float, float], rotation: tuple[str, object], longest: float, short: float
) -> None:
    """2/√λ of the upper left block of Q, not the shadow; on the surface, and from voxels of 3 mm slices."""
    turn = turned(*rotation)
    fine = grid_of(np.array([0.9, 0.8, 1.0]), (78, 72, 70))
    points = fine.to_mm(np.moveaxis(np.indices(fine.shape), 0, -1))
    on_surface = axial_diameter(pk.Region(level=inside(semi_axes, turn, points), grid=fine))
    assert on_surface.longest_mm == pytest.approx(longest, abs=0.1)
    assert on_surface.short_mm == pytest.approx(short, abs=0.1)
    errors = []
    for shift in np.random.default_rng(3).uniform(-1.5, 1.5, (6, 3)):
        coarse = grid_of()
        points = coarse.to_mm(np.moveaxis(np.indices(coarse.shape), 0, -1)) + shift
        of_voxels = axial_diameter(pk.Mask.from_array(inside(semi_axes, turn, points) <= 0, coarse.affine))
        errors.append((of_voxels.longest_mm - longest, of_voxels.short_mm - short))
        assert of_voxels.slice_mm is not None
        assert of_voxels.slice_mm <= of_voxels.longest_mm
    # one placement has an SD of .25 mm
    assert np.abs(errors).max() < 0.75
    assert np.abs(np.mean(errors, axis=0)).max() < 0.3


def test_an_oblique_image_is_measured_in_axial_planes_all_the_same() -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [12, -20, 30], degrees=True).as_matrix() * [1.0, 1.0, 1.5]
    affine[:3, 3] = affine[:3, :3] @ [-35, -33, -25.2]
    grid = pk.Grid(shape=(70, 68, 51), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    found = axial_diameter(pk.Mask.from_array(inside((20, 12, 8), turned("XYZ", [30, 50, 20]), points) <= 0, affine))
    assert found.longest_mm == pytest.approx(25.5224, abs=0.6)
    assert found.slice_mm is None


def test_response_by_recist() -> None:
    """Eisenhauer 2009, table 3: share of the nadir and 5 mm; partial response by the baseline."""
    sums = [(50, 50, 35), (50, 50, 36), (50, 25, 30), (50, 20, 24), (100, 60, 72), (50, 50, 0)]
    assert [pk.recist_response(*one) for one in sums] == ["PR", "SD", "PD", "PR", "PD", "CR"]
    assert pk.recist_response(50, 50, 0, has_new=True) == "PD"


@pytest.mark.realdata
def test_made_response(shared_data: Path) -> None:
    """Two grids, one shrinks, one grows, one vanishes, one is new: volumes to 1.5 %, diameters to .4 mm."""
    folder = shared_data / "response_made"
    truth = json.loads((folder / "truth.json").read_text())
    scans = truth.get("scans", truth)
    found = pk.compare_lesions(*(pk.read_mask(folder / f"{name}.nii.gz") for name in ("before", "after")))
    assert [row.category for row in found.rows] == ["shrunk", "grown", "vanished", "new"]
    for row, name in zip(found.rows, "ABCD", strict=True):
        for side, when in enumerate(("before", "after")):
            lesion = scans[when]["lesions"].get(name)
            volume, diameter = row.volume_cc[side], row.diameter_mm[side]
            assert (volume is None) == (diameter is None) == (lesion is None)
            if lesion is not None:
                assert volume == pytest.approx(lesion["volume_cc"], rel=0.015)
                assert diameter == pytest.approx(lesion["longest_axial_diameter_mm"], abs=0.4)
                assert row.short_axis_mm[side] == pytest.approx(lesion["axial_diameter_across_it_mm"], abs=0.4)
    assert found.response == "PD"
    assert found.sum_mm[1] / found.sum_mm[0] - 1 == pytest.approx(
        truth["changes"]["sum_of_diameters_of_A_B_C"], abs=0.01
    )


def test_split_merged_and_moved() -> None:
    whole = ball((12, (0, 0, 0)), (6, (0, 18.5, 24)))
    pieces = ball((6, (-7.5, 0, 0)), (6, (7.5, 0, 0)), (6, (1, 20, 25)))
    split = pk.compare_lesions(whole, pieces)
    assert [(row.category, len(row.before), len(row.after)) for row in split.rows] == [
        ("split", 1, 2),
        ("stable", 1, 1),
    ]
    assert [row.matched_by for row in split.rows] == ["overlap", "overlap"]
    # the parts of a lesion that fell apart add up
    assert split.rows[0].diameter_mm[1] == pytest.approx(24, abs=0.6)
    merged = pk.compare_lesions(pieces, whole)
    assert {row.category for row in merged.rows} == {"merged", "stable"}
    # without overlap the nearest within the distance
    moved = ball((12, (0, 0, 0)), (6, (0, 10, 34)))
    assert [row.matched_by for row in pk.compare_lesions(whole, moved).rows] == ["overlap", "distance"]
    far = pk.compare_lesions(whole, moved, distance_mm=12)
    assert [row.category for row in far.rows] == ["stable", "vanished", "new"]


def test_the_transform_takes_before_to_after() -> None:
    shift = np.array([30.0, -10.0, 12.0])
    before = ball((7, (-14, 8, -9)))
    after = ball((7, tuple(np.array([-14, 8, -9]) + shift)))
    transform = np.eye(4)
    transform[:3, 3] = shift
    (row,) = pk.compare_lesions(before, after, transform).rows
    assert (row.category, row.matched_by) == ("stable", "overlap")
    assert row.distance_mm == pytest.approx(0, abs=0.6)
    with pytest.raises(pk.MaskError, match="no lesion can be matched: none overlap, and the nearest centres are 33"):
        pk.compare_lesions(before, after)
    with pytest.raises(pk.MaskError, match="the inverse transform matches them"):
        pk.compare_lesions(before, after, np.linalg.inv(transform))
    with pytest.raises(pk.GridError, match="transform: is singular"):
        pk.compare_lesions(before, after, np.diag([1.0, 1.0, 0.0, 1.0]))


def test_a_touching_neighbour_is_no_merger() -> None:
    """Under a tenth of the smaller lesion is shared: residual shifts between scans do not join neighbours."""
    before = ball((9, (-11, 0, 0)), (9, (11, 0, 0)))
    after = ball((9, (-8, 0, 0)), (9, (12.5, 0, 0)))
    assert [row.category for row in pk.compare_lesions(before, after).rows] == ["stable", "stable"]


def test_the_command_writes_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [tmp_path / name for name in ("a.nii.gz", "b.nii.gz", "far.nii.gz")]
    scans = [ball((8, (0, 3, 0))), ball((10, (1, 3, 0))), ball((6, (-25, 25, 30)))]
    for path, mask in zip(names, scans, strict=True):
        pk.write_mask(mask, path)
    out = tmp_path / "out"
    assert main(["lesions", str(names[0]), str(names[1]), "-o", str(out), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["schema"] == "ptvkit-lesions/1"
    assert content["lesions"][0]["category"] == "grown"
    assert content["lesions"][0]["volume_change"] == pytest.approx((10 / 8) ** 3 - 1, rel=0.05)
    assert sorted(path.name for path in out.iterdir()) == ["lesions.csv", "lesions.json", "lesions.png"]
    assert main(["check", str(out)]) == 0
    capsys.readouterr()
    assert main(["lesions", str(names[0]), str(names[2]), "-o", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no lesion can be matched" in error
    assert not (tmp_path / "none").exists()
