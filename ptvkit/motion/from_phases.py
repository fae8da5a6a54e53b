"""Breathing as the phases of a 4D image show it: a loop of positions, each held for its share of the cycle."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.geometry.phases import Phases
from ptvkit.motion.cycles import find_cycles
from ptvkit.motion.looped import Looped
from ptvkit.motion.lujan import drawn_cycles
from ptvkit.motion.moving import Opening
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.variation import Variation, as_variation
from ptvkit.motion.wave_draw import WaveDraw
from ptvkit.values import is_snapshot, number, vector

Floats = NDArray[np.float64]

PERIOD_S: Final = 4.0
"""Period of the cycle where nothing states it."""
FEWEST_BREATHS: Final = 5
"""Breaths of a trace below which their variation is not estimated."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhaseLoop:
    """The positions of phases, passed in turn; between two of them nothing is known, and the target is at one or both.

    Parameters
    ----------
    position_mm : (K, 3) array
        From the time mean, in the order of the cycle.
    weights : (K,) array
        Share of the cycle of each.
    exhale, inhale : int
        Index of the end of exhale, where cycles begin and end, and of inhale.
    period_s : float
    """

    position_mm: Floats
    weights: Floats
    exhale: int
    inhale: int
    period_s: float = PERIOD_S

    def __post_init__(self) -> None:
        object.__setattr__(self, "period_s", number("period_s", self.period_s, least=0.0, most=60.0, above=True))

    @property
    def is_population(self) -> bool:
        """Phases are those of one patient."""
        return False

    @property
    def path_mm(self) -> Floats:
        """The positions (K + 1, 3) from the time mean, the first again at the end."""
        return np.vstack([self.position_mm, self.position_mm[:1]])

    @property
    def _top_mm(self) -> float:
        """The amplitude on the axis where it is largest, mm."""
        return max(float(np.ptp(self.position_mm, axis=0).max()), 1e-9)

    @property
    def _order(self) -> tuple[NDArray[np.int64], Floats]:
        """Phases from exhale to exhale (K + 1,), and the shares of the cycle at which the next one begins (K,)."""
        count = len(self.weights)
        order = (self.exhale + np.arange(count + 1)) % count
        lengths = self.weights[order[:-1]].copy()
        lengths[0] /= 2  # the other half ends the cycle
        return order, np.cumsum(lengths)

    @property
    def breath_s(self) -> float:
        """How long a breath takes."""
        return self.period_s

    def check(self, variation: Variation) -> None:
        """Every variation can be had."""

    def share_open(self, opening: Opening) -> float:
        """Share of a steady breath in which a gate with a window in mm is open."""
        order, edges = self._order
        stroke = self.position_mm[self.inhale] - self.position_mm[self.exhale]
        far = self.position_mm[order] - self.position_mm[self.exhale if opening.end == "exhale" else self.inhale]
        away = np.abs(far @ stroke) / max(float(np.linalg.norm(stroke)), 1e-12)
        return float(np.diff(np.r_[0.0, edges, 1.0])[away <= (opening.window_mm or 0.0) + 1e-9].sum())

    def plain(self, time_s: Floats) -> Floats:
        """Position (..., 3) from the time mean at times (...), mm; the middle of the first phase is at time 0."""
        edges = np.cumsum(self.weights) - self.weights[0] / 2
        phase = np.searchsorted(edges, time_s / self.period_s % 1.0, side="right") % len(self.weights)
        found: Floats = self.position_mm[phase]
        return found

    def position(self, reference: object) -> Floats:
        """A reference position from the time mean (3,), mm."""
        if not isinstance(reference, str):
            return np.asarray(reference, float)
        known: dict[str, Floats] = {
            "time_mean": np.zeros(3),
            "exhale": self.position_mm[self.exhale],
            "inhale": self.position_mm[self.inhale],
            "mid_range": (self.position_mm.min(axis=0) + self.position_mm.max(axis=0)) / 2,
        }
        return known[reference]

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
        """Draw breathing at times (P, F, S) of fractions that last `span_s`; cycles are scaled about exhale."""
        top, low = self._top_mm, self.position_mm[self.exhale]
        planned = self._planned(reference, patients, vary, of_patient)
        day = np.maximum(1 + of_fraction.standard_normal((patients, fractions)) * vary.amplitude_between_mm / top, 0.0)
        rows = patients * fractions
        begin, cycles = drawn_cycles(self.period_s, rows, span_s, vary, top, of_fraction)
        extreme = self._changes(begin, span_s, cycles[0], every=vary.of_cycles or drifts, ends=drifts)

        def waves(time: Floats) -> Floats:
            phase, cycle = self._passed(time, cycles[0])
            scale = np.take_along_axis(cycles[1], cycle, axis=1) * day.reshape(rows, 1)
            base = np.take_along_axis(cycles[2], cycle[..., None], axis=1)
            moved = low + scale[..., None] * (self.position_mm[phase] - low) + base
            found: Floats = moved.reshape(patients, fractions, -1, 3)
            return found

        return WaveDraw(
            mean_mm=np.zeros((patients, 3)),
            planned_mm=planned,
            wave_mm=waves(time_s.reshape(rows, -1) - time_s.min(initial=0.0) + begin),
            extremes_mm=waves(extreme),
            extremes_s=(extreme - begin).reshape(patients, fractions, -1),
            amplitude_mm=-low * (day - 1)[..., None],
            baseline_mm=np.zeros((patients, fractions, 3)),
            moving=self._moving(begin, cycles, day),
        )

    def _moving(self, begin: Floats, cycles: tuple[Floats, Floats, Floats], day: Floats) -> Looped:
        """The drawn breaths at any time."""
        order, edges = self._order
        return Looped(
            begin=begin,
            end=cycles[0],
            scale=cycles[1],
            base=cycles[2],
            day=day,
            position_mm=self.position_mm[order],
            edges=np.r_[0.0, edges, 1.0],
            inhale=int((order == self.inhale).argmax()),
            period_s=self.period_s,
        )

    def _planned(self, reference: object, patients: int, vary: Variation, rng: np.random.Generator) -> Floats:
        """The planned position (P, 3); of a snapshot a random phase of a random cycle of a random day."""
        share, normals = rng.random(patients), rng.standard_normal((patients, 5))
        if not is_snapshot(reference):
            return np.broadcast_to(self.position(reference), (patients, 3))
        scale = np.maximum(1 + normals[:, :1] * vary.amplitude_between_mm / self._top_mm, 0.0)
        scale = scale * np.maximum(1 + normals[:, 1:2] * vary.amplitude_mm / self._top_mm, 0.0)
        low = self.position_mm[self.exhale]
        position: Floats = low + scale * (self.plain(share * self.period_s) - low)
        position += normals[:, 2:] * vector(vary.baseline_mm)
        return position

    def _passed(self, time_s: Floats, end_s: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The phase and the cycle (rows, T) at rising times since the first exhale."""
        order, edges = self._order
        last = end_s.shape[1] - 1
        cycle = np.stack([np.searchsorted(end, time, side="right") for end, time in zip(end_s, time_s, strict=True)])
        cycle = np.minimum(cycle, last)
        start = np.hstack([np.zeros((len(end_s), 1)), end_s])
        begin, end = (np.take_along_axis(start, cycle + more, axis=1) for more in (0, 1))
        return order[np.searchsorted(edges, (time_s - begin) / (end - begin), side="right")], cycle

    def _changes(self, begin: Floats, span_s: float, end_s: Floats, *, every: bool, ends: bool) -> Floats:
        """Rising times (rows, E) of each fraction's window at which a phase begins; with `ends` also where it ends.

        Without variation one cycle stands for all.
        """
        last = begin + (span_s if every else min(span_s, self.period_s))
        start = np.hstack([np.zeros((len(end_s), 1)), end_s[:, :-1]])
        count = int((start < last).sum(axis=1).max())
        start, end_s = start[:, :count], end_s[:, :count]
        # just after the change, which rounding must not undo
        shares = np.r_[0.0, self._order[1]] + 1e-9
        times: Floats = (start[..., None] + (end_s - start)[..., None] * shares).reshape(len(start), -1)
        times = np.clip(times, begin, last)
        if ends:
            before = np.hstack([times[:, 1:] - 2e-9 * self.period_s, last])
            times = np.sort(np.hstack([times, np.clip(before, begin, last)]), axis=1)
        return times


def loop_of(phases: Phases, period_s: float) -> PhaseLoop:
    """The loop that phases describe."""
    return PhaseLoop(
        position_mm=phases.displacement_mm,
        weights=phases.weights,
        exhale=phases.exhale,
        inhale=phases.inhale,
        period_s=period_s,
    )


def reference_of(phases: Phases, reference: str | float | ArrayLike) -> str | Floats:
    """A reference for the loop: ``mid_ventilation`` and the number of a phase become positions from the time mean."""
    if isinstance(reference, str):
        return phases.displacement_mm[phases.mid_ventilation] if reference == "mid_ventilation" else reference
    of_phase = isinstance(reference, int | float)
    position: Floats = phases.displacement_mm[phases.index_of(reference)] if of_phase else np.asarray(reference, float)  # type: ignore[arg-type]
    return position


def variation_of(variation: Variation | Trajectory | str, amplitude_mm: float) -> Variation:
    """A variation, a published one by name, or that of the breaths of a trace, scaled to an amplitude.

    Raises
    ------
    MotionError
        When the name is unknown, or the trace has fewer than 5 breaths.
    """
    if not isinstance(variation, Trajectory):
        return as_variation(variation)
    cycles = find_cycles(variation)
    if cycles is None or len(cycles.amplitude_mm) < FEWEST_BREATHS:
        raise MotionError(
            f"variation: fewer than {FEWEST_BREATHS} breaths were found in {variation.name}; take a longer trace, or"
            " 'free'"
        )
    heights = cycles.amplitude_mm
    about = heights - heights.mean()
    lows = variation.even().displacement_mm[cycles.low]
    trend = np.linspace(-1, 1, len(lows))[:, None]
    lows = lows - lows.mean(axis=0) - trend * (trend * lows).sum(axis=0) / (trend**2).sum()
    return Variation(
        amplitude_mm=float(heights.std(ddof=1) / heights.mean()) * amplitude_mm,
        period_s=float(cycles.period_s.std(ddof=1)),
        baseline_mm=lows.std(axis=0, ddof=2),
        correlation=float(np.clip((about[1:] * about[:-1]).sum() / max((about**2).sum(), 1e-12), 0.0, 0.95)),
    )


def period_of(variation: object, period_s: float | None) -> float:
    """The period that is stated, else the median of a trace's breaths, else 4 s."""
    if period_s is not None:
        return period_s
    cycles = find_cycles(variation) if isinstance(variation, Trajectory) else None
    return PERIOD_S if cycles is None or not len(cycles.period_s) else float(np.median(cycles.period_s))
