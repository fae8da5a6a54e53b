"""A study checked without running it: its files, its swept values, and how long it will take."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from ptvkit.errors import FileError, PtvkitError
from ptvkit.io.naming import StructureRef
from ptvkit.io.requests import InputFiles
from ptvkit.kernels.jit import thread_count
from ptvkit.motion.course import BLOCK, samples_of
from ptvkit.request.cases import Case
from ptvkit.request.named_files import map_files
from ptvkit.request.request import Request
from ptvkit.request.schema import Names, RangeTable
from ptvkit.request.sweep import Cell, low_and_high
from ptvkit.values import whole
from ptvkit.work.study import Plan
from ptvkit.work.study_tasks import request_of, run_task, target_key
from ptvkit.work.values import course_of, refuse_exact
from ptvkit.work.workspace import CaseValues

MOST_PATIENTS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCheck:
    """What a study comes to.

    Attributes
    ----------
    cases, cells, targets : int
        How many; targets of each case, which cells share.
    seconds : float
        How long it will take here, from a few cells of the first case with few patients.
    """

    cases: int
    cells: int
    targets: int
    seconds: float


def check_plan(plan: Plan) -> PlanCheck:
    """Refuse a study that could not run, and measure on a few cells how long it will take.

    Every file and structure of every case must be there, and a course must come of every swept value. The first case is
    read and simulated with few patients; of the others, files are not read.

    Raises
    ------
    PtvkitError
        Naming the case, or the key and its value.
    """
    for case in plan.cases:
        _check_files(request_of(plan.request, case, {}), case.name)
    for values in _swept(plan):
        try:
            _check_values(request_of(plan.request, plan.cases[0], values))
        except PtvkitError as error:
            shown = ", ".join(f"{key} = {value!r}" for key, value in values.items())
            raise type(error)(f"{shown}: {error}" if shown else str(error)) from None
    targets = len({target_key(cell) for cell in plan.cells})
    return PlanCheck(
        cases=len(plan.cases), cells=len(plan.cells), targets=targets, seconds=_seconds(plan, len(plan.cases), targets)
    )


def _check_files(request: Request, case: str) -> None:
    def check(text: str, mark: Names) -> str:
        try:
            if mark.kind == "structure":
                StructureRef.parse(text).check()
            elif mark.kind == "file" and not Path(text).exists():
                raise FileError(f"{text}: no such file; check the path")
        except PtvkitError as error:
            raise type(error)(f"case {case}: {error}") from None
        return text

    map_files(request.content, check)


def _check_values(request: Request) -> None:
    ask, course = request.tables.simulation, course_of(request)
    whole("patients", ask.patients, least=1, most=MOST_PATIENTS)
    samples_of(course, ask.samples)
    refuse_exact(request)
    _check_files(request, "of this value")


def _swept(plan: Plan) -> list[dict[str, Any]]:
    """Nothing, then each swept value once, all else at its base."""
    sweep = plan.request.tables.sweep
    each: list[dict[str, Any]] = [{}]
    for key, values in ({} if sweep is None else sweep.parameters).items():
        each += [{key: value} for value in (low_and_high(values) if isinstance(values, RangeTable) else values)]
    return each


def _seconds(plan: Plan, cases: int, targets: int) -> float:
    """Time of all from that of one task: making its targets ready, and its blocks of patients, several at a time."""
    task, ask, threads = plan.tasks[0], plan.request.tables.simulation, thread_count()
    own_targets = len({target_key(cell) for cell in task.cells})

    def timed(rounds: int, kept: CaseValues, cells: tuple[Cell, ...] = task.cells) -> float:
        few = {"simulation.patients": rounds * threads * BLOCK, "simulation.precision": None}
        part = replace(task, case=_without(task.case, few), cells=cells)
        begin = perf_counter()
        run_task(plan.request.with_values(few), part, kept, InputFiles())
        return perf_counter() - begin

    timed(1, CaseValues(), task.cells[:1])  # loads what is compiled
    kept = CaseValues()
    first, one, three = timed(1, kept), timed(1, kept), timed(3, kept)
    each_round = max(three - one, 0.0) / 2
    rounds = math.ceil(ask.patients / (threads * BLOCK))
    simulated = (max(one - each_round, 0.0) + each_round * rounds) * len(plan.cells) / len(task.cells)
    return cases * (simulated + max(first - one, 0.0) * targets / own_targets)


def _without(case: Case, values: dict[str, Any]) -> Case:
    return replace(case, values={key: value for key, value in case.values.items() if key not in values})
