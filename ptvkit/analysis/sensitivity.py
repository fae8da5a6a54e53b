"""Which parameter decides: Sobol indices of a result, with intervals, and one parameter changed at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ptvkit.errors import MotionError

Floats = NDArray[np.float64]

RESAMPLES: Final = 1000
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Sensitivity of one output to one parameter.

    Attributes
    ----------
    output, parameter : str
    first, first_low, first_high : float
        First-order index: the share of the output's variance that goes away, on average, when the parameter is known;
        with its 95 % bootstrap interval.
    total, total_low, total_high : float
        Total index: the share that remains when all other parameters are known.
    """

    output: str
    parameter: str
    first: float
    first_low: float
    first_high: float
    total: float
    total_low: float
    total_high: float


def sobol_indices(output: str, parameters: Sequence[str], values: ArrayLike, *, seed: int = 0) -> list[Index]:
    """First-order and total indices from values at Saltelli's points.

    Parameters
    ----------
    output : str
    parameters : sequence of str
        Names of the d parameters.
    values : array_like, (d + 2, N)
        The output at N points A, at N points B, and, for each parameter, at A with that parameter taken from B; N a
        power of two.
    seed : int
        Of the bootstrap.

    Returns
    -------
    list of Index
        In the order of the parameters. A constant output has indices of 0.

    Raises
    ------
    MotionError
        When the shape of the values does not fit the parameters, or a value is not finite.

    Notes
    -----
    ``S = mean(B (AB − A)) / V`` and ``S_T = mean((A − AB)²) / (2 V)``: Saltelli et al., Comput Phys Commun
    2010;181:259, table 2 (b) and (f), as `scipy.stats.sobol_indices` has them. The interval resamples the N points,
    1000 times; as Sobol points are more even than random ones it is, if anything, too wide.

    Examples
    --------
    >>> from scipy.stats import qmc
    >>> unit = qmc.Sobol(4, seed=1).random(256)
    >>> a, b = unit[:, :2], unit[:, 2:]
    >>> points = [a, b, np.c_[b[:, 0], a[:, 1]], np.c_[a[:, 0], b[:, 1]]]
    >>> indices = sobol_indices("sum", ["x", "y"], [2 * p[:, 0] + p[:, 1] for p in points])
    >>> [round(one.first, 2) for one in indices]  # 4 to 1
    [0.8, 0.2]
    """
    table = np.asarray(values, float)
    count = len(parameters)
    if table.ndim != 2 or len(table) != count + 2 or not np.isfinite(table).all():
        raise MotionError(
            f"sensitivity of {output}: values of shape {table.shape}; give finite ones of shape ({count + 2}, N) for"
            f" {count} parameters"
        )
    a, b, mixed = table[0], table[1], table[2:]
    if np.ptp(table) == 0.0:
        return [_index(output, name, np.zeros(2), np.zeros((2, 2))) for name in parameters]
    result = stats.sobol_indices(
        func={"f_A": a[None], "f_B": b[None], "f_AB": mixed[:, None]},
        n=a.size,
    )
    points = np.stack([np.atleast_1d(result.first_order), np.atleast_1d(result.total_order)]).reshape(2, count)
    ends = _bootstrapped(a, b, mixed, seed)
    return [_index(output, name, points[:, n], ends[:, :, n]) for n, name in enumerate(parameters)]


def _bootstrapped(a: Floats, b: Floats, mixed: Floats, seed: int) -> Floats:
    """Ends of the intervals (low and high, first and total, parameters)."""
    rng = np.random.default_rng(seed)
    middle = 0.5 * (a.mean() + b.mean())
    a, b, mixed = a - middle, b - middle, mixed - middle
    drawn = np.empty((RESAMPLES, 2, len(mixed)))
    for n in range(RESAMPLES):
        chosen = rng.integers(a.size, size=a.size)
        first, second, both = a[chosen], b[chosen], mixed[:, chosen]
        variance = max(float(np.var([first, second])), np.finfo(float).tiny)
        drawn[n, 0] = (second * (both - first)).mean(axis=1) / variance
        drawn[n, 1] = 0.5 * ((first - both) ** 2).mean(axis=1) / variance
    tail = 50.0 * (1.0 - CONFIDENCE)
    ends: Floats = np.percentile(drawn, [tail, 100.0 - tail], axis=0)
    return ends


def _index(output: str, parameter: str, point: Floats, ends: Floats) -> Index:
    (first, total), (low, high) = point.tolist(), ends.tolist()
    return Index(
        output=output,
        parameter=parameter,
        first=first,
        first_low=min(low[0], first),
        first_high=max(high[0], first),
        total=total,
        total_low=min(low[1], total),
        total_high=max(high[1], total),
    )


def points_needed(indices: Sequence[Index], points: int, width: float) -> int:
    """Base points with which the widest interval of a total index would be as narrow as `width`: a power of two.

    The width falls with the root of the number of points.

    Examples
    --------
    >>> ends = dict(first=0, first_low=0, first_high=0, total=0.5, total_low=0.3, total_high=0.7)
    >>> wide = Index(output="f", parameter="x", **ends)
    >>> points_needed([wide], 64, 0.2)
    256
    """
    widest = max((one.total_high - one.total_low for one in indices), default=0.0)
    needed = points * max(1.0, (widest / width) ** 2)
    return int(2 ** np.ceil(np.log2(needed) - 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """One output with one parameter at its low and its high value, all others at their base.

    Attributes
    ----------
    output, parameter : str
    low_value, high_value : object
        Values of the parameter.
    base, at_low, at_high : float
        The output.
    """

    output: str
    parameter: str
    low_value: Any
    high_value: Any
    base: float
    at_low: float
    at_high: float

    @property
    def width(self) -> float:
        """By how much the output changes."""
        return max(self.base, self.at_low, self.at_high) - min(self.base, self.at_low, self.at_high)
