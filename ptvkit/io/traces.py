"""Motion traces: CSV files with a header, and Varian .vxp files."""

import os
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import FileError, MotionError, PtvkitWarning
from ptvkit.io.columns import (
    LENGTHS,
    MOST_BYTES,
    TIMES,
    Columns,
    column_named,
    decoded,
    displacements,
    letters_of,
    read_columns,
    unit_factor,
)
from ptvkit.io.files import open_input
from ptvkit.io.rotations import rotation_axis, rotations
from ptvkit.motion.trajectory import Trajectory
from ptvkit.values import triple

Floats = NDArray[np.float64]

TIME_NAMES: Final = ("t", "time", "timestamp", "seconds", "elapsed")
IRREGULAR: Final = 0.25
"""A step that differs from the median step by more than this share of it is irregular."""
GAP: Final = 3.0
"""A step that is longer than this many median steps is a gap."""


def read_trace(
    path: str | os.PathLike[str],
    *,
    axes: str | None = None,
    patient_position: str | None = None,
    units: str | None = None,
    time_units: str | None = None,
    scale: ArrayLike | None = None,
    column: str | None = None,
    rotation_order: str | None = None,
) -> Trajectory:
    """Read a motion trace, of three or six degrees of freedom.

    A CSV file needs a header that names time and axes with their units (``t_s,LR_mm,AP_mm,SI_mm``; also x, y, z).
    Whatever the file does not state is an argument; nothing is guessed.

    Parameters
    ----------
    path : path-like
        ``.csv``, ``.txt`` or ``.tsv`` with a header, or a Varian RPM/RGSC ``.vxp``.
    axes : str
        ``"IEC61217"``, or three letters for the directions of x, y and z, such as ``"RAS"``. Columns that name a
        patient axis (LR, AP, SI) use the letter of that axis.
    patient_position : str, optional
        For IEC 61217: HFS, HFP, FFS, FFP, HFDR, HFDL, FFDR or FFDL.
    units, time_units : str, optional
        Units where the header has none: mm, cm or m; s, ms or min.
    scale : (3,) array, optional
        For a surrogate such as an external marker: motion of the target (LR, AP, SI; towards R, A, S) in mm for each mm
        of the signal. A ``.vxp`` is always a surrogate. The displacement is the scale times (signal − mean signal).
    column : str, optional
        Column of the surrogate; required when there are several.
    rotation_order : str, optional
        In which order the angles of a file are applied, such as ``"LR,SI,AP"``: about the LR axis first, as in
        ``R = R_AP R_SI R_LR``. By default the order of their columns, and a warning says so. Angles are right-handed
        about the positive directions of the axes, about the target's centroid; the target is turned, then displaced.
        Columns: rLR, rAP, rSI; rotx, roty, rotz (about x, y, z of `axes`); pitch, yaw, roll (about LR, AP, SI).

    Returns
    -------
    Trajectory
        Patient frame RAS+, mm and s, named after the file.

    Raises
    ------
    FileError
        When the file cannot be read, has no header, contains a field that is not a number, or time runs backwards.
    MotionError
        When axes, units or scale are missing, unknown or contradict the file.

    Warns
    -----
    PtvkitWarning
        For samples at the same time (the first is kept), gaps, irregular sampling, missing axes (0), invalid samples of
        a ``.vxp`` (left out), and rotations whose order is not stated.
    """
    file = Path(path)
    turned = None
    if file.suffix.lower() == ".vxp":
        if scale is None:
            raise MotionError(_needs_scale(f"{file}: is a surrogate signal"))
        time, signal = _read_vxp(file)
        moved = _scaled(signal, scale)
    else:
        columns = read_columns(file)
        time = _time(columns, time_units)
        if scale is None:
            moved, missing = displacements(columns, axes=axes, patient_position=patient_position, units=units)
            if missing:
                _warn(f"{file}: no column holds {', '.join(missing)}; that motion is taken as 0")
            turned = rotations(columns, letters_of(axes, patient_position, file), rotation_order)
        else:
            moved = _scaled(_signal(columns, column, units), scale)
    kept = _cleaned(file, time, moved)
    turned = None if turned is None else turned[kept]
    return Trajectory(time_s=time[kept], displacement_mm=moved[kept], rotation_deg=turned, name=str(file))


def _time(columns: Columns, units: str | None) -> Floats:
    index = column_named(columns, TIME_NAMES)
    if index is None:
        raise FileError(
            f"{columns.path}: no column holds the time; found {', '.join(columns.names)}, expected a name such as t_s"
        )
    return columns.numbers(index) * unit_factor(
        columns.path, columns.names[index], columns.units[index], units, TIMES, "time_units="
    )


def _signal(columns: Columns, column: str | None, units: str | None) -> Floats:
    """The surrogate's column, mm."""
    skipped = {column_named(columns, TIME_NAMES), column_named(columns, ("frame",)), column_named(columns, ("phase",))}
    there = [n for n in range(len(columns.names)) if n not in skipped and rotation_axis(columns.names[n]) is None]
    names = [columns.names[n] for n in there]
    if column is None and len(there) != 1:
        raise MotionError(
            f"{columns.path}: several columns could be the surrogate's signal; choose one with"
            f" column=: {', '.join(names)}"
        )
    wanted = [n for n in there if column is None or columns.names[n].lower() == column.lower().removesuffix("_mm")]
    if not wanted:
        raise MotionError(f"{columns.path}: has no column {column!r}; use one of {', '.join(names)}")
    index = wanted[0]
    return columns.numbers(index) * unit_factor(
        columns.path, columns.names[index], columns.units[index], units, LENGTHS, "units="
    )


def _scaled(signal: Floats, scale: ArrayLike) -> Floats:
    towards = triple("scale", np.asarray(scale, float) if np.ndim(scale) else np.empty(0), least=-100.0, most=100.0)
    if not towards.any():
        raise MotionError(
            "scale: (0, 0, 0) means no motion; give the target's mm (LR, AP, SI) for each mm of the signal"
        )
    return np.outer(signal - signal.mean(), towards)


def _needs_scale(begin: str) -> str:
    return (
        f"{begin}, not the target; give scale=, the target's motion (LR, AP, SI) in mm for each mm of it, such as"
        " (0, 0.3, -1.2)"
    )


def _read_vxp(path: Path) -> tuple[Floats, Floats]:
    """Times in s and amplitudes in mm; samples that the system flags as invalid are left out."""
    with open_input(path, "a .vxp file") as file:
        text = decoded(file.read(MOST_BYTES), path)
    head, separator, body = text.partition("[Data]")
    if not separator or "[Header]" not in head:
        raise FileError(f"{path}: is not a .vxp file: it lacks [Header] or [Data]")
    keys = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    layout = [word.strip().lower() for word in keys.get("Data_layout", "").split(",")]
    if "amplitude" not in layout or "timestamp" not in layout:
        raise FileError(f"{path}: Data_layout must name amplitude and timestamp, found {keys.get('Data_layout')!r}")
    first = head.count("\n") + 1
    rows = [(n, line.split(",")) for n, line in enumerate(body.splitlines(), start=first) if line.strip()]
    try:
        to_mm = float(keys.get("Scale_factor", "10.0"))
    except ValueError:
        raise FileError(f"{path}: Scale_factor is {keys['Scale_factor']!r}, not a number") from None
    if not rows or any(len(row) != len(layout) for _, row in rows):
        raise FileError(f"{path}: its rows do not have the {len(layout)} fields of Data_layout")
    columns = Columns(
        path=path,
        names=tuple(layout),
        units=("",) * len(layout),
        rows=[row for _, row in rows],
        lines=[n for n, _ in rows],
    )
    valid = np.ones(len(rows), bool)
    if "validflag" in layout:
        valid = columns.numbers(layout.index("validflag")) >= 0
    if not valid.any():
        raise FileError(f"{path}: every sample is flagged as invalid")
    if not valid.all():
        _warn(f"{path}: {int((~valid).sum())} of {len(valid)} samples are flagged as invalid and left out")
    time, amplitude = (columns.numbers(layout.index(word)) for word in ("timestamp", "amplitude"))
    return time[valid] * TIMES["ms"], amplitude[valid] * to_mm


def _cleaned(path: Path, time: Floats, moved: Floats) -> NDArray[np.bool_]:
    """Samples (T,) at increasing times, with warnings about repeated times, gaps and irregular sampling."""
    steps = np.diff(time)
    if (steps < 0).any():
        at = int((steps < 0).argmax()) + 2
        raise FileError(f"{path}: time runs backwards at sample {at} ({time[at - 1]:g} s); sort or split the file")
    same = np.r_[False, steps == 0]
    if same.any():
        differ = int((same[1:] & (moved[1:] != moved[:-1]).any(axis=1)).sum())
        which = f", {differ} of them with another position" if differ else ""
        _warn(f"{path}: {int(same.sum())} samples repeat the time before them{which}; the first of each is kept")
        time = time[~same]
    if len(time) < 2:
        raise FileError(f"{path}: holds {len(time)} sample; a trace needs at least 2")
    steps = np.diff(time)
    usual = float(np.median(steps))
    gaps = steps > GAP * usual
    odd = (np.abs(steps - usual) > IRREGULAR * usual) & ~gaps
    if gaps.any():
        _warn(f"{path}: {int(gaps.sum())} gaps, the longest {steps.max():.2f} s; bridged by straight lines")
    if odd.sum() > 0.01 * len(steps):
        _warn(f"{path}: sampled irregularly, every {steps[~gaps].min():.3g} to {steps[~gaps].max():.3g} s")
    kept: NDArray[np.bool_] = ~same
    return kept


def _warn(message: str) -> None:
    warnings.warn(message, PtvkitWarning, stacklevel=4)
