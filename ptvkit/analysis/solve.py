"""The inverse question: the smallest margin that holds for a share of the population."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.simulate import simulate_dose
from ptvkit.errors import MotionError
from ptvkit.geometry.region import Region
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import LARGEST_MM, Margin
from ptvkit.margins.structures import taken_cc
from ptvkit.motion.course import Course, Seed, blocks, draw_block, root, sample_course, samples_of
from ptvkit.motion.coverage import Structure, centroid, filled
from ptvkit.motion.estimate import Estimate, share
from ptvkit.motion.simulate import Progress, simulate_coverage
from ptvkit.values import choice, number, whole

Floats = NDArray[np.float64]
Shape = Literal["isotropic", "per_axis", "six"]

SIDES: Final = {"isotropic": 1, "per_axis": 3, "six": 6}
SHAPES: Final = tuple(SIDES)
USUAL_TRIALS: Final = 9
TRIALS_A_SIDE: Final = 40
LEAST_MM: Final = 0.05
STEP_MM: Final = 0.02
"""How closely the margin is found; simulation leaves far more open."""
SHAPING_PATIENTS: Final = 400
INSIDE: Final = 0.01
"""Score of a patient who passes, where only failing has a size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A margin that was tried.

    Attributes
    ----------
    margin : Margin
    ptv_cc : float
    reached : Estimate
        Share of patients that meet the criterion.
    organ_cc : float or None
        Of the organ, what lies inside the PTV and outside the CTV.
    """

    margin: Margin
    ptv_cc: float
    reached: Estimate
    organ_cc: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The smallest margin that meets a criterion.

    Attributes
    ----------
    margin : Margin
    scale : Estimate
        Of the margin: 1, and by which factors its 95 % simulation interval reaches from it.
    criterion : str
    population : float
    shape : str
    reached : Estimate
        Share of simulated patients that meet the criterion with this margin.
    ptv_cc : float
    organ_cc : float or None
        What the margin takes of the organ.
    trials : tuple of Trial
        Margins on the way, by size: the trade of PTV volume, and of the organ, against the criterion.
    note : str
        What the criterion is not, where that matters.
    """

    margin: Margin
    scale: Estimate
    criterion: str
    population: float
    shape: Shape
    reached: Estimate
    ptv_cc: float
    trials: tuple[Trial, ...]
    note: str = ""
    organ_cc: float | None = None

    def __repr__(self) -> str:
        return f"Solution({self.margin}, {self.criterion}, reached {self.reached:.3f}, PTV {self.ptv_cc:.4g} cc)"


def solve_margin(
    ctv: Structure,
    course: Course,
    *,
    criterion: str = "dmin>=0.95",
    population: float = 0.90,
    shape: Shape = "isotropic",
    patients: int = 2000,
    seed: Seed = 0,
    samples: int | None = None,
    penumbra_mm: float = 3.2,
    edge_level: float = 0.95,
    organ: Structure | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Find the smallest CTV-to-PTV margin whose criterion holds for a share of the population.

    All margins are tried on the same patients. Unequal margins get their proportions from containment, by the smallest
    PTV: a target stays in its PTV as long as its displacement lies in the margin's body, whatever its shape (the
    Minkowski sum with a convex body). Their size is then found with the criterion itself.

    Parameters
    ----------
    ctv : Mask or Region
    course : Course
    criterion : str
        ``dmin>=0.95``, ``d98>=0.95`` (of the prescription, each trial PTV with its own conformal dose), ``contained``
        (never out), or ``coverage>=0.99`` (time-averaged covered volume: a geometric index, no margin criterion).
    population : float
        Share of patients.
    shape : {"isotropic", "per_axis", "six"}
        One margin; one for each of LR, AP, SI; or one for each direction.
    patients : int
    seed : int or Generator
    samples : int, optional
        Times within each fraction.
    penumbra_mm, edge_level : float
        Of the conformal dose.
    organ : Mask or Region, optional
        A healthy organ: of each trial is told what lies inside the PTV and outside the CTV.
    progress : callable, optional
        Called with (margins tried, margins expected).

    Returns
    -------
    Solution

    Raises
    ------
    MaskError
        When the target is empty.
    MotionError
        When the criterion is unknown, nothing displaces the target, or no margin up to 100 mm is enough.

    Examples
    --------
    >>> from ptvkit import SetupError, phantom
    >>> course = Course(setup=[SetupError(systematic_mm=2)])
    >>> found = solve_margin(phantom.region("lesion_3"), course, criterion="contained", patients=1000)
    >>> round(found.margin.superior, 1), round(found.reached, 2)
    (5.0, 0.9)
    """
    target = filled(ctv)
    wanted = number("population", population, least=0.01, most=0.999)
    count = whole("patients", patients, least=20, most=1_000_000)
    choice("shape", shape, SHAPES)
    kind, level = parsed_criterion(criterion)
    start = root(seed)
    shifts = _shifts(target, course, min(count, SHAPING_PATIENTS), start, samples)
    if not shifts.any() and not course.turns:
        raise MotionError("nothing displaces the target; no margin is needed. Give errors or breathing")
    tell = _Counter(progress, shape)
    unit = _proportions(target, shifts, wanted, shape, tell)
    needed = _needed(target, course, unit, count, start, samples) if kind == "contained" and not course.turns else None
    trials: dict[float, tuple[Trial, Floats]] = {}

    def tried(size: float) -> Floats:
        if size not in trials:
            margin = _margin(size * unit)
            ptv = expand(target, margin)
            if needed is not None:
                scores = size - needed
            else:
                scores = _scores(target, ptv, course, kind, level, count, start, samples, (penumbra_mm, edge_level))
            reached = share(int((scores >= 0).sum()), count)
            taken = None if organ is None else taken_cc(ptv, target, organ)
            trials[size] = Trial(margin=margin, ptv_cc=ptv.volume_cc, reached=reached, organ_cc=taken), scores
            tell()
        return trials[size][1]

    first = _first_guess(shifts, unit, wanted)
    size = _root(lambda at: _quantile(tried(at), 1 - wanted), first, LARGEST_MM / unit.max())
    tried(size)
    trial, _ = trials[size]
    return Solution(
        margin=trial.margin,
        scale=_interval(tried, size, trials, wanted, count),
        criterion=criterion,
        population=wanted,
        shape=shape,
        reached=trial.reached,
        ptv_cc=trial.ptv_cc,
        organ_cc=trial.organ_cc,
        trials=tuple(trials[at][0] for at in sorted(trials)),
        note=GEOMETRIC if kind == "coverage" else "",
    )


GEOMETRIC: Final = (
    "covered volume is a geometric index: it shrinks the margin as the target grows and forgives a permanent miss of a"
    " large one; judge a margin by dmin, d98 or contained"
)


def parsed_criterion(criterion: str) -> tuple[str, float]:
    """A criterion's kind and level.

    Raises
    ------
    MotionError

    Examples
    --------
    >>> parsed_criterion("d98>=0.95"), parsed_criterion("contained")
    (('d98', 0.95), ('contained', 0.0))
    """
    plain = criterion.replace(" ", "").replace("≥", ">=").lower()
    if plain == "contained":
        return "contained", 0.0
    found = re.fullmatch(r"(dmin|d98|coverage)>=(\d*\.?\d+)", plain)
    if found is None or not 0 < float(found[2]) <= 1:
        raise MotionError(
            f"criterion {criterion!r}: use dmin>=0.95, d98>=0.95, contained, or coverage>=0.99; levels above 0 to 1"
        )
    return found[1], float(found[2])


def _shifts(target: Region, course: Course, patients: int, seed: int, samples: int | None) -> Floats:
    """Displacements (patients, extremes, 3) that reach furthest, mm."""
    drawn = sample_course(course, patients=patients, seed=seed, samples=samples, centre_mm=centroid(target))
    return drawn.extreme_shifts_mm.reshape(patients, -1, 3)


def _needed(target: Region, course: Course, unit: Floats, patients: int, seed: int, samples: int | None) -> Floats:
    """Size (patients,) of the margin that just contains each patient's target, a few patients at a time."""
    times, centre = samples_of(course, samples), centroid(target)
    found = []
    for block, count in blocks(patients):
        shifts = draw_block(course, block, count, seed, times, centre).extreme_shifts_mm
        found.append(_gauges(shifts.reshape(count, -1, 3), unit))
    return np.concatenate(found)


def _gauges(shifts: Floats, sides: Floats) -> Floats:
    """Size (patients,) of the body with semi-axes `sides` (R L A P S I) that holds all of a patient's displacements."""
    plus, minus = np.maximum(sides[0::2], 1e-9), np.maximum(sides[1::2], 1e-9)
    scaled = np.where(shifts > 0, shifts / plus, shifts / minus)
    found: Floats = np.sqrt((scaled**2).sum(axis=-1).max(axis=-1))
    return found


class _Counter:
    """Counts the margins that were tried."""

    def __init__(self, progress: Progress | None, shape: Shape) -> None:
        self._progress, self._done = progress, 0
        self._expected = USUAL_TRIALS + (0 if shape == "isotropic" else TRIALS_A_SIDE * SIDES[shape])

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, max(self._expected, self._done + 1))


def _proportions(target: Region, shifts: Floats, population: float, shape: Shape, tell: Callable[[], None]) -> Floats:
    """Margins (6,) R L A P S I whose body holds that share of patients in the smallest PTV, the largest of them 1."""
    if shape == "isotropic":
        return np.ones(6)
    spread = np.maximum(_spread(shifts, population, shape), 0.05)
    spread /= spread.max()

    def volume(logs: Floats) -> float:
        sides = _six(np.exp(logs), shape)
        size = float(np.quantile(_gauges(shifts, sides), population, method="higher"))
        grown = np.minimum(size * sides, LARGEST_MM)
        tell()
        return expand(target, _margin(grown)).volume_cc

    begin = np.log(spread)
    steps = np.vstack([begin, begin + 0.35 * np.eye(len(begin))])
    found = optimize.minimize(
        volume,
        begin,
        method="Nelder-Mead",
        options={
            "initial_simplex": steps,
            "maxfev": TRIALS_A_SIDE * len(begin),
            "xatol": 0.02,
            "fatol": 1e-3 * target.volume_cc,
        },
    )
    sides = _six(np.exp(found.x), shape)
    unit: Floats = sides / sides.max()
    return unit


def _spread(shifts: Floats, population: float, shape: Shape) -> Floats:
    """A first idea of the proportions: how far patients get on each side."""
    high = np.quantile(shifts.max(axis=1), population, axis=0)
    low = -np.quantile(shifts.min(axis=1), 1 - population, axis=0)
    found: Floats = np.maximum(high, low) if shape == "per_axis" else np.stack([high, low], axis=1).reshape(-1)
    return np.maximum(found, 0.0)


def _six(sides: Floats, shape: Shape) -> Floats:
    return np.repeat(sides, 2) if shape == "per_axis" else sides


def _margin(sides: Floats) -> Margin:
    return Margin.from_letters(dict(zip("RLAPSI", sides.tolist(), strict=True)))


def _scores(
    target: Region,
    ptv: Region,
    course: Course,
    kind: str,
    level: float,
    patients: int,
    seed: int,
    samples: int | None,
    dose: tuple[float, float],
) -> Floats:
    """How well each patient meets the criterion: 0 or more where he does."""
    if kind in ("dmin", "d98"):
        plan = conformal_dose(ptv, 1.0, *dose)
        got = simulate_dose(plan, target, course, patients=patients, seed=seed, samples=samples)
        reached: Floats = got.metric(f"{kind}_gy") - level
        return reached
    result = simulate_coverage(target, ptv, course, patients=patients, seed=seed, samples=samples)
    if kind == "coverage":
        covered: Floats = result.coverage.mean(axis=1) - level
        return covered
    return np.where(result.deepest_mm > 0, -result.deepest_mm, INSIDE)


def _quantile(scores: Floats, level: float) -> float:
    return float(np.quantile(scores, level, method="lower"))


def _first_guess(shifts: Floats, unit: Floats, population: float) -> float:
    size = float(np.quantile(_gauges(shifts, unit), population, method="higher"))
    return min(max(size, 1.0), 0.9 * LARGEST_MM / float(unit.max()))


def _root(fails_below: Callable[[float], float], first: float, most: float) -> float:
    """Smallest size at which a rising function is 0 or more."""
    low, high = LEAST_MM, first
    if fails_below(low) >= 0:
        return low
    while fails_below(high) < 0:
        low, high = high, min(1.5 * high + 1, most)
        if low >= most:
            raise MotionError(f"no margin up to {LARGEST_MM:g} mm is enough for this criterion and share of patients")
    while high - low > STEP_MM:
        below, above = fails_below(low), fails_below(high)
        # between the secant, which is quick, and the middle, which is safe
        cut = low + (high - low) * min(max(-below / (above - below), 0.1), 0.9)
        low, high = (cut, high) if fails_below(cut) < 0 else (low, cut)
    return high


def _interval(
    tried: Callable[[float], Floats],
    size: float,
    trials: dict[float, tuple[Trial, Floats]],
    population: float,
    patients: int,
) -> Estimate:
    """The sizes at which the share's 95 % interval still holds the wanted one, over the size found."""
    around = share(round(population * patients), patients)
    scores = tried(size)
    below = max((at for at in trials if at < size - 5 * STEP_MM), default=size / 2)
    slope = (_quantile(scores, 1 - population) - _quantile(tried(below), 1 - population)) / (size - below)
    if slope <= 0:
        return Estimate(1.0, 0.0, float("inf"))
    ends = [_quantile(scores, 1 - end) for end in (around.low, around.high)]
    middle = _quantile(scores, 1 - population)
    low, high = (size + (middle - end) / slope for end in ends)
    return Estimate(1.0, max(min(low / size, 1.0), 0.0), max(high / size, 1.0))
