"""The smallest margin of a case, as a request asks for it."""

import warnings
from typing import Any, Final

from ptvkit.analysis.solution import Solution
from ptvkit.analysis.solve import solve_margin
from ptvkit.errors import FileError, PtvkitWarning
from ptvkit.io.naming import StructureRef
from ptvkit.motion.coverage import Structure
from ptvkit.motion.simulate import Progress
from ptvkit.request.request import Consumer, Request
from ptvkit.request.schema import DoseTable
from ptvkit.work.reading import read_by
from ptvkit.work.structures import gtv_of, judged_ctv, targets_of
from ptvkit.work.targets import named_files
from ptvkit.work.values import course_of, require_motion
from ptvkit.work.workspace import Workspace

PATIENTS: Final = 2000
"""Where the request does not say how many: a margin for 90 % of the patients rests on the worst tenth of them."""
TO_CTV: Final = ("ctv", "motion", "limit", "avoid", "clearance_mm", "lesion", "lesions")
"""Keys of ``[targets]`` from which a CTV is made."""
SOLVE: Final = Consumer(
    name="solve",
    reads=(
        *(
            "cases.gtv",
            "cases.ctv",
            "cases.label",
            "targets.organ",
            "errors",
            "guidance",
            "breathing",
            "management",
            "intrafraction",
            "criteria",
        ),
        *("dose.penumbra_mm", "dose.edge_level", "dose.prescribed_to"),
        *(f"simulation.{key}" for key in ("fractions", "fraction_s", "patients", "samples", "seed")),
    ),
)
PASSED_OVER: Final = (
    *(f"cases.{key}" for key in ("ptv", "image", "masks", "manifest")),
    *(f"targets.{key}" for key in ("ptv", "breathing", "breathing_shape", "eval_limit", "eval_depth_mm", "eval_avoid")),
    *("targets.grid", "targets.pad", "targets.allow_cut", "dose.prescription_gy", "simulation.precision"),
)


def run_solve(request: Request, *, progress: Progress | None = None) -> tuple[Solution, tuple[str, ...]]:
    """Find the smallest margin that ``[criteria]`` ask for, with everything else that the request says.

    The CTV is ``cases.ctv``, or made from ``cases.gtv`` with ``targets.ctv`` and its limits.

    Parameters
    ----------
    request : Request
    progress : callable, optional
        Called with (margins tried, margins expected).

    Returns
    -------
    Solution
    tuple of str
        Remarks on what is not read.

    Raises
    ------
    PtvkitError
        When a key cannot be used, a file cannot be read or changes meanwhile, or no margin is enough.

    Examples
    --------
    >>> ask = Request.load(
    ...     {
    ...         "cases": {"ctv": "phantom:lesion_3"},
    ...         "errors": [{"systematic_mm": 2}],
    ...         "criteria": {"criterion": "contained"},
    ...         "simulation": {"patients": 1000},
    ...     }
    ... )
    >>> solution, _ = run_solve(ask)
    >>> 4.5 < solution.margin.superior < 5.5
    True
    """
    cases, to_ctv = request.tables.cases, tuple(f"targets.{key}" for key in TO_CTV)
    if (cases.ctv is None) == (cases.gtv is None):
        raise FileError("cases: give ctv, or gtv and targets.ctv, the margin from which the CTV is made")
    is_ready = cases.ctv is not None
    consumer = Consumer(name=SOLVE.name, reads=SOLVE.reads if is_ready else (*SOLVE.reads, *to_ctv))
    notes = read_by(request, consumer, (*PASSED_OVER, *(to_ctv if is_ready else ())))
    inputs = named_files(request)
    course = course_of(request)
    require_motion(course)
    with Workspace().collected_warnings() as warned:
        solution = solve_margin(_ctv(request), course, organ=_organ(request), progress=progress, **_asked(request))
        inputs.check_unchanged()
    for text in warned:
        warnings.warn(text, PtvkitWarning, stacklevel=2)
    return solution, notes


def _asked(request: Request) -> dict[str, Any]:
    """Arguments of `solve_margin` that stand in the request."""
    tables = request.tables
    ask, dose = tables.simulation, tables.dose or DoseTable()
    return {
        **tables.criteria.model_dump(),
        "patients": ask.patients if "patients" in ask.model_fields_set else PATIENTS,
        "seed": ask.seed,
        "samples": ask.samples,
        "penumbra_mm": dose.penumbra_mm,
        "edge_level": dose.edge_level,
        **({"prescribed_to": dose.prescribed_to} if "prescribed_to" in dose.model_fields_set else {}),
    }


def _ctv(request: Request) -> Structure:
    if request.tables.cases.ctv is not None:
        return StructureRef.parse(request.tables.cases.ctv).read()
    own = request.for_case("case", {})
    without_ptv = {f"targets.{key}": None for key in ("ptv", "breathing", "eval_limit", "eval_depth_mm", "eval_avoid")}
    own = own.with_values(without_ptv)
    gtv = gtv_of(own)
    return judged_ctv(own, gtv, targets_of(own, gtv))


def _organ(request: Request) -> Structure | None:
    table = request.tables.targets
    return None if table is None or table.organ is None else StructureRef.parse(table.organ).read()
