"""`ptvkit trace`: what a motion trace is like."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptvkit.cli.course_options import triple
from ptvkit.cli.options import console, told_warnings
from ptvkit.text import printable

if TYPE_CHECKING:
    from ptvkit.motion.cycles import TraceStatistics
    from ptvkit.motion.trajectory import Trajectory


def trace(
    file: Annotated[Path, typer.Argument(help="A CSV file with a header, or a .vxp.", metavar="FILE")],
    axes: Annotated[
        str | None, typer.Option(help="IEC61217, or three letters that say where x, y, z point, such as RAS.")
    ] = None,
    patient_position: Annotated[str | None, typer.Option(help="For IEC61217: HFS, HFP, FFS, …")] = None,
    units: Annotated[str | None, typer.Option(help="Where the header does not tell: mm, cm or m.")] = None,
    time_units: Annotated[str | None, typer.Option(help="Where the header does not tell: s, ms or min.")] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="For a surrogate: the target's mm LR,AP,SI for each mm of it.", metavar="LR,AP,SI"),
    ] = None,
    column: Annotated[str | None, typer.Option(help="The surrogate's column, where there are several.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", "-p", help="Draw it to this PNG file.", metavar="FILE")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Print a trace's statistics, and draw it: range, breaths, period, drift, where the time is spent."""
    from ptvkit.io.files import refuse_overwrite
    from ptvkit.io.traces import read_trace
    from ptvkit.motion.cycles import trace_statistics

    with told_warnings() as warned:
        if picture is not None:
            refuse_overwrite([picture], [file])
        found = read_trace(
            file,
            axes=axes,
            patient_position=patient_position,
            units=units,
            time_units=time_units,
            scale=triple("--scale", scale),
            column=column,
        )
        statistics = trace_statistics(found)
        if picture is not None:
            from ptvkit.report.style import save_figure
            from ptvkit.report.trace_chart import trace_figure

            save_figure(trace_figure(found, statistics, title=file.name), picture)
    if json:
        import json as text

        sys.stdout.write(text.dumps(as_json(found, statistics, warned), indent=1) + "\n")
    else:
        print_statistics(found, statistics)


def as_json(trace: "Trajectory", found: "TraceStatistics", warned: list[str]) -> dict[str, Any]:
    """Statistics as plain values; triples are LR, AP, SI."""
    from ptvkit.motion.cycles import position_histogram

    edges, density = position_histogram(trace)
    content: dict[str, Any] = {
        "trace": trace.name,
        "samples": found.samples,
        "duration_s": found.duration_s,
        "interval_s": found.interval_s,
        "largest_gap_s": found.largest_gap_s,
        **{
            name: getattr(found, name).tolist()
            for name in ("mean_mm", "sd_mm", "range_mm", "range95_mm", "drift_mm_per_min", "duty")
        },
        "position_pdf": {"edges_mm": edges.tolist(), "density_per_mm": density.tolist()},
        "breaths": None,
        "warnings": warned,
    }
    if found.cycles is not None:
        content["breaths"] = {
            "axis": found.cycles.axis.tolist(),
            "amplitude_mm": found.cycles.amplitude_mm.tolist(),
            "period_s": found.cycles.period_s.tolist(),
        }
    return content


def print_statistics(trace: "Trajectory", found: "TraceStatistics") -> None:
    """Two tables: each axis, and the breaths along the main axis."""
    import numpy as np
    from rich.table import Table

    stdout = console(120)
    table = Table()
    for column in ("mm", "LR", "AP", "SI"):
        table.add_column(column, justify="left" if column == "mm" else "right")
    for name, values in (
        ("range", found.range_mm),
        ("95 % range", found.range95_mm),
        ("SD", found.sd_mm),
        ("mean", found.mean_mm),
        ("drift per minute", found.drift_mm_per_min),
    ):
        table.add_row(name, *(f"{value:.2f}" for value in values))
    stdout.print(
        f"{printable(Path(trace.name).name)}: {found.samples} samples in {found.duration_s:.1f} s, every"
        f" {found.interval_s:.3g} s (largest gap {found.largest_gap_s:.3g} s); positive towards R, A, S"
    )
    stdout.print(table)
    if found.cycles is None:
        stdout.print("No breaths were found.")
        return
    axis = ", ".join(f"{v:+.2f}" for v in found.cycles.axis)
    stdout.print(f"Breaths along ({axis}), towards where it spends less time:")
    for name, values, unit in (
        ("amplitude", found.cycles.amplitude_mm, "mm"),
        ("period", found.cycles.period_s, "s"),
    ):
        low, high = np.min(values), np.max(values)
        sd = np.std(values, ddof=1) if len(values) > 1 else 0.0
        stdout.print(
            f"  {name:9} {np.mean(values):6.2f} {unit}, SD {sd:.2f}, median {np.median(values):.2f},"
            f" {low:.2f} to {high:.2f} ({len(values)})"
        )
    shares = "  ".join(f"{share:.0%}" for share in found.duty)
    stdout.print(f"  time in each tenth of the 95 % range: {shares}")
