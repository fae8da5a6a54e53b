"""Intervals of time: when a beam is on in each fraction."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TOUCH_S: Final = 1e-9
"""Intervals that are closer than this are one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """Intervals of each row, rising and apart, s; unused places at the end have no length.

    Attributes
    ----------
    start, stop : (rows, K) array

    Examples
    --------
    >>> both = windows_of(np.array([[0.0, 3.0, 5.0]]), np.array([[1.0, 5.0, 6.0]]))
    >>> both.start.tolist(), both.stop.tolist(), both.total_s.tolist()
    ([[0.0, 3.0]], [[1.0, 6.0]], [4.0])
    >>> both.at(np.array([[0.5, 2.0]])).tolist()
    [[0.5, 4.0]]
    """

    start: Floats
    stop: Floats

    @property
    def total_s(self) -> Floats:
        """Length (rows,) of all intervals of a row together, s."""
        total: Floats = (self.stop - self.start).sum(axis=1)
        return total

    def delayed(self, on_s: float, off_s: float) -> Self:
        """Intervals that begin and end later; what is left without length is dropped, what overlaps is joined."""
        start, stop = self.start + on_s, self.stop + off_s
        used = self.stop > self.start
        return type(self)(**_joined(start, np.where(used, stop, start - 1.0)))

    def within(self, span_s: float) -> Self:
        """What lies between 0 and `span_s`."""
        start, stop = (np.clip(edge, 0.0, span_s) for edge in (self.start, self.stop))
        return type(self)(**_joined(start, stop))

    def at(self, passed_s: Floats) -> Floats:
        """Times (rows, S) at which so much of the time (rows, S) inside the intervals has passed."""
        ends = np.cumsum(self.stop - self.start, axis=1)
        number = np.minimum(_placed(ends, passed_s), self.start.shape[1] - 1)
        before = np.take_along_axis(np.hstack([np.zeros((len(ends), 1)), ends]), number, axis=1)
        time: Floats = np.take_along_axis(self.start, number, axis=1) + (passed_s - before)
        return time

    def holds(self, time_s: Floats) -> Bools:
        """Whether times (rows, S) lie inside an interval, or at its ends."""
        number = np.maximum(_placed(self.start, time_s) - 1, 0)
        start, stop = (np.take_along_axis(edge, number, axis=1) for edge in (self.start, self.stop))
        inside: Bools = (time_s >= start) & (time_s <= stop) & (stop > start)
        return inside


def windows_of(start: Floats, stop: Floats) -> Windows:
    """Intervals (rows, K) that rise, those that touch joined; those that end before they begin are none."""
    return Windows(**_joined(start, stop))


def whole(rows: int, span_s: float) -> Windows:
    """One interval for each row, from 0 to `span_s`."""
    return Windows(start=np.zeros((rows, 1)), stop=np.full((rows, 1), span_s))


def _joined(start: Floats, stop: Floats) -> dict[str, Floats]:
    """Rising edges of what is left: intervals without length dropped, touching ones joined."""
    there = stop - start > TOUCH_S
    start, stop = _packed(start, there), _packed(stop, there)
    used = np.arange(start.shape[1]) < there.sum(axis=1, keepdims=True)
    touches = (start[:, 1:] <= stop[:, :-1] + TOUCH_S) & used[:, 1:]
    first = used & np.hstack([np.ones((len(start), 1), bool), ~touches])
    last = used & np.hstack([~touches, np.ones((len(start), 1), bool)])
    counts = first.sum(axis=1)
    most = max(int(counts.max(initial=0)), 1)
    start, stop = _packed(start, first)[:, :most], _packed(stop, last)[:, :most]
    idle = np.arange(most) >= counts[:, None]
    end = np.where(counts > 0, np.take_along_axis(stop, np.maximum(counts - 1, 0)[:, None], axis=1)[:, 0], 0.0)
    return {"start": np.where(idle, end[:, None], start), "stop": np.where(idle, end[:, None], stop)}


def _packed(values: Floats, kept: Bools) -> Floats:
    """Values (rows, K) with the kept ones of each row first, in their order."""
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1)


def _placed(edges: Floats, values: Floats) -> NDArray[np.int64]:
    """How many of a row's rising edges (rows, K) are at or below each value (rows, S)."""
    low = min(float(edges.min(initial=0.0)), float(values.min(initial=0.0)))
    apart = max(float(edges.max(initial=0.0)), float(values.max(initial=0.0))) - low + 1.0
    shift = np.arange(len(edges))[:, None] * apart
    place = np.searchsorted((edges + shift).ravel(), (values + shift).ravel(), side="right").reshape(values.shape)
    number: NDArray[np.int64] = np.clip(place - np.arange(len(edges))[:, None] * edges.shape[1], 0, edges.shape[1])
    return number
