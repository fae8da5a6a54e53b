"""Each kernel against a plain NumPy twin on random input: asymmetric, anisotropic, many sites on a line."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from ptvkit.kernels.envelope import crossing_cost, spread
from ptvkit.kernels.gauge import SemiAxes, gauge_cost, grown
from ptvkit.kernels.level import crossings, sample_points, volume_in_cells
from ptvkit.kernels.parts import labelled
from ptvkit.kernels.smooth import flatten, put_right
from ptvkit.kernels.stamp import stamp

SHAPE = (7, 9, 11)
FAR_LIMIT = 1e9


def cost_of(distance: NDArray[np.float64], minus: float, plus: float) -> NDArray[np.float64]:
    return np.where(distance >= 0, (distance / plus) ** 2, (distance / minus) ** 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_spread_is_the_lower_envelope(axis: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    minus, plus = rng.uniform(0.5, 12, 2)
    cost = np.where(rng.random(SHAPE) < 0.6, rng.uniform(0, 2, SHAPE), np.inf).astype(np.float32)
    cost[rng.random(SHAPE) < 0.2] = 0
    lines = np.moveaxis(cost.astype(float), axis, -1)
    n = lines.shape[-1]
    at = np.arange(n)
    reach = at[:, None] - at[None, :]
    every = lines[..., None, :] + cost_of(reach.astype(float), minus, plus)
    every[..., (reach > plus + 1.8) | (-reach > minus + 1.8)] = np.inf
    lowest = np.argmin(lines[..., None, :] + cost_of(reach.astype(float), minus, plus), axis=-1)
    expected = np.take_along_axis(every, lowest[..., None], axis=-1)[..., 0]
    spread(cost, axis, minus, plus, FAR_LIMIT)
    np.testing.assert_allclose(np.moveaxis(cost, axis, -1), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_crossing_cost_is_the_nearest_crossing_on_the_line(axis: int) -> None:
    rng = np.random.default_rng(axis)
    level = rng.normal(size=SHAPE).astype(np.float32)
    minus, plus = 2.5, 7.0
    found = np.moveaxis(crossing_cost(level, axis, minus, plus), axis, -1)
    for line, result in zip(
        np.moveaxis(level, axis, -1).reshape(-1, SHAPE[axis]), found.reshape(-1, SHAPE[axis]), strict=True
    ):
        sites = [
            i + line[i] / (line[i] - line[i + 1]) for i in range(len(line) - 1) if (line[i] < 0) != (line[i + 1] < 0)
        ]
        for i, value in enumerate(result):
            best = (
                0.0
                if line[i] < 0
                else min((float(cost_of(np.array(i - s), minus, plus)) for s in sites), default=np.inf)
            )
            assert value == pytest.approx(best, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_gauge_cost_is_the_least_over_all_sites(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.0).astype(np.float32)
    pairs = [tuple(rng.uniform(1.5, 9, 2)) for _ in range(3)]
    semi_axes: SemiAxes = (pairs[0], pairs[1], pairs[2])
    sites = np.vstack([crossings(level), np.argwhere(level < 0)])
    nodes = np.argwhere(np.ones(SHAPE, bool))
    steps = nodes[:, None, :] - sites[None, :, :]
    every = sum(cost_of(steps[..., axis], *semi_axes[axis]) for axis in range(3))
    best = np.asarray(every).min(axis=1).reshape(SHAPE)
    limit = 2.0
    found = gauge_cost(level, semi_axes, limit)
    inside = best <= limit * (1 - 1e-5)
    np.testing.assert_allclose(found[inside], best[inside], rtol=1e-4, atol=1e-6)
    assert np.isinf(found[best > limit * (1 + 1e-5)]).all()


def test_stamp_is_the_union_of_bodies() -> None:
    rng = np.random.default_rng(3)
    array = rng.random((9, 8, 13)) < 0.05
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in (2, 3, 4)), indexing="ij"), axis=-1)
    body = ((offsets - [0.3, -0.5, 0.7]) ** 2 / [5, 7, 14]).sum(axis=-1) <= 1
    expected = np.zeros_like(array)
    for start in np.argwhere(array):
        for step in np.argwhere(body) - [2, 3, 4]:
            at = start + step
            if (at >= 0).all() and (at < array.shape).all():
                expected[tuple(at)] = True
    np.testing.assert_array_equal(stamp(array, body), expected)


def test_volume_of_planes_is_exact() -> None:
    """Tetrahedra hold a linear level exactly: any plane cuts the box into shares that fine sampling confirms."""
    rng = np.random.default_rng(4)
    nodes = np.moveaxis(np.indices(SHAPE), 0, -1).astype(float)
    fine = rng.random((200_000, 3)) * (np.array(SHAPE) - 1)
    for _ in range(5):
        normal, through = rng.normal(size=3), rng.random(3) * (np.array(SHAPE) - 1)
        level = ((nodes - through) @ normal).astype(np.float32)
        whole = float(np.prod(np.array(SHAPE) - 1))
        share = ((fine - through) @ normal < 0).mean()
        error = 4 * np.sqrt(0.25 / len(fine))  # four standard errors of a share
        assert volume_in_cells(level) / whole == pytest.approx(share, abs=error)
        assert volume_in_cells(level) + volume_in_cells(-level) == pytest.approx(whole, rel=1e-5)


def test_samples_are_trilinear_and_far_outside() -> None:
    rng = np.random.default_rng(5)
    level = rng.normal(size=SHAPE).astype(np.float32)
    points = rng.random((300, 3)) * (np.array(SHAPE) - 1)
    expected = ndimage.map_coordinates(level.astype(float), points.T, order=1)
    np.testing.assert_allclose(sample_points(level, points), expected, atol=1e-5)
    assert (sample_points(level, np.array([[-0.01, 3, 3], [3, 3, 10.01]])) == 1000).all()


def test_flatten_is_two_gaussians_less_their_square() -> None:
    rng = np.random.default_rng(6)
    level = rng.normal(size=(13, 11, 17)).astype(np.float32)
    sigmas = (0.8, 1.3, 2.1)

    def gaussian(values: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis, sigma in enumerate(sigmas):
            radius = int(np.ceil(3 * sigma))
            taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
            values = ndimage.correlate1d(values, taps / taps.sum(), axis=axis, mode="nearest")
        return values

    once = gaussian(level.astype(float))
    expected = 2 * once - gaussian(once)
    flatten(level, sigmas, np.empty_like(level))
    np.testing.assert_allclose(level, expected, atol=2e-5)


def test_put_right_moves_wrong_sides_only_and_spreads_linearly() -> None:
    inside = np.zeros((3, 3, 4), bool)
    inside[1, 1, 2] = True
    level = np.full((5, 3, 10), 1.0, np.float32)  # factors 2, 1, 3
    put_right(level, inside, (2, 1, 3), 0.1, True)
    for a, c in product(range(5), range(10)):
        share = max(0, 1 - abs(a - 2) / 2) * max(0, 1 - abs(c - 6) / 3)
        assert level[a, 1, c] == pytest.approx(1 - 1.1 * share, abs=1e-6)
    assert (level[:, [0, 2]] == 1).all()


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_the_number_of_threads_changes_no_byte(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    level = ndimage.gaussian_filter(rng.normal(size=(31, 23, 27)), 2).astype(np.float32)
    semi_axes = ((5.5, 3.0), (4.0, 7.0), (1.2, 6.0))
    monkeypatch.setenv("PTVKIT_THREADS", "3")
    expected = grown(level, semi_axes, (1.0, 1.0, 1.0))
    monkeypatch.setenv("PTVKIT_THREADS", threads)
    np.testing.assert_array_equal(grown(level, semi_axes, (1.0, 1.0, 1.0)), expected)


def test_several_callers_at_once() -> None:
    rng = np.random.default_rng(8)
    levels = [ndimage.gaussian_filter(rng.normal(size=(21, 19, 23)), 2).astype(np.float32) for _ in range(8)]
    semi_axes = ((4.0, 3.0), (4.0, 7.0), (2.5, 6.0))
    expected = [grown(level, semi_axes, (1.0, 1.0, 1.0)) for level in levels]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda level: grown(level, semi_axes, (1.0, 1.0, 1.0)), levels))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("share", "seed"), [(0.02, 1), (0.1, 2), (0.2, 3), (0.6, 4)])
def test_parts_are_numbered_in_the_order_of_their_first_voxels(share: float, seed: int) -> None:
    array = np.random.default_rng(seed).random((17, 19, 23)) < share
    expected, count = ndimage.label(array, structure=np.ones((3, 3, 3)))
    found, boxes = labelled(array)
    np.testing.assert_array_equal(found, expected)
    assert len(boxes) == count
    windows = [[[s.start for s in window], [s.stop - 1 for s in window]] for window in ndimage.find_objects(expected)]
    np.testing.assert_array_equal(boxes, windows)
