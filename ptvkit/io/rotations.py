"""Rotations in tables of text: which columns hold them, about which axes, in which order."""

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.errors import FileError, MotionError, PtvkitWarning
from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.io.columns import Columns

Floats = NDArray[np.float64]

AXES: Final = ("LR", "AP", "SI")
ABOUT_PATIENT: Final = {"RLR": 0, "RAP": 1, "RSI": 2, "PITCH": 0, "YAW": 1, "ROLL": 2}
"""Columns about an axis of the patient (LR, AP, SI)."""
ABOUT_ROOM: Final = {"ROTX": 0, "ROTY": 1, "ROTZ": 2, "RX": 0, "RY": 1, "RZ": 2}
"""Columns about x, y, z, whose directions are stated."""
TO_DEG: Final = {"deg": 1.0, "rad": float(np.degrees(1.0))}


def rotation_axis(name: str) -> str | None:
    """The axis that a column's rotation is about, as its name says: a patient's, or x, y, z; None of other columns."""
    upper = name.upper()
    if upper in ABOUT_PATIENT:
        return AXES[ABOUT_PATIENT[upper]]
    return "xyz"[ABOUT_ROOM[upper]] if upper in ABOUT_ROOM else None


def rotations(columns: Columns, letters: str, order: str | None) -> Floats | None:
    """Rotation vectors (N, 3), right-handed about R, A, S, degrees; None when no column turns anything.

    Parameters
    ----------
    columns : Columns
    letters : str
        Directions of x, y and z; columns about a patient axis are about the letter of that axis.
    order : str or None
        Axes in the order in which their rotations are applied; None is the order of the columns, and said so.

    Raises
    ------
    FileError, MotionError
        When two columns are about one axis, a unit is unknown, or the order does not name the axes.
    """
    signs = {DIRECTIONS[letter].axis: DIRECTIONS[letter].sign for letter in letters}
    angles: dict[int, Floats] = {}
    for index, name in enumerate(columns.names):
        about = rotation_axis(name)
        if about is None:
            continue
        axis = AXES.index(about) if about in AXES else DIRECTIONS[letters["xyz".index(about)]].axis
        if axis in angles:
            raise FileError(f"{columns.path}: two columns hold rotations about the {AXES[axis]} axis; keep one")
        angles[axis] = signs[axis] * _factor(columns, index) * columns.numbers(index)
    if not any(angle.any() for angle in angles.values()):
        return None
    axes = list(angles) if order is None else _stated(order, angles)
    if order is None and sum(bool(angle.any()) for angle in angles.values()) > 1:
        text = " ".join(f"R_{AXES[axis]}" for axis in reversed(axes))
        _warn(f"{columns.path}: nothing states the order of its rotations; taken as R = {text}, the order of columns")
    turned = Rotation.identity(len(columns.rows))
    for axis in axes:
        turned = Rotation.from_rotvec(np.outer(angles[axis], np.eye(3)[axis]), degrees=True) * turned
    found: Floats = turned.as_rotvec(degrees=True)
    return found


def _factor(columns: Columns, index: int) -> float:
    unit = columns.units[index]
    if unit not in TO_DEG:
        name = columns.names[index]
        raise FileError(f"{columns.path}: column {name} has no unit of angles; name it {name}_deg or {name}_rad")
    return TO_DEG[unit]


def _stated(order: str, angles: dict[int, Floats]) -> list[int]:
    words = [word.strip().upper() for word in order.split(",")]
    if sorted(words) != sorted(set(words)) or not all(word in AXES for word in words):
        raise MotionError(f"rotation_order {order!r}: name the axes LR, AP, SI once each, as in 'LR,SI,AP'")
    axes = [AXES.index(word) for word in words]
    if lacking := [AXES[axis] for axis in angles if axis not in axes]:
        raise MotionError(f"rotation_order {order!r}: lacks {', '.join(lacking)}, about which the file has rotations")
    return [axis for axis in axes if axis in angles]


def _warn(message: str) -> None:
    warnings.warn(message, PtvkitWarning, stacklevel=5)
