"""`ptvkit check`: which derived files are no longer what was written."""

from pathlib import Path
from typing import Final

import typer

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import print_json, print_rows, say
from ptvkit.cli.stopping import FAILED

OPTIONS: Final = (
    argument("path", "A file, or a folder with results; folders in it are checked too.", is_required=True),
    option("--all", "List fresh files too.", kind=bool, default=False),
    option("--strict", "A file of another version of ptvkit is not fresh.", kind=bool, default=False),
    groups.JSON,
)


def check(words: Words) -> None:
    """List the files that were edited, are stale because an input changed, or have no record.

    Exit status 0: all are fresh; 3: some are not.
    """
    from ptvkit.trust.check import as_json, failing
    from ptvkit.trust.check import check as checked

    path = Path(words["path"])
    findings = checked(path)
    wrong = failing(findings, strict=words["strict"])
    if words.json:
        print_json(as_json(path, findings))
    else:
        shown = [one for one in findings if words["all"] or one.reason or not one.is_fresh]
        files = "1 derived file" if len(findings) == 1 else f"{len(findings)} derived files"
        verdict = f"{files}: {f'{wrong.total()} not fresh' if wrong else 'all fresh'}"
        if shown:
            rows = [("file", "state", "why"), *((one.path.as_posix(), one.state, one.reason) for one in shown)]
            print_rows(rows, "Derived files", "", is_text=True)
        say(verdict)
    if wrong:
        raise typer.Exit(FAILED)


COMMANDS: Final = (("check", check, OPTIONS),)
