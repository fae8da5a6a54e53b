"""Ways to manage breathing, side by side: the margin that each needs, and what it costs in volume and time."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.analysis.fresh import fresh_seed, reached_by
from ptvkit.analysis.needed import Judge, Plan, Population, field_of, needs_of, population_of, quantile, room_of
from ptvkit.analysis.shapes import coarse_of
from ptvkit.analysis.solve import checked_judge
from ptvkit.analysis.strategy_courses import STRATEGIES, Planned, internal_target, planned_by
from ptvkit.analysis.trace_bootstrap import bootstrap_half_width, trace_warnings
from ptvkit.errors import MotionError, PtvkitWarning
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.region import Region
from ptvkit.kernels.field import Field
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import LARGEST_MM, Margin, MarginLike, as_margin
from ptvkit.margins.phases import mid_position
from ptvkit.margins.structures import taken_cc
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import BLOCK, Course, Seed, root, samples_of
from ptvkit.motion.coverage import Structure, filled
from ptvkit.motion.estimate import Estimate, share
from ptvkit.motion.management.figures import duty_of
from ptvkit.motion.management.management import Management
from ptvkit.motion.residuals import residual_errors
from ptvkit.motion.simulate import Progress, simulate_coverage
from ptvkit.values import choice, number, whole

Floats = NDArray[np.float64]

LEAST_MM: Final = 0.05
RESIDUAL_PATIENTS: Final = 1000
PLAN: Final = Plan()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strategy:
    """One way to manage breathing. Triples are (LR, AP, SI), mm.

    Attributes
    ----------
    name : str
    margin : Margin
        CTV to PTV, or from the CTV of an internal target.
    margin_mm, ptv_cc : Estimate
        The margin and the PTV's volume with their 95 % simulation intervals; of one recording they also hold what its
        length leaves open, by a bootstrap of blocks of its breaths.
    organ_cc : float or None
        Of the organ, what lies inside the PTV and outside the CTV.
    systematic_mm, random_mm : (3,) array
        Σ' and σ' that are left, all errors together.
    duty : float
        Share of the time that the beam is on.
    minutes : float
        Of a fraction, from the first beam to the last.
    reached : Estimate
        Share of patients that the search did not see who meet the criterion with this margin.
    fixed_reached : Estimate
        Share of patients who meet it with the fixed margin.
    ptv : Region
    assumed : str
        What is assumed of the management, and where it comes from.
    """

    name: str
    margin: Margin
    margin_mm: Estimate
    ptv_cc: Estimate
    organ_cc: float | None
    systematic_mm: Floats
    random_mm: Floats
    duty: float
    minutes: float
    reached: Estimate
    fixed_reached: Estimate
    ptv: Region
    assumed: str

    @property
    def title(self) -> str:
        """Its name in words."""
        return "ITV" if self.name == "itv" else self.name.replace("_", "-" if "mid" in self.name else " ")

    def row(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "name": self.name,
            "margin": self.margin_mm.value,
            "margin_low": self.margin_mm.low,
            "margin_high": self.margin_mm.high,
            "ptv_cc": self.ptv_cc.value,
            "ptv_cc_low": self.ptv_cc.low,
            "ptv_cc_high": self.ptv_cc.high,
            "organ_cc": self.organ_cc,
            "systematic_mm": self.systematic_mm.tolist(),
            "random_mm": self.random_mm.tolist(),
            "duty": self.duty,
            "minutes": self.minutes,
            "reached": self.reached.value,
            "reached_low": self.reached.low,
            "reached_high": self.reached.high,
            "fixed_reached": self.fixed_reached.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Strategies side by side, by the same simulated patients.

    Attributes
    ----------
    strategies : tuple of Strategy
    gtv, ctv : Region
    criterion : str
    population : float
        Share of the patients who are to meet it.
    fixed : Margin
        The clinic's, for `Strategy.fixed_reached`.
    patients : int
    """

    strategies: tuple[Strategy, ...]
    gtv: Region
    ctv: Region
    criterion: str
    population: float
    fixed: Margin
    patients: int

    def table(self) -> list[dict[str, Any]]:
        """A row of plain values for each strategy."""
        return [one.row() for one in self.strategies]

    def __getitem__(self, name: str) -> Strategy:
        return next(one for one in self.strategies if one.name == name)

    def in_words(self) -> str:
        """What decides between the strategies."""
        smallest = min(self.strategies, key=lambda one: one.ptv_cc)
        quickest = min(self.strategies, key=lambda one: (round(one.minutes, 2), one.ptv_cc))
        largest = max(self.strategies, key=lambda one: one.ptv_cc)
        saved = 1 - smallest.ptv_cc / largest.ptv_cc
        alike = [
            one.title for one in self.strategies if one is not smallest and one.margin_mm.low <= smallest.margin_mm.high
        ]
        text = (
            f"{smallest.title[0].upper()}{smallest.title[1:]} needs the smallest PTV,"
            f" {smallest.ptv_cc.value:.0f} cc with a margin of {smallest.margin_mm.value:.1f} mm, {saved:.0%} less than"
            f" {largest.title} ({largest.ptv_cc.value:.0f} cc, {largest.margin_mm.value:.1f} mm); a fraction takes"
            f" {smallest.minutes:.1f} min."
        )
        if alike:
            text += f" By its margin it cannot be told from {', '.join(alike)}."
        if quickest is not smallest:
            text += (
                f" Of those that take least time ({quickest.minutes:.1f} min), {quickest.title} has the smallest PTV:"
                f" {quickest.ptv_cc.value:.0f} cc with {quickest.margin_mm.value:.1f} mm."
            )
        left = max(smallest.systematic_mm)
        return text + (
            f" What is left there is systematic most of all: Σ' up to {left:.1f} mm."
            if left > max(smallest.random_mm)
            else f" What is left there is random most of all: σ' up to {max(smallest.random_mm):.1f} mm."
        )


def compare_strategies(
    gtv: Structure | Phases,
    course: Course,
    *,
    ctv: MarginLike = 10.0,
    strategies: Sequence[str] = STRATEGIES,
    organ: Structure | None = None,
    managements: Mapping[str, Management] | None = None,
    fixed: MarginLike = 10.0,
    criterion: str = "dmin>=0.95",
    population: float = 0.90,
    patients: int = 1000,
    seed: Seed = 0,
    plan: Plan = PLAN,
    beam_min: float | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare ways to manage breathing: for each the smallest equal margin that meets a criterion, and its costs.

    All strategies see the same simulated patients: the same set-up errors, days and breaths.

    Parameters
    ----------
    gtv : Mask, Region or Phases
        Of phases the mid-position target, which keeps its shape, is moved; their union is the internal target.
    course : Course
        Its breathing is managed, or that of the phases where it has none; its reference and its management are those of
        each strategy.
    ctv : float, Margin or str
        GTV to CTV, mm.
    strategies : sequence of str
        ``free_breathing``: planned on a random phase. ``itv``: the GTV moved through the whole wave or recording.
        ``mid_ventilation``: planned on the one of ten phases that is nearest to the time mean. ``mid_position``:
        planned on the time mean. ``gating``, ``breath_hold``, ``tracking``, ``compression``.
    organ : Mask or Region, optional
        A healthy organ.
    managements : mapping, optional
        Of a strategy by its name, in place of the default, which `Strategy.assumed` describes; the course's own
        management takes the place of its kind's.
    fixed : float, Margin or str
        The clinic's CTV-to-PTV margin, mm: which share of the patients meets the criterion with it.
    criterion, population, seed
        As in `solve_margin`.
    patients : int
        For the search, and as many others for the check.
    plan : Plan
        The idealised dose: its penumbra, edge level and prescription.
    beam_min : float, optional
        How long the beam is on in a fraction, minutes; by default the course's ``fraction_s``.
    progress : callable, optional
        Called with (strategies done, strategies in all).

    Raises
    ------
    MotionError
        When the course has no breathing, a strategy or criterion is unknown, or no margin up to 100 mm is enough.

    Warns
    -----
    PtvkitWarning
        When a recording has fewer than 15 breaths, or a drift dominates it.

    Examples
    --------
    >>> from ptvkit import Breathing, SetupError, phantom
    >>> liver = Breathing.lujan(amplitude_mm=(0, 4, 12), inhale=(0, 1, -1), reference="time_mean")
    >>> course = Course(setup=[SetupError(systematic_mm=2, random_mm=2)], breathing=liver, fractions=5)
    >>> both = compare_strategies(
    ...     phantom.region("lesion_3"), course, ctv=3, strategies=("mid_position", "tracking"), patients=200
    ... )
    >>> [row["name"] for row in both.table()], both["tracking"].margin_mm < both["mid_position"].margin_mm
    (['mid_position', 'tracking'], True)
    """
    for name in strategies:
        choice("strategies", name, STRATEGIES)
    if course.shape_change is not None:
        raise MotionError(
            "course: compare_strategies takes no shape_change; leave it out, and add its growth to the margin"
        )
    wanted = number("population", population, least=0.01, most=0.999)
    count = whole("patients", patients, least=20, most=1_000_000)
    beam = course.fraction_s / 60 if beam_min is None else beam_min
    if isinstance(gtv, Phases) and course.breathing is None:
        course = replace(course, breathing=Breathing.from_phases(gtv, reference="time_mean"))
    gross = filled(mid_position(gtv) if isinstance(gtv, Phases) else gtv)
    margin = as_margin(ctv, "ctv")
    clinical = expand(gross, margin)
    internal = expand(internal_target(gtv, course.breathing), margin) if "itv" in strategies else clinical
    clinic = as_margin(fixed, "fixed")
    for text in () if course.breathing is None else trace_warnings(course.breathing):
        warnings.warn(text, PtvkitWarning, stacklevel=2)
    room = _Room(
        judge=checked_judge(clinical, criterion, plan),
        target=clinical,
        share=wanted,
        patients=count,
        seed=root(seed),
        fixed=clinic,
        organ=organ,
        minutes=number("beam_min", beam, least=0.0, most=1e4, above=True),
    )
    found = []
    for name in strategies:
        found.append(_compared(room, planned_by(name, internal, clinical, course, managements or {})))
        if progress is not None:
            progress(len(found), len(strategies))
    return Comparison(
        strategies=tuple(found),
        gtv=gross,
        ctv=clinical,
        criterion=room.judge.criterion.text,
        population=wanted,
        fixed=clinic,
        patients=count,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Room:
    """What all strategies of a comparison share."""

    judge: Judge
    target: Region
    share: float
    patients: int
    seed: int
    fixed: Margin
    organ: Structure | None
    minutes: float

    def drawn(self, course: Course, patients: int, seed: int) -> Population:
        """Patients of a course, as the criterion needs them."""
        judge = self.judge
        return population_of(
            course, patients, seed, samples_of(course, None), judge.centre_mm, judge.criterion.metric.name
        )


def _compared(room: _Room, planned: Planned) -> Strategy:
    """The margin that one strategy needs, and its costs."""
    judge, course = room.judge, planned.course
    people, others = (room.drawn(course, room.patients, seed) for seed in (room.seed, fresh_seed(room.seed)))
    field = field_of(planned.base, room_of(planned.base, (people, others)), judge.deep_mm)
    around = share(round(room.share * room.patients), room.patients)
    needed = needs_of(judge, field, people, (around.low, around.high)).middle
    size = max(quantile(needed, room.share), LEAST_MM)
    if size > LARGEST_MM:
        raise MotionError(f"{planned.name}: no margin up to {LARGEST_MM:g} mm is enough for this share of the patients")
    margin = Margin.uniform(size)
    ptv = expand(planned.base, margin)
    ends = [max(quantile(needed, end), 0.0) for end in (around.low, around.high)]
    half = _by_recording(room, planned)
    ends = [max(size - np.hypot(size - ends[0], half), 0.0), size + float(np.hypot(ends[1] - size, half))]
    left = residual_errors(course, patients=RESIDUAL_PATIENTS, seed=room.seed)[-1]
    duty = duty_of(course, room.seed)
    return Strategy(
        name=planned.name,
        margin=margin,
        margin_mm=Estimate(size, min(ends[0], size), max(ends[1], size)),
        ptv_cc=_volume(planned.base, ptv, size, ends),
        organ_cc=None if room.organ is None else taken_cc(ptv, room.target, room.organ),
        systematic_mm=left.systematic_mm,
        random_mm=left.random_mm,
        duty=duty,
        minutes=room.minutes / duty,
        reached=_reached(room, planned, others, field, ptv, size),
        fixed_reached=_with_fixed(room, planned, people, field),
        ptv=ptv,
        assumed=planned.assumed,
    )


def _by_recording(room: _Room, planned: Planned) -> float:
    """Half the interval of the margin by the length of the one recording that there is, mm; 0 for waves."""

    def size_of(course: Course) -> float:
        people = room.drawn(course, BLOCK, room.seed)
        field = field_of(planned.base, room_of(planned.base, (people,)), room.judge.deep_mm)
        return quantile(needs_of(room.judge, field, people, (room.share, room.share)).middle, room.share)

    return bootstrap_half_width(planned.course, size_of, room.seed)


def _volume(base: Region, ptv: Region, size: float, ends: Sequence[float]) -> Estimate:
    """The PTV's volume, and what it would be at the ends of the margin's interval."""
    coarse = coarse_of(base)
    sizes = (ends[0], size, min(ends[1], LARGEST_MM))
    low, middle, high = (expand(coarse, Margin.uniform(mm)).volume_cc for mm in sizes)
    whole_cc = ptv.volume_cc
    return Estimate(whole_cc, whole_cc + min(low - middle, 0.0), whole_cc + max(high - middle, 0.0))


def _reached(room: _Room, planned: Planned, others: Population, field: Field, ptv: Region, size: float) -> Estimate:
    """Share of fresh patients who meet the criterion in a PTV."""
    if room.judge.criterion.metric.entry.source != "coverage":
        return reached_by(room.judge, others, field, size)
    draw = fresh_seed(room.seed), samples_of(planned.course, None)
    result = simulate_coverage(room.target, ptv, planned.course, patients=room.patients, seed=draw[0], samples=draw[1])
    return share(int(room.judge.criterion.met(result).sum()), room.patients)


def _with_fixed(room: _Room, planned: Planned, people: Population, field: Field) -> Estimate:
    """Share of the patients who meet the criterion with the fixed margin."""
    sides = set(room.fixed.letters.values())
    if len(sides) == 1:
        return reached_by(room.judge, people, field, sides.pop())
    ptv = expand(planned.base, room.fixed)
    return reached_by(room.judge, people, field_of(ptv, room_of(ptv, (people,)), room.judge.deep_mm), 0.0)
