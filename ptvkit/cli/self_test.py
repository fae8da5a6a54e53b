"""`ptvkit self-test`: whether this installation does what it says."""

from typing import TYPE_CHECKING, Final

import typer

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, option
from ptvkit.cli.printing import print_json, print_rows, remark, say
from ptvkit.cli.progress import progress_of
from ptvkit.cli.stopping import FAILED
from ptvkit.cli.texts import folder

if TYPE_CHECKING:
    from ptvkit.trust.self_test import SelfTest

OPTIONS: Final = (
    option("--out -o", "Folder for self-test.json and self-test.html, to print.", metavar="DIR", value=folder),
    groups.JSON,
)


def self_test(words: Words) -> None:
    """Send an asymmetric body through every file format, and compare margins, coverage and dose with formulas.

    Exit status 0: all passed; 3: something failed, and it is said what.
    """
    from ptvkit.trust.self_test import as_json, run_self_test

    with progress_of("self-test", json=words.json):
        results = run_self_test()
    if words["out"] is not None:
        from ptvkit.io.files import write_together
        from ptvkit.io.provenance import write_json
        from ptvkit.report.self_test_page import write_self_test_page

        with write_together(words["out"]) as stage:
            write_json(stage / "self-test.json", as_json(results))
            write_self_test_page(results, stage / "self-test.html")
    if words.json:
        print_json(as_json(results))
    else:
        _print(results)
    for line in results.failures:
        remark(f"self-test failed: {line}")
    if not results.passed:
        raise typer.Exit(FAILED)


COMMANDS: Final = (("self-test", self_test, OPTIONS),)


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
    say("passed" if found.passed else f"FAILED: {len(found.failures)}")
