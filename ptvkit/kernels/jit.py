"""How this package compiles: one decorator, one thread pool.

Kernels are compiled with numba, release the GIL and are cached on disk. They are never `parallel=True`: numba's
workqueue layer aborts the process when two threads enter it. Threads come from one pool here instead.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba
import numpy as np

SMALL = 2**16
"""Elements below which an array is not cut into slices for several threads."""
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a loop over plain arrays; cached on disk where a cache can be written, in memory where not."""
    try:
        compiled: Any = numba.njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # numba found no folder that it may write to
        return cast("Function", numba.njit(function, nogil=True, error_model="numpy"))
    store = compiled._cache.save_overload

    def save_or_go_on(*arguments: Any) -> None:
        with suppress(OSError):  # a full disk costs the next start a compilation, not this run its result
            store(*arguments)

    compiled._cache.save_overload = save_or_go_on
    return cast("Function", compiled)


def thread_count() -> int:
    """Threads that one call may use: `PTVKIT_THREADS` when set, else the cores this process may run on."""
    wanted = os.environ.get("PTVKIT_THREADS", "")
    if wanted.isdecimal():
        return max(1, int(wanted))
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ptvkit")


def run_in_slices(function: Callable[..., Any], length: int, *arguments: Any) -> None:
    """Call ``function(start, stop, *arguments)`` over ``range(length)`` cut into one slice per thread.

    Where all arrays are small it is one call: handing it on would take longer.
    """
    threads = min(thread_count(), length)
    sizes = (argument.size for argument in arguments if isinstance(argument, np.ndarray))
    if threads <= 1 or max(sizes, default=SMALL) < SMALL:
        function(0, length, *arguments)
        return
    cuts = [length * n // threads for n in range(threads + 1)]
    pool = _pool(threads, os.getpid())
    parts = [pool.submit(function, a, b, *arguments) for a, b in pairwise(cuts[1:])]
    function(cuts[0], cuts[1], *arguments)
    for part in parts:
        part.result()
