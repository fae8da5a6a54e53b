"""A cohort: memory of each worker, and the same table after kill -9, and through Dask.

    python -m benchmarks.cohort [--cases 200]

Synthetic cases of 1 to 6 lesions on 5 mm slices, 20 cells each (two craniocaudal margins × ten action levels), 300
patients × 5 fractions × 20 times, two workers. The run is killed at a random moment, gone on with, killed again, and
gone on with to the end. Its table must be that of an undisturbed run, and that of a Dask cluster of two workers.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

import ptvkit as pk

STUDY = """
[cases]
masks = "masks"
[targets]
ctv = 5
ptv = 5
[[errors]]
name = "set-up"
systematic_mm = [2, 2, 3]
random_mm = [2, 2, 3]
[[errors]]
name = "delineation"
systematic_mm = 2
seen_by = "nothing"
[guidance]
action_level_mm = 2
matching_sd_mm = [1.0, 1.6, 1.4]
[breathing]
amplitude_mm = [1.3, 3.8, 11.9]
inhale = [1, 1, -1]
reference = "snapshot"
[simulation]
fractions = 5
patients = 300
samples = 20
seed = 1
[sweep.parameters]
"targets.breathing.SI" = [5, 20]
"guidance.action_level_mm" = [0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6]
"""
SHAPE, SPACING_MM = (160, 140, 40), (1.5, 1.5, 5.0)
PTVKIT = (sys.executable, "-c", "import sys; from ptvkit.cli import main; sys.exit(main())")
DASK = """
import sys
from distributed import LocalCluster
import ptvkit as pk
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0) as cluster:
        pk.run_study(sys.argv[1], sys.argv[2], scheduler=cluster.scheduler_address)
"""


@dataclass(frozen=True)
class Watched:
    """A run from outside: seconds, and the memory of its largest worker, MB, in the first half of it and in all."""

    seconds: float
    first_half_mb: float
    peak_mb: float
    status: int


def write_cohort(folder: Path, cases: int) -> Path:
    """A study file beside the masks of a cohort."""
    (folder / "masks").mkdir()
    affine = np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0])
    points = np.moveaxis(np.indices(SHAPE), 0, -1) @ affine[:3, :3].T
    middle = points.reshape(-1, 3).mean(axis=0)
    for case in range(cases):
        rng = np.random.default_rng([7, case])
        inside = np.zeros(SHAPE, bool)
        for _ in range(int(rng.integers(1, 7))):
            centre, radius = middle + rng.uniform(-1, 1, 3) * (60, 50, 45), rng.uniform(4, 13)
            axes = radius * rng.uniform(0.7, 1.3, 3)
            inside |= (((points - centre) / axes) ** 2).sum(axis=-1) < 1
        pk.write_mask(pk.Mask.from_array(inside, affine), folder / "masks" / f"case_{case:03}.nii.gz")
    study = folder / "study.toml"
    study.write_text(STUDY, encoding="utf-8")
    return study


def watch(command: Sequence[str], *, kill_after_s: float | None = None) -> Watched:
    """Run a command; end it and its workers by kill -9 after a while, where that is asked for."""
    start = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    seen: list[tuple[float, float]] = []
    while process.poll() is None:
        now = time.perf_counter() - start
        workers = _descendants(process)
        if workers:
            seen.append((now, max(_resident_mb(worker) for worker in workers)))
        if kill_after_s is not None and now > kill_after_s:
            for one in [process, *workers]:
                os.kill(one.pid, signal.SIGKILL)
            process.wait()
            break
        time.sleep(0.1)
    seconds = time.perf_counter() - start
    first = max((mb for at, mb in seen if at < seconds / 2), default=0.0)
    return Watched(seconds, first, max((mb for _, mb in seen), default=0.0), process.returncode)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _resident_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss / 1e6)
    except psutil.NoSuchProcess:
        return 0.0


def run_cohort(folder: Path, cases: int) -> dict[str, Watched]:
    """All runs; their tables must be the same bytes.

    Raises
    ------
    RuntimeError
        When a run fails or a table differs.
    """
    study = write_cohort(folder, cases)
    command = [*PTVKIT, "run", str(study), "--workers", "2", "-o"]
    found = {"undisturbed": watch([*command, str(folder / "whole")])}
    _require(found["undisturbed"].status == 0, "the undisturbed run failed")
    rng = random.Random(3)
    again = [*command, str(folder / "torn")]
    begun = watch(again, kill_after_s=rng.uniform(0.2, 0.5) * found["undisturbed"].seconds)
    _require(begun.status == -signal.SIGKILL, "the first run was over before it could be killed")
    watch([*again, "--resume"], kill_after_s=rng.uniform(0.2, 0.4) * found["undisturbed"].seconds)
    found["after two kills"] = watch([*again, "--resume"])
    found["Dask"] = watch([sys.executable, "-c", DASK, str(study), str(folder / "dask")])
    tables = {name: folder / place / "results.csv" for name, place in PLACES.items()}
    for name, table in tables.items():
        _require(found[name].status == 0, f"{name}: ended with status {found[name].status}")
        _require(table.read_bytes() == tables["undisturbed"].read_bytes(), f"{name}: another table")
    return found


PLACES = {"undisturbed": "whole", "after two kills": "torn", "Dask": "dask"}


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RuntimeError(otherwise)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    cases = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as folder:
        found = run_cohort(Path(folder), cases)
    print(f"| {cases} cases × 20 cells | s | largest worker in the first half, MB | in all, MB |\n|---|---|---|---|")
    for name, run in found.items():
        print(f"| {name} | {run.seconds:.0f} | {run.first_half_mb:.0f} | {run.peak_mb:.0f} |")
    print("\nThe tables are the same bytes.")


if __name__ == "__main__":
    main()
