"""A study's table held against its journals: whether `results.csv` is still what the study wrote."""

import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from ptvkit.errors import FileError
from ptvkit.work.journal import SUFFIX
from ptvkit.work.results import NAME, write_results
from ptvkit.work.study import JOURNAL
from ptvkit.work.study_table import joined, rows_of

Found = tuple[Path, str, str]


def check_tables(files: Iterable[Path]) -> Iterator[Found]:
    """Path, state and reason of the table of each folder that has a study's journals.

    The table is made anew from the journals. Which masks a study read, by hash, its journals do not tell.
    """
    homes: dict[Path, list[Path]] = {}
    for path in files:
        if path.name.startswith(JOURNAL) and path.name.endswith(SUFFIX):
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
    held = joined(journals)
    with tempfile.TemporaryDirectory() as room:
        table = Path(room) / NAME
        write_results(rows_of(held), table, columns=held.columns)
        return table.read_bytes(), held.tasks, str(held.head["version"]), len(held.done)
