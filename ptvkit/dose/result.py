"""What a target got over simulated courses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import figure_of, html_of, line
from ptvkit.dose.criteria import KEPT, TABLED, Criterion, Entry, Metric, criterion_of, metric_named
from ptvkit.dose.dose import Quantity
from ptvkit.dose.metrics import DoseMetrics
from ptvkit.errors import DoseError
from ptvkit.motion.estimate import Estimate, share

Floats = NDArray[np.float64]

NOTE: Final = (
    "simulated, given these inputs, with a static dose cloud: the dose stays in space while the target moves in it,"
    " which fails where motion changes what the beam passes (dome of the liver under the lung, skin), and leaves out"
    " interplay; a research tool, not a medical device; a physicist reviews"
)
LEVEL: Final = 0.95
"""Share of the prescription that tables and shares of patients are of."""
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
        ``mean_gy``, and ``v95`` where the prescription is known. Of biologically weighted dose the names end in
        ``_eqd2_gy``.
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
    quantity : {"physical", "eqd2", "bed"}
        What the doses are: absorbed dose, or EQD2 or BED formed in each fraction and summed.
    physical : DoseResult or None
        Absorbed dose of the same courses beside a biologically weighted one, where it was kept.
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
    quantity: Quantity = "physical"
    physical: "DoseResult | None" = None

    def __repr__(self) -> str:
        counts = f"{self.patients} patients × {self.fractions} fractions"
        dmin = np.median(self.metric("dmin"))
        return line(self, self.name, counts, f"median Dmin {dmin:.4g} Gy")

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
        """A metric of the accumulated dose for each patient (patients,): ``dmin_gy``, or ``dmin``, ``Dmin``, ``D98%``.

        With a biologically weighted result ``dmin`` is ``dmin_eqd2_gy``, ``dmin_gy`` is of absorbed dose, if kept.

        Raises
        ------
        DoseError
            When there is no such metric; the message has the legal ones.
        """
        if name not in self.metrics and self.physical is not None and name in self.physical.metrics:
            return self.physical.metrics[name]
        return self.metrics[self._key(name)]

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be said of some of its metrics: which are models, and of what source."""
        known = {key: _entry_of(key) for key in self.metrics}
        return tuple(f"{key}: {entry.note}" for key, entry in known.items() if entry is not None and entry.note)

    def _key(self, name: str) -> str:
        if name in self.metrics:
            return name
        try:
            key = column_of(metric_named(name).name, self.quantity)
        except DoseError:
            key = name
        if key not in self.metrics:
            why = "; v95 needs prescription_gy" if key == "v95" else "; others are kept when they are named in metrics"
            raise DoseError(f"metric {name!r}: use one of {', '.join(self.metrics)}{why}")
        return key

    def probability(self, name: str, at_least: float | None = None) -> Estimate:
        """Share of patients whose metric reaches a level, with Wilson's 95 % interval: a point of the histogram.

        Parameters
        ----------
        name : str
            A metric; or, without a level, a criterion of shares of the prescription such as ``dmin>=0.95``.
        at_least : float, optional
            In the metric's unit.

        Raises
        ------
        DoseError
            As `metric`; and when a criterion cannot be read, or the prescription is not known.
        """
        met = criterion_of(name).met(self) if at_least is None else self.metric(name) >= at_least - 1e-9
        return share(int(met.sum()), self.patients)

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
        return [_headings(self.quantity), *(result._row() for result in shown)]

    def summary(self) -> str:
        """The table as text."""
        rows = self.table()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        count = f"{self.patients} patients × {self.fractions} fractions × {self.samples} times; 95 % intervals; {NOTE}"
        return "\n".join([*lines, count, *self.notes])

    def _row(self) -> tuple[str, ...]:
        known = self.prescription_gy is not None
        shares = [f"{self.probability(one.text):.3f}" if known else "–" for one in _tabled()]
        low = [f"{np.quantile(self.metric(name), 0.1):.2f} Gy" for name in TABLED]
        planned = f"{self.planned[self._key(TABLED[0])]:.2f} Gy"
        covered = f"{100 * self.metric('v95').mean():.2f} %" if known else "–"
        return (self.name, f"{self.volume_cc:.1f}", *shares, planned, *low, covered)


def _tabled() -> list[Criterion]:
    return [criterion_of(f"{name}>={LEVEL}") for name in TABLED]


def _headings(quantity: Quantity) -> tuple[str, ...]:
    labels = [metric_named(name).label for name in TABLED]
    unit = "" if quantity == "physical" else ", EQD2"
    shares = [one.words + unit for one in _tabled()]
    return ("", "cc", *shares, f"{labels[0]} planned{unit}", *(f"{label}: 10 % below" for label in labels), "V95")


def column_of(name: str, quantity: Quantity) -> str:
    """Name of a metric in results and files: ``dmin_gy``, ``dmin_eqd2_gy``, ``v95``."""
    if metric_named(name).unit != "Gy":
        return name
    return f"{name}_gy" if quantity == "physical" else f"{name}_{quantity}_gy"


def _entry_of(column: str) -> Entry | None:
    plain = column.removesuffix("_gy")
    for quantity in ("_eqd2", "_bed"):
        plain = plain.removesuffix(quantity)
    try:
        return metric_named(plain).entry
    except DoseError:
        return metric_named(column).entry


def kept_metrics(quantity: Quantity = "physical", more: Sequence[str] = ()) -> dict[str, Metric]:
    """The metrics that a result keeps, and `more`, by their names in results; models only of the dose they are of."""
    known = [metric_named(name) for name in (*KEPT, *more)]
    return {
        column_of(metric.name, quantity): metric
        for metric in known
        if quantity == "eqd2" or not metric.entry.is_absolute
    }


def figures_of(found: DoseMetrics, kept: Mapping[str, Metric]) -> dict[str, float]:
    """The `kept_metrics` of one patient; without a prescription those that need none."""
    known = found.prescription_gy is not None
    return {
        name: metric.of_dose(found)
        for name, metric in kept.items()
        if known or metric.unit != "share" or metric.entry.is_absolute
    }
