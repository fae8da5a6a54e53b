"""A study's table: one line for each case, lesion and cell."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.io.files import write_whole
from ptvkit.text import csv_text, text_from_csv

NAME: Final = "results.csv"
NAMES: Final = ("case", "lesion")
"""Columns of names: 007 and nan are what a case may be called, and no numbers."""


def write_results(rows: Iterable[dict[str, Any]], path: Path, columns: Sequence[str] = ()) -> None:
    """Write rows as CSV, whole or not at all, and as Parquet beside it where pyarrow is installed.

    Columns come in the order in which rows first have them; `columns` are those of a table without rows.

    Raises
    ------
    FileError
    """
    lines = list(rows)
    names: dict[str, None] = {}
    for row in lines:
        names |= dict.fromkeys(row)
    with write_whole(path) as file:
        file.write(table_text(lines, _ordered(list(names)) if lines else columns).encode())
    write_parquet(path)


def table_text(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _shown(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def write_parquet(table: Path) -> None:
    """The table once more, with types."""
    try:
        from pyarrow import csv as arrow
        from pyarrow import parquet
    except ImportError:
        return
    names = dict.fromkeys(NAMES, "string")
    read = arrow.read_csv(table, convert_options=arrow.ConvertOptions(column_types=names, strings_can_be_null=False))
    for place, column in enumerate(read.column_names):
        if str(read.schema.field(column).type) == "string":
            texts = [text_from_csv(text) for text in read.column(column).to_pylist()]
            read = read.set_column(place, column, [texts])
    content = io.BytesIO()
    parquet.write_table(read, content)
    with write_whole(table.with_suffix(".parquet")) as file:
        file.write(content.getvalue())


def _ordered(columns: Sequence[str]) -> list[str]:
    """How a row was simulated comes last, so that a table with and without dose begins alike."""
    last = [name for name in ("patients", "fractions", "seed", "version") if name in columns]
    return [name for name in columns if name not in last] + last


def _shown(value: Any) -> Any:
    """Numbers with the digits that a simulation can have."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return csv_text(value) if isinstance(value, str) else value


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A table's rows, numbers as numbers.

    Raises
    ------
    FileError
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [
                {key: text_from_csv(text) if key in NAMES else _number(text) for key, text in row.items()}
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}; run the study first") from error


def _number(text: str) -> Any:
    try:
        return float(text) if text else ""
    except ValueError:
        return text_from_csv(text)


def read_results(path: str | os.PathLike[str]) -> Any:
    """Read a study's table, `results.csv` or the folder that holds it, as a pandas DataFrame.

    Raises
    ------
    FileError
        When it cannot be read, or pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise FileError("read_results needs pandas; install it, or read results.csv with what you have") from None
    place = Path(path)
    place = place / NAME if place.is_dir() else place
    if not place.exists():
        raise FileError(f"{place}: no such file; run the study first, or merge its shards")
    return pd.read_csv(place, converters=dict.fromkeys(NAMES, text_from_csv), keep_default_na=False, na_values=[""])
