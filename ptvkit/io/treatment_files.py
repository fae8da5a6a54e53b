"""A simulated treatment as files: `treatment.json`, `treatment.csv`, and pages that belong to them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ptvkit.dose.limits import LimitShare
from ptvkit.dose.result import NOTE, DoseResult
from ptvkit.dose.treatment import Part
from ptvkit.io.coverage_files import estimate
from ptvkit.io.dose_files import figures
from ptvkit.io.provenance import Provenance, file_entry, record, write_json
from ptvkit.io.tables import write_table
from ptvkit.text import csv_text

TREATMENT: Final = "treatment.json"
SCHEMA: Final = "ptvkit-treatment/1"


def write_treatment(
    parts: Sequence[Part],
    results: Mapping[str, DoseResult],
    limits: Sequence[LimitShare],
    stage: Path,
    *,
    home: Path,
    provenance: Provenance,
    asked: Mapping[str, Any],
    warnings: Iterable[str] = (),
    lesions: Mapping[str, Any] | None = None,
    pages: Mapping[str, str] | None = None,
) -> None:
    """Write a treatment into a folder: figures as JSON, a line per patient and structure as CSV, and pages.

    Parameters
    ----------
    parts : sequence of Part
    results : mapping of str to DoseResult
    limits : sequence of LimitShare
    stage, home : Path
        Folder to write to, and final folder of the files.
    provenance : Provenance
    asked : mapping
        Request that was simulated.
    warnings : iterable of str
    lesions : mapping, optional
        How they changed between the planning CTs.
    pages : mapping of str to str
        HTML by file name.
    """
    _write_table(results, stage / "treatment.csv")
    for name, text in (pages or {}).items():
        (stage / name).write_text(text, encoding="utf-8")
    names = ("treatment.csv", *(pages or {}))
    first = next(iter(results.values()))
    content = {
        "schema": SCHEMA,
        "note": NOTE,
        "models": sorted({note for result in results.values() for note in result.notes}),
        "patients": first.patients,
        "fractions": first.fractions,
        "samples": first.samples,
        "seed": first.seed,
        "parts": [
            {"name": part.name, "fractions": part.course.fractions, "prescription_gy": part.prescription_gy}
            for part in parts
        ],
        "structures": {name: _figures(result) for name, result in results.items()},
        "limits": [_limit(one) for one in limits],
        "lesions": lesions,
        "asked": dict(asked),
        **record(provenance, home, {name: file_entry(stage / name) for name in names}, warnings),
    }
    write_json(stage / TREATMENT, content)


def _figures(result: DoseResult) -> dict[str, Any]:
    """Figures by quantity: absorbed dose, and biologically weighted where that was asked."""
    both = [result] if result.physical is None else [result.physical, result]
    return {one.quantity: {**figures(one), "prescription_gy": one.prescription_gy} for one in both}


def _limit(one: LimitShare) -> dict[str, Any]:
    limit = one.limit
    return {
        "structure": limit.structure,
        "metric": limit.metric,
        "quantity": limit.quantity,
        "at_most": limit.at_most,
        "at_least": limit.at_least,
        "planned": one.planned,
        "median": one.median,
        "worst_tenth": one.worst_tenth,
        "kept": None if one.kept is None else estimate(one.kept),
        "in_words": one.words,
    }


def _write_table(results: Mapping[str, DoseResult], path: Path) -> None:
    """A line for each patient and structure; metrics that a structure does not have are empty."""
    each = {
        name: {**({} if result.physical is None else result.physical.metrics), **result.metrics}
        for name, result in results.items()
    }
    columns = tuple(dict.fromkeys(column for metrics in each.values() for column in metrics))
    count = next(iter(results.values())).patients
    with write_table(path, ("patient", "structure", *columns)) as table:
        for patient in range(count):
            for name, metrics in each.items():
                values = (f"{metrics[column][patient]:.5f}" if column in metrics else "" for column in columns)
                table.writerow((patient + 1, csv_text(name), *values))
