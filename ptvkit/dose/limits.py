"""Dose limits of organs, and whether a plan keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.criteria import metric_named
from ptvkit.dose.dose import QUANTITIES, Quantity
from ptvkit.dose.metrics import DoseMetrics, unit_of
from ptvkit.dose.result import DoseResult, column_of
from ptvkit.errors import DoseError
from ptvkit.motion.estimate import Estimate, share
from ptvkit.values import choice, number


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseLimit:
    """A limit for one structure.

    Parameters
    ----------
    structure : str
    metric : str
        As `DoseMetrics.value` knows it: ``Dmax``, ``D66``, ``V20Gy``, ``V95``.
    at_most, at_least : float, optional
        In the metric's unit; with neither the figure is only told.
    quantity : {"physical", "eqd2", "bed"}
        What dose the limit is of.

    Raises
    ------
    DoseError
    """

    structure: str
    metric: str
    at_most: float | None = None
    at_least: float | None = None
    quantity: Quantity = "physical"

    def __post_init__(self) -> None:
        unit_of(self.metric)
        choice(f"{self.structure}, {self.metric}, quantity", self.quantity, QUANTITIES, error=DoseError)
        for name in ("at_most", "at_least"):
            if (value := getattr(self, name)) is not None:
                number(f"{self.structure}, {self.metric}, {name}", value, least=0.0, most=1e5, error=DoseError)

    @property
    def unit(self) -> str:
        """Of the metric."""
        return unit_of(self.metric)

    @property
    def goal(self) -> str:
        """The limit in words."""
        of = "" if self.quantity == "physical" or self.unit != "Gy" else f" {self.quantity.upper()}"
        told = [
            f"{sign} {value:g} {self.unit}{of}"
            for sign, value in (("≤", self.at_most), ("≥", self.at_least))
            if value is not None
        ]
        return " and ".join(told) or "told only"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitCheck:
    """A limit and what a plan gives.

    Attributes
    ----------
    limit : DoseLimit
    value : float or None
        None when the structure was not given.
    passed : bool or None
        None when there is nothing to pass.
    """

    limit: DoseLimit
    value: float | None
    passed: bool | None


def check_limits(structures: Mapping[str, DoseMetrics], limits: Sequence[DoseLimit]) -> tuple[LimitCheck, ...]:
    """Hold limits against the structures of a plan, by name, upper and lower case alike.

    Examples
    --------
    >>> from ptvkit import conformal_dose, dose_metrics, phantom
    >>> liver = phantom.region("liver")
    >>> found = {"Liver": dose_metrics(conformal_dose(liver, 30.6), liver)}
    >>> [check.passed for check in check_limits(found, [DoseLimit(structure="liver", metric="mean", at_most=28)])]
    [False]
    """
    known = {name.lower(): metrics for name, metrics in structures.items()}
    return tuple(_checked(known.get(limit.structure.lower()), limit) for limit in limits)


def _checked(metrics: DoseMetrics | None, limit: DoseLimit) -> LimitCheck:
    if metrics is None:
        return LimitCheck(limit=limit, value=None, passed=None)
    if metrics.quantity != limit.quantity:
        raise DoseError(
            f"limit of {limit.structure}, {limit.metric}: is of {limit.quantity} dose, the plan is {metrics.quantity};"
            " weight the dose by eqd2, or give the limit the plan's quantity"
        )
    value = metrics.value(limit.metric)
    if limit.at_most is None and limit.at_least is None:
        return LimitCheck(limit=limit, value=value, passed=None)
    return LimitCheck(limit=limit, value=value, passed=bool(_keeps(limit, np.array([value]))[0]))


def _keeps(limit: DoseLimit, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values (N,) keep a limit."""
    kept = np.ones(values.shape, bool)
    if limit.at_most is not None:
        kept &= values <= limit.at_most
    if limit.at_least is not None:
        kept &= values >= limit.at_least
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitShare:
    """A limit, and in which share of simulated courses it is kept.

    Attributes
    ----------
    limit : DoseLimit
    planned : float or None
        Without motion; None when the structure was not given.
    median, worst_tenth : float or None
        Over the courses, in the metric's unit: the median, and what one in ten exceeds, or falls short of where the
        limit is a lower one.
    kept : Estimate or None
        Share of the courses, with Wilson's 95 % interval; None when there is nothing to keep.
    """

    limit: DoseLimit
    planned: float | None = None
    median: float | None = None
    worst_tenth: float | None = None
    kept: Estimate | None = None

    @property
    def words(self) -> str:
        """As a sentence: ``cord Dmax ≤ 40 Gy: kept in 99.2 % (98.4–99.6 %) of courses``."""
        what = f"{self.limit.structure} {metric_named(self.limit.metric).label} {self.limit.goal}"
        if self.planned is None:
            return f"{what}: the structure is not there"
        if self.kept is None:
            return f"{what}: median {self.median:.4g} {self.limit.unit}"
        value, low, high = (100 * share for share in (self.kept.value, self.kept.low, self.kept.high))
        return f"{what}: kept in {value:.1f} % ({low:.1f}–{high:.1f} %) of courses"


def limits_kept(results: Mapping[str, DoseResult], limits: Sequence[DoseLimit]) -> tuple[LimitShare, ...]:
    """In which share of simulated courses each limit is kept, by structure, upper and lower case alike.

    Parameters
    ----------
    results : mapping of str to DoseResult
        Of `simulate_treatment`, which must have kept the limits' metrics.
    limits : sequence of DoseLimit

    Raises
    ------
    DoseError
        When a result has not kept a metric, or has no dose of the limit's quantity.

    Examples
    --------
    >>> from ptvkit import Course, Part, SetupError, phantom, simulate_treatment
    >>> lesion, course = phantom.region("lesion_1"), Course(setup=[SetupError(systematic_mm=3)], fractions=12)
    >>> part = Part(ptv=lesion, fraction_gy=1.9, course=course)
    >>> organs = {"CTV": lesion, "kidney_right": phantom.region("kidney_right")}
    >>> results = simulate_treatment([part], organs, metrics=["D66%"], patients=20)
    >>> limits_kept(results, [DoseLimit(structure="kidney_right", metric="D66%", at_most=20)])[0].kept.value
    1.0
    """
    known = {name.lower(): result for name, result in results.items()}
    return tuple(_share_of(known.get(limit.structure.lower()), limit) for limit in limits)


def _share_of(result: DoseResult | None, limit: DoseLimit) -> LimitShare:
    if result is None:
        return LimitShare(limit=limit)
    own = next((one for one in (result, result.physical) if one is not None and one.quantity == limit.quantity), None)
    if own is None:
        raise DoseError(
            f"limit of {limit.structure}, {limit.metric}: is of {limit.quantity} dose, which was not simulated; give"
            f" alpha_beta_gy of {limit.structure}"
        )
    values = own.metric(limit.metric)
    has_goal = limit.at_most is not None or limit.at_least is not None
    return LimitShare(
        limit=limit,
        planned=own.planned[column_of(metric_named(limit.metric).name, own.quantity)],
        median=float(np.median(values)),
        worst_tenth=float(np.quantile(values, 0.1 if limit.at_most is None and has_goal else 0.9)),
        kept=share(int(_keeps(limit, values).sum()), len(values)) if has_goal else None,
    )
