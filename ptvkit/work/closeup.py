"""A closer look at one cell of a study: the population behind its figures, and what each error costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ptvkit.analysis.cost_split import coverage_split
from ptvkit.dose.result import DoseResult
from ptvkit.motion.cost import Cost
from ptvkit.motion.coverage import filled, prepare
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.simulate import simulate_coverage
from ptvkit.request.cases import Case
from ptvkit.request.sweep import Cell
from ptvkit.work.structures import ctv_and_ptv
from ptvkit.work.study import Plan
from ptvkit.work.study_tasks import dosed, plain, request_of, seed_of
from ptvkit.work.values import course_of

MOST_PATIENTS: Final = 1000
SPLIT_PATIENTS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closeup:
    """One case in one cell.

    Attributes
    ----------
    case : str
    result : CoverageResult
    costs : tuple of Cost
        What each source of displacement costs.
    dosed : DoseResult or None
        Where the study has a dose.
    """

    case: str
    result: CoverageResult
    costs: tuple[Cost, ...]
    dosed: DoseResult | None


def cell_with(plan: Plan, values: Sequence[Any]) -> Cell:
    """The cell whose swept values a line of the table shows."""
    wanted = [_as_shown(value) for value in values]
    return next(cell for cell in plan.cells if [_as_shown(plain(v)) for v in cell.values.values()] == wanted)


def _as_shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return str(value)


def closeup_of(plan: Plan, case: Case, cell: Cell) -> Closeup:
    """Simulate a cell of a case once more, on the same patients, and keep what the table leaves out.

    Raises
    ------
    PtvkitError
        As in the study itself.
    """
    request = request_of(plan.request, case, cell.values)
    course, seed, ask = course_of(request), seed_of(request, case), request.tables.simulation
    ctv, ptv, _ = ctv_and_ptv(request)
    ctv = filled(ctv)
    ready = prepare(ctv, ptv, course, seed=seed)
    patients = min(ask.patients, MOST_PATIENTS)
    return Closeup(
        case=case.name,
        result=simulate_coverage(ctv, ptv, course, patients=patients, seed=seed, samples=ask.samples, prepared=ready),
        costs=coverage_split(
            ctv,
            ptv,
            course,
            patients=min(patients, SPLIT_PATIENTS),
            seed=seed,
            samples=ask.samples,
            prepared=ready,
        ),
        dosed=dosed(request, ctv, ptv, course, seed, patients)[0],
    )
