"""Growth and shrinkage of a target between the planning CT and each fraction."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MotionError
from ptvkit.values import number

Floats = NDArray[np.float64]

SDS: Final = 5.0
"""Up to so many SDs from the mean growth are prepared for."""
MOST_MM: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeChange:
    """A target that grows or shrinks along its surface's normal, by as much on all sides; no match sees it.

    Parameters
    ----------
    mm_per_day : float
        Mean of all patients: how far the surface moves outwards in a day; negative where it shrinks.
    sd_mm_per_day : float
        SD between patients.
    first_day : float
        Days from the planning CT to the first fraction.
    days_per_fraction : float
        Days from one fraction to the next, on average; 1.4 are five fractions a week.

    Raises
    ------
    MotionError
        When a number is out of range.

    Examples
    --------
    >>> ShapeChange(mm_per_day=0.1, first_day=10).mean_mm(12)[[0, -1]].round(2)
    array([1.  , 2.54])
    """

    mm_per_day: float = 0.0
    sd_mm_per_day: float = 0.0
    first_day: float = 7.0
    days_per_fraction: float = 1.4

    def __post_init__(self) -> None:
        number("mm_per_day", self.mm_per_day, least=-10.0, most=10.0)
        number("sd_mm_per_day", self.sd_mm_per_day, least=0.0, most=10.0)
        number("first_day", self.first_day, least=0.0, most=1000.0)
        number("days_per_fraction", self.days_per_fraction, least=0.0, most=1000.0)

    def days(self, fractions: int) -> Floats:
        """Days (F,) since the planning CT."""
        return self.first_day + self.days_per_fraction * np.arange(float(fractions))

    def mean_mm(self, fractions: int) -> Floats:
        """Mean growth (F,) in each fraction, mm."""
        return self.mm_per_day * self.days(fractions)

    def largest_mm(self, fractions: int) -> float:
        """Growth in the last fraction that no patient exceeds, mm; 0 where all shrink.

        Raises
        ------
        MotionError
            Above 30 mm.
        """
        most = (self.mm_per_day + SDS * self.sd_mm_per_day) * float(self.days(fractions)[-1])
        if most > MOST_MM:
            raise MotionError(
                f"shape_change: the target grows by {most:.0f} mm in the course; above {MOST_MM:g} plan anew"
            )
        return max(most, 0.0)

    def draw(self, patients: int, fractions: int, rng: np.random.Generator) -> Floats:
        """Growth (patients, fractions), mm."""
        away = np.clip(rng.standard_normal((patients, 1)), -SDS, SDS)
        return (self.mm_per_day + self.sd_mm_per_day * away) * self.days(fractions)

    def summary(self, fractions: int) -> str:
        """What it takes off the margin."""
        last = float(self.days(fractions)[-1])
        mean, sd = self.mm_per_day * last, self.sd_mm_per_day * last
        grows = "smaller by what the target grows" if mean >= 0 else "larger by what the target shrinks"
        size = f"{abs(mean):.1f} mm, SD {sd:.1f} mm"
        return f"by the last fraction, {last:.0f} days after the CT, the margin is {grows}: {size}"
