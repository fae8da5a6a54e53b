"""`ptvkit solve`: the smallest margin that holds for a share of the patients."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ptvkit.cli.course_options import guidance_flags, merged, parsed_error
from ptvkit.cli.options import Structure, print_rows, told_warnings

if TYPE_CHECKING:
    from ptvkit.study.solve import Solution

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
    criterion: Annotated[str, typer.Option(help="dmin>=0.95, d98>=0.95, contained, or coverage>=0.99.")] = "dmin>=0.95",
    population: Annotated[float, typer.Option(help="Share of the patients.")] = 0.90,
    shape: Annotated[str, typer.Option(help="isotropic, per_axis or six.")] = "isotropic",
    penumbra: Annotated[float, typer.Option(help="SD of the dose's penumbra, mm.")] = 3.2,
    patients: Annotated[int, typer.Option(help="Patients to simulate.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Find the smallest CTV-to-PTV margin whose criterion holds for a share of the patients."""
    from typing import cast

    from ptvkit.errors import MotionError
    from ptvkit.study.file import checked, course_of, read_study
    from ptvkit.study.solve import Shape, solve_margin

    given = {
        "errors": [parsed_error(text) for text in error] if error else None,
        "guidance": guidance_flags(match, action_level, None, None, None),
        "breathing": {"reference": reference},
        "simulation": {"fractions": fractions},
    }
    source = study or "the options"
    with told_warnings() as warned:
        course = course_of(checked(merged(read_study(study) if study else {}, given), source), source)
        if not course.setup and course.breathing is None:
            raise MotionError("nothing displaces the target; give --study liver-protocol, or --error")
        found = solve_margin(
            Structure.parse(ctv).read(),
            course,
            criterion=criterion,
            population=population,
            shape=cast("Shape", shape),
            patients=patients,
            seed=seed,
            penumbra_mm=penumbra,
        )
    if json:
        import json as text

        sys.stdout.write(text.dumps({**as_json(found), "warnings": warned}, indent=1) + "\n")
    else:
        print_solution(found, patients)


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
        "trials": [
            {"margin_mm": trial.margin.letters, "ptv_cc": trial.ptv_cc, "reached": trial.reached.value}
            for trial in found.trials
        ],
        "note": found.note or COURSE,
    }


def print_solution(found: "Solution", patients: int) -> None:
    """The trade of volume against the criterion, and the answer."""
    rows: list[tuple[str, ...]] = [("R L A P S I, mm", "PTV, cc", found.criterion)]
    for trial in found.trials:
        sides = " ".join(f"{mm:.1f}" for mm in trial.margin.letters.values())
        rows.append((sides, f"{trial.ptv_cc:.1f}", f"{trial.reached:.3f}"))
    print_rows(rows, "Margins that were tried", f"{patients} patients; 95 % simulation intervals. {COURSE}")
    told = ", ".join(
        f"{letter} {mm:.1f} ({mm * found.scale.low:.1f}–{mm * found.scale.high:.1f})"
        for letter, mm in found.margin.letters.items()
    )
    print(f"{found.criterion} for {found.population:.0%} of the patients: {told} mm; PTV {found.ptv_cc:.1f} cc")
    if found.note:
        print(found.note)
