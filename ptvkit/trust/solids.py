"""Analytic solids: as regions with an exact surface, and as masks on a scan's voxels."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region

Floats = NDArray[np.float64]
Level = Callable[[Floats], Floats]
CENTRE: Final = np.array([-23.2, 41.7, 88.4])
"""Centre of all solids, away from the origin so that frame errors show."""
TURN: Final = Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix()


def sphere(radius: float) -> Level:
    """Signed distance to a sphere, of points (..., 3) from its centre, mm."""
    return lambda points: np.linalg.norm(points, axis=-1) - radius


def box(half: Sequence[float]) -> Level:
    """Signed distance to a box with these half sides."""

    def level(points: Floats) -> Floats:
        beyond = np.abs(points) - np.asarray(half)
        distance: Floats = np.linalg.norm(np.maximum(beyond, 0), axis=-1) + np.minimum(beyond.max(axis=-1), 0)
        return distance

    return level


def rod(radius: float, half: float) -> Level:
    """Signed distance to a cylinder along SI."""

    def level(points: Floats) -> Floats:
        beyond = np.stack([np.linalg.norm(points[..., :2], axis=-1) - radius, np.abs(points[..., 2]) - half], axis=-1)
        distance: Floats = np.linalg.norm(np.maximum(beyond, 0), axis=-1) + np.minimum(beyond.max(axis=-1), 0)
        return distance

    return level


def ellipsoid(semi_axes: Sequence[float]) -> Level:
    """Level of an ellipsoid: exact sign and zero, a distance to first order at the surface."""
    axes = np.asarray(semi_axes, float)

    def level(points: Floats) -> Floats:
        size = np.linalg.norm(points / axes, axis=-1)
        slope = np.linalg.norm(points / axes**2, axis=-1)
        distance: Floats = size * (size - 1) / np.maximum(slope, 1e-9)
        return distance

    return level


def grid_for(reach: float, spacing: Sequence[float], axes: Floats | None = None) -> Grid:
    """Grid around the solids' centre with `reach` mm on every side; the centre is not on the lattice."""
    step = np.asarray(spacing, float)
    n = 2 * np.ceil(reach / step).astype(int) + (1, 2, 1)
    affine = np.eye(4)
    affine[:3, :3] = (np.diag([-1.0, -1.0, 1.0]) if axes is None else axes) * step
    affine[:3, 3] = CENTRE + (0.2, -0.3, 0.4) - affine[:3, :3] @ ((n - 1) / 2)
    return Grid(shape=(int(n[0]), int(n[1]), int(n[2])), affine=affine)


def as_region(level: Level, grid: Grid) -> Region:
    """Solid as a region."""
    return Region(level=level(_points(grid)).astype(np.float32), grid=grid)


def as_mask(level: Level, grid: Grid, name: str) -> Mask:
    """Solid sampled on a scan's voxels."""
    return Mask.from_array(level(_points(grid)) <= 0, grid.affine, name=name)


def octant_box_mm3(sides: Sequence[float], margin_sums: Sequence[float]) -> float:
    """Volume of a box expanded by six margins; `margin_sums` are the sums of the two margins per axis."""
    (a, b, c), (x, y, z) = sides, margin_sums
    flat = b * c * x + a * c * y + a * b * z
    edges = math.pi / 4 * (a * y * z + b * x * z + c * x * y)
    return a * b * c + flat + edges + math.pi / 6 * x * y * z


def steiner_mm3(volume: float, surface: float, mean_curvature: float, margin: float) -> float:
    """Volume of a convex solid expanded by a uniform margin (Steiner's formula)."""
    return volume + surface * margin + mean_curvature * margin**2 + 4 / 3 * math.pi * margin**3


def ellipsoid_steiner(semi_axes: Sequence[float]) -> tuple[float, float, float]:
    """Volume, surface and integral of mean curvature of an ellipsoid, by Gauss quadrature over directions."""
    a, b, c = semi_axes
    nodes, weights = np.polynomial.legendre.leggauss(200)
    angle = (np.arange(400) + 0.5) * (2 * math.pi / 400)
    z, phi = np.meshgrid(nodes, angle, indexing="ij")
    area = np.repeat(weights[:, None], 400, axis=1) * (2 * math.pi / 400)
    x, y = np.sqrt(1 - z**2) * np.cos(phi), np.sqrt(1 - z**2) * np.sin(phi)
    support = np.sqrt((a * x) ** 2 + (b * y) ** 2 + (c * z) ** 2)
    surface = np.sqrt((b * c * x) ** 2 + (a * c * y) ** 2 + (a * b * z) ** 2)
    return 4 / 3 * math.pi * a * b * c, float((surface * area).sum()), float((support * area).sum())


def _points(grid: Grid) -> Floats:
    points: Floats = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - CENTRE
    return points
