"""How breathing varies: from cycle to cycle, within a fraction, from day to day."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from ptvkit.values import number, triple


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variation:
    """Standard deviations of what varies; all 0 unless said.

    Parameters
    ----------
    amplitude_mm : float
        Of a cycle's amplitude, on the axis with the largest amplitude; the other axes vary in proportion.
    period_s : float
        Of a cycle's period.
    baseline_mm : (3,) array
        Of a cycle's exhale position.
    correlation : float
        ρ of one cycle with the next, for all three (AR(1)), 0 to below 1.
    amplitude_between_mm : float
        Of a fraction's mean amplitude, as `amplitude_mm`.
    drift_mm : (3,) array
        Of what the end of a fraction lies beyond its begin; a straight line in time.
    baseline_shift_mm : (3,) array
        Of the whole wave from day to day; a soft-tissue match sees it. Do not give it and a set-up error "liver
        baseline" for the same thing.

    Examples
    --------
    >>> Variation(amplitude_mm=1.6, period_s=0.77, correlation=0.5).is_none
    False
    """

    amplitude_mm: float = 0.0
    period_s: float = 0.0
    baseline_mm: ArrayLike = 0.0
    correlation: float = 0.5
    amplitude_between_mm: float = 0.0
    drift_mm: ArrayLike = 0.0
    baseline_shift_mm: ArrayLike = 0.0

    def __post_init__(self) -> None:
        for name in ("amplitude_mm", "amplitude_between_mm", "period_s"):
            object.__setattr__(self, name, number(f"variation {name}", getattr(self, name), least=0.0, most=100.0))
        for name in ("baseline_mm", "drift_mm", "baseline_shift_mm"):
            object.__setattr__(self, name, triple(f"variation {name}", getattr(self, name)))
        rho = number("variation correlation", self.correlation, least=0.0, most=0.999)
        object.__setattr__(self, "correlation", rho)

    @property
    def of_cycles(self) -> bool:
        """Whether one cycle differs from the next."""
        return bool(self.amplitude_mm or self.period_s or np.any(self.baseline_mm))

    @property
    def is_none(self) -> bool:
        """Whether nothing varies."""
        days = np.any(self.drift_mm) or np.any(self.baseline_shift_mm) or self.amplitude_between_mm
        return not (self.of_cycles or days)


STEADY: Final = Variation()
FREE: Final = Variation(amplitude_mm=1.6, period_s=0.77)
"""Free breathing of volunteers: RMS variation 1.6 mm and 0.77 s (Venkat et al. 2008, PMB 53:N197); ρ is assumed."""
COACHED: Final = Variation(amplitude_mm=0.8, period_s=0.2)
"""With audiovisual feedback: 0.8 mm and 0.2 s (the same source); ρ is assumed."""


def autoregressive(normals: NDArray[np.float64], correlation: float) -> NDArray[np.float64]:
    """Stationary AR(1) series of unit variance along the last axis, from independent standard normals.

    ``x_k = ρ x_{k−1} + √(1 − ρ²) z_k``, ``x_0 = z_0``.
    """
    driven = normals * np.sqrt(1 - correlation**2)
    driven[..., 0] = normals[..., 0]
    found: NDArray[np.float64] = signal.lfilter([1.0], [1.0, -correlation], driven, axis=-1)
    return found
