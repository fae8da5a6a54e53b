"""Sobol indices against closed forms."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import qmc

import ptvkit as pk
from ptvkit.analysis.sensitivity import Index, sobol_indices

Floats = NDArray[np.float64]


def at_saltelli_points(function: Callable[[Floats], Floats], ends: list[tuple[float, float]], points: int) -> Floats:
    size = len(ends)
    low, high = np.array(ends).T
    unit = qmc.Sobol(2 * size, seed=4).random(points)
    a, b = (low + part * (high - low) for part in (unit[:, :size], unit[:, size:]))
    mixed = [np.where(np.arange(size) == n, b, a) for n in range(size)]
    return np.array([function(one) for one in (a, b, *mixed)])


def ishigami(x: Floats) -> Floats:
    """With a null input as the last."""
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def margin(x: Floats) -> Floats:
    """van Herk's margin with breathing: Σ, σ, amplitude; and a null input."""
    return 2.5 * x[:, 0] + 1.64 * (np.sqrt(x[:, 1] ** 2 + (0.358 * x[:, 2]) ** 2 + 3.2**2) - 3.2)


@pytest.mark.parametrize(
    ("function", "ends", "first", "total"),
    [
        (ishigami, [(-np.pi, np.pi)] * 4, [0.3139052, 0.4424111, 0, 0], [0.5575889, 0.4424111, 0.2436837, 0]),
        (
            margin,
            [(1, 4), (1, 4), (0, 20), (0, 1)],
            [0.490963, 0.044655, 0.462375, 0],
            [0.490963, 0.046662, 0.464382, 0],
        ),
    ],
    ids=["ishigami", "margin"],
)
def test_closed_forms(
    function: Callable[[Floats], Floats], ends: list[tuple[float, float]], first: list[float], total: list[float]
) -> None:
    found = sobol_indices("f", ["a", "b", "c", "null"], at_saltelli_points(function, ends, 1024), seed=2)
    assert [one.parameter for one in found] == ["a", "b", "c", "null"]
    np.testing.assert_allclose([one.first for one in found], first, atol=0.02)
    np.testing.assert_allclose([one.total for one in found], total, atol=0.02)
    for one, s, t in zip(found, first, total, strict=True):
        assert one.first_low - 1e-12 <= s <= one.first_high + 1e-12
        assert one.total_low - 1e-12 <= t <= one.total_high + 1e-12
        assert one.total_high - one.total_low < 0.2


def test_same_seed_same_numbers_and_a_constant_has_none() -> None:
    values = at_saltelli_points(margin, [(1, 4), (1, 4), (0, 20)], 64)
    assert sobol_indices("f", ["a", "b", "c"], values, seed=3) == sobol_indices("f", ["a", "b", "c"], values, seed=3)
    nothing = sobol_indices("f", ["a"], np.full((3, 64), 7.0))
    zeros = dict.fromkeys(("first", "first_low", "first_high", "total", "total_low", "total_high"), 0.0)
    assert nothing == [Index(output="f", parameter="a", **zeros)]


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(pk.MotionError, match=r"give finite ones of shape \(4, N\) for 2 parameters"):
        sobol_indices("f", ["a", "b"], np.zeros((3, 64)))
