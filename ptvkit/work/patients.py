"""A tidy table of a simulation: a line for each target, patient and fraction, with what is known of each."""

from pathlib import Path
from typing import Any, Final

from ptvkit.dose.result import DoseResult
from ptvkit.io.files import write_whole
from ptvkit.motion.result import LETTERS, CoverageResult
from ptvkit.work.results import table_text, write_parquet

PATIENTS: Final = ("patients.csv", "patients.parquet")


def write_patients(result: CoverageResult, dosed: DoseResult | None, folder: Path) -> None:
    """Write ``patients.csv``, and ``patients.parquet`` beside it where pyarrow is installed.

    Lengths are mm. Figures of the dose are of the whole course, the same in all its fractions.

    Raises
    ------
    FileError
    """
    shown = (result, *result.lesions) if len(result.lesions) > 1 else (result,)
    doses: dict[str, DoseResult] = {} if dosed is None else {one.name: one for one in (*dosed.lesions, dosed)}
    rows = [row for target in shown for row in _rows(target, doses.get(target.name))]
    path = folder / PATIENTS[0]
    with write_whole(path) as file:
        file.write(table_text(rows, list(rows[0])).encode())
    write_parquet(path)


def _rows(target: CoverageResult, dosed: DoseResult | None) -> list[dict[str, Any]]:
    metrics = {} if dosed is None else dict(dosed.metrics)
    return [
        {
            "target": target.name,
            "patient": patient + 1,
            "fraction": fraction + 1,
            "coverage": float(target.coverage[patient, fraction]),
            "miss_mm": float(target.miss_mm[patient, fraction]),
            "side": (*LETTERS, "-")[int(target.side[patient, fraction])],
            "time_out": float(target.time_out[patient, fraction]),
            **{name: float(values[patient]) for name, values in metrics.items()},
        }
        for patient in range(target.patients)
        for fraction in range(target.fractions)
    ]
