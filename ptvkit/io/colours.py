"""Colours of structures: GTV red, CTV orange, PTV blue, ITV yellow, organs from green to violet."""

import re
from typing import Final

Colour = tuple[int, int, int]

TARGETS: Final = {"GTV": "#f0504a", "CTV": "#f39a3c", "PTV": "#45b6f0", "ITV": "#f3d25c"}
"""Colour of each kind of target on a dark ground."""
ORGANS: Final = ("#66c97a", "#35b8a4", "#7f9be8", "#a884ec", "#d58be0")
"""Colours of all other structures, in their order, on a dark ground: green to violet."""
_KIND: Final = re.compile(r"(?<![A-Z])[GCPI]TV")


def target_kind(name: str) -> str | None:
    """Kind of target that a structure's name states; None for an organ.

    Examples
    --------
    >>> target_kind("ptv_eval"), target_kind("ctv.nii.gz"), target_kind("liver")
    ('PTV', 'CTV', None)
    """
    match = _KIND.search(name.upper())
    return match[0] if match else None


def structure_colour(name: str, position: int) -> Colour:
    """Red, green and blue (0 to 255) of a structure: targets by kind, organs by their 0-based position in the file.

    Examples
    --------
    >>> structure_colour("GTV", 3), structure_colour("liver", 0)
    ((240, 80, 74), (102, 201, 122))
    """
    kind = target_kind(name)
    return rgb(ORGANS[position % len(ORGANS)] if kind is None else TARGETS[kind])


def rgb(colour: str) -> Colour:
    """Red, green and blue (0 to 255) of a colour written as ``#rrggbb``."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
