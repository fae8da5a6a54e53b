"""Cells of a sweep: combinations of swept values."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.stats import qmc

from ptvkit.errors import MotionError
from ptvkit.request.request import Request
from ptvkit.request.schema import RangeTable, SweepTable

MOST_CELLS: Final = 1_000_000


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
    sweep, source = request.tables.sweep, request.source
    if sweep is None or not sweep.parameters:
        return (Cell(number=0, values={}),)
    keys = list(sweep.parameters)
    values = _grid(sweep, source) if sweep.method == "grid" else _points(sweep, source, request.tables.simulation.seed)
    return tuple(Cell(number=n, values=dict(zip(keys, each, strict=True))) for n, each in enumerate(values))


def _grid(sweep: SweepTable, source: str) -> list[tuple[Any, ...]]:
    ranges = [key for key, value in sweep.parameters.items() if isinstance(value, RangeTable) or not value]
    if ranges:
        raise MotionError(f"{source}: [sweep]: {ranges[0]} needs a list of values for a grid")
    if sweep.points is not None:
        raise MotionError(f"{source}: [sweep]: points has no meaning for a grid; remove it, or use lhs or sobol")
    columns = [value for value in sweep.parameters.values() if isinstance(value, list)]
    count = math.prod(len(column) for column in columns)
    if count > MOST_CELLS:
        raise MotionError(f"{source}: [sweep]: {count:,} cells; at most {MOST_CELLS:,}")
    return list(itertools.product(*columns))


def _points(sweep: SweepTable, source: str, seed: int) -> list[tuple[Any, ...]]:
    """Latin hypercube or Sobol points over ranges and lists of values."""
    if sweep.points is None or not 1 <= sweep.points <= MOST_CELLS:
        raise MotionError(f"{source}: [sweep]: {sweep.method} needs points, from 1 to {MOST_CELLS:,}")
    size = len(sweep.parameters)
    if sweep.method == "sobol":
        if sweep.points & (sweep.points - 1):
            raise MotionError(f"{source}: [sweep]: sobol needs a power of 2 as points, found {sweep.points}")
        unit = qmc.Sobol(size, seed=seed).random(sweep.points)
    else:
        unit = qmc.LatinHypercube(size, seed=seed).random(sweep.points)
    columns = [_placed(value, unit[:, n]) for n, value in enumerate(sweep.parameters.values())]
    return list(zip(*columns, strict=True))


def _placed(value: list[Any] | RangeTable, unit: np.ndarray[Any, np.dtype[np.float64]]) -> list[Any]:
    if isinstance(value, RangeTable):
        return [round(float(x), 6) for x in value.low + unit * (value.high - value.low)]
    return [value[min(int(x * len(value)), len(value) - 1)] for x in unit]


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
        for value in [values.low, values.high] if isinstance(values, RangeTable) else values:
            request.with_values({key: value})
