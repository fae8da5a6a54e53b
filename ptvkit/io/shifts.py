"""Tables of daily set-up shifts."""

import os
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, MotionError
from ptvkit.io.columns import Columns, column_named, displacements, read_columns

PATIENT_NAMES: Final = ("patient", "patient_id", "id", "case")
FRACTION_NAMES: Final = ("fraction", "fx", "date", "day")


def read_shifts(
    path: str | os.PathLike[str],
    *,
    sign: Literal["displacement", "couch"],
    axes: str | None = None,
    patient_position: str | None = None,
    units: str | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Read daily shifts of a population: one row for each fraction.

    Parameters
    ----------
    path : path-like
        A CSV file with a header: a column ``patient`` and one column per axis with its unit, such as
        ``patient,fraction,LR_mm,AP_mm,SI_mm`` or ``patient,lat_cm,lng_cm,vrt_cm``.
    sign : {"displacement", "couch"}
        Where the anatomy was relative to plan, or how the couch was moved to correct that: minus the displacement.
    axes, patient_position, units
        As in `read_trace`.

    Returns
    -------
    dict
        Displacements (N, 3) of each patient in the order of the file, patient frame RAS+, mm.

    Raises
    ------
    FileError
        When the file cannot be read, lacks a column, or holds what is not a number.
    MotionError
        When sign, axes or units are missing or unknown.
    """
    if sign not in ("displacement", "couch"):
        raise MotionError(
            f"{path}: sign {sign!r} is unknown; use 'displacement' (shift of the anatomy) or 'couch'"
            " (correction by the couch)"
        )
    columns = read_columns(Path(path))
    who = column_named(columns, PATIENT_NAMES)
    if who is None:
        raise FileError(f"{path}: no column holds the patient; found {', '.join(columns.names)}")
    moved, missing = displacements(columns, axes=axes, patient_position=patient_position, units=units)
    if missing:
        raise FileError(f"{path}: no column holds {', '.join(missing)}; a set-up shift has three axes")
    _refuse_twice(columns, who)
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
