"""Picture of two scans' lesions: each in its axial plane, and the diameters side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ptvkit.analysis.axial import AxialDiameter
from ptvkit.analysis.lesion_change import LesionChange, LesionComparison
from ptvkit.report.style import GROUND, INK, RULE, dress_chart, entitle, legend, new_figure, save_figure

BEFORE, AFTER = "#f39a3c", "#45b6f0"
MOST_PLANES: Final = 8
COLUMNS: Final = 4


def save_picture(comparison: LesionComparison, path: Path) -> None:
    """Write the picture of a comparison."""
    save_figure(lesion_figure(comparison), path)


def lesion_figure(comparison: LesionComparison) -> Figure:
    """Each lesion in its plane of the longest diameter, the patient's right on the left, and a chart of the diameters.

    Of more than eight lesions the planes of the first eight are drawn; the chart has all. Each scan's outline is
    in its own frame.
    """
    shown = comparison.rows[:MOST_PLANES]
    rows = -(-len(shown) // COLUMNS)
    figure = new_figure(14.0, 3.4 * rows + 3.6)
    grid = figure.add_gridspec(rows + 1, COLUMNS, hspace=0.32, wspace=0.08, left=0.05, right=0.98, bottom=0.08, top=0.9)
    for number, row in enumerate(shown):
        _plane(figure.add_subplot(grid[number // COLUMNS, number % COLUMNS]), row)
    _chart(figure.add_subplot(grid[rows, :]), comparison.rows)
    hidden = len(comparison.rows) - len(shown)
    entitle(figure, comparison.summary() + (f"; {hidden} more lesions in the chart" if hidden else ""))
    return figure


def _plane(axis: Axes, row: LesionChange) -> None:
    """Outlines and diameters of one lesion before and after."""
    for sections, colour in ((row.before, BEFORE), (row.after, AFTER)):
        for section in sections:
            _section(axis, section, colour)
    axis.set_aspect("equal", adjustable="datalim")
    axis.invert_xaxis()  # the patient's right on the left
    axis.set_facecolor(GROUND)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(RULE)
    change = "" if row.change is None else f" {100 * row.change:+.0f} % volume"
    axis.set_title(f"{row.name}: {row.category}{change}", color=INK, fontsize=10, pad=5)
    for letter, x, y in (("R", 0.03, 0.5), ("L", 0.97, 0.5), ("A", 0.5, 0.95), ("P", 0.5, 0.05)):
        axis.text(x, y, letter, transform=axis.transAxes, color=INK, fontsize=10, ha="center", va="center")


def _section(axis: Axes, section: AxialDiameter, colour: str) -> None:
    closed = np.vstack([section.outline_mm, section.outline_mm[:1]])
    axis.plot(closed[:, 0], closed[:, 1], color=colour, linewidth=1.7)
    for ends in (section.ends_mm, section.short_ends_mm):
        axis.plot(ends[:, 0], ends[:, 1], color=colour, linewidth=0.9, linestyle=(0, (4, 3)))


def _chart(axis: Axes, rows: Sequence[LesionChange]) -> None:
    """Longest axial diameters before and after."""
    place = np.arange(len(rows))
    for side, (name, colour) in enumerate((("before", BEFORE), ("after", AFTER))):
        heights = [row.diameter_mm[side] or 0.0 for row in rows]
        bars = axis.bar(place + 0.4 * side - 0.2, heights, width=0.36, color=colour, label=name)
        axis.bar_label(bars, [f"{height:.1f}" if height else "" for height in heights], color=INK, fontsize=8)
    dress_chart(axis, "longest axial diameter", "", "mm")
    axis.set_xticks(place, [f"{row.name}\n{row.category}" for row in rows], color=INK, fontsize=9)
    axis.margins(y=0.15)
    legend(axis, loc="upper right", ncols=2)
