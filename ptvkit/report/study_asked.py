"""What a study asks, in words: its cases, its parameters, and a table of its errors."""

from typing import Any, Final

from ptvkit.report.words import number, value_in_words, words_of
from ptvkit.work.study import Plan

MOST_NAMES: Final = 12
MOST_VALUES: Final = 20
TABLES: Final = {
    "targets": "targets",
    "guidance": "image guidance",
    "breathing": "breathing",
    "dose": "dose",
    "simulation": "simulation",
}
NOT_NAMED: Final = "bone_and_soft_tissue"
"""Who sees an error of which the study says nothing."""


def asked_in_words(plan: Plan) -> list[tuple[str, str]]:
    """Lines of what is asked, each with its name."""
    rows = [("cases", f"{len(plan.cases)}: {_some([case.name for case in plan.cases], MOST_NAMES)}")]
    for key in plan.cells[0].values:
        values = list(dict.fromkeys(number(cell.values[key]) for cell in plan.cells))
        rows.append((f"{words_of(key)} (varied)", _some(values, MOST_VALUES)))
    varied = set(plan.cells[0].values)
    for table, name in TABLES.items():
        if table in plan.content:
            rows.append((name, _table(table, plan.content[table], varied)))
    return [row for row in rows if row[1]]


def errors_table(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Name, Σ and σ (LR, AP, SI in mm) and the matches that see it, of each error."""
    return [
        (
            str(error.get("name", "set-up")),
            _triple(error.get("systematic_mm", 0)),
            _triple(error.get("random_mm", 0)),
            value_in_words(error.get("seen_by", NOT_NAMED)),
        )
        for error in plan.content.get("errors", [])
    ]


def _table(table: str, content: Any, varied: set[str]) -> str:
    """A table in a line, its keys in words; what is varied stands in lines of its own."""
    if not isinstance(content, dict):
        return value_in_words(content)
    parts = []
    for key, value in content.items():
        if f"{table}.{key}" not in varied:
            name = words_of(f"{table}.{key}").removeprefix(f"{table}: ")
            parts.append(f"{name}: {value_in_words(value)}")
    return "; ".join(parts)


def _triple(value: Any) -> str:
    return value_in_words(value if isinstance(value, list) else [value] * 3)


def _some(values: list[str], most: int) -> str:
    return ", ".join(values[:most]) + (", …" if len(values) > most else "")
