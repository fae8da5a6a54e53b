"""The inverse question: the smallest margin that holds for a share of the population."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.analysis.fresh import contained_by, covered_by, fresh_seed, reached_by
from ptvkit.analysis.gauge import gauges
from ptvkit.analysis.needed import (
    Judge,
    Plan,
    Room,
    field_of,
    judge_of,
    needs_at,
    needs_of,
    population_of,
    quantile,
    room_of,
)
from ptvkit.analysis.shapes import (
    Search,
    Shape,
    Sought,
    coarse_of,
    margin_of,
    searched_sides,
    side_intervals,
    sized_sides,
)
from ptvkit.analysis.solution import Solution, Trial
from ptvkit.dose.conformal import PrescribedTo, plateau_of
from ptvkit.dose.criteria import CRITERIA, criterion_of
from ptvkit.errors import DoseError, MotionError
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.region import Region
from ptvkit.kernels.field import Field
from ptvkit.kernels.needed_share import WITHIN
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import LARGEST_MM
from ptvkit.margins.structures import taken_cc
from ptvkit.motion.course import Course, Seed, root, samples_of
from ptvkit.motion.coverage import Structure, filled, shift_range
from ptvkit.motion.estimate import Estimate, share
from ptvkit.motion.residuals import residual_errors
from ptvkit.motion.simulate import Progress
from ptvkit.values import choice, number, whole

Floats = NDArray[np.float64]

SHAPES: Final[tuple[Shape, ...]] = ("isotropic", "per_axis", "six")
LEAST_MM: Final = 0.05
TRADE: Final = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Shares of the patients for which the trade of volume against the criterion is shown."""
SCALES: Final = (0.85, 1.15)
"""Of unequal margins, for the same."""
STEPS_EXPECTED: Final = {"isotropic": 12, "per_axis": 38, "six": 56}
PLAN: Final = Plan()
SPARE: Final = 0.1
"""Of the range of displacements: what a shared field has beyond it on each side."""
ALPHA, BETA = 2.5, 1.64
"""Van Herk's recipe, where the search for sides begins."""


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
    prescribed_to: PrescribedTo = "plateau",
    organ: Structure | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Find the smallest CTV-to-PTV margin whose criterion holds for a share of the population.

    For each patient the margin is found that he needs; the wanted share of the patients needs no more than the answer.
    Unequal margins begin with van Herk's for each axis and are improved until every side gains as many patients for the
    same volume; a shape with more sides never gives a larger PTV than one with fewer. The share that is told is of
    patients that the search did not see; covered volume is simulated in full for them.

    Parameters
    ----------
    ctv : Mask or Region
    course : Course
    criterion : str
        ``dmin>=0.95``, ``d98>=0.95``, ``d95>=0.95``, ``mean>=0.99`` (of the prescription, each PTV with its own
        conformal dose), ``v95>=0.98`` (share of the volume), ``contained`` (never out), or ``coverage>=0.99``
        (time-averaged covered volume: a geometric index, no margin criterion).
    population : float
        Share of patients.
    shape : {"isotropic", "per_axis", "six"}
        One margin; one for each of LR, AP, SI; or one for each direction.
    patients : int
        For the search, and as many others for the check.
    seed : int or Generator
    samples : int, optional
        Times within each fraction.
    penumbra_mm, edge_level, prescribed_to
        Of the conformal dose, as in `conformal_dose`.
    organ : Mask or Region, optional
        A healthy organ: results say what of it lies inside the PTV and outside the CTV.
    progress : callable, optional
        Called with (steps done, steps expected).

    Returns
    -------
    Solution

    Raises
    ------
    MaskError
        When the target is empty.
    MotionError
        When the criterion is unknown, nothing displaces the target, or no margin up to 100 mm is enough.
    DoseError
        When a number of the dose is out of range.

    Examples
    --------
    >>> from ptvkit import SetupError, phantom
    >>> course = Course(setup=[SetupError(systematic_mm=2)])
    >>> solution = solve_margin(phantom.region("lesion_3"), course, criterion="contained", patients=1000)
    >>> round(solution.margin.superior, 1), solution.reached.low < 0.9 < solution.reached.high
    (5.0, True)
    """
    plan = Plan(penumbra_mm=penumbra_mm, edge_level=edge_level, prescribed_to=prescribed_to)
    choice("shape", shape, SHAPES)
    return solve_prepared(
        prepared_target(ctv, criterion, plan),
        course,
        population=population,
        shape=shape,
        patients=patients,
        seed=seed,
        samples=samples,
        organ=organ,
        progress=progress,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedTarget:
    """A target and a criterion that many courses share. Make one with `prepared_target`.

    Attributes
    ----------
    target : Region
    judge : Judge
    room : Room or None
        That the field has; courses that reach further have a field of their own.
    field : Field or None
        Distance from the target.
    """

    target: Region
    judge: Judge
    room: Room | None = None
    field: Field | None = None


def prepared_target(
    ctv: Structure, criterion: str, plan: Plan = PLAN, courses: Sequence[Course] = (), seed: Seed = 0
) -> PreparedTarget:
    """Prepare a target for a criterion; its field has room for what these courses displace.

    Raises
    ------
    MaskError, MotionError, DoseError
        As `solve_margin`.
    """
    target = filled(ctv)
    judge = checked_judge(target, criterion, plan)
    if not courses or judge.criterion.metric.name == "contained":
        return PreparedTarget(target=target, judge=judge)
    least, most = shift_range(courses, root(seed), judge.centre_mm)
    low, high = least - SPARE * (most - least), most + SPARE * (most - least)
    room = Room(low, high, float(np.linalg.norm(np.maximum(-low, high))))
    return PreparedTarget(target=target, judge=judge, room=room, field=field_of(target, room, judge.deep_mm))


def solve_prepared(
    ready: PreparedTarget,
    course: Course,
    *,
    population: float = 0.90,
    shape: Shape = "isotropic",
    patients: int = 2000,
    seed: Seed = 0,
    samples: int | None = None,
    organ: Structure | None = None,
    progress: Progress | None = None,
) -> Solution:
    """As `solve_margin`, for a target that is prepared."""
    if course.shape_change is not None:
        raise MotionError("course: solve_margin takes no shape_change; leave it out, and add its growth to the margin")
    wanted = number("population", population, least=0.01, most=0.999)
    count = whole("patients", patients, least=20, most=1_000_000)
    choice("shape", shape, SHAPES)
    judge, start, times = ready.judge, root(seed), samples_of(course, samples)
    people, others = (
        population_of(course, count, each, times, judge.centre_mm, judge.criterion.metric.name)
        for each in (start, fresh_seed(start))
    )
    if not people.at.shifts.any() and not len(people.at.turns):
        raise MotionError("nothing displaces the target; no margin is needed. Give errors or breathing")
    tell = _Counter(progress, STEPS_EXPECTED[shape])
    search = Search(
        target=ready.target, judge=judge, people=people, others=others, share=wanted, shape=shape, tell=tell
    )
    answer = _isotropic(search, ready)
    for more in SHAPES[1 : SHAPES.index(shape) + 1]:
        answer = _unequal(replace(search, shape=more), course, start, answer)
    return _solution(search, answer, course, organ, (fresh_seed(start), times))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answer:
    """Sides that meet the share.

    Attributes
    ----------
    sides : (6,) array
    ptv : Region
    needed : (P,) array
        What each patient needs beyond them, mm.
    field : Field or None
        A distance that has room for all patients; None where displacements alone decide.
    margin_mm : float
        From the surface that it is of to the PTV.
    """

    sides: Floats
    ptv: Region
    needed: Floats
    field: Field | None
    margin_mm: float = 0.0


def checked_judge(target: Region, text: str, plan: Plan) -> Judge:
    """What the criterion asks of a target.

    Raises
    ------
    MotionError, DoseError
    """
    try:
        criterion = criterion_of(text)
    except DoseError as error:
        raise MotionError(str(error)) from None
    metric = criterion.metric
    if metric.entry.is_absolute:
        raise MotionError(
            f"criterion {text!r}: needs doses in Gy, and margins are solved in shares of the prescription; use"
            f" {CRITERIA}, or geud-10>=0.95"
        )
    if metric.entry.better != "higher" or not criterion.at_least or metric.name.startswith("d("):
        raise MotionError(f"criterion {text!r}: use {CRITERIA}; levels above 0 to 1. A margin raises none else")
    number("penumbra_mm", plan.penumbra_mm, least=0.5, most=50.0, error=DoseError)
    number("edge_level", plan.edge_level, least=0.5, most=0.99, error=DoseError)
    plateau_of(1.0, plan.edge_level, plan.prescribed_to)
    return judge_of(target, criterion, plan, centroid(target))


def _isotropic(search: Search, ready: PreparedTarget) -> _Answer:
    """One margin for all directions: the quantile of what patients need."""
    people, field = search.people, None
    if search.by_gauge:
        needed = gauges(people.at.shifts, np.ones(6))
    else:
        room = room_of(search.target, (people, search.others))
        field = ready.field if ready.room is not None and ready.room.holds(room) else None
        field = field or field_of(search.target, room, search.judge.deep_mm)
        needed = needs_of(search.judge, field, people, search.interval, everyone=True).middle
    search.tell()
    size = max(quantile(needed, search.share), LEAST_MM)
    if size > LARGEST_MM:
        raise MotionError(f"no margin up to {LARGEST_MM:g} mm is enough for this criterion and share of patients")
    sides = np.full(6, size)
    ptv = expand(search.target, margin_of(sides))
    return _Answer(sides=sides, ptv=ptv, needed=needed - size, field=field, margin_mm=size)


def _unequal(search: Search, course: Course, seed: int, simpler: _Answer) -> _Answer:
    """Unequal margins; those of the simpler shape where they have no smaller PTV."""
    first = np.ptp(simpler.sides) == 0
    start = _van_herk(search, course, seed) if first else simpler.sides
    found = sized_sides(search, searched_sides(search, Sought(start, None)).sides)
    if found.sides.max() > LARGEST_MM or found.ptv.volume_cc >= simpler.ptv.volume_cc:
        return simpler
    return _Answer(sides=found.sides, ptv=found.ptv, needed=found.needed, field=found.field)


def _van_herk(search: Search, course: Course, seed: int) -> Floats:
    """Margins (6,) by the recipe from what guidance leaves of all errors; both sides of an axis alike."""
    left = residual_errors(course, seed=seed)[-1]
    penumbra = search.judge.plan.penumbra_mm
    wide = np.sqrt(left.random_mm**2 + penumbra**2) - penumbra
    axes = ALPHA * left.systematic_mm + BETA * wide + np.abs(left.mean_mm)
    return np.repeat(np.clip(axes, 1.0, 0.8 * LARGEST_MM), 2)


def _solution(
    search: Search, answer: _Answer, course: Course, organ: Structure | None, draw: tuple[int, int]
) -> Solution:
    """The answer, held against fresh patients, with its intervals and the trade around it."""
    judge, count = search.judge, search.people.size
    if answer.field is None:
        reached = contained_by(search.others, answer.sides)
    elif judge.points is not None and judge.kind == WITHIN:
        reached = covered_by(search.target, answer.ptv, course, judge, count, draw)
    else:
        reached = reached_by(judge, search.others, answer.field, answer.margin_mm)
    search.tell()
    scale = _interval(answer, search.share)
    margin = margin_of(answer.sides)
    taken = None if organ is None else taken_cc(answer.ptv, search.target, organ)
    final = Trial(
        margin=margin,
        ptv_cc=answer.ptv.volume_cc,
        reached=share(int((answer.needed <= 1e-9).sum()), count),
        organ_cc=taken,
    )
    trials = sorted([*_trade(search, answer, organ), final], key=lambda trial: trial.margin.superior)
    return Solution(
        margin=margin,
        scale=scale,
        sides=_sides(search, answer, scale),
        criterion=judge.criterion.text,
        population=search.share,
        shape=search.shape,
        reached=reached,
        ptv_cc=final.ptv_cc,
        organ_cc=taken,
        trials=tuple(trials),
        note=judge.criterion.metric.entry.note,
    )


def _interval(answer: _Answer, wanted: float) -> Estimate:
    """Factors of the margin at which the share's 95 % interval still holds the wanted one."""
    count, size = len(answer.needed), float(answer.sides.mean())
    around = share(round(wanted * count), count)
    low, high = (1 + quantile(answer.needed, end) / size for end in (around.low, around.high))
    return Estimate(1.0, min(max(low, 0.0), 1.0), max(high, 1.0))


def _sides(search: Search, answer: _Answer, scale: Estimate) -> dict[str, Estimate]:
    found = None if np.ptp(answer.sides) == 0 else side_intervals(search, answer.sides)
    low, high = (answer.sides * scale.low, answer.sides * scale.high) if found is None else found
    return {letter: Estimate(*each) for letter, *each in zip("RLAPSI", answer.sides, low, high, strict=True)}


def _trade(search: Search, answer: _Answer, organ: Structure | None) -> list[Trial]:
    """Other sizes of the same shape."""
    target, count = coarse_of(search.target), search.people.size
    found = []
    for sides, met in _other_sizes(search, answer, target):
        ptv = expand(target, margin_of(sides))
        taken = None if organ is None else taken_cc(ptv, target, organ)
        reached = share(met, count)
        found.append(Trial(margin=margin_of(sides), ptv_cc=ptv.volume_cc, reached=reached, organ_cc=taken))
        search.tell()
    return found


def _other_sizes(search: Search, answer: _Answer, target: Region) -> Sequence[tuple[Floats, int]]:
    """Sides, and how many patients they are enough for."""
    people = search.people
    if np.ptp(answer.sides) == 0:
        size = float(answer.sides[0])
        at = [quantile(answer.needed, level) for level in TRADE if level != search.share]
        kept = sorted({growth for growth in at if LEAST_MM < size + growth < LARGEST_MM})
        return [(answer.sides + growth, int((answer.needed <= growth + 1e-9).sum())) for growth in kept if growth]
    found = []
    for scale in SCALES:
        sides = answer.sides * scale
        if sides.max() > LARGEST_MM:
            continue
        if search.by_gauge:
            met = int((gauges(people.at.shifts, sides) <= 1).sum())
        else:
            ptv = expand(target, margin_of(sides))
            distance = field_of(ptv, room_of(ptv, (people,)), search.judge.deep_mm)
            met = int((needs_at(search.judge, distance, people, 0.0) <= 0).sum())
        found.append((sides, met))
    return found


class _Counter:
    """Counts what was tried."""

    def __init__(self, progress: Progress | None, expected: int) -> None:
        self._progress, self._done, self._expected = progress, 0, expected

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, max(self._expected, self._done + 1))
