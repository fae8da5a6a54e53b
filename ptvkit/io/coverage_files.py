"""Simulation result as files: `coverage.json`, `coverage.csv` and two probability maps."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ptvkit.io.nifti import write_image
from ptvkit.io.provenance import Provenance, file_entry, record, write_json, write_sidecar
from ptvkit.io.tables import write_table
from ptvkit.motion.cost import Cost
from ptvkit.motion.estimate import Estimate
from ptvkit.motion.exact.derivatives import Derivatives
from ptvkit.motion.exact.result import ExactCoverage
from ptvkit.motion.maps import ProbabilityMaps
from ptvkit.motion.residuals import Residual
from ptvkit.motion.result import LETTERS, NOTE, CoverageResult
from ptvkit.text import csv_text

SCHEMA: Final = "ptvkit-coverage/1"
TOLERANCES_MM: Final = (0.0, 1.0, 2.0, 3.0, 5.0)
EXACT_TOLERANCES_MM: Final = (0.0, 2.0, 5.0)
LEVELS: Final = (0.5, 0.9, 0.95)
MAPS: Final = {
    "occupied": ("occupied_by_ctv", "share of the time in which the CTV occupies a point in space, 0 to 1"),
    "inside_ptv": (
        "ctv_inside_ptv",
        "share of the time in which the CTV point planned here lies inside the PTV; NaN outside the CTV",
    ),
}
SLOPE_COLUMNS: Final = ("parameter", "error", "direction", "contained_per_mm", "ptv_cc_per_mm")
COLUMNS: Final = ("patient", "fraction", "target", "coverage", "miss_mm", "side", "time_out")


def write_coverage(
    result: CoverageResult,
    stage: Path,
    *,
    home: Path,
    provenance: Provenance,
    asked: Mapping[str, Any],
    residuals: Sequence[Residual] = (),
    costs: Sequence[Cost] = (),
    maps: ProbabilityMaps | None = None,
    more: Mapping[str, Any] | None = None,
    slopes: Derivatives | None = None,
    warnings: Iterable[str] = (),
) -> dict[str, Any]:
    """Write a result into a folder.

    Parameters
    ----------
    result : CoverageResult
    stage : Path
        Folder to write to, from `ptvkit.io.files.write_together`.
    home : Path
        Final folder of the files: paths in the JSON files are relative to it.
    provenance : Provenance
    asked : mapping
        Request that was simulated, in the keys of a study file.
    residuals, costs, maps
        Results of `residual_errors`, `coverage_split` and `probability_maps`.
    more : mapping, optional
        Further entries.
    slopes : Derivatives, optional
        Of the exact method.
    warnings : iterable of str

    Returns
    -------
    dict
        The content of `coverage.json`.
    """
    files = {}
    if maps is not None:
        for field, (name, _) in MAPS.items():
            path = stage / f"{name}.nii.gz"
            write_image(getattr(maps, field), maps.grid, path)
            write_sidecar(path, provenance, home=home)
            files[name] = file_entry(path)
    if not isinstance(result, ExactCoverage):
        _write_table(result, stage / "coverage.csv")
        files["coverage"] = file_entry(stage / "coverage.csv")
    if slopes is not None:
        _write_slopes(slopes, stage / "derivatives.csv")
        files["derivatives"] = file_entry(stage / "derivatives.csv")
    content = {
        "schema": SCHEMA,
        "note": NOTE,
        **summary(result),
        "residual_errors_mm": [_residual(row) for row in residuals],
        "costs": [_cost(cost) for cost in costs],
        **({} if slopes is None else {"derivatives": _slopes(slopes)}),
        "maps": dict(MAPS.values()) if maps is not None else {},
        **(more or {}),
        "asked": dict(asked),
        **record(provenance, home, files, warnings),
    }
    write_json(stage / "coverage.json", content)
    return content


def summary(result: CoverageResult) -> dict[str, Any]:
    """Figures of the target and its lesions, as JSON values."""
    if isinstance(result, ExactCoverage):
        return _exact_summary(result)
    return {
        "simulation_method": result.method,
        "patients": result.patients,
        "fractions": result.fractions,
        "samples": result.samples,
        "seed": result.seed,
        "target": figures(result),
        "lesions": [figures(lesion) for lesion in result.lesions],
        "parameter_intervals": {name: estimate(value) for name, value in result.parameter_intervals.items()},
    }


def _exact_summary(result: ExactCoverage) -> dict[str, Any]:
    """Figures without drawn patients: those that need patients one by one are missing."""
    answer = result.answer
    return {
        "simulation_method": result.method,
        "fractions": result.fractions,
        "seed": result.seed,
        "standard_error": answer.standard_error,
        "points": answer.points,
        "lattice": {"step_mm": answer.step_mm, "last_change": answer.changed},
        "target": _exact_figures(result),
        "lesions": [_exact_figures(lesion) for lesion in result.lesions],
    }


def _exact_figures(result: CoverageResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "volume_cc": result.volume_cc,
        "contained_within_mm": {f"{depth:g}": estimate(result.contained(depth)) for depth in EXACT_TOLERANCES_MM},
        "time_out": estimate(result.mean_time_out),
        "coverage_loss": estimate(result.coverage_loss),
    }


def _slopes(slopes: Derivatives) -> dict[str, Any]:
    """Derivatives of the share contained, per mm."""
    return {
        "meaning": "change of the share of patients contained per mm; volume in cc of PTV per mm of that margin",
        "margin": dict(slopes.margin),
        "volume_cc": dict(slopes.volume_cc),
        "systematic": {name: dict(axes) for name, axes in slopes.systematic.items()},
        "random": {name: dict(axes) for name, axes in slopes.random.items()},
        "amplitude": slopes.amplitude,
    }


def figures(result: CoverageResult) -> dict[str, Any]:
    """Figures of a target; estimates with their 95 % simulation interval."""
    return {
        "name": result.name,
        "volume_cc": result.volume_cc,
        "contained_within_mm": {f"{depth:g}": estimate(result.contained(depth)) for depth in TOLERANCES_MM},
        "deepest_miss_mm": {f"{level:g}": result.miss_quantile(level) for level in LEVELS},
        "side_of_deepest_miss": {letter: estimate(share) for letter, share in result.sides.items()},
        "time_out": estimate(result.mean_time_out),
        "coverage_loss": estimate(result.coverage_loss),
        "geometric_index": {
            "meaning": "share of patients whose time-averaged covered volume reaches a level; never a margin criterion",
            **{f"{level:g}": estimate(result.probability(level)) for level in (0.95, 0.99)},
        },
    }


def estimate(value: Estimate) -> dict[str, float]:
    """Value and interval of an estimate, as JSON values."""
    return {"value": value.value, "low": value.low, "high": value.high}


def _residual(row: Residual) -> dict[str, Any]:
    return {
        "name": row.name,
        "mean": row.mean_mm.tolist(),
        "systematic": row.systematic_mm.tolist(),
        "random": row.random_mm.tolist(),
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "name": cost.name,
        "coverage_loss": {"alone": estimate(cost.loss_alone), "without_it": estimate(cost.loss_without)},
        "contained": {"alone": estimate(cost.contained_alone), "without_it": estimate(cost.contained_without)},
    }


def _write_slopes(slopes: Derivatives, path: Path) -> None:
    """One line per side of the margin, per error and axis, and one for breathing."""
    with write_table(path, SLOPE_COLUMNS) as table:
        for side, value in slopes.margin.items():
            table.writerow(("margin", "", side, f"{value:.6f}", f"{slopes.volume_cc[side]:.4f}"))
        for kind, named in (("systematic", slopes.systematic), ("random", slopes.random)):
            for name, axes in named.items():
                table.writerows((kind, csv_text(name), axis, f"{value:.6f}", "") for axis, value in axes.items())
        if slopes.amplitude is not None:
            table.writerow(("amplitude", "", "", f"{slopes.amplitude:.6f}", ""))


def _write_table(result: CoverageResult, path: Path) -> None:
    """One line per patient, fraction and target; the whole target before its lesions."""
    letters = np.array([*LETTERS, "-"])
    shown = (result, *result.lesions) if len(result.lesions) > 1 else (result,)
    names = [csv_text(target.name) for target in shown]
    with write_table(path, COLUMNS) as table:
        for patient, fraction in np.ndindex(result.patients, result.fractions):
            at = patient, fraction
            table.writerows(
                (
                    patient + 1,
                    fraction + 1,
                    name,
                    f"{target.coverage[at]:.6f}",
                    f"{target.miss_mm[at]:.3f}",
                    letters[target.side[at]],
                    f"{target.time_out[at]:.4f}",
                )
                for name, target in zip(names, shown, strict=True)
            )
