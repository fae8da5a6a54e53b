"""The margin that each patient needs where volume counts: a root of what share of a target's points is served.

As in `needed`, a point gets ``Σ w_k f(d(x + u_k) − m)``. The share of the volume that gets a level, the mean, and the
time-averaged share of the volume that lies within m all rise with m.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.field import Field, Floats, distances_at, moved_by
from ptvkit.kernels.jit import kernel, run_in_slices
from ptvkit.kernels.needed import Curve, Positions, curve_at

SHARE_MM = 2e-3
ROUNDING = 1e-9
VOLUME: Final = 0
MEAN: Final = 1
WITHIN: Final = 2
GEUD: Final = 3
"""What is summed over points: if they get the level, their dose, how long they are within m, a power of the dose."""


def needed_of_share(
    field: Field, points: Floats, volumes: Floats, at: Positions, curve: Curve, level: float, *, kind: int, share: float
) -> Floats:
    """For each patient the m (P,) at which points (N, 3) with volumes (N,) are served by a share.

    Parameters
    ----------
    field, points, volumes, at, curve
    level : float
        Dose that a point must get, for `VOLUME`; the exponent for `GEUD`.
    kind : int
        `VOLUME`, `MEAN`, `WITHIN` or `GEUD`.
    share : float
        Of the volume, or the mean dose.
    """
    needed = np.empty(len(at.shifts))
    weights = volumes / volumes.sum()
    run_in_slices(
        _needed_of_share, len(needed), field, points, weights, at, curve, level, kind, share - ROUNDING, needed
    )
    return needed


@kernel
def _needed_of_share(
    start: int,
    stop: int,
    field: Field,
    points: Floats,
    volumes: Floats,
    at: Positions,
    curve: Curve,
    level: float,
    kind: int,
    share: float,
    needed: Floats,
) -> None:
    size = at.shifts.shape[1] * at.shifts.shape[2]
    moved, d, row = np.empty((size, 3)), np.empty((len(points), size), np.float32), np.empty(size)
    for p in range(start, stop):
        moved_by(field.to_index, at.shifts[p], moved)
        turns = at.turns[p] if len(at.turns) else np.zeros((0, 3, 3))
        for n in range(len(points)):
            distances_at(field, points[n], moved, turns, row)
            d[n] = row
        needed[p] = _root_of_share(d, volumes, at.weights[p].reshape(-1), curve, level, kind, share)


@kernel
def _root_of_share(
    d: NDArray[np.float32], volumes: Floats, weights: Floats, curve: Curve, level: float, kind: int, share: float
) -> float:
    """Bisection; a point that is served, or is not, at an end of the interval is not looked at again."""
    low, high = float(d.min()), float(d.max())
    if kind != WITHIN:
        low, high = low - curve.first_mm - curve.step_mm * len(curve.values), high - curve.first_mm
    open_, served = np.arange(len(d)), 0.0
    while high - low > SHARE_MM:
        middle, total = 0.5 * (low + high), served
        gets = np.empty(len(open_))
        for i in range(len(open_)):
            gets[i] = _got(d[open_[i]], weights, curve, level, kind, middle)
            total += volumes[open_[i]] * gets[i]
        met = total ** (1 / level) >= share if kind == GEUD else total >= share
        if kind == VOLUME:  # who gets the level now gets it with more
            still = (gets > 0) == met
            if not met:
                for i in range(len(open_)):
                    served += volumes[open_[i]] * gets[i]
            open_ = open_[still]
        if met:
            high = middle
        else:
            low = middle
    return high


@kernel
def _got(d: NDArray[np.float32], weights: Floats, curve: Curve, level: float, kind: int, margin: float) -> float:
    """What a point adds."""
    total = 0.0
    if kind == WITHIN:
        for n in range(len(d)):
            if d[n] <= margin:
                total += weights[n]
        return total
    for n in range(len(d)):
        total += weights[n] * curve_at(d[n] - margin, curve.values, curve.first_mm, curve.step_mm)
    if kind == MEAN:
        return total
    if kind == GEUD:
        return max(total, 1e-6) ** level
    return 1.0 if total >= level else 0.0
