"""Cases of a request: patients with their own values."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptvkit.errors import FileError
from ptvkit.io.cases import find_cases, stem
from ptvkit.io.naming import PHANTOM, StructureRef
from ptvkit.request.named_files import mark_of
from ptvkit.request.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A patient.

    Attributes
    ----------
    name : str
    values : mapping
        Values of the request that are this case's own, by dotted key.
    """

    name: str
    values: Mapping[str, Any]

    @property
    def gtv(self) -> str | None:
        """GTV of the case, when targets are derived from it."""
        return self.values.get("cases.gtv")


def cases_of(request: Request, *, leave_out: Path | None = None) -> tuple[Case, ...]:
    """Cases of a request by unique name.

    Parameters
    ----------
    request : Request
    leave_out : Path, optional
        A folder whose content is no case: the results'.

    Raises
    ------
    FileError
        When there is none, two have one name, or a folder, pattern or manifest cannot be used.
    """
    table, source = request.tables.cases, request.source
    if table.manifest is not None:
        cases = _manifest(Path(table.manifest))
    elif table.masks is not None:
        named = [table.masks] if isinstance(table.masks, str) else table.masks
        cases = [case for one in named for case in _cases(one, leave_out)]
    elif table.gtv is not None:
        cases = [Case(name=_name(table.gtv), values={})]
    elif table.ctv is not None and table.ptv is not None:
        cases = [Case(name=_name(table.ctv), values={})]
    else:
        raise FileError(f"{source}: [cases] names no case; give gtv, masks, a manifest, or ctv and ptv")
    _refuse_same([case.name for case in cases], source)
    return tuple(sorted(cases, key=lambda case: case.name))


def _cases(text: str, leave_out: Path | None) -> list[Case]:
    """Cases of one mask, of a folder, or of a pattern."""
    if text.startswith(PHANTOM) or Path(text).is_file():
        return [Case(name=_name(text), values={"cases.gtv": text})]
    if not Path(text).is_dir() and StructureRef.parse(text).path.is_file():
        return [Case(name=_name(text), values={"cases.gtv": text})]
    cases = find_cases(text, leave_out=Path("/dev/null") if leave_out is None else leave_out)
    return [Case(name=case.name, values={"cases.gtv": str(case.path)}) for case in cases]


def _name(text: str) -> str:
    return "phantom" if text.startswith(PHANTOM) else stem(StructureRef.parse(text).path.name)


def _refuse_same(names: list[str], source: str) -> None:
    """Case names become folder names, also on case-insensitive file systems."""
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:
            raise FileError(f"{source}: [cases]: two cases are named {name!r}; give a manifest with distinct names")
        seen[name.casefold()] = name


def _manifest(path: Path) -> list[Case]:
    """Cases of a CSV manifest: ``case``, ``mask``, and columns named by dotted keys of the request."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: cannot be read as a table: {error}") from None
    if not rows or not {"case", "mask"} <= rows[0].keys():
        raise FileError(f"{path}: needs a header with case and mask, and a line for each case")
    return [_row(path, line, row) for line, row in enumerate(rows, start=2)]


def _row(path: Path, line: int, row: dict[str, str]) -> Case:
    if None in row or None in row.values():
        raise FileError(f"{path}: line {line} does not have the fields of the header")
    name, mask = row["case"].strip(), row["mask"].strip()
    if not name or "/" in name or "\\" in name or name in (".", "..") or not mask:
        raise FileError(f"{path}: line {line} has no case that could name a folder, or no mask; found {name!r}")
    values = {key: _value(text) for key, text in row.items() if key not in ("case", "mask") and text.strip()}
    placed = {key: _placed(value, path.parent) if mark_of(key) else value for key, value in values.items()}
    return Case(name=name, values={"cases.gtv": _placed(mask, path.parent), **placed})


def _placed(value: Any, folder: Path) -> Any:
    """File name, relative to the manifest."""
    is_path = isinstance(value, str) and not value.startswith((PHANTOM, ":"))
    return str(folder / value) if is_path else value


def _value(text: str) -> Any:
    """A number, a list or a word."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
