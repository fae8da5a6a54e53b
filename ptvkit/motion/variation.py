"""How breathing varies: from cycle to cycle, within a fraction, from day to day."""

from dataclasses import dataclass
from math import comb
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from ptvkit.values import choice, number, triple


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variation:
    """Standard deviations of what varies, and the mean of a drift; all 0 unless given.

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
        Of the displacement between the beginning and the end of a fraction; a straight line in time.
    drift_mean_mm : (3,) array
        Mean of that displacement over patients and fractions (LR, AP, SI), positive towards R, A, S.
    baseline_shift_mm : (3,) array
        Of the whole wave from day to day, the day of the planning CT included; a soft-tissue match sees it. Do not
        model the same shift as a set-up error "liver position" too.

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
    drift_mean_mm: ArrayLike = 0.0
    baseline_shift_mm: ArrayLike = 0.0

    def __post_init__(self) -> None:
        for name in ("amplitude_mm", "amplitude_between_mm", "period_s"):
            object.__setattr__(self, name, number(f"variation {name}", getattr(self, name), least=0.0, most=100.0))
        for name in ("baseline_mm", "drift_mm", "baseline_shift_mm"):
            object.__setattr__(self, name, triple(f"variation {name}", getattr(self, name)))
        mean = triple("variation drift_mean_mm", self.drift_mean_mm, least=-200.0)
        object.__setattr__(self, "drift_mean_mm", mean)
        rho = number("variation correlation", self.correlation, least=0.0, most=0.999)
        object.__setattr__(self, "correlation", rho)

    @property
    def of_cycles(self) -> bool:
        """Whether one cycle differs from the next."""
        return bool(self.amplitude_mm or self.period_s or np.any(self.baseline_mm))

    @property
    def drifts(self) -> bool:
        """Whether the target drifts within a fraction."""
        return bool(np.any(self.drift_mm) or np.any(self.drift_mean_mm))

    @property
    def is_none(self) -> bool:
        """Whether nothing varies."""
        days = np.any(self.baseline_shift_mm) or self.amplitude_between_mm
        return not (self.of_cycles or self.drifts or days)


def displacement_variation(rms_mm: float, period_s: float, n: int = 3) -> Variation:
    """The variation of cycles whose displacement differs from the mean cycle's by an RMS, at equal phases.

    A cycle's displacement is ``A·u``, u = cos²ⁿ. An SD s of A gives the displacement an RMS variation ``s √E[u²]``,
    with ``E[u²] = C(4n, 2n)/4²ⁿ``: less than half of s for n = 3.

    Parameters
    ----------
    rms_mm : float
        On the axis of largest amplitude.
    period_s : float
        SD of the period.
    n : int
        Of Lujan's wave.

    Examples
    --------
    >>> round(displacement_variation(1.6, 0.77).amplitude_mm, 2)
    3.37
    """
    return Variation(amplitude_mm=rms_mm / (comb(4 * n, 2 * n) / 4 ** (2 * n)) ** 0.5, period_s=period_s)


STEADY: Final = Variation()
PUBLISHED_RMS: Final = {"free": (1.6, 0.77), "coached": (0.8, 0.2)}
"""RMS variation of displacement, mm, and period, s, of volunteers who breathe freely, and with audiovisual feedback
(Venkat et al. 2008, Phys Med Biol 53:N197). That amplitudes alone vary, and with ρ = .5, is assumed."""
FREE: Final = displacement_variation(*PUBLISHED_RMS["free"])
COACHED: Final = displacement_variation(*PUBLISHED_RMS["coached"])


def as_variation(given: Variation | str, n: int = 3) -> Variation:
    """A variation, or a published one by name, for Lujan's wave of this n.

    Raises
    ------
    MotionError
        When the name is unknown.
    """
    if isinstance(given, Variation):
        return given
    name = choice("variation", given, ("none", *PUBLISHED_RMS))
    if n == 3 or name == "none":
        return {"none": STEADY, "free": FREE, "coached": COACHED}[name]
    return displacement_variation(*PUBLISHED_RMS[name], n)


def autoregressive(normals: NDArray[np.float64], correlation: float) -> NDArray[np.float64]:
    """Stationary AR(1) series of unit variance along the last axis, from independent standard normals.

    ``x_k = ρ x_{k−1} + √(1 − ρ²) z_k``, ``x_0 = z_0``.
    """
    driven = normals * np.sqrt(1 - correlation**2)
    driven[..., 0] = normals[..., 0]
    series: NDArray[np.float64] = signal.lfilter([1.0], [1.0, -correlation], driven, axis=-1)
    return series
