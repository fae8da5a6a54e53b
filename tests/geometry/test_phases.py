"""Phases of a breathing cycle against shapes whose displacement, loop and volume are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.geometry.warp import DisplacementField, folded_share, warped
from tests.conftest import AXES

Floats = NDArray[np.float64]
CENTRE = np.array([31.0, -12.0, 7.0])
LOOP = np.array([[0, 0.0, -12], [0, 4, -8], [0.5, 5, -2], [0, 3, 0], [0, 0, 0], [0, -1, -7]])


def ellipsoid(moved: Floats | tuple[float, ...] = (0, 0, 0), stretch: float = 1.0, name: str = "gtv") -> pk.Region:
    """An ellipsoid of 9 × 7 × 12 mm, on a lattice that is not aligned with it."""
    affine = np.eye(4)
    affine[:3, :3] = AXES["oblique"] * [0.9, 1.0, 1.1]
    affine[:3, 3] = CENTRE - affine[:3, :3] @ (np.array([40, 40, 44]) / 2)
    grid = pk.Grid(shape=(41, 41, 45), affine=affine)
    away = (grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - CENTRE - moved) / [1, 1, stretch]
    axes = np.array([9.0, 7.0, 12.0])
    scaled = np.linalg.norm(away / axes, axis=-1)
    slope = np.maximum(np.linalg.norm(away / axes**2, axis=-1) / np.maximum(scaled, 1e-6), 1e-3)
    return pk.Region(level=((scaled - 1) / slope).astype(np.float32), grid=grid, name=name)


def test_displacements_are_from_the_weighted_mean() -> None:
    weights = np.array([0.1, 0.1, 0.15, 0.25, 0.3, 0.1])
    phases = pk.Phases(regions=[ellipsoid(x) for x in LOOP], weights=100 * weights, numbers=(0, 20, 35, 50, 70, 90))
    expected = LOOP - weights @ LOOP
    np.testing.assert_allclose(phases.displacement_mm, expected, atol=0.02)
    np.testing.assert_allclose(phases.mean_mm, CENTRE + weights @ LOOP, atol=0.02)
    np.testing.assert_allclose(phases.sd_mm, np.sqrt(weights @ expected**2), atol=0.02)
    np.testing.assert_allclose(phases.amplitude_mm, [0.5, 6, 12], atol=0.03)
    assert phases.mid_ventilation == int(np.linalg.norm(expected, axis=1).argmin())
    assert (phases.exhale, phases.inhale) == (4, 0) or (phases.exhale, phases.inhale) == (3, 0)
    area = 0.5 * np.linalg.norm(np.cross(LOOP, np.roll(LOOP, -1, axis=0)).sum(axis=0))
    assert phases.hysteresis == pytest.approx(area, rel=0.01)
    assert phases.index_of(35) == 2
    assert phases.findings == ()
    np.testing.assert_allclose(phases.surface_displacement_mm, expected, atol=0.05)


def test_a_part_that_one_delineation_lacks_moves_the_centroid_more_than_the_surface() -> None:
    whole = [ellipsoid(x) for x in LOOP[:4]]
    half = pk.Region(
        level=whole[1].grid.to_mm(np.moveaxis(np.indices(whole[1].grid.shape), 0, -1))[..., 2] - 5.0, grid=whole[1].grid
    )
    regions = [whole[0], pk.intersection(whole[1], half), *whole[2:]]
    phases = pk.Phases(regions=regions)
    truth = LOOP[:4] - LOOP[:4].mean(axis=0)
    off = np.abs(phases.displacement_mm - truth).max(), np.abs(phases.surface_displacement_mm - truth).max()
    assert off[1] < 0.6 * off[0]
    assert any("the volume changes by" in text for text in phases.findings)


def test_a_phase_out_of_sequence_is_reported() -> None:
    order = [0, 2, 1, 3, 4, 5]
    phases = pk.Phases(regions=[ellipsoid(LOOP[n]) for n in order], numbers=(0, 15, 30, 50, 70, 90))
    assert set(phases.out_of_sequence) == {15.0, 30.0}
    assert any("out of sequence: phase 15, 30" in text for text in phases.findings)
    assert not pk.Phases(regions=[ellipsoid(x) for x in LOOP]).out_of_sequence


def test_what_is_no_set_of_phases_is_refused() -> None:
    three = [ellipsoid(x) for x in LOOP[:3]]
    with pytest.raises(pk.MotionError, match="at least 3"):
        pk.Phases(regions=three[:2])
    for weights in ((0.3, 0.3, 0.3), (1, 1, 1), (0.5, 0.5, 0.0), (0.5, 0.5)):
        with pytest.raises(pk.MotionError, match="weight"):
            pk.Phases(regions=three, weights=weights)
    for numbers in ((0, 30, 20), (0, 0, 20), (0, 30)):
        with pytest.raises(pk.MotionError, match="numbers must rise"):
            pk.Phases(regions=three, numbers=numbers)
    empty = pk.Region(level=np.ones((5, 5, 5)), grid=pk.Grid(shape=(5, 5, 5), affine=np.eye(4)), name="b.nii.gz")
    with pytest.raises(pk.MaskError, match=r"phase 30 \(b.nii.gz\) is empty"):
        pk.Phases(regions=[three[0], empty, three[1]], numbers=(0, 30, 50))
    array = np.zeros((9, 9, 9), bool)
    array[3:6, 3:6, 3:6] = True
    masks = [pk.Mask.from_array(array, np.diag([1.0, 2.0, s, 1.0])) for s in (3.0, 3.0, 4.0)]
    with pytest.raises(pk.GridError, match="another grid"):
        pk.Phases(regions=masks)
    with pytest.raises(pk.MotionError, match="has no phase 40; use one of 0, 30, 50"):
        pk.Phases(regions=three, numbers=(0, 30, 50)).index_of(40)


def field_of(function: object, name: str = "dvf") -> DisplacementField:
    affine = np.diag([-2.0, 2.0, 2.5, 1.0])
    affine[:3, 3] = CENTRE - affine[:3, :3] @ (np.array([40, 40, 36]) / 2)
    grid = pk.Grid(shape=(41, 41, 37), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return DisplacementField(vectors_mm=function(points), grid=grid, name=name)  # type: ignore[operator]


def test_a_field_carries_a_structure_either_way() -> None:
    stretch, shift = 1.2, np.array([1.0, 3.0, -6.0])
    forwards = field_of(lambda x: (x - CENTRE) * [0, 0, stretch - 1] + shift)
    backwards = field_of(lambda x: (x - CENTRE - shift) / [1, 1, stretch] + CENTRE - x)
    truth = ellipsoid(shift, stretch)
    for field, maps in ((forwards, "from_reference"), (backwards, "to_reference")):
        found = warped(ellipsoid(), field, maps)  # type: ignore[arg-type]
        assert found.volume_cc == pytest.approx(truth.volume_cc, rel=0.015)  # two linear interpolations on 1 mm
        assert np.abs(truth.sample(found.surface_points())).max() < 0.15
        assert folded_share(field, ellipsoid()) == 0
    folds = field_of(lambda x: (x - CENTRE) * [0, 0, -1.5])
    assert folded_share(folds, ellipsoid()) == 1
    np.testing.assert_allclose(forwards.determinant(), stretch, atol=1e-6)
    pose = np.eye(4)
    pose[2, 3] = 40.0
    with pytest.raises(pk.GridError, match="does not cover"):
        warped(ellipsoid().moved(pose), forwards, "to_reference")
