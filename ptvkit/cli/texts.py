"""From the text of an option to its value."""

from pathlib import Path
from typing import Any

from ptvkit.errors import FileError, MarginError, MotionError
from ptvkit.text import whole_number


def triple(text: str) -> float | list[float]:
    """One number, or three with commas between.

    Examples
    --------
    >>> triple("2"), triple("2,2,3")
    (2.0, [2.0, 2.0, 3.0])
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise MotionError("give one number, or three for LR,AP,SI")
    return numbers[0] if len(numbers) == 1 else numbers


def setup_error(text: str) -> dict[str, Any]:
    """``NAME:Σ/σ[:SEEN_BY]`` as a table of errors.

    Examples
    --------
    >>> setup_error("drawing:2:nothing")
    {'name': 'drawing', 'systematic_mm': 2.0, 'random_mm': 0.0, 'seen_by': 'nothing'}
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or parts[1].count("/") > 1:
        raise MotionError("give NAME:Σ/σ or NAME:Σ/σ:SEEN_BY, as in 'set-up:2,2,3/2,2,3'")
    systematic, _, random = parts[1].partition("/")
    table = {"name": parts[0], "systematic_mm": triple(systematic), "random_mm": triple(random or "0")}
    return table if len(parts) == 2 else {**table, "seen_by": parts[2]}


def number_or_text(text: str) -> int | str:
    """A whole number where the text is one, else the text: labels, lesions."""
    number = whole_number(text)
    return text if number is None else number


def spacing_or_file(text: str) -> float | str:
    """A spacing in mm, or the name of an image."""
    try:
        return float(text)
    except ValueError:
        return text


def triple_or_word(text: str) -> str | float | list[float]:
    """A word, or three numbers."""
    return triple(text) if "," in text else text


def lesion_margin(text: str) -> tuple[str, str]:
    """``N:MARGIN`` as the lesion's number and its margin."""
    number, colon, margin = text.partition(":")
    if not colon or not isinstance(number_or_text(number), int):
        raise MarginError("give N:MARGIN, N the lesion's number (1 is the largest)")
    return number, margin


def setting(text: str) -> tuple[str, Any]:
    """``KEY=VALUE`` as the key and its value."""
    from ptvkit.request.keys import parse_setting

    return parse_setting(text)


def place(text: str) -> Path:
    """A file or folder to write.

    Raises
    ------
    FileError
        When it is empty, which would mean the working folder.
    """
    if not text.strip():
        raise FileError("is empty; name a file or folder, '.' for this one")
    return Path(text)


def folder(text: str) -> Path:
    """A folder to write to.

    Raises
    ------
    FileError
        When it is empty, or a file.
    """
    path = place(text)
    if path.exists() and not path.is_dir():
        raise FileError("is a file; give a folder to write to")
    return path


def part(text: str) -> tuple[int, int]:
    """``i/n`` as two numbers."""
    first, slash, second = (number_or_text(one) for one in text.partition("/"))
    if not (slash and isinstance(first, int) and isinstance(second, int)):
        raise MotionError("give i/n, such as 3/20")
    return first, second


def at_least_one(count: int) -> int:
    """A number of processes."""
    if count < 1:
        raise MotionError("needs 1 or more")
    return count
