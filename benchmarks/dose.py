"""Time, memory and size dependence of accumulated dose, beside the script that shifts the dose grid.

    python -m benchmarks.dose [--runs 3]

A 7 cm target with a 10 mm margin and 10 mm more craniocaudally; 1,000 patients × 12 fractions. The script shifts the
dose, on 1 mm voxels in a box cut around the PTV, once for each fraction with `scipy.ndimage.shift` (linear), adds up
what the target's voxels get, and leaves breathing out; ptvkit has 100 times of breathing in each fraction.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import ptvkit as pk
from benchmarks.motion import peak_gigabytes, protocol
from benchmarks.speed_target import target

FRACTIONS = 24
"""Of the script in each run; its time is scaled to all."""
ALL = 12_000
RADII = (5, 10, 20, 45)


def dose_script(
    dose: NDArray[np.float32], inside: NDArray[np.bool_], shifts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean dose of the target's voxels over fractions."""
    total = np.zeros(int(inside.sum()))
    for shift in shifts:
        total += ndimage.shift(dose, -shift, order=1, mode="nearest")[inside]
    return total / len(shifts)


def speed(runs: int) -> None:
    ctv = pk.region_from_mask(target())
    ptv = pk.expand(ctv, pk.Margin.uniform(10) + pk.Margin(superior=10, inferior=10))
    dose = pk.conformal_dose(ptv, 22.8)
    reach = pk.extent(ptv)
    low = np.array([reach[letter] for letter in "LPI"]) - 12
    size = np.ceil([reach[a] - reach[b] + 24 for a, b in ("RL", "AP", "SI")]).astype(int)
    grid = pk.Grid(
        shape=(int(size[0]), int(size[1]), int(size[2])), affine=np.eye(4) + np.outer([*low, 0], [0, 0, 0, 1])
    )
    fine = np.nan_to_num(dose.sample(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)))).astype(np.float32)
    inside = ctv.to_mask(grid).array
    shifts = pk.sample_course(protocol(), patients=FRACTIONS // 12, seed=1, samples=1).shifts_mm.reshape(-1, 3)
    ways: dict[str, Callable[[], object]] = {
        f"script, {FRACTIONS} fractions": lambda: dose_script(fine, inside, shifts),
        "ptvkit, 1,000 patients × 12 fractions × 100 times": lambda: pk.simulate_dose(
            dose, ctv, protocol(), patients=1000, seed=1
        ),
        "ptvkit, 1,000 × 12 × 100 with rotations": lambda: pk.simulate_dose(
            dose, ctv, protocol(1.0), patients=1000, seed=1
        ),
    }
    pk.simulate_dose(dose, ctv, protocol(), patients=2)  # compiled code is loaded once
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    script = median(next(iter(times.values()))) * ALL / FRACTIONS
    print("| way | s | of the script's time for 12,000 fractions |\n|---|---|---|")
    for name, found in times.items():
        print(f"| {name} | {median(found):.1f} | 1/{script / median(found):.0f} |")
    print(f"\nPeak memory {peak_gigabytes():.2f} GB.")


def sizes() -> None:
    """Van Herk's margin for 90 %, on balls of several sizes."""
    print("\n| radius, mm | many fractions | 30 | 12 | 5 |\n|---|---|---|---|---|")
    margin = pk.recipes.van_herk(2, 3, exact=True)
    for radius in RADII:
        step = 0.5 if radius < 10 else 1.0
        count = int(2 * (radius + 4) / step) + 1
        affine = np.diag([step, step, step, 1.0])
        affine[:3, 3] = -step * (count - 1) / 2
        grid = pk.Grid(shape=(count, count, count), affine=affine)
        points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - [0.3, -0.2, 0.4]
        ctv = pk.Region(level=np.linalg.norm(points, axis=-1) - radius, grid=grid)
        found = [
            pk.check_recipe(
                "van-herk", margin, ctv, systematic_mm=2, random_mm=3, fractions=fractions, patients=4000, seed=1
            ).found
            for fractions in (400, 30, 12, 5)
        ]
        print(f"| {radius} | " + " | ".join(f"{share:.3f}" for share in found) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    speed(parser.parse_args().runs)
    sizes()


if __name__ == "__main__":
    main()
