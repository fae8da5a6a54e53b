"""What a run has done so far: an append-only file that survives being killed."""

import json
import os
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final

from ptvkit.errors import FileError, PtvkitWarning

SUFFIX: Final = ".journal"
SCHEMA: Final = "ptvkit-journal/1"
SYNC_S: Final = 1.0
"""How often what was written is forced to the disk: what a power cut can cost."""

Record = dict[str, Any]


class Journal:
    """An open journal: `add` a record; whole lines alone count when it is read."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path, self._synced = file, path, time.monotonic()

    def add(self, record: Record) -> None:
        """Append a record.

        Raises
        ------
        FileError
            When it cannot be written, such as on a full disk.
        """
        try:
            self._file.write(_line(record))
            self._file.flush()
            if time.monotonic() - self._synced > SYNC_S:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise FileError(f"{self._path}: cannot be written: {error.strerror}; free space, then resume") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a journal holds.

    Attributes
    ----------
    head : mapping or None
        What the run was of; None where the first line is damaged or not ours.
    records : list
    damaged : int
        Lines after the first that cannot be read.
    length : int
        Bytes up to the end of the last line.
    """

    head: Mapping[str, Any] | None
    records: list[Record]
    damaged: int
    length: int


@contextmanager
def open_journal(
    path: Path, head: Record, *, resume: bool, replace: bool = False
) -> Iterator[tuple[Journal, list[Record]]]:
    """A journal to add to, and what it holds already; a torn last line is cut off.

    A file whose first line is damaged, or that is not a journal, is set aside under another name.

    Parameters
    ----------
    path : Path
    head : dict
        What this run is of; it begins with the journal's schema.
    resume : bool
        Go on with what is there.
    replace : bool
        A journal that is not gone on with, or of another run, is begun anew instead of refused.

    Raises
    ------
    FileError
        When there is one and it is not to be resumed, or it belongs to another run; when it cannot be written.

    Warns
    -----
    PtvkitWarning
        When a file is set aside, or lines of it are damaged.
    """
    records, length = _resumed(path, head, resume=resume, replace=replace) if path.exists() else ([], 0)
    try:
        with open(path, "r+b" if path.exists() else "wb") as file:
            file.truncate(length)
            file.seek(length)
            journal = Journal(file, path)
            if not length:
                journal.add(head)
            yield journal, records
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}; choose another folder") from error


def _resumed(path: Path, head: Record, *, resume: bool, replace: bool) -> tuple[list[Record], int]:
    """Records to go on with, and where in the file to go on."""
    if not resume and not replace:
        raise FileError(f"{path}: is from an earlier run; resume it, or choose another folder")
    content = read_journal(path)
    if content.head is None:
        if path.stat().st_size:
            _set_aside(path)
        return [], 0
    if not resume:
        return [], 0
    if content.head != head:
        if replace:
            return [], 0
        raise FileError(
            f"{path}: belongs to another study: {_difference(content.head, head)}; choose another folder, or remove it"
        )
    if content.damaged:
        text = f"{path}: {content.damaged} damaged line{'s' * (content.damaged > 1)}; what they held is done again"
        warnings.warn(text, PtvkitWarning, stacklevel=2)
    return content.records, content.length


def _set_aside(path: Path) -> None:
    """Rename a file that is not ours, or no longer readable: it may be worth something to its owner."""
    names = (path.with_name(f"{path.name}.set-aside-{number}") for number in count(1))
    other = next(name for name in names if not name.exists())
    try:
        path.rename(other)
    except OSError as error:
        raise FileError(f"{path}: is no journal, and cannot be renamed: {error.strerror}; move it away") from error
    text = f"{path}: is damaged or no journal of ptvkit; set aside as {other.name}, and all is done again"
    warnings.warn(text, PtvkitWarning, stacklevel=2)


def read_journal(path: Path) -> Content:
    """Read a journal; a damaged line costs itself alone.

    Raises
    ------
    FileError
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
    lines = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    first, *others = [_record(line) for line in lines] or [None]
    is_ours = first is not None and str(first.get("schema", "")).startswith("ptvkit-journal/")
    records = [record for record in others if record is not None]
    length = len(b"".join(lines))
    return Content(head=first if is_ours else None, records=records, damaged=len(others) - len(records), length=length)


def _line(record: Record) -> bytes:
    text = json.dumps(record).encode()  # keys keep their order: that of the table's columns
    return b"%08x " % zlib.crc32(text) + text + b"\n"


def _record(line: bytes) -> Record | None:
    mark, text = line[:8], line[9:-1]
    try:
        record: Any = json.loads(text) if int(mark, 16) == zlib.crc32(text) else None
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = [key for key in new if old.get(key) != new[key]]
    return f"its {', '.join(keys) or 'content'} differ{'s' if len(keys) == 1 else ''}"
