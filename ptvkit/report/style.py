"""How pictures look: colours, dark paper, and writing them whole."""

from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from ptvkit.io.files import write_whole

COLOURS: Final = ("#e8413c", "#f2b43c", "#3fb8e8", "#8fd05a", "#c98bdb")
"""Told apart also by those who do not see red or green well: they differ in lightness."""
INK: Final = "#e9edf1"
PAPER: Final = "#0d1116"
GROUND: Final = "#171d24"
RULE: Final = "#3a444f"
AXES: Final = {"LR": COLOURS[3], "AP": COLOURS[1], "SI": COLOURS[2]}
"""Colour of each patient axis."""
SIDES: Final = {"R": "#8fd05a", "L": "#4c8a3a", "A": "#f2b43c", "P": "#a8711d", "S": "#3fb8e8", "I": "#e8413c"}
"""Colour of each direction."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, independent of pyplot."""
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def dress_chart(axis: Axes, title: str = "", across: str = "", up: str = "") -> None:
    """Colours, labels and a quiet grid."""
    axis.set_facecolor(GROUND)
    for spine in axis.spines.values():
        spine.set_color(RULE)
    axis.tick_params(colors=INK, labelsize=9)
    axis.grid(color=RULE, linewidth=0.5, alpha=0.6)
    axis.set_axisbelow(True)
    axis.set_title(title, color=INK, fontsize=11, loc="left", pad=8)
    axis.set_xlabel(across, color=INK, fontsize=10)
    axis.set_ylabel(up, color=INK, fontsize=10)


def legend(axis: Axes, **options: Any) -> None:
    """A legend in the ink of the figure."""
    axis.legend(frameon=False, labelcolor=INK, fontsize=9, **options)


def names_as_text(figure: Figure) -> None:
    """Show every text as it is: a name with dollar signs is no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    names_as_text(figure)
    with write_whole(path) as file:
        figure.savefig(file, format="png", dpi=150, facecolor=PAPER)
