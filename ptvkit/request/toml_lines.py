"""Line numbers of keys in a TOML file, for messages."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
KEY: Final = re.compile(r"""\s*("[^"]*"|'[^']*'|[\w.\-]+)\s*=""")


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    r"""Line, from 1, of the key at a place, or of the innermost table around it that has one.

    Parameters
    ----------
    text : str
        Of the file.
    place : sequence
        Keys, and from 0 numbers of tables in a list of them.

    Examples
    --------
    >>> text = "[a]\nx = 1\n[[b]]\nx = 2\n[[b]]\nx = {y = 3}\n[sweep.parameters]\n'a.z' = [1]"
    >>> line_of(text, ["a", "x"]), line_of(text, ["b", 1, "x", "y"]), line_of(text, ["a", "z"]), line_of(text, ["c"])
    (2, 6, 8, None)
    """
    wanted, dotted = [*place], ".".join(str(step) for step in place)
    table: list[str | int] = []
    counts: Counter[str] = Counter()
    best, found = 0, None
    for number, line in enumerate(text.splitlines(), start=1):
        here: list[str | int]
        if header := HEADER.match(line):
            table = [*header[2].split(".")]
            if header[1] == "[[":
                table.append(counts[header[2]])
                counts[header[2]] += 1
            here = table
        elif key := KEY.match(line):
            name = key[1].strip("\"'")
            if name == dotted:  # of a sweep
                return number
            here = [*table, *([name] if key[1] != name else name.split("."))]
        else:
            continue
        if len(here) > best and here == wanted[: len(here)]:
            best, found = len(here), number
    return found
