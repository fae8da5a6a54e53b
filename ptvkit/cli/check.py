"""`ptvkit check`: which derived files are no longer what was made."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ptvkit.cli.options import console
from ptvkit.text import printable

FAILED = 3


def check(
    path: Annotated[
        Path, typer.Argument(help="A file, or a folder with results; folders in it are checked too.", metavar="PATH")
    ],
    every: Annotated[bool, typer.Option("--all", help="List fresh files too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A file of another version of ptvkit is not fresh.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Tell which files were edited, are stale because an input changed, or have no record.

    Exit status 0: all are fresh; 3: some are not.
    """
    from ptvkit.trust.check import as_json, failing
    from ptvkit.trust.check import check as checked

    findings = checked(path)
    wrong = failing(findings, strict=strict)
    if json:
        from json import dumps

        sys.stdout.write(dumps(as_json(path, findings), indent=2) + "\n")
    else:
        rows = [
            (finding.path.as_posix(), finding.state, finding.reason)
            for finding in findings
            if every or finding.reason or not finding.is_fresh
        ]
        _print(rows, len(findings), wrong.total())
    if wrong:
        raise typer.Exit(FAILED)


def _print(rows: list[tuple[str, str, str]], count: int, wrong: int) -> None:
    from rich.table import Table

    stdout = console(160)
    if rows:
        table = Table(title="Derived files", title_justify="left")
        for heading in ("file", "state", "why"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*map(printable, row))
        stdout.print(table)
    files = "1 derived file" if count == 1 else f"{count} derived files"
    stdout.print(f"{files}: {'all fresh' if not wrong else f'{wrong} not fresh'}")
