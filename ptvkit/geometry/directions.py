"""Anatomical directions: the six letters R L A P S I and the three patient axes (LR, AP, SI).

The patient frame is RAS+ in millimetres: a triple is always (LR, AP, SI), positive towards R, A, S. This is the only
module that knows which letter is which sign.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Direction(NamedTuple):
    """One anatomical direction: its letter, its name, its patient axis (0, 1, 2) and its sign on that axis."""

    letter: str
    name: str
    axis: int
    sign: int


DIRECTIONS: Final[dict[str, Direction]] = {
    d.letter: d
    for d in (
        Direction("R", "right", 0, +1),
        Direction("L", "left", 0, -1),
        Direction("A", "anterior", 1, +1),
        Direction("P", "posterior", 1, -1),
        Direction("S", "superior", 2, +1),
        Direction("I", "inferior", 2, -1),
    )
}

OPPOSITES: Final = (("R", "L"), ("A", "P"), ("S", "I"))
"""Positive and negative direction of each patient axis (LR, AP, SI)."""


def letter_of(axis: int, sign: float) -> str:
    """Letter of the direction on a patient axis.

    Examples
    --------
    >>> letter_of(2, -1)
    'I'
    """
    return next(d.letter for d in DIRECTIONS.values() if d.axis == axis and d.sign * sign > 0)


def axis_codes(unit_columns: NDArray[np.float64]) -> tuple[str, str, str]:
    """Letters towards which the three array axes mostly point.

    Parameters
    ----------
    unit_columns : (3, 3) array
        Unit vector of each array axis in its columns, patient frame RAS+.

    Returns
    -------
    tuple of str
        One letter for each array axis; each patient axis is used once.

    Examples
    --------
    >>> axis_codes(np.diag([-1.0, -1.0, 1.0]))
    ('L', 'P', 'S')
    """
    left_over = np.abs(unit_columns).copy()
    codes = [""] * 3
    for _ in range(3):
        patient, array = np.unravel_index(int(np.argmax(left_over)), (3, 3))
        codes[array] = letter_of(int(patient), unit_columns[patient, array])
        left_over[patient, :] = -1.0
        left_over[:, array] = -1.0
    return (codes[0], codes[1], codes[2])
