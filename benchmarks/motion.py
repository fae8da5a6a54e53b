"""Time and memory of simulated motion, beside the script that shifts masks.

    python -m benchmarks.motion [--runs 3]

A 7 cm target with a 10 mm margin. The script shifts the target's mask with `scipy.ndimage.shift` (linear) and counts
what still lies in the PTV's; once on the whole CT of 512×512×150 voxels, once on a box cut around both, which favours
it. All are timed in turn in one process; the figure is the median.
"""

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import ptvkit as pk
from benchmarks.speed_target import SPACING, target

SHIFTS = 20
"""Of the mask-shifting script in each run."""


def protocol(turn_deg: float = 0.0) -> pk.Course:
    """Set-up, liver position and delineation; bone then soft tissue at 2 mm; free breathing about a snapshot."""
    body = pk.SetupError(systematic_mm=(2, 2, 3), random_mm=(2, 2, 3), systematic_deg=turn_deg, random_deg=turn_deg)
    liver = pk.SetupError(name="liver", systematic_mm=(1.5, 1.6, 3.1), random_mm=(1.8, 2.7, 3.6), seen_by="soft_tissue")
    drawn = pk.SetupError(name="delineation", systematic_mm=2, seen_by="nothing")
    wave = pk.Breathing.preset("liver-free-median", reference="snapshot", variation="free")
    guidance = pk.ImageGuidance(action_level_mm=2, matching_sd_mm=(1.0, 1.6, 1.4))
    return pk.Course(setup=[body, liver, drawn], guidance=guidance, breathing=wave, fractions=12)


def mask_script(ctv: NDArray[np.bool_], ptv: NDArray[np.bool_], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What of the target stays in the PTV, shift by shift."""
    found = []
    for shift in shifts / SPACING:
        moved = ndimage.shift(ctv.astype(np.float32), shift, order=1)
        found.append(float(moved[ptv].sum() / ctv.sum()))
    return np.array(found)


def peak_gigabytes() -> float:
    """Of this process so far (Linux)."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e6  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    mask = target()
    planned = pk.expand(mask, pk.Margin.uniform(10), method="voxel")
    ctv = pk.region_from_mask(mask)
    ptv = pk.expand(ctv, pk.Margin.uniform(10))
    box = tuple(slice(a - 20, b + 20) for a, b in zip(*planned.box, strict=True))  # type: ignore[misc]
    shifts = np.random.default_rng(1).normal(size=(10_000_000, 3)) * [3, 3, 5]
    whole, cut = (mask.array, planned.array), (mask.array[box].copy(), planned.array[box].copy())
    ways: dict[str, Callable[[], object]] = {
        f"script, {SHIFTS} shifts of the mask on the whole CT": lambda: mask_script(*whole, shifts[:SHIFTS]),
        f"script, {SHIFTS} shifts of the mask in a cut box": lambda: mask_script(*cut, shifts[:SHIFTS]),
        "ptvkit, 10,000,000 shifts": lambda: pk.coverage(ctv, ptv, shifts),
        "ptvkit, 10,000 patients × 12 fractions × 100 times, with miss depth": lambda: pk.simulate_coverage(
            ctv, ptv, protocol(), patients=10_000, seed=1
        ),
        "ptvkit, 1,000 × 12 × 20 with rotations": lambda: pk.simulate_coverage(
            ctv, ptv, protocol(turn_deg=1.0), patients=1_000, samples=20, seed=1
        ),
    }
    for course in (protocol(), protocol(1.0)):
        pk.simulate_coverage(ctv, ptv, course, patients=5, samples=2)  # compiled code is loaded once
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    one = median(next(iter(times.values()))) / SHIFTS
    cropped = median(list(times.values())[1]) / SHIFTS
    print("| way | s | as many shifts of the mask on the CT | … in a cut box |\n|---|---|---|---|")
    for name, found in times.items():
        print(f"| {name} | {median(found):.2f} | {median(found) / one:.1f} | {median(found) / cropped:.0f} |")
    covered = pk.coverage(ctv, ptv, shifts[:SHIFTS])
    script = mask_script(*cut, shifts[:SHIFTS])
    print(f"\nPeak memory {peak_gigabytes():.2f} GB.")
    print(f"The script's coverage is off by up to {abs(covered - script).max():.4f}.")


if __name__ == "__main__":
    main()
