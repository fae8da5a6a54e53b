"""A study's answer: the smallest PTV that does what is wanted, in every case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

FIGURES: Final = {
    "contained": ("patients never out", True),
    "within_2mm": ("patients never out by over 2 mm", True),
    "dmin_95": ("patients with Dmin ≥ 95 %", True),
    "d98_95": ("patients with D98 ≥ 95 %", True),
    "ptv_cc": ("PTV, cc", False),
    "organ_cc": ("organ inside PTV, outside CTV, cc", False),
    "miss90_mm": ("miss that 9 of 10 stay within, mm", False),
    "coverage_loss": ("covered volume lost, an index", True),
    "time_out": ("share of the time with some of it out", True),
}
"""Figures of the table that a page draws: their names, and whether they are shares."""
GOAL: Final = 0.90


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The cell that answers a study.

    Attributes
    ----------
    values : tuple
        Of the swept keys.
    share : float
        Of the patients, in the worst case.
    ptv_cc : float
        Mean over cases.
    enough, tried : int
        Cells that reach the goal, and all.
    figure : str
        Key of what was asked.
    cases : int
    """

    values: tuple[Any, ...]
    share: float
    ptv_cc: float
    enough: int
    tried: int
    figure: str
    cases: int


def chosen(rows: Sequence[Mapping[str, Any]], swept: Sequence[str]) -> Chosen | None:
    """The smallest PTV that reaches the goal in every case, else the cell that comes nearest; None without rows."""
    whole = [row for row in rows if row["lesion"] == "all"]
    if not whole:
        return None
    figure = "dmin_95" if any(row.get("dmin_95", "") != "" for row in whole) else "contained"
    cells: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in whole:
        cells.setdefault(tuple(row[key] for key in swept), []).append(row)
    worth = [
        (min(float(row[figure]) for row in group), sum(float(row["ptv_cc"]) for row in group) / len(group), values)
        for values, group in cells.items()
    ]
    enough = [entry for entry in worth if entry[0] >= GOAL]
    share, ptv_cc, values = (
        min(enough, key=lambda entry: entry[1]) if enough else max(worth, key=lambda entry: entry[0])
    )
    return Chosen(
        values=values,
        share=share,
        ptv_cc=ptv_cc,
        enough=len(enough),
        tried=len(worth),
        figure=figure,
        cases=len({row["case"] for row in whole}),
    )


def answer(found: Chosen | None, swept: Sequence[str]) -> str:
    """The answer in a sentence."""
    if found is None:
        return "No case could be run; the reasons are below."
    name = FIGURES[found.figure][0]
    cases = "the case" if found.cases == 1 else "every case"
    cell = cell_told(swept, found.values)
    if not found.enough:
        return (
            f"No cell reaches {GOAL:.0%} of {name} in {cases}; the best, {cell}, has {found.share:.0%}"
            f" with a PTV of {found.ptv_cc:.0f} cc. Simulated, given these inputs."
        )
    return (
        f"The smallest PTV with at least {GOAL:.0%} of {name} in {cases} has {found.ptv_cc:.0f} cc"
        f"{' on average' if found.cases > 1 else ''}: {cell} ({found.share:.0%})."
        f" {found.enough} of {found.tried} cells reach it. Simulated, given these inputs."
    )


def cell_told(swept: Sequence[str], values: Sequence[Any]) -> str:
    """A cell in words."""
    return ", ".join(f"{key} = {told(value)}" for key, value in zip(swept, values, strict=True)) or "as asked"


def told(value: Any) -> str:
    """A value of the table, with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
