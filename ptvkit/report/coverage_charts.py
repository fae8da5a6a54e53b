"""Pictures of a simulation: deepest misses, one course over time, and the error budget."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from ptvkit.analysis.simulation import Simulation
from ptvkit.display import shortened
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.motion.cost import Cost
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.residuals import Residual
from ptvkit.motion.result import LETTERS, CoverageResult
from ptvkit.report.planes import Overlay, target_figure
from ptvkit.report.style import (
    AXES,
    INK,
    MISS,
    RULE,
    SERIES,
    SIDES,
    dress_chart,
    entitle,
    legend,
    new_figure,
    save_figure,
)

Floats = NDArray[np.float64]

MOST_BARS: Final = 40
SELDOM: Final = 0.001
"""Share of the time below which a point is not drawn."""
NAMES: Final = {"R": "right", "L": "left", "A": "anterior", "P": "posterior", "S": "superior", "I": "inferior"}


def save_pictures(
    simulation: Simulation,
    structures: Mapping[str, Mask | Region],
    image: tuple[NDArray[np.generic], Grid] | None,
    folder: Path,
) -> None:
    """Write the four pictures of a simulation into a folder.

    Parameters
    ----------
    simulation : Simulation
    structures : mapping of str to Mask or Region
        Structures to outline on the probability map.
    image : (array, Grid), optional
        CT in the background.
    folder : Path
    """
    if simulation.maps is None or simulation.course is None or simulation.depth_mm is None:
        return  # no patients were drawn
    shares = simulation.maps.occupied
    occupied = Overlay(
        values=np.where(shares < SELDOM, np.nan, shares), grid=simulation.maps.grid, label="share of the time"
    )
    values, grid = (None, None) if image is None else image
    typical = f"Patient {simulation.pictured + 1}: one patient in ten has a deeper miss; simulated"
    pictures = {
        "misses": miss_figure(simulation.result),
        "course": course_figure(simulation.course, simulation.depth_mm, title=typical),
        "budget": budget_figure(simulation.residuals, simulation.costs),
        "map": target_figure(
            values,
            grid,
            structures,
            overlay=occupied,
            title="Share of the time in which the CTV occupies a point; simulated",
        ),
    }
    for name, figure in pictures.items():
        save_figure(figure, folder / f"coverage_{name}.png")


def miss_figure(result: CoverageResult) -> Figure:
    """Histogram of the patients' deepest misses by direction; one panel per lesion."""
    shown = (result, *result.lesions) if len(result.lesions) > 1 else (result,)
    figure = new_figure(max(8.0, 4.6 * len(shown)), 4.6)
    deepest = max(float(target.deepest_mm.max()) for target in shown)
    step = next(width for width in (0.5, 1.0, 2.0, 5.0, 10.0) if deepest / width <= MOST_BARS or width == 10.0)
    edges = np.arange(0.0, deepest + 1.001 * step, step)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axis, target in zip(axes, shown, strict=True):
        _misses(axis, target, edges)
    handles = [(letter, axes[0].bar([0], [0], color=colour)) for letter, colour in SIDES.items()]
    figure.legend(
        [handle for _, handle in handles],
        [NAMES[letter] for letter, _ in handles],
        loc="lower center",
        ncols=6,
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )
    axes[0].set_ylabel("patients", color=INK, fontsize=10)
    entitle(
        figure,
        f"Deepest miss of each patient: {result.patients} patients, {result.fractions} fractions each; simulated",
    )
    figure.subplots_adjust(left=0.07 if len(shown) > 1 else 0.1, right=0.98, top=0.80, bottom=0.22, wspace=0.06)
    return figure


def _misses(axis: Axes, target: CoverageResult, edges: Floats) -> None:
    """Stacked bars by direction; contained patients are a separate bar on the left."""
    worst = target.miss_mm.argmax(axis=1)
    side = np.take_along_axis(target.side, worst[:, None], axis=1)[:, 0]
    width = edges[1] - edges[0]
    inside = float((target.deepest_mm <= 0).mean())
    axis.bar([-width], [inside], width=0.86 * width, color=INK, alpha=0.85)
    base = np.zeros(len(edges) - 1)
    for code, letter in enumerate(LETTERS):
        shares = np.histogram(target.deepest_mm[side == code], bins=edges)[0] / target.patients
        axis.bar(edges[:-1] + width / 2, shares, width=0.86 * width, bottom=base, color=SIDES[letter])
        base += shares
    contained, two = target.contained(), target.contained(2.0)
    title = (
        f"{shortened(target.name)}, {target.volume_cc:.1f} cc\n"
        f"contained {contained.value:.0%}; within 2 mm {two.value:.0%}"
    )
    dress_chart(axis, title, "deepest miss, mm (white: contained)")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.title.set_fontsize(9.5)


def course_figure(drawn: Drawn, depth_mm: Floats, *, title: str = "") -> Figure:
    """Course of one patient: range of positions per fraction, and the fraction with the deepest miss over time.

    Parameters
    ----------
    drawn : Drawn
        Course of one patient.
    depth_mm : (fractions, samples) array
        Reach outside the PTV; negative inside.
    title : str
    """
    shifts = drawn.shifts_mm[0]
    fractions, samples = shifts.shape[:2]
    worst = int(depth_mm.max(axis=1).argmax())
    time = np.arange(samples) if drawn.time_s is None else drawn.time_s[0, worst]
    figure = new_figure(13.0, 6.0)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1), height_ratios=(2.2, 1), wspace=0.16, hspace=0.38)
    grid.update(left=0.06, right=0.985, top=0.87, bottom=0.10)
    days, within = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    misses, depth = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    for number, (name, colour) in enumerate(AXES.items()):
        place = np.arange(1, fractions + 1) + 0.22 * (number - 1)
        low, high = shifts[..., number].min(axis=1), shifts[..., number].max(axis=1)
        days.vlines(place, low, high, color=colour, linewidth=5, alpha=0.45)
        days.plot(place, shifts[..., number].mean(axis=1), "o", color=colour, markersize=4, label=name)
        within.plot(time, shifts[worst, :, number], color=colour, linewidth=1.1)
    dress_chart(days, "Each fraction: range and mean of the displacement", "", "mm, towards R, A, S")
    dress_chart(within, f"Fraction {worst + 1}, with the deepest miss", "", "mm")
    legend(days, ncols=3, loc="lower right", bbox_to_anchor=(1.01, 0.99))
    miss = np.maximum(depth_mm.max(axis=1), 0.0)
    misses.bar(np.arange(1, fractions + 1), miss, color=MISS, width=0.6)
    dress_chart(misses, "Deepest miss", "fraction", "mm")
    misses.set_ylim(0, max(1.0, 1.1 * float(miss.max())))
    depth.fill_between(time, 0, np.maximum(depth_mm[worst], 0.0), color=MISS, alpha=0.8, linewidth=0)
    depth.plot(time, depth_mm[worst], color=INK, linewidth=0.8)
    depth.axhline(0, color=INK, linewidth=0.6, alpha=0.6)
    low = float(np.maximum(depth_mm[worst], -8.0).min())
    depth.set_ylim(low - 0.5, max(1.0, 1.15 * float(depth_mm[worst].max())))
    dress_chart(depth, "Reach outside the PTV (negative: inside)", "s" if drawn.time_s is not None else "sample", "mm")
    for axis in (days, misses):
        axis.set_xlim(0.4, fractions + 0.6)
        axis.set_xticks(np.unique(np.linspace(1, fractions, min(fractions, 12)).astype(int)))
    entitle(figure, title or "One course, simulated")
    return figure


def budget_figure(residuals: Sequence[Residual], costs: Sequence[Cost] = ()) -> Figure:
    """Residual errors after guidance by axis, and the cost of every source in containment."""
    rows = list(residuals)[::-1]
    figure = new_figure(13.5, 1.9 + 0.42 * max(len(rows), len(costs), 5))
    # An empty column leaves space for the labels of the last panel.
    grid = figure.add_gridspec(1, 5, width_ratios=(1, 1, 1, 0.66, 1.1) if costs else (1, 1, 1, 0.01, 0.01), wspace=0.1)
    axes = [figure.add_subplot(grid[0, column]) for column in ((0, 1, 2, 4) if costs else (0, 1, 2))]
    place = np.arange(len(rows))
    reach = max(float(max(row.systematic_mm.max(), row.random_mm.max())) for row in rows)
    for number, (axis, name) in enumerate(zip(axes, AXES, strict=False)):
        axis.barh(place + 0.19, [row.systematic_mm[number] for row in rows], 0.36, color=SERIES[0], label="Σ'")
        axis.barh(place - 0.19, [row.random_mm[number] for row in rows], 0.36, color=SERIES[1], label="σ'")
        dress_chart(axis, f"{name}: left after guidance", "mm")
        axis.set_xlim(0, 1.05 * max(reach, 0.1))
        axis.set_yticks(place, [shortened(row.name) for row in rows] if number == 0 else [""] * len(rows))
        axis.axhspan(-0.5, 0.5, color=RULE, alpha=0.35, zorder=0)
    axes[0].tick_params(axis="y", labelsize=10)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=2,
        frameon=False,
        labelcolor=INK,
        fontsize=10,
    )
    if costs:
        _costs(axes[3], costs)
    entitle(figure, "Error budget; simulated")
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.15, right=0.945 if costs else 0.985, top=1 - 0.95 / height, bottom=0.6 / height)
    return figure


def _costs(axis: Axes, costs: Sequence[Cost]) -> None:
    """Contained patients and lost coverage without one source, compared with all sources."""
    rows = [("all together", costs[-1].contained_alone, costs[-1].loss_alone)]
    rows += [
        (f"without {shortened(cost.name)}", cost.contained_without, cost.loss_without) for cost in list(costs)[-2::-1]
    ]
    for y, (_, contained, loss) in enumerate(rows):
        axis.plot([contained.low, contained.high], [y, y], color=MISS, linewidth=3, alpha=0.7)
        axis.plot([contained.value], [y], "o", color=MISS, markersize=6)
        beside: dict[str, Any] = {"color": INK, "fontsize": 9, "va": "center", "transform": axis.get_yaxis_transform()}
        axis.text(1.03, y, _percent(loss.value), **beside)
    axis.axvline(rows[0][1].value, color=INK, linewidth=1.0, linestyle=(0, (5, 4)))
    axis.text(1.03, 1.02, "lost", color=INK, fontsize=9, va="bottom", transform=axis.transAxes)
    dress_chart(axis, "Patients contained", "95 % intervals; right: volume lost")
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.axhspan(-0.5, 0.5, color=RULE, alpha=0.35, zorder=0)


def _percent(share: float) -> str:
    """Share with two significant digits; smaller values as "<0.01 %"."""
    if share < 1e-4:
        return "<0.01 %" if share > 0 else "0 %"
    return f"{100 * share:.2g} %"
