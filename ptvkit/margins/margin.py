"""The margin: six distances, one for each direction of the patient."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Self, Union

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MarginError
from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.geometry.grid import Grid
from ptvkit.kernels.gauge import SemiAxes

LARGEST_MM: Final = 100.0
PATIENT: Final = np.eye(3)
"""The patient's own frame: R, A, S in the columns."""


NOT_NAMED: Final[Any] = ...
"""Default of a direction; None is a mistake and is refused."""
PAIRS: Final = {"LR": "LR", "AP": "AP", "SI": "SI", "all": "RLAPSI"}
"""Letters that a key of a margin's table stands for."""
MarginLike = Union["Margin", float, str, Mapping[str, float]]
"""A margin as users write it: a `Margin`, mm in all directions, text (``"10,S=12"``), or a table of directions."""


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Margin:
    """Six margins in mm, one for each direction of the patient.

    The margin's body is made of eight octants of ellipsoids whose semi-axes are the six margins; a target grows by
    the Minkowski sum with that body. A direction that is not named has the margin `margin`, by default 0.

    Parameters
    ----------
    margin : float, str, mapping or Margin
        Margin of the directions that are not named: mm, text such as ``"10,S=12,I=18"``, or a table such as
        ``{"all": 5, "SI": 8}``.
    right, left, anterior, posterior, superior, inferior : float
        Margin in that direction, mm, from 0 to 100.

    Raises
    ------
    MarginError
        When a margin is negative, not a finite number, or above 100 mm.

    Examples
    --------
    >>> Margin(10) + Margin(superior=5, inferior=15)
    Margin('10,S=15,I=25')
    >>> Margin("10,S=12") == Margin(10, superior=12) == Margin({"all": 10, "S": 12})
    True
    """

    right: float
    left: float
    anterior: float
    posterior: float
    superior: float
    inferior: float

    def __init__(
        self,
        margin: MarginLike = 0.0,
        *,
        right: float = NOT_NAMED,
        left: float = NOT_NAMED,
        anterior: float = NOT_NAMED,
        posterior: float = NOT_NAMED,
        superior: float = NOT_NAMED,
        inferior: float = NOT_NAMED,
    ) -> None:
        base = _letters_of(margin)
        named = (right, left, anterior, posterior, superior, inferior)
        for (letter, direction), value in zip(DIRECTIONS.items(), named, strict=True):
            length = _length(base.get(letter, 0.0) if value is NOT_NAMED else value, f"margin {direction.name}")
            object.__setattr__(self, direction.name, length)

    @classmethod
    def uniform(cls, margin_mm: float) -> Self:
        """The same margin in all six directions, mm."""
        return cls(_length(margin_mm, "margin"))

    @classmethod
    def from_letters(cls, margins_mm: dict[str, float]) -> Self:
        """A margin from direction letters, mm.

        Examples
        --------
        >>> Margin.from_letters({"S": 12, "I": 18}).inferior
        18.0
        """
        return cls(margins_mm)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A margin from text: ``"10"``, ``"S=12,I=18"``, or ``"10,S=15,I=25"`` (10 where not named).

        Examples
        --------
        >>> Margin.parse("7,I=12").letters["I"], Margin.parse("7,I=12").letters["L"]
        (12.0, 7.0)
        """
        return cls(text)

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

    def __repr__(self) -> str:
        values = self.letters
        common = max(values.values(), key=list(values.values()).count)
        parts = [f"{common:.12g}"] if common else []
        parts += [f"{letter}={value:.12g}" for letter, value in values.items() if value != common]
        return f"Margin({common:.12g})" if len(parts) == 1 and common else f"Margin('{','.join(parts) or 0}')"


def as_margin(margin: MarginLike, name: str = "margin", *, name_sides: bool = False) -> Margin:
    """A margin from what a user wrote, checked; a message names the argument.

    Parameters
    ----------
    margin : Margin, float, str or mapping
        mm in all directions; text such as ``"10"``, ``"S=12,I=18"`` or ``"10,S=12"``; or a table of letters, ``LR``,
        ``AP``, ``SI`` and ``all``.
    name : str
        The argument that it is.
    name_sides : bool
        Whether one number for all sides is refused, as for breathing, where it may mean one side or both together.

    Raises
    ------
    MarginError

    Examples
    --------
    >>> as_margin({"all": 5, "SI": 8, "I": 9}, "ptv")
    Margin('5,S=8,I=9')
    """
    try:
        if name_sides and _is_one_number(margin):
            raise MarginError(f"{margin}: name each side, as in 'S=12,I=18'; one number may mean one side or both")
        return margin if isinstance(margin, Margin) else Margin(margin)
    except MarginError as error:
        raise MarginError(f"{name}: {str(error).removeprefix('margin').lstrip(': ')}") from None


def _is_one_number(margin: Any) -> bool:
    """Whether it is a number other than 0, or text that holds only one."""
    if isinstance(margin, str):
        return "=" not in margin and margin.strip() not in ("", "0")
    return not isinstance(margin, Margin | Mapping) and margin != 0


def _letters_of(margin: Any) -> dict[str, float]:
    """Margins by direction letter, not yet checked."""
    if isinstance(margin, Margin):
        return margin.letters
    if isinstance(margin, str):
        return _from_text(margin)
    return _from_table(margin) if isinstance(margin, Mapping) else dict.fromkeys(DIRECTIONS, _length(margin, "margin"))


def _from_text(text: str) -> dict[str, float]:
    named: dict[str, float] = {}
    rest: float | None = None
    for part in text.split(","):
        key, equals, number = (piece.strip() for piece in part.rpartition("="))
        value = _number(number)
        if not equals and rest is None and not named:
            rest = value
        elif not equals:
            raise MarginError(f"{number!r} names no direction; write a margin as in '10' or 'S=12,I=18'")
        else:
            letter = _letter(key)
            if letter in named:
                raise MarginError(f"{letter} is given twice")
            named[letter] = value
    return {**({} if rest is None else dict.fromkeys(DIRECTIONS, rest)), **named}


def _from_table(table: Mapping[str, float]) -> dict[str, float]:
    """Letters before axes before ``all``: the more exact key holds."""
    letters: dict[str, float] = {}
    for key, value in sorted(table.items(), key=lambda pair: -len(PAIRS.get(str(pair[0]), "x"))):
        if key not in PAIRS and key not in DIRECTIONS:
            raise MarginError(f"{key!r} is no direction; use R, L, A, P, S, I, LR, AP, SI, or all")
        letters |= dict.fromkeys(PAIRS.get(key, str(key)), value)
    return letters


def _length(value: Any, name: str) -> float:
    try:
        length = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        raise MarginError(f"{name}: {value!r} is not a number of millimetres") from None
    if not math.isfinite(length) or not 0 <= length <= LARGEST_MM:
        raise MarginError(f"{name}: {length:g} mm; give a number from 0 to {LARGEST_MM:g} mm")
    return length


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
