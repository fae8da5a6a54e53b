"""Whether derived files are still what their records say: fresh, edited, stale, or not known."""

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
    FRESH: "the file and its inputs are what they were",
    OTHER_VERSION: "fresh, and made by another version of ptvkit",
    "stale": "an input has changed since",
    "input missing": "an input is not where it was",
    "input unreadable": "an input cannot be read",
    "edited": "the file is not what was written",
    "file missing": "the record names a file that is not there",
    "unreadable": "the file cannot be read",
    "damaged record": "the record cannot be read",
    "no record": "nothing tells where the file came from",
}
"""From best to worst; of what is found about a file, the worst is told."""
_RANK: Final = {state: rank for rank, state in enumerate(STATES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known about one derived file.

    Attributes
    ----------
    path : Path
        From the folder that was checked.
    state : str
        One of `STATES`.
    reason : str
        What differs; empty for a fresh file.
    record : Path or None
        The sidecar or result that says so.
    """

    path: Path
    state: str
    reason: str = ""
    record: Path | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether file and inputs are as they were, whichever version made it."""
        return self.state in (FRESH, OTHER_VERSION)


def check(path: PathLike) -> list[Finding]:
    """Compare a derived file, or every one of a folder and below, with its record.

    Parameters
    ----------
    path : path
        A file with results, the record of several, or a folder.

    Returns
    -------
    list of Finding
        By path, from the file's folder, or from the folder.

    Raises
    ------
    FileError
        As `check_folder`.
    """
    place = Path(path)
    return check_file(place) if place.is_file() else check_folder(place)


def check_file(path: Path) -> list[Finding]:
    """What the records in a file's folder say of it; of a record, what it says of its files."""
    beside = [file for file in sorted(path.parent.iterdir()) if file.is_file() and not file.name.startswith(".")]
    wanted = {Path(path.name)} | {Path(named.path.name) for _, record in records_of([path]) for named in _made(record)}
    found = [one for one in _findings(path.parent, beside) if one.path in wanted]
    return found or [Finding(path=Path(path.name), state="no record", reason="no record in its folder names it")]


def _made(record: Record | FileError) -> tuple[Named, ...]:
    return () if isinstance(record, FileError) else record.made


def check_folder(folder: PathLike) -> list[Finding]:
    """Compare every derived file in a folder and below with its record.

    Paths in records are relative to their folder, so results that were moved together with their inputs stay fresh.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Finding
        By path. Files that a record names as inputs need no record themselves.

    Raises
    ------
    FileError
        When it is no folder, cannot be listed, or holds nothing that ptvkit made.

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
    ...     made = Provenance(inputs=(source_of(gtv),), method="region", margins={})
    ...     _ = write_sidecar(ptv, made)
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
        raise FileError(f"{home}: holds nothing that ptvkit made; give a folder with results")
    return findings


def _findings(home: Path, files: list[Path]) -> list[Finding]:
    """What the records among files say, and which derived files have none."""
    hashes = _Hashes()
    findings: list[Finding] = []
    known: set[Path] = set()
    for path, record in records_of(files):
        if isinstance(record, FileError):
            findings.append(Finding(path=_told(path, home), state="damaged record", reason=_reason(record, path)))
            continue
        known |= {named.path for named in (*record.made, *record.inputs)}
        findings += _held(record, hashes, home)
    findings += [Finding(path=_told(path, home), state=state, reason=why) for path, state, why in check_tables(files)]
    damaged = {str(finding.path.with_suffix("")) for finding in findings if finding.state == "damaged record"}
    for path in files:
        told = _told(path, home)
        if is_derived(path) and Path(os.path.realpath(path)) not in known and str(told) not in damaged:
            findings.append(Finding(path=told, state="no record", reason="no sidecar, and no input of what is here"))
    return _worst(findings)


def as_json(folder: PathLike, findings: Iterable[Finding]) -> dict[str, Any]:
    """Findings as plain values."""
    found = list(findings)
    return {
        "schema": SCHEMA,
        "folder": str(folder),
        "version": version("ptvkit"),
        "fresh": all(finding.is_fresh for finding in found),
        "counts": dict(Counter(finding.state for finding in found)),
        "files": [
            {
                "path": finding.path.as_posix(),
                "state": finding.state,
                "reason": finding.reason,
                "record": None if finding.record is None else finding.record.as_posix(),
            }
            for finding in found
        ],
    }


class _Hashes:
    """What became of files, each read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str | None] = {}

    def change(self, path: Path, sha256: str) -> str:
        """What became of a file: "" when nothing did."""
        try:
            if not path.exists():
                return "is missing"
            if path not in self._known:
                self._known[path] = source_of(path).sha256
        except (FileError, OSError):
            self._known[path] = None
        found = self._known[path]
        return "cannot be read" if found is None else "" if found == sha256 else "has changed"


_OF_FILE: Final = {"is missing": "file missing", "cannot be read": "unreadable", "has changed": "edited"}
_OF_INPUT: Final = {"is missing": "input missing", "cannot be read": "input unreadable", "has changed": "stale"}


def _held(record: Record, hashes: _Hashes, home: Path) -> list[Finding]:
    """What a record says of each of its files."""
    about_inputs = [
        (_OF_INPUT[change], f"input {_told(named.path, home)} {change}")
        for named in record.inputs
        if (change := hashes.change(named.path, named.sha256))
    ]
    if record.version != version("ptvkit"):
        made_by = f"ptvkit {record.version}" if record.version else "an unknown version"
        about_inputs.append((OTHER_VERSION, f"made by {made_by}, this is {version('ptvkit')}"))
    findings = []
    for named in record.made:
        found = [] if is_record_name(named.path) else list(about_inputs)
        if change := hashes.change(named.path, named.sha256):
            found.append((_OF_FILE[change], "is not there" if change == "is missing" else change))
        state, _ = max(found, key=lambda entry: _RANK[entry[0]], default=(FRESH, ""))
        reason = "; ".join(why for _, why in found)
        if not found and is_record_name(named.path):
            continue  # an unedited record is told by the files that it names
        path, source = _told(named.path, home), _told(record.path, home)
        findings.append(Finding(path=path, state=state, reason=reason, record=source))
    return findings


def _worst(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each file: a sidecar and a result may both name it."""
    kept: dict[Path, Finding] = {}
    for finding in findings:
        other = kept.get(finding.path)
        if other is None or _RANK[finding.state] > _RANK[other.state]:
            kept[finding.path] = finding
    return [kept[path] for path in sorted(kept)]


def _told(path: Path, home: Path) -> Path:
    """A path from the checked folder, or as it is when it lies elsewhere."""
    real = Path(os.path.realpath(home))
    absolute = path if path.is_absolute() else Path(os.path.realpath(path.parent)) / path.name
    try:
        return Path(os.path.relpath(absolute, real))
    except ValueError:  # another drive, on Windows
        return absolute


def _reason(error: FileError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def failing(findings: Iterable[Finding], *, strict: bool) -> Counter[str]:
    """How many files are in each state that is not fresh; strictly, another version is none either."""
    return Counter(f.state for f in findings if not f.is_fresh or (strict and f.state == OTHER_VERSION))
