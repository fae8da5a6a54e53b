"""Doses of several parts, accumulated in structures that move together: group by group, table by table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.blur import Blur, blur_of
from ptvkit.dose.dose import Dose, Quantity
from ptvkit.dose.fractions import (
    Fractions,
    Tables,
    add_chunk,
    chunks,
    fractions_of,
    tables_of,
    within_reach,
)
from ptvkit.dose.metrics import DoseMetrics, check_covered
from ptvkit.dose.result import DoseResult, figures_of, kept_metrics
from ptvkit.dose.simulate import HEADROOM, LEVELS, ROOM, turned_mean, warn_of_edge
from ptvkit.dose.target import Target
from ptvkit.motion.course import BLOCK, Course, blocks, draw_block
from ptvkit.motion.coverage import shift_range
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.simulate import Progress, in_threads

Floats = NDArray[np.float64]
Single = NDArray[np.float32]

GROUP: Final = 8 * BLOCK
"""Patients whose doses are held at a time."""
FAINT: Final = 1e-3
"""Of the maximum: a dose that has fallen below this on all faces of its grid is that of the faces beyond them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """How a part's displacements are drawn.

    Attributes
    ----------
    course : Course
    seed : int
    samples : int
        Times within each fraction.
    shared : mapping of str to (int, int)
        Errors whose systematic part is that of another part: its seed, and the error's place there.
    """

    course: Course
    seed: int
    samples: int
    shared: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Accumulation:
    """What is given, and to how many patients.

    Attributes
    ----------
    parts : tuple of (Dose, callable)
        The callable gives points (N, 3) of the structures in the part's frame.
    drawings : tuple of Drawing
        One for each part.
    patients, threads : int
    """

    parts: tuple[tuple[Dose, Callable[[Floats], Floats]], ...]
    drawings: tuple[Drawing, ...]
    patients: int
    threads: int


class _Exposure(NamedTuple):
    """A target in a part's dose: its points there, which of them see a varying dose, and the doses without motion."""

    points: Floats
    varying: NDArray[np.int64]
    still_gy: Single
    peak_gy: float


class _Given(NamedTuple):
    """A part, ready: its tables, and the box of displacements, mm."""

    dose: Dose
    drawing: Drawing
    centre_mm: Floats
    tables: Tables
    low_mm: Floats
    high_mm: Floats


class _Moved(NamedTuple):
    """A part's displacements of a group of patients, as tables need them; with rotations only as they were drawn."""

    fractions: list[Fractions]
    drawn: list[Drawn]


class _Patient(NamedTuple):
    """One patient's figures and histogram in one target and quantity."""

    figures: dict[str, float]
    dvh: Single


def accumulated_groups(
    accumulation: Accumulation, targets: Sequence[Target], progress: Progress | None = None
) -> list[DoseResult]:
    """What each target gets over all patients; the first one's centroid is what patients turn about.

    Raises
    ------
    DoseError
        When a dose does not cover a target.
    """
    centre, pairs = targets[0].centre_mm, list(zip(accumulation.parts, accumulation.drawings, strict=True))
    boxes = [shift_range([drawing.course], drawing.seed, located(centre)) for (_, located), drawing in pairs]
    exposed = [
        [_exposure(target, dose, located, box) for (dose, located), box in zip(accumulation.parts, boxes, strict=True)]
        for target in targets
    ]
    given = []
    for number, (((dose, located), drawing), box) in enumerate(zip(pairs, boxes, strict=True)):
        moving = np.concatenate([one[number].points[one[number].varying] for one in exposed])
        points = moving if len(moving) else exposed[0][number].points
        given.append(_Given(dose, drawing, located(centre), tables_of(dose, points, *box), *box))
    planned = [_planned(target, given, own) for target, own in zip(targets, exposed, strict=True)]
    found: list[list[list[list[_Patient]]]] = [[] for _ in targets]
    tasks = list(blocks(accumulation.patients))
    steps = [tasks[first : first + GROUP // BLOCK] for first in range(0, len(tasks), GROUP // BLOCK)]
    per_fraction = any(target.alpha_beta_gy is not None for target in targets)
    for step, group in enumerate(steps):
        moved = [_moved(one, group, per_fraction, accumulation.threads) for one in given]
        for number, target in enumerate(targets):
            found[number] += _of_group(target, given, exposed[number], moved, planned[number], accumulation.threads)
            if progress is not None:
                progress(step * len(targets) + number + 1, len(steps) * len(targets))
    return [_result(*each) for each in zip(targets, planned, found, strict=True)]


def _exposure(target: Target, dose: Dose, located: Callable[[Floats], Floats], box: tuple[Floats, Floats]) -> _Exposure:
    """Where a target lies in a part's dose; refused where the dose is not known."""
    points = located(target.points)
    still = dose.mean_over(points, np.zeros((1, 3))).astype(np.float32)
    if _face_gy(dose) > FAINT * float(dose.values.max()):
        for lesion in target.lesions:
            inner, surface = (dose.sample(located(one)) for one in (lesion.inner, lesion.surface))
            check_covered(dose, target.name, lesion, inner, surface)
        warn_of_edge(dose, points.min(axis=0) + box[0], points.max(axis=0) + box[1])
    varies, peak = within_reach(dose, points, np.maximum(np.abs(box[0]), np.abs(box[1])))
    return _Exposure(points, np.flatnonzero(varies), still, max(peak, float(still.max())))


def _face_gy(dose: Dose) -> float:
    """The most on the outer faces of a dose's grid."""
    return max(float(np.take(dose.values, end, axis=axis).max()) for axis in range(3) for end in (0, -1))


def _moved(given: _Given, group: Sequence[tuple[int, int]], per_fraction: bool, threads: int) -> _Moved:
    """A group's displacements and their weights; without biological weighting a course is one fraction."""
    how, course = given.drawing, given.drawing.course

    def one(task: tuple[int, int]) -> tuple[list[Fractions], Drawn]:
        drawn = draw_block(course, *task, how.seed, how.samples, given.centre_mm, shared=how.shared)
        if course.turns:
            return [], drawn
        shifts = drawn.shifts_mm if per_fraction else drawn.shifts_mm.reshape(len(drawn.shifts_mm), 1, -1, 3)
        return [fractions_of(given.tables, own, own.shape[0]) for own in shifts], drawn

    found = list(in_threads(one, group, threads))
    patients = [drawn.of_patient(number) for _, drawn in found for number in range(len(drawn.shifts_mm))]
    return _Moved([own for fractions, _ in found for own in fractions], patients)


def _of_group(
    target: Target,
    given: Sequence[_Given],
    exposed: Sequence[_Exposure],
    moved: Sequence[_Moved],
    planned: "_Planned",
    threads: int,
) -> list[list[list[_Patient]]]:
    """Each patient's figures, by quantity and lesion."""
    shape = len(moved[0].drawn), len(target.points)
    total, weighted = (
        np.zeros(shape, np.float32),
        np.zeros(shape if target.alpha_beta_gy else (shape[0], 0), np.float32),
    )
    for part, where, own in zip(given, exposed, moved, strict=True):
        _add_part(target, part, where, own, total, weighted, threads)

    def one(number: int) -> list[list[_Patient]]:
        doses = [total[number]] if target.alpha_beta_gy is None else [total[number], weighted[number] * target.scale]
        return [
            [_patient(target, found, quantity, levels) for found in target.figures(gy, quantity)]
            for gy, quantity, levels in zip(doses, _quantities(target), planned.levels_gy, strict=True)
        ]

    return list(in_threads(one, range(shape[0]), threads))


def _quantities(target: Target) -> tuple[Quantity, ...]:
    return ("physical",) if target.alpha_beta_gy is None else ("physical", target.quantity)


def _patient(target: Target, found: DoseMetrics, quantity: Quantity, levels_gy: Floats) -> _Patient:
    figures = figures_of(found, kept_metrics(quantity, target.metrics))
    return _Patient(figures, found.volumes_at(levels_gy).astype(np.float32))


def _add_part(
    target: Target,
    given: _Given,
    exposed: _Exposure,
    moved: _Moved,
    total: Single,
    weighted: Single,
    threads: int,
) -> None:
    """Add what a group of patients gets of one part, (patients, N), in place."""
    fractions, ratio = given.drawing.course.fractions, target.alpha_beta_gy or 0.0
    if given.drawing.course.turns:
        _add_directly(target, given, exposed, moved, total, weighted, threads)
        return
    constant = np.ones(len(target.points), bool)
    constant[exposed.varying] = False
    total[:, constant] += exposed.still_gy[constant]
    if ratio:
        weighted[:, constant] += _eqd2(exposed.still_gy[constant], fractions, ratio)

    def one(where: NDArray[np.int64]) -> None:
        add_chunk(given.tables.table(exposed.points[where]), moved.fractions, where, total, weighted, ratio)

    list(in_threads(one, chunks(exposed.varying, given.tables.points), threads))
    if any(own.beyond for own in moved.fractions):
        _add_directly(target, given, exposed, moved, total, weighted, threads)


def _eqd2(gy: Single, fractions: int, alpha_beta_gy: float) -> Single:
    """EQD2 of a dose in equal fractions."""
    found = gy * (gy / np.float32(fractions) + np.float32(alpha_beta_gy)) / np.float32(2 + alpha_beta_gy)
    return np.asarray(found, np.float32)


def _add_directly(
    target: Target,
    given: _Given,
    exposed: _Exposure,
    moved: _Moved,
    total: Single,
    weighted: Single,
    threads: int,
) -> None:
    """Add the doses of fractions that tables do not hold: with rotations, or displaced beyond the lattice."""
    turns, course = given.drawing.course.turns, given.drawing.course
    where = np.arange(len(exposed.points)) if turns else exposed.varying
    points = exposed.points[where]
    room = float(np.linalg.norm(points - given.centre_mm, axis=1).max()) if turns else 0.0
    angle = ROOM * max(map(_angle, moved.drawn)) if turns else 0.0
    blur = blur_of(
        given.dose, points.min(axis=0) - angle * room, points.max(axis=0) + angle * room, given.low_mm, given.high_mm
    )

    def one(number: int) -> None:
        drawn = moved.drawn[number]
        for gy in _direct_doses(blur, points, given.centre_mm, drawn, None if turns else moved.fractions[number]):
            each = (gy / course.fractions).astype(np.float32)
            total[number, where] += each
            if target.alpha_beta_gy:
                weighted[number, where] += each * (each + target.alpha_beta_gy) / (2 + target.alpha_beta_gy)

    list(in_threads(one, range(len(moved.drawn)), threads))


def _angle(drawn: Drawn) -> float:
    """Largest rotation of a patient, rad, at most."""
    turns = [one for one in (drawn.rotations_rad, drawn.extreme_turns_rad) if one is not None]
    return sum(float(np.linalg.norm(one, axis=-1).max()) for one in turns)


def _direct_doses(blur: Blur, points: Floats, centre_mm: Floats, drawn: Drawn, held: Fractions | None) -> list[Floats]:
    """Dose of the course (N,), as if all its fractions went like one, for each that is not in `held`."""
    shifts = drawn.shifts_mm[0]
    if drawn.sample_turns is not None:
        away, each = points - centre_mm, zip(drawn.sample_turns[0], shifts, strict=True)
        return [turned_mean(blur, away, centre_mm, turn, one) for turn, one in each]
    if held is None:
        return [blur.mean(points, one) for one in shifts]
    beyond = held.beyond
    if len(held.start) - 1 + len(beyond) == 1 != len(shifts):  # the course is one fraction
        return [blur.mean(points, one) for one in shifts] if beyond else []
    return [blur.mean(points, shifts[number]) for number in beyond]


class _Planned(NamedTuple):
    """A target's doses without motion, and the doses at which histograms are kept, by quantity."""

    metrics: list[tuple[DoseMetrics, ...]]
    levels_gy: list[Floats]


def _planned(target: Target, given: Sequence[_Given], exposed: Sequence[_Exposure]) -> _Planned:
    sums = [sum((own.still_gy.astype(float) for own in exposed), np.zeros(len(target.points)))]
    most = [sum(own.peak_gy for own in exposed)]
    if (ratio := target.alpha_beta_gy) is not None:
        weigh = [partial(_eqd2, fractions=one.drawing.course.fractions, alpha_beta_gy=ratio) for one in given]
        each = [one(own.still_gy).astype(float) for one, own in zip(weigh, exposed, strict=True)]
        peaks = [float(one(np.array([own.peak_gy], np.float32))[0]) for one, own in zip(weigh, exposed, strict=True)]
        sums.append(target.scale * sum(each, np.zeros(len(target.points))))
        most.append(target.scale * sum(peaks))
    quantities = _quantities(target)
    return _Planned(
        [target.figures(gy, quantity) for gy, quantity in zip(sums, quantities, strict=True)],
        [np.linspace(0.0, HEADROOM * max(gy, 1e-6), LEVELS) for gy in most],
    )


def _result(target: Target, planned: _Planned, found: Sequence[list[list[_Patient]]]) -> DoseResult:
    """The result in the target's quantity, with the absorbed dose beside it where that is another."""
    results = []
    for place, quantity in enumerate(_quantities(target)):
        each = [
            _of_lesion(one, quantity, planned.levels_gy[place], target.metrics, [own[place][lesion] for own in found])
            for lesion, one in enumerate(planned.metrics[place])
        ]
        results.append(replace(each[0], lesions=tuple(each[1:]) or (each[0],)))
    return results[0] if len(results) == 1 else replace(results[1], physical=results[0])


def _of_lesion(
    planned: DoseMetrics, quantity: Quantity, levels_gy: Floats, metrics: tuple[str, ...], found: Sequence[_Patient]
) -> DoseResult:
    figures = figures_of(planned, kept_metrics(quantity, metrics))
    return DoseResult(
        name=planned.name,
        volume_cc=planned.volume_cc,
        prescription_gy=planned.prescription_gy,
        metrics={key: np.array([patient.figures[key] for patient in found]) for key in figures},
        planned=figures,
        levels_gy=levels_gy,
        dvh=np.stack([patient.dvh for patient in found]),
        planned_dvh=planned.volumes_at(levels_gy),
        quantity=quantity,
    )
