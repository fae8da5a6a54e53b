"""Longest diameter in an axial plane and the short axis across it, of one lesion, between its voxels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.signal import savgol_filter
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist
from skimage.measure import find_contours

from ptvkit.errors import MaskError
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region

Floats = NDArray[np.float64]

SMOOTHED: Final = 5.0
"""Pixels to each side over which an outline of pixels is smoothed by parabolas, which keeps its curvature."""
MOST_SMOOTHED: Final = 1 / 7
"""The same as a share of the outline's length."""
PER_PIXEL: Final = 4
"""Points of a smoothed outline along one pixel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AxialDiameter:
    """Longest diameter of an axial section, mm.

    Attributes
    ----------
    longest_mm : float
        At the height where it is largest, between the slices too.
    short_mm : float
        Longest chord at right angles to it, at that height.
    slice_mm : float or None
        Longest diameter on the image's own slices; None for a region, or an image without axial slices.
    ends_mm, short_ends_mm : (2, 3) array
        Ends of both on the nearest slice, patient frame RAS+.
    outline_mm : (N, 3) array
        Outline on that slice.
    """

    longest_mm: float
    short_mm: float
    slice_mm: float | None
    ends_mm: Floats
    short_ends_mm: Floats
    outline_mm: Floats


def axial_diameter(lesion: Mask | Region) -> AxialDiameter:
    """Longest diameter of a lesion in an axial plane, as RECIST 1.1 measures it.

    It joins two points of one outline. On a mask with axial slices the outline of the pixels is smoothed, and the
    diameter's square is interpolated between the slices by a parabola: exact for an ellipsoid. Else axial planes cut
    the sub-voxel surface.

    Parameters
    ----------
    lesion : Mask or Region

    Raises
    ------
    MaskError
        When the lesion is empty.

    References
    ----------
    Eisenhauer et al. 2009, Eur J Cancer 45:228 (RECIST 1.1).

    Examples
    --------
    >>> from ptvkit import phantom
    >>> diameter = axial_diameter(phantom.region("lesion_3"))
    >>> diameter.longest_mm > diameter.short_mm > 10
    True
    """
    axis = _slice_axis(lesion) if isinstance(lesion, Mask) else None
    on_slices = isinstance(lesion, Mask) and axis is not None
    planes = list(_of_mask(lesion, axis) if isinstance(lesion, Mask) and axis is not None else _of_region(lesion))
    longest = [max((_farthest(outline)[0] for outline in outlines), default=0.0) for outlines in planes]
    if not any(longest):
        raise MaskError(f"{lesion.name}: is empty; it has no diameter")
    best = int(np.argmax(longest))
    outline = max(planes[best], key=lambda one: _farthest(one)[0])
    length, ends = _farthest(outline)
    chord = _chord_across(outline, ends)
    peak = _peak(longest, best)
    return AxialDiameter(
        longest_mm=peak,
        short_mm=float(np.linalg.norm(chord[1] - chord[0])) * peak / length,
        slice_mm=length if on_slices else None,
        ends_mm=ends,
        short_ends_mm=chord,
        outline_mm=outline,
    )


def _peak(lengths: Sequence[float], best: int) -> float:
    """Largest length between equidistant planes: the parabola through the squares of three."""
    if not 0 < best < len(lengths) - 1:
        return lengths[best]
    below, top, above = (lengths[n] ** 2 for n in (best - 1, best, best + 1))
    bend = below - 2 * top + above
    if bend >= 0:
        return float(np.sqrt(top))
    away = np.clip((below - above) / (2 * bend), -0.5, 0.5)
    return float(np.sqrt(top + away * (above - below) / 2 + away**2 * bend / 2))


def _slice_axis(mask: Mask) -> int | None:
    """The array axis along which axial slices are stacked; None when slices are tilted."""
    along = np.abs(mask.grid.axes[2])
    axis = int(along.argmax())
    return axis if along[axis] > 1 - 1e-6 else None


def _of_mask(mask: Mask, axis: int) -> Iterator[list[Floats]]:
    """Outlines (N, 3), mm, on each slice of a mask."""
    if mask.box is None:
        return
    in_plane = [n for n in range(3) if n != axis]
    pixel = np.asarray(mask.grid.spacing_mm)[in_plane]
    for number, plane in enumerate(np.moveaxis(mask.cropped, axis, 0)):
        outlines = []
        parts, count = label(np.pad(plane, 1), structure=np.ones((3, 3)))
        for part in range(1, count + 1):
            for contour in find_contours(  # type: ignore[no-untyped-call]
                (parts == part).astype(float), 0.5, fully_connected="high"
            ):
                smooth = _smoothed(contour * pixel, float(pixel.mean())) / pixel - 1
                index = np.empty((len(smooth), 3))
                index[:, in_plane], index[:, axis] = smooth, number
                outlines.append(mask.grid.to_mm(index + mask.box[0]))
        yield outlines


def _smoothed(contour: Floats, pixel_mm: float) -> Floats:
    """A closed outline (N, 2) of pixels, mm, smoothed along its length by parabolas."""
    length = np.r_[0.0, np.linalg.norm(np.diff(contour, axis=0), axis=1).cumsum()]
    count = max(int(np.ceil(PER_PIXEL * length[-1] / pixel_mm)), 3)
    points = np.column_stack([np.interp(np.arange(count) * length[-1] / count, length, x) for x in contour.T])
    window = 2 * int(min(SMOOTHED * PER_PIXEL, MOST_SMOOTHED * count)) + 1
    smooth: Floats = savgol_filter(points, window, 2, axis=0, mode="wrap") if window > 2 else points
    return smooth


def _of_region(lesion: Mask | Region) -> Iterator[list[Floats]]:
    """Outlines (N, 3), mm, on axial planes through a surface, a node apart."""
    region = as_region(lesion)
    step = min(min(box.grid.spacing_mm) for box in region.boxes)
    points = region.surface_points()
    if not len(points):
        return
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (np.arange(low[axis] - 2 * step, high[axis] + 2 * step, step) for axis in (0, 1))
    for z in np.linspace(low[2], high[2], max(5, int((high[2] - low[2]) / step) + 1)):
        level = region.sample(np.stack([*np.meshgrid(x, y, indexing="ij"), np.full((len(x), len(y)), z)], axis=-1))
        contours = find_contours(np.minimum(level, 5 * step), 0.0)  # type: ignore[no-untyped-call]
        yield [np.column_stack([np.array([x[0], y[0]]) + step * one, np.full(len(one), z)]) for one in contours]


def _farthest(outline: Floats) -> tuple[float, Floats]:
    """Largest distance between two points of a plane outline (N, 3), and those points (2, 3)."""
    hull = _hull(outline)
    distance = cdist(hull, hull)
    first, second = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[first, second]), hull[[first, second]]


def _hull(outline: Floats) -> Floats:
    """Corners of the convex hull in order; all points where they have no area."""
    try:
        return outline[ConvexHull(outline[:, :2]).vertices] if len(outline) > 3 else outline
    except QhullError:
        return outline


def _chord_across(outline: Floats, ends: Floats) -> Floats:
    """The longest chord (2, 3) of an outline's hull at right angles to a line in its plane."""
    hull = _hull(outline)
    along = (ends[1] - ends[0]) / max(float(np.linalg.norm(ends[1] - ends[0])), 1e-12)
    across = np.array([-along[1], along[0], 0.0])
    s, t = hull @ along, hull @ across
    first, last = int(s.argmin()), int(s.argmax())
    # between the two chains the length is linear from corner to corner: a corner has the longest
    where = np.sort(s)
    sides = [np.interp(where, *_chain(s, t, *pair)) for pair in ((first, last), (last, first))]
    best = int(np.abs(sides[1] - sides[0]).argmax())
    up = np.array([0.0, 0.0, float(ends[0][2])])
    return np.array([where[best] * along + side[best] * across + up for side in sides])


def _chain(s: Floats, t: Floats, start: int, end: int) -> tuple[Floats, Floats]:
    """Corners from one to another around the hull, by rising s."""
    index = np.arange(start, end + 1 if end >= start else end + len(s) + 1) % len(s)
    order = np.argsort(s[index], kind="stable")
    return s[index][order], t[index][order]
