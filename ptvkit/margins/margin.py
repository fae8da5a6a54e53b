"""The margin: six distances, one for each direction of the patient."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MarginError
from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.geometry.grid import Grid
from ptvkit.kernels.gauge import SemiAxes

LARGEST_MM: Final = 100.0
PATIENT: Final = np.eye(3)
"""The patient's own frame: R, A, S in the columns."""
_NAMES = tuple(d.name for d in DIRECTIONS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """Six margins in mm, one for each direction of the patient.

    The margin's body is made of eight octants of ellipsoids whose semi-axes are the six margins; a target grows by
    the Minkowski sum with that body. A direction that is not named has margin 0.

    Parameters
    ----------
    right, left, anterior, posterior, superior, inferior : float
        Margin in that direction, mm, from 0 to 100.

    Raises
    ------
    MarginError
        When a margin is negative, not a finite number, or above 100 mm.

    Examples
    --------
    >>> Margin.uniform(10) + Margin(superior=5, inferior=15)
    Margin(right=10.0, left=10.0, anterior=10.0, posterior=10.0, superior=15.0, inferior=25.0)
    """

    right: float = 0.0
    left: float = 0.0
    anterior: float = 0.0
    posterior: float = 0.0
    superior: float = 0.0
    inferior: float = 0.0

    def __post_init__(self) -> None:
        for name in _NAMES:
            value = getattr(self, name)
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise MarginError(f"margin {name}: {value!r} is not a number of millimetres") from None
            if not math.isfinite(number) or not 0 <= number <= LARGEST_MM:
                raise MarginError(f"margin {name}: {number:g} mm; give a number from 0 to {LARGEST_MM:g} mm")
            object.__setattr__(self, name, number)

    @classmethod
    def uniform(cls, margin_mm: float) -> Self:
        """The same margin in all six directions, mm."""
        return cls(**dict.fromkeys(_NAMES, margin_mm))

    @classmethod
    def from_letters(cls, margins_mm: dict[str, float]) -> Self:
        """A margin from direction letters, mm.

        Examples
        --------
        >>> Margin.from_letters({"S": 12, "I": 18}).inferior
        18.0
        """
        return cls(**{DIRECTIONS[letter].name: value for letter, value in margins_mm.items()})

    @classmethod
    def parse(cls, text: str) -> Self:
        """A margin from text: ``"10"``, ``"S=12,I=18"``, or ``"10,S=15,I=25"`` (10 where not named).

        Examples
        --------
        >>> Margin.parse("7,I=12").letters["I"], Margin.parse("7,I=12").letters["L"]
        (12.0, 7.0)
        """
        found: dict[str, float] = {}
        rest: float | None = None
        for part in text.split(","):
            key, equals, number = (piece.strip() for piece in part.rpartition("="))
            value = _number(number)
            if not equals and rest is None and not found:
                rest = value
            elif not equals:
                raise MarginError(f"{number!r} names no direction; write a margin as in '10' or 'S=12,I=18'")
            else:
                letter = _letter(key)
                if letter in found:
                    raise MarginError(f"{letter} is given twice")
                found[letter] = value
        return cls.from_letters({**({} if rest is None else dict.fromkeys(DIRECTIONS, rest)), **found})

    @property
    def letters(self) -> dict[str, float]:
        """The margins by direction letter (R L A P S I), mm."""
        return {d.letter: getattr(self, d.name) for d in DIRECTIONS.values()}

    @property
    def reflected(self) -> Self:
        """The margin with opposite directions exchanged: the body mirrored at the origin."""
        return type(self)(
            right=self.left,
            left=self.right,
            anterior=self.posterior,
            posterior=self.anterior,
            superior=self.inferior,
            inferior=self.superior,
        )

    def scaled(self, factor: float) -> Self:
        """All six margins times a factor."""
        return self.from_letters({letter: factor * length for letter, length in self.letters.items()})

    @property
    def is_zero(self) -> bool:
        """Whether it adds nothing in any direction."""
        return not any(self.letters.values())

    def __add__(self, other: object) -> Self:
        if not isinstance(other, Margin):
            return NotImplemented
        mine = self.letters
        return self.from_letters({letter: mine[letter] + more for letter, more in other.letters.items()})

    def __str__(self) -> str:
        values = self.letters
        if len(set(values.values())) == 1:
            return f"{values['S']:g} mm"
        return " ".join(f"{letter} {value:g}" for letter, value in values.items()) + " mm"


PAIRS: Final = {"LR": "LR", "AP": "AP", "SI": "SI", "all": "RLAPSI"}
"""Letters that a key of a margin's table stands for, beside the letters themselves."""


def as_margin(value: "Margin | float | str | Mapping[str, float]", name: str = "margin") -> Margin:
    """A margin from a number of mm, text, or a table of letters, axes and ``all``; narrower keys win.

    Parameters
    ----------
    value : Margin, float, str or mapping
        As in ``10``, ``"10,S=12"``, ``{"all": 5, "SI": 8}``.
    name : str
        What messages call it.

    Raises
    ------
    MarginError

    Examples
    --------
    >>> as_margin({"all": 5, "SI": 8, "I": 9}).letters
    {'R': 5.0, 'L': 5.0, 'A': 5.0, 'P': 5.0, 'S': 8.0, 'I': 9.0}
    """
    if isinstance(value, Margin):
        return value
    try:
        if isinstance(value, str):
            return Margin.parse(value)
        return _from_table(value) if isinstance(value, Mapping) else Margin.uniform(value)
    except MarginError as error:
        raise MarginError(f"{name}: {error}") from None


def _from_table(table: Mapping[str, float]) -> Margin:
    letters = dict.fromkeys(DIRECTIONS, 0.0)
    for key, value in sorted(table.items(), key=lambda pair: -len(PAIRS.get(pair[0], "x"))):
        if key not in PAIRS and key not in letters:
            raise MarginError(f"{key!r} is no direction; use R L A P S I, LR AP SI, or all")
        letters |= dict.fromkeys(PAIRS.get(key, str(key)), value)
    return Margin.from_letters(letters)


def in_nodes(grid: Grid, margin: Margin, frame: NDArray[np.float64] = PATIENT) -> SemiAxes:
    """The margin as (towards lower index, towards higher index) for each axis of an aligned grid, in nodes."""
    letters = margin.letters
    pairs = []
    for axis in range(3):
        along = frame.T @ grid.axes[:, axis]
        patient = int(np.argmax(np.abs(along)))
        positive, negative = letters["RAS"[patient]], letters["LPI"[patient]]
        plus, minus = (positive, negative) if along[patient] > 0 else (negative, positive)
        pairs.append((minus / grid.spacing_mm[axis], plus / grid.spacing_mm[axis]))
    return (pairs[0], pairs[1], pairs[2])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise MarginError(f"{text!r} is not a number; write a margin as in '10' or 'S=12,I=18'") from None


def _letter(key: str) -> str:
    if key.upper() in DIRECTIONS:
        return key.upper()
    names = {d.name: d.letter for d in DIRECTIONS.values()}
    if key.lower() in names:
        return names[key.lower()]
    near = get_close_matches(key.lower(), names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise MarginError(f"{key!r} is no direction; use R, L, A, P, S, I{hint}")
