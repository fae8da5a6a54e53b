"""Dose limits of organs, and whether a plan keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ptvkit.dose.metrics import DoseMetrics, unit_of
from ptvkit.errors import DoseError
from ptvkit.values import number


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

    Raises
    ------
    DoseError
    """

    structure: str
    metric: str
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        unit_of(self.metric)
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
        told = [
            f"{sign} {value:g} {self.unit}"
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
    value = metrics.value(limit.metric)
    if limit.at_most is None and limit.at_least is None:
        return LimitCheck(limit=limit, value=value, passed=None)
    kept = (limit.at_most is None or value <= limit.at_most) and (limit.at_least is None or value >= limit.at_least)
    return LimitCheck(limit=limit, value=value, passed=kept)
