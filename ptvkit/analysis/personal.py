"""What a patient's own daily shifts tell: the correction to make, and the margin that the rest of the course needs."""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ptvkit.errors import MotionError, PtvkitWarning
from ptvkit.motion.population import sd_factors
from ptvkit.motion.setup import SetupError
from ptvkit.recipes import PENUMBRA_MM, van_herk
from ptvkit.values import triple, vector

Floats = NDArray[np.float64]
SURPRISING: Final = 0.001
"""Probability below which shifts are said to contradict the prior."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PersonalMargin:
    """A patient's systematic error after some daily shifts. Triples are (LR, AP, SI), mm, positive towards R, A, S.

    Attributes
    ----------
    shifts : int
        k, how many were measured.
    mean_mm : (3,) array
        Their mean; 0 without any.
    shrinkage : (3,) array
        Share of that mean that is believed: kΣ²/(kΣ² + σ² + σe²).
    displacement_mm : (3,) array
        Posterior mean of the patient's systematic displacement.
    correction_mm : (3,) array
        Minus that: how the anatomy has to be moved, and the couch that carries it.
    remaining_sd_mm : (3,) array
        SD of the systematic error that stays after this correction.
    interval_mm : (2, 3) array
        95 % interval of the systematic displacement.
    margin_mm : (3,) array
        Margin for the rest of the course after this correction (van Herk).
    uncorrected_margin_mm : (3,) array
        The same before any shift was measured, from the prior alone.
    nal_margin_mm : (3,) array or None
        The same when the whole mean is corrected, as NAL does; None without shifts.
    margin_interval_mm : (2, 3) array or None
        95 % interval of `margin_mm` by the size of the sample behind the prior's Σ, where that is known.
    """

    shifts: int
    mean_mm: Floats
    shrinkage: Floats
    displacement_mm: Floats
    correction_mm: Floats
    remaining_sd_mm: Floats
    interval_mm: Floats
    margin_mm: Floats
    uncorrected_margin_mm: Floats
    nal_margin_mm: Floats | None
    margin_interval_mm: Floats | None


def personal_margin(
    shifts_mm: ArrayLike,
    prior: SetupError,
    *,
    matching_sd_mm: ArrayLike = 0.0,
    penumbra_mm: ArrayLike = PENUMBRA_MM,
) -> PersonalMargin:
    """Correction and remaining margin of a patient, from a prior and k daily shifts.

    The patient's systematic error is Gaussian with SD Σ about the prior's mean, each shift adds σ and the matching
    error σe. The posterior mean shrinks the patient's mean by kΣ²/(kΣ² + σ² + σe²); its SD is
    Σk = √(Σ²(σ² + σe²)/(kΣ² + σ² + σe²)). The margin is 2.5Σk + 1.64(√(σ² + σp²) − σp).

    Parameters
    ----------
    shifts_mm : (k, 3) array
        Displacements of the anatomy in the first fractions (LR, AP, SI), mm; k may be 0.
    prior : SetupError
        Mean, Σ and σ of the population, such as `SetupStatistics.as_error` gives.
    matching_sd_mm : (3,) array or float
        σe, SD of the matching error that the shifts contain beside σ.
    penumbra_mm : (3,) array or float
        σp.

    Raises
    ------
    MotionError
        When the shifts are no finite (k, 3) array, or the prior has no Σ.

    Warns
    -----
    PtvkitWarning
        When the shifts contradict the prior: with a probability below .001 they would lie so far out.

    References
    ----------
    van Herk et al. 2000, IJROBP 47:1121; de Boer and Heijmen 2001, IJROBP 50:1350.

    Examples
    --------
    >>> shifts = [[4, 0, -3], [1, 2, -6], [4, 1, -3]]
    >>> own = personal_margin(shifts, SetupError(systematic_mm=3, random_mm=3))
    >>> own.correction_mm, own.remaining_sd_mm, own.margin_mm.round(2)
    (array([-2.25, -0.75,  3.  ]), array([1.5, 1.5, 1.5]), array([5.7, 5.7, 5.7]))
    """
    if vector(prior.trend_mm).any():
        raise MotionError("prior: a trend_mm is not taken into account here; leave it out")
    shifts = _shifts(shifts_mm)
    count, mean, systematic = len(shifts), vector(prior.mean_mm), vector(prior.systematic_mm)
    if not systematic.any():
        raise MotionError("prior: its systematic_mm is 0 on all axes; nothing can be learned about the patient")
    measured = vector(prior.random_mm) ** 2 + triple("matching_sd_mm", matching_sd_mm) ** 2
    total = count * systematic**2 + measured
    share = np.divide(count * systematic**2, total, out=np.zeros(3), where=total > 0)
    remaining = systematic * np.sqrt(1 - share)
    own = shifts.mean(axis=0) if count else np.zeros(3)
    displaced = mean + share * (own - mean)
    if count:
        _check_prior(own - mean, shifts, systematic, measured)
    nal = _margin(np.sqrt(measured / count), prior, penumbra_mm) if count else None
    return PersonalMargin(
        shifts=count,
        mean_mm=own,
        shrinkage=share,
        displacement_mm=displaced,
        correction_mm=0.0 - displaced,
        remaining_sd_mm=remaining,
        interval_mm=displaced + np.outer([-1, 1], stats.norm.ppf(0.975) * remaining),
        margin_mm=_margin(remaining, prior, penumbra_mm),
        uncorrected_margin_mm=_margin(systematic, prior, penumbra_mm),
        nal_margin_mm=nal,
        margin_interval_mm=_margin_interval(prior, count, measured, penumbra_mm),
    )


def _margin(systematic: Floats, prior: SetupError, penumbra_mm: ArrayLike) -> Floats:
    return np.asarray(van_herk(systematic, vector(prior.random_mm), triple("penumbra_mm", penumbra_mm)), float)


def _margin_interval(prior: SetupError, count: int, measured: Floats, penumbra_mm: ArrayLike) -> Floats | None:
    """The margin at both ends of the interval of Σ."""
    if prior.patients is None:
        return None
    ends = []
    for factor in sd_factors(prior.patients - 1):
        variance = (vector(prior.systematic_mm) * factor) ** 2
        total = count * variance + measured
        left = np.divide(variance * measured, total, out=np.zeros(3), where=total > 0)
        ends.append(_margin(np.sqrt(left), prior, penumbra_mm))
    return np.array(ends)


def _shifts(given: ArrayLike) -> Floats:
    shifts = np.asarray(given, float)
    shifts = np.zeros((0, 3)) if shifts.size == 0 else shifts
    if shifts.ndim != 2 or shifts.shape[1] != 3 or not np.isfinite(shifts).all():
        raise MotionError(f"shifts_mm: needs finite numbers (k, 3), found {shifts.shape}")
    return shifts


def _check_prior(away: Floats, shifts: Floats, systematic: Floats, measured: Floats) -> None:
    """Warn of a patient whom the prior does not expect: by the mean, or by the spread about it."""
    count = len(shifts)
    for axis, name in enumerate(("LR", "AP", "SI")):
        expected = float(np.sqrt(systematic[axis] ** 2 + measured[axis] / count))
        if expected > 0 and 2 * stats.norm.sf(abs(away[axis]) / expected) < SURPRISING:
            _warn(f"{name}: a mean of {away[axis]:+.1f} mm from the prior's is far outside its SD {expected:.1f}")
        if count > 1 and measured[axis] > 0:
            chi2 = float(shifts[:, axis].var(ddof=1)) * (count - 1) / measured[axis]
            if stats.chi2.sf(chi2, count - 1) < SURPRISING:
                spread = float(shifts[:, axis].std(ddof=1))
                _warn(
                    f"{name}: shifts with an SD of {spread:.1f} mm contradict the prior's σ {measured[axis] ** 0.5:.1f}"
                )


def _warn(text: str) -> None:
    warnings.warn(f"{text}; the margin is not safe for this patient", PtvkitWarning, stacklevel=4)
