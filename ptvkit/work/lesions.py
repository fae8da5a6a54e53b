"""Lesions of two scans from files: matched, measured, written as a table, a picture and JSON."""

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ptvkit.analysis.lesion_change import DISTANCE_MM, NOTE, THRESHOLD, LesionChange, LesionComparison, compare_lesions
from ptvkit.analysis.lesion_match import OVERLAP
from ptvkit.display import drawing
from ptvkit.errors import EmptyMaskError, FileError, PtvkitWarning
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.dicom.frames import refuse_other_frames
from ptvkit.io.naming import StructureRef
from ptvkit.io.provenance import Provenance, file_entry, record, write_json
from ptvkit.io.requests import InputFiles, write_request
from ptvkit.io.tables import write_table

RECORD: Final = "lesions.json"
TABLE: Final = "lesions.csv"
PICTURE: Final = "lesions.png"
SCHEMA: Final = "ptvkit-lesions/1"
PAIRS: Final = ("volume_cc", "diameter_mm", "short_axis_mm", "slice_diameter_mm")
COLUMNS: Final = (
    *("lesion", "category", "matched_by", "distance_mm"),
    *(f"{name}_{when}" for name in PAIRS for when in ("before", "after")),
    *("volume_change", "diameter_change"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionsOutcome:
    """Lesions of two files, compared.

    Attributes
    ----------
    comparison : LesionComparison
    content : mapping
        The content of ``lesions.json``, without the entries about files where none were written.
    folder : Path or None
    """

    comparison: LesionComparison
    content: dict[str, Any]
    folder: Path | None = None


def run_lesions(
    before: str,
    after: str,
    out: str | os.PathLike[str] | None = None,
    *,
    transform: str | os.PathLike[str] | None = None,
    distance_mm: float = DISTANCE_MM,
    threshold: float = THRESHOLD,
) -> LesionsOutcome:
    """Compare the lesions of two files, and write ``lesions.json``, ``lesions.csv`` and ``lesions.png``.

    Parameters
    ----------
    before, after : str
        ``FILE`` or ``FILE:NAME``. An empty mask has no lesion.
    out : path, optional
        Folder; without it nothing is written.
    transform : path, optional
        A text file with a 4×4 affine that takes patient points of the first scan to those of the second, RAS+ mm.
    distance_mm, threshold : float
        As in `compare_lesions`.

    Raises
    ------
    PtvkitError
        When a file cannot be used, the frames of reference differ without a transform, or no lesion can be matched.
    """
    refs = [StructureRef.parse(before), StructureRef.parse(after)]
    files = [path for ref in refs for path in ref.files()]
    for ref in refs:
        ref.check()
    inputs = InputFiles([*files, *([] if transform is None else [transform])])
    if transform is None:
        refuse_other_frames(files)
    matrix = None if transform is None else read_affine(transform)
    comparison = compare_lesions(_read(refs[0]), _read(refs[1]), matrix, distance_mm=distance_mm, threshold=threshold)
    content = as_json(comparison)
    if out is None:
        return LesionsOutcome(comparison=comparison, content=content)
    return LesionsOutcome(
        comparison=comparison, content=_write(comparison, Path(out), inputs, content), folder=Path(out)
    )


def read_affine(path: str | os.PathLike[str]) -> Any:
    """A 4×4 matrix of a text file.

    Raises
    ------
    FileError
        When it does not hold four lines of four numbers.
    """
    try:
        matrix = np.loadtxt(path, delimiter="," if "," in Path(path).read_text(encoding="utf-8") else None, ndmin=2)
    except (OSError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (4, 4):
        raise FileError(f"{path}: needs four lines of four numbers, a 4×4 affine in RAS+ mm")
    return matrix


def as_json(comparison: LesionComparison) -> dict[str, Any]:
    """A comparison as JSON values; pairs are [before, after], null where the lesion is absent."""
    return {
        "schema": SCHEMA,
        "note": NOTE,
        "response": comparison.response,
        "summary": comparison.summary(),
        "sum_of_diameters_mm": list(comparison.sum_mm),
        "volume_cc": list(comparison.volume_cc),
        "matching": {"least_overlap": OVERLAP, "distance_mm": comparison.distance_mm},
        "volume_threshold": comparison.threshold,
        "lesions": [_lesion(row) for row in comparison.rows],
    }


def _lesion(row: LesionChange) -> dict[str, Any]:
    return {
        "name": row.name,
        "category": row.category,
        "matched_by": row.matched_by or None,
        "distance_mm": row.distance_mm,
        **{name: list(getattr(row, name)) for name in PAIRS},
        "volume_change": row.change,
        "diameter_change": row.diameter_change,
    }


def _read(ref: StructureRef) -> Mask | Region:
    try:
        return ref.read()
    except EmptyMaskError:
        warnings.warn(f"{ref.path}: is empty; it counts as a scan without lesions", PtvkitWarning, stacklevel=2)
        grid = Grid(shape=(1, 1, 1), affine=np.eye(4))
        return Mask.from_box(np.zeros((0, 0, 0), bool), (0, 0, 0), grid, name=str(ref.path))


def _write(comparison: LesionComparison, folder: Path, inputs: InputFiles, content: dict[str, Any]) -> dict[str, Any]:
    provenance = Provenance(inputs=inputs.sources, method="lesion comparison", margins={})
    with write_request(folder, inputs, record=RECORD, names=(RECORD, TABLE, PICTURE)) as stage:
        _write_table(comparison.rows, stage / TABLE)
        drawing("lesion_charts").save_picture(comparison, stage / PICTURE)
        files = {name: file_entry(stage / name) for name in (TABLE, PICTURE)}
        content = {**content, **record(provenance, folder, files, ())}
        write_json(stage / RECORD, content)
    return content


def _write_table(rows: Iterable[LesionChange], path: Path) -> None:
    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    with write_table(path, COLUMNS) as table:
        for row in rows:
            values = [value for name in PAIRS for value in getattr(row, name)]
            numbers = map(cell, (row.distance_mm, *values, row.change, row.diameter_change))
            table.writerow((row.name, row.category, row.matched_by, *numbers))
