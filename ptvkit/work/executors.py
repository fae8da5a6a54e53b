"""Where tasks run: here, in processes beside, or on a Dask cluster; each task gets its worker's `Workspace`."""

import ctypes
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import Any, Final, Protocol, cast

from ptvkit.errors import MotionError
from ptvkit.work.workspace import Workspace

Call = Callable[[Workspace], Any]
"""A task, ready to be called with the workspace of whoever runs it; it can be pickled."""

PARENT_DEATH_SIGNAL: Final = 1
"""Linux: the option of ``prctl`` that names the signal a process gets when its parent dies."""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES: Final = 1 << 20


class TaskExecutor(Protocol):
    """Runs tasks."""

    def submit(self, call: Call) -> "Future[Any]":
        """Hand a task over."""


class InProcess:
    """Runs each task when it is submitted."""

    def __init__(self) -> None:
        self._workspace = Workspace()

    def submit(self, call: Call) -> "Future[Any]":
        """Run a task now; what it raises is in the future."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(self._workspace))
        except Exception as error:
            future.set_exception(error)
        return future


class OneProcess:
    """One process beside this one; when it dies, what comes next gets a new one."""

    def __init__(self) -> None:
        self._worker = _Worker()

    def submit(self, call: Call) -> "Future[Any]":
        """Hand a task over."""
        if self._worker.is_lost:
            self._worker = _Worker()
        return self._worker.submit(call)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._worker.end()


class _Worker:
    """A process that answers calls one after the other, and the calls that it has not answered."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # threads and forks do not go together
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._lock = Lock()
        self._waiting: deque[Future[Any]] = deque()
        self.is_lost = False
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def submit(self, call: Call) -> "Future[Any]":
        future: Future[Any] = Future()
        with self._lock:
            if self.is_lost:
                future.set_exception(BrokenExecutor("the process has ended"))
                return future
            self._waiting.append(future)
        with suppress(OSError):  # a process that has just died: the reader says so
            self._pipe.send(call)
        return future

    def _read(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                answer = self._pipe.recv()
                self._waiting.popleft().set_result(answer)
        with self._lock:
            self.is_lost = True
        for future in self._waiting:
            future.set_exception(BrokenExecutor("the process has ended"))
        self._process.join()

    def end(self) -> None:
        self._process.terminate()
        self._reader.join()
        self._pipe.close()


def _serve(pipe: Connection) -> None:
    """Answer calls until there is nobody to answer."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who handed the tasks over decides
    one_thread()
    workspace = Workspace()
    with suppress(EOFError, OSError):
        while True:
            pipe.send(pipe.recv()(workspace))


def end_with_parent() -> None:
    """End this process when the one that began it dies, however it dies."""
    with suppress(OSError, AttributeError, TypeError):  # elsewhere than on Linux the thread alone
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def is_lost(error: BaseException | None) -> bool:
    """Whether a task's worker died; a Dask cluster says so after it tried others."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


@contextmanager
def open_executors(workers: int | None, scheduler: str | None) -> Iterator[tuple[list[TaskExecutor], int]]:
    """Executors among which groups of tasks are shared out, and how many tasks each may have under way.

    Local processes are one executor each, so that what a process has prepared serves its next task.

    Raises
    ------
    MotionError
        When `workers` is not a positive number, Dask is not installed, or its scheduler does not answer.
    """
    if workers is not None and workers < 1:
        raise MotionError(f"workers {workers}: needs 1 or more")
    if scheduler is not None:
        with _dask(scheduler) as executor:
            yield executor
    elif workers is None:
        yield [InProcess()], 1
    else:
        pools: list[OneProcess] = []
        try:
            for _ in range(workers):
                pools.append(OneProcess())
            yield list(pools), 2
        finally:
            for pool in pools:
                pool.end()


def one_thread() -> None:
    """Kernels of a worker use one thread, and it gives memory back that it no longer needs."""
    os.environ["PTVKIT_THREADS"] = "1"
    give_back_memory()


def give_back_memory() -> None:
    """Let glibc return large arrays to the system when they are freed.

    By itself it raises the size from which it does so to 32 MB, and keeps what is smaller for later, in pieces:
    a worker grew to what several of its cases need together.
    """
    with suppress(OSError, AttributeError):  # other C libraries do so themselves
        set_option = ctypes.CDLL("libc.so.6").mallopt
        for option in (TRIM_THRESHOLD, MMAP_THRESHOLD):
            set_option(option, KEPT_BYTES)


@contextmanager
def _dask(scheduler: str) -> Iterator[tuple[list[TaskExecutor], int]]:
    try:
        from distributed import Client

        from ptvkit.work.dask_workers import open_dask
    except ImportError:
        raise MotionError("scheduler needs Dask; install ptvkit[cluster]") from None
    try:
        client = cast("Any", Client)(scheduler, timeout="20s")
    except (OSError, TimeoutError, ValueError) as error:
        raise MotionError(f"scheduler {scheduler}: does not answer: {error}") from None
    with client, open_dask(client) as executor:
        yield [executor], 2 * max(1, sum(client.nthreads().values()))
