"""Tables of daily set-up shifts."""

import os
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, MotionError
from ptvkit.io.columns import Columns, column_named, displacements, read_columns
from ptvkit.text import printable, whole_number

PATIENT_NAMES: Final = ("patient", "patient_id", "id", "case")
FRACTION_NAMES: Final = ("fraction", "fx", "date", "day")
NUMBERED: Final = ("fraction", "fx")
"""Columns that count the fractions, so that a gap shows."""
Sign = Literal["displacement", "couch"]
SAYS: Final[dict[str, Sign]] = {
    **dict.fromkeys(("couch", "table", "correction", "corrections"), "couch"),
    **dict.fromkeys(("displacement", "displacements", "anatomy", "tumour", "tumor", "target"), "displacement"),
}
"""Words of a header that say what a shift is."""


def read_shifts(
    path: str | os.PathLike[str],
    *,
    sign: Sign | None = None,
    axes: str | None = None,
    patient_position: str | None = None,
    units: str | None = None,
    allow_gaps: bool = False,
) -> dict[str, NDArray[np.float64]]:
    """Read daily shifts of a population: one row for each fraction.

    Parameters
    ----------
    path : path-like
        A CSV file with a header: a column ``patient`` and one column per axis with its unit, such as
        ``patient,fraction,LR_mm,AP_mm,SI_mm`` or ``patient,lat_cm,lng_cm,vrt_cm``.
    sign : {"displacement", "couch"}
        Where the anatomy was relative to plan, or how the couch was moved to correct that: minus the displacement. May
        be left out where the header says it: a column ``couch_LR_mm``, or a comment ``# displacement``.
    axes, patient_position, units
        As in `read_trace`.
    allow_gaps : bool
        Whether a patient's numbered fractions may have gaps, as of a protocol that does not image each day.

    Returns
    -------
    dict
        Displacements (N, 3) of each patient in the order of the file, patient frame RAS+, mm.

    Raises
    ------
    FileError
        When the file cannot be read, lacks a column, holds what is not a number, has a fraction twice or lacks one, or
        its header contradicts the sign.
    MotionError
        When sign, axes or units are missing or unknown.
    """
    if sign not in ("displacement", "couch", None):
        raise MotionError(f"{path}: sign {sign!r} is unknown; {_SIGNS}")
    columns = read_columns(Path(path))
    sign = _checked_sign(columns, sign)
    columns = replace(columns, names=tuple(_without_sign(name) for name in columns.names))
    who = column_named(columns, PATIENT_NAMES)
    if who is None:
        raise FileError(f"{path}: no column holds the patient; found {', '.join(columns.names)}")
    moved, missing = displacements(columns, axes=axes, patient_position=patient_position, units=units)
    if missing:
        raise FileError(f"{path}: no column holds {', '.join(missing)}; a set-up shift has three axes")
    _refuse_twice(columns, who)
    if not allow_gaps:
        _refuse_gaps(columns, who)
    names = [row[who].strip() for row in columns.rows]
    shifts = moved if sign == "displacement" else -moved
    return {name: shifts[[n == name for n in names]] for name in dict.fromkeys(names)}


def _refuse_twice(columns: Columns, who: int) -> None:
    """A fraction that a patient has twice is a mistake of the table."""
    when = column_named(columns, FRACTION_NAMES)
    if when is None:
        return
    seen: dict[tuple[str, str], int] = {}
    for line, row in zip(columns.lines, columns.rows, strict=True):
        key = row[who].strip(), row[when].strip()
        if key in seen:
            raise FileError(f"{columns.path}, line {line}: the same patient and fraction as in line {seen[key]}")
        seen[key] = line


_SIGNS: Final = "use 'displacement' (shift of the anatomy) or 'couch' (correction by the couch)"


_STATED: Final = re.compile(rf"#\s*(?:sign\s*[:=]?\s*)?({'|'.join(SAYS)})\b", re.IGNORECASE)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z]+", text.lower()) if word]


def stated_sign(columns: Columns) -> tuple[Sign, str] | None:
    """The sign that a header states, and the text that states it.

    Raises
    ------
    FileError
        When it states both.
    """
    said = {SAYS[word]: name for name in columns.names for word in _words(name) if word in SAYS}
    said |= {SAYS[one[1].lower()]: text for text in columns.comments if (one := _STATED.match(text))}
    if len(said) > 1:
        raise FileError(f"{columns.path}: the header says both {' and '.join(map(repr, said.values()))}; keep one")
    return next(iter(said.items()), None)


def _checked_sign(columns: Columns, sign: Sign | None) -> Sign:
    """The sign of the shifts, as the caller and the header say.

    Raises
    ------
    FileError
        When the two differ.
    MotionError
        When neither says it.
    """
    stated = stated_sign(columns)
    if stated is None:
        if sign is None:
            raise MotionError(f"{columns.path}: sign= is missing, and the header does not say it; {_SIGNS}")
        return sign
    own, text = stated
    if sign not in (None, own):
        raise FileError(f"{columns.path}: the header says {text!r}, a {own} log; sign {sign!r} contradicts it")
    return own


def _without_sign(name: str) -> str:
    """``couch_LR`` as ``LR``."""
    kept = [part for part in re.split(r"[_ ]+", name) if part.lower() not in SAYS]
    return " ".join(kept) or name


def _refuse_gaps(columns: Columns, who: int) -> None:
    """A patient's numbered fractions follow each other."""
    when = column_named(columns, NUMBERED)
    if when is None:
        return
    numbers: dict[str, list[int]] = {}
    for row in columns.rows:
        if (number := whole_number(row[when].strip())) is None:
            return  # dates, or names
        numbers.setdefault(row[who].strip(), []).append(number)
    for name, own in numbers.items():
        missing = next((a + 1 for a, b in pairwise(sorted(set(own))) if b - a > 1), None)
        if missing is not None:
            raise FileError(
                f"{columns.path}: patient {printable(name, 40)} has fractions {min(own)} to {max(own)}"
                f" without {missing}; complete the log, or allow gaps where not every fraction is imaged"
            )
