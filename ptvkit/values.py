"""Argument validation, with messages that name the argument."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError, PtvkitError

LARGEST_MM = 200.0

Triple = Sequence[float] | float
Refusal = type[PtvkitError]


def triple(
    name: str, raw: ArrayLike, *, least: float = 0.0, most: float = LARGEST_MM, error: Refusal = MotionError
) -> NDArray[np.float64]:
    """Validated read-only array (3,) (LR, AP, SI); one number is used for all three axes.

    Raises
    ------
    PtvkitError
        Class `error`; when the value is not valid.
    """
    try:
        array = np.asarray(raw, float)
        value = np.broadcast_to(array, (3,)).copy() if array.ndim == 0 else array.copy()
    except (TypeError, ValueError):
        value = np.empty(0)
    if value.shape != (3,):
        raise error(f"{name}: needs one number or three (LR, AP, SI), found {raw!r}")
    if not np.isfinite(value).all() or (value < least).any() or (value > most).any():
        raise error(f"{name}: needs numbers from {least:g} to {most:g}, found {_in_parentheses(value)}")
    value.setflags(write=False)
    return value


def vector(checked: ArrayLike) -> NDArray[np.float64]:
    """Array (3,) of a field that `triple` has validated."""
    return np.asarray(checked, float)


def number(
    name: str, raw: float, *, least: float, most: float, above: bool = False, error: Refusal = MotionError
) -> float:
    """Validated finite number in a range; `above` excludes the lower limit.

    Raises
    ------
    PtvkitError
        Class `error`; when the value is not valid.
    """
    try:
        value = float(raw)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value) or value > most or value < least or (above and value == least):
        raise error(f"{name}: needs a number {'above' if above else 'from'} {least:g} to {most:g}, found {raw}")
    return value


def whole(name: str, raw: int, *, least: int, most: int, error: Refusal = MotionError) -> int:
    """Validated whole number in a range.

    Raises
    ------
    PtvkitError
        Class `error`; when the value is not valid.
    """
    try:
        value = int(raw)
        right = value == raw and least <= value <= most
    except (TypeError, ValueError, OverflowError):
        right = False
    if not right:
        raise error(f"{name}: needs a whole number from {least} to {most}, found {raw}")
    return value


def choice(name: str, raw: str, legal: Sequence[str], *, error: Refusal = MotionError) -> str:
    """Validated choice from a list of words.

    Raises
    ------
    PtvkitError
        Class `error`; when the value is not valid.
    """
    if raw not in legal:
        raise error(f"{name}: use {', '.join(repr(word) for word in legal)}; found {raw!r}")
    return raw


def is_snapshot(reference: object) -> bool:
    """Whether the reference position is a random phase (snapshot)."""
    return isinstance(reference, str) and reference == "snapshot"


def _in_parentheses(value: NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{v:g}" for v in value) + ")"
