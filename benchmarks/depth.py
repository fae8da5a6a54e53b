"""Miss depth between two masks, against brute force on the bodies that they were sampled from.

    python -m benchmarks.depth [--pairs 50]

The target is a ball, an ellipsoid or a capsule in any direction; the PTV is that body grown by a margin, or another
body. Both are sampled at one random position, on straight or oblique voxels. The true depth is the largest distance
from the PTV over points on the displaced target's own surface, closer together than voxels.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptvkit import Grid, Mask, region_from_mask
from ptvkit.motion.lookup import lookup_of

Floats = NDArray[np.float64]
Random = np.random.Generator
POINTS = 6000
SHIFTS = 30
KINDS = ("ball", "ellipsoid", "capsule")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Body:
    """An ellipsoid grown by a radius, or a segment grown by one: `turn` (3, 3) takes its own axes to the patient's."""

    semi_mm: Floats
    half_mm: float
    radius_mm: float
    turn: Floats

    def grown(self, margin_mm: float) -> "Body":
        """The body of all points within a margin of it."""
        return Body(semi_mm=self.semi_mm, half_mm=self.half_mm, radius_mm=self.radius_mm + margin_mm, turn=self.turn)

    def distance(self, points: Floats) -> Floats:
        """Signed distance (N,) of points (N, 3) from its surface, mm."""
        own = points @ self.turn
        if self.semi_mm.any():
            return _from_ellipsoid(own, self.semi_mm) - self.radius_mm
        own[:, 2] -= np.clip(own[:, 2], -self.half_mm, self.half_mm)
        away: Floats = np.linalg.norm(own, axis=1) - self.radius_mm
        return away

    def surface(self) -> Floats:
        """Points (N, 3) on its surface, each where the normal has its own direction."""
        turn = np.arange(POINTS) * np.pi * (3 - np.sqrt(5))
        z = 1 - (2 * np.arange(POINTS) + 1) / POINTS
        normal = np.column_stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z])
        at = self.radius_mm * normal
        if self.semi_mm.any():
            at += self.semi_mm**2 * normal / np.linalg.norm(self.semi_mm * normal, axis=1)[:, None]
        if self.half_mm:
            ring = normal * [1, 1, 0] / np.linalg.norm(normal[:, :2], axis=1)[:, None] * self.radius_mm
            ring[:, 2] = np.linspace(-self.half_mm, self.half_mm, POINTS)
            at[:, 2] += self.half_mm * np.sign(z)
            at = np.vstack([at, ring])
        found: Floats = at @ self.turn.T
        return found


def _from_ellipsoid(points: Floats, semi: Floats) -> Floats:
    """Signed distance: the nearest point is a² p / (a² + t), with one t above −min a², by bisection."""
    p = np.maximum(np.abs(points), 1e-6)
    low = np.full(len(p), -(float(semi.min()) ** 2))
    high = semi.max() * np.linalg.norm(p, axis=1) + 1.0
    for _ in range(60):
        t = 0.5 * (low + high)
        beyond = ((semi * p / (semi**2 + t[:, None])) ** 2).sum(axis=1) > 1
        low, high = np.where(beyond, t, low), np.where(beyond, high, t)
    nearest = semi**2 * p / (semi**2 + t[:, None])
    found: Floats = np.linalg.norm(p - nearest, axis=1) * np.sign(t)
    return found


def turned(rng: Random) -> Floats:
    """Any rotation."""
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    found: Floats = axes * np.sign(np.linalg.det(axes))
    return found


def body(kind: str, rng: Random, larger_mm: float = 0.0) -> Body:
    """A body of 8 to 20 mm radius, or larger."""
    if kind == "ellipsoid":
        semi = np.sort(rng.uniform(9, 20, 3)) + larger_mm
        return Body(semi_mm=semi, half_mm=0.0, radius_mm=0.0, turn=turned(rng))
    half = float(rng.uniform(5, 15)) if kind == "capsule" else 0.0
    return Body(semi_mm=np.zeros(3), half_mm=half, radius_mm=rng.uniform(8, 18) + larger_mm, turn=turned(rng))


def pair(number: int, rng: Random) -> tuple[Body, Body]:
    """A target, and its PTV: every second time the target grown, else another body."""
    target = body(KINDS[number % 3], rng)
    if number % 2:
        return target, body(KINDS[int(rng.integers(3))], rng, larger_mm=8.0)
    return target, target.grown(rng.uniform(3, 8))


def sampled(one: Body, grid: Grid) -> Mask:
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)).reshape(-1, 3)
    return Mask.from_array((one.distance(points) <= 0).reshape(grid.shape), grid.affine)


def grid_for(one: Body, spacing: tuple[float, float, float], axes: Floats, rng: Random) -> Grid:
    """A grid around a body, shifted by a share of a voxel."""
    step = np.asarray(spacing)
    n = 2 * np.ceil((np.linalg.norm(one.surface(), axis=1).max() + 4) / step).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = axes * step
    affine[:3, 3] = axes @ (step * (rng.uniform(-0.5, 0.5, 3) - n // 2))
    return Grid(shape=(int(n[0]), int(n[1]), int(n[2])), affine=affine)


def displaced(target: Body, ptv: Body, rng: Random) -> tuple[Floats, Floats]:
    """Shifts (N, 3) that lead the target out of its PTV, and their true depths (N,), mm."""
    points = target.surface()
    shifts: list[Floats] = []
    depths: list[float] = []
    while len(shifts) < SHIFTS:
        way = rng.normal(size=3)
        shift = way / np.linalg.norm(way) * rng.uniform(2, 20)
        depth = float(ptv.distance(points + shift).max())
        if 0 < depth < 10:
            shifts.append(shift)
            depths.append(depth)
    return np.array(shifts), np.array(depths)


def errors(
    target: Body, ptv: Body, spacing: tuple[float, float, float], axes: Floats, rng: Random
) -> tuple[Floats, Floats]:
    """Depth less the true one, mm: from the tables, and worked out for each shift (N,)."""
    shifts, exact = displaced(target, ptv, rng)
    larger = max((target, ptv), key=lambda one: float(np.linalg.norm(one.surface(), axis=1).max()))
    grid = grid_for(larger, spacing, axes, rng)
    ctv = region_from_mask(sampled(target, grid))
    planned = region_from_mask(sampled(ptv, grid))
    fit = lookup_of(ctv, planned, shifts.min(axis=0), shifts.max(axis=0))
    return fit.depths(shifts).depth_mm - exact, fit.posed_depths(shifts).depth_mm - exact


AXES: dict[str, Callable[[Random], Floats]] = {"straight": lambda rng: np.eye(3), "oblique": turned}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=50)
    count = parser.parse_args().pairs
    print("| voxels | mean | mean of pairs within | 95 % within | deepest | least deep |\n|---|---|---|---|---|---|")
    for spacing in ((1.0, 1.0, 1.0), (1.0, 1.0, 2.5)):
        for name, axes in AXES.items():
            rng = np.random.default_rng(13)
            each = []
            for number in range(count):
                target, ptv = pair(number, rng)
                each.append(errors(target, ptv, spacing, axes(rng), rng)[0])
            found = np.array(each)
            size = "×".join(f"{h:g}" for h in spacing)
            print(
                f"| {size}, {name} | {found.mean():+.2f} | {np.abs(found.mean(axis=1)).max():.2f} |"
                f" {np.percentile(np.abs(found), 95):.2f} | {found.max():+.2f} | {found.min():+.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
