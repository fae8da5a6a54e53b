"""Pictures of dose: histograms with bands, the population, and isodoses over the anatomy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from ptvkit.display import shortened
from ptvkit.dose.dose import Dose
from ptvkit.dose.metrics import DoseMetrics
from ptvkit.dose.result import DoseResult
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.colours import TARGETS
from ptvkit.report.colours import colours_of
from ptvkit.report.planes import Overlay, target_figure
from ptvkit.report.style import INK, STROKES, dress_chart, entitle, legend, new_figure, save_figure

CTV: Final = TARGETS["CTV"]
"""Colour of simulated targets, which are CTVs."""
SHOWN: Final = {"dmin": "Dmin", "d98": "D98 %", "mean": "mean"}
ISODOSES: Final = (0.5, 0.8, 0.95, 1.05)
FAINT: Final = 0.1
"""Share of the reference dose below which nothing is drawn."""

Anatomy = tuple[NDArray[np.generic], Grid] | None


def save_dose_pictures(
    result: DoseResult, dose: Dose, structures: Mapping[str, Mask | Region], image: Anatomy, folder: Path
) -> None:
    """Write the three pictures of an accumulated dose into a folder."""
    pictures = {
        "dvh": band_figure(result),
        "population": population_figure(result),
        "map": isodose_figure(dose, structures, image),
    }
    for name, figure in pictures.items():
        save_figure(figure, folder / f"dose_{name}.png")


def band_figure(result: DoseResult) -> Figure:
    """Dose-volume histograms over patients: planned, median, and the 5–95 % band; one panel per lesion."""
    shown = (result, *result.lesions) if len(result.lesions) > 1 else (result,)
    figure = new_figure(max(8.0, 4.6 * len(shown)), 4.8)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    low = 0.7 * (result.prescription_gy or result.levels_gy[-1])
    for axis, target in zip(axes, shown, strict=True):
        middle, bottom, top = target.dvh_band()
        axis.fill_between(target.levels_gy, bottom, top, color=CTV, alpha=0.3, linewidth=0, label="5–95 % of patients")
        axis.plot(target.levels_gy, middle, color=CTV, linewidth=1.8, label="median")
        axis.plot(
            target.levels_gy, target.planned_dvh, color=INK, linewidth=1.0, linestyle=(0, (5, 3)), label="planned"
        )
        dress_chart(axis, f"{shortened(target.name)}, {target.volume_cc:.1f} cc", "accumulated dose, Gy")
        _mark(axis, result.prescription_gy)
        axis.set_xlim(min(low, float(target.metric("dmin").min())), float(target.levels_gy[-1]))
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[0].set_ylabel("volume with at least this dose", color=INK, fontsize=10)
    legend(axes[0], loc="lower left")
    _entitle(figure, result, "Accumulated dose over patients")
    figure.subplots_adjust(left=0.07 if len(shown) > 1 else 0.11, right=0.98, top=0.82, bottom=0.13, wspace=0.06)
    return figure


def population_figure(result: DoseResult) -> Figure:
    """Dose-population histogram: share of patients with at least this Dmin, D98 % or mean dose."""
    shown = (result, *result.lesions) if len(result.lesions) > 1 else (result,)
    figure = new_figure(max(8.0, 4.6 * len(shown)), 4.8)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    least = min(float(target.metric("dmin").min()) for target in shown)
    most = max(float(target.metric("mean").max()) for target in shown)
    levels = np.linspace(least - 0.02 * (most - least) - 1e-3, most + 0.05 * (most - least) + 1e-3, 161)
    for axis, target in zip(axes, shown, strict=True):
        for (name, label), stroke in zip(SHOWN.items(), STROKES, strict=True):
            _, value, low, high = target.population(name, levels)
            axis.fill_between(levels, low, high, color=CTV, alpha=0.25, linewidth=0)
            axis.plot(levels, value, color=CTV, linestyle=stroke, linewidth=1.8, label=label)
        dress_chart(axis, f"{shortened(target.name)}, {target.volume_cc:.1f} cc", "accumulated dose, Gy")
        _mark(axis, result.prescription_gy)
        axis.set_ylim(0, 1.02)
        axis.set_xlim(levels[0], levels[-1])
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[0].set_ylabel("patients with at least this dose", color=INK, fontsize=10)
    legend(axes[0], loc="lower left")
    _entitle(figure, result, "Dose-population histogram, with 95 % simulation intervals")
    figure.subplots_adjust(left=0.07 if len(shown) > 1 else 0.11, right=0.98, top=0.82, bottom=0.13, wspace=0.06)
    return figure


def dvh_figure(structures: Sequence[DoseMetrics], *, prescription_gy: float | None = None) -> Figure:
    """Dose-volume histograms of a plan's structures."""
    figure = new_figure(9.0, 5.2)
    axis = figure.subplots()
    levels = np.linspace(0.0, 1.03 * max(metrics.dmax_gy for metrics in structures), 400)
    colours = colours_of(metrics.name for metrics in structures)
    used: list[str] = []
    for metrics in structures:
        colour = colours[metrics.name]
        stroke = STROKES[used.count(colour) % len(STROKES)]
        used.append(colour)
        name = shortened(metrics.name)
        axis.plot(levels, metrics.volumes_at(levels), color=colour, linestyle=stroke, linewidth=1.8, label=name)
    dress_chart(axis, "Dose-volume histograms", "dose, Gy", "volume with at least this dose")
    _mark(axis, prescription_gy)
    axis.set_xlim(0, levels[-1])
    axis.set_ylim(0, 1.02)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    legend(axis, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    figure.subplots_adjust(left=0.09, right=0.74, top=0.91, bottom=0.11)
    return figure


def isodose_figure(dose: Dose, structures: Mapping[str, Mask | Region], image: Anatomy) -> Figure:
    """Coloured dose and isodoses on the anatomy, in three planes."""
    full = dose.prescription_gy or float(dose.values.max())
    whole = "prescription" if dose.prescription_gy else "maximum"
    overlay = Overlay(
        values=np.where(dose.values < FAINT * full, np.nan, dose.values),
        grid=dose.grid,
        label=f"Gy; lines at {', '.join(f'{100 * level:g}' for level in ISODOSES)} % of the {whole}",
        high=float(dose.values.max()),
        alpha=0.45,
        lines={level * full: f"{100 * level:g} %" for level in ISODOSES if level * full < float(dose.values.max())},
    )
    values, grid = (None, None) if image is None else image
    if not structures:
        half = 0.5 * min(full, float(dose.values.max()))
        structures = {"50 % isodose": Region(level=half - dose.values, grid=dose.grid)}
    return target_figure(values, grid, structures, overlay=overlay, title="Dose as planned")


def _mark(axis: Axes, prescription_gy: float | None) -> None:
    """Labelled lines at the prescription and at 95 % of it."""
    for level in (1.0, 0.95) if prescription_gy else ():
        gy = level * (prescription_gy or 0)
        axis.axvline(gy, color=INK, linewidth=0.7, alpha=0.6, linestyle=(0, (2, 3)))
        style: dict[str, Any] = {"color": INK, "fontsize": 8, "rotation": 90, "ha": "right", "va": "bottom"}
        axis.text(gy, 0.03, f"{100 * level:g} % ", transform=axis.get_xaxis_transform(), clip_on=True, **style)


def _entitle(figure: Figure, result: DoseResult, what: str) -> None:
    many = f"{result.patients} patients, {result.fractions} fractions each"
    entitle(figure, f"{what}: {many}; simulated, static dose cloud")
