"""What an argument may be: checks with messages that name it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError, PtvkitError

LARGEST_MM = 200.0

Triple = Sequence[float] | float
Refusal = type[PtvkitError]


def triple(
    name: str, given: ArrayLike, *, least: float = 0.0, most: float = LARGEST_MM, error: Refusal = MotionError
) -> NDArray[np.float64]:
    """A read-only (3,) array (LR, AP, SI); one number stands for all three.

    Raises
    ------
    PtvkitError
        Of the class `error`.
    """
    try:
        array = np.asarray(given, float)
        value = np.broadcast_to(array, (3,)).copy() if array.ndim == 0 else array.copy()
    except (TypeError, ValueError):
        value = np.empty(0)
    if value.shape != (3,):
        raise error(f"{name}: needs one number or three (LR, AP, SI), found {given!r}")
    if not np.isfinite(value).all() or (value < least).any() or (value > most).any():
        raise error(f"{name}: needs numbers from {least:g} to {most:g}, found {_told(value)}")
    value.setflags(write=False)
    return value


def vector(checked: ArrayLike) -> NDArray[np.float64]:
    """A field that `triple` has checked, as the array (3,) that it is."""
    return np.asarray(checked, float)


def number(
    name: str, given: float, *, least: float, most: float, above: bool = False, error: Refusal = MotionError
) -> float:
    """A finite number in a range; `above` leaves the least itself out.

    Raises
    ------
    PtvkitError
        Of the class `error`.
    """
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value) or value > most or value < least or (above and value == least):
        raise error(f"{name}: needs a number {'above' if above else 'from'} {least:g} to {most:g}, found {given}")
    return value


def whole(name: str, given: int, *, least: int, most: int, error: Refusal = MotionError) -> int:
    """A whole number in a range.

    Raises
    ------
    PtvkitError
        Of the class `error`.
    """
    try:
        value = int(given)
        right = value == given and least <= value <= most
    except (TypeError, ValueError, OverflowError):
        right = False
    if not right:
        raise error(f"{name}: needs a whole number from {least} to {most}, found {given}")
    return value


def choice(name: str, given: str, legal: Sequence[str], *, error: Refusal = MotionError) -> str:
    """One of some words.

    Raises
    ------
    PtvkitError
        Of the class `error`.
    """
    if given not in legal:
        raise error(f"{name}: use {', '.join(repr(word) for word in legal)}; found {given!r}")
    return given


def is_snapshot(reference: object) -> bool:
    """Whether a reference position is a random phase."""
    return isinstance(reference, str) and reference == "snapshot"


def _told(value: NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{v:g}" for v in value) + ")"
