"""Colours of structures in pictures, charts and pages, on dark and on light ground."""

from collections.abc import Iterable
from typing import Final

from ptvkit.io.colours import ORGANS, TARGETS, rgb, target_kind

ON_LIGHT: Final = {
    "#f0504a": "#c9302c",
    "#f39a3c": "#b86200",
    "#45b6f0": "#0f6fb0",
    "#f3d25c": "#8a7000",
    "#66c97a": "#2c7d40",
    "#35b8a4": "#0c776a",
    "#7f9be8": "#4059b8",
    "#a884ec": "#6d45bd",
    "#d58be0": "#94409f",
}
"""The same colour on light ground, with a contrast of 4.5 or more against white."""
LATER: Final = 0.45
"""Share of white in the second, third, … structure of a kind, such as a PTV for evaluation."""


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Colour of each structure on dark ground, by its name: targets by kind, organs by order.

    Examples
    --------
    >>> colours_of(["PTV", "liver", "ctv.nii.gz", "PTV_eval"])
    {'PTV': '#45b6f0', 'liver': '#66c97a', 'ctv.nii.gz': '#f39a3c', 'PTV_eval': '#99d7f7'}
    """
    colours: dict[str, str] = {}
    organs = 0
    for name in names:
        kind = target_kind(name)
        if kind is None:
            colours[name] = ORGANS[organs % len(ORGANS)]
            organs += 1
            continue
        plain = TARGETS[kind]
        colours[name] = plain if plain not in colours.values() else lighter(plain)
    return colours


def lighter(colour: str, share: float = LATER) -> str:
    """A colour mixed with white."""
    return "#" + "".join(f"{round(part + share * (255 - part)):02x}" for part in rgb(colour))


def page_colours() -> str:
    """The colours as CSS variables: ``--gtv``, ``--ctv``, ``--ptv``, ``--organ-1``, … for light and dark pages."""
    named = {kind.lower(): colour for kind, colour in TARGETS.items()}
    named |= {f"organ-{number}": colour for number, colour in enumerate(ORGANS, start=1)}
    light = " ".join(f"--{name}: {ON_LIGHT[colour]};" for name, colour in named.items())
    dark = " ".join(f"--{name}: {colour};" for name, colour in named.items())
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
