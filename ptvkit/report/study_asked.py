"""Request of a study in words: cases, parameters, and a table of errors."""

from typing import Any, Final

from ptvkit.report.words import number, value_in_words, words_of
from ptvkit.work.study import Plan

MOST_NAMES: Final = 12
MOST_VALUES: Final = 20
TABLES: Final = {
    "targets": "targets",
    "guidance": "image guidance",
    "breathing": "breathing",
    "intrafraction": "motion within a fraction",
    "shape_change": "change of shape",
    "management": "motion management",
    "dose": "dose",
    "simulation": "simulation",
}
NOT_NAMED: Final = "bone_and_soft_tissue"
"""Default of `seen_by`: the match that detects an error."""


def asked_in_words(plan: Plan) -> list[tuple[str, str]]:
    """Rows of the request: label and text."""
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
    """Name, Σ and σ (LR, AP, SI, mm) of the errors, and the matches that detect them."""
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
    """Text of a table with keys in words, without the varied keys."""
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
