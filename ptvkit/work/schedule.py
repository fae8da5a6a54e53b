"""Every task once, whatever happens in between: shared out among executors, kept in a journal, gone on with later."""

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from ptvkit.errors import PtvkitError
from ptvkit.request.cases import Case
from ptvkit.work.executors import TaskExecutor, is_lost, open_executors
from ptvkit.work.journal import Record, open_journal
from ptvkit.work.workspace import Workspace

TaskProgress = Callable[[int, int, int], None]
"""Called with (tasks done, tasks in all, failures)."""
Key = tuple[str, int]
"""A case's name, and the number of a part of its work."""

LOST: Final = "its worker died, for lack of memory or by a signal; give it a larger machine, or crop it"
MEMORY: Final = "needs more memory than there is; crop it, or use fewer workers"


class Task(Protocol):
    """A piece of the work on one case."""

    @property
    def number(self) -> int:
        """Place in the order of all."""

    @property
    def case(self) -> Case:
        """Whose it is."""

    @property
    def part(self) -> int:
        """Which piece of the case's work, from 0."""

    @property
    def group(self) -> int:
        """Tasks of one group share what a worker keeps."""


AnyTask = TypeVar("AnyTask", bound=Task)
Run = Callable[[AnyTask, Workspace], Record]
"""Carries a task out; it can be pickled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(Generic[AnyTask]):
    """Tasks, how each is carried out, and where what is done is kept.

    Attributes
    ----------
    tasks : sequence of Task
    run : callable
        Of a task and a workspace: its record.
    journal : Path
    head : dict
        What the run is of, as the journal's first line has it.
    opening : dict
        A record of what is about to run.
    is_current : callable
        Of a task and its record of an earlier run: whether it still holds.
    replace : bool
        A journal of another run is begun anew.
    """

    tasks: Sequence[AnyTask]
    run: Run[AnyTask]
    journal: Path
    head: Record
    opening: Record
    is_current: Callable[[AnyTask, Record], bool]
    replace: bool = False


def carry_out(
    schedule: Schedule[AnyTask],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    progress: TaskProgress | None = None,
) -> dict[Key, Record]:
    """Carry tasks out that no earlier run did, or whose inputs have changed since, or that failed.

    Returns
    -------
    dict
        The record of every task by its case and part.

    Raises
    ------
    FileError, MotionError
        When the journal or the executors cannot be used.
    """
    with open_journal(schedule.journal, schedule.head, resume=resume, replace=schedule.replace) as (journal, earlier):
        held = latest(earlier)
        done = {key_of(task): held[key_of(task)] for task in schedule.tasks if _is_current(schedule, task, held)}
        left = [task for task in schedule.tasks if key_of(task) not in done]
        journal.add(schedule.opening)
        failures = 0
        if progress is not None:
            progress(len(done), len(schedule.tasks), failures)
        with open_executors(workers, scheduler) as (executors, room):
            for record in records_of(executors, room, schedule.run, left):
                journal.add(record)
                done[record["case"], record["part"]] = record
                failures += "failed" in record
                if progress is not None:
                    progress(len(done), len(schedule.tasks), failures)
    return done


def key_of(task: Task) -> Key:
    """What a task's record is known by."""
    return task.case.name, task.part


def latest(records: Sequence[Record]) -> dict[Key, Record]:
    """The last record of each task; others of the journal are left out."""
    return {(record["case"], record["part"]): record for record in records if "case" in record and "part" in record}


def _is_current(schedule: Schedule[AnyTask], task: AnyTask, held: dict[Key, Record]) -> bool:
    record = held.get(key_of(task))
    if record is None or "failed" in record:
        return False
    try:
        return schedule.is_current(task, record)
    except PtvkitError:  # a file is gone: the task says so
        return False


def records_of(
    executors: Sequence[TaskExecutor], room: int, run: Run[AnyTask], tasks: Sequence[AnyTask]
) -> Iterator[Record]:
    """Records of tasks as they end; no more than `room` under way in each executor, so that memory stays.

    A worker that dies takes with it what it had under way. Its executor goes on with one task at a time, and a task
    that dies alone has failed.
    """
    few = len({task.group for task in tasks}) < len(executors)
    queues: list[deque[AnyTask]] = [deque() for _ in executors]
    for task in tasks:
        queues[(task.number if few else task.group) % len(executors)].append(task)
    waiting: dict[Future[Record], tuple[AnyTask, int]] = {}
    under_way, rooms = [0] * len(executors), [room] * len(executors)
    while waiting or any(queues):
        for place, queue in enumerate(queues):
            while queue and under_way[place] < rooms[place]:
                task = queue.popleft()
                waiting[executors[place].submit(partial(attempt, run, task))] = task, place
                under_way[place] += 1
        ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in ended:
            if future not in waiting:  # lost with another
                continue
            task, place = waiting.pop(future)
            under_way[place] -= 1
            if isinstance(future.exception(), BrokenExecutor) and rooms[place] > 1:
                rooms[place] = 1
                lost = [task, *_lost_with_it(waiting, place)]
                under_way[place] -= len(lost) - 1
                queues[place].extendleft(sorted(lost, key=lambda one: -one.number))
            else:
                yield {"case": task.case.name, "part": task.part} | _answer(future)


def _lost_with_it(waiting: dict[Future[Record], tuple[AnyTask, int]], place: int) -> list[AnyTask]:
    """Take out the tasks that a dead worker had under way."""
    own = [future for future, (_, at) in waiting.items() if at == place]
    wait(own)
    return [waiting.pop(future)[0] for future in own if isinstance(future.exception(), BrokenExecutor)]


def _answer(future: "Future[Record]") -> Record:
    return {"failed": LOST} if is_lost(future.exception()) else future.result()


def attempt(run: Run[AnyTask], task: AnyTask, workspace: Workspace) -> Record:
    """A task's record, or why it failed, with the warnings on the way."""
    record: dict[str, Any]
    with workspace.collected_warnings() as warned:
        try:
            record = run(task, workspace)
        except PtvkitError as error:
            record = {"failed": " ".join(str(error).split())}
        except MemoryError:
            record = {"failed": MEMORY}
        except Exception as error:  # a bug must not take the other cases with it
            record = {"failed": f"a bug in ptvkit: {type(error).__name__}: {error}", "bug": traceback.format_exc()}
    return {**record, "warned": list(warned)} if warned else record
