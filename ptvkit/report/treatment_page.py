"""A simulated treatment as one page: time line, accumulated dose with bands, limits with shares."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ptvkit.analysis.lesion_change import LesionComparison
from ptvkit.dose.criteria import TABLED, metric_named
from ptvkit.dose.limits import LimitShare
from ptvkit.dose.result import NOTE, DoseResult, column_of
from ptvkit.io.provenance import versions
from ptvkit.report.lesion_charts import lesion_figure
from ptvkit.report.pages import embedded, rendered, script
from ptvkit.report.style import png_address
from ptvkit.report.words import SHARES_NOTE
from ptvkit.work.treatment import Treatment

QUANTITIES: Final = {"physical": "absorbed dose", "eqd2": "EQD2", "bed": "BED"}
SHOWN: Final = (*TABLED, "d50", "dmax", "mean")
WEEK: Final = 5
"""Fractions of a week on the time line, one each working day."""


def treatment_page(treatment: Treatment, asked: Mapping[str, Any], warnings: Sequence[str] = ()) -> str:
    """The page as HTML; it needs no other file and no network."""
    target = next(iter(treatment.results.values()))
    values = {
        "title": f"Treatment: {parts_in_words(treatment)}",
        "answer": " ".join(_answers(treatment)),
        "note": NOTE[0].upper() + NOTE[1:],
        "shares_note": SHARES_NOTE,
        "models": sorted({note for result in treatment.results.values() for note in result.notes}),
        "warnings": warnings,
        "patients": target.patients,
        "parts": _parts(treatment),
        "shared": ", ".join((asked.get("treatment") or {}).get("shared", [])) or "none",
        "heads": ["structure", "quantity", *(metric_named(name).label + ", Gy" for name in SHOWN)],
        "doses": [row for name, result in treatment.results.items() for row in _dose_rows(name, result)],
        "named": [row for name, result in treatment.results.items() for row in _named_rows(name, result, treatment)],
        "limits": [_limit_row(one) for one in treatment.limits],
        **_lesions(treatment.lesions),
        "study": json.dumps(asked, indent=1, default=str),
        "provenance": [*versions().items(), ("written", datetime.now(UTC).isoformat(timespec="seconds"))],
        "data": embedded(_data(treatment)),
        "plotly": script("plotly-basic.min.js"),
        "script": script("treatment.js"),
    }
    return rendered("treatment.html.j2", values)


def _lesions(lesions: LesionComparison | None) -> dict[str, Any]:
    """How the lesions changed between planning CTs: a sentence, a table, a picture; or nothing."""
    if lesions is None:
        return {"lesions": None}
    heads, *rows = lesions.table()
    picture = png_address(lesion_figure(lesions))
    return {"lesions": lesions.summary(), "lesion_heads": heads, "lesion_rows": rows, "lesion_picture": picture}


def parts_in_words(treatment: Treatment) -> str:
    """The parts in order: ``whole liver 18 × 1.7 Gy, then boost 12 × 1.9 Gy``."""
    return ", then ".join(
        f"{part.name} {_schedule(part.course.fractions, part.prescription_gy)}" for part in treatment.parts
    )


def _schedule(fractions: int, prescription_gy: float | None) -> str:
    return (
        f"{fractions} fractions" if prescription_gy is None else f"{fractions} × {prescription_gy / fractions:.3g} Gy"
    )


def _answers(treatment: Treatment) -> list[str]:
    """The target first, then each limit that can be kept."""
    target = next(iter(treatment.results.values()))
    found = []
    if target.prescription_gy is not None:
        share = target.probability("dmin>=0.95")
        value, low, high = (100 * part for part in (share.value, share.low, share.high))
        found.append(
            f"Dmin of the target reaches 95 % of {target.prescription_gy:.4g} Gy ({QUANTITIES[target.quantity]}) in"
            f" {value:.1f} % ({low:.1f}–{high:.1f} %) of courses."
        )
    sentences = [one.words for one in treatment.limits if one.kept is not None]
    return [*found, *(f"{text[0].upper()}{text[1:]}." for text in sentences)]


def _parts(treatment: Treatment) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for part in treatment.parts:
        errors = ", ".join(error.name for error in part.course.setup) or "none"
        registered = "registered by a transform" if part.transform is not None else part.frame or "same positions"
        prescription = "–" if part.prescription_gy is None else f"{part.prescription_gy:.4g}"
        rows.append(
            (part.name, _schedule(part.course.fractions, part.prescription_gy), prescription, registered, errors)
        )
    return rows


def _both(result: DoseResult) -> list[DoseResult]:
    return [result] if result.physical is None else [result.physical, result]


def _dose_rows(name: str, result: DoseResult) -> list[tuple[str, ...]]:
    """Median over courses, with the 5th and 95th percentile."""
    rows = []
    for one in _both(result):
        figures = [_spread(one.metric(metric).tolist()) for metric in SHOWN]
        rows.append((name, QUANTITIES[one.quantity], *figures))
    return rows


def _named_rows(name: str, result: DoseResult, treatment: Treatment) -> list[tuple[str, ...]]:
    """Metrics that the request names, as models of tumour control; of the kind of dose that has them."""
    rows: list[tuple[str, ...]] = []
    for metric in map(metric_named, treatment.metrics):
        column = column_of(metric.name, result.quantity)
        if column in result.metrics:
            unit = "" if metric.unit == "share" else f", {metric.unit}"
            spread = _spread(result.metrics[column].tolist())
            rows.append((name, f"{metric.label}{unit}", f"{result.planned[column]:.3f}", spread))
    return rows


def _spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    low, middle, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.5, 0.95))
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _limit_row(one: LimitShare) -> dict[str, Any]:
    unit = one.limit.unit
    figures = ["–" if value is None else f"{value:.2f} {unit}" for value in (one.planned, one.median, one.worst_tenth)]
    kept = "the structure is not there" if one.planned is None else "–"
    if one.kept is not None:
        kept = f"{100 * one.kept.value:.1f} % ({100 * one.kept.low:.1f}–{100 * one.kept.high:.1f} %)"
    name = f"{one.limit.structure}, {metric_named(one.limit.metric).label} {one.limit.goal}"
    return {"cells": [name, *figures, kept], "short": one.kept is not None and one.kept.value < 1}


def _data(treatment: Treatment) -> dict[str, Any]:
    """Time line and histograms; a week has five fractions, and a part begins on a Monday."""
    line, week = [], 0
    for part in treatment.parts:
        count = part.course.fractions
        days = [7 * week + 7 * (n // WEEK) + n % WEEK + 1 for n in range(count)]
        line.append(
            {"name": part.name, "days": days, "ct": 7 * week - 2, "text": _schedule(count, part.prescription_gy)}
        )
        week += -(-count // WEEK) + 1
    curves = [
        {"name": name, "quantity": QUANTITIES[one.quantity], "prescription": one.prescription_gy, **_curve(one)}
        for name, result in treatment.results.items()
        for one in _both(result)
    ]
    return {"line": line, "curves": curves}


def _curve(result: DoseResult) -> dict[str, list[float]]:
    middle, low, high = result.dvh_band()
    named = {"gy": result.levels_gy, "planned": result.planned_dvh, "median": middle, "low": low, "high": high}
    return {key: [round(float(value), 5) for value in values] for key, values in named.items()}
