"""Damaged files: refused in one line or read, never a traceback, a hang, a flood of memory or a half-written file.

A twentieth of what `python -m benchmarks.fuzz` runs. A case is made again from its number:
``run_case(number, make_seeds(folder), folder)``.
"""

from pathlib import Path

from tests.fuzz.running import run_cases

CASES = 500


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    report = run_cases(range(CASES), tmp_path)
    assert report.findings == []
    assert report.outcomes.total() == CASES
    refused = sum(count for (_, outcome), count in report.outcomes.items() if outcome == "refused")
    assert 0.3 * CASES < refused < 0.95 * CASES  # damage that is seen, and damage that does not matter


def test_the_memory_of_the_caller_does_not_count(tmp_path: Path) -> None:
    taken = bytearray(2200 * 2**20)
    report = run_cases(range(1), tmp_path)
    assert len(taken) / 2**20 > report.most_mb > 50
