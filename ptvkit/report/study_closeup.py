"""Data of the chosen cell for the page: population, histograms with bands, error budget."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.result import DoseResult
from ptvkit.errors import PtvkitError
from ptvkit.motion.estimate import Estimate
from ptvkit.report.study_answer import Chosen
from ptvkit.work.closeup import Closeup, cell_with, closeup_of
from ptvkit.work.study import Outcome, Plan

MOST_CASES: Final = 3
POINTS: Final = 81
TAIL: Final = 0.005
"""Share of patients with doses below the plotted range."""


def closeups(plan: Plan, outcome: Outcome, choice: Chosen | None) -> list[dict[str, Any]]:
    """First cases of the chosen cell, as JSON values."""
    if choice is None:
        return []
    cell = cell_with(plan, choice.values)
    shown = []
    for case in [case for case in plan.cases if case.name not in outcome.failed][:MOST_CASES]:
        try:
            shown.append(_as_data(closeup_of(plan, case, cell)))
        except PtvkitError:  # its files no longer exist
            continue
    return shown


def _as_data(one: Closeup) -> dict[str, Any]:
    deepest = one.result.deepest_mm
    reach = np.linspace(0.0, max(float(deepest.max()), 1.0), POINTS)
    data: dict[str, Any] = {
        "case": one.case,
        "patients": one.result.patients,
        "miss": {"mm": _rounded(reach), "share": _rounded(np.array([(deepest <= mm).mean() for mm in reach]))},
        "budget": [
            {"name": cost.name, "alone": _out(cost.contained_alone), "without": _out(cost.contained_without)}
            for cost in one.costs
        ],
    }
    return data if one.dosed is None else {**data, **_doses(one.dosed)}


def _doses(dosed: DoseResult) -> dict[str, Any]:
    top = float(dosed.levels_gy[-1])
    least, scale = dosed.metric("dmin_gy"), dosed.prescription_gy
    first = min(float(np.quantile(least, TAIL)), 0.93 * (scale or top))
    levels = np.linspace(first, 1.01 * float(dosed.metric("d98_gy").max()), POINTS)
    population = {}
    for name in ("dmin_gy", "d98_gy"):
        _, value, low, high = dosed.population(name, levels)
        population[name] = {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}
    kept = dosed.levels_gy >= first
    band = zip(("median", "low", "high"), dosed.dvh_band(), strict=True)
    return {
        "prescription": scale,
        "population": {"gy": _rounded(levels), **population},
        "dvh": {
            "gy": _rounded(dosed.levels_gy[kept]),
            "planned": _rounded(dosed.planned_dvh[kept]),
            **{name: _rounded(values[kept]) for name, values in band},
        },
    }


def _out(contained: Estimate) -> Sequence[float]:
    """Share of patients with a miss, and its interval."""
    return [round(1 - part, 5) for part in (contained.value, contained.high, contained.low)]


def _rounded(values: NDArray[np.floating[Any]]) -> list[float]:
    rounded: list[float] = np.round(values.astype(float), 4).tolist()
    return rounded
