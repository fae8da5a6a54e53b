"""Where tasks run: here, in processes beside, or on a Dask cluster; all behind `concurrent.futures`."""

import ctypes
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, TypeVar, cast

from ptvkit.errors import MotionError

P = ParamSpec("P")
T = TypeVar("T")


class InProcess(Executor):
    """Runs each task when it is submitted."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a task now; what it raises is in the future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class OneProcess(Executor):
    """One process beside this one; when it dies, what comes next gets a new one."""

    def __init__(self) -> None:
        self._pool = _process()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand a task over."""
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenExecutor:
            self._pool = _process()
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the process."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def _process() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # threads and forks do not go together
    return ProcessPoolExecutor(1, mp_context=context, initializer=one_thread)


def is_lost(error: BaseException | None) -> bool:
    """Whether a task's worker died, which a Dask cluster tells after it tried others."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


@contextmanager
def open_executors(workers: int | None, scheduler: str | None) -> Iterator[tuple[list[Executor], int]]:
    """Executors among which groups of tasks are shared out, and how many tasks each may have under way.

    Local processes are one executor each, so that what a process has prepared serves its next task.

    Raises
    ------
    MotionError
        When a scheduler is asked for and Dask is not installed, or it does not answer.
    """
    if scheduler is not None:
        with _dask(scheduler) as found:
            yield found
    elif workers is None:
        yield [InProcess()], 1
    else:
        pools = [OneProcess() for _ in range(workers)]
        try:
            yield list(pools), 2
        finally:
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)


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
        for option, size in ((M_TRIM_THRESHOLD, 1 << 20), (M_MMAP_THRESHOLD, 1 << 20)):
            set_option(option, size)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


@contextmanager
def _dask(scheduler: str) -> Iterator[tuple[list[Executor], int]]:
    try:
        from distributed import Client
    except ImportError:
        raise MotionError("--scheduler needs Dask; install ptvkit[cluster]") from None
    try:
        client = cast("Any", Client)(scheduler, timeout="20s")
    except (OSError, TimeoutError) as error:
        raise MotionError(f"--scheduler {scheduler}: does not answer: {error}") from None
    with client:
        client.run(one_thread)
        workers = max(1, len(client.scheduler_info()["workers"]))
        yield [client.get_executor(pure=False)], 2 * workers
