"""Values in a notebook: a small table and one picture, and the figures behind `.plot()`."""

from functools import singledispatch
from html import escape
from typing import Any, Final

from matplotlib.figure import Figure

from ptvkit.display import shortened
from ptvkit.dose.dose import Dose
from ptvkit.dose.metrics import DoseMetrics
from ptvkit.dose.result import DoseResult
from ptvkit.errors import PtvkitError
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.margins.targets import Targets
from ptvkit.motion.cycles import trace_statistics
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.trajectory import Trajectory
from ptvkit.report.coverage_charts import miss_figure
from ptvkit.report.dose_charts import band_figure, dvh_figure, isodose_figure
from ptvkit.report.planes import target_figure
from ptvkit.report.style import png_address
from ptvkit.report.trace_chart import trace_figure

Row = tuple[str, ...]

PICTURE_DPI: Final = 60


@singledispatch
def figure_of(value: Any, **options: Any) -> Figure:
    """The figure of a value, as its `plot` method returns it.

    Raises
    ------
    MaskError
        When there is nothing to draw.
    """
    raise TypeError(f"{type(value).__name__} has no picture")


@figure_of.register
def _(value: Mask | Region, *, image: Any = None, **options: Any) -> Figure:
    values, grid = image or (None, None)
    return target_figure(values, grid, {value.name: value}, **options)


@figure_of.register
def _(value: Targets, *, image: Any = None, **options: Any) -> Figure:
    values, grid = image or (None, None)
    return target_figure(values, grid, value.structures, **options)


@figure_of.register
def _(value: CoverageResult) -> Figure:
    return miss_figure(value)


@figure_of.register
def _(value: DoseResult) -> Figure:
    return band_figure(value)


@figure_of.register
def _(value: DoseMetrics, *, prescription_gy: float | None = None) -> Figure:
    return dvh_figure([value], prescription_gy=prescription_gy)


@figure_of.register
def _(value: Dose, *, structures: Any = None, image: Any = None) -> Figure:
    return isodose_figure(value, structures or {}, image)


@figure_of.register
def _(value: Trajectory) -> Figure:
    return trace_figure(value, trace_statistics(value))


@singledispatch
def rows_of(value: Any) -> list[Row]:
    """Headings, then lines: what a notebook's table says of a value."""
    raise TypeError(f"{type(value).__name__} has no table")


@rows_of.register
def _(value: Mask | Region) -> list[Row]:
    grid = value.grid
    size = " × ".join(str(n) for n in grid.shape)
    spacing = " × ".join(f"{mm:.4g}" for mm in grid.spacing_mm)
    return [("", "cc", "grid", "spacing, mm"), (value.name, f"{value.volume_cc:.2f}", size, spacing)]


@rows_of.register
def _(value: Targets) -> list[Row]:
    reached = {name.upper(): margins for name, margins in value.achieved.items()}
    letters = "RLAPSI"
    rows = [
        (name, f"{region.volume_cc:.2f}", *(f"{reached[name][x]:.1f}" if name in reached else "" for x in letters))
        for name, region in value.structures.items()
    ]
    return [("", "cc", *(f"{letter}, mm" for letter in letters)), *rows]


@rows_of.register
def _(value: CoverageResult | DoseResult) -> list[Row]:
    return value.table()


@rows_of.register
def _(value: DoseMetrics) -> list[Row]:
    levels = {f"D{100 * share:g} %": f"{value.dose_at(share):.2f}" for share in (0.98, 0.5, 0.02)}
    doses = {"Dmin": f"{value.dmin_gy:.2f}", **levels}
    return [("", "cc", *(f"{name}, Gy" for name in doses)), (value.name, f"{value.volume_cc:.2f}", *doses.values())]


@rows_of.register
def _(value: Dose) -> list[Row]:
    size = " × ".join(str(n) for n in value.grid.shape)
    spacing = " × ".join(f"{mm:.4g}" for mm in value.grid.spacing_mm)
    prescribed = "–" if value.prescription_gy is None else f"{value.prescription_gy:g}"
    return [
        ("", "maximum, Gy", "prescription, Gy", "grid", "spacing, mm"),
        (value.name, f"{value.values.max():.2f}", prescribed, size, spacing),
    ]


@rows_of.register
def _(value: Trajectory) -> list[Row]:
    statistics = trace_statistics(value)
    rows = [
        (axis, f"{value.mean_mm[n]:.2f}", f"{statistics.sd_mm[n]:.2f}", f"{statistics.range_mm[n]:.2f}")
        for n, axis in enumerate(("LR", "AP", "SI"))
    ]
    return [(value.name, "mean, mm", "SD, mm", "range, mm"), *rows]


def html_of(value: Any) -> str:
    """A table and a picture as HTML; names are text. Without a picture where there is nothing to draw."""
    head, *rows = rows_of(value)
    cells = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(shortened(text))}</td>" for text in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"
    try:
        address = png_address(figure_of(value), dpi=PICTURE_DPI)
    except PtvkitError as error:
        return f"<div>{table}<p>{escape(str(error))}</p></div>"
    alt = escape(f"{type(value).__name__}: {rows[0][0]}")
    return f'<div>{table}<img alt="{alt}" src="{address}" style="max-width: 100%"></div>'
