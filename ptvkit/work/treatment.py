"""A treatment of several parts, from a request: parts, structures and limits; its simulation and its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.analysis.lesion_change import LesionComparison, compare_lesions
from ptvkit.display import drawing
from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.criteria import metric_named
from ptvkit.dose.dose import Dose
from ptvkit.dose.limits import DoseLimit, LimitShare, limits_kept
from ptvkit.dose.prescription import prescribe
from ptvkit.dose.result import DoseResult, column_of
from ptvkit.dose.treatment import Part, simulate_treatment
from ptvkit.errors import DoseError, FileError
from ptvkit.geometry.reconstruct import as_region
from ptvkit.io.dose import read_dose
from ptvkit.io.provenance import Provenance
from ptvkit.io.treatment_files import TREATMENT, write_treatment
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import as_margin
from ptvkit.motion.coverage import Structure
from ptvkit.motion.simulate import Progress
from ptvkit.request.request import Request
from ptvkit.request.schema import PartTable
from ptvkit.work.lesions import as_json
from ptvkit.work.structures import Reader, read_named
from ptvkit.work.values import IDEALISED, course_of, made_from, request_of_part

CTV: Final = "CTV"
OUTPUTS: Final = (TREATMENT, "treatment.csv", "treatment.html")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Treatment:
    """A treatment that was simulated.

    Attributes
    ----------
    parts : tuple of Part
    results : mapping of str to DoseResult
        Of the CTV and each organ.
    limits : tuple of LimitShare
    metrics : tuple of str
        Kept beside the usual ones because the request names them.
    lesions : LesionComparison or None
        How the lesions changed between the planning CTs of the first and the last part that name their GTV.
    """

    parts: tuple[Part, ...]
    results: Mapping[str, DoseResult]
    limits: tuple[LimitShare, ...]
    metrics: tuple[str, ...] = ()
    lesions: LesionComparison | None = None


def check_parts(request: Request) -> None:
    """Refuse tables that have no meaning with parts, or without them.

    Raises
    ------
    FileError
    """
    tables = request.tables
    if not tables.parts:
        idle = "[treatment]" if tables.treatment is not None else "[[limits]]" if tables.limits else ""
        if idle:
            raise FileError(f"{request.source}: {idle} needs [[parts]], the parts of the treatment")
        return
    if tables.dose is not None:
        raise FileError(f"{request.label('dose')}: each of [[parts]] has its own dose; leave [dose] out")
    if "fractions" in tables.simulation.model_fields_set:
        label = request.label("simulation.fractions")
        raise FileError(f"{label}: each of [[parts]] has its own fractions; leave it out")


def treatment_of(
    request: Request,
    ctv: Structure,
    ptv: Structure,
    *,
    seed: int,
    patients: int | None = None,
    progress: Progress | None = None,
    read: Reader = read_named,
) -> Treatment:
    """Simulate the treatment that a request describes; `read` gives the structure of a name.

    Raises
    ------
    PtvkitError
        Naming the table whose value cannot be used.
    """
    table, ask, source = request.tables.treatment, request.tables.simulation, request.source
    parts = tuple(
        made_from(source, f"[[parts]] {one.name}", partial(_part, request, place, ptv, read))
        for place, one in enumerate(request.tables.parts)
    )
    limits = _limits(request)
    organs = {} if table is None else table.structures
    if CTV in organs:
        raise FileError(f"{source}: [treatment.structures.{CTV}]: the CTV is there already; choose another name")
    structures: dict[str, Structure] = {CTV: ctv}
    structures |= {name: as_region(read(one.structure)) for name, one in organs.items()}
    common = None if table is None else table.alpha_beta_gy
    ratios = {CTV: common} | {name: one.alpha_beta_gy for name, one in organs.items()}
    metrics = [] if table is None else list(table.metrics)
    metrics = list(dict.fromkeys([*metrics, *(limit.metric for limit in limits)]))

    def simulated() -> dict[str, DoseResult]:
        return simulate_treatment(
            parts,
            structures,
            alpha_beta_gy=ratios,
            shared=[] if table is None else table.shared,
            quantity="eqd2" if table is None else table.quantity,
            metrics=metrics,
            patients=ask.patients if patients is None else patients,
            seed=seed,
            samples=ask.samples,
            progress=progress,
        )

    results = made_from(source, "[treatment]", simulated)
    kept = made_from(source, "[[limits]]", partial(limits_kept, results, limits))
    return Treatment(parts=parts, results=results, limits=kept, metrics=() if table is None else tuple(table.metrics))


def _limits(request: Request) -> list[DoseLimit]:
    return [
        made_from(request.source, f"[[limits]] {number}", partial(DoseLimit, **table.model_dump()))
        for number, table in enumerate(request.tables.limits, start=1)
    ]


def _part(request: Request, place: int, ptv: Structure, read: Reader) -> Part:
    table = request.tables.parts[place]
    target = ptv if table.structure is None else read(table.structure)
    margin = as_margin(table.margin, "margin")
    return Part(
        name=table.name,
        dose=_dose(table, target if margin.is_zero else expand(as_region(target), margin)),
        prescription_gy=table.prescription_gy,
        fraction_gy=table.fraction_gy,
        course=course_of(request_of_part(request, place)),
        frame=table.frame,
        transform=table.transform,
    )


def _dose(table: PartTable, target: Structure) -> Dose:
    """A part's dose, idealised or from a file; without one, its prescription is that of its fractions."""
    idle = sorted(table.model_fields_set & ({"units"} if table.file is None else IDEALISED))
    if idle:
        raise DoseError(f"{idle[0]} has no meaning {'without' if table.file is None else 'with'} file; remove it")
    gy = table.prescription_gy
    if gy is None and table.fraction_gy is not None:
        gy = table.fractions * table.fraction_gy
    if gy is None:
        raise DoseError("fraction_gy or prescription_gy is missing; the prescription is never guessed")
    name = f"the dose of {table.name}"
    if table.file is None:
        dose = conformal_dose(target, gy, table.penumbra_mm, table.edge_level, table.prescribed_to, name=name)
    else:
        dose = read_dose(table.file, units=table.units, prescription_gy=gy)
    return dose if table.covers is None else prescribe(dose, target, gy, table.covers)


def lesions_between(request: Request, parts: Sequence[Part], read: Reader = read_named) -> LesionComparison | None:
    """How the lesions changed between the planning CTs of the first and the last part that name their GTV.

    Raises
    ------
    PtvkitError
        Naming the part whose GTV cannot be used.
    """
    named = [(part, table.gtv) for part, table in zip(parts, request.tables.parts, strict=True) if table.gtv]
    if len(named) < 2:
        return None
    (first, before), (last, after) = named[0], named[-1]
    transform = _matrix(last) @ np.linalg.inv(_matrix(first))
    where = f"[[parts]] {last.name}: gtv"
    return made_from(request.source, where, lambda: compare_lesions(read(before), read(after), transform))


def _matrix(part: Part) -> NDArray[np.float64]:
    return np.eye(4) if part.transform is None else np.asarray(part.transform, float)


def columns_of(treatment: Treatment) -> dict[str, float]:
    """Columns of a study's table: named metrics of the target, and in which share of courses each limit is kept."""
    target = treatment.results[CTV]
    kept = {name: column_of(metric_named(name).name, target.quantity) for name in treatment.metrics}
    named = [name for name, column in kept.items() if column in target.metrics]
    found = {f"{name}_median": float(np.median(target.metric(name))) for name in named}
    for one in treatment.limits:
        if one.kept is not None:
            name = f"{one.limit.structure}_{one.limit.metric}_kept".replace(" ", "").replace("%", "")
            found |= {name: one.kept.value, f"{name}_low": one.kept.low, f"{name}_high": one.kept.high}
    return found


def write_treatment_files(
    treatment: Treatment,
    stage: Path,
    *,
    home: Path,
    provenance: Provenance,
    asked: Mapping[str, Any],
    warnings: Sequence[str],
    page: bool,
) -> None:
    """Write ``treatment.json``, ``treatment.csv`` and the page into a stage."""
    extra = {"treatment.html": drawing("treatment_page").treatment_page(treatment, asked, warnings)} if page else {}
    write_treatment(
        treatment.parts,
        treatment.results,
        treatment.limits,
        stage,
        home=home,
        provenance=provenance,
        asked=asked,
        warnings=warnings,
        lesions=None if treatment.lesions is None else as_json(treatment.lesions),
        pages=extra,
    )
