"""Set-up statistics of a population: M, Σ and σ from daily shifts, and how sure they are."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ptvkit.errors import MotionError, PtvkitWarning
from ptvkit.motion.setup import SeenBy, SetupError
from ptvkit.values import triple

Floats = NDArray[np.float64]

FEW_PATIENTS: Final = 10
FEW_FRACTIONS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SetupStatistics:
    """Statistics of daily shifts. Triples are (LR, AP, SI), mm.

    Attributes
    ----------
    patients : int
    fractions : float
        Each patient's, on average (harmonic mean).
    mean_mm : (3,) array
        M, the mean of patient means.
    systematic_mm : (3,) array
        Σ, unbiased: of the variance of patient means, what σ and the matching error bring into them is taken off.
    apparent_systematic_mm : (3,) array
        SD of the patient means as it is, the Σ of most tables.
    random_mm : (3,) array
        σ, RMS of the patients' SDs, less the matching error.
    variance_mm2 : (3,) array
        Σ² before what is below 0 was set to 0.
    systematic_interval_mm, random_interval_mm : (2, 3) array
        95 % intervals by the size of the sample (χ²) around the apparent Σ and around σ.
    """

    patients: int
    fractions: float
    mean_mm: Floats
    systematic_mm: Floats
    apparent_systematic_mm: Floats
    random_mm: Floats
    variance_mm2: Floats
    systematic_interval_mm: Floats
    random_interval_mm: Floats

    def as_error(self, name: str = "set-up", *, seen_by: SeenBy = "bone_and_soft_tissue") -> SetupError:
        """The set-up error that these statistics describe, with the size of its sample."""
        return SetupError(
            name=name,
            mean_mm=self.mean_mm,
            systematic_mm=self.systematic_mm,
            random_mm=self.random_mm,
            seen_by=seen_by,
            patients=self.patients,
        )


def setup_statistics(
    shifts_mm: Sequence[ArrayLike],
    *,
    matching_sd_mm: ArrayLike = 0.0,
    matching_systematic_mm: ArrayLike = 0.0,
) -> SetupStatistics:
    """M, Σ and σ of a population from its patients' daily displacements.

    Parameters
    ----------
    shifts_mm : sequence of (N, 3) arrays
        Displacements of each patient in each fraction (LR, AP, SI), mm: where the anatomy was, not how the couch moved.
    matching_sd_mm, matching_systematic_mm : (3,) array or float
        SDs of the matching error that the measured shifts contain; taken off σ² and Σ².

    Returns
    -------
    SetupStatistics

    Raises
    ------
    MotionError
        With fewer than 2 patients, no patient with 2 fractions, or numbers that are none.

    Warns
    -----
    PtvkitWarning
        With few patients or fractions, and when Σ² or σ² comes out below 0.

    Notes
    -----
    M is the mean of the patient means, Σ the SD of the patient means, σ the root mean square of the patient SDs (van
    Herk 2004, Semin Radiat Oncol 14:52). A mean of N fractions carries σ²/N of its own: Σ² = SD² − σ²/N.

    Examples
    --------
    >>> import warnings
    >>> daily = [[2, 1, 1, 1], [4, -2, 2, 0], [1, -1, 2, 2], [3, -3, -2, 1]]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # four patients are few
    ...     found = setup_statistics([np.outer(x, [1, 0, 0]) for x in daily])
    >>> [round(float(v[0]), 6) for v in (found.mean_mm, found.apparent_systematic_mm, found.random_mm)]
    [0.75, 0.677003, 2.03101]
    """
    tables = [_table(index, given) for index, given in enumerate(shifts_mm, start=1)]
    if len(tables) < 2:
        raise MotionError(f"set-up statistics need at least 2 patients, found {len(tables)}")
    counts = np.array([len(table) for table in tables])
    if counts.max() < 2:
        raise MotionError("set-up statistics need patients with at least 2 fractions: one shift each tells no σ")
    means = np.array([table.mean(axis=0) for table in tables])
    spread = np.array([table.var(axis=0, ddof=1) for table in tables if len(table) > 1])
    measured = spread.mean(axis=0)
    fractions = float(len(counts) / (1 / counts).sum())
    apparent = means.var(axis=0, ddof=1)
    variance = apparent - measured / fractions - triple("matching_systematic_mm", matching_systematic_mm) ** 2
    random = measured - triple("matching_sd_mm", matching_sd_mm) ** 2
    _warn(len(tables), fractions, variance, random)
    degrees = len(tables) - 1, int((counts - 1).sum())
    return SetupStatistics(
        patients=len(tables),
        fractions=fractions,
        mean_mm=means.mean(axis=0),
        systematic_mm=np.sqrt(np.maximum(variance, 0.0)),
        apparent_systematic_mm=np.sqrt(apparent),
        random_mm=np.sqrt(np.maximum(random, 0.0)),
        variance_mm2=variance,
        systematic_interval_mm=np.outer(sd_factors(degrees[0]), np.sqrt(apparent)),
        random_interval_mm=np.outer(sd_factors(degrees[1]), np.sqrt(np.maximum(random, 0.0))),
    )


def sd_factors(freedom: int) -> Floats:
    """Factors (2,) from an SD with so many degrees of freedom to its 95 % interval: √(ν/χ²).

    Examples
    --------
    >>> sd_factors(13).round(2)  # 14 patients
    array([0.72, 1.61])
    """
    found: Floats = np.sqrt(freedom / stats.chi2.ppf([0.975, 0.025], freedom))
    return found


def _table(number: int, given: ArrayLike) -> Floats:
    table = np.atleast_2d(np.asarray(given, float))
    if table.ndim != 2 or table.shape[1] != 3 or not len(table) or not np.isfinite(table).all():
        raise MotionError(f"patient {number}: needs finite shifts (N, 3), found an array {table.shape}")
    return table


def _warn(patients: int, fractions: float, systematic: Floats, random: Floats) -> None:
    told = []
    if patients < FEW_PATIENTS:
        low, high = sd_factors(patients - 1)
        told.append(f"{patients} patients are few: Σ is uncertain by a factor {low:.2f} to {high:.2f}")
    if fractions < FEW_FRACTIONS:
        told.append(f"{fractions:.3g} fractions each are few: patient means carry much of σ")
    for name, variance in (("Σ", systematic), ("σ", random)):
        below = [axis for axis, value in zip(("LR", "AP", "SI"), variance, strict=True) if value < -1e-12]
        if below:
            told.append(
                f"{name}² comes out below 0 on {', '.join(below)} and counts as 0: the sample does not tell it from"
                f" {'σ' if name == 'Σ' else 'the matching error'}"
            )
    for text in told:
        warnings.warn(text, PtvkitWarning, stacklevel=3)
