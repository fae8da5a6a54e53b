"""Accumulated dose as files: `dose.json`, `dose.csv`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from ptvkit.dose.result import NOTE, DoseResult
from ptvkit.io.coverage_files import estimate
from ptvkit.io.provenance import Provenance, file_entry, record, write_json
from ptvkit.io.tables import write_table
from ptvkit.text import csv_text

SCHEMA: Final = "ptvkit-dose/1"
QUANTILES: Final = (0.05, 0.1, 0.5, 0.9, 0.95)


def write_dose_result(
    result: DoseResult,
    stage: Path,
    *,
    home: Path,
    provenance: Provenance,
    asked: Mapping[str, Any],
    warnings: Iterable[str] = (),
) -> dict[str, Any]:
    """Write a result into a folder: figures as JSON, one line per patient and target as CSV.

    Parameters
    ----------
    result : DoseResult
    stage : Path
        Folder to write to, from `ptvkit.io.files.write_together`.
    home : Path
        Final folder of the files: paths in the JSON file are relative to it.
    provenance : Provenance
    asked : mapping
        Request that was simulated, in the keys of a study file.
    warnings : iterable of str

    Returns
    -------
    dict
        The content of `dose.json`.
    """
    _write_table(result, stage / "dose.csv")
    content = {
        "schema": SCHEMA,
        "note": NOTE,
        "patients": result.patients,
        "fractions": result.fractions,
        "samples": result.samples,
        "seed": result.seed,
        "prescription_gy": result.prescription_gy,
        "quantity": result.quantity,
        "target": figures(result),
        "lesions": [figures(lesion) for lesion in result.lesions],
        "asked": dict(asked),
        **record(provenance, home, {"dose": file_entry(stage / "dose.csv")}, warnings),
    }
    write_json(stage / "dose.json", content)
    return content


def figures(result: DoseResult) -> dict[str, Any]:
    """Figures of a target: quantiles over patients, and the share of patients with 95 % of the prescription."""
    content: dict[str, Any] = {
        "name": result.name,
        "volume_cc": result.volume_cc,
        "planned": dict(result.planned),
        "patients": {
            name: {f"{level:g}": float(np.quantile(values, level)) for level in QUANTILES}
            for name, values in result.metrics.items()
        },
    }
    if result.prescription_gy is not None:
        goal = 0.95 * result.prescription_gy
        content["at_least_95_percent"] = {
            name: estimate(result.probability(name, goal)) for name in result.metrics if name.endswith("_gy")
        }
    middle, low, high = result.dvh_band()
    content["dvh"] = {
        "dose_gy": result.levels_gy.tolist(),
        "planned": result.planned_dvh.tolist(),
        "median": middle.tolist(),
        "5_percent": low.tolist(),
        "95_percent": high.tolist(),
    }
    return content


def _write_table(result: DoseResult, path: Path) -> None:
    shown = (result, *result.lesions) if len(result.lesions) > 1 else (result,)
    with write_table(path, ("patient", "target", *result.metrics)) as table:
        for patient in range(result.patients):
            for target in shown:
                values = (f"{values[patient]:.5f}" for values in target.metrics.values())
                table.writerow((patient + 1, csv_text(target.name), *values))
