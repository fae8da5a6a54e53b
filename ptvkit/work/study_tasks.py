"""One piece of a study's work: a case and the cells that share a course."""

import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from ptvkit.dose.criteria import TABLED
from ptvkit.dose.result import DoseResult
from ptvkit.dose.simulate import simulate_dose
from ptvkit.geometry.centroid import centroid
from ptvkit.io.requests import InputFiles
from ptvkit.kernels.jit import thread_count
from ptvkit.motion.course import BLOCK, Course, blocks, draw_block, samples_of
from ptvkit.motion.coverage import Prepared, Structure, filled, prepare, shift_range
from ptvkit.motion.estimate import Estimate
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.simulate import FractionFigures, by_fraction, check_size, in_threads, result_of
from ptvkit.request.cases import Case
from ptvkit.request.request import Request
from ptvkit.request.schema import DISPLACING
from ptvkit.request.sweep import Cell
from ptvkit.values import number, whole
from ptvkit.work.journal import Record
from ptvkit.work.structures import Reader, ctv_and_ptv, read_named
from ptvkit.work.treatment import columns_of, treatment_of
from ptvkit.work.values import course_of, dose_of, refuse_exact
from ptvkit.work.workspace import CaseValues, Workspace

Row = dict[str, Any]

TOGETHER: Final = 5
"""Targets of one task: the displacements of a course are drawn once for them."""
MOST_COURSES: Final = 64
"""Courses that tables are prepared for; what reaches beyond is computed, as exactly but slower."""
MOTION: Final = "targets.motion"
SHAPING: Final = ("cases", "targets")
"""Tables that say what the targets are; all others say what displaces them, or with what dose."""
COMPUTED: Final = (*SHAPING, *DISPLACING, "dose", "parts", "treatment", "limits", "simulation")
"""Tables that figures depend on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A case with the cells that share a course, of a few targets.

    Attributes
    ----------
    number : int
    case : Case
    cells : tuple of Cell
    courses : tuple of mapping
        Swept values of the study's courses, or of some that reach as far: tables are prepared for all of them, so that
        a figure does not depend on which others were worked out before it.
    part : int
        Which piece of the case's work.
    group : int
        Tasks of one group share their targets: a worker that did one has them ready.
    """

    number: int
    case: Case
    cells: tuple[Cell, ...]
    courses: tuple[Mapping[str, Any], ...]
    part: int = 0
    group: int = 0


def tasks_of(cases: Sequence[Case], cells: Sequence[Cell]) -> list[Task]:
    """Tasks of a study: for each case and a few targets, their cells by course."""
    shapes: dict[str, int] = {}
    groups: dict[tuple[int, str], list[Cell]] = {}
    courses: dict[str, dict[str, Any]] = {}
    for cell in cells:
        shape = shapes.setdefault(target_key(cell), len(shapes))
        course = _as_text(_of_course(cell.values))
        courses.setdefault(course, _of_course(cell.values))
        groups.setdefault((shape // TOGETHER, course), []).append(cell)
    chunks, representative = 1 + max(chunk for chunk, _ in groups), tuple(_representative(list(courses.values())))
    ordered = sorted(groups.items(), key=lambda entry: (entry[0][0], entry[1][0].number))
    return [
        Task(
            number=number_ * len(ordered) + n,
            case=case,
            cells=tuple(group),
            courses=representative,
            part=n,
            group=number_ * chunks + chunk,
        )
        for number_, case in enumerate(cases)
        for n, ((chunk, _), group) in enumerate(ordered)
    ]


def _representative(courses: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All courses, or of many those with the least and the most of each number, and some between."""
    if len(courses) <= MOST_COURSES:
        return list(courses)
    chosen = set(range(0, len(courses), math.ceil(2 * len(courses) / MOST_COURSES)))
    for key in courses[0]:
        numbers = [n for n, course in enumerate(courses) if isinstance(course[key], int | float)]
        chosen |= {pick(numbers, key=lambda n: courses[n][key]) for pick in (min, max) if numbers}
    return [courses[n] for n in sorted(chosen)]


def target_key(cell: Cell) -> str:
    """What tells the cells' targets apart."""
    return _as_text(_of_targets(cell.values))


def _as_text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _of_course(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that a course depends on; breathing from phases is planned where ``targets.motion`` says."""
    return {key: value for key, value in values.items() if key.split(".")[0] not in SHAPING or key == MOTION}


def _of_targets(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key.split(".")[0] in SHAPING}


def request_of(request: Request, case: Case, values: Mapping[str, Any]) -> Request:
    """The request of a case in a cell."""
    return request.for_case(case.name, {**case.values, **values})


def seed_of(study: Request, case: Case) -> int:
    """Random streams come from the study's seed and the case, never from the cell."""
    return int(
        np.random.SeedSequence([study.tables.simulation.seed, zlib.crc32(case.name.encode())]).generate_state(1)[0]
    )


class Ready(NamedTuple):
    """Targets of a cell, ready to be displaced."""

    ctv: Structure
    ptv: Structure
    prepared: Prepared
    volumes: Mapping[str, float]


def carry_out_task(request: Request, task: Task, workspace: Workspace) -> Record:
    """A task's rows with what orders them, and what they were computed from.

    Raises
    ------
    PtvkitError
        When the case, or a cell's value, cannot be used, or an input has changed meanwhile.
    """
    inputs = InputFiles()
    known = identities(request, task, inputs)
    kept = workspace.of_case(f"{task.case.name} {known['inputs']} {_as_text({'courses': task.courses})}")
    rows = run_task(request, task, kept, inputs)
    inputs.check_unchanged()
    return {**known, "rows": [{"case": task.case.name, "cell": cell, "row": row} for cell, row in rows]}


def identities(request: Request, task: Task, inputs: InputFiles) -> dict[str, str]:
    """What a task's figures depend on: the case's request with its files, and those of its cells; files are hashed."""
    each = [
        _identity(request_of(request, task.case, values), inputs) for values in ({}, *(c.values for c in task.cells))
    ]
    return {"inputs": each[0], "identity": hashlib.sha256(" ".join(each[1:]).encode()).hexdigest()}


def _identity(request: Request, inputs: InputFiles, tables: Sequence[str] = COMPUTED) -> str:
    """The image is for pictures alone."""
    without_image = request.with_values({"cases.image": None})
    return without_image.identity(*tables, hash_of=inputs.sha256)


def run_task(request: Request, task: Task, kept: CaseValues, inputs: InputFiles) -> list[tuple[int, Row]]:
    """Rows of a task with the number of their cell: for each, all lesions together and each.

    Raises
    ------
    PtvkitError
        When the case, or a cell's value, cannot be used.
    """
    requests = [request_of(request, task.case, cell.values) for cell in task.cells]
    read = partial(_read_once, kept)
    first = requests[0]
    seed, course = seed_of(first, task.case), course_of(first)
    made = partial(_ready, request, task, seed, kept)
    ready = [kept.get(_identity(own, inputs, SHAPING), partial(made, own)) for own in requests]
    results = _simulated([one.prepared for one in ready], course, first, seed)
    rows: list[tuple[int, Row]] = []
    for cell, own, one, result in zip(task.cells, requests, ready, results, strict=True):
        dose, limits = dosed(own, one.ctv, one.ptv, course, seed, result.patients, read)
        rows += [(cell.number, row | limits) for row in _rows(task.case, cell, one.volumes, result, dose)]
    return rows


def _simulated(ready: Sequence[Prepared], course: Course, request: Request, seed: int) -> list[CoverageResult]:
    """Results of targets that share a course, on the same patients; each stops when it is precise enough."""
    ask = request.tables.simulation
    refuse_exact(request)
    times, count, done = samples_of(course, ask.samples), whole("patients", ask.patients, least=1, most=10**9), 0
    width = 1.0 if ask.precision is None else number("precision", ask.precision, least=0.001, most=1.0)
    figures: list[list[list[FractionFigures]]] = [[] for _ in ready]
    results: dict[int, CoverageResult] = {}
    while len(results) < len(ready):
        check_size(count, course.fractions, times, 1, f"precision {width:g}" if done else "")
        active = [place for place in range(len(ready)) if place not in results]
        one = partial(_block, [ready[place] for place in active], course, seed, times)
        for block in in_threads(one, list(blocks(count, done)), thread_count()):
            for place, each in zip(active, block, strict=True):
                figures[place].append(each)
        for place in active:
            result = result_of(ready[place], figures[place], times, seed)
            if ask.precision is None or result.contained().width <= width:
                results[place] = result
            figures[place] = figures[place][: count // BLOCK]  # only whole blocks can be gone on from
        done, count = count // BLOCK * BLOCK, 2 * count
    return [results[place] for place in range(len(ready))]


def _block(
    ready: Sequence[Prepared], course: Course, seed: int, times: int, block: tuple[int, int]
) -> list[list[FractionFigures]]:
    """Figures of a block of patients for each target; rotations displace targets by where their centres are."""
    centres = [tuple((one if course.turns else ready[0]).centre_mm.tolist()) for one in ready]
    drawn = {centre: draw_block(course, *block, seed, times, np.array(centre)) for centre in dict.fromkeys(centres)}
    return [by_fraction(one, drawn[centre]) for one, centre in zip(ready, centres, strict=True)]


def _ready(study: Request, task: Task, seed: int, kept: CaseValues, own: Request) -> Ready:
    """Targets of a cell, prepared for all courses of the study."""
    ctv, ptv, volumes = ctv_and_ptv(own, partial(_read_once, kept))
    ctv = filled(ctv)
    courses = kept.get("courses", lambda: [course_of(request_of(study, task.case, values)) for values in task.courses])
    centre = centroid(ctv)
    about = centre.tolist() if any(course.turns for course in courses) else None  # else it does not matter where
    reach = kept.get(f"reach {about}", lambda: shift_range(courses, seed, centre))
    return Ready(ctv, ptv, prepare(ctv, ptv, [], seed=seed, reach_mm=reach), volumes)


def _read_once(kept: CaseValues, name: str) -> Structure:
    return kept.get(f"structure {name}", partial(read_named, name))


def dosed(
    request: Request,
    ctv: Structure,
    ptv: Structure,
    course: Course,
    seed: int,
    patients: int,
    read: Reader = read_named,
) -> tuple[DoseResult | None, dict[str, float]]:
    """The dose that a target accumulates, where the study has one; of a treatment, in which share limits are kept."""
    if request.tables.parts:
        treatment = treatment_of(request, ctv, ptv, seed=seed, patients=patients, read=read)
        target = next(iter(treatment.results.values()))
        return target.physical or target, columns_of(treatment)
    dose = dose_of(request, ptv)
    if dose is None:
        return None, {}
    return simulate_dose(dose, ctv, course, patients=patients, seed=seed, samples=request.tables.simulation.samples), {}


def _rows(
    case: Case, cell: Cell, volumes: Mapping[str, float], result: CoverageResult, got: DoseResult | None
) -> list[Row]:
    shown = (result, *result.lesions) if len(result.lesions) > 1 else (result,)
    doses: Sequence[DoseResult | None] = [None] * len(shown)
    if got is not None:
        doses = (got, *got.lesions) if len(result.lesions) > 1 else (got,)
    rows = []
    for target, dose in zip(shown, doses, strict=True):
        row: Row = {"case": case.name, "lesion": target.name if target is not result else "all"}
        row |= {key: value if isinstance(value, str) else plain(value) for key, value in cell.values.items()}
        row |= {**volumes, "target_cc": target.volume_cc}
        row |= _spread("contained", target.contained()) | _spread("within_2mm", target.contained(2.0))
        row |= {"miss90_mm": target.miss_quantile(0.9)} | _spread("coverage_loss", target.coverage_loss)
        row |= {"time_out": float(target.time_out.mean())}
        if dose is not None:
            row |= _doses(dose)
        rows.append(row | {"patients": target.patients, "fractions": target.fractions, "seed": target.seed})
    return rows


def _doses(dose: DoseResult) -> Row:
    row: Row = {}
    for name in TABLED:
        values = dose.metric(name)
        row |= {f"{name}_p10_gy": float(np.quantile(values, 0.1)), f"{name}_median_gy": float(np.median(values))}
        if dose.prescription_gy is not None:
            row |= _spread(f"{name}_95", dose.probability(f"{name}>=0.95"))
    return row | {"mean_gy": float(dose.metric("mean").mean())}


def _spread(name: str, estimate: Estimate) -> Row:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def plain(value: Any) -> Any:
    """A swept value as a table has it."""
    return json.dumps(value) if isinstance(value, list | dict) else value
