"""What decides the results of a study: its table read as Sobol indices, or as one change at a time."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.analysis.sensitivity import Index, Swing, points_needed, sobol_indices
from ptvkit.errors import FileError
from ptvkit.io.files import write_whole
from ptvkit.request.request import Request
from ptvkit.request.sweep import low_and_high
from ptvkit.text import text_from_csv
from ptvkit.work.results import table_text

NAME: Final = "sensitivity.csv"
BY_CASE: Final = "sensitivity_cases.csv"
TORNADO: Final = "tornado.csv"
FILES: Final = (NAME, BY_CASE, TORNADO)
NOT_OUTPUTS: Final = frozenset({"case", "lesion", "patients", "fractions", "seed", "version", "gtv_cc", "target_cc"})
WIDE: Final = 0.25
"""An interval of a total index that is wider than this says little."""
Row = Mapping[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What decides the results of a study.

    Attributes
    ----------
    indices : tuple of Index
        Of the mean over cases; none of a study of one change at a time.
    swings : tuple of Swing
        The largest first, by output; none of a study with indices.
    noise : mapping
        By output: at most this share of its variance is noise of the simulation.
    between_cases : mapping
        By output: variance between the means of the cases, as a share of that between cases and parameters together.
    points_needed : int or None
        Base points that narrow the widest interval of containment to a quarter; None where they are as narrow.
    by_case : tuple of (str, Index)
        Of each case, where there are several.
    """

    indices: tuple[Index, ...] = ()
    swings: tuple[Swing, ...] = ()
    noise: Mapping[str, float]
    between_cases: Mapping[str, float]
    points_needed: int | None = None
    by_case: tuple[tuple[str, Index], ...] = ()


def sensitivity_of(request: Request, cells: int, rows: Sequence[Row]) -> Sensitivity | None:
    """Sensitivity from the rows of a complete study; None where its sweep is of another kind, or no case has rows.

    Results are of all lesions of a case together, averaged over the cases of which all cells are there.
    """
    sweep = request.tables.sweep
    if sweep is None or sweep.method not in ("sensitivity", "one_at_a_time"):
        return None
    keys = list(sweep.parameters)
    cases: dict[str, list[Row]] = {}
    for row in rows:
        if row["lesion"] == "all":
            cases.setdefault(str(row["case"]), []).append(row)
    cases = {case: own for case, own in cases.items() if len(own) == cells}
    outputs = {name: np.array([[row[name] for row in own] for own in cases.values()]) for name in _outputs(cases, keys)}
    if not outputs:
        return None
    between = {name: _between(values) for name, values in outputs.items() if len(cases) > 1}
    if sweep.method == "one_at_a_time":
        ends = [low_and_high(values) for values in sweep.parameters.values()]
        swings = [swing for name, values in outputs.items() for swing in _swings(name, keys, ends, values.mean(axis=0))]
        return Sensitivity(swings=tuple(swings), noise={}, between_cases=between)
    seed, points = request.tables.simulation.seed, int(sweep.points or 0)
    shape = (len(keys) + 2, points)
    indices = [
        index
        for name, values in outputs.items()
        for index in sobol_indices(name, keys, values.mean(axis=0).reshape(shape), seed=seed)
    ]
    each = [
        (case, index)
        for name, values in (outputs.items() if len(cases) > 1 else ())
        for case, own in zip(cases, values, strict=True)
        for index in sobol_indices(name, keys, own.reshape(shape), seed=seed)
    ]
    needed = points_needed([one for one in indices if one.output == "contained"], points, WIDE)
    return Sensitivity(
        indices=tuple(indices),
        noise={name: _noise(name, values, list(cases.values())) for name, values in outputs.items()},
        between_cases=between,
        points_needed=needed if needed > points else None,
        by_case=tuple(each),
    )


def _outputs(cases: Mapping[str, Sequence[Row]], keys: Sequence[str]) -> list[str]:
    """Columns of numbers that all rows have, but for ends of intervals."""
    rows = [row for own in cases.values() for row in own]
    names = [name for name in (rows[0] if rows else {}) if name not in NOT_OUTPUTS and name not in keys]
    return [
        name
        for name in names
        if not name.endswith(("_low", "_high")) and all(_is_number(row.get(name, "")) for row in rows)
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _swings(output: str, keys: Sequence[str], ends: Sequence[tuple[Any, Any]], values: Floats) -> list[Swing]:
    swings = [
        Swing(
            output=output,
            parameter=key,
            low_value=ends[n][0],
            high_value=ends[n][1],
            base=float(values[0]),
            at_low=float(values[1 + 2 * n]),
            at_high=float(values[2 + 2 * n]),
        )
        for n, key in enumerate(keys)
    ]
    return sorted(swings, key=lambda swing: -swing.width)


def _between(values: Floats) -> float:
    """Variance between the means of cases, as a share of that of all values (cases, cells)."""
    whole = float(values.var())
    return float(values.mean(axis=1).var()) / whole if whole > 0 else 0.0


def _noise(name: str, values: Floats, cases: Sequence[Sequence[Row]]) -> float:
    """Largest share of the variance over cells that can be noise of the simulation.

    From the rows' own intervals. All cells see the same simulated patients, so that their noise is mostly common and
    drops out of differences; what is left is smaller than this.
    """
    whole = float(values.mean(axis=0).var())
    if whole == 0.0 or f"{name}_low" not in cases[0][0]:
        return 0.0
    widths = np.array([[float(row[f"{name}_high"]) - float(row[f"{name}_low"]) for row in own] for own in cases])
    variance = float(((widths / (2 * 1.959964)) ** 2).mean()) / len(cases)
    return min(1.0, variance / whole)


def write_sensitivity(found: Sensitivity, folder: Path) -> list[Path]:
    """Write the tables of a sensitivity, each whole or not at all, and remove those that it does not have.

    Raises
    ------
    FileError
    """
    noise = {name: {"noise": share} for name, share in found.noise.items()}
    tables: dict[str, list[dict[str, Any]]] = {
        NAME: [{**asdict(one), **noise.get(one.output, {})} for one in found.indices],
        BY_CASE: [{"case": case, **asdict(one)} for case, one in found.by_case],
        TORNADO: [asdict(one) for one in found.swings],
    }
    written = []
    for name, rows in tables.items():
        if rows:
            with write_whole(folder / name) as file:
                file.write(table_text(rows, list(rows[0])).encode())
            written.append(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    return written


def what_decides(found: Sensitivity, output: str = "contained") -> list[Index]:
    """Indices of an output, the largest total first."""
    return sorted((one for one in found.indices if one.output == output), key=lambda one: -one.total)


def read_sensitivity(path: str | os.PathLike[str]) -> Any:
    """Read the Sobol indices of a study, `sensitivity.csv` or the folder that holds it, as a pandas DataFrame.

    Columns: output, parameter, first, first_low, first_high, total, total_low, total_high, noise. Of a study of one
    change at a time, `tornado.csv`: output, parameter, low_value, high_value, base, at_low, at_high.

    Raises
    ------
    FileError
        When it cannot be read, or pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise FileError(f"read_sensitivity needs pandas; install it, or read {NAME} with what you have") from None
    place = Path(path)
    if place.is_dir():
        place = next((place / name for name in (NAME, TORNADO) if (place / name).exists()), place / NAME)
    if not place.exists():
        raise FileError(f'{place}: no such file; run a study with method = "sensitivity" or "one_at_a_time" in [sweep]')
    return pd.read_csv(place, converters={"parameter": text_from_csv})
