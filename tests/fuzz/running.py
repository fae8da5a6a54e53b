"""Damaged files through the doors, in a process of its own that is watched: no traceback, hang, or flood of memory."""

import contextlib
import io
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import ptvkit as pk
from ptvkit.cli import main
from ptvkit.errors import PtvkitError, PtvkitWarning
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import make_seeds

SEED = 20_261_124
SHARES = {"NIfTI": 0.42, "DICOM": 0.43, "others": 0.15}
LONGEST_S = 10.0
MOST_MB = 2048.0
GUARD_BYTES = 12 * 2**30
"""Address space of the process: so far it may go before the machine suffers; what counts is `MOST_MB`."""
PATIENT = "secret"
"""In the name and number of the patient of the DICOM files."""
Readers = tuple[Callable[[Path], Any], ...]
READERS: dict[str, Readers] = {
    "NIfTI": (pk.read_mask, pk.read_labels, pk.read_image, pk.read_grid, pk.read_dose, pk.read_segments),
    "DICOM": (pk.read_rtstruct, pk.read_rois, pk.read_seg, pk.read_dose, pk.read_ct, pk.read_structure),
    "rs.dcm": (pk.read_rtstruct, pk.read_rois, pk.read_structure),
    "dose.dcm": (pk.read_dose,),
    "seg.dcm": (pk.read_seg, pk.read_structure),
    "others": (pk.read_structure, pk.read_segments, lambda path: pk.read_segments(path, frame="LPS")),
}


@dataclass(kw_only=True)
class Report:
    """What came of the cases."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    most_mb: float = 0.0


def run_cases(numbers: Iterable[int], room: Path) -> Report:
    """Run cases by their numbers; a process that hangs is ended, and the next case gets a new one."""
    report = Report()
    worker: _Worker | None = None
    for number in numbers:
        worker = worker or _Worker(room)
        told = worker.ask(number)
        if isinstance(told, str):
            report.findings.append(f"case {number}: {told}")
            worker = None
            continue
        family, outcome, what, seconds, megabytes = told
        report.outcomes[family, outcome] += 1
        report.slowest_s = max(report.slowest_s, seconds)
        report.most_mb = max(report.most_mb, megabytes)
        if outcome not in ("read", "refused"):
            report.findings.append(f"case {number}: {what}")
        if megabytes > MOST_MB:
            report.findings.append(f"case {number}: {megabytes:.0f} MB ({what})")
            worker.end()
            worker = None
    if worker is not None:
        worker.end()
    return report


class _Worker:
    """A process that runs cases."""

    def __init__(self, room: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, room), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it has imported and compiled what it needs

    def ask(self, number: int) -> Any:
        self._pipe.send(number)
        if not self._pipe.poll(LONGEST_S + 5):
            self._process.kill()
            self._process.join()
            return f"hangs for more than {LONGEST_S:g} s"
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            return f"the process died ({self._process.exitcode})"

    def end(self) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()


def _serve(pipe: Connection, room: Path) -> None:
    own = room / f"worker-{multiprocessing.current_process().pid}"
    seeds = make_seeds(own / "seeds")
    for family, files in seeds.items():  # all that is imported and compiled once does not count
        for path in files:
            for read in READERS[family]:
                with contextlib.suppress(PtvkitError), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read(path)
    resource.setrlimit(resource.RLIMIT_AS, (GUARD_BYTES, GUARD_BYTES))
    pipe.send(True)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(run_case(pipe.recv(), seeds, own))


def run_case(number: int, seeds: dict[str, list[Path]], room: Path) -> tuple[str, str, str, float, float]:
    """Family, outcome, what happened, seconds, and the most memory so far, MB."""
    rng = np.random.default_rng([SEED, number])
    family = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    seed = seeds[family][int(rng.integers(len(seeds[family])))]
    content, done = mutated(seed, rng)
    place = room / "case"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    path = place / seed.name
    path.write_bytes(content)
    what = f"{seed.name} {done}"
    started = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", PtvkitWarning)
            if rng.random() < 0.2:
                outcome = _through_the_command_line(path, family, rng)
            else:
                outcome = _through_a_door(path, family, rng)
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"
    seconds = perf_counter() - started
    if outcome in ("read", "refused") and seconds > LONGEST_S:
        outcome = f"took {seconds:.1f} s"
    return family, outcome if outcome in ("read", "refused") else "finding", f"{what}: {outcome}", seconds, _most_mb()


def _most_mb() -> float:
    """The most memory of this process so far; `ru_maxrss` would begin at what the process that started it had taken."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _through_a_door(path: Path, family: str, rng: np.random.Generator) -> str:
    fitting = READERS.get(path.name, (pk.read_ct,) if family == "DICOM" else READERS[family])
    readers = READERS[family] if rng.random() < 0.1 else fitting
    try:
        readers[int(rng.integers(len(readers)))](path)
    except PtvkitError as error:
        message = str(error)
        plain = "\n" not in message and path.name in message and PATIENT not in message.lower()
        return "refused" if plain else f"message: {message!r}"
    return "read"


def _through_the_command_line(path: Path, family: str, rng: np.random.Generator) -> str:
    out = path.parent / "out"
    commands = [
        ["convert", path, out / "x.nii.gz", "--frame", "RAS"],
        ["targets", path, "--ctv", 2, "--ptv", 2, "-o", out],
    ]
    if family != "others":
        commands.append(["dose", "--dose", path, path])
    words = commands[int(rng.integers(len(commands)))]
    if words[0] == "convert":
        out.mkdir()
    before = sorted(path.parent.rglob("*"))
    with _stderr() as told, contextlib.redirect_stdout(io.StringIO()):
        status = main([str(word) for word in words])
    after = sorted(path.parent.rglob("*"))
    if any(one.name.startswith(".ptvkit") for one in after):
        return "left a temporary file"
    if status == 0:
        return "read"
    lines = [line for line in "".join(told).splitlines() if "warning:" not in line]
    if status != 2 or len(lines) != 1 or PATIENT in lines[0].lower():
        return f"status {status}: {told!r}"
    return "refused" if after == before else "left files behind"


@contextlib.contextmanager
def _stderr() -> Iterator[list[str]]:
    """What was written to it, by libraries in C++ also; told at the end."""
    told: list[str] = []
    stderr = os.dup(2)
    with tempfile.TemporaryFile("w+") as file:
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stderr(file):
                yield told
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            file.seek(0)
            told += file.readlines()
