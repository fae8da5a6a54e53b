"""`ptvkit self-test`: whether this installation does what it says."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ptvkit.cli.options import output_folder, print_rows

if TYPE_CHECKING:
    from ptvkit.trust.self_test import SelfTest

FAILED = 3


def self_test(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for self-test.json and self-test.html, to print.", metavar="DIR"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print self-test.json instead of the tables.")] = False,
) -> None:
    """Send an asymmetric body through every file format, and hold margins, coverage and dose against formulas.

    Exit status 0: all passed; 3: something failed, and it is said what.
    """
    from ptvkit.trust.self_test import as_json, run_self_test

    folder = None if out is None else output_folder(out)
    found = run_self_test()
    if folder is not None:
        from ptvkit.io.files import write_together
        from ptvkit.io.provenance import write_json
        from ptvkit.report.self_test_page import write_self_test_page

        with write_together(folder) as stage:
            write_json(stage / "self-test.json", as_json(found))
            write_self_test_page(found, stage / "self-test.html")
    if json:
        from json import dumps

        sys.stdout.write(dumps(as_json(found), indent=2) + "\n")
    else:
        _print(found)
    for line in found.failures:
        print(f"ptvkit: self-test failed: {line}", file=sys.stderr)
    if not found.passed:
        raise typer.Exit(FAILED)


def _print(found: "SelfTest") -> None:
    formats = [("format", "grids", "R L A P S I went to", "most off, mm", "result")]
    formats += [
        (
            one.name,
            str(one.tried or ""),
            " ".join(one.went.values()),
            f"{one.off_mm:.4f}" if one.tried else "",
            one.state,
        )
        for one in found.journeys
    ]
    print_rows(formats, "Which way is which", "")
    figures = [("case", "quantity", "expected", "found", "deviation", "tolerance", "", "result")]
    figures += [
        (
            one.case,
            one.quantity,
            f"{one.expected:.3f}",
            f"{one.found:.3f}",
            f"{one.deviation:+.3f}",
            f"{one.tolerance:.3f}",
            one.unit,
            "passed" if one.passed else "FAILED",
        )
        for one in found.figures
    ]
    release = found.versions["ptvkit"]
    print_rows(figures, "Figures against formulas", f"ptvkit {release}, {found.machine}, {found.seconds:.1f} s")
    print("passed" if found.passed else f"FAILED: {len(found.failures)}")
