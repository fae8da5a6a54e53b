"""Distributions of swept values."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ptvkit.errors import MotionError
from ptvkit.request.schema import RangeTable

Floats = NDArray[np.float64]

ENDS: Final = (0.05, 0.95)
"""Quantiles that stand for the low and the high value of a distribution without ends."""


def check_range(table: RangeTable, where: str) -> None:
    """Refuse a range whose numbers do not describe its distribution.

    Raises
    ------
    MotionError
    """
    wanted, optional = NUMBERS[table.distribution]
    given = {name for name in ("low", "high", "mode", "mean", "sd") if getattr(table, name) is not None}
    lacking, unread = [name for name in wanted if name not in given], sorted(given - {*wanted, *optional})
    if lacking:
        raise MotionError(f"{where}: a {table.distribution} distribution needs {' and '.join(lacking)}")
    if unread:
        raise MotionError(f"{where}: a {table.distribution} distribution has no {unread[0]}; leave it out")
    if table.low is not None and table.high is not None and not table.low < table.high:
        raise MotionError(f"{where}: low is {table.low:g} and high {table.high:g}; low must be below high")
    if table.mode is not None and not (table.low or 0.0) <= table.mode <= (table.high or 0.0):
        raise MotionError(f"{where}: mode is {table.mode:g}; it must lie between low and high")
    if table.sd is not None and not table.sd > 0:
        raise MotionError(f"{where}: sd is {table.sd:g}; it must be above 0")
    if table.distribution == "lognormal" and not (table.mean or 0.0) > 0:
        raise MotionError(f"{where}: mean is {table.mean:g}; of a lognormal distribution it must be above 0")


def quantiles(table: RangeTable, unit: Floats) -> Floats:
    """Values of a distribution at cumulative probabilities.

    Examples
    --------
    >>> normal = RangeTable(distribution="normal", mean=10, sd=2)
    >>> quantiles(normal, np.array([0.5, 0.975])).round(2).tolist()
    [10.0, 13.92]
    """
    values: Floats = np.asarray(_FROZEN[table.distribution](table).ppf(unit), float)
    return values


def ends(table: RangeTable) -> tuple[float, float]:
    """The low and the high value: the ends of a bounded distribution, else its 5 % and 95 % quantiles."""
    if table.low is not None and table.high is not None:
        return table.low, table.high
    low, high = quantiles(table, np.array(ENDS)).tolist()
    return low if table.low is None else table.low, high if table.high is None else table.high


def _uniform(table: RangeTable) -> Any:
    low, high = _two(table.low, table.high)
    return stats.uniform(low, high - low)


def _triangular(table: RangeTable) -> Any:
    (low, high), (mode, _) = _two(table.low, table.high), _two(table.mode, 0.0)
    return stats.triang((mode - low) / (high - low), low, high - low)


def _normal(table: RangeTable) -> Any:
    mean, sd = _two(table.mean, table.sd)
    low = -np.inf if table.low is None else (table.low - mean) / sd
    high = np.inf if table.high is None else (table.high - mean) / sd
    return stats.truncnorm(low, high, mean, sd)


def _lognormal(table: RangeTable) -> Any:
    """With the mean and SD of the value itself, not of its logarithm."""
    mean, sd = _two(table.mean, table.sd)
    variance = np.log1p((sd / mean) ** 2)
    return stats.lognorm(np.sqrt(variance), scale=mean * np.exp(-variance / 2))


def _two(first: float | None, second: float | None) -> tuple[float, float]:
    """Two numbers that `check_range` has seen to be there."""
    assert first is not None
    assert second is not None
    return first, second


_FROZEN: Final[dict[str, Callable[[RangeTable], Any]]] = {
    "uniform": _uniform,
    "triangular": _triangular,
    "normal": _normal,
    "lognormal": _lognormal,
}
NUMBERS: Final = {
    "uniform": (("low", "high"), ()),
    "triangular": (("low", "high", "mode"), ()),
    "normal": (("mean", "sd"), ("low", "high")),
    "lognormal": (("mean", "sd"), ()),
}
"""Numbers that describe a distribution: those that it needs, and those that it may have."""
