"""How pictures look: colours, dark paper, and writing them whole."""

import base64
import io
import textwrap
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from ptvkit.io.colours import TARGETS
from ptvkit.io.files import write_whole

INK: Final = "#e9edf1"
PAPER: Final = "#0d1116"
GROUND: Final = "#171d24"
RULE: Final = "#3a444f"
MISS: Final = TARGETS["CTV"]
"""What lies outside is CTV."""
SERIES: Final = ("#dfe5ea", "#8296aa")
"""Two quantities that belong to no structure, such as Σ and σ."""
STROKES: Final[tuple[Any, ...]] = ("-", (0, (5, 2)), (0, (1, 1.2)))
"""Lines of several quantities of one structure, which all have its colour."""
AXES: Final = {"LR": "#9bd46a", "AP": "#e3cf57", "SI": "#b79df0"}
"""Colour of each patient axis."""
SIDES: Final = {"R": "#9bd46a", "L": "#4c8a3a", "A": "#e3cf57", "P": "#9c8a28", "S": "#c9b6f5", "I": "#7f5fc0"}
"""Colour of each direction."""
CHARACTERS_PER_INCH: Final = 9.0
"""Of a figure's title."""


class Picture(Figure):
    """A figure whose texts are text: a dollar in a structure's name is no formula."""

    def draw(self, renderer: Any) -> None:
        """Draw, every text as it is written."""
        for text in self.findobj(Text):
            text.set_parse_math(False)
        with rc_context({"text.parse_math": False}):  # for those that come while drawing
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return png_bytes(self, dpi=80)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, independent of pyplot."""
    figure = Picture(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def entitle(figure: Figure, text: str) -> None:
    """A title above all panels, in as many lines as it needs."""
    lines = textwrap.fill(text, int(CHARACTERS_PER_INCH * figure.get_figwidth()))
    figure.suptitle(lines, color=INK, fontsize=12, fontweight="bold", y=0.985)


def png_bytes(figure: Figure, *, dpi: int = 150) -> bytes:
    """A figure as PNG, with all that reaches beyond its edges."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor=PAPER, bbox_inches="tight", pad_inches=0.08)
    return stream.getvalue()


def png_address(figure: Figure, *, dpi: int = 90) -> str:
    """A figure as the address of an image in a page."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(figure, dpi=dpi)).decode()


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


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    with write_whole(path) as file:
        file.write(png_bytes(figure))
