"""Six random margins on straight, flipped and oblique grids: reach in each direction, and volume.

    python -m benchmarks.directions [--each 10]

Balls of 8 to 20 mm on voxels of 1×1×2 mm at random positions; margins of 2 to 15 mm. The exact volume is that of the
ball grown by the octant ellipsoid.
"""

import argparse

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.truth import distance_to_body
from ptvkit import Grid, Margin, Mask, Region, expand, extent, region_from_mask

SPACING = np.array([1.0, 1.0, 2.0])
AXES = {
    "straight": lambda rng: np.eye(3),
    "flipped": lambda rng: np.diag([-1.0, -1.0, 1.0]),
    "oblique": lambda rng: Rotation.from_rotvec(rng.normal(size=3) * 0.4).as_matrix(),
}


def around_origin(axes: np.ndarray, spacing: np.ndarray, reach: float, rng: np.random.Generator | None) -> Grid:
    shape = 2 * np.ceil(reach / spacing).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    middle = (shape - 1) / 2 + (rng.uniform(-0.5, 0.5, 3) if rng else 0)
    affine[:3, 3] = -affine[:3, :3] @ middle
    return Grid(shape=tuple(int(n) for n in shape), affine=affine)


def points_of(grid: Grid) -> np.ndarray:
    return grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)).reshape(-1, 3)


def exact_cc(radius: float, margins: np.ndarray) -> float:
    grid = around_origin(np.eye(3), np.full(3, 0.5), radius + margins.max() + 2, None)
    level = distance_to_body(points_of(grid), tuple(margins)).reshape(grid.shape) - radius
    return Region(level=level.astype(np.float32), grid=grid).volume_cc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=10)
    each = parser.parse_args().each
    print("| grid | reach: mean error, mm | largest | region's volume | its mask's volume |\n|---|---|---|---|---|")
    for name, axes in AXES.items():
        rng = np.random.default_rng(8)
        reach, volume = [], []
        for _ in range(each):
            radius, margins = rng.uniform(8, 20), rng.uniform(2, 15, 6)
            grid = around_origin(axes(rng), SPACING, radius + 18, rng)
            inside = np.linalg.norm(points_of(grid), axis=1).reshape(grid.shape) <= radius
            names = ("right", "left", "anterior", "posterior", "superior", "inferior")
            margin = Margin(**dict(zip(names, margins, strict=True)))
            grown = expand(region_from_mask(Mask.from_array(inside, grid.affine)), margin)
            found = extent(grown)
            reach += [abs(found[letter]) - radius - length for letter, length in margin.letters.items()]
            truth = exact_cc(radius, margins)
            volume.append([grown.volume_cc / truth - 1, grown.to_mask(grid).volume_cc / truth - 1])
        errors, worst = np.abs(reach), 100 * np.abs(volume).max(axis=0)
        print(
            f"| {name} | {errors.mean():.2f} | {errors.max():.2f} | {worst[0]:.1f} % | {worst[1]:.1f} % |", flush=True
        )


if __name__ == "__main__":
    main()
