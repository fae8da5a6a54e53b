"""One simulation: CTV and PTV from files, courses of treatment, their figures as files."""

import os
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ptvkit.analysis.protocols import BeamTime, beam_time
from ptvkit.analysis.simulation import Simulation, Stage, simulate_all, simulate_exactly
from ptvkit.display import drawing
from ptvkit.errors import FileError, PtvkitWarning
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.coverage_files import write_coverage
from ptvkit.io.dicom.frames import refuse_other_frames
from ptvkit.io.dose_files import write_dose_result
from ptvkit.io.nifti import read_image
from ptvkit.io.provenance import Provenance
from ptvkit.io.requests import InputFiles, write_request
from ptvkit.margins.between import HeldMargin, margin_between
from ptvkit.motion.coverage import filled
from ptvkit.request.cases import cases_of
from ptvkit.request.request import Consumer, Request
from ptvkit.request.schema import DISPLACING
from ptvkit.values import whole
from ptvkit.work.patients import PATIENTS, write_patients
from ptvkit.work.reading import read_by
from ptvkit.work.structures import structures_of
from ptvkit.work.targets import named_files, output_folder
from ptvkit.work.treatment import OUTPUTS as TREATMENT_OUTPUTS
from ptvkit.work.treatment import Treatment, check_parts, lesions_between, treatment_of, write_treatment_files
from ptvkit.work.values import course_of, dose_of, require_motion
from ptvkit.work.workspace import Workspace

Structure = Mask | Region

EXACT_NOTE: Final = (
    "simulation.method exact draws no patients: there is no dose, no cost of each error, no table, map or picture"
)
RECORD: Final = "coverage.json"
MAPS: Final = ("ctv_inside_ptv.nii.gz", "occupied_by_ctv.nii.gz")
OUTPUTS: Final = (
    *(RECORD, "coverage.csv", "derivatives.csv", "dose.json", "dose.csv", *PATIENTS),
    *(f"coverage_{name}.png" for name in ("budget", "course", "map", "misses")),
    *(f"dose_{name}.png" for name in ("dvh", "population", "map")),
    *(f"{name}{more}" for name in MAPS for more in ("", ".json")),
    *TREATMENT_OUTPUTS,
)
"""All names that a simulation may write."""
BEAM_TIME: Final = ("minutes", "mean_mm", "systematic_mm", "random_mm", "margin_mm")
OF_TARGETS: Final = (
    *(
        f"targets.{key}"
        for key in ("ctv", "ptv", "motion", "breathing", "breathing_shape", "limit", "avoid", "clearance_mm")
    ),
    *("targets.lesion", "targets.lesions"),
)
"""What CTV and PTV are made from, where they are not files."""
SIMULATION: Final = Consumer(
    name="simulate",
    reads=(
        *("cases", *DISPLACING, "dose", "simulation"),
        *("parts", "treatment", "limits", "output.pictures", "output.maps", "output.patients", "output.page"),
    ),
)
PASSED_OVER: Final = (
    *(f"targets.{key}" for key in ("eval_limit", "eval_depth_mm", "eval_avoid", "organ", "grid", "pad", "allow_cut")),
    *(f"output.{key}" for key in ("picture", "rtstruct", "bids")),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulationOutcome:
    """What became of a request for a simulation.

    Attributes
    ----------
    folder : Path
    simulation : Simulation
        The figures; of a treatment those of the part that is aimed at the PTV.
    treatment : Treatment or None
        Doses of all parts, where the request has some.
    notes : tuple of str
        What is worth knowing and no warning: tables that were not read, grids that differ.
    warned : tuple of str
    held : HeldMargin or None
        The margin that an existing pair of CTV and PTV holds.
    beam : BeamTime or None
        What the time within a fraction costs, where the target moves in it.
    """

    folder: Path
    simulation: Simulation
    treatment: Treatment | None = None
    notes: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    held: HeldMargin | None = None
    beam: BeamTime | None = None

    @property
    def record(self) -> Path:
        """``coverage.json``."""
        return self.folder / RECORD


def run_simulation(
    request: Request, out: str | os.PathLike[str], *, progress: Stage | None = None
) -> SimulationOutcome:
    """Simulate courses of treatment of one case, and write ``coverage.json`` and what belongs to it.

    With ``[[parts]]`` the doses of a whole treatment are accumulated too, in ``treatment.json`` and on its page.

    CTV and PTV come from ``cases.ctv`` and ``cases.ptv``, or are made from ``cases.gtv`` with the margins of
    ``[targets]``.

    Parameters
    ----------
    request : Request
    out : path
        Made when it is missing. It holds the files of one request: those of an earlier one go.
    progress : callable, optional
        Opens a context for each part of the work, which gives a callback (done, in all) or None.

    Raises
    ------
    PtvkitError
        When the request or a file cannot be used, nothing displaces the target, or an input changes meanwhile.

    Examples
    --------
    >>> import tempfile
    >>> ask = Request.load(
    ...     {
    ...         "cases": {"gtv": "phantom:lesion_3"},
    ...         "targets": {"ptv": 6},
    ...         "errors": [{"systematic_mm": 2}],
    ...         "simulation": {"patients": 100},
    ...         "output": {"pictures": False, "maps": False},
    ...     }
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     outcome = run_simulation(ask, folder)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['coverage.csv', 'coverage.json']
    >>> 0.8 < outcome.simulation.result.contained() <= 1
    True
    """
    folder = output_folder(out)
    notes, own = one_case(request)
    workspace = Workspace()
    with workspace.collected_warnings() as warned:
        outcome = _simulated(own, folder, notes, warned, progress)
    for text in warned:
        warnings.warn(text, PtvkitWarning, stacklevel=2)
    return outcome


def one_case(request: Request) -> tuple[tuple[str, ...], Request]:
    """Remarks on what is not read, and the request of its only case.

    Raises
    ------
    FileError
        When there is none, or a key is not read.
    """
    check_parts(request)
    table = request.tables.cases
    has_both = table.ctv is not None and table.ptv is not None
    if not has_both and (table.ctv is not None or table.ptv is not None):
        key = "ptv" if table.ptv is None else "ctv"
        raise FileError(f"{request.label(f'cases.{key}')}: is missing; give the {key.upper()}'s mask")
    reads = SIMULATION.reads if has_both else (*SIMULATION.reads, *OF_TARGETS)
    passed_over = (*PASSED_OVER, *OF_TARGETS) if has_both else PASSED_OVER
    notes = read_by(request, Consumer(name=SIMULATION.name, reads=reads), passed_over)
    if has_both:
        return notes, request.with_values({"cases.masks": None, "cases.manifest": None, "cases.gtv": None})
    cases = cases_of(request)
    if len(cases) != 1:
        raise FileError(f"{request.source}: [cases] has {len(cases)} cases; simulate takes one; run them as a study")
    return notes, request.for_case(cases[0].name, cases[0].values)


def _simulated(
    request: Request, folder: Path, notes: tuple[str, ...], warned: Sequence[str], progress: Stage | None
) -> SimulationOutcome:
    inputs = named_files(request)
    course, ask = course_of(request), request.tables.simulation
    require_motion(course)
    refuse_other_frames(inputs.paths)
    _, ctv, ptv = structures_of(request)
    if not ctv.grid.matches(ptv.grid) and request.tables.cases.ctv is not None:
        text = f"{ctv.name} and {ptv.name} are on different grids; the PTV's surface is resampled onto the CTV's"
        notes = (*notes, text)
    if course.shape_change is not None:
        notes = (*notes, course.shape_change.summary(course.fractions))
    ctv, ptv = filled(ctv), filled(ptv)  # their surfaces are found once for all that follows
    stages = [] if progress is None else [progress]
    if ask.method == "exact":
        notes = (*notes, EXACT_NOTE)
        whole("patients", ask.patients, least=1, most=10**9)
        if request.tables.dose is not None and request.tables.dose.file is not None:
            raise FileError(f"{request.label('dose.file')}: simulation.method exact has no dose; leave one of them out")
        found = simulate_exactly(ctv, ptv, course, *stages, seed=ask.seed, precision=ask.precision)
    else:
        found = simulate_all(
            ctv,
            ptv,
            course,
            *stages,
            patients=ask.patients,
            seed=ask.seed,
            samples=ask.samples,
            precision=ask.precision,
            dose=dose_of(request, ptv),
        )
    treatment = None
    if request.tables.parts:
        with nullcontext() if progress is None else progress("treatment") as told:
            treatment = treatment_of(request, ctv, ptv, seed=ask.seed, progress=told)
        treatment = replace(treatment, lesions=lesions_between(request, treatment.parts))
        notes = (*notes, *(one.words for one in treatment.limits if one.planned is None))
    timed = course.intrafraction is not None and course.management is None
    outcome = SimulationOutcome(
        folder=folder,
        simulation=found,
        treatment=treatment,
        notes=notes,
        warned=tuple(warned),
        held=None if request.tables.cases.ctv is None else margin_between(ctv, ptv),
        beam=beam_time(course, seed=ask.seed) if timed else None,
    )
    _write(request, outcome, {"CTV": ctv, "PTV": ptv}, inputs)
    return outcome


def _more(outcome: SimulationOutcome) -> dict[str, Any]:
    """Entries of ``coverage.json`` about an existing margin, and the time within a fraction."""
    more: dict[str, Any] = {}
    if outcome.held is not None:
        more["held_margin"] = outcome.held.as_json()
    if outcome.beam is not None:
        beam = {name: getattr(outcome.beam, name).tolist() for name in BEAM_TIME}
        more["beam_time"] = {**beam, "mm_per_10_min": outcome.beam.mm_per_10_min.tolist()}
    return more


def _write(request: Request, outcome: SimulationOutcome, structures: dict[str, Structure], inputs: InputFiles) -> None:
    found, folder, wanted = outcome.simulation, outcome.folder, request.tables.output
    provenance = Provenance(inputs=inputs.sources, method="simulation", margins={})
    said = (*outcome.notes, *outcome.warned)
    with write_request(folder, inputs, record=RECORD, names=OUTPUTS) as stage:
        write_coverage(
            found.result,
            stage,
            home=folder,
            provenance=provenance,
            asked=request.content,
            residuals=found.residuals,
            costs=found.costs,
            maps=found.maps if wanted.maps else None,
            more=_more(outcome),
            slopes=found.slopes,
            warnings=said,
        )
        if found.dosed is not None:
            write_dose_result(
                found.dosed, stage, home=folder, provenance=provenance, asked=request.content, warnings=said
            )
        if outcome.treatment is not None:
            write_treatment_files(
                outcome.treatment,
                stage,
                home=folder,
                provenance=provenance,
                asked=request.content,
                warnings=said,
                page=wanted.page,
            )
        if found.slopes is not None:
            return
        if wanted.patients:
            write_patients(found.result, found.dosed, stage)
        if wanted.pictures:
            image = None if request.tables.cases.image is None else read_image(request.tables.cases.image)
            drawing("coverage_charts").save_pictures(found, structures, image, stage)
            if found.dosed is not None and found.dose is not None:
                drawing("dose_charts").save_dose_pictures(found.dosed, found.dose, structures, image, stage)
