"""`ptvkit setup-stats`: M, Σ and σ from a table of daily shifts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptvkit.cli.course_options import triple
from ptvkit.cli.options import console, told_warnings
from ptvkit.errors import MotionError

if TYPE_CHECKING:
    from ptvkit.motion.population import SetupStatistics


def setup_stats(
    file: Annotated[
        Path, typer.Argument(help="A CSV file: patient, and a column for each axis with its unit.", metavar="FILE")
    ],
    sign: Annotated[
        str | None,
        typer.Option(help="displacement: where the anatomy was; couch: how the couch was moved to correct that."),
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="IEC61217, or three letters that say where x, y, z point, such as RAS.")
    ] = None,
    patient_position: Annotated[str | None, typer.Option(help="For IEC61217: HFS, HFP, FFS, …")] = None,
    units: Annotated[str | None, typer.Option(help="Where the header does not tell: mm, cm or m.")] = None,
    matching_sd: Annotated[
        str, typer.Option(help="SD of the matching error in the shifts, LR,AP,SI in mm; taken off σ.")
    ] = "0",
    matching_systematic: Annotated[str, typer.Option(help="The same of its systematic part; taken off Σ.")] = "0",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Population statistics of daily set-up shifts: M, Σ and σ, with 95 % intervals by the size of the sample."""
    from typing import cast

    from ptvkit.io.shifts import read_shifts
    from ptvkit.motion.population import setup_statistics

    if sign is None:
        raise MotionError("--sign: say displacement (where the anatomy was) or couch (how the couch was moved)")
    with told_warnings() as warned:
        shifts = read_shifts(file, sign=cast("Any", sign), axes=axes, patient_position=patient_position, units=units)
        found = setup_statistics(
            list(shifts.values()),
            matching_sd_mm=triple("--matching-sd", matching_sd) or 0.0,
            matching_systematic_mm=triple("--matching-systematic", matching_systematic) or 0.0,
        )
    if json:
        import json as text
        from dataclasses import asdict

        plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in asdict(found).items()}
        sys.stdout.write(text.dumps({**plain, "warnings": warned}, indent=1) + "\n")
    else:
        print_statistics(found, file)


def print_statistics(found: "SetupStatistics", file: Path) -> None:
    """A line for each figure."""
    from rich.table import Table

    table = Table(title=str(file), title_justify="left", caption_justify="left")
    table.caption = (
        f"{found.patients} patients, {found.fractions:.1f} fractions each; positive towards R, A, S; in brackets 95 %"
        " by the size of the sample"
    )
    for column in ("mm", "LR", "AP", "SI"):
        table.add_column(column, justify="left" if column == "mm" else "right")
    low, high = found.systematic_interval_mm
    table.add_row("M", *(f"{value:.2f}" for value in found.mean_mm))
    apparent = zip(found.apparent_systematic_mm, low, high, strict=True)
    table.add_row("Σ, SD of patient means", *(f"{v:.2f} ({a:.2f}–{b:.2f})" for v, a, b in apparent))
    table.add_row("Σ, less what σ brings into it", *(f"{value:.2f}" for value in found.systematic_mm))
    low, high = found.random_interval_mm
    random = zip(found.random_mm, low, high, strict=True)
    table.add_row("σ", *(f"{v:.2f} ({a:.2f}–{b:.2f})" for v, a, b in random))
    console(120).print(table)
