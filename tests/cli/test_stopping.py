"""Signals: the exit status, within a second, nothing half-written, no process left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_simulate import ellipsoid

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")
LONGEST_S = 6.0
"""About a second on an idle machine; far less than the work that is stopped would have taken."""
# a job in the background ignores interrupts, and hands that on to its children
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from ptvkit.__main__ import program;"
    " program()"
)
STUDY = """
[cases]
masks = "gtv.nii.gz"
[targets]
ctv = 2
ptv = 3
[[errors]]
systematic_mm = 3
random_mm = 3
[simulation]
fractions = 30
patients = 200000
[sweep.parameters]
"targets.ptv" = [3, 4, 5, 6, 7, 8, 9]
"errors.set-up.systematic_mm" = [1, 2, 3]
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"])
@pytest.mark.parametrize("command", ["simulate", "run"])
def test_a_signal_stops_at_once_and_leaves_nothing(command: str, number: int, status: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if command == "simulate":
        ctv, ptv = (ellipsoid(tmp_path / f"{name}.nii.gz", mm) for name, mm in (("ctv", 10), ("ptv", 15)))
        words = ["--ctv", ctv, "--ptv", ptv, "--study", "liver-protocol", "--patients", "600000"]
    else:
        ellipsoid(tmp_path / "gtv.nii.gz", 10)
        (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
        words = [tmp_path / "study.toml", "--workers", "2"]
    line = [sys.executable, "-c", PROGRAM, command, *map(str, words), "-o", str(out)]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    time.sleep(8.0)
    assert process.poll() is None
    begin = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert time.monotonic() - begin < LONGEST_S
    assert process.returncode == status
    assert told.decode().splitlines()[-1] == "ptvkit: stopped; nothing was left half-written"
    assert not list(tmp_path.rglob(".ptvkit*"))
    assert {path.suffix for path in tmp_path.rglob("out/*")} <= {".journal"}
    assert any(not is_alive(process.pid) for _ in range(20))


@pytest.mark.parametrize("wait_s", [0.05, 0.15])
def test_an_interrupt_while_it_starts_is_no_traceback(wait_s: float) -> None:
    begun = PROGRAM.replace("import signal, sys;", "import signal, sys; print(flush=True);")
    process = subprocess.Popen([sys.executable, "-c", begun, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(wait_s)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert "Traceback" not in told.decode()
    # as the interpreter begins or ends, the signal itself is the status, which a shell calls 130 too
    assert process.returncode in (0, 130, -signal.SIGINT)


def is_alive(group: int) -> bool:
    """Whether a process of a group is there; waits a little, for those that are ending."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    time.sleep(0.1)
    return True
