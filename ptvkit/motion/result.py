"""What a simulation found: coverage, misses, and how sure they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ptvkit.display import figure_of, html_of, line
from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.motion.estimate import Estimate, mean, share
from ptvkit.values import number

LETTERS: Final = tuple(DIRECTIONS)
NOTE: Final = "simulated, given these inputs; a research tool, not a medical device; a physicist reviews"
HEADINGS: Final = ("", "cc", "contained", "within 2 mm", "loss", "time out", "90 % miss below", "worst side")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoverageResult:
    """Coverage of a target over simulated courses. Arrays are (patients, fractions).

    Attributes
    ----------
    name : str
        The target, or the lesion of it.
    volume_cc : float
    coverage : array
        Time-averaged share of the volume inside the PTV: a geometric index, never a margin criterion.
    miss_mm : array
        Deepest reach outside the PTV at any instant of the fraction, mm; 0 when it never left. It is judged where the
        displacement reaches furthest and does not depend on `samples`.
    side : int8 array
        Where that was: 0 to 5 for R L A P S I, −1 when it never left.
    time_out : array
        Share of the time in which some of it was outside.
    lesions : tuple of CoverageResult
        The same for each lesion, the largest first; empty in a lesion's own.
    parameter_intervals : mapping
        For ``contained`` and ``coverage_loss``: what the size of the samples leaves open from which Σ was estimated.
    samples : int
        Times in each fraction over which `coverage` and `time_out` are means.
    seed : int
    """

    name: str
    volume_cc: float
    coverage: NDArray[np.float64]
    miss_mm: NDArray[np.float64]
    side: NDArray[np.int8]
    time_out: NDArray[np.float64]
    lesions: tuple["CoverageResult", ...] = ()
    parameter_intervals: Mapping[str, Estimate] = field(default_factory=dict)
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("coverage", "miss_mm", "side", "time_out"):
            getattr(self, name).setflags(write=False)

    def __repr__(self) -> str:
        counts = f"{self.patients} patients × {self.fractions} fractions"
        return line(self, self.name, counts, f"contained {self.contained():.3f}")

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """Histogram of the patients' deepest misses by direction, a matplotlib figure."""
        return figure_of(self, **options)

    @property
    def method(self) -> Literal["sampled", "exact"]:
        """How it was worked out."""
        return "sampled"

    @property
    def patients(self) -> int:
        """How many were simulated."""
        return int(self.coverage.shape[0])

    @property
    def fractions(self) -> int:
        """Of each course."""
        return int(self.coverage.shape[1])

    @property
    def deepest_mm(self) -> NDArray[np.float64]:
        """Deepest miss of each patient (patients,), mm."""
        found: NDArray[np.float64] = self.miss_mm.max(axis=1)
        return found

    def contained(self, tolerance_mm: float = 0.0) -> Estimate:
        """Share of patients whose target never leaves the PTV by more than a depth, with Wilson's 95 % interval."""
        depth = number("tolerance_mm", tolerance_mm, least=0.0, most=1e3)
        return share(int((self.deepest_mm <= depth).sum()), self.patients)

    def probability(self, level: float) -> Estimate:
        """Share of patients whose course average of the covered share reaches a level.

        A geometric index: 95 % of a large target's volume forgives a permanent miss of several mm. Judge a margin by
        `contained`, or by dose.
        """
        least = number("level", level, least=0.0, most=1.0)
        return share(int((self.coverage.mean(axis=1) >= least - 1e-12).sum()), self.patients)

    @property
    def coverage_loss(self) -> Estimate:
        """Population mean of 1 − coverage, with its bootstrap 95 % interval over patients."""
        return mean(1.0 - self.coverage.mean(axis=1), seed=self.seed)

    @property
    def mean_time_out(self) -> Estimate:
        """Population mean of the share of time in which some of the target is outside."""
        return mean(self.time_out.mean(axis=1), seed=self.seed)

    @property
    def sides(self) -> dict[str, Estimate]:
        """Share of patients whose deepest miss lies in each direction."""
        worst = self.miss_mm.argmax(axis=1)
        side = np.take_along_axis(self.side, worst[:, None], axis=1)[:, 0]
        return {letter: share(int((side == code).sum()), self.patients) for code, letter in enumerate(LETTERS)}

    def miss_quantile(self, level: float) -> float:
        """Deepest miss that this share of the patients stays within, mm."""
        return float(np.quantile(self.deepest_mm, number("level", level, least=0.0, most=1.0), method="higher"))

    def table(self) -> list[tuple[str, ...]]:
        """Headings, a line for the target and one for each lesion where there are several."""
        shown = (self, *self.lesions) if len(self.lesions) > 1 else (self,)
        return [HEADINGS, *(result._row() for result in shown)]

    def summary(self) -> str:
        """The table as text."""
        rows = self.table()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        count = (
            f"{self.patients} patients × {self.fractions} fractions; contained: at every instant of the course;"
            f" loss, time out: means over {self.samples} times a fraction; 95 % intervals; {NOTE}"
        )
        return "\n".join([*lines, count])

    def _row(self) -> tuple[str, ...]:
        sides = self.sides
        worst = max(sides, key=lambda letter: sides[letter])
        return (
            self.name,
            f"{self.volume_cc:.1f}",
            f"{self.contained():.3f}",
            f"{self.contained(2.0):.3f}",
            _as_percent(self.coverage_loss),
            f"{self.mean_time_out:.3f}",
            f"{self.miss_quantile(0.9):.1f} mm",
            f"{worst} {sides[worst].value:.0%}" if sides[worst] > 0 else "–",
        )


def _as_percent(estimate: Estimate) -> str:
    value, low, high = (100 * part for part in (estimate.value, estimate.low, estimate.high))
    return f"{value:.2f} % ({low:.2f}–{high:.2f})"
