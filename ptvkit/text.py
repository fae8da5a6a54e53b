"""Names of files and structures are text: how they are shown, written into tables and read as numbers."""

import re
from typing import Final

LONGEST_SHOWN: Final = 200
_FORMULA: Final = ("=", "+", "-", "@")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,10}")


def printable(text: str, longest: int | None = None) -> str:
    r"""Text as it may be printed: control characters escaped, so that a name cannot move a terminal's cursor.

    Parameters
    ----------
    text : str
    longest : int, optional
        Longer text is cut in its middle.

    Examples
    --------
    >>> printable("p\x1b[2J1")
    'p\\x1b[2J1'
    >>> printable("9" * 5000, longest=9)
    '9999…9999'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if longest is None or len(shown) <= longest:
        return shown
    half = (longest - 1) // 2
    return f"{shown[:half]}…{shown[-half:]}"


def csv_text(text: str) -> str:
    """Text as a cell of a CSV file: what a spreadsheet would run as a formula begins with an apostrophe.

    Examples
    --------
    >>> csv_text("=1+1"), csv_text("p01")
    ("'=1+1", 'p01')
    """
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(("\t", "\r", "'")) else text


def text_from_csv(cell: str) -> str:
    """The text of a cell that `csv_text` wrote.

    Examples
    --------
    >>> text_from_csv(csv_text("=1+1"))
    '=1+1'
    """
    return cell.removeprefix("'")


def whole_number(text: str) -> int | None:
    """The whole number that text is; None for other text, also for numbers of more than ten digits.

    Examples
    --------
    >>> whole_number("12"), whole_number("liver"), whole_number("9" * 5000)
    (12, None, None)
    """
    return int(text) if _WHOLE.fullmatch(text) else None
