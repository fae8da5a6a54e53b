"""Cells of sweeps: Saltelli's points, one change at a time, distributions."""

from typing import Any

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.request.sweep import cells_of

RANGES = {"targets.ptv.SI": {"low": 2, "high": 6}, "errors.set-up.systematic_mm.AP": {"low": 1, "high": 3}}


def study(sweep: dict[str, Any]) -> pk.Request:
    return pk.Request.load(
        {"targets": {"ptv": "4"}, "errors": [{"systematic_mm": [1, 2, 3]}], "sweep": sweep, "simulation": {"seed": 3}}
    )


def test_saltelli_takes_one_column_at_a_time_from_the_other_points() -> None:
    cells = cells_of(study({"method": "sensitivity", "points": 64, "parameters": RANGES}))
    table = np.array([list(cell.values.values()) for cell in cells]).reshape(4, 64, 2)
    first, second, mixed = table[0], table[1], table[2:]
    np.testing.assert_array_equal(mixed[0], np.c_[second[:, 0], first[:, 1]])
    np.testing.assert_array_equal(mixed[1], np.c_[first[:, 0], second[:, 1]])
    assert abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) < 0.1
    np.testing.assert_allclose(table[:2].reshape(-1, 2).mean(axis=0), [4, 2], atol=0.05)


def test_one_at_a_time_begins_at_the_base() -> None:
    parameters = {**RANGES, "simulation.fractions": [1, 5, 30]}
    cells = cells_of(study({"method": "one_at_a_time", "parameters": parameters}))
    assert [tuple(cell.values.values()) for cell in cells] == [
        *((4, 2, 1), (2, 2, 1), (6, 2, 1), (4, 1, 1), (4, 3, 1), (4, 2, 1), (4, 2, 30)),
    ]


def test_distributions_have_their_moments() -> None:
    parameters = {
        "targets.ptv": {"distribution": "normal", "mean": 5, "sd": 1},
        "targets.ctv": {"distribution": "lognormal", "mean": 4, "sd": 2},
        "errors.set-up.systematic_mm": {"distribution": "triangular", "low": 0, "high": 6, "mode": 3},
        "errors.set-up.random_mm": {"distribution": "normal", "mean": 1, "sd": 1, "low": 0},
    }
    cells = cells_of(study({"method": "sobol", "points": 4096, "parameters": parameters}))
    table = np.array([list(cell.values.values()) for cell in cells])
    truncated = 1 + np.exp(-0.5) / np.sqrt(2 * np.pi) / 0.8413447
    np.testing.assert_allclose(table.mean(axis=0), [5, 4, 3, truncated], atol=0.01)
    np.testing.assert_allclose(table[:, :3].std(axis=0), [1, 2, np.sqrt(1.5)], atol=0.03)
    assert table[:, 3].min() >= 0


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"method": "sensitivity", "parameters": RANGES}, "no base points are too few .* points = 256"),
        ({"method": "sensitivity", "points": 32, "parameters": RANGES}, "32 base points are too few"),
        ({"method": "sensitivity", "points": 100, "parameters": RANGES}, "needs a power of 2 as points, found 100"),
        ({"method": "one_at_a_time", "points": 64, "parameters": RANGES}, "points has no meaning for one_at_a_time"),
        ({"method": "one_at_a_time", "parameters": {"guidance.action_level_mm": [1, 2]}}, "no single base value"),
        ({"method": "sobol", "points": 64, "parameters": {"targets.ptv": {"low": 5, "high": 5}}}, "must be below high"),
        ({"method": "sobol", "points": 64, "parameters": {"targets.ptv": {"low": 5}}}, "distribution needs high"),
        (
            {"method": "sobol", "points": 64, "parameters": {"targets.ptv": {"distribution": "normal", "mean": 5}}},
            "distribution needs sd",
        ),
        (
            {"method": "lhs", "points": 9, "parameters": {"targets.ptv": {"low": 1, "high": 2, "sd": 1}}},
            "uniform distribution has no sd",
        ),
    ],
)
def test_sweeps_that_cannot_be_are_refused(sweep: dict[str, Any], message: str) -> None:
    with pytest.raises(pk.MotionError, match=message):
        cells_of(study(sweep))
