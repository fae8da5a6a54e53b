"""Three planes of the patient: contours and coloured overlays on the image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ptvkit.display import shortened
from ptvkit.errors import MaskError
from ptvkit.geometry.directions import OPPOSITES
from ptvkit.geometry.extent import extent
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.report.colours import colours_of
from ptvkit.report.convention import PLANES, WINDOW_HU, Plane, middle_of
from ptvkit.report.style import GROUND, INK, RULE, entitle, new_figure

Triple = tuple[float, float, float]

STEP_MM: Final = 0.5
CONTEXT_MM: Final = 32.0
SHARES: Final = "viridis"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlay:
    """Coloured overlay on the image: shares of the time, or dose.

    Attributes
    ----------
    values : (I, J, K) array
        NaN where nothing is drawn.
    grid : Grid
    label : str
        Label of the colour bar.
    low, high : float
        Limits of the colour scale.
    lines : mapping of float to str
        Values of contour lines, and their labels.
    alpha : float
        Opacity; 1 hides the image.
    """

    values: NDArray[np.floating[Any]]
    grid: Grid
    label: str
    low: float = 0.0
    high: float = 1.0
    lines: Mapping[float, str] = field(default_factory=dict)
    alpha: float = 0.75


def target_figure(
    image: NDArray[np.generic] | None,
    grid: Grid | None,
    structures: Mapping[str, Mask | Region],
    *,
    centre_mm: ArrayLike | None = None,
    title: str = "",
    overlay: Overlay | None = None,
) -> Figure:
    """Draw axial, coronal and sagittal planes with contours over the image.

    Parameters
    ----------
    image : (I, J, K) array or None
        CT numbers; None for a plain background.
    grid : Grid or None
        Grid of the image; any affine.
    structures : mapping of str to Mask or Region
        Structures to outline, by name in the legend; contours are sub-voxel.
    centre_mm : (3,), optional
        Intersection of the planes, patient frame RAS+ mm; by default the centre of the first structure's largest part.
    title : str
        Title above the planes.
    overlay : Overlay, optional
        Overlay on the image, with a colour bar.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot, with direction letters and a scale bar.

    Raises
    ------
    MaskError
        When all structures are empty.
    """
    named = {name: as_region(structure) for name, structure in structures.items()}
    regions = {name: region for name, region in named.items() if not region.is_empty}
    reaches = [extent(region) for region in regions.values()]
    if not regions:
        raise MaskError("there is no structure to draw: all are empty")
    centre = np.asarray(middle_of(next(iter(regions.values()))) if centre_mm is None else centre_mm, float)
    low = np.array([min(reach[b] for reach in reaches) for _, b in OPPOSITES]) - CONTEXT_MM
    high = np.array([max(reach[a] for reach in reaches) for a, _ in OPPOSITES]) + CONTEXT_MM
    figure, axes = _canvas(high - low)
    colours = colours_of(regions)
    for plane, axis in zip(PLANES, axes, strict=True):
        points, across, up = _points(plane, centre, low, high)
        if image is not None and grid is not None:
            _show_image(axis, _sampled(image, grid, points), across, up)
        if overlay is not None:
            _show_overlay(axis, overlay, points, across, up)
        for number, (name, region) in enumerate(regions.items()):
            _outline(axis, region, points, (across, up), name, colours[name], number)
        _dress(axis, plane, centre)
    _legend(figure, colours, title, image is not None)
    if overlay is not None:
        _colour_bar(figure, overlay)
    return figure


def _canvas(size_mm: NDArray[np.float64]) -> tuple[Figure, list[Axes]]:
    """A row of three planes with the same scale."""
    widths = [size_mm[plane.across] for plane in PLANES]
    tallest = max(size_mm[plane.up] for plane in PLANES)
    inches_per_mm = 13.2 / sum(widths)
    height = tallest * inches_per_mm
    figure = new_figure(14.0, height + 1.35)
    ratios: dict[str, Any] = {"width_ratios": widths}
    bottom, top = 0.62 / (height + 1.35), 1 - 0.73 / (height + 1.35)
    ratios |= {"left": 0.02, "right": 0.98, "bottom": bottom, "top": top, "wspace": 0.03}
    axes = figure.subplots(1, 3, gridspec_kw=ratios)
    return figure, list(axes)


def _points(
    plane: Plane, centre: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Patient points (rows, columns, 3) of a plane, and its two coordinates; rows run up, columns across."""
    across = np.arange(low[plane.across], high[plane.across] + STEP_MM, STEP_MM)
    up = np.arange(low[plane.up], high[plane.up] + STEP_MM, STEP_MM)
    points = np.empty((len(up), len(across), 3))
    points[..., plane.normal] = centre[plane.normal]
    points[..., plane.across] = across[None, :]
    points[..., plane.up] = up[:, None]
    return points, across, up


def _sampled(image: NDArray[np.generic], grid: Grid, points: NDArray[np.float64]) -> NDArray[np.float64]:
    index = np.moveaxis(grid.to_index(points), -1, 0)
    # NaN outside the image is drawn as background.
    values: NDArray[np.float64] = ndimage.map_coordinates(
        np.asarray(image, np.float32), index, order=1, mode="constant", cval=np.nan
    )
    return values


def _show_image(axis: Axes, values: NDArray[np.float64], across: NDArray[np.float64], up: NDArray[np.float64]) -> None:
    low, high = WINDOW_HU
    box = (across[0], across[-1], up[0], up[-1])
    axis.imshow(
        values, cmap="gray", vmin=low, vmax=high, extent=box, origin="lower", interpolation="bilinear", aspect="equal"
    )


def _show_overlay(
    axis: Axes,
    overlay: Overlay,
    points: NDArray[np.float64],
    across: NDArray[np.float64],
    up: NDArray[np.float64],
) -> None:
    index = np.moveaxis(overlay.grid.to_index(points), -1, 0)
    # Nearest node: shares are not interpolated with NaN.
    shown = ndimage.map_coordinates(overlay.values, index, order=0, mode="constant", cval=np.nan)
    box = (across[0], across[-1], up[0], up[-1])
    if overlay.lines:
        smooth = ndimage.map_coordinates(np.nan_to_num(overlay.values), index, order=1, mode="constant", cval=0.0)
        lines = axis.contour(across, up, smooth, levels=sorted(overlay.lines), colors=[INK], linewidths=0.7, alpha=0.8)
        axis.clabel(lines, fmt=dict(overlay.lines), fontsize=7)
    axis.imshow(
        shown,
        cmap=SHARES,
        vmin=overlay.low,
        vmax=overlay.high,
        extent=box,
        origin="lower",
        alpha=overlay.alpha,
        aspect="equal",
    )


def _colour_bar(figure: Figure, overlay: Overlay) -> None:
    height = 0.16 / figure.get_figheight()
    axis = figure.add_axes((0.02, 0.30 / figure.get_figheight(), 0.2, height))
    colours = ScalarMappable(Normalize(overlay.low, overlay.high), SHARES)
    bar = figure.colorbar(colours, cax=axis, orientation="horizontal")
    bar.outline.set_visible(False)
    axis.tick_params(colors=INK, labelsize=8, length=2, pad=2)
    axis.set_title(overlay.label, color=INK, fontsize=9, loc="left", pad=4)


def _outline(
    axis: Axes,
    region: Region,
    points: NDArray[np.float64],
    at: tuple[NDArray[np.float64], NDArray[np.float64]],
    name: str,
    colour: str,
    number: int,
) -> None:
    level = np.minimum(region.sample(points), 5.0)
    if level.min() < 0:
        axis.contour(*at, level, levels=[0.0], colors=["black"], linewidths=3.0, alpha=0.55)
        lines = axis.contour(*at, level, levels=[0.0], colors=[colour], linewidths=1.7)
        _label(axis, np.vstack([path.vertices for path in lines.get_paths()]), name, colour, number)


def _label(axis: Axes, vertices: NDArray[np.float64], name: str, colour: str, number: int) -> None:
    """Name beside the contour, in a different direction for every structure."""
    angle = np.deg2rad(35.0 + 47.0 * number)
    towards = np.array([-np.cos(angle), np.sin(angle)])  # L and P are on the right of the picture.
    x, y = vertices[int(np.argmax(vertices @ towards))]
    aside = (6 * np.cos(angle), 6 * np.sin(angle))
    near: dict[str, Any] = {"xytext": aside, "textcoords": "offset points", "clip_on": True}
    text = axis.annotate(shortened(name), (x, y), color=colour, fontsize=8, va="center", **near)
    text.set_horizontalalignment("left" if np.cos(angle) > 0.1 else "right" if np.cos(angle) < -0.1 else "center")
    text.set_path_effects([withStroke(linewidth=2.0, foreground="black", alpha=0.6)])


def _dress(axis: Axes, plane: Plane, centre: NDArray[np.float64]) -> None:
    """Direction letters, scale, position, and intersections with the other planes."""
    axis.set_facecolor(GROUND)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(RULE)
    if plane.right < 0:
        axis.invert_xaxis()
    axis.axvline(centre[plane.across], color=INK, linewidth=0.5, alpha=0.35, linestyle=(0, (6, 5)))
    axis.axhline(centre[plane.up], color=INK, linewidth=0.5, alpha=0.35, linestyle=(0, (6, 5)))
    left, right, bottom, top = plane.letters()
    style: dict[str, Any] = {"color": INK, "fontsize": 13, "fontweight": "bold", "transform": axis.transAxes}
    for letter, x, y in ((left, 0.025, 0.5), (right, 0.975, 0.5), (bottom, 0.5, 0.03), (top, 0.5, 0.97)):
        axis.text(x, y, letter, ha="center", va="center", **style)
    positive, negative = OPPOSITES[plane.normal]
    where = centre[plane.normal]
    side = positive if where >= 0 else negative
    axis.set_title(f"{plane.name}   {side} {abs(where):.1f} mm", color=INK, fontsize=11, pad=6)
    _scale_bar(axis)


def _scale_bar(axis: Axes) -> None:
    """Scale bar of 5 cm with ticks every centimetre."""
    (x0, x1), (y0, y1) = axis.get_xlim(), axis.get_ylim()
    step = 10.0 if x1 > x0 else -10.0
    x, y = x0 + 0.05 * (x1 - x0), y0 + 0.055 * (y1 - y0)
    axis.plot([x, x + 5 * step], [y, y], color=INK, linewidth=2.0, solid_capstyle="butt")
    for n in range(6):
        axis.plot([x + n * step] * 2, [y, y + 2.0], color=INK, linewidth=1.0)
    axis.text(x + 2.5 * step, y + 4.0, "5 cm", color=INK, fontsize=9, ha="center", va="bottom")
    axis.set_xlim(x0, x1)
    axis.set_ylim(y0, y1)


def _legend(figure: Figure, colours: Mapping[str, str], title: str, has_image: bool) -> None:
    lines = [Line2D([], [], color=colour, linewidth=2.2) for colour in colours.values()]
    columns = min(len(lines), 6)
    style: dict[str, Any] = {"ncols": columns, "frameon": False, "labelcolor": INK, "fontsize": 11, "handlelength": 1.6}
    figure.legend(lines, [shortened(name) for name in colours], loc="upper center", bbox_to_anchor=(0.5, 0.05), **style)
    if title:
        entitle(figure, title)
    if has_image:
        low, high = WINDOW_HU
        note = f"window {low:.0f} to {high:.0f} HU".replace("-", "−")
        figure.text(0.98, 0.02, note, color=INK, alpha=0.7, fontsize=9, ha="right")
