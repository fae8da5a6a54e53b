"""The wave of Lujan as it was drawn: breath after breath, at any time, and when a gate is open on it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.wave import cycle_wave
from ptvkit.motion.moving import Opening
from ptvkit.motion.windows import Windows, whole, windows_of

Floats = NDArray[np.float64]

FINE_STEPS: Final = 48
"""Positions of a breath that stand for an error which follows it: the largest is missed by less than 1 %."""
LOOP_STEPS: Final = 96
"""Positions that stand for a breath which is a loop: chords between them are within 0.01 mm of one of 12 mm."""
NODES: Final = 32
"""Of the Gauss rule over a window: exact for a power of a cosine up to n = 10 to all digits that matter."""
BISECTIONS: Final = 40
"""Until the edges of a window that stands still are known while the target drifts through it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cycled:
    """Breaths of patients in each fraction; rows are fractions, patient by patient.

    Attributes
    ----------
    begin : (rows, 1) array
        When each fraction begins after the first exhale, s.
    end, scale : (rows, K) array
    base : (rows, K, 3) array
        When each breath ends, and its height and baseline, as in `cycle_wave`.
    signed : (patients, 3) array
        Amplitude of each patient, mm.
    day : (patients, fractions) array
        Of each fraction's amplitude, its share of that.
    n : int
    lag : (3,) array
    mean_share : float
        Of the amplitude, the time mean.
    period_s : float
    """

    begin: Floats
    end: Floats
    scale: Floats
    base: Floats
    signed: Floats
    day: Floats
    n: int
    lag: Floats
    mean_share: float
    period_s: float

    @property
    def on_line(self) -> bool:
        """Whether all positions of a patient lie on one line."""
        return not self.lag.any() and not self.base.any()

    @property
    def axis(self) -> int:
        """Of largest motion."""
        return int(np.abs(self.signed).max(axis=0).argmax())

    @cached_property
    def amplitude(self) -> Floats:
        """Of each row (rows, 3), signed, mm."""
        return (self.signed[:, None, :] * self.day[..., None]).reshape(-1, 3)

    def at(self, time_s: Floats) -> Floats:
        """Positions (P, F, T, 3) at rising times (P, F, T), mm about the time mean."""
        time = time_s.reshape(len(self.end), -1) + self.begin
        own = self.since(max(0.0, -float(time.min(initial=0.0))))
        moved = cycle_wave(
            time + own.begin - self.begin, own.end, own.scale, own.base, self.amplitude, self.n, self.lag
        )
        about: Floats = moved.reshape(*time_s.shape, 3) - self.signed[:, None, None, :] * self.mean_share
        return about

    def since(self, before_s: float) -> "Cycled":
        """The same with breaths in front that are like the first, for times before a fraction."""
        if before_s <= 0:
            return self
        first = self.end[:, :1]
        more = int(np.ceil(before_s / float(first.min())))
        front = first * np.arange(1, more + 1)
        return Cycled(
            begin=self.begin + more * first,
            end=np.hstack([front, self.end + more * first]),
            scale=np.hstack([np.repeat(self.scale[:, :1], more, axis=1), self.scale]),
            base=np.hstack([np.repeat(self.base[:, :1], more, axis=1), self.base]),
            signed=self.signed,
            day=self.day,
            n=self.n,
            lag=self.lag,
            mean_share=self.mean_share,
            period_s=self.period_s,
        )

    def turning_s(self, span_s: float, *, finely: bool = False) -> Floats:
        """Rising times (P, F, T) of the ends of all breaths; `finely`, or where breaths are loops, also within them."""
        last = self.begin + span_s
        start = np.hstack([np.zeros((len(self.end), 1)), self.end[:, :-1]])
        count = int((start < last).sum(axis=1).max())
        start, end = start[:, :count], self.end[:, :count]
        steady = np.ptp(self.scale) == 0 and not self.base.any()
        if finely and steady and span_s > 2 * self.period_s:  # all breaths are alike
            start, end = start[:, 1:2], end[:, 1:2]
        steps = FINE_STEPS if finely else LOOP_STEPS if self.lag.any() else 2
        shares = np.linspace(0, 1 - 1e-12, steps + 1)
        times = start[..., None] + (end - start)[..., None] * shares
        inside: Floats = np.clip(times.reshape(len(start), -1), self.begin, last) - self.begin
        ends = np.broadcast_to([0.0, span_s], (len(start), 2))
        return np.sort(np.hstack([inside, ends]), axis=1).reshape(*self.day.shape, -1)

    def open(self, opening: Opening, span_s: float, before_s: float) -> Windows:
        """When a gate is open, from `before_s` before a fraction to its end; a row for each fraction."""
        if opening.duty is not None and opening.duty >= 1:
            return whole(len(self.end), span_s)
        own = self.since(before_s)
        if opening.by == "phase":
            share = np.full(own.end.shape, (opening.duty or 0.0) / 2)
            start, stop = own._edges(share, share, opening)
            found = windows_of(start, stop)
        else:
            found = own._by_amplitude(opening, span_s)
        begin = own.begin + np.zeros_like(found.start)
        return windows_of(np.maximum(found.start - begin, -before_s), np.minimum(found.stop - begin, span_s))

    def _by_amplitude(self, opening: Opening, span_s: float) -> Windows:
        """Windows in which the axis of largest motion is near enough to the end of the breath."""
        height = self._height(opening, np.abs(self.amplitude[:, self.axis]))[:, None]
        rate = self._drift_towards_inhale(opening)
        if rate.any():
            rising, falling = self._drifting_shares(height, rate, span_s)
        else:
            rising = falling = self._share_below(height)
        if opening.end == "exhale":
            return windows_of(*self._edges(falling, rising, opening))
        return windows_of(*self._edges(0.5 - rising, 0.5 - falling, opening))

    def _height(self, opening: Opening, amplitude: Floats) -> Floats:
        """Height from exhale of a window's edge on steady breaths of some amplitude, mm."""
        if opening.window_mm is not None:
            far = np.full(amplitude.shape, float(opening.window_mm))
            return far if opening.end == "exhale" else amplitude - far
        duty = opening.duty or 0.0
        share = duty / 2 if opening.end == "exhale" else (1 - duty) / 2
        height: Floats = amplitude * np.sin(np.pi * share) ** (2 * self.n)
        return height

    def _drift_towards_inhale(self, opening: Opening) -> Floats:
        """Along the axis of largest motion (rows, 1), mm/s."""
        if opening.drift_mm_per_s is None:
            return np.zeros((len(self.end), 1))
        direction = np.sign(self.signed[:, None, self.axis])
        rate: Floats = (opening.drift_mm_per_s[..., self.axis] * direction).reshape(-1, 1)
        return rate

    def _share_below(self, height: Floats) -> Floats:
        """Share of each breath (rows, K), 0 to 0.5, from exhale until it is above a height (rows, 1)."""
        amplitude, base = self._heights
        above = height - base
        share = np.where(amplitude > 0, above / np.where(amplitude > 0, amplitude, 1.0), np.sign(above))
        below: Floats = np.arcsin(np.clip(share, 0.0, 1.0) ** (0.5 / self.n)) / np.pi
        return below

    def _drifting_shares(self, height: Floats, rate: Floats, span_s: float) -> tuple[Floats, Floats]:
        """The same while the target drifts at a rate (rows, 1), for the rising and the falling half of each breath."""
        amplitude, base = self._heights
        number, lag = np.arange(self.end.shape[1]), float(self.lag[self.axis])
        halves = []
        for falls in (False, True):
            low, high = np.zeros(self.end.shape), np.full(self.end.shape, 0.5)
            for _ in range(BISECTIONS):
                middle = (low + high) / 2
                time = self._time(number, lag + (1 - middle if falls else middle)) - self.begin
                there = amplitude * np.sin(np.pi * middle) ** (2 * self.n) + base + rate * np.clip(time, 0.0, span_s)
                low, high = np.where(there <= height, middle, low), np.where(there <= height, high, middle)
            halves.append((low + high) / 2)
        return halves[0], halves[1]

    @property
    def _heights(self) -> tuple[Floats, Floats]:
        """Amplitude and baseline of each breath (rows, K) along the axis of largest motion, towards inhale, mm."""
        axis = self.axis
        direction = np.repeat(np.sign(self.signed[:, axis]), self.day.shape[1])[:, None]
        return np.abs(self.amplitude[:, axis])[:, None] * self.scale, self.base[..., axis] * direction

    def _edges(self, early: Floats, late: Floats, opening: Opening) -> tuple[Floats, Floats]:
        """Edges (rows, K') of windows that take shares of a breath before and after its end, s."""
        later = float(self.lag[self.axis]) + (opening.offset if opening.by == "phase" else 0.0)
        if opening.end == "inhale":
            number = np.arange(self.end.shape[1])
            return self._time(number, 0.5 - early + later), self._time(number, 0.5 + late + later)
        # exhale lies between two breaths: what rises after it is of the next
        number = np.arange(-1, self.end.shape[1])
        before = np.hstack([early[:, :1], early])
        after = np.hstack([late, late[:, -1:]])
        return self._time(number, 1 - before + later), self._time(number + 1, after + later)

    def _time(self, number: NDArray[np.int64], share: Floats) -> Floats:
        """Times (rows, N) at shares (rows, N) of breaths by their numbers (N,); shares may reach into others."""
        passed = np.floor(share)
        cycle = number + passed.astype(np.int64)
        last = self.end.shape[1] - 1
        ends = np.hstack([np.zeros((len(self.end), 1)), self.end])
        place = np.clip(cycle, 0, last)
        start, stop = (np.take_along_axis(ends, place + more, axis=1) for more in (0, 1))
        time: Floats = start + (share - passed + cycle - place) * (stop - start)
        return time

    def open_mean(self, opening: Opening) -> tuple[Floats, Floats]:
        """Mean position in a steady breath's window, about the time mean: (P, 3) of patients, (P, F, 3) of days."""
        of_days = self.signed[:, None, :] * self.day[..., None]
        total = np.concatenate([self.signed[:, None], of_days], axis=1)
        mean = total * self._mean_shares(opening, np.abs(total[..., self.axis]))
        about = mean - self.signed[:, None, :] * self.mean_share
        return about[:, 0], about[:, 1:]

    def _mean_shares(self, opening: Opening, amplitude: Floats) -> Floats:
        """Of amplitudes (P, D), the mean (P, D, 3) of the wave on each axis while the window is open."""
        safe = np.maximum(amplitude, 1e-9)
        duty = opening.duty
        if duty is None:
            height = np.clip(self._height(opening, safe) / safe, 0.0, 1.0)
            below = 2 * np.arcsin(height ** (0.5 / self.n)) / np.pi
            half = (below if opening.end == "exhale" else 1 - below) / 2
        else:
            half = np.full(amplitude.shape, min(duty, 1.0) / 2)
        middle = 0.0 if opening.end == "exhale" else 0.5
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        share = middle + opening.offset + half[..., None, None] * nodes + (self.lag[self.axis] - self.lag)[:, None]
        mean: Floats = (np.sin(np.pi * share) ** (2 * self.n)) @ weights / 2
        return mean
