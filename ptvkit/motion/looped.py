"""The phases of a 4D image as they were drawn: held in turn, breath after breath, and when a gate is open on them."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.motion.moving import Opening
from ptvkit.motion.windows import Windows, whole, windows_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

AFTER: Final = 1e-9
"""Share of a breath after a change of phase that rounding must not undo."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Looped:
    """Breaths of patients in each fraction; rows are fractions, patient by patient.

    Attributes
    ----------
    begin, end, scale, base
        As of `Cycled`.
    day : (patients, fractions) array
        Of each fraction's amplitude, its share of the phases'.
    position_mm : (N, 3) array
        From the time mean, from exhale to exhale; the first and the last are one phase.
    edges : (N + 1,) array
        Shares of a breath at which they begin, and 1.
    inhale : int
        Index of inhale among them.
    period_s : float
    """

    begin: Floats
    end: Floats
    scale: Floats
    base: Floats
    day: Floats
    position_mm: Floats
    edges: Floats
    inhale: int
    period_s: float

    @property
    def on_line(self) -> bool:
        """A loop is a path of its own."""
        return False

    @property
    def axis(self) -> Floats:
        """Unit vector from exhale to inhale."""
        stroke = self.position_mm[self.inhale] - self.position_mm[0]
        towards: Floats = stroke / max(float(np.linalg.norm(stroke)), 1e-12)
        return towards

    def at(self, time_s: Floats) -> Floats:
        """Positions (P, F, T, 3) at rising times (P, F, T), mm about the time mean."""
        time = time_s.reshape(len(self.end), -1)
        own = self.since(max(0.0, -float(time.min(initial=0.0))))
        time = time + own.begin
        cycle = np.stack([np.searchsorted(end, row, side="right") for end, row in zip(own.end, time, strict=True)])
        cycle = np.minimum(cycle, own.end.shape[1] - 1)
        start = np.hstack([np.zeros((len(own.end), 1)), own.end])
        first, last = (np.take_along_axis(start, cycle + more, axis=1) for more in (0, 1))
        phase = np.searchsorted(self.edges[1:-1], (time - first) / (last - first), side="right")
        low = self.position_mm[0]
        scale = np.take_along_axis(own.scale, cycle, axis=1) * self.day.reshape(-1, 1)
        base = np.take_along_axis(own.base, cycle[..., None], axis=1)
        moved: Floats = (low + scale[..., None] * (self.position_mm[phase] - low) + base).reshape(*time_s.shape, 3)
        return moved

    def since(self, before_s: float) -> "Looped":
        """The same with breaths in front that are like the first, for times before a fraction."""
        if before_s <= 0:
            return self
        first = self.end[:, :1]
        more = int(np.ceil(before_s / float(first.min())))
        return replace(
            self,
            begin=self.begin + more * first,
            end=np.hstack([first * np.arange(1, more + 1), self.end + more * first]),
            scale=np.hstack([np.repeat(self.scale[:, :1], more, axis=1), self.scale]),
            base=np.hstack([np.repeat(self.base[:, :1], more, axis=1), self.base]),
        )

    def turning_s(self, span_s: float, *, finely: bool = False) -> Floats:
        """Rising times (P, F, T) just after each change of phase."""
        start, length = self._breaths(span_s)
        times = (start[..., None] + length[..., None] * (self.edges[:-1] + AFTER)).reshape(len(start), -1) - self.begin
        ends = np.broadcast_to([0.0, span_s], (len(start), 2))
        rising: Floats = np.sort(np.hstack([np.clip(times, 0.0, span_s), ends]), axis=1)
        return rising.reshape(*self.day.shape, -1)

    def _breaths(self, span_s: float) -> tuple[Floats, Floats]:
        """Begin and length (rows, C) of the breaths of a fraction, s."""
        start = np.hstack([np.zeros((len(self.end), 1)), self.end[:, :-1]])
        count = int((start < self.begin + span_s).sum(axis=1).max())
        return start[:, :count], (self.end - start)[:, :count]

    def open(self, opening: Opening, span_s: float, before_s: float) -> Windows:
        """When a gate is open, from `before_s` before a fraction to its end; a row for each fraction."""
        rows = len(self.end)
        if opening.duty is not None and opening.duty >= 1:
            return whole(rows, span_s)
        own = self.since(before_s)
        first, length = own._breaths(span_s)
        if opening.by == "phase":
            middles = np.array([0.0, 1.0] if opening.end == "exhale" else [0.5])
            half = (opening.duty or 0.0) / 2
            shares = np.stack([middles - half, middles + half]) + opening.offset
            is_open = np.ones((*first.shape, len(middles)), bool)
        else:
            shares = np.stack([self.edges[:-1], self.edges[1:]])
            is_open = own._inside(opening, first + length / 2 - own.begin)
        start, stop = ((first[..., None] + length[..., None] * share) - own.begin[..., None] for share in shares)
        start, stop = (np.clip(edge, -before_s, span_s).reshape(rows, -1) for edge in (start, stop))
        order = np.argsort(start, axis=1, kind="stable")
        stop = np.where(is_open.reshape(rows, -1), stop, start)
        return windows_of(np.take_along_axis(start, order, axis=1), np.take_along_axis(stop, order, axis=1))

    def _inside(self, opening: Opening, time_s: Floats) -> Bools:
        """Whether each phase (rows, C, N) of breaths in the middle of which it is `time_s` lies in the window."""
        count = time_s.shape[1]
        scale = self.scale[:, :count] * self.day.reshape(-1, 1)
        height = scale[..., None] * self.heights + (self.base[:, :count] @ self.axis)[..., None]
        if opening.drift_mm_per_s is not None:
            rate = (opening.drift_mm_per_s @ self.axis).reshape(-1, 1)
            height = height + (rate * np.maximum(time_s, 0.0))[..., None]
        limit = self.limit(opening, self.day.reshape(-1))[:, None, None]
        top = float(self.heights[self.inhale]) * self.day.reshape(-1, 1, 1)
        inside: Bools = (height if opening.end == "exhale" else top - height) <= limit + 1e-9
        return inside

    @property
    def heights(self) -> Floats:
        """Of each position (N,) from exhale towards inhale, mm."""
        heights: Floats = (self.position_mm - self.position_mm[0]) @ self.axis
        return heights

    def limit(self, opening: Opening, day: Floats) -> Floats:
        """How far from the end of the breath the window reaches on days (D,) of some amplitude, mm."""
        if opening.window_mm is not None:
            return np.full(day.shape, float(opening.window_mm))
        far = self.heights if opening.end == "exhale" else float(self.heights[self.inhale]) - self.heights
        order = np.argsort(far, kind="stable")
        reached = np.cumsum(np.diff(self.edges)[order])
        limit: Floats = float(far[order][np.searchsorted(reached, (opening.duty or 0.0) - 1e-9)]) * day
        return limit

    def open_mean(self, opening: Opening) -> tuple[Floats, Floats]:
        """Mean position in a steady breath's window, about the time mean: (P, 3) of patients, (P, F, 3) of days."""
        days = np.concatenate([np.ones((len(self.day), 1)), self.day], axis=1)
        weights = np.diff(self.edges) * self._steady(opening, days.reshape(-1))
        low = self.position_mm[0]
        mean = weights @ (self.position_mm - low) / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        about = (low + days.reshape(-1, 1) * mean).reshape(*days.shape, 3)
        return about[:, 0], about[:, 1:]

    def _steady(self, opening: Opening, day: Floats) -> Floats:
        """Share (D, N) of each phase for which the window is open on steady breaths of some amplitude."""
        if opening.by == "amplitude":
            far = self.heights if opening.end == "exhale" else float(self.heights[self.inhale]) - self.heights
            return np.asarray(np.outer(day, far) <= self.limit(opening, day)[:, None] + 1e-9, float)
        half, middle = (opening.duty or 0.0) / 2, (0.0 if opening.end == "exhale" else 0.5) + opening.offset
        overlap = np.zeros(len(self.edges) - 1)
        for turn in (-1.0, 0.0, 1.0):
            low = np.maximum(self.edges[:-1], middle + turn - half)
            overlap += np.maximum(np.minimum(self.edges[1:], middle + turn + half) - low, 0.0)
        return np.broadcast_to(overlap / np.diff(self.edges), (len(day), len(overlap))).copy()
