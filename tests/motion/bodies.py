"""Bodies with known surfaces, on anisotropic grids off the centre."""

import numpy as np
from numpy.typing import ArrayLike

import ptvkit as pk
from ptvkit.geometry.grid import Grid


def ball_mask(radius: float, spacing: tuple[float, float, float] = (1.0, 1.0, 2.0)) -> pk.Mask:
    """A ball around (0.3, -0.2, 0.4) mm as a mask of voxels."""
    step = np.array(spacing)
    shape = np.ceil((2 * radius + 14) / step).astype(int)
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = -(shape - 1) / 2 * step + [0.3, -0.2, 0.4]
    grid = Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return pk.Mask.from_array(np.linalg.norm(points - [0.3, -0.2, 0.4], axis=-1) <= radius, affine)


def ball(
    radius: float,
    centre: ArrayLike = (3.0, -5.0, 8.0),
    axes: ArrayLike | None = None,
    spacing: tuple[float, float, float] = (0.9, 1.0, 1.2),
) -> pk.Region:
    """A ball as a region whose surface is the true one, on axes of choice."""
    turn = np.eye(3) if axes is None else np.asarray(axes, float)
    step = np.array(spacing)
    shape = np.ceil((2 * radius + 8) / step).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = turn * step
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((shape - 1) / 2 + [0.3, -0.2, 0.4])
    grid = Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return pk.Region(level=(np.linalg.norm(points - centre, axis=-1) - radius).astype(np.float32), grid=grid)
