"""Containment without a distance: a target stays in its PTV as long as its displacement lies in the margin's body."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def gauges(shifts_mm: Floats, sides: Floats) -> Floats:
    """Size (P,) of the body with semi-axes `sides` (R L A P S I) that holds all of each patient's displacements.

    Whatever the target's shape: the PTV is its Minkowski sum with that convex body.
    """
    found: Floats = np.sqrt(_squares(shifts_mm, sides).sum(axis=-1).max(axis=(1, 2)))
    return found


def deciding_shares(shifts_mm: Floats, sides: Floats) -> Floats:
    """Mean share (6,) of each side in the squared gauge of the patients' furthest displacements."""
    squares = _squares(shifts_mm, sides)
    flat = squares.reshape(len(squares), -1, 3)
    worst = flat.sum(axis=-1).argmax(axis=1)
    rows = np.arange(len(flat))
    own, towards = flat[rows, worst], shifts_mm.reshape(len(squares), -1, 3)[rows, worst] > 0
    own = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-12)
    found: Floats = (
        np.stack([np.where(towards, own, 0.0), np.where(towards, 0.0, own)], axis=2).mean(axis=0).reshape(-1)
    )
    return found


def _squares(shifts_mm: Floats, sides: Floats) -> Floats:
    plus, minus = np.maximum(sides[0::2], 1e-9), np.maximum(sides[1::2], 1e-9)
    found: Floats = np.where(shifts_mm > 0, shifts_mm / plus, shifts_mm / minus) ** 2
    return found
