"""Surface error of reconstructed regions and of margins on them, by slice thickness.

    python -m benchmarks.surfaces [--each 20]

Spheres of 7 to 30 mm, capsules, pairs of lesions of 14 to 24 mm, and balls of 4 mm, on .98 mm pixels at random
positions. The signed distance to the true surface is taken at the region's surface points.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.truth import Case, level
from ptvkit import Grid, Margin, Mask, expand, region_from_mask

Random = np.random.Generator
ZERO = (0.0,) * 6


def direction(rng: Random) -> NDArray[np.float64]:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def ball(rng: Random, low: float, high: float) -> Case:
    return Case(name="sphere", segments=(((0, 0, 0), (0, 0, 0), rng.uniform(low, high)),), spacing_mm=(1, 1, 1))


def capsule(rng: Random) -> Case:
    half = direction(rng) * rng.uniform(5, 12)
    return Case(name="capsule", segments=((tuple(-half), tuple(half), rng.uniform(6, 12)),), spacing_mm=(1, 1, 1))


def pair(rng: Random) -> Case:
    first, second = rng.uniform(7, 12, 2)
    half = direction(rng) * rng.uniform(0.8, 1.3) * (first + second) / 2
    ends = tuple(-half), tuple(half)
    return Case(name="pair", segments=((ends[0], ends[0], first), (ends[1], ends[1], second)), spacing_mm=(1, 1, 1))


KINDS: dict[str, Callable[[Random], Case]] = {
    "spheres 7–30 mm": lambda rng: ball(rng, 7, 30),
    "capsules": capsule,
    "pairs of lesions": pair,
    "spheres of 4 mm": lambda rng: ball(rng, 4, 4),
}


def sampled(case: Case, slice_mm: float, rng: Random) -> Mask:
    spacing = np.array([0.98, 0.98, slice_mm])
    n = 2 * np.ceil((case.reach_mm + 4) / spacing).astype(int) + 1
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -(n // 2) * spacing + rng.uniform(-0.5, 0.5, 3) * spacing
    grid = Grid(shape=tuple(int(x) for x in n), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)).reshape(-1, 3)
    return Mask.from_array((level(case, ZERO, points) <= 0).reshape(grid.shape), affine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=20)
    each = parser.parse_args().each
    print(
        "| shape | slices | mean | 95 % within | after a 3 mm margin: mean | 95 % within |\n|---|---|---|---|---|---|"
    )
    for name, make in KINDS.items():
        for slice_mm in (1.0, 3.0, 5.0):
            rng = np.random.default_rng(4)
            rows = []
            for _ in range(each):
                case = make(rng)
                region = region_from_mask(sampled(case, slice_mm, rng))
                grown = expand(region, Margin.uniform(3))
                errors = level(case, ZERO, region.surface_points()), level(case, ZERO, grown.surface_points()) - 3
                rows.append([f(e) for e in errors for f in (np.mean, lambda e: np.percentile(np.abs(e), 95))])
            a, b, c, d = np.mean(rows, axis=0)
            print(f"| {name} | {slice_mm:g} mm | {a:+.3f} | {b:.2f} | {c:+.3f} | {d:.2f} |", flush=True)


if __name__ == "__main__":
    main()
