"""CSV tables, written whole or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from csv import writer
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from ptvkit.io.files import write_whole


@contextmanager
def write_table(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Writer of a CSV file (`csv.writer`) whose head is written; text cells go through `ptvkit.text.csv_text`.

    Parameters
    ----------
    path : Path
    columns : sequence of str

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    with write_whole(path) as file:
        text = TextIOWrapper(file, encoding="utf-8", newline="")
        table = writer(text, lineterminator="\n")
        try:
            table.writerow(columns)
            yield table
        finally:
            text.detach()
