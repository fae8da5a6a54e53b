"""What a target is judged by: one registry of metrics, and criteria made of a metric and a level.

The same names serve the results of simulations, limits of organs, the smallest margin, tables and pages. A new metric
is one entry of `REGISTRY`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.biology import LYMAN_SETS, MODEL, TUMOUR_SETS, Lyman, TumourControl, geud, ntcp, tcp
from ptvkit.errors import DoseError

if TYPE_CHECKING:
    from ptvkit.dose.metrics import DoseMetrics
    from ptvkit.dose.result import DoseResult
    from ptvkit.motion.result import CoverageResult

Floats = NDArray[np.float64]
Unit = Literal["Gy", "%", "cc", "share"]
Better = Literal["higher", "lower"]
Source = Literal["dose", "coverage"]

_NUMBER: Final = r"(\d+(?:\.\d+)?)"
_LOW: Final = r"([0-4]?\d(?:\.\d+)?)"
_HIGH: Final = r"([5-9]\d(?:\.\d+)?|100)"
LEGAL: Final = "Dmin, Dmax, mean, D98, D2cc, D35mm3, D(V-35mm3), V95, V20Gy, V20Gy_cc, geud8, tcp_metastases"
_ABOVE_0: Final = r"(?!0+(?:\.0+)?$)(\d+(?:\.\d+)?)"
_BELOW_0: Final = r"(?!-0+(?:\.0+)?$)(-\d+(?:\.\d+)?)"
GEOMETRIC: Final = (
    "covered volume is a geometric index: it shrinks the margin as the target grows and forgives a permanent miss of a"
    " large one; judge a margin by dmin, d98 or contained"
)


class Entry(NamedTuple):
    """A metric, or a family of metrics that differ by one number.

    Attributes
    ----------
    form : str
        Regular expression of its names, in lower case; its group is the number.
    label : str
        As tables have it, ``{}`` for the number.
    unit : {"Gy", "%", "cc", "share"}
    better : {"higher", "lower"}
        Which way a target's own value should go; of a healthy organ every dose is better lower.
    source : {"dose", "coverage"}
    compute : callable
        From `DoseMetrics` and the number, a float; or from a `CoverageResult`, an array (patients,).
    note : str
        What a result that uses it must add.
    is_absolute : bool
        Whether it needs doses in Gy, also where others are shares of the prescription.
    alpha_beta_gy : float or None
        Of the EQD2 that its parameters are of; None where it is of any dose.
    """

    form: str
    label: str
    unit: Unit
    better: Better
    source: Source
    compute: Callable[[Any, float], Any]
    note: str = ""
    is_absolute: bool = False
    alpha_beta_gy: float | None = None


def _of_set(model: Callable[..., float], name: str) -> Callable[[Any, float], float]:
    return lambda found, _: model(found, name)


def _model(one: TumourControl | Lyman) -> str:
    return f"{MODEL}; {one.source}; EQD2, α/β {one.alpha_beta_gy:g} Gy"


REGISTRY: Final = (
    Entry("dmin()", "Dmin", "Gy", "higher", "dose", lambda found, _: found.dmin_gy),
    Entry("dmax()", "Dmax", "Gy", "lower", "dose", lambda found, _: found.dmax_gy),
    Entry("(?:dmean|mean)()", "mean", "Gy", "higher", "dose", lambda found, _: found.mean_gy),
    Entry(f"d{_LOW}%?", "D{} %", "Gy", "lower", "dose", lambda found, percent: found.dose_at(percent / 100)),
    Entry(f"d{_HIGH}%?", "D{} %", "Gy", "higher", "dose", lambda found, percent: found.dose_at(percent / 100)),
    Entry(f"d{_NUMBER}cc", "D{} cc", "Gy", "lower", "dose", lambda found, cc: found.dose_at_cc(cc)),
    Entry(f"d{_NUMBER}mm3", "D{} mm³", "Gy", "lower", "dose", lambda found, mm3: found.dose_at_cc(mm3 / 1000)),
    Entry(
        rf"d\(v-{_NUMBER}mm3\)",
        "D(V − {} mm³)",
        "Gy",
        "higher",
        "dose",
        lambda found, mm3: found.dose_at_cc(max(found.volume_cc - mm3 / 1000, 0.0)),
    ),
    Entry(f"v{_NUMBER}gy", "V{} Gy", "%", "higher", "dose", lambda found, gy: 100 * found.volume_at(gy)),
    Entry(f"v{_NUMBER}gy_cc", "V{} Gy", "cc", "higher", "dose", lambda found, gy: found.volume_at_cc(gy)),
    Entry(f"v{_NUMBER}%?", "V{} %", "share", "higher", "dose", lambda found, percent: found.volume_above(percent)),
    Entry(
        f"geud{_ABOVE_0}", "gEUD a {}", "Gy", "lower", "dose", lambda found, a: geud(found, a), note=f"gEUD is {MODEL}"
    ),
    Entry(
        f"geud{_BELOW_0}",
        "gEUD a {}",
        "Gy",
        "higher",
        "dose",
        lambda found, a: geud(found, a),
        note=f"gEUD is {MODEL}",
    ),
    *(
        Entry(
            f"tcp_{name}()",
            f"TCP {name}",
            "share",
            "higher",
            "dose",
            _of_set(tcp, name),
            note=_model(one),
            is_absolute=True,
            alpha_beta_gy=one.alpha_beta_gy,
        )
        for name, one in TUMOUR_SETS.items()
    ),
    *(
        Entry(
            f"ntcp_{name}()",
            f"NTCP {name}",
            "share",
            "lower",
            "dose",
            _of_set(ntcp, name),
            note=_model(one),
            is_absolute=True,
            alpha_beta_gy=one.alpha_beta_gy,
        )
        for name, one in LYMAN_SETS.items()
    ),
    Entry("contained()", "contained", "share", "higher", "coverage", lambda result, _: (result.deepest_mm <= 0) * 1.0),
    Entry(
        "coverage()",
        "covered volume",
        "share",
        "higher",
        "coverage",
        lambda result, _: result.coverage.mean(axis=1),
        note=GEOMETRIC,
    ),
)
"""All metrics. V95 is the share of the volume that gets 95 % of the prescription, V20Gy that which gets 20 Gy."""

KEPT: Final = ("dmin", "d98", "d95", "d50", "d2", "dmax", "mean", "v95")
"""Metrics of the dose that results keep for each patient."""
TABLED: Final = ("dmin", "d98")
"""Metrics whose share of patients at 95 % of the prescription tables show."""
CRITERIA: Final = "dmin>=0.95, d98>=0.95, d95>=0.95, v95>=0.98, mean>=0.99, contained, or coverage>=0.99"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric by its name. Make one with `metric_named`.

    Attributes
    ----------
    name : str
        As in results and criteria: ``dmin``, ``d98``, ``v95``, ``d2cc``, ``contained``.
    label : str
        As in tables.
    size : float
        The number in its name, else 0.
    entry : Entry
    """

    name: str
    label: str
    size: float
    entry: Entry

    @property
    def unit(self) -> Unit:
        """Gy, %, cc or share (0 to 1)."""
        return self.entry.unit

    def of_dose(self, found: "DoseMetrics") -> float:
        """Of one histogram, in the metric's unit.

        Raises
        ------
        DoseError
            When it is not a metric of dose, or needs a prescription that is not known.
        """
        if self.entry.source != "dose":
            raise DoseError(f"metric {self.name!r}: is told by coverage, not by a dose; use one like {LEGAL}")
        return float(self.entry.compute(found, self.size))

    def of_coverage(self, result: "CoverageResult") -> Floats:
        """Of each patient (patients,).

        Raises
        ------
        DoseError
            When it is not a metric of coverage.
        """
        if self.entry.source != "coverage":
            raise DoseError(f"metric {self.name!r}: is told by a dose, not by coverage; use contained or coverage")
        found: Floats = np.asarray(self.entry.compute(result, self.size), float)
        return found


def metric_named(name: str) -> Metric:
    """A metric by its name, upper and lower case alike: ``Dmin``, ``D98%`` or ``d98``, ``V95``, ``V20Gy_cc``.

    Raises
    ------
    DoseError
        When there is no such metric; the message has legal ones.

    Examples
    --------
    >>> metric_named("D98 %").name, metric_named("Dmean").name, metric_named("V20Gy").unit
    ('d98', 'mean', '%')
    """
    plain = re.sub(r"\s+", "", str(name)).lower().replace("³", "3").replace("−", "-")
    for entry in REGISTRY:
        match = re.fullmatch(entry.form, plain)
        if match and float(match[1] or 0) <= (100 if "%" in entry.form else np.inf):
            short = "mean" if plain == "dmean" else plain.removesuffix("%")
            return Metric(name=short, label=entry.label.format(match[1]), size=float(match[1] or 0), entry=entry)
    raise DoseError(f"metric {name!r}: there is none of that name; use one like {LEGAL}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A metric and the level that it must reach. Make one with `criterion_of`.

    Attributes
    ----------
    metric : Metric
    level : float
        A share: of the prescription for a dose, of the volume for V95 and covered volume; 1 for containment.
    at_least : bool
        False where the level must not be exceeded.
    """

    metric: Metric
    level: float
    at_least: bool = True

    @property
    def text(self) -> str:
        """As it is written: ``dmin>=0.95``, ``contained``."""
        sign = ">=" if self.at_least else "<="
        return self.metric.name if self.metric.name == "contained" else f"{self.metric.name}{sign}{self.level:g}"

    @property
    def words(self) -> str:
        """As tables and pages say it: ``Dmin ≥ 95 %``."""
        if self.metric.name == "contained":
            return self.metric.label
        return f"{self.metric.label} {'≥' if self.at_least else '≤'} {100 * self.level:g} %"

    def met(self, result: "DoseResult | CoverageResult") -> NDArray[np.bool_]:
        """Whether each patient (patients,) of a simulation meets it.

        Raises
        ------
        DoseError
            When the result does not have the metric, or a dose result no prescription.
        """
        if self.metric.entry.source == "coverage":
            values, level = self.metric.of_coverage(result), self.level  # type: ignore[arg-type]
        else:
            values, level = result.metric(self.metric.name), self.level  # type: ignore[union-attr]
            if self.metric.unit == "Gy":
                level *= _prescription(result)  # type: ignore[arg-type]
        return values >= level - 1e-9 if self.at_least else values <= level + 1e-9


def _prescription(result: "DoseResult") -> float:
    if result.prescription_gy is None:
        raise DoseError("a criterion on dose needs prescription_gy; give it to the dose or to simulate_dose")
    return result.prescription_gy


def criterion_of(text: str) -> Criterion:
    """A criterion from text: ``dmin>=0.95``, ``d98>=0.95``, ``v95>=0.98``, ``d2<=1.07``, ``contained``.

    Raises
    ------
    DoseError
        When it cannot be read; the message has legal ones.

    Examples
    --------
    >>> criterion_of("d98 ≥ 0.95").text, criterion_of("contained").words, criterion_of("Dmin>=0.95").words
    ('d98>=0.95', 'contained', 'Dmin ≥ 95 %')
    """
    plain = str(text).replace(" ", "").replace("≥", ">=").replace("≤", "<=").lower()
    parts = re.fullmatch(r"([^<>=]+)(?:(>=|<=)(\d*\.?\d+))?", plain)
    refusal = DoseError(f"criterion {text!r}: use {CRITERIA}; levels above 0 to 1")
    if parts is None:
        raise refusal
    try:
        metric = metric_named(parts[1])
    except DoseError:
        raise refusal from None
    if metric.name == "contained" and parts[2] is None:
        return Criterion(metric=metric, level=1.0)
    at_least, level = parts[2] == ">=", float(parts[3] or 0)
    most = 1.0 if at_least or metric.unit == "share" else 2.0
    if metric.name == "contained" or metric.unit in ("%", "cc") or not 0 < level <= most:
        raise refusal
    return Criterion(metric=metric, level=level, at_least=at_least)


def metrics_of_ratio(metrics: Sequence[str], ratio: float | None) -> tuple[str, ...]:
    """Metrics that a structure of this α/β has: a model only where its parameters are of that EQD2."""
    return tuple(one for one in metrics if metric_named(one).entry.alpha_beta_gy in (None, ratio))


def check_models(metrics: Sequence[str], ratios: Mapping[str, float | None]) -> None:
    """Refuse a model whose parameters are of an EQD2 that no structure has.

    Raises
    ------
    DoseError
    """
    for name in metrics:
        wanted = metric_named(name).entry.alpha_beta_gy
        if wanted is not None and wanted not in ratios.values():
            raise DoseError(
                f"metrics: {name!r} is of EQD2 with α/β {wanted:g} Gy, which no structure has; give alpha_beta_gy ="
                f" {wanted:g} to the structure that it is of, or leave it out"
            )
