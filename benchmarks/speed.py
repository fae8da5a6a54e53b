"""Time and memory of margins on a whole CT, side by side with other libraries.

    pip install ".[bench]"
    python -m benchmarks.speed [--runs 7]

One 10 mm margin of a 7 cm target on 512×512×150 voxels of 0.98×0.98×3 mm. All are timed in turn in one process, run by
run, so that they meet the same machine; the figure is the median, and the ratio is to `edt` with two threads.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import edt
import numpy as np
import SimpleITK
from scipy import ndimage
from skimage.morphology import isotropic_dilation

from benchmarks.speed_target import SHAPE, SPACING, target
from ptvkit import Margin, Mask, expand, make_targets, write_mask

TEN = Margin.uniform(10)


def chain(mask: Mask) -> Mask:
    return make_targets(mask, ctv=TEN, ptv=TEN).ptv.to_mask(mask.grid)


def itk_maurer(mask: Mask) -> object:
    image = SimpleITK.GetImageFromArray(mask.array.view(np.uint8))
    image.SetSpacing(SPACING[::-1])
    return SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True) <= 10


WAYS: dict[str, Callable[[Mask], object]] = {
    "edt, parallel=2, one transform": lambda m: edt.edt(~m.array, anisotropy=SPACING, parallel=2),
    "ptvkit, GTV → CTV → PTV → mask, sub-voxel": chain,
    "ptvkit, one margin, sub-voxel": lambda m: expand(m, TEN),
    "ptvkit, one margin, voxel rule": lambda m: expand(m, TEN, method="voxel"),
    "SimpleITK Maurer, one margin": itk_maurer,
    "scipy distance transform, one margin": lambda m: ndimage.distance_transform_edt(~m.array, sampling=SPACING) <= 10,
    "scikit-image isotropic_dilation": lambda m: isotropic_dilation(m.array, 10, spacing=SPACING),
}
SLOW = 2.0
"""Ways that take longer than this, s, are run twice only."""


def timed(way: Callable[[Mask], object], mask: Mask) -> float:
    start = time.perf_counter()
    way(mask)
    return time.perf_counter() - start


RUN = """
import re, sys
from pathlib import Path
from ptvkit.cli import main
main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


def command_line(mask: Mask, runs: int) -> tuple[float, float]:
    """Median time (s) and peak memory (MB, Linux) of the command on a file, warm."""
    with tempfile.TemporaryDirectory() as folder:
        gtv = Path(folder) / "gtv.nii.gz"
        write_mask(mask, gtv)
        command = [sys.executable, "-c", RUN, "targets", str(gtv), "--ctv", "10", "--ptv", "10"]
        command += ["--breathing", "S=12,I=18", "-o", f"{folder}/out"]
        times, memory = [], []
        for _ in range(runs + 1):
            start = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            times.append(time.perf_counter() - start)
            memory.append(int(done.stderr.split()[-1]) / 1024)
        return median(times[1:]), max(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    warnings.simplefilter("ignore")
    mask = target()
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for name, way in WAYS.items():
        if name.startswith("ptvkit"):
            timed(way, mask)  # compiled code is loaded once
    for run in range(runs):
        for name, way in WAYS.items():
            if run < 2 or median(times[name]) < SLOW:
                times[name].append(timed(way, mask))
    reference = median(times["edt, parallel=2, one transform"])
    print("| way | median ms | of edt's time |\n|---|---|---|")
    for name, found in times.items():
        print(f"| {name} | {1000 * median(found):.1f} | 1/{reference / median(found):.1f} |")
    seconds, megabytes = command_line(mask, max(3, runs // 2))
    array = np.prod(SHAPE) / 1e6
    print(
        f"\nCommand line, end to end, warm: {seconds:.2f} s, peak {megabytes:.0f} MB of memory (array: {array:.0f} MB)."
    )


if __name__ == "__main__":
    main()
