"""What a command prints: tables, remarks, JSON; names are text, never markup or commands of the terminal."""

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from ptvkit.errors import PtvkitWarning
from ptvkit.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.text import Text

PIPE_WIDTH: Final = 140
LONGEST_MESSAGE: Final = 2000


def lines(text: str) -> str:
    """Text of several lines, each as it may be printed."""
    return "\n".join(map(printable, text.split("\n")))


def say(text: str) -> None:
    """Print a line on stdout."""
    print(lines(text))


def remark(text: str) -> None:
    """Print a line on stderr."""
    print("ptvkit: " + printable(" ".join(text.split()), LONGEST_MESSAGE), file=sys.stderr)


def print_json(content: Mapping[str, Any], kind: str | None = None) -> None:
    """Print JSON on stdout, its schema first; numbers that are not finite are null.

    Parameters
    ----------
    content : mapping
    kind : str, optional
        Of `JSON_SCHEMAS`; without it the content names its schema, or is an error.
    """
    import json

    from ptvkit.io.provenance import JSON_SCHEMAS

    schema = {} if kind is None else {"schema": JSON_SCHEMAS[kind]}
    sys.stdout.write(json.dumps(_finite({**schema, **content}), indent=1, allow_nan=False) + "\n")


def print_file(path: "Path") -> None:
    """Print a file of JSON that was written."""
    sys.stdout.write(path.read_text(encoding="utf-8"))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and value - value != 0 else value


def console(width: int = PIPE_WIDTH) -> "Console":
    """Stdout, with a fixed width where it is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else width, highlight=False, markup=False, emoji=False)


def cell(text: str) -> "Text":
    """Text as it stands."""
    from rich.text import Text

    return Text(lines(text))


def print_rows(rows: Sequence[Sequence[str]], title: str, caption: str, *, is_text: bool = False) -> None:
    """A table on stdout: headings first; the first column and those without a heading to the left."""
    from rich.table import Table

    table = Table(title=cell(title), title_justify="left", caption=cell(caption), caption_justify="left")
    headings, *lines = rows
    for column, heading in enumerate(headings):
        is_number = column and heading and not is_text
        table.add_column(cell(heading), justify="right" if is_number else "left", overflow="fold")
    for line in lines:
        table.add_row(*map(cell, line))
    console().print(table)


@contextmanager
def shown_warnings() -> Iterator[list[str]]:
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
                remark(f"warning: {message}")

        warnings.showwarning = show
        yield seen
