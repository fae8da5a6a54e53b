"""Picture of a trace: displacement against time, and where the time is spent."""

from typing import Final

from matplotlib.figure import Figure

from ptvkit.motion.cycles import TraceStatistics, position_histogram
from ptvkit.motion.trajectory import Trajectory
from ptvkit.report.style import AXES, INK, dress_chart, entitle, legend, new_figure

TOWARDS: Final = {"LR": "towards R", "AP": "towards A", "SI": "towards S"}


def trace_figure(trace: Trajectory, statistics: TraceStatistics, *, title: str = "") -> Figure:
    """Displacement against time on each axis, its breaths, and the share of the time at each position."""
    figure = new_figure(13.0, 7.0)
    rows = figure.subplots(3, 2, sharex="col", sharey="row", gridspec_kw={"width_ratios": (4.2, 1), "wspace": 0.05})
    edges, density = position_histogram(trace)
    even = trace.even()
    for number, ((name, colour), (left, right)) in enumerate(zip(AXES.items(), rows, strict=True)):
        left.plot(trace.time_s, trace.displacement_mm[:, number], color=colour, linewidth=1.0)
        left.axhline(trace.mean_mm[number], color=INK, linewidth=0.7, linestyle=(0, (5, 4)), label="time mean")
        if statistics.cycles is not None:
            high = statistics.cycles.high
            breaths = even.time_s[high], even.displacement_mm[high, number]
            left.plot(*breaths, "o", color=INK, markersize=2.5, label="breath")
        dress_chart(left, f"{name}: range {statistics.range_mm[number]:.1f} mm, SD {statistics.sd_mm[number]:.2f} mm")
        left.set_ylabel(f"mm {TOWARDS[name]}", color=INK, fontsize=10)
        right.stairs(density[number], edges, orientation="horizontal", fill=True, color=colour, alpha=0.8)
        dress_chart(right)
    rows[2][0].set_xlabel("s", color=INK)
    rows[2][1].set_xlabel("share of the time per mm", color=INK)
    legend(rows[0][0], loc="upper right", ncols=2)
    entitle(figure, title or trace.name)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.90, bottom=0.08, hspace=0.32)
    return figure
