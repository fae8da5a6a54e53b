"""Answer of a study: the smallest PTV that meets the criterion in every case, with its support."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ptvkit.report.words import COLUMNS, cell_in_words

FIGURES: Final = {
    "contained": True,
    "within_2mm": True,
    "dmin_95": True,
    "d98_95": True,
    "ptv_cc": False,
    "organ_cc": False,
    "miss90_mm": False,
    "coverage_loss": True,
    "time_out": True,
}
"""Columns of the table that the page plots, and whether they are shares."""
GOAL: Final = 0.90
LEAST_MM: Final = 0.05

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The cell (a combination of swept values) that answers a study.

    Attributes
    ----------
    values : tuple
        Values of the swept keys.
    share, low, high : float
        Share of patients in the worst case, with its 95 % simulation interval.
    contained, miss90_mm : float or None
        Worst case of the same cell.
    ptv_cc : float
        Mean over cases.
    supported, tried : int
        Number of cells whose interval lies above the goal in every case, and of all cells.
    figure : str
        Key of the criterion.
    cases : int
    """

    values: tuple[Any, ...]
    share: float
    low: float
    high: float
    contained: float | None
    miss90_mm: float | None
    ptv_cc: float
    supported: int
    tried: int
    figure: str
    cases: int


def chosen(rows: Sequence[Row], swept: Sequence[str]) -> Chosen | None:
    """The smallest PTV whose interval lies above the goal in every case, else the best cell; None without rows."""
    whole = [row for row in rows if row["lesion"] == "all"]
    if not whole:
        return None
    figure = "dmin_95" if any(row.get("dmin_95", "") != "" for row in whole) else "contained"
    cells: dict[tuple[Any, ...], list[Row]] = {}
    for row in whole:
        cells.setdefault(tuple(row[key] for key in swept), []).append(row)
    tried = [_summed_up(values, group, figure) for values, group in cells.items()]
    supported = [one for one in tried if one["low"] >= GOAL]
    best = min(supported, key=lambda one: one["ptv_cc"]) if supported else max(tried, key=lambda one: one["low"])
    cases = len({row["case"] for row in whole})
    return Chosen(**best, supported=len(supported), tried=len(tried), figure=figure, cases=cases)


def _summed_up(values: tuple[Any, ...], group: Sequence[Row], figure: str) -> dict[str, Any]:
    """Summary of a cell over its cases: the worst case, and the mean volume."""
    worst = min(group, key=lambda row: float(_or(row.get(f"{figure}_low"), float(row[figure]))))
    contained = [float(row["contained"]) for row in group if row.get("contained", "") != ""]
    misses = [float(row["miss90_mm"]) for row in group if row.get("miss90_mm", "") != ""]
    share = float(worst[figure])
    return {
        "values": values,
        "share": share,
        "low": float(_or(worst.get(f"{figure}_low"), share)),
        "high": float(_or(worst.get(f"{figure}_high"), share)),
        "contained": min(contained, default=None),
        "miss90_mm": max(misses, default=None),
        "ptv_cc": sum(float(row["ptv_cc"]) for row in group) / len(group),
    }


def _or(value: Any, other: float) -> Any:
    return other if value in (None, "") else value


def answer(choice: Chosen | None, swept: Sequence[str]) -> str:
    """Answer in words: the result supported by the lower end of the interval, and containment of the same cell."""
    if choice is None:
        return "No case could be simulated; the reasons are listed below."
    name = COLUMNS[choice.figure]
    cases = "the case" if choice.cases == 1 else "every case"
    cell = cell_in_words(swept, choice.values)
    share = f"{choice.share:.0%}, 95 % interval {choice.low:.0%} to {choice.high:.0%}"
    if not choice.supported:
        first = (
            f"No cell is shown to reach {GOAL:.0%} of {name} in {cases}. The best is {cell}: {share}"
            f"{', in the worst case' if choice.cases > 1 else ''}, with a PTV of {choice.ptv_cc:.0f} cc."
        )
        return f"{first} {_same_cell(choice)}Simulated, given these inputs."
    mean = " on average" if choice.cases > 1 else ""
    return (
        f"The smallest PTV with at least {GOAL:.0%} of {name} in {cases}, supported by the lower end of the interval,"
        f" has {choice.ptv_cc:.0f} cc{mean}: {cell} ({share}). {_same_cell(choice)}"
        f"{choice.supported} of {choice.tried} cells reach it. Simulated, given these inputs."
    )


def _same_cell(choice: Chosen) -> str:
    """Containment and miss of the same cell."""
    parts = []
    if choice.figure != "contained" and choice.contained is not None:
        parts.append(f"{choice.contained:.0%} of patients are contained at every instant")
    if choice.miss90_mm is not None:
        never = choice.miss90_mm < LEAST_MM
        parts.append(f"9 in 10 patients {'never miss' if never else f'miss by less than {choice.miss90_mm:.1f} mm'}")
    return f"In the same cell {' and '.join(parts)}. " if parts else ""
