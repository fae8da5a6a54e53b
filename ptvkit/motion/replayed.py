"""Recordings as they are replayed: at any time, and when a gate is open on them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.cycles import Cycles, find_cycles
from ptvkit.motion.moving import Opening
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.windows import Windows, whole, windows_of

if TYPE_CHECKING:
    from ptvkit.motion.measured import Blocks

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BREATHS_FOLLOWED: Final = 5
"""The last ends of breaths from which a gate knows where exhale is."""


class Replay(NamedTuple):
    """A trace at even steps, the patients (P,) who have it, and its replay in their fractions."""

    trace: Trajectory
    own: Bools
    joined: "Blocks"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """Recordings of patients, replayed from somewhere in each fraction.

    Attributes
    ----------
    replays : tuple of Replay
        Those that some patient has.
    shape : (int, int)
        Patients and fractions.
    inhale : (3,) array or None
    """

    replays: tuple[Replay, ...]
    shape: tuple[int, int]
    inhale: ArrayLike | None = None

    @property
    def on_line(self) -> bool:
        """A recording is a path of its own."""
        return False

    @property
    def period_s(self) -> float:
        """Median of the first trace's breaths."""
        return float(np.median(breaths_of(self.replays[0].trace, self.inhale).period_s))

    def at(self, time_s: Floats) -> Floats:
        """Positions (P, F, T, 3) at times (P, F, T), mm about each trace's mean."""
        moved = np.empty((*time_s.shape, 3))
        for trace, own, joined in self.replays:
            moved[own] = joined.at(time_s[own]) - trace.displacement_mm.mean(axis=0)
        return moved

    def turning_s(self, span_s: float, *, finely: bool = False) -> Floats:
        """Times (P, F, T), rising, of all samples."""
        steps = [np.arange(0.0, span_s, replay.trace.interval_s) for replay in self.replays]
        times = np.full((*self.shape, max(len(step) for step in steps) + 1), span_s)
        for replay, step in zip(self.replays, steps, strict=True):
            times[replay.own, :, : len(step)] = step
        return times

    def open(self, opening: Opening, span_s: float, before_s: float) -> Windows:
        """When a gate is open, from `before_s` before a fraction to its end; a row for each fraction."""
        patients, fractions = self.shape
        if opening.duty is not None and opening.duty >= 1:
            return whole(patients * fractions, span_s)
        rows = []
        for trace, own, joined in self.replays:
            step = trace.interval_s
            first, last = -int(np.ceil(before_s / step)), int(np.ceil(span_s / step - 1e-9))
            number = np.broadcast_to(np.arange(first, last + 1), (int(own.sum()), fractions, last - first + 1))
            beyond = self._beyond(trace, joined, number, opening, own).reshape(-1, number.shape[-1])
            rows.append((own, *_edges(beyond, number[0, 0] * step)))
        most = max(start.shape[1] for _, start, _ in rows)
        start, stop = np.zeros((2, patients, fractions, most))
        for own, *edges in rows:
            for all_, edge in zip((start, stop), edges, strict=True):
                all_[own, :, : edge.shape[1]] = edge.reshape(-1, fractions, edge.shape[1])
        both = (edge.reshape(patients * fractions, most) for edge in (start, stop))
        return windows_of(*(np.clip(edge, -before_s, span_s) for edge in both))

    def open_mean(self, opening: Opening) -> tuple[Floats, Floats]:
        """Mean position in the window over each trace: (P, 3) of patients, and the same (P, F, 3) on all days."""
        mean = np.zeros((self.shape[0], 3))
        for trace, own, _ in self.replays:
            is_open = outside(trace, self.inhale, opening) <= 0
            if is_open.any():
                mean[own] = trace.displacement_mm[is_open].mean(axis=0) - trace.displacement_mm.mean(axis=0)
        return mean, np.repeat(mean[:, None], self.shape[1], axis=1)

    def _beyond(
        self, trace: Trajectory, joined: "Blocks", number: NDArray[np.int64], opening: Opening, own: Bools
    ) -> Floats:
        """How far samples (P, F, S) of fractions are outside the window; 0 and below: the gate is open."""
        away = joined.of(outside(trace, self.inhale, opening))
        beyond: Floats = away.samples(number)[..., 0]
        if opening.by == "phase" or opening.drift_mm_per_s is None:
            return beyond
        # a window that stands still: exhale stays where it was at the beginning, and the drift is not followed
        cycles = breaths_of(trace, self.inhale)
        level = joined.of(_exhale_level(trace, cycles)).samples(number)[..., 0]
        first = -int(number[0, 0, 0])
        origin = level[..., first : first + 1]
        drift = (opening.drift_mm_per_s[own] @ cycles.axis)[..., None] * np.maximum(number * trace.interval_s, 0.0)
        moved = level - origin + drift
        still: Floats = beyond + (moved if opening.end == "exhale" else -moved)
        return still


def breaths_of(trace: Trajectory, inhale: ArrayLike | None) -> Cycles:
    """The breaths of a trace.

    Raises
    ------
    MotionError
        When there are none.
    """
    cycles = find_cycles(trace, inhale)
    if cycles is None:
        raise MotionError(f"{trace.name}: no breaths were found, which a gate and phases need")
    return cycles


def outside(trace: Trajectory, inhale: ArrayLike | None, opening: Opening) -> Floats:
    """How far each sample (T,) of a trace is outside a gate's window, mm or shares of a breath; 0 and below: open."""
    cycles = breaths_of(trace, inhale)
    if opening.by == "phase":
        middle = opening.offset + (0.0 if opening.end == "exhale" else 0.5)
        away: Floats = np.abs((phase_of(trace, inhale) - middle + 0.5) % 1.0 - 0.5) - (opening.duty or 0.0) / 2
        return away
    height = trace.displacement_mm @ cycles.axis - _exhale_level(trace, cycles)
    far = height if opening.end == "exhale" else float(cycles.amplitude_mm.mean()) - height
    limit = float(np.quantile(far, opening.duty or 0.0)) if opening.window_mm is None else opening.window_mm
    beyond: Floats = far - limit
    return beyond


def _exhale_level(trace: Trajectory, cycles: Cycles) -> Floats:
    """Height (T,) of exhale that is known at each sample: the mean of the last ends of breaths."""
    along = trace.displacement_mm[cycles.low] @ cycles.axis
    kernel = np.arange(len(along))[:, None] - np.arange(len(along))
    recent = (kernel >= 0) & (kernel < BREATHS_FOLLOWED)
    level: Floats = np.interp(np.arange(len(trace.time_s)), cycles.low, recent @ along / recent.sum(axis=1))
    return level


def phase_of(trace: Trajectory, inhale: ArrayLike | None) -> Floats:
    """Share of a breath (T,) that has passed since exhale: 0.5 at inhale.

    Raises
    ------
    MotionError
        When there are no breaths.
    """
    cycles = breaths_of(trace, inhale)
    turns = np.sort(np.r_[cycles.low, cycles.high])
    first = 0.0 if turns[0] == cycles.low[0] else 0.5
    number = np.arange(len(trace.time_s))
    step = float(np.diff(turns).mean())
    turns = np.r_[turns[0] - step, turns, turns[-1] + step]
    phase: Floats = np.interp(number, turns, first - 0.5 + 0.5 * np.arange(len(turns))) % 1.0
    return phase


def _edges(beyond: Floats, time_s: Floats) -> tuple[Floats, Floats]:
    """Rising edges (rows, K) of where values (rows, T), straight between times (T,), are at most 0."""
    is_open = beyond <= 0
    rises = np.hstack([is_open[:, :1], ~is_open[:, :-1] & is_open[:, 1:]])
    falls = np.hstack([is_open[:, :-1] & ~is_open[:, 1:], is_open[:, -1:]])
    change = np.diff(beyond, axis=1)
    cut = time_s[:-1] - beyond[:, :-1] * np.diff(time_s) / np.where(change == 0, 1.0, change)
    start = np.hstack([np.full((len(beyond), 1), time_s[0]), cut])
    stop = np.hstack([cut, np.full((len(beyond), 1), time_s[-1])])
    most = max(int(rises.sum(axis=1).max()), 1)
    return tuple(_packed(edge, kept, most) for edge, kept in ((start, rises), (stop, falls)))  # type: ignore[return-value]


def _packed(values: Floats, kept: Bools, most: int) -> Floats:
    """The first kept values (rows, most) of each row, the last of them repeated; 0 where there is none."""
    counts = kept.sum(axis=1)
    order = np.argsort(~kept, axis=1, kind="stable")[:, :most]
    packed = np.take_along_axis(values, order, axis=1)
    end = np.where(counts > 0, np.take_along_axis(packed, np.maximum(counts - 1, 0)[:, None], axis=1)[:, 0], 0.0)
    return np.where(np.arange(most) < counts[:, None], packed, end[:, None])
