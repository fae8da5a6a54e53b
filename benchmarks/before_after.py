"""Processor time of the engine in two checkouts, job by job, side by side.

    python -m benchmarks.before_after BEFORE [AFTER] [--runs 3] [--jobs NAME …]

BEFORE and AFTER are folders that hold the package; AFTER is this one by default. Each job runs in a fresh process, in
turn in either checkout; the figure is the median of its processor time (all threads, without imports), which other work
on the machine disturbs least. Targets and course are those of the demo (394 cc in three lesions, the liver protocol);
where targets turn, those of `benchmarks.motion` with a margin of 4 mm.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

SETTING = """
import tempfile, time, warnings
from pathlib import Path
import ptvkit as pk
from ptvkit import phantom
from ptvkit.motion.coverage import prepare
from ptvkit.request.request import Request
from ptvkit.work.values import course_of
warnings.simplefilter("ignore")
course = course_of(Request.load("liver-protocol"))

def targets():
    grid = phantom.grid()
    liver = phantom.mask("liver", grid)
    made = pk.make_targets(phantom.mask("gtv", grid), ctv=10, ptv=10, breathing="S=12,I=18", limit_ctv=liver)
    return made.ctv, made.ptv

def ball():
    from benchmarks.motion import protocol
    from benchmarks.speed_target import target
    ctv = pk.region_from_mask(target())
    return ctv, pk.expand(ctv, pk.Margin.uniform(4)), protocol(1.0)
"""
CLOCK = """
{before}
{job}
start = time.process_time()
{job}
print(time.process_time() - start)
"""
COMMAND = "targets {folder}/gtv.nii.gz --ctv 10 --ptv 10 -o {folder}/out"
JOBS = {
    "targets": (
        "folder = tempfile.mkdtemp(); pk.write_mask(phantom.mask('lesion_3', phantom.grid()), folder + '/gtv.nii.gz');"
        f" command = f'{COMMAND}'.split(); from ptvkit.cli import main",
        "main(command)",
    ),
    "prepare": ("ctv, ptv = targets()", "prepare(ctv, ptv, course, seed=1)"),
    "coverage": (
        "ctv, ptv = targets(); ready = prepare(ctv, ptv, course, seed=1)",
        "pk.simulate_coverage(ctv, ptv, course, patients=1000, seed=1, prepared=ready)",
    ),
    "split": (
        "ctv, ptv = targets(); ready = prepare(ctv, ptv, course, seed=1)",
        "pk.coverage_split(ctv, ptv, course, patients=500, seed=1, prepared=ready)",
    ),
    "dose": (
        "ctv, ptv = targets(); dose = pk.conformal_dose(ptv, 22.8)",
        "pk.simulate_dose(dose, ctv, course, patients=250, seed=1)",
    ),
    "rotations": (
        "ctv, ptv, turning = ball(); ready = prepare(ctv, ptv, turning, seed=1)",
        "pk.simulate_coverage(ctv, ptv, turning, patients=128, samples=20, seed=1, prepared=ready)",
    ),
}
"""What comes before, and the job that is timed the second time that it runs: compiled code is loaded then."""


def seconds(folder: Path, name: str) -> float:
    """Processor time of one run of a job in a checkout."""
    before, job = JOBS[name]
    script = SETTING + CLOCK.format(before=before, job=job)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path, nargs="?", default=Path(__file__).resolve().parents[1])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", nargs="+", choices=tuple(JOBS), default=tuple(JOBS))
    asked = parser.parse_args()
    print("| job | before, s | after, s | after / before |\n|---|---|---|---|")
    for name in asked.jobs:
        pairs = [(seconds(asked.before, name), seconds(asked.after, name)) for _ in range(asked.runs)]
        before, after = (median(found) for found in zip(*pairs, strict=True))
        ratio = median(b / a for a, b in pairs)
        print(f"| {name} | {before:.2f} | {after:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
