"""Mean signed surface error of margin tools on targets with an exact answer.

    python -m benchmarks.accuracy [--offsets 6]

The error of a result is (its volume − the exact volume) / the exact surface area, mm, averaged over random positions
of the target on its voxels. Every tool gets the same masks in the same run.
"""

import argparse
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.truth import CASES, MARGINS, Case, level
from ptvkit import Grid, Margin, Mask, Region, expand, region_from_mask

Offset = NDArray[np.float64]


def grid_of(case: Case, room_mm: float, offset: Offset, spacing: tuple[float, float, float] | None = None) -> Grid:
    """A grid around a case, shifted by a share of a voxel."""
    step = np.asarray(spacing or case.spacing_mm)
    n = 2 * np.ceil((case.reach_mm + room_mm) / step).astype(int) + 1
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = -(n // 2) * step + offset
    return Grid(shape=tuple(int(x) for x in n), affine=affine)


def points_of(grid: Grid) -> NDArray[np.float64]:
    return grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)).reshape(-1, 3)


def truth_of(case: Case, margins: tuple[float, ...]) -> tuple[float, float]:
    """Exact volume (mm³) and surface area (mm²), by fine sampling of the exact level near the surface."""
    grid = grid_of(case, max(margins) + 3, np.zeros(3), (0.5,) * 3 if case.reach_mm < 15 else (0.9,) * 3)
    values = level(case, margins, points_of(grid)).reshape(grid.shape)
    volumes = [Region(level=values - shift, grid=grid).volume_cc * 1000 for shift in (-0.5, 0.0, 0.5)]
    return volumes[1], volumes[2] - volumes[0]


def errors(case: Case, margins: tuple[float, ...], offsets: list[Offset]) -> dict[str, float]:
    """Mean signed surface error of each way, mm."""
    volume, area = truth_of(case, margins)
    margin = Margin(
        **dict(zip(("right", "left", "anterior", "posterior", "superior", "inferior"), margins, strict=True))
    )
    ways: dict[str, Callable[[Mask], float]] = {
        "region": lambda mask: expand(region_from_mask(mask), margin).volume_cc * 1000,
        "its mask": lambda mask: expand(mask, margin).volume_cc * 1000,
        "voxel rule": lambda mask: expand(mask, margin, method="voxel").volume_cc * 1000,
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    for offset in offsets:
        grid = grid_of(case, max(margins) + 6, offset * np.asarray(case.spacing_mm))
        inside = level(case, (0,) * 6, points_of(grid)).reshape(grid.shape) <= 0
        mask = Mask.from_array(inside, grid.affine)
        for way, measure in ways.items():
            found[way].append((measure(mask) - volume) / area)
    return {way: float(np.mean(values)) for way, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offsets", type=int, default=6)
    count = parser.parse_args().offsets
    warnings.simplefilter("ignore")
    offsets = list(np.random.default_rng(3).uniform(-0.5, 0.5, (count, 3)))
    print("| case | " + " | ".join(MARGINS) + " |")
    print("|---|" + "---|" * len(MARGINS))
    for case in CASES:
        cells = []
        for margins in MARGINS.values():
            error = errors(case, margins, offsets)
            cells.append(f"{error['region']:+.2f} / {error['its mask']:+.2f} / {error['voxel rule']:+.2f}")
        print(f"| {case.name} | " + " | ".join(cells) + " |", flush=True)
    print("\nMean signed surface error, mm: region / its mask / voxel-centre rule.")


if __name__ == "__main__":
    main()
