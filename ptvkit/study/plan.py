"""What a study runs: its cases, and the cells of its sweep."""

import csv
import glob
import itertools
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.stats import qmc

from ptvkit.errors import FileError, MotionError
from ptvkit.study.schema import RangeTable, StudyFile, SweepTable

AXES: Final = ("LR", "AP", "SI")
PHANTOM: Final = "phantom:"
MOST_CELLS: Final = 1_000_000
SUFFIXES: Final = (".nii.gz", ".nii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A patient.

    Attributes
    ----------
    name : str
    content : mapping
        Values of the study file that are this case's own, by dotted key.
    """

    name: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A point of the sweep.

    Attributes
    ----------
    number : int
        From 0.
    values : mapping
        By dotted key.
    """

    number: int
    values: Mapping[str, Any]


def cases_of(study: StudyFile, source: str) -> tuple[Case, ...]:
    """The cases of a study, by name, each name once.

    Raises
    ------
    FileError
        When there is none, or a folder, glob or manifest cannot be used.
    """
    cases = study.cases
    if cases.manifest is not None:
        found = _manifest(Path(cases.manifest))
    elif cases.masks is not None:
        given = [cases.masks] if isinstance(cases.masks, str) else cases.masks
        found = [Case(name=_name(path), content={"cases.masks": path}) for one in given for path in _files(one)]
    elif cases.ctv is not None and cases.ptv is not None:
        found = [Case(name=_name(cases.ctv), content={})]
    else:
        raise FileError(f"{source}: [cases] names no case; give masks, a manifest, or ctv and ptv")
    names = [case.name for case in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise FileError(f"{source}: [cases]: two cases are named {twice[0]!r}; give a manifest with names of its own")
    return tuple(sorted(found, key=lambda case: case.name))


def _files(given: str) -> list[str]:
    """A mask, those of a folder, or those that a glob finds."""
    if given.startswith(PHANTOM):
        return [given]
    path = Path(given)
    if path.is_dir():
        found = sorted(str(file) for file in path.iterdir() if file.name.endswith(SUFFIXES))
    else:
        found = sorted(glob.glob(given)) if glob.has_magic(given) else [given]  # noqa: PTH207 - absolute patterns
    if not found:
        raise FileError(f"{given}: has no NIfTI masks; check the path")
    return found


def _name(path: str) -> str:
    name = path.removeprefix(PHANTOM) if path.startswith(PHANTOM) else Path(path).name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return "phantom" if path.startswith(PHANTOM) else name


def _manifest(path: Path) -> list[Case]:
    """A CSV file: ``case``, ``mask``, and any column named by a dotted key of the study file."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: cannot be read as a table: {error}") from None
    if not rows or not {"case", "mask"} <= rows[0].keys():
        raise FileError(f"{path}: needs a header with case and mask, and a line for each case")
    found = []
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise FileError(f"{path}: line {line} does not have the fields of the header")
        mask = row.pop("mask").strip()
        own = {key: _value(text) for key, text in row.items() if key != "case" and text.strip()}
        place = mask if mask.startswith(PHANTOM) else str(path.parent / mask)
        found.append(Case(name=row["case"].strip(), content={"cases.masks": place, **own}))
    return found


def _value(text: str) -> Any:
    """A number, a list or a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def cells_of(study: StudyFile, source: str, *, seed: int) -> tuple[Cell, ...]:
    """The cells of a study's sweep; one without values when there is none.

    Raises
    ------
    MotionError
        When the sweep cannot be used.
    """
    sweep = study.sweep
    if sweep is None or not sweep.parameters:
        return (Cell(number=0, values={}),)
    keys = list(sweep.parameters)
    values = _grid(sweep, source) if sweep.method == "grid" else _points(sweep, source, seed)
    return tuple(Cell(number=n, values=dict(zip(keys, each, strict=True))) for n, each in enumerate(values))


def _grid(sweep: SweepTable, source: str) -> list[tuple[Any, ...]]:
    ranges = [key for key, value in sweep.parameters.items() if isinstance(value, RangeTable) or not value]
    if ranges:
        raise MotionError(f"{source}: [sweep]: {ranges[0]} needs a list of values for a grid")
    if sweep.points is not None:
        raise MotionError(f"{source}: [sweep]: points has no meaning for a grid; remove it, or use lhs or sobol")
    columns = [value for value in sweep.parameters.values() if isinstance(value, list)]
    count = int(np.prod([len(column) for column in columns]))
    if count > MOST_CELLS:
        raise MotionError(f"{source}: [sweep]: {count:,} cells; at most {MOST_CELLS:,}")
    return list(itertools.product(*columns))


def _points(sweep: SweepTable, source: str, seed: int) -> list[tuple[Any, ...]]:
    """Latin hypercube or Sobol points; a list of values is drawn from, a range is filled."""
    if sweep.points is None or not 1 <= sweep.points <= MOST_CELLS:
        raise MotionError(f"{source}: [sweep]: {sweep.method} needs points, from 1 to {MOST_CELLS:,}")
    size = len(sweep.parameters)
    if sweep.method == "sobol":
        if sweep.points & (sweep.points - 1):
            raise MotionError(f"{source}: [sweep]: sobol needs a power of 2 as points, found {sweep.points}")
        unit = qmc.Sobol(size, seed=seed).random(sweep.points)
    else:
        unit = qmc.LatinHypercube(size, seed=seed).random(sweep.points)
    columns = [_placed(value, unit[:, n]) for n, value in enumerate(sweep.parameters.values())]
    return list(zip(*columns, strict=True))


def _placed(value: list[Any] | RangeTable, unit: np.ndarray[Any, np.dtype[np.float64]]) -> list[Any]:
    if isinstance(value, RangeTable):
        return [round(float(x), 6) for x in value.low + unit * (value.high - value.low)]
    return [value[min(int(x * len(value)), len(value) - 1)] for x in unit]


def content_with(content: Mapping[str, Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A study's content with values put in at their dotted keys.

    A step of a key is a table's key; in a list of tables the ``name`` of one; in a triple an axis, LR, AP or SI; in a
    margin a letter or an axis.

    Raises
    ------
    MotionError
        When a key leads nowhere.
    """
    found = deepcopy(dict(content))
    for key, value in values.items():
        _put(found, key.split("."), value, f"{source}: {key}")
    return found


def _put(table: dict[str, Any], steps: Sequence[str], value: Any, where: str) -> None:
    here: Any = table
    for number, step in enumerate(steps[:-1]):
        last = number == len(steps) - 2
        if isinstance(here, list):
            named = [one for one in here if isinstance(one, dict) and one.get("name") == step]
            if not named:
                raise MotionError(f"{where}: there is none named {step!r}")
            here = named[0]
            continue
        below = here.get(step)
        if last and number == 1 and steps[0] == "targets":
            margin = below if isinstance(below, dict) else {"all": below or 0.0}
            if not all(isinstance(one, int | float) for one in margin.values()):
                raise MotionError(f"{where}: {step} is {below!r}; write it as a number or a table to sweep over a part")
            here[step] = {**margin, steps[-1]: value}
            return
        if last and steps[-1] in AXES and isinstance(below, int | float | list):
            triple = [float(below)] * 3 if isinstance(below, int | float) else list(below)
            triple[AXES.index(steps[-1])] = value
            here[step] = triple
            return
        if below is None:
            below = here[step] = {}
        if not isinstance(below, dict | list):
            raise MotionError(f"{where}: {step} is {below!r}, no table that has {steps[number + 1]!r}")
        here = below
    if not isinstance(here, dict):
        raise MotionError(f"{where}: leads to a list; name one of its tables")
    here[steps[-1]] = value
