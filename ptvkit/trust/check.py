"""Check of derived files against their records: fresh, edited, stale, or unknown."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.io.files import PathLike
from ptvkit.io.provenance import source_of
from ptvkit.trust.records import Named, Record, is_derived, is_record_name, records_of, walk
from ptvkit.trust.tables import check_tables

SCHEMA: Final = "ptvkit-check/1"
FRESH, OTHER_VERSION = "fresh", "other version"
STATES: Final = {
    FRESH: "the file and its inputs are unchanged",
    OTHER_VERSION: "fresh, written by another version of ptvkit",
    "stale": "an input has changed",
    "input missing": "an input does not exist",
    "input unreadable": "an input cannot be read",
    "edited": "the file was changed after it was written",
    "file missing": "a file named by the record does not exist",
    "unreadable": "the file cannot be read",
    "damaged record": "the record cannot be read",
    "no record": "no record names the file",
}
"""Best to worst; of several states of a file the worst is reported."""
_RANK: Final = {state: rank for rank, state in enumerate(STATES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """State of one derived file.

    Attributes
    ----------
    path : Path
        Path relative to the checked folder.
    state : str
        One of `STATES`.
    reason : str
        Difference; empty for a fresh file.
    record : Path or None
        Sidecar or result file on which the state is based.
    """

    path: Path
    state: str
    reason: str = ""
    record: Path | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether file and inputs are unchanged, for any version of ptvkit."""
        return self.state in (FRESH, OTHER_VERSION)


def check(path: PathLike) -> list[Finding]:
    """Compare a derived file, or all derived files of a folder and its subfolders, with their records.

    Parameters
    ----------
    path : path
        Derived file, record, or folder.

    Returns
    -------
    list of Finding
        Sorted by path, relative to the folder.

    Raises
    ------
    FileError
        See `check_folder`.
    """
    place = Path(path)
    return check_file(place) if place.is_file() else check_folder(place)


def check_file(path: Path) -> list[Finding]:
    """Findings about a file from the records in its folder; for a record, about the files it names."""
    beside = [file for file in sorted(path.parent.iterdir()) if file.is_file() and not file.name.startswith(".")]
    wanted = {Path(path.name)} | {
        Path(named.path.name) for _, record in records_of([path]) for named in _outputs(record)
    }
    findings = [one for one in _findings(path.parent, beside) if one.path in wanted]
    return findings or [Finding(path=Path(path.name), state="no record", reason="no record in its folder names it")]


def _outputs(record: Record | FileError) -> tuple[Named, ...]:
    return () if isinstance(record, FileError) else record.made


def check_folder(folder: PathLike) -> list[Finding]:
    """Compare all derived files of a folder and its subfolders with their records.

    Paths in records are relative, so results that are moved together with their inputs stay fresh.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Finding
        Sorted by path. Inputs named by a record need no record of their own.

    Raises
    ------
    FileError
        When the path is not a folder, cannot be listed, or holds no derived files of ptvkit.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from ptvkit import Mask, write_mask
    >>> from ptvkit.io.provenance import Provenance, source_of, write_sidecar
    >>> mask = Mask.from_array(np.ones((2, 3, 4), bool), np.eye(4))
    >>> with tempfile.TemporaryDirectory() as home:
    ...     gtv, ptv = Path(home) / "gtv.nii", Path(home) / "ptv.nii"
    ...     write_mask(mask, gtv), write_mask(mask, ptv)
    ...     run = Provenance(inputs=(source_of(gtv),), method="region", margins={})
    ...     _ = write_sidecar(ptv, run)
    ...     before = check_folder(home)
    ...     _ = gtv.write_bytes(b"another")
    ...     after = check_folder(home)
    (None, None)
    >>> [finding.state for finding in before], after[0].reason
    (['fresh'], 'input gtv.nii has changed')
    """
    home = Path(folder)
    if not home.is_dir():
        raise FileError(f"{home}: no such file or folder; check the path")
    findings = _findings(home, walk(home))
    if not findings:
        raise FileError(f"{home}: holds no results of ptvkit; give a folder with results")
    return findings


def _findings(home: Path, files: list[Path]) -> list[Finding]:
    """Findings of all records among files, and derived files without a record."""
    hashes = _Hashes()
    findings: list[Finding] = []
    known: set[Path] = set()
    for path, record in records_of(files):
        if isinstance(record, FileError):
            findings.append(Finding(path=_relative(path, home), state="damaged record", reason=_reason(record, path)))
            continue
        known |= {named.path for named in (*record.made, *record.inputs)}
        findings += _record_findings(record, hashes, home)
    findings += [
        Finding(path=_relative(path, home), state=state, reason=why) for path, state, why in check_tables(files)
    ]
    damaged = {str(finding.path.with_suffix("")) for finding in findings if finding.state == "damaged record"}
    for path in files:
        relative = _relative(path, home)
        if is_derived(path) and Path(os.path.realpath(path)) not in known and str(relative) not in damaged:
            findings.append(
                Finding(path=relative, state="no record", reason="no sidecar, and not an input of any result here")
            )
    return _worst(findings)


def as_json(folder: PathLike, findings: Iterable[Finding]) -> dict[str, Any]:
    """Findings as JSON values."""
    listed = list(findings)
    return {
        "schema": SCHEMA,
        "folder": str(folder),
        "version": version("ptvkit"),
        "fresh": all(finding.is_fresh for finding in listed),
        "counts": dict(Counter(finding.state for finding in listed)),
        "files": [
            {
                "path": finding.path.as_posix(),
                "state": finding.state,
                "reason": finding.reason,
                "record": None if finding.record is None else finding.record.as_posix(),
            }
            for finding in listed
        ],
    }


class _Hashes:
    """Changes of files; every file is hashed once."""

    def __init__(self) -> None:
        self._known: dict[Path, str | None] = {}

    def change(self, path: Path, sha256: str) -> str:
        """Change of a file; "" for an unchanged file."""
        try:
            if not path.exists():
                return "is missing"
            if path not in self._known:
                self._known[path] = source_of(path).sha256
        except (FileError, OSError):
            self._known[path] = None
        current = self._known[path]
        return "cannot be read" if current is None else "" if current == sha256 else "has changed"


_OF_FILE: Final = {"is missing": "file missing", "cannot be read": "unreadable", "has changed": "edited"}
_OF_INPUT: Final = {"is missing": "input missing", "cannot be read": "input unreadable", "has changed": "stale"}


def _record_findings(record: Record, hashes: _Hashes, home: Path) -> list[Finding]:
    """Findings about the files of a record."""
    about_inputs = [
        (_OF_INPUT[change], f"input {_relative(named.path, home)} {change}")
        for named in record.inputs
        if (change := hashes.change(named.path, named.sha256))
    ]
    if record.version != version("ptvkit"):
        made_by = f"ptvkit {record.version}" if record.version else "an unknown version"
        about_inputs.append((OTHER_VERSION, f"written by {made_by}, this is {version('ptvkit')}"))
    findings = []
    for named in record.made:
        problems = [] if is_record_name(named.path) else list(about_inputs)
        if change := hashes.change(named.path, named.sha256):
            problems.append((_OF_FILE[change], "does not exist" if change == "is missing" else change))
        state, _ = max(problems, key=lambda entry: _RANK[entry[0]], default=(FRESH, ""))
        reason = "; ".join(why for _, why in problems)
        if not problems and is_record_name(named.path):
            continue  # An unedited record is covered by the files that it names.
        path, source = _relative(named.path, home), _relative(record.path, home)
        findings.append(Finding(path=path, state=state, reason=reason, record=source))
    return findings


def _worst(findings: Iterable[Finding]) -> list[Finding]:
    """One finding per file: a sidecar and a result may both name it."""
    kept: dict[Path, Finding] = {}
    for finding in findings:
        other = kept.get(finding.path)
        if other is None or _RANK[finding.state] > _RANK[other.state]:
            kept[finding.path] = finding
    return [kept[path] for path in sorted(kept)]


def _relative(path: Path, home: Path) -> Path:
    """Path relative to the checked folder; absolute on another drive."""
    real = Path(os.path.realpath(home))
    absolute = path if path.is_absolute() else Path(os.path.realpath(path.parent)) / path.name
    try:
        return Path(os.path.relpath(absolute, real))
    except ValueError:  # another drive, on Windows
        return absolute


def _reason(error: FileError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def failing(findings: Iterable[Finding], *, strict: bool) -> Counter[str]:
    """Number of files by state other than fresh; with `strict`, another version counts as well."""
    return Counter(f.state for f in findings if not f.is_fresh or (strict and f.state == OTHER_VERSION))
