"""Estimates: a number and how sure a simulation makes it."""

from functools import lru_cache
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ptvkit.errors import MotionError

RESAMPLES: Final = 1000
MOST_RESAMPLED: Final = 5_000
"""Values above which their mean's interval is the normal one: the bootstrap has become it."""


class Estimate(float):
    """A number with its 95 % interval; it computes and compares as its value.

    Attributes
    ----------
    value, low, high : float

    Examples
    --------
    >>> share = Estimate(0.84, 0.82, 0.86)
    >>> share > 0.8, share.low, str(share)
    (True, 0.82, '0.84 (0.82–0.86)')
    """

    __slots__ = ("high", "low")

    low: float
    high: float

    def __new__(cls, value: float, low: float, high: float) -> Self:
        """Make an estimate."""
        self = super().__new__(cls, value)
        self.low, self.high = float(low), float(high)
        return self

    def __getnewargs__(self) -> tuple[float, float, float]:  # type: ignore[override]
        return (self.value, self.low, self.high)

    @property
    def value(self) -> float:
        """The number alone."""
        return float(self)

    @property
    def width(self) -> float:
        """High less low."""
        return self.high - self.low

    def __repr__(self) -> str:
        return f"Estimate({self.value!r}, {self.low!r}, {self.high!r})"

    def __str__(self) -> str:
        return f"{self:.3g}"

    def __format__(self, form: str) -> str:
        return f"{self.value:{form}} ({self.low:{form}}–{self.high:{form}})"


def share(count: int, total: int) -> Estimate:
    """A share with Wilson's 95 % score interval (Wilson 1927, J Am Stat Assoc 22:209).

    Examples
    --------
    >>> print(share(84, 100))
    0.84 (0.756–0.899)
    """
    if total < 1:
        raise MotionError("a share needs at least one patient")
    z = float(stats.norm.ppf(0.975))
    p = count / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * float(np.sqrt(p * (1 - p) / total + z * z / (4 * total * total)))
    return Estimate(p, max(0.0, min(middle - half, p)), min(1.0, max(middle + half, p)))


def mean(values: ArrayLike, *, seed: int = 0) -> Estimate:
    """The mean over patients with its bootstrap 95 % interval (percentiles; for over 5,000 patients the normal one).

    Parameters
    ----------
    values : (N,) array
        One for each patient.
    seed : int
        Of the bootstrap.
    """
    array = np.asarray(values, float)
    if not array.size:
        raise MotionError("a mean needs at least one patient")
    middle = float(array.mean())
    if len(array) > MOST_RESAMPLED:
        half = float(stats.norm.ppf(0.975) * array.std(ddof=1) / np.sqrt(len(array)))
        return Estimate(middle, middle - half, middle + half)
    away = (array - middle).astype(np.float32)
    means = np.einsum("rp,p->r", _resamples(len(array), seed), away) / len(array)  # one thread, unlike a product
    low, high = middle + np.percentile(means, [2.5, 97.5])
    return Estimate(middle, min(float(low), middle), max(float(high), middle))


@lru_cache(maxsize=1)
def _resamples(size: int, seed: int) -> NDArray[np.float32]:
    """How often each patient is in each resample; the same for all figures of a study."""
    drawn = np.random.default_rng([seed, 95]).multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    return drawn.astype(np.float32)
