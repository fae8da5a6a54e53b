"""The margin as a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptvkit import Margin, MarginError

LENGTHS = st.floats(0, 50)
SIDES = ("right", "left", "anterior", "posterior", "superior", "inferior")


@given(st.fixed_dictionaries(dict.fromkeys(SIDES, LENGTHS)), st.fixed_dictionaries(dict.fromkeys(SIDES, LENGTHS)))
def test_laws(a: dict[str, float], b: dict[str, float]) -> None:
    first, second = Margin(**a), Margin(**b)
    assert first + second == second + first
    assert first + Margin() == first
    assert first.reflected.reflected == first
    assert (first.reflected.left, first.reflected.superior) == (first.right, first.inferior)
    assert Margin.from_letters(first.letters) == first
    assert first.is_zero == (max(a.values()) == 0)


def test_missing_is_zero_and_sides_are_named() -> None:
    margin = Margin.uniform(10) + Margin(superior=5, inferior=15)
    assert margin.letters == {"R": 10, "L": 10, "A": 10, "P": 10, "S": 15, "I": 25}


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf"), 100.5, "ten", None])
def test_values_that_are_no_margin(wrong: object) -> None:
    with pytest.raises(MarginError, match="margin superior"):
        Margin(superior=wrong)  # type: ignore[arg-type]


def test_a_sum_that_is_absurd_is_refused() -> None:
    with pytest.raises(MarginError, match="110 mm"):
        Margin.uniform(60) + Margin.uniform(50)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", Margin.uniform(10)),
        (" 2.5 ", Margin.uniform(2.5)),
        ("S=12,I=18", Margin(superior=12, inferior=18)),
        ("s=12, inferior=18", Margin(superior=12, inferior=18)),
        ("7,I=12", Margin(right=7, left=7, anterior=7, posterior=7, superior=7, inferior=12)),
        ("0", Margin()),
    ],
)
def test_parsed(text: str, expected: Margin) -> None:
    assert Margin.parse(text) == expected


@pytest.mark.parametrize("text", ["", "x", "S=", "=3", "S=3,4", "3,4", "S=3,S=4", "Z=3", "S:3", "10mm"])
def test_text_that_is_no_margin(text: str) -> None:
    with pytest.raises(MarginError):
        Margin.parse(text)
