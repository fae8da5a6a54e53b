"""The table of a study: names of cases stay names."""

from pathlib import Path

import pytest

from ptvkit.work.results import read_results, read_rows, write_results

CASES = ("007", "7", "nan", "1e3", "=1+1")


def test_names_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    rows = [{"case": case, "lesion": "all", "ptv_cc": 1.5} for case in CASES]
    write_results(rows, tmp_path / "results.csv")
    assert [row["case"] for row in read_rows(tmp_path / "results.csv")] == list(CASES)
    assert read_rows(tmp_path / "results.csv")[0]["ptv_cc"] == 1.5
    assert read_results(tmp_path)["case"].tolist() == list(CASES)
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(tmp_path / "results.parquet")
    assert table["case"].tolist() == list(CASES)
    assert table["ptv_cc"].tolist() == [1.5] * len(CASES)
