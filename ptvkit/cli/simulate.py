"""`ptvkit simulate`: what motion costs a target and its PTV."""

import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ptvkit.cli.course_options import as_reference, guidance_flags, merged, parsed_error, triple
from ptvkit.cli.options import note, output_folder, print_rows, progress_bar, structure, told_warnings
from ptvkit.errors import MotionError

if TYPE_CHECKING:
    from ptvkit.analysis.simulation import Simulation
    from ptvkit.dose.result import DoseResult
    from ptvkit.motion.residuals import Residual
    from ptvkit.motion.result import CoverageResult
    from ptvkit.request.request import Request
    from ptvkit.request.schema import Tables

OUTPUTS = (
    "coverage.csv",
    "dose.csv",
    "dose.json",
    *(f"dose_{name}.png" for name in ("dvh", "population", "map")),
    "coverage.json",
    "coverage_budget.png",
    "coverage_course.png",
    "coverage_map.png",
    "coverage_misses.png",
    "ctv_inside_ptv.nii.gz",
    "ctv_inside_ptv.nii.gz.json",
    "occupied_by_ctv.nii.gz",
    "occupied_by_ctv.nii.gz.json",
)


class Extras(NamedTuple):
    """What is written beside the figures."""

    pictures: bool
    maps: bool


TRIPLE = "LR,AP,SI in mm, or one number for all"


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", metavar="DIR")],
    ctv: Annotated[
        str | None, typer.Option(help="CTV mask: NIfTI file, or FILE:LABEL.", metavar="FILE[:LABEL]")
    ] = None,
    ptv: Annotated[
        str | None, typer.Option(help="PTV mask: NIfTI file, or FILE:LABEL.", metavar="FILE[:LABEL]")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="What displaces the target: a TOML file, or liver-protocol.", metavar="FILE|NAME"),
    ] = None,
    error: Annotated[
        list[str] | None,
        typer.Option(
            help="A set-up error: NAME:Σ/σ[:SEEN_BY], Σ and σ LR,AP,SI in mm; SEEN_BY bone_and_soft_tissue (default),"
            " soft_tissue or nothing. May be repeated; replaces the file's.",
            metavar="ERROR",
        ),
    ] = None,
    match: Annotated[
        str | None, typer.Option(help="bone, soft_tissue, bone_then_soft_tissue, or none.", metavar="MATCH")
    ] = None,
    action_level: Annotated[float | None, typer.Option(help="Errors of at least this are corrected, mm.")] = None,
    mode: Annotated[str | None, typer.Option(help="any_axis, per_axis or vector.")] = None,
    matching_sd: Annotated[str | None, typer.Option(help=f"SD of the matching error, {TRIPLE}.")] = None,
    couch_sd: Annotated[str | None, typer.Option(help=f"SD of the couch's error, {TRIPLE}.")] = None,
    breathing: Annotated[str | None, typer.Option(help="A preset's name, or none.", metavar="NAME")] = None,
    amplitude: Annotated[
        str | None, typer.Option(help="Breathing amplitude, peak to peak, LR,AP,SI in mm.", metavar="MM")
    ] = None,
    inhale: Annotated[
        str | None, typer.Option(help="Direction of inhale, LR,AP,SI; for a liver 1,1,-1.", metavar="SIGNS")
    ] = None,
    period: Annotated[float | None, typer.Option(help="Breathing period, s.")] = None,
    trace: Annotated[
        list[str] | None, typer.Option(help="A measured trace; of several each patient has one.", metavar="FILE")
    ] = None,
    axes: Annotated[str | None, typer.Option(help="The trace's axes: IEC61217, or letters such as RAS.")] = None,
    patient_position: Annotated[str | None, typer.Option(help="For IEC61217: HFS, HFP, FFS, …")] = None,
    scale: Annotated[
        str | None, typer.Option(help="For a surrogate: the target's mm LR,AP,SI for each mm.", metavar="LR,AP,SI")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Planned on: time_mean, exhale, inhale, mid_range, snapshot, or LR,AP,SI.")
    ] = None,
    dose: Annotated[
        str | None, typer.Option(help="The plan's dose, a NIfTI file in Gy; or none.", metavar="FILE")
    ] = None,
    units: Annotated[str | None, typer.Option(help="Of the dose file: Gy or cGy.")] = None,
    prescription: Annotated[
        float | None, typer.Option(help="Gy; without --dose an idealised dose conforms to the PTV.")
    ] = None,
    penumbra: Annotated[str | None, typer.Option(help=f"SD of the idealised dose's penumbra, {TRIPLE}.")] = None,
    edge_level: Annotated[
        float | None, typer.Option(help="Share of the prescription on the PTV's surface, idealised.")
    ] = None,
    fractions: Annotated[int | None, typer.Option(help="Fractions of each course.")] = None,
    patients: Annotated[int | None, typer.Option(help="Patients to simulate.")] = None,
    samples: Annotated[int | None, typer.Option(help="Times within each fraction.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same bytes.")] = None,
    precision: Annotated[
        float | None, typer.Option(help="Go on until the 95 % interval of containment is no wider than this.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="CT behind the map of probability.", metavar="FILE")] = None,
    pictures: Annotated[bool, typer.Option(help="Write pictures.")] = True,
    maps: Annotated[bool, typer.Option(help="Write two maps of probability.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print coverage.json instead of the table.")] = False,
) -> None:
    """Simulate courses of treatment: does the CTV stay inside the PTV, and what dose does it get.

    Writes coverage.json, coverage.csv, two maps of probability and four pictures; with a dose also dose.json, dose.csv
    and three more.
    """
    from ptvkit.request.request import Request

    started = perf_counter()
    given = {
        "cases": {"ctv": ctv, "ptv": ptv, "image": image},
        "errors": [parsed_error(text) for text in error] if error else None,
        "guidance": guidance_flags(match, action_level, mode, matching_sd, couch_sd),
        "breathing": {
            "preset": breathing,
            "amplitude_mm": triple("--amplitude", amplitude),
            "inhale": triple("--inhale", inhale),
            "period_s": period,
            "trace": trace,
            "axes": axes,
            "patient_position": patient_position,
            "scale": triple("--scale", scale),
            "reference": as_reference(reference),
        },
        "dose": {
            "file": dose,
            "units": units,
            "prescription_gy": prescription,
            "penumbra_mm": triple("--penumbra", penumbra),
            "edge_level": edge_level,
        },
        "simulation": {
            "fractions": fractions,
            "patients": patients,
            "samples": samples,
            "seed": seed,
            "precision": precision,
        },
    }
    with told_warnings() as warned:
        content = merged(Request.load(study).content if study else {}, given)
        request = Request(content=content, source=study or "the options")
        tables = request.tables
        for key in ("ctv", "ptv"):
            if getattr(tables.cases, key) is None:
                raise MotionError(f"--{key}: is missing; give the {key.upper()}'s mask")
        found = run(request, study, out, warned, extras=Extras(pictures, maps))
    if json:
        sys.stdout.write((out / "coverage.json").read_text(encoding="utf-8"))
    else:
        print_result(found.result, out, perf_counter() - started)
        print_dose(found.dosed)
        print_budget(found)


def run(request: "Request", study: str | None, out: Path, warned: list[str], *, extras: Extras) -> "Simulation":
    """Simulate and write."""
    from ptvkit.analysis.simulation import simulate_all
    from ptvkit.io.coverage_files import write_coverage
    from ptvkit.io.dicom.frames import refuse_other_frames
    from ptvkit.io.dose_files import write_dose_result
    from ptvkit.io.files import refuse_overwrite
    from ptvkit.io.provenance import Provenance
    from ptvkit.io.requests import InputFiles, write_request
    from ptvkit.work.values import course_of, dose_of

    tables, course = request.tables, course_of(request)
    if not course.setup and course.breathing is None and course.guidance is None:
        raise MotionError("nothing displaces the target; give --study liver-protocol, --error, or --breathing")
    targets = [structure(str(path)) for path in (tables.cases.ctv, tables.cases.ptv)]
    files = input_files(tables, study) | {path for target in targets for path in target.files()}
    refuse_overwrite([output_folder(out) / name for name in OUTPUTS], files)
    refuse_other_frames(sorted(files))
    inputs = InputFiles(sorted(files))
    ctv, ptv = (target.read() for target in targets)
    if not ctv.grid.matches(ptv.grid):
        note(warned, f"{ctv.name} and {ptv.name} are on different grids; the PTV's surface is resampled onto the CTV's")
    planned, asked = dose_of(request, ptv), tables.simulation
    found = simulate_all(
        ctv,
        ptv,
        course,
        progress_bar,
        patients=asked.patients,
        seed=asked.seed,
        samples=asked.samples,
        precision=asked.precision,
        dose=planned,
    )
    provenance = Provenance(inputs=inputs.sources, method="simulation", margins={})
    with write_request(out, inputs, record="coverage.json", names=OUTPUTS) as stage:
        write_coverage(
            found.result,
            stage,
            home=out,
            provenance=provenance,
            asked=request.content,
            residuals=found.residuals,
            costs=found.costs,
            maps=found.maps if extras.maps else None,
            warnings=warned,
        )
        if found.dosed is not None:
            write_dose_result(
                found.dosed, stage, home=out, provenance=provenance, asked=request.content, warnings=warned
            )
        if extras.pictures:
            from ptvkit.report.coverage_charts import save_pictures
            from ptvkit.report.dose_charts import save_dose_pictures

            image, structures = behind(tables.cases.image), {"CTV": ctv, "PTV": ptv}
            save_pictures(found, structures, image, stage)
            if found.dosed is not None and found.dose is not None:
                save_dose_pictures(found.dosed, found.dose, structures, image, stage)
    return found


def input_files(tables: "Tables", study: str | None) -> set[Path]:
    """Files that the simulation reads, but for the masks."""
    from ptvkit.request.reading import BUILT_IN

    traces = [] if tables.breathing is None or tables.breathing.trace is None else tables.breathing.trace
    paths = [traces] if isinstance(traces, str) else list(traces)
    paths += [study] if study is not None and study not in BUILT_IN else []
    paths += [tables.cases.image] if tables.cases.image is not None else []
    paths += [tables.dose.file] if tables.dose is not None and tables.dose.file is not None else []
    return {Path(path) for path in paths}


def behind(image: str | None) -> Any:
    """The CT and its grid, where there is one."""
    from ptvkit.io.nifti import read_image

    return None if image is None else read_image(Path(image))


def print_result(result: "CoverageResult", out: Path, seconds: float) -> None:
    """The figures that a physicist looks for first, a line for the target and one for each lesion."""
    from ptvkit.motion.result import NOTE

    caption = (
        f"{result.patients} patients × {result.fractions} fractions × {result.samples} times, seed {result.seed}; 95 %"
        f" simulation intervals. Contained: patients whose target never leaves the PTV. {seconds:.1f} s.\n{NOTE}"
    )
    print_rows(result.table(), f"Coverage in {out}", caption)
    for name, estimate in result.parameter_intervals.items():
        print(f"By the size of the samples behind Σ, {name} lies between {estimate.low:.3f} and {estimate.high:.3f}.")


def print_dose(result: "DoseResult | None") -> None:
    """The same for the accumulated dose, where one was simulated."""
    from ptvkit.dose.result import NOTE
    from ptvkit.report.words import SHARES_NOTE

    if result is not None:
        prescription = f"Prescription {result.prescription_gy:g} Gy. " if result.prescription_gy else ""
        print_rows(
            result.table(), "Accumulated dose", f"{prescription}10 % below: of the patients.\n{SHARES_NOTE}\n{NOTE}"
        )


def sds(left: "Residual") -> tuple[str, str]:
    """Σ' and σ' as text."""
    systematic, random = (", ".join(f"{mm:.1f}" for mm in sd) for sd in (left.systematic_mm, left.random_mm))
    return systematic, random


def print_budget(found: "Simulation") -> None:
    """What guidance leaves of each error, and what would be contained without it."""
    from ptvkit.motion.cost import ALL

    without = {cost.name: f"{cost.contained_without:.3f}" for cost in found.costs if cost.name != ALL}
    *parts, total = found.residuals
    rows = [("", "systematic Σ'", "random σ'", "contained without")]
    rows += [(left.name, *sds(left), without.pop(left.name, "")) for left in parts]
    rows += [(name, "", "", contained) for name, contained in without.items()]
    rows += [(total.name, *sds(total), "")]
    caption = "left after guidance, SD in mm: LR, AP, SI; contained when a source is missing"
    print_rows(rows, "Where the error budget goes", caption)
