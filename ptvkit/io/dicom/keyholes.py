"""Holes in contours by the keyhole technique (DICOM PS3.3, C.8.8.6.3): one contour with a channel of zero width."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptvkit.io.dicom.reading import Floats


def with_keyholes(contours: Sequence[Floats], axes: Floats) -> list[Floats]:
    """Join holes of one plane to the contours around them.

    A channel leads from a hole to the contour around it and back over the same points, so it encloses nothing, whether
    a reader fills contours or takes their exclusive or.

    Parameters
    ----------
    contours : sequence of (N, 3) arrays
        Closed polygons that do not cross, mm.
    axes : (3, 2) array
        Unit vectors in the plane.

    Returns
    -------
    list of (N, 3) arrays

    Examples
    --------
    >>> outer = np.array([[0.0, 0, 5], [9, 0, 5], [9, 9, 5], [0, 9, 5]])
    >>> inner = np.array([[3.0, 3, 5], [6, 3, 5], [6, 6, 5], [3, 6, 5]])
    >>> (one,) = with_keyholes([outer, inner], np.eye(3)[:, :2])
    >>> one.shape
    (11, 3)
    """
    if len(contours) < 2:
        return list(contours)
    flat = [one @ axes for one in contours]
    around = [[m for m in range(len(flat)) if m != n and _contains(flat[m], flat[n][0])] for n in range(len(flat))]
    joined = []
    for n, outer in enumerate(contours):
        if len(around[n]) % 2:
            continue
        holes = [contours[m] for m in range(len(flat)) if n in around[m] and len(around[m]) == len(around[n]) + 1]
        for hole in sorted(holes, key=lambda one: -float((one @ axes[:, 0]).max())):
            outer = _joined(outer, hole, axes)
        joined.append(outer)
    return joined


def _contains(polygon: Floats, point: Floats) -> bool:
    """Whether a polygon (N, 2) contains a point (2,), by the parity of edge crossings to its right."""
    return len(_crossings(polygon, point)[0]) % 2 == 1


def _crossings(polygon: Floats, point: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Edges crossed by a ray from a point along the first axis, with the position on the edge and the coordinate."""
    following = np.roll(polygon, -1, axis=0)
    across = np.flatnonzero((polygon[:, 1] <= point[1]) != (following[:, 1] <= point[1]))
    share = (point[1] - polygon[across, 1]) / (following[across, 1] - polygon[across, 1])
    place = polygon[across, 0] + share * (following[across, 0] - polygon[across, 0])
    right = place > point[0]
    return across[right], share[right], place[right]


def _joined(outer: Floats, hole: Floats, axes: Floats) -> Floats:
    """Join a hole to a contour by a channel from the hole's furthest point along the first axis.

    Holes that extend further are joined first, so the channel reaches the contour without crossing another hole.
    """
    start = int((hole @ axes[:, 0]).argmax())
    edges, shares, places = _crossings(outer @ axes, hole[start] @ axes)
    nearest = int(places.argmin())
    edge, share = int(edges[nearest]), float(shares[nearest])
    gate = outer[edge] + share * (outer[(edge + 1) % len(outer)] - outer[edge])
    turned = np.roll(hole, -start, axis=0)
    if _area(outer @ axes) * _area(hole @ axes) > 0:  # the hole runs the other way round
        turned = np.roll(turned[::-1], 1, axis=0)
    return np.concatenate([outer[: edge + 1], gate[None], turned, turned[:1], gate[None], outer[edge + 1 :]])


def _area(polygon: Floats) -> float:
    """Area of a polygon (N, 2), positive where its corners run from the first axis to the second, mm²."""
    x, y = polygon.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
