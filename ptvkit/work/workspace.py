"""What a worker hands to each of its tasks: values to reuse, and a place for warnings; several threads may share it."""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any, Final, TextIO, TypeVar, cast

from ptvkit.errors import PtvkitWarning

Value = TypeVar("Value")

MOST_VALUES: Final = 16
"""Values that are kept for a case: the targets of two tasks, the structures that they are made from, and some more."""


class CaseValues:
    """Values of one case by key, each worked out once; those that were not used for longest go first.

    Parameters
    ----------
    most : int
        Values that are kept.
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._lock, self._most = Lock(), most
        self._values: OrderedDict[str, Future[Any]] = OrderedDict()

    def get(self, key: str, make: Callable[[], Value]) -> Value:
        """The value of a key; a thread that comes second waits for the one that works it out."""
        with self._lock:
            future = self._values.get(key)
            is_new = future is None
            if future is None:
                while len(self._values) >= self._most:
                    self._values.popitem(last=False)
                future = self._values[key] = Future()
            self._values.move_to_end(key)
        if is_new:
            try:
                future.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._values.pop(key, None)
                future.set_exception(error)
        return cast("Value", future.result())


class Workspace:
    """Values of as many cases as a worker has threads, and the warnings of its tasks.

    Parameters
    ----------
    threads : int
        Tasks that may run side by side.
    """

    def __init__(self, threads: int = 1) -> None:
        self._lock = Lock()
        self._most = threads
        self._cases: OrderedDict[str, CaseValues] = OrderedDict()
        self._collecting: dict[int, list[str]] = {}

    def of_case(self, identity: str) -> CaseValues:
        """What is kept for a case; `identity` stands for everything that its values depend on, besides their keys."""
        with self._lock:
            if identity not in self._cases:
                while len(self._cases) >= self._most:
                    self._cases.popitem(last=False)
                self._cases[identity] = CaseValues()
            self._cases.move_to_end(identity)
            return self._cases[identity]

    @property
    def warned(self) -> list[str]:
        """Warnings of the calling thread so far, where they are collected; the list still grows."""
        return self._collecting.get(get_ident(), [])

    @contextmanager
    def collected_warnings(self) -> Iterator[list[str]]:
        """Collect this thread's warnings of ptvkit, each once; what libraries warn of goes on as usual."""
        texts: list[str] = []
        with self._lock:
            if not self._collecting:
                self._begin()
            self._collecting[get_ident()] = texts
        try:
            yield texts
        finally:
            with self._lock:
                del self._collecting[get_ident()]
                if not self._collecting:
                    self._state.__exit__(None, None, None)

    def _begin(self) -> None:
        """Filters of warnings are the process's, not a thread's: they are changed once for all threads."""
        self._state = warnings.catch_warnings()
        self._state.__enter__()
        warnings.simplefilter("always", PtvkitWarning)
        self._usual = warnings.showwarning
        warnings.showwarning = self._show

    def _show(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, PtvkitWarning):
            self._usual(message, category, filename, lineno, file, line)
            return
        own = self._collecting.get(get_ident())
        for texts in list(self._collecting.values()) if own is None else [own]:  # a kernel's thread is nobody's
            if str(message) not in texts:
                texts.append(str(message))
