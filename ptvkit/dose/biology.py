"""Models of what a dose does: generalised equivalent uniform dose, tumour control, complications of normal tissue.

All of them are models, fitted to populations. They compare plans; they do not predict a patient's outcome.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ptvkit.errors import DoseError
from ptvkit.values import choice, number

if TYPE_CHECKING:
    from ptvkit.dose.metrics import DoseMetrics

Floats = NDArray[np.float64]
Model = TypeVar("Model")

MODEL: Final = "a model, fitted to populations: it compares plans and does not predict a patient's outcome"
SPREAD: Final = np.linspace(-5.0, 5.0, 101)
"""Standard deviations at which a population is integrated; the trapezoidal rule converges exponentially there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TumourControl:
    """Tumour control by dose: ``logistic 1 / (1 + (D50/D)^4γ)`` or ``Poisson ½^exp((2γ/ln 2)(1 − D/D50))``.

    Parameters
    ----------
    d50_gy : float
        Dose that controls half of the tumours.
    d90_gy, gamma50 : float, optional
        The steepness: the dose that controls 90 %, or the normalised slope at D50. Give one.
    model : {"logistic", "poisson"}
    d50_sd_gy : float
        SD of D50 over the population, normal and above 0, for parameters of individuals; 0 where D50 and the steepness
        are those of a population already.
    alpha_beta_gy : float, optional
        α/β of the EQD2 that the parameters belong to; None for absorbed dose.
    source : str

    Raises
    ------
    DoseError
        When a number is out of range, or the steepness is given twice or not at all.
    """

    d50_gy: float
    d90_gy: float | None = None
    gamma50: float | None = None
    model: Literal["logistic", "poisson"] = "logistic"
    d50_sd_gy: float = 0.0
    alpha_beta_gy: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        choice("model", self.model, ("logistic", "poisson"), error=DoseError)
        number("d50_gy", self.d50_gy, least=0.0, most=1e4, above=True, error=DoseError)
        number("d50_sd_gy", self.d50_sd_gy, least=0.0, most=self.d50_gy / 2, error=DoseError)
        if (self.d90_gy is None) == (self.gamma50 is None):
            raise DoseError("the steepness of tumour control: give one of d90_gy and gamma50")
        if self.d90_gy is not None:
            number("d90_gy", self.d90_gy, least=self.d50_gy, most=1e4, above=True, error=DoseError)
        else:
            number("gamma50", self.gamma50 or 0.0, least=0.0, most=100.0, above=True, error=DoseError)

    @property
    def slope(self) -> float:
        """γ50, the normalised slope ``D dTCP/dD`` at D50."""
        if self.gamma50 is not None:
            return self.gamma50
        ratio = float(self.d90_gy or 0.0) / self.d50_gy
        if self.model == "logistic":
            return float(np.log(9) / (4 * np.log(ratio)))
        return float(np.log(2) / 2 * np.log(-np.log2(0.9)) / (1 - ratio))

    def log_control(self, doses_gy: Floats, d50_gy: Floats) -> Floats:
        """Logarithm of the control of a tumour in which doses (N,) are uniform, for each D50 (M,): (M, N)."""
        with np.errstate(divide="ignore", over="ignore"):
            if self.model == "logistic":
                log_ratio = np.log(d50_gy)[:, None] - np.log(doses_gy)
                found: Floats = -np.logaddexp(0.0, 4 * self.slope * log_ratio)
            else:
                found = -np.log(2) * np.exp(2 * self.slope / np.log(2) * (1 - doses_gy / d50_gy[:, None]))
        return found

    def control(self, doses_gy: Floats, shares: Floats) -> float:
        """Control of a tumour whose shares (N,) get doses (N,): the product over its parts, averaged over D50."""
        d50, weight = _population(self.d50_gy, self.d50_sd_gy)
        return float(weight @ np.exp(self.log_control(doses_gy, d50) @ shares))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clonogens:
    """Tumour control as the death of all clonogens: ``exp(−N Σ v exp(−α BED))``.

    Parameters
    ----------
    clonogens : float
        N, in the whole tumour, spread evenly.
    alpha_per_gy : float
    alpha_beta_gy : float
        α/β, Gy.
    fractions : int, optional
        Doses are absorbed doses in so many equal fractions. None: doses are EQD2.
    alpha_sd_per_gy : float
        SD of α over the population, normal and above 0.
    source : str

    Raises
    ------
    DoseError
    """

    clonogens: float
    alpha_per_gy: float
    alpha_beta_gy: float
    fractions: int | None = None
    alpha_sd_per_gy: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        number("clonogens", self.clonogens, least=1.0, most=1e15, error=DoseError)
        number("alpha_per_gy", self.alpha_per_gy, least=0.0, most=10.0, above=True, error=DoseError)
        number("alpha_beta_gy", self.alpha_beta_gy, least=0.0, most=1000.0, above=True, error=DoseError)
        number("alpha_sd_per_gy", self.alpha_sd_per_gy, least=0.0, most=self.alpha_per_gy / 2, error=DoseError)
        if self.fractions is not None:
            number("fractions", self.fractions, least=1, most=1000, error=DoseError)

    def control(self, doses_gy: Floats, shares: Floats) -> float:
        """Control of a tumour whose shares (N,) get doses (N,), averaged over α."""
        each = 2.0 if self.fractions is None else doses_gy / self.fractions
        effect = doses_gy * (1 + each / self.alpha_beta_gy)
        alpha, weight = _population(self.alpha_per_gy, self.alpha_sd_per_gy)
        survival = np.exp(-alpha[:, None] * effect) @ shares
        return float(weight @ np.exp(-self.clonogens * survival))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lyman:
    """Complications of an organ: ``Φ((gEUD − TD50) / (m TD50))`` with ``a = 1/n`` (Lyman, Kutcher and Burman).

    Parameters
    ----------
    td50_gy : float
        Uniform dose to the whole organ with complications in half of the patients.
    m : float
        Steepness.
    n : float
        Effect of volume: 1 for the mean dose, near 0 for the maximum.
    alpha_beta_gy : float, optional
        α/β of the EQD2 that the parameters belong to; None for absorbed dose.
    source : str

    Raises
    ------
    DoseError
    """

    td50_gy: float
    m: float
    n: float
    alpha_beta_gy: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        number("td50_gy", self.td50_gy, least=0.0, most=1e4, above=True, error=DoseError)
        number("m", self.m, least=0.0, most=10.0, above=True, error=DoseError)
        number("n", self.n, least=0.0, most=100.0, above=True, error=DoseError)


_PUBLISHED: Final = "PMC3922174, 6 months"
TUMOUR_SETS: Final[dict[str, TumourControl]] = {
    "metastases": TumourControl(d50_gy=70, d90_gy=95, alpha_beta_gy=10, source=f"liver metastases, {_PUBLISHED}"),
    "metastases_poisson": TumourControl(
        d50_gy=70, d90_gy=95, model="poisson", alpha_beta_gy=10, source=f"liver metastases, {_PUBLISHED}"
    ),
    "hcc": TumourControl(d50_gy=53, d90_gy=84, alpha_beta_gy=10, source=f"hepatocellular carcinoma, {_PUBLISHED}"),
}
"""Published tumour control by name, in EQD2 with α/β 10 Gy; D50 and D90 are of a population. For liver metastases α/β
of 16 to 43 Gy are published too (Klement 2017): 10 Gy is contested."""

LYMAN_SETS: Final[dict[str, Lyman]] = {
    "rild_metastases": Lyman(
        td50_gy=45.8, m=0.12, n=0.97, alpha_beta_gy=3, source="liver disease, metastases; quoted, original not seen"
    ),
    "rild_hcc": Lyman(
        td50_gy=39.8, m=0.12, n=0.97, alpha_beta_gy=3, source="liver disease, primary cancer; quoted, original not seen"
    ),
}
"""Complications by name, in EQD2 with α/β 3 Gy. The values are those that clinical software quotes of Dawson 2002 for
radiation-induced liver disease; the original was not seen."""


def geud(doses_gy: "ArrayLike | DoseMetrics", a: float, *, volumes: ArrayLike | None = None) -> float:
    """Generalised equivalent uniform dose: ``(Σ v D^a)^(1/a)``, Gy (Niemierko 1999).

    Parameters
    ----------
    doses_gy : (N,) array or DoseMetrics
        Of parts of the structure, or its histogram.
    a : float
        1 is the mean; above 1 hot spots count more, below 0 cold spots; not 0.
    volumes : (N,) array, optional
        Of the parts, in any unit; by default all are equal.

    Raises
    ------
    DoseError
        When a number is out of range.

    Examples
    --------
    >>> round(geud([60, 30], 8), 4), round(geud([50, 10], 2, volumes=[0.2, 0.8]), 4)
    (55.0471, 24.0832)
    """
    power = number("a", a, least=-1000.0, most=1000.0, error=DoseError)
    if power == 0:
        raise DoseError("a: needs a number that is not 0; 1 is the mean dose")
    doses, shares = _parts(doses_gy, volumes)
    most = float(doses.max() if power > 0 else doses.min())
    if most == 0:
        return 0.0
    return float(most * (shares @ (doses / most) ** power) ** (1 / power))


def tcp(
    doses_gy: "ArrayLike | DoseMetrics",
    parameters: str | TumourControl | Clonogens = "metastases",
    *,
    volumes: ArrayLike | None = None,
) -> float:
    """Tumour control probability, 0 to 1: the product over the tumour's parts, each to the power of its volume's share.

    It is a model: it compares plans and does not predict a patient's outcome.

    Parameters
    ----------
    doses_gy : (N,) array or DoseMetrics
        Of parts of the tumour, or its histogram. What dose, EQD2 or absorbed, the parameters say.
    parameters : str, TumourControl or Clonogens
        A name of ``metastases``, ``metastases_poisson``, ``hcc`` (PMC3922174; EQD2, α/β 10), or own ones.
    volumes : (N,) array, optional
        Of the parts; by default all are equal.

    Raises
    ------
    DoseError
        When there are no such parameters, or a histogram is of another dose than they are.

    Examples
    --------
    >>> round(tcp([80]), 6), round(tcp([80], "metastases_poisson"), 6)
    (0.723274, 0.721616)
    >>> cells = Clonogens(clonogens=1e7, alpha_per_gy=0.25, alpha_beta_gy=10, fractions=30)
    >>> round(tcp([60, 45], cells, volumes=[0.99, 0.01]), 6)
    0.676118
    """
    model = _set_named(parameters, TUMOUR_SETS, "tumour control") if isinstance(parameters, str) else parameters
    absorbed = model.fractions is not None if isinstance(model, Clonogens) else model.alpha_beta_gy is None
    doses, shares = _parts(doses_gy, volumes, None if absorbed else model.alpha_beta_gy, "tcp")
    return model.control(doses, shares)


def ntcp(
    doses_gy: "ArrayLike | DoseMetrics",
    parameters: str | Lyman = "rild_metastases",
    *,
    volumes: ArrayLike | None = None,
) -> float:
    """Normal tissue complication probability, 0 to 1, after Lyman, Kutcher and Burman.

    It is a model: it compares plans and does not predict a patient's outcome.

    Parameters
    ----------
    doses_gy : (N,) array or DoseMetrics
        Of parts of the organ, or its histogram. What dose, EQD2 or absorbed, the parameters say.
    parameters : str or Lyman
        ``rild_metastases`` or ``rild_hcc`` (radiation-induced liver disease; EQD2, α/β 3), or own ones.
    volumes : (N,) array, optional
        Of the parts; by default all are equal.

    Raises
    ------
    DoseError
        When there are no such parameters, or a histogram is of another dose than they are.

    Examples
    --------
    >>> organ = Lyman(td50_gy=50, m=0.2, n=0.25)
    >>> round(ntcp([60], organ), 6), round(ntcp([60, 30], organ), 6)
    (0.841345, 0.548721)
    """
    model = _set_named(parameters, LYMAN_SETS, "complications") if isinstance(parameters, str) else parameters
    doses, shares = _parts(doses_gy, volumes, model.alpha_beta_gy, "ntcp")
    uniform = geud(doses, 1 / model.n, volumes=shares)
    return float(special.ndtr((uniform - model.td50_gy) / (model.m * model.td50_gy)))


def _population(mean: float, sd: float) -> tuple[Floats, Floats]:
    """Values above 0 of a normal population and their weights; the mean alone without a spread."""
    if sd == 0:
        return np.array([mean]), np.ones(1)
    values = mean + sd * SPREAD
    density = np.exp(-(SPREAD**2) / 2) * (values > 0)
    return np.maximum(values, 1e-9 * mean), density / density.sum()


def _parts(
    doses: "ArrayLike | DoseMetrics", volumes: ArrayLike | None, alpha_beta_gy: float | None = None, what: str = ""
) -> tuple[Floats, Floats]:
    """Doses (N,) and shares (N,) of the volume, checked; a histogram must be of the dose that parameters belong to."""
    if hasattr(doses, "parts"):
        found: DoseMetrics = doses  # type: ignore[assignment]
        if volumes is not None:
            raise DoseError("volumes: a histogram has its own; leave them out")
        if what:
            _check_quantity(found, alpha_beta_gy, what)
        return found.parts
    gy = np.atleast_1d(np.asarray(doses, float))
    weights = np.ones(gy.shape) if volumes is None else np.atleast_1d(np.asarray(volumes, float))
    if gy.ndim != 1 or not len(gy) or not np.isfinite(gy).all() or (gy < 0).any():
        raise DoseError("doses_gy: needs finite doses (N,) of 0 Gy or more")
    if weights.shape != gy.shape or not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise DoseError(f"volumes: needs {len(gy)} numbers of 0 or more, not all 0, found {weights.shape}")
    return gy, weights / weights.sum()


def _check_quantity(found: "DoseMetrics", alpha_beta_gy: float | None, what: str) -> None:
    wanted = "physical" if alpha_beta_gy is None else "eqd2"
    if found.quantity != wanted:
        told = "absorbed dose" if alpha_beta_gy is None else f"EQD2 with α/β {alpha_beta_gy:g} Gy"
        raise DoseError(
            f"{what} of {found.name}: its parameters are of {told}, the histogram of {found.quantity} dose; weight the"
            " dose by eqd2, or simulate it with alpha_beta_gy"
        )


def _set_named(name: str, known: dict[str, Model], of_what: str) -> Model:
    if name not in known:
        raise DoseError(f"parameters: there are none of {of_what} named {name!r}; use {', '.join(known)} or own ones")
    return known[name]
