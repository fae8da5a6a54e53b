"""What a target got over simulated courses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import figure_of, html_of, line
from ptvkit.dose.metrics import DoseMetrics
from ptvkit.errors import DoseError
from ptvkit.motion.estimate import Estimate, share

Floats = NDArray[np.float64]

NOTE: Final = (
    "simulated, given these inputs, with a static dose cloud: the dose stays in space while the target moves in it,"
    " which fails where motion changes what the beam passes (dome of the liver under the lung, skin), and leaves out"
    " interplay; a research tool, not a medical device; a physicist reviews"
)
METRICS: Final = ("dmin_gy", "d98_gy", "d95_gy", "d50_gy", "d2_gy", "dmax_gy", "mean_gy")
V95: Final = "v95"
HEADINGS: Final = ("", "cc", "Dmin ≥ 95 %", "D98 ≥ 95 %", "Dmin planned", "Dmin: 10 % below", "D98: 10 % below", "V95")
BAND: Final = (5.0, 95.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DoseResult:
    """Accumulated dose of a target over simulated courses.

    Attributes
    ----------
    name : str
    volume_cc : float
    prescription_gy : float or None
    metrics : mapping of str to (patients,) array
        ``dmin_gy`` (over surface and interior), ``d98_gy``, ``d95_gy``, ``d50_gy``, ``d2_gy``, ``dmax_gy``,
        ``mean_gy``, and ``v95`` where the prescription is known.
    planned : mapping of str to float
        The same without motion.
    levels_gy : (L,) array
        Doses at which histograms are kept.
    dvh : (patients, L) array
        Share of the volume that gets as much.
    planned_dvh : (L,) array
    lesions : tuple of DoseResult
        The same for each lesion, the largest first; empty in a lesion's own.
    fractions, samples, seed : int
    """

    name: str
    volume_cc: float
    prescription_gy: float | None
    metrics: Mapping[str, Floats]
    planned: Mapping[str, float]
    levels_gy: Floats
    dvh: NDArray[np.float32]
    planned_dvh: Floats
    lesions: tuple["DoseResult", ...] = ()
    fractions: int = 1
    samples: int = 1
    seed: int = 0

    def __repr__(self) -> str:
        counts = f"{self.patients} patients × {self.fractions} fractions"
        return line(self, self.name, counts, f"median Dmin {np.median(self.metric('dmin_gy')):.4g} Gy")

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """Dose-volume histograms with their band over patients, a matplotlib figure."""
        return figure_of(self, **options)

    @property
    def patients(self) -> int:
        """How many were simulated."""
        return len(self.dvh)

    def metric(self, name: str) -> Floats:
        """A metric of the accumulated dose for each patient (patients,).

        Raises
        ------
        DoseError
            When there is no such metric; the message tells the legal ones.
        """
        if name not in self.metrics:
            why = "; v95 needs prescription_gy" if name == V95 else ""
            raise DoseError(f"metric {name!r}: use one of {', '.join(self.metrics)}{why}")
        return self.metrics[name]

    def probability(self, name: str, at_least: float) -> Estimate:
        """Share of patients whose metric reaches a level, with Wilson's 95 % interval: a point of the histogram."""
        return share(int((self.metric(name) >= at_least - 1e-9).sum()), self.patients)

    def population(self, name: str, levels: ArrayLike | None = None) -> tuple[Floats, Floats, Floats, Floats]:
        """Dose-population histogram: levels (L,), the share of patients that reach each, and its 95 % interval's ends.

        Raises
        ------
        DoseError
            As `metric`.
        """
        values = self.metric(name)
        given = np.linspace(0.0, float(values.max()), 201) if levels is None else np.asarray(levels, float)
        found = [self.probability(name, float(level)) for level in given]
        value, low, high = (np.array([getattr(one, end) for one in found]) for end in ("value", "low", "high"))
        return given, value, low, high

    def dvh_band(self) -> tuple[Floats, Floats, Floats]:
        """Median and 5–95 % band over patients of the histogram, each (L,)."""
        low, middle, high = np.percentile(self.dvh, [BAND[0], 50.0, BAND[1]], axis=0)
        return middle, low, high

    def table(self) -> list[tuple[str, ...]]:
        """Headings, a line for the target and one for each lesion where there are several."""
        shown = (self, *self.lesions) if len(self.lesions) > 1 else (self,)
        return [HEADINGS, *(result._row() for result in shown)]

    def summary(self) -> str:
        """The table as text."""
        rows = self.table()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        count = f"{self.patients} patients × {self.fractions} fractions × {self.samples} times; 95 % intervals; {NOTE}"
        return "\n".join([*lines, count])

    def _row(self) -> tuple[str, ...]:
        least, near = self.metric("dmin_gy"), self.metric("d98_gy")
        goal = None if self.prescription_gy is None else 0.95 * self.prescription_gy
        return (
            self.name,
            f"{self.volume_cc:.1f}",
            "–" if goal is None else f"{self.probability('dmin_gy', goal):.3f}",
            "–" if goal is None else f"{self.probability('d98_gy', goal):.3f}",
            f"{self.planned['dmin_gy']:.2f} Gy",
            f"{np.quantile(least, 0.1):.2f} Gy",
            f"{np.quantile(near, 0.1):.2f} Gy",
            "–" if goal is None else f"{100 * self.metric(V95).mean():.2f} %",
        )


def figures_of(found: DoseMetrics, prescription_gy: float | None) -> dict[str, float]:
    """The metrics that a result keeps, of one patient."""
    kept = {name: float(getattr(found, name)) for name in METRICS}
    return kept if prescription_gy is None else {**kept, V95: found.volume_at(0.95 * prescription_gy)}
