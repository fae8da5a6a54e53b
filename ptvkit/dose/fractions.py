"""The dose that points get in each single fraction, for many patients: tables by displacement.

For a fixed point x the dose ``D(x + u)`` is a smooth function of the displacement u. It is kept as a cubic spline on
the lattice of displacements that lead from one node of the dose to another, which all points share. The mean over a
fraction's displacements is then a sum of a few rows of the table, with weights that no point needs of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ptvkit.dose.dose import Dose, spline_of
from ptvkit.kernels.fractions import add_fractions, table_of
from ptvkit.kernels.spline import spread_shifts

Floats = NDArray[np.float64]
Single = NDArray[np.float32]

POINTS: Final = 512
"""Points of one table."""
MOST_VALUES: Final = 2**24
"""Of one table; with more nodes it has fewer points."""
STILL: Final = 5e-4
"""Share of the maximum: where the dose varies by less within the reach of a point, it counts as constant."""
ROOM: Final = 8
"""Nodes beyond what is needed, so that the spline does not feel the edge: .27⁸ of it is left."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """A dose, prepared for points in a box and displacements in another. Make one with `tables_of`.

    Attributes
    ----------
    coefficients : (I, J, K) array
        Of the dose's coefficients, as a spline, on a window of its nodes.
    to_index : (3, 4) array
        From a point, mm, to the index of its first displacement in the window.
    shift_to_index : (3, 4) array
        From a displacement, mm, to its index on the lattice.
    count : (3,)
        Nodes of the lattice of displacements.
    """

    coefficients: Single
    to_index: Floats
    shift_to_index: Floats
    count: tuple[int, int, int]

    @property
    def points(self) -> int:
        """Points of one table."""
        return int(np.clip(MOST_VALUES // np.prod(self.count), 16, POINTS))

    def table(self, points_mm: Floats) -> Single:
        """Coefficients (nodes, N) of the dose at points (N, 3) as a spline in their displacement, Gy."""
        index = points_mm @ self.to_index[:, :3].T + self.to_index[:, 3]
        return table_of(self.coefficients, np.ascontiguousarray(index), self.count)

    def weights(self, shifts_mm: Floats) -> tuple[NDArray[np.int64], Single] | None:
        """Nodes (E,) and weights (E,) of the mean over displacements (T, 3); None when one lies beyond the lattice."""
        spread = np.zeros(self.count, np.float32)
        if not spread_shifts(spread, self.count, self.shift_to_index, np.ascontiguousarray(shifts_mm)):
            return None
        flat = spread.ravel()
        node = np.flatnonzero(flat)
        return node, flat[node] / np.float32(len(shifts_mm))


def tables_of(dose: Dose, points_mm: Floats, low_mm: Floats, high_mm: Floats) -> Tables:
    """Prepare a dose for points (N, 3) and displacements in a box, mm; beyond its grid its edge is continued."""
    to_index = np.asarray(np.linalg.inv(dose.grid.affine), float)
    corners = np.array([[(low_mm, high_mm)[bit][axis] for axis, bit in enumerate(b)] for b in np.ndindex(2, 2, 2)])
    reach = corners @ to_index[:3, :3].T
    start, stop = np.floor(reach.min(axis=0)).astype(int) - 2, np.ceil(reach.max(axis=0)).astype(int) + 2
    count = stop - start + 1
    index = dose.grid.to_index(points_mm)
    low = np.floor(index.min(axis=0)).astype(int) + start - 2 - ROOM
    high = np.ceil(index.max(axis=0)).astype(int) + stop + 3 + ROOM
    twice = spline_of(spline_of(dose.around(low.tolist(), high.tolist())))
    inner = np.ascontiguousarray(twice[tuple(slice(ROOM, n - ROOM) for n in twice.shape)])
    from_point, from_shift = to_index[:3].copy(), to_index[:3].copy()
    from_point[:, 3] += start - (low + ROOM)
    from_shift[:, 3] = -start
    return Tables(
        coefficients=inner,
        to_index=from_point,
        shift_to_index=np.ascontiguousarray(from_shift),
        count=(int(count[0]), int(count[1]), int(count[2])),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fractions:
    """What a patient's fractions need of a table. Make one with `fractions_of`.

    Attributes
    ----------
    start, node, weight : array
        Of the kernel `add_fractions`; weights add up to 1 / fractions in each, so that doses are those of a fraction.
    beyond : tuple of int
        Fractions with displacements that the lattice does not hold.
    """

    start: NDArray[np.int64]
    node: NDArray[np.int64]
    weight: Single
    beyond: tuple[int, ...]


def fractions_of(tables: Tables, shifts_mm: Floats, count: int) -> Fractions:
    """Weights of displacements (F, T, 3), of which each of the F stands for the dose of the course / `count`."""
    held = [tables.weights(shifts) for shifts in shifts_mm]
    there = [one for one in held if one is not None]
    ends = np.cumsum([0, *(len(node) for node, _ in there)])
    empty = (np.zeros(0, np.int64), np.zeros(0, np.float32))
    node, weight = (np.concatenate(each) for each in zip(empty, *there, strict=True))
    return Fractions(
        start=ends.astype(np.int64),
        node=node.astype(np.int64),
        weight=(weight / np.float32(count)).astype(np.float32),
        beyond=tuple(number for number, one in enumerate(held) if one is None),
    )


def within_reach(dose: Dose, points_mm: Floats, reach_mm: Floats) -> tuple[NDArray[np.bool_], float]:
    """Which points (N, 3) have a dose that varies within a reach (3,) on both sides, mm; and the most that is there."""
    inverse = np.abs(np.linalg.inv(dose.grid.affine)[:3, :3])
    width = tuple(int(w) for w in 2 * np.ceil(inverse @ reach_mm + 1) + 1)
    most = ndimage.maximum_filter(dose.values, width, mode="nearest")
    spread = most - ndimage.minimum_filter(dose.values, width, mode="nearest")
    index = np.rint(dose.grid.to_index(points_mm)).astype(int)
    at = tuple(np.clip(index, 0, np.asarray(dose.grid.shape) - 1).T)
    return spread[at] > STILL * float(dose.values.max()), float(most[at].max())


def chunks(where: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Indices of points, so many at a time."""
    for first in range(0, len(where), size):
        yield where[first : first + size]


def add_chunk(
    table: Single,
    patients: Sequence[Fractions],
    where: NDArray[np.int64],
    total: Single,
    weighted: Single,
    alpha_beta_gy: float,
) -> None:
    """Add the doses of a part to sums (patients, N) of the points `where`, in place."""
    plain, effect = np.zeros(len(where), np.float32), np.zeros(len(where), np.float32)
    for number, one in enumerate(patients):
        plain[:], effect[:] = 0.0, 0.0
        add_fractions(table, one.start, one.node, one.weight, plain, effect, alpha_beta_gy)
        total[number, where] += plain
        if alpha_beta_gy > 0:
            weighted[number, where] += effect
