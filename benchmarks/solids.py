"""Surface error after a margin on solids with flat ends and on smooth ones, and the reach at a rim.

    python -m benchmarks.solids [--offsets 8]

The error is (volume of the grown region − exact volume) / exact area, less the error of the voxels' own volume before
the margin, mm. The reach is how far the grown region gets in the direction of a rim, at 45° to both faces. Each solid
is sampled at eight positions on its voxels.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from benchmarks.truth import distance_to_body
from ptvkit import Grid, Margin, Mask, Region, expand, region_from_mask

Floats = NDArray[np.float64]
SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (1.0, 1.0, 5.0))
MARGINS_MM = (5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solid:
    """A solid: its signed distance, exact outside; half the size of its box; directions (N, 3) of its rims."""

    name: str
    distance: Callable[[Floats], Floats]
    half_mm: tuple[float, float, float]
    rims: Floats | None = None
    reach_mm: float = 0.0


def joined(*distances: Floats) -> Floats:
    """Signed distance of the points that lie inside of solids which meet at right angles."""
    each = np.stack(distances, axis=-1)
    out: Floats = np.linalg.norm(np.maximum(each, 0), axis=-1) + np.minimum(each.max(axis=-1), 0)
    return out


def cylinder(radius: float, height: float) -> Callable[[Floats], Floats]:
    return lambda p: joined(np.hypot(p[:, 0], p[:, 1]) - radius, np.abs(p[:, 2]) - height / 2)


def box(*size: float) -> Callable[[Floats], Floats]:
    return lambda p: joined(*(np.abs(p) - 0.5 * np.asarray(size)).T)


def tube(points: Floats, joints: list[tuple[Floats, Floats]], radius: float) -> Floats:
    """Distance to segments, in two or three dimensions, less a radius."""
    best = np.full(len(points), np.inf)
    for start, end in joints:
        along = end - start
        share = np.clip((points - start) @ along / (along @ along), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - start - share[:, None] * along, axis=1))
    return best - radius


CHAIN = [(np.array(a, float), np.array(b, float)) for a, b in [((-14, -6), (0, 5)), ((0, 5), (13, 1))]]
FORK = [
    (np.array(a, float), np.array(b, float))
    for a, b in [((0, 0, -28), (0, 0, 0)), ((0, 0, 0), (14, 4, 22)), ((0, 0, 0), (-13, 2, 23))]
]


def chain(points: Floats) -> Floats:
    """Nodes in a row, drawn alike on each slice from the first to the last."""
    return joined(tube(points[:, :2], CHAIN, 7.0), np.abs(points[:, 2]) - 22.5)


def ellipsoid(points: Floats) -> Floats:
    axes = np.array([20.0, 12.0, 26.0])
    scaled = np.linalg.norm(points / axes, axis=1)
    inside = (scaled - 1) * scaled / np.maximum(np.linalg.norm(points / axes**2, axis=1), 1e-9)
    return np.where(scaled < 1, inside, distance_to_body(points, (20.0, 20.0, 12.0, 12.0, 26.0, 26.0)))


def ball(radius: float) -> Callable[[Floats], Floats]:
    return lambda p: np.linalg.norm(p, axis=1) - radius


TURN = np.deg2rad(20.0)
AXIS = np.array([1.0, 0.4, 0.0]) / np.hypot(1.0, 0.4)
CROSS = np.cross(np.eye(3), AXIS)
TILT = np.eye(3) + np.sin(TURN) * CROSS + (1 - np.cos(TURN)) * CROSS @ CROSS


def tilted(solid: Solid) -> Solid:
    """The same, turned by 20° about an axis in the slice."""
    half = np.abs(TILT) @ np.asarray(solid.half_mm)
    return Solid(
        name=f"{solid.name}, tilted 20°",
        distance=lambda p: solid.distance(p @ TILT),
        half_mm=(float(half[0]), float(half[1]), float(half[2])),
        rims=None if solid.rims is None else solid.rims @ TILT.T,
        reach_mm=solid.reach_mm,
    )


ROUND = np.array([(np.cos(a), np.sin(a), z) for a in np.arange(8) * np.pi / 4 for z in (-1, 1)]) / np.sqrt(2)
EDGES = np.array([(0, y, z) for y in (-1, 1) for z in (-1, 1)]) / np.sqrt(2)
CYLINDER = Solid(
    name="cylinder R 15, 40", distance=cylinder(15, 40), half_mm=(15, 15, 20), rims=ROUND, reach_mm=35 / np.sqrt(2)
)
BOX = Solid(name="box 40×30×20", distance=box(40, 30, 20), half_mm=(20, 15, 10), rims=EDGES, reach_mm=25 / np.sqrt(2))
CORD = Solid(name="cord R 6, 80", distance=cylinder(6, 80), half_mm=(6, 6, 40), rims=ROUND, reach_mm=46 / np.sqrt(2))
NODES = Solid(name="nodal chain, flat ends", distance=chain, half_mm=(22, 15, 23))
FLAT = (CYLINDER, tilted(CYLINDER), BOX, tilted(BOX), CORD, tilted(CORD), NODES)
SMOOTH = (
    Solid(name="ball R 7", distance=ball(7), half_mm=(7, 7, 7)),
    Solid(name="ball R 20", distance=ball(20), half_mm=(20, 20, 20)),
    Solid(name="ellipsoid 20, 12, 26", distance=ellipsoid, half_mm=(20, 12, 26)),
    Solid(
        name="capsule R 9",
        distance=lambda p: tube(p, [(np.array([-8.0, -5, -6]), np.array([8.0, 5, 6]))], 9.0),
        half_mm=(17, 14, 15),
    ),
    Solid(
        name="torus 20, 7",
        distance=lambda p: np.hypot(np.hypot(p[:, 0], p[:, 2]) - 20, p[:, 1]) - 7,
        half_mm=(27, 7, 27),
    ),
    Solid(name="bifurcating tube R 6", distance=lambda p: tube(p, FORK, 6.0), half_mm=(20, 10, 34)),
)


def sampled(solid: Solid, spacing: tuple[float, float, float], shift: Floats, room_mm: float = 4.0) -> Region:
    """Its distance on a grid, shifted by a share of a voxel."""
    step = np.asarray(spacing)
    n = 2 * np.ceil((np.asarray(solid.half_mm) + room_mm) / step).astype(int) + 1
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = (shift - n // 2) * step
    grid = Grid(shape=tuple(int(x) for x in n), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)).reshape(-1, 3)
    return Region(level=solid.distance(points).reshape(grid.shape).astype(np.float32), grid=grid)


@cache
def exact(solid: Solid, margin_mm: float) -> tuple[float, float]:
    """Volume (mm³) and area (mm²) of a solid grown by a margin, from its distance on a fine grid."""
    fine = sampled(solid, (0.5,) * 3, np.full(3, 0.25), margin_mm + 2)
    volumes = [Region(level=fine.level - margin_mm - x, grid=fine.grid).volume_cc * 1000 for x in (-0.5, 0, 0.5)]
    return volumes[1], volumes[2] - volumes[0]


def shifts(count: int) -> Floats:
    """Shares of a voxel, spread evenly."""
    found: Floats = qmc.Sobol(3, rng=np.random.default_rng(8)).random(count) - 0.5
    return found


def errors(solid: Solid, spacing: tuple[float, float, float], shift: Floats) -> list[float]:
    """Surface error after each margin, then the same with the error of the reach at the rim after each, mm."""
    view = sampled(solid, spacing, shift)
    mask = Mask.from_array(view.level <= 0, view.grid.affine)
    region = region_from_mask(mask)
    volume, area = exact(solid, 0.0)
    luck = (mask.volume_cc * 1000 - volume) / area
    found, reach = [], []
    for margin in MARGINS_MM:
        grown = expand(region, Margin.uniform(margin))
        volume, area = exact(solid, margin)
        found.append((grown.volume_cc * 1000 - volume) / area - luck)
        if solid.rims is None:
            reach.append(np.nan)
        else:
            reach.append(float((grown.surface_points() @ solid.rims.T).max(axis=0).mean()) - solid.reach_mm - margin)
    return found + reach


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offsets", type=int, default=8)
    where = shifts(parser.parse_args().offsets)
    print(
        "| solid | slices | after 5 mm | after 10 mm | worst position | reach at the rim |\n|---|---|---|---|---|---|"
    )
    for solid in FLAT + SMOOTH:
        for spacing in SPACINGS:
            each = np.array([errors(solid, spacing, shift) for shift in where])
            five, ten, _, rim = each.mean(axis=0)
            worst = each[:, :2].reshape(-1)[np.abs(each[:, :2]).argmax()]
            at_rim = "" if np.isnan(rim) else f"{rim:+.2f}"
            print(
                f"| {solid.name} | {spacing[2]:g} mm | {five:+.2f} | {ten:+.2f} | {worst:+.2f} | {at_rim} |", flush=True
            )


if __name__ == "__main__":
    main()
