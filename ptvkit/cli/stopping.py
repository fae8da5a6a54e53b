"""Exit statuses, and what ends a command early."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

BUG = 1
REFUSED = 2
FAILED = 3
"""Some cases failed, or parts are missing."""
INTERRUPTED = 130
TERMINATED = 143


class Terminated(BaseException):
    """The process was asked to end (SIGTERM); passes through what handles exceptions, as Ctrl-C does."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, so that files that are half-written are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_workers() -> None:
    """Kill the processes that this one started: what they have under way is not wanted."""
    import multiprocessing

    for process in multiprocessing.active_children():
        process.kill()
