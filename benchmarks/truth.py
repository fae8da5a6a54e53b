"""Exact margins of simple targets: the truth that the benchmark holds every tool against.

A ball of radius r around c grows by a convex body B to the points within r of c + B. So the exact level of a grown ball
is the distance to B, less r; of a capsule the least of it over the capsule's axis; of a union the least over its parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A target made of balls along a segment (one ball when both ends are equal), and the voxels that sample it."""

    name: str
    segments: tuple[tuple[tuple[float, float, float], tuple[float, float, float], float], ...]
    spacing_mm: tuple[float, float, float]

    @property
    def reach_mm(self) -> float:
        """Half the size of a box that holds it."""
        return max(max(abs(x) for x in (*a, *b)) + r for a, b, r in self.segments)


CASES = (
    Case(name="sphere r 35, .98×.98×3", segments=(((0, 0, 0), (0, 0, 0), 35.0),), spacing_mm=(0.98, 0.98, 3.0)),
    Case(name="same, 5 mm slices", segments=(((0, 0, 0), (0, 0, 0), 35.0),), spacing_mm=(0.98, 0.98, 5.0)),
    Case(
        name="two touching lesions, 1×1×5",
        segments=(((-9, -4, 0), (-9, -4, 0), 12.0), ((9, 4, 6), (9, 4, 6), 9.0)),
        spacing_mm=(1.0, 1.0, 5.0),
    ),
    Case(name="capsule, .8×.8×2.5", segments=(((-8, -5, -6), (8, 5, 6), 9.0),), spacing_mm=(0.8, 0.8, 2.5)),
    Case(name="sphere r 4, 1×1×1", segments=(((0, 0, 0), (0, 0, 0), 4.0),), spacing_mm=(1.0, 1.0, 1.0)),
    Case(name="sphere r 4, 1×1×3", segments=(((0, 0, 0), (0, 0, 0), 4.0),), spacing_mm=(1.0, 1.0, 3.0)),
)

MARGINS: dict[str, tuple[float, float, float, float, float, float]] = {
    "3": (3,) * 6,
    "7": (7,) * 6,
    "10": (10,) * 6,
    "10,10,20": (10, 10, 10, 10, 20, 20),
    "six": (10, 10, 10, 10, 10, 25),
}
"""R L A P S I, mm."""


def level(case: Case, margins: Sequence[float], points: Points) -> Points:
    """Signed distance (outside the body) of points (N, 3) to a case grown by a margin; margins all 0: to the case."""
    return np.minimum.reduce(
        [_along(np.asarray(a), np.subtract(b, a), margins, points) - r for a, b, r in case.segments]
    )


def _along(start: Points, along: Points, margins: Sequence[float], points: Points) -> Points:
    """Least distance of points to the body with its middle on a segment: golden section, as the distance is convex."""
    if not along.any():
        return distance_to_body(points - start, margins)
    golden = 0.5 * (np.sqrt(5) - 1)

    def at(share: Points) -> Points:
        return distance_to_body(points - start - share[:, None] * along, margins)

    low, high = np.zeros(len(points)), np.ones(len(points))
    x, y = high - golden, low + golden
    fx, fy = at(x), at(y)
    for _ in range(14):
        left = fx < fy
        low, high = np.where(left, low, x), np.where(left, y, high)
        x, fx, y, fy = (
            np.where(left, high - golden * (high - low), y),
            np.where(left, np.nan, fy),
            np.where(left, x, low + golden * (high - low)),
            np.where(left, fx, np.nan),
        )
        new = at(np.where(left, x, y))
        fx, fy = np.where(left, new, fx), np.where(left, fy, new)
    return np.minimum.reduce([fx, fy, at(np.zeros(len(points))), at(np.ones(len(points)))])


def distance_to_body(points: Points, margins: Sequence[float]) -> Points:
    """Distance of points to the octant ellipsoid around the origin, 0 inside.

    The nearest point lies in the point's own octant: x = a² p / (a² + t) on the ellipsoid, t ≥ 0 by bisection.
    """
    right, left, anterior, posterior, superior, inferior = margins
    axes = np.where(points >= 0, (right, anterior, superior), (left, posterior, inferior)).astype(float)
    p = np.abs(points)
    if len(set(margins)) == 1:
        return np.maximum(np.linalg.norm(p, axis=1) - margins[0], 0.0)
    outside = ((p / axes) ** 2).sum(axis=1) > 1
    p, axes = p[outside], axes[outside]
    low, high = np.zeros(len(p)), axes.max(axis=1) * np.linalg.norm(p, axis=1)
    for _ in range(36):
        t = 0.5 * (low + high)
        beyond = ((axes * p / (axes**2 + t[:, None])) ** 2).sum(axis=1) > 1
        low, high = np.where(beyond, t, low), np.where(beyond, high, t)
    nearest = axes**2 * p / (axes**2 + t[:, None])
    found = np.zeros(len(points))
    found[outside] = np.linalg.norm(p - nearest, axis=1)
    return found
