"""A study's table held against its journals: whether `results.csv` is still what the study wrote."""

import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ptvkit.errors import FileError
from ptvkit.work.journal import SUFFIX, read_journal
from ptvkit.work.results import NAME, write_results
from ptvkit.work.study import in_order

Found = tuple[Path, str, str]


def check_tables(files: Iterable[Path]) -> Iterator[Found]:
    """Path, state and reason of the table of each folder that has a study's journals.

    The table is made anew from the journals. Which masks a study read, by hash, its journals do not tell.
    """
    homes: dict[Path, list[Path]] = {}
    for path in files:
        if path.name.endswith(SUFFIX):
            homes.setdefault(path.parent, []).append(path)
    for home, journals in homes.items():
        yield _check(home / NAME, journals)


def _check(table: Path, journals: list[Path]) -> Found:
    try:
        content, tasks, release, done = _made_anew(journals)
    except (FileError, KeyError, TypeError, ValueError, AttributeError):
        return table, "damaged record", "its journal cannot be read"
    if not table.exists():
        return table, "file missing", f"{done} of {tasks} tasks are done; go on with --resume, or merge"
    try:
        found = table.read_bytes()
    except OSError as error:
        return table, "unreadable", str(error.strerror)
    if done < tasks:
        return table, "stale", f"its journal holds {done} of {tasks} tasks; go on with --resume"
    if found != content:
        return table, "edited", "differs from what its journal makes"
    if release != version("ptvkit"):
        return table, "other version", f"made by ptvkit {release}, this is {version('ptvkit')}"
    return table, "fresh", ""


def _made_anew(journals: list[Path]) -> tuple[bytes, int, str, int]:
    """Bytes of the table, how many tasks there are, the version, and how many tasks are done."""
    found: dict[int, dict[str, Any]] = {}
    heads = []
    for path in journals:
        head, records, _ = read_journal(path)
        if head is None:
            raise FileError(f"{path}: is damaged")
        heads.append(head)
        found |= {record["task"]: record for record in records}
    release = str(heads[0]["version"])
    rows = [row for number in sorted(found) for row in found[number].get("rows", [])]
    with tempfile.TemporaryDirectory() as room:
        table = Path(room) / NAME
        write_results(in_order(rows, release), table)
        return table.read_bytes(), int(heads[0]["tasks"]), release, len(found)
