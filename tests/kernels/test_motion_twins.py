"""Kernels of motion against plain twins on random input."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import interpolate, ndimage, signal
from scipy.spatial.transform import Rotation

from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.kernels.distance import distance_outside
from ptvkit.kernels.level import volume_in_cells
from ptvkit.kernels.occupancy import occupancy
from ptvkit.kernels.pose import deepest, deepest_of_shifts, share_inside
from ptvkit.kernels.table import look_up, look_up_nearest, spread_counts
from ptvkit.kernels.wave import cycle_wave

SHAPE = (7, 9, 11)
SPACING = np.array([1.0, 2.0, 1.5])
Floats = NDArray[np.float64]


def affine_to_index(rng: np.random.Generator) -> Floats:
    matrix = rng.normal(size=(3, 3)) * 0.4 + np.eye(3)
    return np.column_stack([matrix, rng.uniform(2, 4, 3)])


@pytest.mark.parametrize("seed", range(3))
def test_look_up_is_linear_interpolation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=SHAPE).astype(np.float32)
    to_index = affine_to_index(rng)
    shifts = rng.uniform(-4, 6, size=(500, 3))
    index = shifts @ to_index[:, :3].T + to_index[:, 3]
    twin = interpolate.RegularGridInterpolator([np.arange(n) for n in SHAPE], table, bounds_error=False)
    np.testing.assert_allclose(look_up(table, to_index, shifts), twin(index), rtol=1e-5, atol=1e-6)
    codes = rng.integers(0, 6, size=SHAPE).astype(np.int8)
    inside = ((index >= 0) & (index <= np.array(SHAPE) - 1)).all(axis=1)
    nearest = look_up_nearest(codes, to_index, shifts)
    assert 0 < inside.sum() < len(shifts)
    assert (nearest[~inside] == -1).all()
    at = np.floor(index[inside] + 0.5).astype(int)
    np.testing.assert_array_equal(nearest[inside], codes[tuple(at.T)])


def test_spread_counts_keeps_number_and_moments() -> None:
    rng = np.random.default_rng(4)
    to_index = affine_to_index(rng)
    shifts = rng.uniform(-1, 3, size=(400, 3))
    index = shifts @ to_index[:, :3].T + to_index[:, 3]
    inside = ((index >= 0) & (index <= np.array(SHAPE) - 1)).all(axis=1)
    counts = np.zeros(SHAPE)
    beyond = spread_counts(counts, to_index, shifts)
    assert beyond == (~inside).sum() > 0
    assert counts.sum() == pytest.approx(inside.sum())
    # linear weights keep the mean position
    nodes = np.moveaxis(np.indices(SHAPE), 0, -1)
    np.testing.assert_allclose((counts[..., None] * nodes).sum(axis=(0, 1, 2)), index[inside].sum(axis=0))


def test_occupancy_is_the_share_of_the_cell() -> None:
    rng = np.random.default_rng(0)
    nodes = np.moveaxis(np.indices((9, 10, 12)), 0, -1) - [4.2, 4.4, 5.7]
    level = (np.linalg.norm(nodes / [0.9, 1.1, 1.3], axis=-1) - 3.0).astype(np.float32)
    fine = 9
    offset = (np.arange(fine) + 0.5) / fine - 0.5
    around = np.stack(np.meshgrid(offset, offset, offset, indexing="ij"), axis=-1).reshape(-1, 3)
    found = occupancy(level)
    for node in rng.integers(0, level.shape, size=(200, 3)):
        points = np.clip(node + around, 0, np.array(level.shape) - 1)
        expected = (ndimage.map_coordinates(level, points.T, order=1, mode="nearest") < 0).mean()
        assert found[tuple(node)] == pytest.approx(expected, abs=0.13)
    assert found.sum() == pytest.approx(volume_in_cells(level), rel=0.01)


def test_distance_outside_is_that_of_the_crossings() -> None:
    """Away from the surface: the distance to the nearest crossing, less the mean miss between crossings."""
    nodes = (np.moveaxis(np.indices((21, 13, 15)), 0, -1) - [10.3, 6.1, 7.2]) * SPACING
    radius = np.linalg.norm(nodes, axis=-1)
    found = distance_outside((radius**2 - 36).astype(np.float32), (1.0, 2.0, 1.5), 8.0)
    true = np.clip(radius - 6.0, 0.0, 8.0)
    error = found - true
    assert (found[radius < 6] == 0).all()
    assert abs(error[(true > 1.5) & (true < 7.5)]).max() < 0.35
    # nodes 2 mm apart place a crossing of a 6 mm ball up to 2²/8/6 mm too far in
    assert abs(error[(true > 1.5) & (true < 7.5)].mean()) < 0.084
    assert (found[radius > 15] == 8.0).all()


def field(
    rng: np.random.Generator, shape: tuple[int, int, int] = (26, 24, 28)
) -> tuple[NDArray[np.float32], Floats, float]:
    """A signed distance to an ellipsoid-like body on an oblique grid, and its to-index matrix (3, 4)."""
    turn = Rotation.random(random_state=rng).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * 1.1
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) / 2)
    points = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    level = np.maximum(np.linalg.norm(points - [1, 2, -1], axis=-1) - 8.0, points[..., 2] - 5.0)
    return level.astype(np.float32), np.linalg.inv(affine)[:3], 30.0


def patches_of(points: Floats, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    first = np.r_[0, np.sort(rng.choice(np.arange(1, len(points)), 9, replace=False)), len(points)].astype(np.int64)
    parts = [points[a:b] for a, b in pairwise(first.tolist())]
    centre = np.array([part.mean(axis=0) for part in parts])
    radius = [np.linalg.norm(part - c, axis=1).max() for part, c in zip(parts, centre, strict=True)]
    return first, np.column_stack([centre, radius])


@pytest.mark.parametrize("seed", range(4))
def test_deepest_and_share_are_those_of_all_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level, to_index, beyond = field(rng)
    points = rng.normal(size=(160, 3)) * 1.7
    first, patches = patches_of(points, rng)
    turns = Rotation.from_rotvec(rng.normal(size=(40, 3)) * 0.2).as_matrix()
    shifts = rng.normal(size=(40, 3)) * 4
    poses = np.empty((40, 3, 4))
    poses[..., :3] = to_index[:, :3] @ turns
    poses[..., 3] = shifts @ to_index[:, :3].T + to_index[:, 3]
    twin = interpolate.RegularGridInterpolator([np.arange(n) for n in level.shape], level, bounds_error=False)
    at = np.einsum("nij,mj->nmi", poses[..., :3], points) + poses[:, None, :, 3]
    values = np.nan_to_num(twin(at.reshape(-1, 3)).reshape(at.shape[:2]), nan=beyond)
    slope = np.linalg.inv(to_index[:, :3]) / 1.1**2
    unknown = np.full(len(poses), np.inf)
    depth, side = deepest(poses, unknown, -1.0, level, beyond, points, first, patches, slope)
    out = values.max(axis=1) > 0
    assert 5 < out.sum() < 40
    np.testing.assert_allclose(depth[out], values.max(axis=1)[out], atol=1e-5)
    np.testing.assert_allclose(depth[~out], np.maximum(values.max(axis=1)[~out], -1.0), atol=1e-5)
    letters = list(DIRECTIONS)
    for n in np.flatnonzero(out):  # a quarter of a millimetre further to that side lies further out
        best = at[n, values[n].argmax()]
        steps = {s: to_index[:, :3] @ (np.eye(3)[DIRECTIONS[s].axis] * DIRECTIONS[s].sign * 0.25) for s in letters}
        gain = {s: np.nan_to_num(twin(best + step), nan=beyond)[0] for s, step in steps.items()}
        if np.isfinite(twin(best)).all() and max(gain.values()) < beyond:
            assert gain[letters[side[n]]] > max(gain.values()) - 0.08
    share = share_inside(poses, unknown, level, beyond, points, first, patches, 1.5, out)
    expected = np.clip(0.5 - values / 1.5, 0, 1).mean(axis=1)
    np.testing.assert_allclose(share[out], expected[out], atol=1e-6)
    assert (share[~out] == 1).all()
    # poses of one rotation, in short steps: what is known to stay the same is not worked out again
    walked, steps = rng.normal(size=(40, 3)).cumsum(axis=0) * 0.3, np.full(40, np.inf)
    steps[1:] = np.linalg.norm(np.diff(walked, axis=0), axis=1)
    steps[20] = np.inf
    poses[..., :3] = poses[:1, :, :3]
    poses[..., 3] = walked @ to_index[:, :3].T + to_index[:, 3]
    shares = [share_inside(poses, s, level, beyond, points, first, patches, 1.5, out) for s in (steps, unknown)]
    np.testing.assert_array_equal(*shares)


@pytest.mark.parametrize("seed", range(3))
def test_deepest_of_shifts_is_deepest_at_each_node(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level, to_index, beyond = field(rng, (30, 28, 52))
    points = rng.normal(size=(160, 3)) * 1.7
    first, patches = patches_of(points, rng)
    slope = np.linalg.inv(to_index[:, :3]) / 1.1**2
    shape, stride, first_shift = (5, 6, 37), (2, 1, 1), (-4, -3, -18)
    nodes = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3) * stride + first_shift
    shifts = nodes @ np.linalg.inv(to_index[:, :3]).T
    poses = np.empty((len(shifts), 3, 4))
    poses[..., :3] = to_index[:, :3]
    poses[..., 3] = shifts @ to_index[:, :3].T + to_index[:, 3]
    unknown = np.full(len(poses), np.inf)
    expected, codes = deepest(poses, unknown, -9.0, level, beyond, points, first, patches, slope)
    step = np.r_[np.inf, np.linalg.norm(np.diff(shifts, axis=0), axis=1)]  # the same from step to step
    lazy, same = deepest(poses, step, -9.0, level, beyond, points, first, patches, slope)
    np.testing.assert_array_equal(lazy, expected)
    assert (same == codes).mean() > 0.99  # two points may be as deep
    index = points @ to_index[:, :3].T + to_index[:, 3]
    assert (index.min(axis=0) + nodes.min(axis=0)).min() > 1
    assert (index.max(axis=0) + nodes.max(axis=0) < np.array(level.shape) - 2).all()
    centres = patches[:, :3] @ to_index[:, :3].T + to_index[:, 3]
    placed = np.column_stack([centres, patches[:, 3]])
    found = [
        deepest_of_shifts(shape, first_shift, stride, -9.0, level, index, first, placed, slope, rows)
        for rows in ((0, 2), (2, 5))
    ]
    depth, side = (np.concatenate(parts).reshape(-1) for parts in zip(*found, strict=True))
    assert 10 < (expected > 0).sum() < len(shifts)
    np.testing.assert_allclose(depth, expected, atol=1e-4)
    assert (side == codes).mean() > 0.98


def test_wave_is_the_formula() -> None:
    rng = np.random.default_rng(3)
    rows, count, n = 4, 6, 2
    end = np.cumsum(rng.uniform(2, 5, size=(rows, count)), axis=1)
    scale, base = rng.uniform(0.5, 1.5, size=(rows, count)), rng.normal(size=(rows, count, 3))
    amplitude, lag = rng.normal(size=(rows, 3)) * 5, np.array([0.0, 0.1, -0.2])
    times = np.sort(rng.uniform(0, end[:, -1:], size=(rows, 50)), axis=1)
    found = cycle_wave(times, end, scale, base, amplitude, n, lag)
    for row in range(rows):
        for s, t in enumerate(times[row]):
            k = int(np.searchsorted(end[row], t, side="right"))
            k = min(k, count - 1)
            begin = end[row, k - 1] if k else 0.0
            share = (t - begin) / (end[row, k] - begin) - lag
            of = np.where((share >= 0) | (k == 0), k, k - 1)
            expected = amplitude[row] * scale[row, of] * np.sin(np.pi * share) ** (2 * n) + base[row, of, range(3)]
            np.testing.assert_allclose(found[row, s], expected, atol=1e-12)


def test_autoregressive_twin() -> None:
    """The filter is the recursion."""
    from ptvkit.motion.variation import autoregressive

    normals = np.random.default_rng(1).normal(size=(3, 20))
    found = autoregressive(normals, 0.7)
    expected = normals.copy()
    for k in range(1, 20):
        expected[:, k] = 0.7 * expected[:, k - 1] + np.sqrt(1 - 0.49) * normals[:, k]
    np.testing.assert_allclose(found, expected)
    assert signal.lfilter([1.0], [1.0], [1.0])[0] == 1.0
