"""What a study has done so far: an append-only file that survives being killed."""

import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from ptvkit.errors import FileError

SUFFIX: Final = ".journal"
SYNC_S: Final = 1.0
"""How often what was written is forced to the disk: what a power cut can cost."""


class Journal:
    """An open journal: `add` a record; whole lines alone count when it is read."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path, self._synced = file, path, time.monotonic()

    def add(self, record: dict[str, Any]) -> None:
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
            raise FileError(f"{self._path}: cannot be written: {error.strerror}; free space, then --resume") from error


@contextmanager
def open_journal(path: Path, head: dict[str, Any], *, resume: bool) -> Iterator[tuple[Journal, list[dict[str, Any]]]]:
    """A journal to add to, and what it holds already; a torn last line is cut off.

    Raises
    ------
    FileError
        When there is one and it is not to be resumed, or it belongs to another study.
    """
    done: list[dict[str, Any]] = []
    length = 0
    if path.exists() and not resume:
        raise FileError(f"{path}: is from an earlier run; go on with it (--resume), or choose another folder")
    if path.exists():
        first, done, length = read_journal(path)
        if first is not None and first != head:
            raise FileError(
                f"{path}: belongs to another study: {_difference(first, head)}; choose another folder, or remove it"
            )
    try:
        with open(path, "r+b" if path.exists() else "wb") as file:
            file.truncate(length)
            file.seek(length)
            journal = Journal(file, path)
            if not file.tell():
                journal.add(head)
            yield journal, done
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path}: cannot be written: {error.strerror}") from error


def read_journal(path: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]], int]:
    """Head and records of a journal, and how many bytes of it are whole."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
    records: list[dict[str, Any]] = []
    length = 0
    for line in content.splitlines(keepends=True):
        record = _record(line)
        if record is None:
            break
        records.append(record)
        length += len(line)
    return (records[0] if records else None), records[1:], length


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record).encode()  # keys keep their order: that of the table's columns
    return b"%08x " % zlib.crc32(text) + text + b"\n"


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n") or len(line) < 10:
        return None
    mark, text = line[:8], line[9:-1]
    try:
        if int(mark, 16) != zlib.crc32(text):
            return None
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return found


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    keys = [key for key in new if old.get(key) != new[key]]
    return f"its {', '.join(keys) or 'content'} differ{'s' if len(keys) == 1 else ''}"
