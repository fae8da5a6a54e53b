"""Tables in text files: columns, units and patient axes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, MotionError
from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.io.files import open_input

Floats = NDArray[np.float64]

LENGTHS: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
TIMES: Final = {"s": 1.0, "sec": 1.0, "ms": 0.001, "min": 60.0}
MOST_BYTES: Final = 500_000_000

IEC61217: Final = {
    # the directions of the fixed axes X, Y, Z for a patient who lies so on the couch
    "HFS": "LSA",
    "HFP": "RSP",
    "FFS": "RIA",
    "FFP": "LIP",
    "HFDR": "PSL",
    "HFDL": "ASR",
    "FFDR": "AIL",
    "FFDL": "PIR",
}
"""IEC 61217 fixed coordinates: X to the right of an observer before the gantry, Y to the gantry, Z up."""

NAMED: Final = {"LR": 0, "RL": 0, "ML": 0, "AP": 1, "PA": 1, "SI": 2, "IS": 2, "CC": 2}
"""Columns that name a patient axis; the positive direction is stated separately."""
PLAIN: Final = {"X": 0, "LAT": 0, "LATERAL": 0, "Y": 1, "LNG": 1, "LONGITUDINAL": 1, "Z": 2, "VRT": 2, "VERTICAL": 2}
"""Columns that name an axis of the treatment room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Table of a text file.

    Attributes
    ----------
    path : Path
    names : tuple of str
        Column names without units.
    units : tuple of str
        Column units; ``""`` where the header has none.
    rows : list
        Fields of each row.
    lines : list of int
        Line number of each row in the file.
    comments : tuple of str
        Lines that start with ``#``.
    """

    path: Path
    names: tuple[str, ...]
    units: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    comments: tuple[str, ...] = ()

    def numbers(self, column: int) -> Floats:
        """Values of a column, all finite.

        Raises
        ------
        FileError
            When a field is not a finite number; the message names its line.
        """
        values = np.empty(len(self.rows))
        for n, row in enumerate(self.rows):
            text = row[column].strip()
            try:
                values[n] = float(text)
            except ValueError:
                values[n] = np.nan
            if not np.isfinite(values[n]):
                raise FileError(
                    f"{self.path}, line {self.lines[n]}: {self.names[column]} is {text!r}, not a number;"
                    " correct or remove that line"
                )
        return values


def read_columns(path: Path) -> Columns:
    """Read a table with a header line; fields separated by comma, semicolon or tab; ``#`` starts a comment.

    Raises
    ------
    FileError
        When it cannot be read, has no header, or a line has another number of fields.
    """
    with open_input(path, "a text file with columns, .csv") as file:
        text = decoded(file.read(MOST_BYTES), path)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip() and line.strip()[0] != "#"]
    if len(lines) < 2:
        raise FileError(f"{path}: has no rows under a header; expected a line of column names, then numbers")
    between = max(",;\t", key=lines[0][1].count)
    header = [field.strip() for field in lines[0][1].split(between)]
    if all(_is_number(field) for field in header):
        raise FileError(f"{path}: the first line has no column names; add a header such as t_s,LR_mm,AP_mm,SI_mm")
    rows = [line.split(between) for _, line in lines[1:]]
    for (number, _), row in zip(lines[1:], rows, strict=True):
        if len(row) != len(header):
            raise FileError(f"{path}, line {number}: has {len(row)} fields, the header {len(header)}")
    named = [_name_and_unit(field) for field in header]
    return Columns(
        path=path,
        names=tuple(name for name, _ in named),
        units=tuple(unit for _, unit in named),
        rows=rows,
        lines=[number for number, _ in lines[1:]],
        comments=tuple(line.strip() for line in text.splitlines() if line.strip().startswith("#")),
    )


def decoded(content: bytes, path: Path) -> str:
    """Text of a file.

    Raises
    ------
    FileError
        When the content is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(f"{path}: is not a text file in UTF-8; export it as CSV") from None


def displacements(
    columns: Columns, *, axes: str | None, patient_position: str | None, units: str | None
) -> tuple[Floats, tuple[str, ...]]:
    """Positions (N, 3), patient frame RAS+, mm, and the names of axes without a column (0 in the array).

    Parameters
    ----------
    columns : Columns
    axes : str
        ``"IEC61217"``, or three letters for the directions of the columns, one of each pair: ``"RAS"``, ``"LSA"``.
        Columns x, y, z use them in this order; columns that name an axis (LR, AP, SI) use the letter of that axis.
    patient_position : str
        For IEC 61217: HFS, HFP, FFS, FFP, HFDR, HFDL, FFDR or FFDL.
    units : str
        Unit where the header has none: mm, cm or m.
    """
    letters = letters_of(axes, patient_position, columns.path)
    signs = {DIRECTIONS[letter].axis: DIRECTIONS[letter].sign for letter in letters}
    moved, known = np.zeros((len(columns.rows), 3)), set()
    for index, name in enumerate(columns.names):
        axis = _axis(name, letters)
        if axis is None:
            continue
        if axis in known:
            raise FileError(f"{columns.path}: two columns hold the {_pair(axis)} axis; keep one")
        known.add(axis)
        scale = unit_factor(columns.path, name, columns.units[index], units, LENGTHS, "units=")
        moved[:, axis] = signs[axis] * scale * columns.numbers(index)
    if not known:
        raise FileError(
            f"{columns.path}: no column holds a position; found {', '.join(columns.names)}, expected names such as"
            " x, y, z or LR, AP, SI with a unit (LR_mm)"
        )
    return moved, tuple(_pair(axis) for axis in range(3) if axis not in known)


def letters_of(axes: str | None, patient_position: str | None, path: Path) -> str:
    """Directions of X, Y and Z, as three letters.

    Raises
    ------
    MotionError
        When the axes are missing or unknown.
    """
    if axes is None:
        raise MotionError(
            f"{path}: axes= is missing; give 'IEC61217' with patient_position=, or three letters for the directions of"
            " the columns x, y, z, such as 'RAS' or 'LSA'"
        )
    if axes.upper().replace(" ", "") in ("IEC61217", "IEC"):
        if patient_position is None:
            raise MotionError(f"{path}: axes IEC61217 need patient_position=: {', '.join(IEC61217)}")
        if patient_position.upper() not in IEC61217:
            raise MotionError(f"patient_position {patient_position!r}: use one of {', '.join(IEC61217)}")
        return IEC61217[patient_position.upper()]
    letters = axes.upper()
    if len(letters) != 3 or {DIRECTIONS[c].axis for c in letters if c in DIRECTIONS} != {0, 1, 2}:
        raise MotionError(f"axes {axes!r}: use 'IEC61217', or three letters, one of each of R/L, A/P, S/I, as in 'RAS'")
    return letters


def unit_factor(
    path: Path, name: str, header_unit: str, unit: str | None, known: dict[str, float], option: str
) -> float:
    """Factor from a column's unit to mm or s.

    Raises
    ------
    FileError, MotionError
        When header and caller both lack the unit, or differ.
    """
    if unit is not None and unit not in known:
        raise MotionError(f"{option}{unit!r}: use one of {', '.join(known)}")
    if header_unit and unit is not None and known.get(header_unit) != known[unit]:
        raise MotionError(f"{path}: the header says {name} is in {header_unit}, {option}{unit!r} says otherwise")
    if header_unit in known:
        return known[header_unit]
    if header_unit:
        raise FileError(f"{path}: column {name} is in {header_unit!r}; known units are {', '.join(known)}")
    if unit is None:
        raise FileError(f"{path}: column {name} has no unit; name it {name}_{next(iter(known))}, or give {option}")
    return known[unit]


def column_named(columns: Columns, words: Sequence[str]) -> int | None:
    """Index of the first column with one of these names, or None."""
    names = [name.lower() for name in columns.names]
    return next((names.index(word) for word in words if word in names), None)


def _axis(name: str, letters: str) -> int | None:
    """Patient axis of a column, or None."""
    upper = name.upper()
    if upper in NAMED:
        return NAMED[upper]
    return DIRECTIONS[letters[PLAIN[upper]]].axis if upper in PLAIN else None


def _pair(axis: int) -> str:
    return ("LR", "AP", "SI")[axis]


def _name_and_unit(field: str) -> tuple[str, str]:
    """``LR_mm``, ``LR (mm)``, ``LR [mm]`` and ``LR mm`` as a name and a unit."""
    bracket = re.fullmatch(r"\s*(.*?)\s*[\(\[]\s*(.*?)\s*[\)\]]\s*", field)
    if bracket:
        return bracket[1], bracket[2].lower()
    parts = re.fullmatch(r"(.+?)[_ ]+([A-Za-z]+)", field)
    if parts and parts[2].lower() in {*LENGTHS, *TIMES, "deg", "rad"}:
        return parts[1], parts[2].lower()
    return field, ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
