"""CSV tables: any target name survives a CSV reader and runs no formula."""

import csv
from pathlib import Path

import numpy as np

from ptvkit.io.tables import write_table
from ptvkit.text import csv_text, text_from_csv


def test_names_with_commas_quotes_lines_and_formulas_stay_one_cell(tmp_path: Path) -> None:
    names = ["a,b", 'PTV "eval"', "two\nlines", "=1+1", "Läsion"]
    with write_table(tmp_path / "t.csv", ("target", "value")) as table:
        table.writerows((csv_text(name), f"{np.float64(1.5):.2f}") for name in names)
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["target", "value"]
    assert [text_from_csv(name) for name, _ in rows] == names
    assert rows[3] == ["'=1+1", "1.50"]


def test_a_failed_table_leaves_no_file(tmp_path: Path) -> None:
    try:
        with write_table(tmp_path / "t.csv", ("a",)):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert list(tmp_path.iterdir()) == []
