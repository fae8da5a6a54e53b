"""How the words of a command line become values."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ptvkit.errors import FileError, PtvkitWarning
from ptvkit.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from ptvkit.io.naming import StructureRef
    from ptvkit.motion.simulate import Progress


def structure(text: str, label: str | None = None) -> "StructureRef":
    """The structure that an argument names, with its label where another option gives it."""
    from ptvkit.io.naming import StructureRef, label_of

    return StructureRef.parse(text) if label is None else StructureRef.at(Path(text), label_of(label))


@contextmanager
def told_warnings() -> Iterator[list[str]]:
    """Print each warning as one line on stderr, and collect it."""
    seen: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", PtvkitWarning)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, PtvkitWarning):
                usual(message, category, filename, lineno, file, line)
            elif str(message) not in seen:
                seen.append(str(message))
                print(f"ptvkit: warning: {printable(str(message))}", file=sys.stderr)

        warnings.showwarning = show
        yield seen


def output_folder(path: Path) -> Path:
    """The folder to write to; refused when it is a file."""
    if path.exists() and not path.is_dir():
        raise FileError(f"{path}: is a file; give a folder to write to")
    return path


def note(warned: list[str], text: str) -> None:
    """A remark that is no warning: said, and kept in the result."""
    warned.append(text)
    print(f"ptvkit: {printable(text)}", file=sys.stderr)


def console(width: int = 140) -> "Console":
    """Stdout for tables and text; names are text, never markup."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else width, highlight=False, markup=False, emoji=False)


def print_rows(rows: Sequence[Sequence[str]], title: str, caption: str) -> None:
    """A table on stdout: headings first; the first column and those without a heading to the left."""
    from rich.table import Table

    table = Table(title=printable(title), title_justify="left", caption_justify="left")
    table.caption = caption
    headings, *lines = rows
    for column, heading in enumerate(headings):
        table.add_column(printable(heading), justify="right" if column and heading else "left")
    for line in lines:
        table.add_row(*map(printable, line))
    console().print(table)


@contextmanager
def progress_bar(what: str) -> "Iterator[Progress | None]":
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
