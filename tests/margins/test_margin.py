"""The margin as a value."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptvkit as pk
from ptvkit import Margin, MarginError
from ptvkit.margins.margin import as_margin
from tests.motion.bodies import ball

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


def test_a_margin_as_users_write_it() -> None:
    six = {"right": 10, "left": 10, "anterior": 10, "posterior": 10, "superior": 12, "inferior": 10}
    for margin in (Margin("10,S=12"), Margin(10, superior=12), Margin({"all": 10, "S": 12}), as_margin("10,S=12")):
        assert {name: getattr(margin, name) for name in six} == six
    assert Margin(np.float32(7.5)) == Margin.uniform(7.5)
    assert as_margin({"SI": 8, "all": 5, "I": 9}) == Margin(5, superior=8, inferior=9)
    assert Margin(10, superior=0).superior == 0


@given(st.fixed_dictionaries(dict.fromkeys(SIDES, LENGTHS)))
def test_repr_makes_the_margin_again(sides: dict[str, float]) -> None:
    margin = Margin(**{side: round(length, 3) for side, length in sides.items()})
    assert eval(repr(margin)) == margin
    assert len(repr(margin)) < 120


TARGET = ball(8.0)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda margin: pk.expand(TARGET, margin), "margin"),
        (lambda margin: pk.contract(TARGET, margin), "margin"),
        (lambda margin: pk.prv(TARGET, margin), "margin"),
        (lambda margin: pk.wall(TARGET, thickness_mm=margin), "thickness_mm"),
        (lambda margin: pk.ring(TARGET, inner_mm=1, outer_mm=margin), "outer_mm"),
        (lambda margin: pk.make_targets(TARGET, ctv=margin, ptv=3).ctv, "ctv"),
        (lambda margin: pk.make_targets(TARGET, ctv=1, ptv=margin).ptv, "ptv"),
        (lambda margin: pk.make_targets(TARGET, ctv=1, ptv=[margin]).ptv, "ptv of lesion 1"),
    ],
)
def test_every_entry_takes_numbers_text_and_tables(call: Callable[[Any], pk.Region], argument: str) -> None:
    written = (2, "2", {"all": 2}, Margin.uniform(2))
    assert len({round(call(margin).volume_cc, 6) for margin in written}) == 1
    for wrong in ("2mm", -1, None, True, {"X": 1}, "Q=3"):
        with pytest.raises(MarginError, match=f"^{argument}: "):
            call(wrong)


def test_a_breathing_margin_names_its_sides() -> None:
    for wrong in (5, 5.0, "5", np.float64(5)):
        with pytest.raises(MarginError, match=r"^breathing: 5.*name each side"):
            pk.make_targets(TARGET, ctv=1, ptv=2, breathing=wrong)
    with_breathing = pk.make_targets(TARGET, ctv=0, ptv=2, breathing={"S": 3, "I": 6})
    at_once = pk.make_targets(TARGET, ctv=0, ptv="2,S=5,I=8")
    np.testing.assert_array_equal(with_breathing.ptv.level, at_once.ptv.level)
    assert pk.make_targets(TARGET, ctv=0, ptv=2, breathing=0).breathing.is_zero


@pytest.mark.parametrize("target", ["gtv.nii.gz", None, np.ones((3, 3, 3))])
def test_what_is_no_structure_is_refused(target: object) -> None:
    for grown in (pk.expand, pk.contract):
        with pytest.raises(pk.MaskError, match="a Mask or a Region, found"):
            grown(target, 3)  # type: ignore[call-overload,arg-type]
    with pytest.raises(pk.MaskError, match="a Mask or a Region, found"):
        pk.make_targets(target, ctv=1, ptv=1)  # type: ignore[arg-type]
