"""The wave of Lujan: a power of a cosine, longer at exhale than at inhale."""

import warnings
from dataclasses import dataclass
from math import comb
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from ptvkit.errors import MotionError, PtvkitWarning
from ptvkit.kernels.wave import cycle_wave
from ptvkit.motion.cycled import Cycled
from ptvkit.motion.moving import Opening
from ptvkit.motion.variation import Variation, autoregressive
from ptvkit.motion.wave_draw import WaveDraw
from ptvkit.values import is_snapshot, number, triple, vector, whole

Floats = NDArray[np.float64]

SHORTEST: Final = 0.4
"""Share of the mean period below which no cycle is drawn."""
FEW_CYCLES: Final = 15
"""With fewer breaths in a fraction that drifts, more of each breath is judged than its ends."""
BEND_MM: Final = 0.01
"""By how much the wave may bend away between two of the positions that stand for a cycle which is not a stroke."""
ENDS: Final = np.array([0.0, 0.5, 1 - 1e-12])
"""Shares of a cycle at which it turns; the last is still of it."""
LEAST_MIXED: Final = 0.25
"""Lag of one axis behind another from which two breaths of different height mix."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lujan:
    """``x(t) = A·u·inhale``, ``u = cos²ⁿ(πt/τ − φ)``: 0 at exhale, 1 at inhale. Parameters as of `Breathing.lujan`.

    Examples
    --------
    >>> wave = Lujan(amplitude_mm=(0, 4, 12), inhale=(0, 1, -1))
    >>> wave.position("time_mean")
    array([ 0.  ,  1.25, -3.75])
    """

    amplitude_mm: ArrayLike
    inhale: ArrayLike
    period_s: float = 4.0
    n: int = 3
    phase: float = 0.0
    lag: ArrayLike = 0.0
    amplitude_sd_mm: ArrayLike = 0.0
    amplitude_correlation: float = 1.0

    def __post_init__(self) -> None:
        amplitude = triple("amplitude_mm", self.amplitude_mm, most=100.0)
        inhale = triple("inhale", self.inhale, least=-1.0, most=1.0)
        if not np.isin(inhale, (-1, 0, 1)).all():
            raise MotionError(f"inhale: needs -1, 0 or 1 on each axis (LR, AP, SI), found {tuple(inhale.tolist())}")
        for axis, letters in enumerate(("LR", "AP", "SI")):
            if amplitude[axis] > 0 and inhale[axis] == 0:
                warnings.warn(
                    f"the {letters} amplitude of {amplitude[axis]:g} mm has no direction of inhale and is left out;"
                    " give its sign in inhale=",
                    PtvkitWarning,
                    stacklevel=4,
                )
        object.__setattr__(self, "amplitude_mm", amplitude)
        object.__setattr__(self, "inhale", inhale)
        object.__setattr__(self, "period_s", number("period_s", self.period_s, least=0.0, most=60.0, above=True))
        object.__setattr__(self, "n", whole("n", self.n, least=1, most=10))
        object.__setattr__(self, "phase", number("phase", self.phase, least=-1e3, most=1e3))
        object.__setattr__(self, "lag", triple("lag", self.lag, least=-0.5, most=0.5))
        object.__setattr__(self, "amplitude_sd_mm", triple("amplitude_sd_mm", self.amplitude_sd_mm))
        rho = number("amplitude_correlation", self.amplitude_correlation, least=-0.5, most=1.0)
        object.__setattr__(self, "amplitude_correlation", rho)

    @property
    def signed_mm(self) -> Floats:
        """Amplitude times direction (3,), mm."""
        return vector(self.amplitude_mm) * vector(self.inhale)

    @property
    def path_mm(self) -> Floats:
        """One cycle (N, 3) from exhale, mm; within .01 % of the amplitude of straight lines."""
        return self.plain(np.linspace(0.0, self.period_s, 401))

    @property
    def mean_share(self) -> float:
        """E[u] = C(2n, n)/4ⁿ."""
        return comb(2 * self.n, self.n) / float(4**self.n)

    @property
    def is_population(self) -> bool:
        """Whether patients differ."""
        return bool(np.any(self.amplitude_sd_mm))

    @property
    def breath_s(self) -> float:
        """How long a breath takes."""
        return self.period_s

    def check(self, variation: Variation) -> None:
        """Every variation can be had."""

    def share_open(self, opening: Opening) -> float:
        """Share of a steady breath of the mean amplitude in which a gate with a window in mm is open."""
        top = float(np.abs(self.signed_mm).max())
        window = min((opening.window_mm or 0.0) / top, 1.0) if top > 0 else 1.0
        height = window if opening.end == "exhale" else 1 - window
        below = 2 / np.pi * float(np.arcsin(height ** (0.5 / self.n)))
        return below if opening.end == "exhale" else 1 - below

    def plain(self, time_s: Floats) -> Floats:
        """Displacement from exhale (..., 3) at times (...), mm."""
        share = time_s[..., None] / self.period_s - np.asarray(self.lag)
        moved: Floats = self.signed_mm * np.cos(np.pi * share - self.phase) ** (2 * self.n)
        return moved

    def position(self, reference: object) -> Floats:
        """A reference position, from exhale (3,), mm."""
        return self._positions(reference, self.signed_mm)

    def _positions(self, reference: object, signed: Floats) -> Floats:
        """A reference position for each signed amplitude (..., 3).

        Exhale and inhale are points of the trajectory: where the axis of largest amplitude turns. Axes that lag behind
        it have not come to their own ends there.
        """
        if not isinstance(reference, str):
            return np.broadcast_to(np.asarray(reference, float), signed.shape)
        lag = np.asarray(self.lag)
        behind = lag[np.abs(self.signed_mm).argmax()] - lag
        shares = {
            "time_mean": self.mean_share,
            "exhale": np.sin(np.pi * behind) ** (2 * self.n),
            "inhale": np.cos(np.pi * behind) ** (2 * self.n),
            "mid_range": 0.5,
        }
        position: Floats = signed * shares[reference]
        return position

    def draw(
        self,
        patients: int,
        fractions: int,
        time_s: Floats,
        span_s: float,
        reference: object,
        vary: Variation,
        of_patient: np.random.Generator,
        of_fraction: np.random.Generator,
        *,
        drifts: bool = False,
    ) -> WaveDraw:
        """Draw patients' breathing at times (P, F, S) of fractions that last `span_s`; `drifts` as `Breathing.draw`."""
        signed = self._amplitudes(of_patient.standard_normal((patients, 4)))
        top = max(float(np.abs(self.signed_mm).max()), 1e-9)
        planned = self._planned(reference, signed, vary, top, of_patient)
        day = np.maximum(1 + of_fraction.standard_normal((patients, fractions)) * vary.amplitude_between_mm / top, 0.0)
        mean = signed * self.mean_share
        rows = patients * fractions
        begin, cycles = drawn_cycles(self.period_s, rows, span_s, vary, top, of_fraction)
        extreme = self._extreme_times(begin, span_s, cycles, drifts=drifts, mixes=self._mixes(vary))
        amplitude = (signed[:, None, :] * day[..., None]).reshape(rows, 3)

        def waves(time: Floats) -> Floats:
            moved = cycle_wave(time, *cycles, amplitude, self.n, np.asarray(self.lag, float))
            about_mean: Floats = moved.reshape(patients, fractions, -1, 3) - mean[:, None, None, :]
            return about_mean

        return WaveDraw(
            mean_mm=mean,
            planned_mm=planned,
            wave_mm=waves(time_s.reshape(rows, -1) - time_s.min(initial=0.0) + begin),
            extremes_mm=waves(extreme),
            extremes_s=(extreme - begin).reshape(patients, fractions, -1),
            amplitude_mm=mean[:, None, :] * (day - 1)[..., None],
            baseline_mm=np.zeros((patients, fractions, 3)),
            moving=Cycled(
                begin=begin,
                end=cycles[0],
                scale=cycles[1],
                base=cycles[2],
                signed=signed,
                day=day,
                n=self.n,
                lag=np.asarray(self.lag, float),
                mean_share=self.mean_share,
                period_s=self.period_s,
            ),
        )

    def _planned(
        self, reference: object, signed: Floats, vary: Variation, top: float, rng: np.random.Generator
    ) -> Floats:
        """The planned position (P, 3) on the day of the planning CT, which has an amplitude of its own."""
        phase, normals = rng.random((len(signed), 1)), rng.standard_normal((len(signed), 5))
        of_day = np.maximum(1 + normals[:, :1] * vary.amplitude_between_mm / top, 0.0)
        if not is_snapshot(reference):
            return self._positions(reference, signed * of_day)
        of_cycle = np.maximum(1 + normals[:, 1:2] * vary.amplitude_mm / top, 0.0)
        u = np.cos(np.pi * (phase - np.asarray(self.lag))) ** (2 * self.n)
        position: Floats = signed * of_day * of_cycle * u + normals[:, 2:] * np.asarray(vary.baseline_mm)
        return position

    def _amplitudes(self, normals: Floats) -> Floats:
        """Signed amplitudes (P, 3) of patients: gamma distributed, one common and three own normals (P, 4) behind."""
        mean, sd = np.asarray(self.amplitude_mm, float), np.asarray(self.amplitude_sd_mm, float)
        rho = self.amplitude_correlation
        if rho >= 0:
            mixed = np.sqrt(rho) * normals[:, :1] + np.sqrt(1 - rho) * normals[:, 1:]
        else:  # what one axis has more the others have less
            own = normals[:, 1:]
            inner = own - (1 - np.sqrt(1 + 2 * rho) / np.sqrt(1 - rho)) * own.mean(axis=1, keepdims=True)
            mixed = inner * np.sqrt(1 - rho)
        drawn = np.tile(mean, (len(normals), 1))
        varied = (mean > 0) & (sd > 0)
        shape, scale = mean[varied] ** 2 / sd[varied] ** 2, sd[varied] ** 2 / mean[varied]
        drawn[:, varied] = stats.gamma.ppf(special.ndtr(mixed[:, varied]), shape, scale=scale)
        signed: Floats = drawn * np.asarray(self.inhale)
        return signed

    def _extreme_times(
        self, begin: Floats, span_s: float, cycles: tuple[Floats, Floats, Floats], *, drifts: bool, mixes: bool
    ) -> Floats:
        """Rising times (rows, E) in each fraction's window at which the wave reaches furthest.

        Without lag a steady baseline puts all positions on one line from exhale: its two ends are enough. With drift or
        varying baselines every cycle's ends count. With lag a cycle is a loop, and some phases stand for it: of every
        cycle, or, as loops of one shape lie between the largest and the smallest, of those two and of the first and
        the last, which the window may cut.
        """
        end, scale, _ = cycles
        all_cycles = drifts or mixes
        last = begin + span_s
        start = np.hstack([np.zeros((len(end), 1)), end[:, :-1]])
        count = int((start < last).sum(axis=1).max())
        start, end, scale = start[:, :count], end[:, :count].copy(), scale[:, :count]
        if np.any(self.lag):
            whole = (start >= begin) & (end * (1 + 1e-12) <= last)
            chosen = _four_cycles(start, end, scale, whole, begin, last)
            if not all_cycles:
                start, end = (np.take_along_axis(of, chosen, axis=1) for of in (start, end))
            # the axis that lags most ends its cycle in the next one
            phases = self._phases(1.0 if all_cycles else 1 + max(float(np.max(np.asarray(self.lag))), 0.0))
            loops = start[..., None] + (end - start)[..., None] * phases
            rising: Floats = np.sort(np.clip(loops.reshape(len(start), -1), begin, last), axis=1)
            return rising
        # with drift a breath bends away from its stroke, which shows where breaths are few
        steps = self._phases(1.0) if drifts and span_s < FEW_CYCLES * self.period_s else ENDS
        ends = start[..., None] + (end - start)[..., None] * steps
        times: Floats = np.clip(ends, begin[..., None], last[..., None])
        if all_cycles:
            every: Floats = times.reshape(len(start), -1)
            return every
        return _two_ends(times, start, end, scale, (end > begin) & (start < last), self.n)

    def _mixes(self, vary: Variation) -> bool:
        """Whether breaths are more than one shape in several sizes."""
        mixed = np.ptp(np.asarray(self.lag)) > LEAST_MIXED and vary.amplitude_mm > 0
        return bool(mixed or np.any(vary.baseline_mm))

    def _phases(self, last: float) -> Floats:
        """Shares of a cycle from 0 to `last`; chords between their positions are within `BEND_MM` of the wave.

        A chord over a share h is off by h²/8 of the second derivative, so that shares lie closer where that is large.
        Both sides of the moment at which a lagging axis begins its next cycle are among them.
        """
        share = np.linspace(0, last, 2001)
        squared = np.sin(np.pi * (share[:, None] - np.asarray(self.lag))) ** 2
        bend = 2 * self.n * np.pi**2 * squared ** (self.n - 1) * (2 * self.n - 1 - 2 * self.n * squared)
        density = np.sqrt(np.linalg.norm(self.signed_mm * bend, axis=1) / (8 * BEND_MM)) + 1e-3
        chords = np.r_[0.0, np.cumsum((density[1:] + density[:-1]) / 2 * (share[1] - share[0]))]
        count = 2 * int(np.ceil(chords[-1] / 2))  # even: the middle of a cycle is one of them
        phases: Floats = np.interp(np.linspace(0, chords[-1], count + 1), chords, share)
        phases[-1] *= 1 - 1e-12  # still of this cycle
        late = np.unique(np.clip(np.asarray(self.lag), 0.0, None))
        return np.sort(np.r_[phases, late[late > 0] * (1 - 1e-12), late[late > 0]])


def drawn_cycles(
    period_s: float, rows: int, span_s: float, vary: Variation, top: float, rng: np.random.Generator
) -> tuple[Floats, tuple[Floats, Floats, Floats]]:
    """When each fraction begins after the first exhale (rows, 1), and its cycles' ends, heights and baselines.

    How many are drawn depends on the fraction's length alone, never on the times at which it is looked at.
    """
    begin = rng.random((rows, 1)) * period_s
    need = span_s / period_s
    if not vary.of_cycles:
        count = int(need) + 3
        end = np.broadcast_to(np.arange(1, count + 1) * period_s, (rows, count))
        return begin, (np.ascontiguousarray(end), np.ones((rows, count)), np.zeros((rows, count, 3)))
    # a tenth more than six SDs of the cycles' summed length; the last cycle is extended
    spread = 6 * vary.period_s * np.sqrt((1 + vary.correlation) / (1 - vary.correlation))
    count = int(1.1 * (need + 1 + spread / period_s * np.sqrt(need + 2))) + 3
    x = autoregressive(rng.standard_normal((rows, 5, count)), vary.correlation)
    length = np.maximum(period_s + vary.period_s * x[:, 0], SHORTEST * period_s)
    scale = np.maximum(1 + vary.amplitude_mm / top * x[:, 1], 0.0)
    base = np.moveaxis(x[:, 2:], 1, -1) * np.asarray(vary.baseline_mm)
    return begin, (np.cumsum(length, axis=1), scale, np.ascontiguousarray(base))


def _two_ends(times: Floats, start: Floats, end: Floats, scale: Floats, met: NDArray[np.bool_], n: int) -> Floats:
    """Of candidate times (rows, cycles, C), the two (rows, 2), rising, at which the wave is lowest and highest."""
    share = (times - start[..., None]) / (end - start)[..., None]
    height = scale[..., None] * np.sin(np.pi * share) ** (2 * n)
    flat = times.reshape(len(times), -1)
    low = np.where(met[..., None], height, np.inf).reshape(flat.shape).argmin(axis=1)
    high = np.where(met[..., None], height, -np.inf).reshape(flat.shape).argmax(axis=1)
    both: Floats = np.sort(np.take_along_axis(flat, np.column_stack([low, high]), axis=1), axis=1)
    return both


def _four_cycles(
    start: Floats, end: Floats, scale: Floats, whole: NDArray[np.bool_], begin: Floats, last: Floats
) -> NDArray[np.int64]:
    """Numbers (rows, 4) of the cycles: the largest and the smallest whole one, the first and the last that is met."""
    largest = np.where(whole, scale, -np.inf).argmax(axis=1)
    smallest = np.where(whole, scale, np.inf).argmin(axis=1)
    first = (end > begin).argmax(axis=1)
    final = (start < last).sum(axis=1) - 1
    return np.column_stack([largest, smallest, first, final]).astype(np.int64)
