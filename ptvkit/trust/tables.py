"""Check of a study's `results.csv` against its journals."""

import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from ptvkit.errors import FileError
from ptvkit.work.journal import SUFFIX
from ptvkit.work.results import NAME, write_results
from ptvkit.work.study import JOURNAL
from ptvkit.work.study_table import joined, rows_of

TableState = tuple[Path, str, str]


def check_tables(files: Iterable[Path]) -> Iterator[TableState]:
    """Path, state and reason of the tables in all folders with journals.

    The table is rebuilt from the journals. Journals do not record the hashes of masks.
    """
    homes: dict[Path, list[Path]] = {}
    for path in files:
        if path.name.startswith(JOURNAL) and path.name.endswith(SUFFIX):
            homes.setdefault(path.parent, []).append(path)
    for home, journals in homes.items():
        yield _check(home / NAME, journals)


def _check(table: Path, journals: list[Path]) -> TableState:
    try:
        content, tasks, release, done = _rebuilt(journals)
    except (FileError, KeyError, TypeError, ValueError, AttributeError):
        return table, "damaged record", "its journal cannot be read"
    if not table.exists():
        return table, "file missing", f"{done} of {tasks} tasks are done; continue with --resume, or merge"
    try:
        stored = table.read_bytes()
    except OSError as error:
        return table, "unreadable", str(error.strerror)
    if done < tasks:
        return table, "stale", f"its journal holds {done} of {tasks} tasks; continue with --resume"
    if stored != content:
        return table, "edited", "differs from the table of its journal"
    if release != version("ptvkit"):
        return table, "other version", f"written by ptvkit {release}, this is {version('ptvkit')}"
    return table, "fresh", ""


def _rebuilt(journals: list[Path]) -> tuple[bytes, int, str, int]:
    """Bytes of the table, number of tasks, version, and number of completed tasks."""
    held = joined(journals)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / NAME
        write_results(rows_of(held), table, columns=held.columns)
        return table.read_bytes(), held.tasks, str(held.head["version"]), len(held.done)
