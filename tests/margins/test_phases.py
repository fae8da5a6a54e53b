"""Targets from phases against spheres whose union, sweep and mean are known in closed form."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.geometry.centroid import centroid
from ptvkit.margins.phases import target_of

Floats = NDArray[np.float64]


def balls(radius: float, places: Floats, spacing: float | None = None) -> list[pk.Region]:
    """Balls on one lattice, off its nodes."""
    spacing = min(0.75, radius / 14) if spacing is None else spacing  # linear levels lose .2 % of the volume
    low, high = places.min(axis=0) - radius - 3, places.max(axis=0) + radius + 3
    shape = np.ceil((high - low) / spacing).astype(int)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low + [0.13, 0.21, 0.07]
    grid = pk.Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return [pk.Region(level=np.linalg.norm(points - place, axis=-1) - radius, grid=grid) for place in places]


def on_a_line(count: int, length: float) -> Floats:
    return np.linspace(0, 1, count)[:, None] * [0.0, 0.0, -length]


@pytest.mark.parametrize(
    ("radius", "length", "count", "volume"),
    [(15, 15, 3, 24519.149), (15, 15, 10, 24729.134), (5, 20, 3, 1570.796), (5, 20, 6, 2010.619)],
)
def test_union_of_balls_on_a_line(radius: float, length: float, count: int, volume: float) -> None:
    phases = pk.Phases(regions=balls(radius, on_a_line(count, length)))
    assert pk.itv(phases).volume_cc == pytest.approx(volume / 1000, rel=0.005)


@pytest.mark.parametrize(
    ("radius", "axes", "volume"),
    [
        (15, (15, 0), 24740.042),
        (5, (20, 0), 2094.395),
        (15, (15, 5), 27707.2),
        (10, (20, 5), 12485.0),
        (5, (20, 12), 4008.29),
    ],
)
def test_a_ball_moved_along_a_line_or_an_ellipse(radius: float, axes: tuple[float, float], volume: float) -> None:
    turn = np.linspace(0, 2 * np.pi, 121)[:, None]
    path = np.cos(turn) * [0, 0, axes[0] / 2] + np.sin(turn) * [0, axes[1] / 2, 0]
    found = pk.itv(balls(radius, np.zeros((1, 3)))[0], path)
    assert found.volume_cc == pytest.approx(volume / 1000, rel=0.005)


@pytest.mark.parametrize(
    ("slice_mm", "axes", "within"), [(1, (15, 15, 15), 0.05), (3, (13, 17, 15), 0.08), (5, (13, 17, 15), 0.15)]
)
def test_moved_masks_keep_their_surface(slice_mm: float, axes: tuple[float, ...], within: float) -> None:
    """A ball and an ellipsoid along a stroke of 15 mm."""
    length, affine = 15.0, np.diag([1.0, 1.0, slice_mm, 1.0])
    affine[:3, 3] = -25.3, -25.8, -40.0
    grid = pk.Grid(shape=(52, 52, int(80 / slice_mm)), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    mask = pk.Mask.from_array(np.linalg.norm((points - [0, 0, 7.9]) / axes, axis=-1) <= 1, affine)
    surface = pk.itv(mask, np.array([[0, 0, 0.0], [0, 0, -length]])).surface_points() - [0, 0, 7.9]
    surface[:, 2] -= np.clip(surface[:, 2], -length, 0)
    scaled = np.linalg.norm(surface / axes, axis=1)
    off = (scaled - 1) * scaled / np.linalg.norm(surface / np.square(axes), axis=1)
    assert np.abs(off).mean() < within


def test_breathing_moves_a_target_along_its_path() -> None:
    ball = balls(10, np.zeros((1, 3)))[0]
    breathing = pk.Breathing.lujan(amplitude_mm=(0, 0, 12), inhale=(0, 0, -1), reference="exhale")
    swept = pk.itv(ball, breathing)
    assert swept.volume_cc == pytest.approx((4 / 3 * np.pi * 1000 + np.pi * 100 * 12) / 1000, rel=0.005)
    trace = pk.Trajectory(time_s=np.arange(50.0), displacement_mm=np.outer(np.sin(np.arange(50) * 0.7), [0, 0, 6]))
    measured = pk.itv(ball, pk.Breathing.from_trace(trace, reference=(0, 0, 0)))
    length = np.ptp(trace.displacement_mm[:, 2])
    assert measured.volume_cc == pytest.approx((4 / 3 * np.pi * 1000 + np.pi * 100 * length) / 1000, rel=0.005)
    with pytest.raises(pk.MotionError, match="no one path"):
        pk.itv(ball, pk.Breathing.lujan(amplitude_mm=(0, 0, 12), inhale=(0, 0, -1), reference="snapshot"))
    with pytest.raises(pk.MarginError, match="needs a motion"):
        pk.itv(ball)
    with pytest.raises(pk.MarginError, match="positions"):
        pk.itv(ball, [1.0, 2.0])


def test_ten_phases_miss_the_ends() -> None:
    """Half a phase from inhale: the range is .928352 of the amplitude; the union of balls is known."""
    share = np.cos(np.pi * (np.arange(10) + 0.5) / 10) ** 6
    phases = pk.Phases(regions=balls(15, np.outer(share, [0, 0, -15.0])))
    assert phases.amplitude_mm[2] == pytest.approx(0.928352 * 15, abs=0.01)
    assert pk.itv(phases).volume_cc == pytest.approx(23.86297, rel=0.002)
    assert phases.displacement_mm[phases.mid_ventilation, 2] == pytest.approx(0.1875 * 15, abs=0.01)


def test_targets_of_each_kind() -> None:
    places = np.outer(np.cos(np.pi * np.arange(10) / 10) ** 6, [0, 0, -15.0])
    phases = pk.Phases(regions=balls(15, places, 1.0))
    whole = pk.make_targets(phases, ctv=3, ptv=2, motion="itv")
    assert whole.gtv.volume_cc == pytest.approx(24.62658, rel=0.005)
    assert whole.motion is not None
    assert whole.motion.internal_margin_mm == pytest.approx(
        {"R": 0, "L": 0, "A": 0, "P": 0, "S": 4.6875, "I": 10.3125}, abs=0.06
    )
    mean = pk.mid_position(phases)
    np.testing.assert_allclose(centroid(mean), [0, 0, -4.6875], atol=0.02)
    assert mean.volume_cc == pytest.approx(4 / 3 * np.pi * 3.375, rel=0.005)
    near = pk.make_targets(phases, ctv=3, ptv=2, motion="mid_ventilation")
    assert near.motion is not None
    assert near.motion.phase in (20, 80)
    np.testing.assert_allclose(near.motion.residual_mm, [0, 0, 0.032121 * 15], atol=0.02)
    np.testing.assert_allclose(centroid(target_of(phases, 50)[0]), [0, 0, 0], atol=0.02)
    for wrong in ("snapshot", None):
        with pytest.raises(pk.MarginError, match="motion"):
            pk.make_targets(phases, ctv=3, ptv=2, motion=wrong)
    with pytest.raises(pk.MotionError, match="has no phase 55"):
        pk.make_targets(phases, ctv=3, ptv=2, motion=55)
    with pytest.raises(pk.MarginError, match="is one structure"):
        pk.make_targets(phases.regions[0], ctv=3, ptv=2, motion="itv")
    grown = pk.expand(phases, 4)
    assert grown.regions[3].volume_cc == pytest.approx(4 / 3 * np.pi * 6.859, rel=0.005)
    assert grown.numbers.tolist() == phases.numbers.tolist()


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:.*nothing states the time weights")
def test_the_made_case(shared_data: Path) -> None:
    folder = shared_data / "phases_made"
    truth = json.loads((folder / "truth.json").read_text())
    phases = pk.read_phases(folder)
    centres = np.array([phase["centroid_ras_mm"] for phase in truth["phases"]])
    np.testing.assert_allclose(phases.displacement_mm, centres - centres.mean(axis=0), atol=0.2)
    assert phases.mid_ventilation == int(np.linalg.norm(centres - centres.mean(axis=0), axis=1).argmin())
    assert pk.itv(phases).volume_cc == pytest.approx(truth["itv_of_the_ten_phases_cc"], rel=0.015)
    mean = pk.mid_position(phases)
    stretch = 1 + 0.1 * np.mean([phase["u"] for phase in truth["phases"]])
    assert mean.volume_cc == pytest.approx(truth["shape"]["volume_cc"] * stretch, rel=0.01)
    np.testing.assert_allclose(centroid(mean), centres.mean(axis=0), atol=0.15)
    drawn = pk.read_phases(folder / "dicom")
    assert drawn.numbers.tolist() == [0, 30, 50]
    assert phases.grid is not None
    for number, region in zip((0, 3, 5), drawn.regions, strict=True):
        a, b = (one.to_mask(phases.grid).array for one in (phases.regions[number], region))
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.99
