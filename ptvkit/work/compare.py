"""Ways to manage the breathing of one case, side by side, as a request asks for it."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ptvkit.analysis.needed import Plan
from ptvkit.analysis.strategies import Comparison, compare_strategies
from ptvkit.analysis.strategy_courses import STRATEGIES
from ptvkit.display import drawing
from ptvkit.errors import FileError, PtvkitWarning
from ptvkit.geometry.phases import Phases
from ptvkit.io.naming import StructureRef
from ptvkit.io.provenance import Provenance
from ptvkit.io.requests import InputFiles, write_request
from ptvkit.io.strategy_files import write_strategies
from ptvkit.motion.coverage import Structure
from ptvkit.motion.management.figures import beam_minutes
from ptvkit.motion.simulate import Progress
from ptvkit.request.request import Consumer, Request
from ptvkit.request.schema import DoseTable, TargetsTable
from ptvkit.work.reading import read_by
from ptvkit.work.structures import gtv_of
from ptvkit.work.targets import named_files, output_folder
from ptvkit.work.values import course_of
from ptvkit.work.workspace import Workspace

RECORD: Final = "strategies.json"
PAGE: Final = "strategies.html"
OUTPUTS: Final = (RECORD, "strategies.csv", PAGE)
CLINIC_MM: Final = 10.0
"""Margins of the clinical protocol where the request names none."""
COMPARE: Final = Consumer(
    name="compare",
    reads=(
        *("cases.gtv", "cases.label", "targets.ctv", "targets.ptv", "targets.organ"),
        *(
            "errors",
            "guidance",
            "breathing",
            "management",
            "intrafraction",
            "criteria.criterion",
            "criteria.population",
        ),
        *("dose.penumbra_mm", "dose.edge_level", "dose.prescribed_to", "output.page"),
        *(f"simulation.{key}" for key in ("fractions", "fraction_s", "patients", "seed")),
    ),
)
PASSED_OVER: Final = (
    "targets.motion",
    *(f"cases.{key}" for key in ("ctv", "ptv", "image", "masks", "manifest")),
    *(f"targets.{key}" for key in ("breathing", "breathing_shape", "limit", "avoid", "clearance_mm", "lesion")),
    *(f"targets.{key}" for key in ("eval_limit", "eval_depth_mm", "eval_avoid", "lesions", "grid", "pad", "allow_cut")),
    *("dose.prescription_gy", "criteria.shape", "simulation.precision", "simulation.samples"),
    *(f"output.{key}" for key in ("picture", "pictures", "maps", "rtstruct", "bids", "patients")),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompareOutcome:
    """What became of a comparison.

    Attributes
    ----------
    comparison : Comparison
    notes : tuple of str
        Remarks on what is not read.
    folder : Path or None
    """

    comparison: Comparison
    notes: tuple[str, ...]
    folder: Path | None


def run_compare(
    request: Request,
    out: str | os.PathLike[str] | None = None,
    *,
    strategies: Sequence[str] = STRATEGIES,
    mu: float | None = None,
    mu_per_min: float | None = None,
    progress: Progress | None = None,
) -> CompareOutcome:
    """Compare ways to manage the breathing of one case, and write `strategies.csv`, `strategies.json` and a page.

    Parameters
    ----------
    request : Request
        ``cases.gtv``, ``targets.ctv`` and ``targets.ptv`` (the clinic's fixed margin; each 10 mm unless set),
        ``targets.organ``, and what displaces the target. ``[management]`` takes the place of the default of its kind.
    out : path, optional
        Made when it is missing; without it nothing is written.
    strategies : sequence of str
    mu, mu_per_min : float, optional
        Monitor units of a fraction and their rate, for the minutes that it takes.
    progress : callable, optional
        Called with (strategies done, strategies in all).

    Raises
    ------
    PtvkitError
        When a key cannot be used, a file cannot be read or changes meanwhile, or no margin is enough.

    Examples
    --------
    >>> ask = Request.load(
    ...     {
    ...         "cases": {"gtv": "phantom:lesion_3"},
    ...         "targets": {"ctv": 3},
    ...         "errors": [{"systematic_mm": 2}],
    ...         "breathing": {"amplitude_mm": [0, 3, 10], "inhale": [0, 1, -1], "reference": "time_mean"},
    ...         "simulation": {"patients": 100},
    ...     }
    ... )
    >>> rows = run_compare(ask, strategies=("mid_position", "gating")).comparison.table()
    >>> [(row["name"], round(row["duty"], 2)) for row in rows]
    [('mid_position', 1.0), ('gating', 0.3)]
    """
    folder = None if out is None else output_folder(out)
    notes = read_by(request, COMPARE, PASSED_OVER)
    if request.tables.cases.gtv is None:
        raise FileError("cases.gtv: is missing; give the GTV, from which the targets are made")
    inputs = named_files(request)
    course = course_of(request)
    minutes = beam_minutes(course, mu, mu_per_min)
    with Workspace().collected_warnings() as warned:
        comparison = compare_strategies(
            _gtv(request),
            course,
            strategies=strategies,
            beam_min=minutes,
            progress=progress,
            **_asked(request),
        )
        inputs.check_unchanged()
    for text in warned:
        warnings.warn(text, PtvkitWarning, stacklevel=2)
    if folder is not None:
        _write(request, comparison, folder, inputs, (*notes, *warned))
    return CompareOutcome(comparison=comparison, notes=notes, folder=folder)


def _gtv(request: Request) -> Structure | Phases:
    """The GTV, or its phases where a folder is named."""
    own = request.for_case("case", {})
    text = str(own.tables.cases.gtv)
    is_folder = any(Path(one).is_dir() for one in (text, text.rpartition(":")[0]) if one)
    return gtv_of(own.with_values({"targets.motion": "itv"}) if is_folder else own)


def _asked(request: Request) -> dict[str, Any]:
    """Arguments of `compare_strategies` that stand in the request."""
    tables = request.tables
    targets, dose = tables.targets or TargetsTable(), tables.dose or DoseTable()
    return {
        "ctv": targets.ctv if "ctv" in targets.model_fields_set else CLINIC_MM,
        "fixed": targets.ptv if "ptv" in targets.model_fields_set else CLINIC_MM,
        "organ": None if targets.organ is None else StructureRef.parse(targets.organ).read(),
        "criterion": tables.criteria.criterion,
        "population": tables.criteria.population,
        "patients": tables.simulation.patients,
        "seed": tables.simulation.seed,
        "plan": Plan(penumbra_mm=dose.penumbra_mm, edge_level=dose.edge_level, prescribed_to=dose.prescribed_to),
    }


def _write(request: Request, comparison: Comparison, folder: Path, inputs: InputFiles, said: Sequence[str]) -> None:
    about = {
        "criterion": comparison.criterion,
        "population": comparison.population,
        "patients": comparison.patients,
        "fixed_mm": comparison.fixed.letters,
        "in_words": comparison.in_words(),
        "assumed": {one.name: one.assumed for one in comparison.strategies},
        "asked": dict(request.content),
    }
    provenance = Provenance(inputs=inputs.sources, method="strategies", margins={})
    with write_request(folder, inputs, record=RECORD, names=OUTPUTS) as stage:
        write_strategies(comparison.table(), about, stage, home=folder, provenance=provenance, warnings=said)
        if request.tables.output.page:
            drawing("strategies_page").write_strategies_page(comparison, stage / PAGE, warnings=said)
