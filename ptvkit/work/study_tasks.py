"""One piece of a study's work: a case and the cells that share a course."""

import json
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.criteria import TABLED
from ptvkit.dose.result import DoseResult
from ptvkit.dose.simulate import simulate_dose
from ptvkit.kernels.jit import thread_count
from ptvkit.motion.course import Course, blocks, draw_block, samples_of
from ptvkit.motion.coverage import Prepared, Structure, centroid, filled, prepare, shift_range
from ptvkit.motion.estimate import Estimate
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.simulate import FractionFigures, by_fraction, in_threads, result_of
from ptvkit.request.cases import Case
from ptvkit.request.request import Request
from ptvkit.request.sweep import Cell
from ptvkit.work.structures import ctv_and_ptv
from ptvkit.work.values import course_of, dose_of

Row = dict[str, Any]

TOGETHER: Final = 5
"""Targets of one task: the displacements of a course are drawn once for them."""
KEPT: Final = 2 * TOGETHER
"""Prepared targets that a worker keeps, of the case it works on."""
SHAPING: Final = ("cases", "targets")
"""Tables that say what the targets are; all others say what displaces them, or with what dose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A case with the cells that share a course, of a few targets.

    Attributes
    ----------
    number : int
    case : Case
    cells : tuple of Cell
    courses : tuple of mapping
        Swept values of every course of the study: tables are prepared for all of them, so that a figure does not depend
        on which others were worked out before it.
    group : int
        Tasks of one group share their targets: a worker that did one has them ready.
    """

    number: int
    case: Case
    cells: tuple[Cell, ...]
    courses: tuple[Mapping[str, Any], ...]
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
    chunks = 1 + max(chunk for chunk, _ in groups)
    ordered = sorted(groups.items(), key=lambda entry: (entry[0][0], entry[1][0].number))
    return [
        Task(
            number=number_ * len(ordered) + n,
            case=case,
            cells=tuple(group),
            courses=tuple(courses.values()),
            group=number_ * chunks + chunk,
        )
        for number_, case in enumerate(cases)
        for n, ((chunk, _), group) in enumerate(ordered)
    ]


def target_key(cell: Cell) -> str:
    """What tells the cells' targets apart."""
    return _as_text(_of_targets(cell.values))


def _as_text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _of_course(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key.split(".")[0] not in SHAPING}


def _of_targets(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key.split(".")[0] in SHAPING}


def request_of(request: Request, case: Case, values: Mapping[str, Any]) -> Request:
    """The request of a case in a cell."""
    return request.for_case(case.name, case.values).with_values(values)


def seed_of(study: Request, case: Case) -> int:
    """Random streams come from the study's seed and the case, never from the cell."""
    return int(
        np.random.SeedSequence([study.tables.simulation.seed, zlib.crc32(case.name.encode())]).generate_state(1)[0]
    )


@dataclass(slots=True)
class _Ready:
    """What a worker keeps of a case."""

    case: str
    targets: "OrderedDict[str, tuple[Structure, Structure, Prepared, dict[str, float]]]"
    reach: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None


_kept = _Ready("", OrderedDict())


def run_task(request: Request, task: Task) -> list[tuple[int, Row]]:
    """Rows of a task with the number of their cell: for each, all lesions together and each.

    Raises
    ------
    PtvkitError
        When the case, or a cell's value, cannot be used.
    """
    base = request.for_case(task.case.name, task.case.values)
    first = base.with_values(task.cells[0].values)
    simulation = first.tables.simulation
    seed, course = seed_of(first, task.case), course_of(first)
    ready = [_prepared(base, cell, task, seed) for cell in task.cells]
    found: list[list[list[FractionFigures]]] = [[] for _ in task.cells]
    times = samples_of(course, simulation.samples)

    def one(block: tuple[int, int]) -> list[list[FractionFigures]]:
        drawn = draw_block(course, *block, seed, times, ready[0][2].centre_mm)
        return [by_fraction(prepared, drawn) for _, _, prepared, _ in ready]

    for block in in_threads(one, list(blocks(simulation.patients)), thread_count()):
        for collected, figures in zip(found, block, strict=True):
            collected.append(figures)
    rows: list[tuple[int, Row]] = []
    for cell, (ctv, ptv, prepared, volumes), collected in zip(task.cells, ready, found, strict=True):
        own = base.with_values(cell.values)
        result = result_of(prepared, collected, times, seed)
        got = dosed(own, ctv, ptv, course, seed, own.tables.simulation.patients)
        rows += [(cell.number, row) for row in _rows(task.case, cell, volumes, result, got)]
    return rows


def _prepared(
    base: Request, cell: Cell, task: Task, seed: int
) -> tuple[Structure, Structure, Prepared, dict[str, float]]:
    """Targets of a cell, prepared for all courses of the study; kept while the case stays."""
    if _kept.case != _identity(base, task):
        _kept.case, _kept.reach = _identity(base, task), None
        _kept.targets.clear()
    key = target_key(cell)
    if key not in _kept.targets:
        ctv, ptv, volumes = ctv_and_ptv(base.with_values(cell.values))
        ctv = filled(ctv)
        if _kept.reach is None:
            courses = [course_of(base.with_values(own)) for own in task.courses]
            _kept.reach = shift_range(courses, seed, centroid(ctv))
        while len(_kept.targets) >= KEPT:
            _kept.targets.popitem(last=False)
        _kept.targets[key] = (ctv, ptv, prepare(ctv, ptv, [], seed=seed, reach_mm=_kept.reach), volumes)
    return _kept.targets[key]


def _identity(base: Request, task: Task) -> str:
    return json.dumps([task.case.name, base.content, [*task.courses]], sort_keys=True, default=str)


def dosed(
    request: Request, ctv: Structure, ptv: Structure, course: Course, seed: int, patients: int
) -> DoseResult | None:
    """The dose that a target accumulates, where the study has one."""
    dose = dose_of(request, ptv)
    if dose is None:
        return None
    return simulate_dose(dose, ctv, course, patients=patients, seed=seed, samples=request.tables.simulation.samples)


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
