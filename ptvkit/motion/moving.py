"""What a drawn breathing motion answers: where the target is at any time, and when a gate is open on it."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ptvkit.motion.windows import Windows

Floats = NDArray[np.float64]
End = Literal["exhale", "inhale"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opening:
    """Where in a breath a gate is open. One of `duty` and `window_mm` is None.

    Attributes
    ----------
    end : {"exhale", "inhale"}
    by : {"amplitude", "phase"}
    duty : float or None
        Share of the time of a steady breath.
    window_mm : float or None
        From the end of the breath, along the axis of largest motion.
    offset : float
        By which share of a breath a phase window lies later.
    drift_mm_per_s : (patients, fractions, 3) array or None
        That the window does not follow.
    """

    end: End
    by: Literal["amplitude", "phase"]
    duty: float | None
    window_mm: float | None
    offset: float
    drift_mm_per_s: Floats | None = None


class Moving(Protocol):
    """Breathing of some patients in each fraction, mm about the time mean of each patient's breathing.

    Times are counted from the beginning of each fraction, s; those before it are negative.
    """

    @property
    def on_line(self) -> bool:
        """Whether all positions of a patient lie on one line."""
        ...

    @property
    def period_s(self) -> float:
        """Of a breath."""
        ...

    def at(self, time_s: Floats) -> Floats:
        """Positions (patients, fractions, T, 3) at times (patients, fractions, T) that rise."""
        ...

    def turning_s(self, span_s: float, *, finely: bool = False) -> Floats:
        """Rising times (patients, fractions, T): positions at others lie between theirs; `finely`: within a breath."""
        ...

    def open(self, opening: Opening, span_s: float, before_s: float) -> Windows:
        """When a gate is open, from `before_s` before a fraction to its end at `span_s`; a row for each fraction."""
        ...

    def open_mean(self, opening: Opening) -> tuple[Floats, Floats]:
        """Mean position in a steady breath's window: of the patients (patients, 3), of the days (…, fractions, 3)."""
        ...
