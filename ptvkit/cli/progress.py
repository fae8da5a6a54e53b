"""How far long work is: a bar on a terminal, in a pipe a line now and then, nothing beside JSON."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

from ptvkit.cli.printing import remark

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

EVERY_S = 10.0
"""Seconds between two lines in a pipe."""
LIVELY_S = 2.0
"""The same for the demo."""


class Told(Protocol):
    """Called with what is done, what there is in all, and, of some work, failures."""

    def __call__(self, done: int, total: int, failures: int = 0, /) -> None:
        """Report."""


@contextmanager
def progress_of(what: str, *, json: bool = False, every_s: float = EVERY_S) -> "Iterator[Told | None]":
    """Report one piece of work.

    Parameters
    ----------
    what : str
        Of which things some are done: courses, cases.
    json : bool
        Report nothing.
    every_s : float
        Seconds between two lines where stderr is no terminal.
    """
    if json:
        yield None
    elif sys.stderr.isatty():
        with _bar(what) as told:
            yield told
    else:
        with _lines(what, every_s) as told:
            yield told


def alive(what: str, *, json: bool = False) -> "AbstractContextManager[object]":
    """Lines in a pipe while some work goes on, whatever parts of it report; on a terminal those parts have bars."""
    return nullcontext() if json or sys.stderr.isatty() else _lines(what, LIVELY_S)


def stages(*, json: bool = False, every_s: float = EVERY_S) -> "Callable[[str], AbstractContextManager[Told | None]]":
    """A function that opens `progress_of` for each part of some work by its name."""
    return lambda what: progress_of(what, json=json, every_s=every_s)


@contextmanager
def _lines(what: str, every_s: float) -> "Iterator[Told]":
    """A line every so often, also while nothing is reported; none for work that is done before."""
    state, over = [""], Event()

    def told(done: int, total: int, failures: int = 0, /) -> None:
        failed = f", {failures:,} failed" if failures else ""
        state[0] = f" {done:,} of {total:,}{failed}"

    def speak() -> None:
        while not over.wait(every_s):
            remark(f"{what}{state[0]}")

    speaker = Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield told
    finally:
        over.set()
        speaker.join()


@contextmanager
def _bar(what: str) -> "Iterator[Told]":
    with _bars() as bars:
        task = bars.add_task(what, total=None)

        def told(done: int, total: int, failures: int = 0, /) -> None:
            failed = f", {failures:,} failed" if failures else ""
            bars.update(task, completed=done, total=total, description=what + failed)

        yield told


def _bars() -> "Bars":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), Left())
    return Progress(*columns, console=Console(stderr=True), transient=True)
