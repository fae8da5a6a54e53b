"""Workers of a Dask cluster: each keeps a `Workspace` for the tasks of one run, shared by its threads."""

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from ptvkit.work.executors import Call, one_thread
from ptvkit.work.workspace import Workspace


class Keeper(WorkerPlugin):
    """Gives a worker its workspace when the run begins, or when the worker joins it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def setup(self, worker: Worker) -> None:
        """Begin."""
        one_thread()
        self.workspace = Workspace(worker.state.nthreads)


class OnDask:
    """Hands tasks to a cluster."""

    def __init__(self, client: Any, name: str) -> None:
        self._executor, self._name = client.get_executor(pure=False), name

    def submit(self, call: Call) -> "Future[Any]":
        """Hand a task over."""
        future: Future[Any] = self._executor.submit(_on_worker, call, self._name)
        return future


def _on_worker(call: Call, name: str) -> Any:
    keeper: Any = get_worker().plugins[name]
    return call(keeper.workspace)


@contextmanager
def open_dask(client: Any) -> Iterator[OnDask]:
    """An executor whose workers keep a workspace as long as it is open."""
    name, threads = f"ptvkit-{secrets.token_hex(8)}", os.environ.get("PTVKIT_THREADS")
    client.register_plugin(Keeper(name), name=name)
    try:
        yield OnDask(client, name)
    finally:
        client.unregister_worker_plugin(name)
        if threads is None:  # workers may be threads of this process
            os.environ.pop("PTVKIT_THREADS", None)
        else:
            os.environ["PTVKIT_THREADS"] = threads
