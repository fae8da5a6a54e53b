"""What a worker keeps, when several threads share it."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from ptvkit.errors import PtvkitWarning
from ptvkit.work.workspace import MOST_VALUES, Workspace


def test_threads_never_get_another_cases_values() -> None:
    workspace, begin = Workspace(threads=4), Barrier(4)

    def values_of(case: str) -> list[str]:
        begin.wait()
        kept = workspace.of_case(case)
        return [kept.get(f"cell {n % 30}", lambda n=n: f"{case} {n % 30}") for n in range(300)]  # type: ignore[misc]

    with ThreadPoolExecutor(4) as pool:
        for case, values in zip("abcd", pool.map(values_of, "abcd"), strict=True):
            assert values == [f"{case} {n % 30}" for n in range(300)]


def test_a_value_is_worked_out_once_and_a_failure_is_not_kept() -> None:
    kept, made = Workspace().of_case("a"), []

    def fail() -> int:
        made.append(1)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        kept.get("x", fail)
    assert kept.get("x", lambda: 5) == kept.get("x", fail) == 5
    assert len(made) == 1
    for n in range(MOST_VALUES):
        kept.get(f"y {n}", lambda: 0)
    assert kept.get("x", lambda: 6) == 6  # the oldest went


def test_each_thread_collects_its_own_warnings() -> None:
    workspace, begin = Workspace(threads=3), Barrier(3)

    def warned_by(name: str) -> list[str]:
        with workspace.collected_warnings() as texts:
            begin.wait()
            for n in range(20):
                warnings.warn(f"{name} {n % 2}", PtvkitWarning, stacklevel=1)
            begin.wait()
        return texts

    usual = warnings.showwarning
    with ThreadPoolExecutor(3) as pool:
        for name, texts in zip("abc", pool.map(warned_by, "abc"), strict=True):
            assert texts == [f"{name} 0", f"{name} 1"]
    assert warnings.showwarning is usual
