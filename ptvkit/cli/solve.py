"""`ptvkit solve`: the smallest margin that holds for a share of the patients."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ptvkit.cli.course_options import guidance_flags, merged, parsed_error
from ptvkit.cli.options import print_rows, progress_bar, structure, told_warnings

if TYPE_CHECKING:
    from ptvkit.analysis.solve import Solution
    from ptvkit.motion.course import Course

COURSE = "simulated, given these inputs; a research tool, not a medical device; a physicist reviews"


def solve(
    ctv: Annotated[str, typer.Argument(help="CTV mask: NIfTI file, or FILE:LABEL.", metavar="CTV[:LABEL]")],
    study: Annotated[
        str | None,
        typer.Option(help="What displaces the target: a TOML file, or liver-protocol.", metavar="FILE|NAME"),
    ] = None,
    error: Annotated[
        list[str] | None,
        typer.Option(help="A set-up error: NAME:Σ/σ[:SEEN_BY]; replaces the file's. May be repeated.", metavar="ERROR"),
    ] = None,
    match: Annotated[
        str | None, typer.Option(help="bone, soft_tissue, bone_then_soft_tissue, or none.", metavar="MATCH")
    ] = None,
    action_level: Annotated[float | None, typer.Option(help="Errors of at least this are corrected, mm.")] = None,
    reference: Annotated[str | None, typer.Option(help="Planned on: time_mean, exhale, inhale, snapshot, …")] = None,
    fractions: Annotated[int | None, typer.Option(help="Fractions of each course.")] = None,
    organ: Annotated[
        str | None,
        typer.Option(help="A healthy organ: what each margin takes of it is told.", metavar="FILE[:LABEL]"),
    ] = None,
    own_trace: Annotated[
        Path | None,
        typer.Option(help="The patient's own breathing: its margin beside the population's.", metavar="FILE"),
    ] = None,
    axes: Annotated[str | None, typer.Option(help="The trace's axes: IEC61217, or letters such as RAS.")] = None,
    patient_position: Annotated[str | None, typer.Option(help="For IEC61217: HFS, HFP, FFS, …")] = None,
    criterion: Annotated[str, typer.Option(help="dmin>=0.95, d98>=0.95, contained, or coverage>=0.99.")] = "dmin>=0.95",
    population: Annotated[float, typer.Option(help="Share of the patients.")] = 0.90,
    shape: Annotated[str, typer.Option(help="isotropic, per_axis or six.")] = "isotropic",
    penumbra: Annotated[float, typer.Option(help="SD of the dose's penumbra, mm.")] = 3.2,
    edge_level: Annotated[float, typer.Option(help="Share of the prescription on the PTV's edge.")] = 0.95,
    samples: Annotated[int | None, typer.Option(help="Times within each fraction.")] = None,
    patients: Annotated[int, typer.Option(help="Patients to simulate.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Find the smallest CTV-to-PTV margin whose criterion holds for a share of the patients."""
    from typing import cast

    from ptvkit.analysis.shapes import Shape
    from ptvkit.analysis.solve import solve_margin
    from ptvkit.errors import MotionError
    from ptvkit.request.request import Request
    from ptvkit.work.values import course_of

    given = {
        "errors": [parsed_error(text) for text in error] if error else None,
        "guidance": guidance_flags(match, action_level, None, None, None),
        "breathing": {"reference": reference},
        "simulation": {"fractions": fractions},
    }
    source = study or "the options"
    with told_warnings() as warned:
        tables = merged(Request.load(study).content if study else {}, given)
        course = course_of(Request(content=tables, source=source))
        if not course.setup and course.breathing is None and own_trace is None:
            raise MotionError("nothing displaces the target; give --study liver-protocol, or --error")
        courses = {"the population": course}
        if own_trace is not None:
            breathing = {"trace": str(own_trace), "axes": axes, "patient_position": patient_position}
            if "reference" not in tables.get("breathing", {}):
                raise MotionError("--own-trace: give --reference, the position that was planned on, or a --study")
            own = merged(tables, {"breathing": breathing})
            courses["this patient's breathing"] = course_of(Request(content=own, source=source))
        target = structure(ctv).read()
        taken = None if organ is None else structure(organ).read()

        def solved(what: str, with_course: "Course") -> "Solution":
            with progress_bar(what) as tell:
                return solve_margin(
                    target,
                    with_course,
                    criterion=criterion,
                    population=population,
                    shape=cast("Shape", shape),
                    patients=patients,
                    seed=seed,
                    samples=samples,
                    penumbra_mm=penumbra,
                    edge_level=edge_level,
                    organ=taken,
                    progress=tell,
                )

        found = {whose: solved(f"margins for {whose}", with_course) for whose, with_course in courses.items()}
    if json:
        import json as text

        told = as_json(found["the population"]) | {"warnings": warned}
        if own_trace is not None:
            told["own"] = as_json(found["this patient's breathing"])
        sys.stdout.write(text.dumps(told, indent=1) + "\n")
    else:
        for whose, solution in found.items():
            print_solution(solution, patients, f" for {whose}" if own_trace is not None else "")


def as_json(found: "Solution") -> dict[str, object]:
    """A solution as plain values."""
    return {
        "margin_mm": found.margin.letters,
        "scale": {"low": found.scale.low, "high": found.scale.high},
        "criterion": found.criterion,
        "population": found.population,
        "shape": found.shape,
        "reached": {"value": found.reached.value, "low": found.reached.low, "high": found.reached.high},
        "ptv_cc": found.ptv_cc,
        "organ_cc": found.organ_cc,
        "trials": [
            {
                "margin_mm": trial.margin.letters,
                "ptv_cc": trial.ptv_cc,
                "organ_cc": trial.organ_cc,
                "reached": trial.reached.value,
            }
            for trial in found.trials
        ],
        "note": found.note or COURSE,
    }


def print_solution(found: "Solution", patients: int, whose: str = "") -> None:
    """The trade of volume against the criterion, and the answer."""
    has_organ = found.organ_cc is not None
    rows: list[tuple[str, ...]] = [
        ("R L A P S I, mm", "PTV, cc", *(["organ, cc"] if has_organ else []), found.criterion)
    ]
    for trial in found.trials:
        sides = " ".join(f"{mm:.1f}" for mm in trial.margin.letters.values())
        taken = [] if trial.organ_cc is None else [f"{trial.organ_cc:.1f}"]
        rows.append((sides, f"{trial.ptv_cc:.1f}", *taken, f"{trial.reached:.3f}"))
    organ = " Organ: inside the PTV, outside the CTV." if has_organ else ""
    caption = f"{patients} patients; 95 % simulation intervals.{organ} {COURSE}"
    print_rows(rows, f"Margins that were tried{whose}", caption)
    told = ", ".join(
        f"{letter} {mm:.1f} ({mm * found.scale.low:.1f}–{mm * found.scale.high:.1f})"
        for letter, mm in found.margin.letters.items()
    )
    taken_of = f", {found.organ_cc:.1f} cc of the organ" if has_organ else ""
    print(
        f"{found.criterion} for {found.population:.0%} of the patients{whose}: {told} mm; PTV {found.ptv_cc:.1f} cc"
        + taken_of
    )
    if found.note:
        print(found.note)
