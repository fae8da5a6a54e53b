"""Cells of a sweep: combinations of swept values."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from ptvkit.errors import MotionError
from ptvkit.request.distributions import check_range, ends, quantiles
from ptvkit.request.keys import value_at
from ptvkit.request.request import Request
from ptvkit.request.schema import RangeTable, SweepTable

MOST_CELLS: Final = 1_000_000
LEAST_POINTS: Final = 64
"""Base points of a sensitivity study: with fewer, its intervals tell nothing."""
Values = list[Any] | RangeTable
Combinations = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination of swept values.

    Attributes
    ----------
    number : int
        From 0.
    values : mapping
        By dotted key.
    """

    number: int
    values: Mapping[str, Any]


def cells_of(request: Request) -> tuple[Cell, ...]:
    """Cells of a request's sweep; a single cell without values when there is none.

    Raises
    ------
    MotionError
        When the sweep cannot be used.
    """
    sweep = request.tables.sweep
    if sweep is None or not sweep.parameters:
        return (Cell(number=0, values={}),)
    for key, values in sweep.parameters.items():
        if isinstance(values, RangeTable):
            check_range(values, f"{request.source}: [sweep]: {key}")
        elif not values:
            raise MotionError(f"{request.source}: [sweep]: {key} has no values; give some")
    if sweep.points is not None and sweep.method in ("grid", "one_at_a_time"):
        name = "a grid" if sweep.method == "grid" else sweep.method
        raise MotionError(
            f"{request.source}: [sweep]: points has no meaning for {name}; remove it, or use lhs, sobol or sensitivity"
        )
    combinations = METHODS[sweep.method](sweep, request)
    return tuple(
        Cell(number=n, values=dict(zip(sweep.parameters, each, strict=True))) for n, each in enumerate(combinations)
    )


def _grid(sweep: SweepTable, request: Request) -> Combinations:
    ranges = [key for key, value in sweep.parameters.items() if isinstance(value, RangeTable)]
    if ranges:
        raise MotionError(f"{request.source}: [sweep]: {ranges[0]} needs a list of values for a grid")
    columns = [value for value in sweep.parameters.values() if isinstance(value, list)]
    _check_count(math.prod(len(column) for column in columns), request)
    return list(itertools.product(*columns))


def _hypercube(sweep: SweepTable, request: Request) -> Combinations:
    points, size = _points(sweep, request), len(sweep.parameters)
    return _placed(sweep, qmc.LatinHypercube(size, seed=request.tables.simulation.seed).random(points))


def _sobol(sweep: SweepTable, request: Request) -> Combinations:
    return _placed(sweep, _sequence(sweep, request, len(sweep.parameters)))


def _saltelli(sweep: SweepTable, request: Request) -> Combinations:
    """Points A and B, and for each parameter A with that parameter's column of B (Saltelli et al. 2010)."""
    size, points = len(sweep.parameters), sweep.points
    if points is None or points < LEAST_POINTS:
        raise MotionError(
            f"{request.source}: [sweep]: {_some(points)} base points are too few for a sensitivity study; give a power"
            f" of 2 from {LEAST_POINTS} (256 suffice for three parameters, 1024 for five), points ="
            f" {256 if size <= 3 else 1024}"
        )
    _check_count(points * (size + 2), request)
    both = _sequence(sweep, request, 2 * size)
    first, second = both[:, :size], both[:, size:]
    mixed = np.repeat(first[None], size, axis=0)
    for n in range(size):
        mixed[n, :, n] = second[:, n]
    return _placed(sweep, np.concatenate([first, second, *mixed]))


def _one_at_a_time(sweep: SweepTable, request: Request) -> Combinations:
    """The base, then each parameter at its low and its high value with all others at their base."""
    base = tuple(value_at(request.tables, key, f"{request.source}: [sweep]") for key in sweep.parameters)
    combinations = [base]
    for n, values in enumerate(sweep.parameters.values()):
        combinations += [(*base[:n], end, *base[n + 1 :]) for end in low_and_high(values)]
    return combinations


METHODS: Final[Mapping[str, Callable[[SweepTable, Request], Combinations]]] = {
    "grid": _grid,
    "lhs": _hypercube,
    "sobol": _sobol,
    "sensitivity": _saltelli,
    "one_at_a_time": _one_at_a_time,
}


def low_and_high(values: Values) -> tuple[Any, Any]:
    """The ends of swept values: of a range or distribution, or the first and last of a list."""
    if isinstance(values, RangeTable):
        low, high = ends(values)
        return round(low, 6), round(high, 6)
    return values[0], values[-1]


def _points(sweep: SweepTable, request: Request) -> int:
    if sweep.points is None or not 1 <= sweep.points <= MOST_CELLS:
        raise MotionError(f"{request.source}: [sweep]: {sweep.method} needs points, from 1 to {MOST_CELLS:,}")
    return sweep.points


def _sequence(sweep: SweepTable, request: Request, size: int) -> NDArray[np.float64]:
    """Scrambled Sobol points (points, size)."""
    points = _points(sweep, request)
    if points & (points - 1):
        raise MotionError(f"{request.source}: [sweep]: {sweep.method} needs a power of 2 as points, found {points}")
    return np.asarray(qmc.Sobol(size, seed=request.tables.simulation.seed).random(points), float)


def _check_count(count: int, request: Request) -> None:
    if count > MOST_CELLS:
        raise MotionError(f"{request.source}: [sweep]: {count:,} cells; at most {MOST_CELLS:,}")


def _some(points: int | None) -> str:
    return "no" if points is None else str(points)


def _placed(sweep: SweepTable, unit: NDArray[np.float64]) -> Combinations:
    columns = [_column(value, unit[:, n]) for n, value in enumerate(sweep.parameters.values())]
    return list(zip(*columns, strict=True))


def _column(values: Values, unit: NDArray[np.float64]) -> list[Any]:
    if isinstance(values, RangeTable):
        return [round(float(x), 6) for x in quantiles(values, unit)]
    return [values[min(int(x * len(values)), len(values) - 1)] for x in unit]


def check_cells(request: Request) -> None:
    """Validate all swept values before the run: one value at a time, others at their base value.

    Raises
    ------
    PtvkitError
        Naming the key and the value.
    """
    if request.tables.sweep is None:
        return
    for key, values in request.tables.sweep.parameters.items():
        if isinstance(values, RangeTable):
            check_range(values, f"{request.source}: [sweep]: {key}")
        for value in low_and_high(values) if isinstance(values, RangeTable) else values:
            request.with_values({key: value})
