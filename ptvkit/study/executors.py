"""Where tasks run: here, in processes beside, or on a Dask cluster; all behind `concurrent.futures`."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
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
        context = multiprocessing.get_context("spawn")  # threads and forks do not go together
        pools = [ProcessPoolExecutor(1, mp_context=context, initializer=one_thread) for _ in range(workers)]
        try:
            yield list(pools), 2
        finally:
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)


def one_thread() -> None:
    """Kernels of a worker use one thread."""
    os.environ["PTVKIT_THREADS"] = "1"


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
