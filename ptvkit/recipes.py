"""Published margin recipes: formulas for a margin from Σ and σ, each with its criterion, source and status.

Σ is the SD of systematic errors, σ that of random ones, σp the SD of the penumbra, all in mm. Every recipe takes one
number, or three for (LR, AP, SI), and gives as many back. None knows the target: they hold for large targets, many
fractions and Gaussian errors; `ptvkit recipe --check` simulates one on a target.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Literal, NamedTuple, ParamSpec

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from ptvkit.errors import DoseError
from ptvkit.values import number, whole

Floats = NDArray[np.float64]
Lengths = float | Floats
Status = Literal["published", "quoted", "derived"]
P = ParamSpec("P")

PENUMBRA_MM: Final = 3.2
"""SD of the penumbra in water; about 6.4 in lung."""
PUBLISHED_ALPHA: Final = {(0.90, 3): 2.5}
PUBLISHED_BETA: Final = {0.95: 1.64, 0.80: 0.84}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe and where it comes from.

    Attributes
    ----------
    name : str
        As the command line has it.
    function : callable
    formula, criterion, source : str
    status : str
        ``published``: checked in the source; ``quoted``: by a secondary source; ``derived``: computed here.
    """

    name: str
    function: Callable[..., Any]
    formula: str
    criterion: str
    source: str
    status: Status


_RECIPES: dict[str, Recipe] = {}


def _recipe(
    *, formula: str, criterion: str, source: str, status: Status
) -> Callable[[Callable[P, Lengths]], Callable[P, Lengths]]:
    """Register a recipe; its lengths are checked, and numbers come back as a float where one was given."""

    def register(function: Callable[P, Lengths]) -> Callable[P, Lengths]:
        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Lengths:
            found = np.asarray(function(*args, **kwargs), float)
            return float(found) if found.ndim == 0 else found

        name = function.__name__.replace("_", "-")
        _RECIPES[name] = Recipe(
            name=name, function=checked, formula=formula, criterion=criterion, source=source, status=status
        )
        return checked

    return register


@_recipe(
    formula="αΣ + β(√(σ² + σp²) − σp); 2.5Σ + 1.64(√(σ² + σp²) − σp) for 90 %, 95 %, 3D",
    criterion="the CTV's minimum dose is at least 95 % for 90 % of patients",
    source="van Herk, Remeijer, Rasch, Lebesque 2000, IJROBP 47:1121",
    status="published",
)
def van_herk(
    systematic_mm: ArrayLike,
    random_mm: ArrayLike,
    penumbra_mm: ArrayLike = PENUMBRA_MM,
    *,
    population: float = 0.90,
    level: float = 0.95,
    dimensions: int = 3,
    exact: bool = False,
) -> Lengths:
    """Van Herk's recipe: minimum dose for a share of the population.

    Parameters
    ----------
    systematic_mm, random_mm, penumbra_mm : float or (3,)
        Σ, σ and σp.
    population : float
        Share of patients; α is the χ quantile of it in so many dimensions.
    level : float
        Share of the prescription; β = Φ⁻¹(level).
    dimensions : {1, 2, 3}
        1: two sides of one axis.
    exact : bool
        Without the rounding with which the recipe was published, α 2.5 (90 %, 3D) and β 1.64 (95 %), .84 (80 %).

    Raises
    ------
    DoseError

    Examples
    --------
    >>> round(van_herk(2, 3, 3.2), 4), round(van_herk(2, 3, 3.2, exact=True), 4)
    (6.9456, 6.9519)
    """
    alpha, beta = quantile(population, dimensions), edge_factor(level)
    if not exact:
        alpha = PUBLISHED_ALPHA.get((population, dimensions), alpha)
        beta = PUBLISHED_BETA.get(level, beta)
    systematic, random = _lengths("systematic_mm", systematic_mm), _lengths("random_mm", random_mm)
    penumbra = _lengths("penumbra_mm", penumbra_mm)
    return alpha * systematic + beta * (np.hypot(random, penumbra) - penumbra)


@_recipe(
    formula="2.5Σ + 0.7σ",
    criterion="as van-herk, short form; σ of execution alone, σp about 3.2 mm",
    source="van Herk et al. 2000, IJROBP 47:1121",
    status="published",
)
def van_herk_short(systematic_mm: ArrayLike, random_mm: ArrayLike) -> Lengths:
    """Van Herk's short form; equal to the full one only at σ = 3.34 mm in water.

    Examples
    --------
    >>> van_herk_short(2, 3)
    7.1
    """
    return 2.5 * _lengths("systematic_mm", systematic_mm) + 0.7 * _lengths("random_mm", random_mm)


@_recipe(
    formula="2Σ + 0.7σ",
    criterion="95 % of the dose to on average 99 % of the CTV",
    source="Stroom et al. 1999, IJROBP 43:905",
    status="quoted",
)
def stroom(systematic_mm: ArrayLike, random_mm: ArrayLike) -> Lengths:
    """Stroom's recipe: coverage on average, not for a share of patients."""
    return 2 * _lengths("systematic_mm", systematic_mm) + 0.7 * _lengths("random_mm", random_mm)


@_recipe(formula="√(Σ² + σ²)", criterion="none in dose: a combined SD", source="ICRU report 62, 1999", status="quoted")
def icru62(systematic_mm: ArrayLike, random_mm: ArrayLike) -> Lengths:
    """The combined SD of ICRU report 62; too small, as a margin, for any common criterion."""
    return np.hypot(_lengths("systematic_mm", systematic_mm), _lengths("random_mm", random_mm))


@_recipe(
    formula="Σ + √(σ² + Σ²)",
    criterion="95 % minimum dose, 100 % dose to 95 % of the volume; for which share of patients is not told",
    source="Parker et al. 2002",
    status="quoted",
)
def parker(systematic_mm: ArrayLike, random_mm: ArrayLike) -> Lengths:
    """Parker's recipe."""
    systematic = _lengths("systematic_mm", systematic_mm)
    return systematic + np.hypot(_lengths("random_mm", random_mm), systematic)


@_recipe(
    formula="1.64(σ − σp), σ with the penumbra in it",
    criterion="the 95 % isodose of the blurred beam; random errors alone",
    source="McKenzie et al. 2000, PMB 45:3331",
    status="published",
)
def mckenzie(blurred_mm: ArrayLike, penumbra_mm: ArrayLike = PENUMBRA_MM) -> Lengths:
    """McKenzie's margin for random errors.

    Parameters
    ----------
    blurred_mm : float or (3,)
        SD of the blurred penumbra: √(σ² + σp²), at least `penumbra_mm`.
    penumbra_mm : float or (3,)
    """
    return 1.64 * _added_blur(blurred_mm, penumbra_mm)


@_recipe(
    formula="van-herk with σ → √(σ² + (kA)²), k = 0.358",
    criterion="as van-herk, planned on the mid-ventilation position, breathing as a random error",
    source="van Herk 2003 (k = .358, the SD of a wave cos⁶ over its amplitude), for amplitudes up to about 10 mm",
    status="published",
)
def mid_ventilation(
    systematic_mm: ArrayLike,
    random_mm: ArrayLike,
    amplitude_mm: ArrayLike,
    penumbra_mm: ArrayLike = PENUMBRA_MM,
    *,
    sd_share: float = 0.358,
    population: float = 0.90,
    level: float = 0.95,
    dimensions: int = 3,
    exact: bool = False,
) -> Lengths:
    """Breathing in quadrature with the random errors, planned on the mean position.

    Parameters
    ----------
    systematic_mm, random_mm, penumbra_mm : float or (3,)
    amplitude_mm : float or (3,)
        A, peak to peak.
    sd_share : float
        SD of the breathing position over A.
    population, level, dimensions, exact
        As `van_herk`.
    """
    share = number("sd_share", sd_share, least=0.0, most=1.0, error=DoseError)
    random = np.hypot(_lengths("random_mm", random_mm), share * _lengths("amplitude_mm", amplitude_mm))
    return van_herk(
        systematic_mm, random, penumbra_mm, population=population, level=level, dimensions=dimensions, exact=exact
    )


@_recipe(
    formula="1.3Σ",
    criterion="planning risk volume: shows the organ's high doses in 90 % of cases; systematic errors alone",
    source="McKenzie, van Herk, Mijnheer 2002, Radiother Oncol 62:299",
    status="published",
)
def prv(systematic_mm: ArrayLike) -> Lengths:
    """McKenzie's margin around an organ at risk; what random errors add for small or serial organs is left out."""
    return 1.3 * _lengths("systematic_mm", systematic_mm)


@_recipe(
    formula="van-herk with Σ² + σ²/N and σ²(1 − 1/N), exact quantiles",
    criterion="as van-herk, for N fractions: the mean of N random errors is systematic",
    source="substitution; itself approximate, some .1 mm too small for few fractions",
    status="derived",
)
def finite_fractions(
    systematic_mm: ArrayLike,
    random_mm: ArrayLike,
    fractions: int,
    penumbra_mm: ArrayLike = PENUMBRA_MM,
    *,
    population: float = 0.90,
    level: float = 0.95,
    dimensions: int = 3,
) -> Lengths:
    """Van Herk's recipe for a finite number of fractions.

    Parameters
    ----------
    systematic_mm, random_mm, penumbra_mm : float or (3,)
    fractions : int
    population, level, dimensions
        As `van_herk`.

    Examples
    --------
    >>> round(finite_fractions(2, 3, 5), 4)
    7.627
    """
    count = whole("fractions", fractions, least=1, most=1_000_000, error=DoseError)
    systematic, random = _lengths("systematic_mm", systematic_mm), _lengths("random_mm", random_mm)
    kept = np.hypot(systematic, random / np.sqrt(count))
    left = random * np.sqrt(1 - 1 / count)
    return van_herk(kept, left, penumbra_mm, population=population, level=level, dimensions=dimensions, exact=True)


@_recipe(
    formula="van-herk with Σ² + (d Σθ)², σ² + (d σθ)²",
    criterion="as van-herk, for a point at a distance d from the isocentre: rotations move it across",
    source="covariance σθ²(|p|²1 − ppᵀ) of a turned point",
    status="derived",
)
def rotation(
    systematic_mm: ArrayLike,
    random_mm: ArrayLike,
    distance_mm: float,
    systematic_deg: float,
    random_deg: float,
    penumbra_mm: ArrayLike = PENUMBRA_MM,
    *,
    population: float = 0.90,
    level: float = 0.95,
    dimensions: int = 3,
    exact: bool = False,
) -> Lengths:
    """A margin that grows with the distance from the isocentre, across the line to it.

    Parameters
    ----------
    systematic_mm, random_mm, penumbra_mm : float or (3,)
    distance_mm : float
        From the isocentre.
    systematic_deg, random_deg : float
        SDs of the rotation about each axis.
    population, level, dimensions, exact
        As `van_herk`.
    """
    away = number("distance_mm", distance_mm, least=0.0, most=1000.0, error=DoseError)
    turns = (
        number(name, value, least=0.0, most=45.0, error=DoseError)
        for name, value in (("systematic_deg", systematic_deg), ("random_deg", random_deg))
    )
    systematic, random = (away * np.deg2rad(turn) for turn in turns)
    return van_herk(
        np.hypot(_lengths("systematic_mm", systematic_mm), systematic),
        np.hypot(_lengths("random_mm", random_mm), random),
        penumbra_mm,
        population=population,
        level=level,
        dimensions=dimensions,
        exact=exact,
    )


RECIPES: Final[Mapping[str, Recipe]] = _RECIPES
"""All recipes by name."""


def quantile(population: float, dimensions: int = 3) -> float:
    """α: how many Σ hold a share of a Gaussian population, in 1 (two-sided), 2 or 3 dimensions.

    Examples
    --------
    >>> round(quantile(0.90, 3), 6)
    2.500278
    """
    share = number("population", population, least=0.0, most=0.9999, above=True, error=DoseError)
    axes = whole("dimensions", dimensions, least=1, most=3, error=DoseError)
    return float(stats.chi.ppf(share, axes))


def edge_factor(level: float) -> float:
    """β: Φ⁻¹ of an isodose level."""
    return float(special.ndtri(number("level", level, least=0.5, most=0.9999, error=DoseError)))


def rotation_sd(point_mm: ArrayLike, sd_deg: float) -> Floats:
    """SD (LR, AP, SI), mm, of a point's position under small rotations about all three axes.

    Covariance ``σθ²(|p|²1 − ppᵀ)``, p from the pivot.

    Examples
    --------
    >>> rotation_sd((50, 0, 0), 1.0).round(6)
    array([0.      , 0.872665, 0.872665])
    """
    point = np.asarray(point_mm, float)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise DoseError(f"point_mm: needs three numbers (LR, AP, SI), found {point_mm!r}")
    angle = np.deg2rad(number("sd_deg", sd_deg, least=0.0, most=45.0, error=DoseError))
    found: Floats = angle * np.sqrt(point @ point - point**2)
    return found


def imaged_fractions(systematic_mm: float, random_mm: float, fractions: int) -> float:
    """How many fractions to image for an off-line correction: ``(σ/Σ) √N`` (Bortfeld, van Herk, Jiang 2002).

    Examples
    --------
    >>> round(imaged_fractions(3.1, 3.6, 12), 6)
    4.022828
    """
    systematic = number("systematic_mm", systematic_mm, least=0.0, most=200.0, above=True, error=DoseError)
    random = number("random_mm", random_mm, least=0.0, most=200.0, error=DoseError)
    return random / systematic * float(np.sqrt(whole("fractions", fractions, least=1, most=1000, error=DoseError)))


class Combined(NamedTuple):
    """Independent errors together: SDs (3,), mm."""

    systematic_mm: Floats
    random_mm: Floats


def combined(components: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Combined:
    """Σ and σ of named, independent components (Σ, σ) together: their squares add.

    Examples
    --------
    >>> combined({"set-up": (3, 2), "delineation": (4, 0)}).systematic_mm
    array([5., 5., 5.])
    """
    if not components:
        raise DoseError("combined: needs a component or more, such as {'set-up': (2, 3)}")
    squares = np.zeros((2, 3))
    for name, pair in components.items():
        if len(pair) != 2:
            raise DoseError(f"{name}: needs (Σ, σ), found {pair}")
        squares += np.stack([np.broadcast_to(_lengths(name, sd), (3,)) ** 2 for sd in pair])
    return Combined(*np.sqrt(squares))


def _added_blur(blurred_mm: ArrayLike, penumbra_mm: ArrayLike) -> Floats:
    blurred, penumbra = _lengths("blurred_mm", blurred_mm), _lengths("penumbra_mm", penumbra_mm)
    if (blurred < penumbra).any():
        raise DoseError(
            f"blurred_mm: is the SD with the penumbra in it, √(σ² + σp²); found {blurred_mm!r} below penumbra_mm"
        )
    return blurred - penumbra


def _lengths(name: str, given: ArrayLike) -> Floats:
    """One length or three, mm."""
    try:
        found = np.asarray(given, float)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape not in ((), (3,)) or not np.isfinite(found).all() or (found < 0).any() or (found > 200).any():
        raise DoseError(f"{name}: needs one number or three (LR, AP, SI) from 0 to 200 mm, found {given!r}")
    return found
