"""How values show themselves: a short line, a table with a picture in a notebook, a figure.

The pictures are drawn in `ptvkit.report`, which stands above the values. It is imported here by name, when a picture is
called for: the only upward import of the package.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

LONGEST_NAME: Final = 40


def line(value: object, name: str, *facts: str) -> str:
    """A value in one line: its class, its name and what describes it.

    Examples
    --------
    >>> line(3, "a" * 60 + "/gtv.nii.gz", "12.3 cc")
    "int('…aaaaaaaaaaaaaaaaaaaaaaaaaaaa/gtv.nii.gz', 12.3 cc)"
    """
    return f"{type(value).__name__}({', '.join([repr(shortened(name)), *facts])})"


def shortened(name: str) -> str:
    """The end of a long name, as a path's tells most."""
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]


def times(sizes: Sequence[float]) -> str:
    """Sizes along the axes.

    Examples
    --------
    >>> times((0.9765625, 1, 3))
    '0.977×1×3'
    """
    return "×".join(f"{size:.3g}" if isinstance(size, float) else str(size) for size in sizes)


def html_of(value: object) -> str:
    """A small table and a picture, for a notebook."""
    text: str = import_module("ptvkit.report.notebook").html_of(value)
    return text


def figure_of(value: object, **options: Any) -> Any:
    """A matplotlib figure of a value."""
    return import_module("ptvkit.report.notebook").figure_of(value, **options)


def drawing(module: str) -> Any:
    """A module of `ptvkit.report`, for the pictures and pages that are written beside figures."""
    return import_module(f"ptvkit.report.{module}")
