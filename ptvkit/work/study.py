"""Running a study: every task once, whatever happens in between."""

import hashlib
import json
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError, MotionError, PtvkitError, PtvkitWarning
from ptvkit.request.cases import Case, cases_of
from ptvkit.request.request import Request
from ptvkit.request.sweep import Cell, cells_of, check_cells
from ptvkit.work.executors import is_lost, open_executors
from ptvkit.work.journal import SUFFIX, open_journal, read_journal
from ptvkit.work.results import NAME, write_results
from ptvkit.work.study_tasks import Row, Task, run_task, tasks_of
from ptvkit.work.values import course_of

Told = Callable[[int, int, int], None]
Waiting = dict[Future[dict[str, Any]], tuple[Task, int]]
JOURNAL: Final = "study"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A study, ready to run.

    Attributes
    ----------
    request : Request
    cases : tuple of Case
    cells : tuple of Cell
    tasks : list of Task
    """

    request: Request
    cases: tuple[Case, ...]
    cells: tuple[Cell, ...]
    tasks: list[Task]

    @property
    def content(self) -> Mapping[str, Any]:
        """Tables of the request."""
        return self.request.content

    @property
    def source(self) -> str:
        """The request's file."""
        return self.request.source

    @property
    def head(self) -> dict[str, Any]:
        """What a journal must agree with to be gone on with."""
        asked = json.dumps(self.request.content, sort_keys=True, default=str)
        cases = json.dumps([[case.name, dict(case.values)] for case in self.cases], sort_keys=True, default=str)
        return {
            "study": hashlib.sha256(asked.encode()).hexdigest(),
            "cases": hashlib.sha256(cases.encode()).hexdigest(),
            "tasks": len(self.tasks),
            "version": version("ptvkit"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a study.

    Attributes
    ----------
    results : Path or None
        The table; None while parts are missing.
    rows : int
    failed : mapping
        Reason by case.
    warned : tuple of str
        What a physicist should see, each once.
    missing : int
        Tasks that are not done, such as those of other shards.
    """

    results: Path | None
    rows: int
    failed: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0
    warned: tuple[str, ...] = ()


def plan_study(study: str | os.PathLike[str]) -> Plan:
    """Read and check a study file: which cases, which cells.

    Raises
    ------
    FileError, MotionError
        When the file, a case list or a sweep cannot be used.
    """
    request = Request.load(study)
    check_cells(request)
    course_of(request)
    cases, cells = cases_of(request), cells_of(request)
    return Plan(request=request, cases=cases, cells=cells, tasks=tasks_of(cases, cells))


def run_study(
    study: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    resume: bool = False,
    progress: Told | None = None,
) -> Outcome:
    """Run a study and write its table, `results.csv`.

    Any number of workers, any order and any resumption give the same bytes: random streams come from the seed, the case
    and the patient alone.

    Parameters
    ----------
    study : path
        A TOML file.
    out : path
        Folder for the journal and the table.
    workers : int, optional
        Processes, each with one thread for its kernels; by default the study runs here, with all cores.
    scheduler : str, optional
        Address of a Dask scheduler, in place of workers.
    shard : (i, n), optional
        Run the i-th of n parts, 1 to n; `merge_study` joins them.
    resume : bool
        Go on with what an earlier run left; nothing that it did is done again.
    progress : callable, optional
        Called with (tasks done, tasks in all, failures).

    Returns
    -------
    Outcome

    Raises
    ------
    FileError, MotionError
        When the study cannot be run at all. A case that fails is recorded, and the others go on.
    """
    plan = plan_study(study)
    _checked_shard(shard)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    mine = [task for task in plan.tasks if shard is None or task.number % shard[1] == shard[0] - 1]
    with open_journal(folder / _journal_name(shard), plan.head, resume=resume) as (journal, done):
        finished = {record["task"] for record in done}
        failures = sum("failed" in record for record in done)
        left = [task for task in mine if task.number not in finished]
        count = len(mine) - len(left)
        if progress is not None:
            progress(count, len(mine), failures)
        with open_executors(workers, scheduler) as (executors, room):
            for record in _records(executors, room, plan, left):
                journal.add(record)
                count += 1
                failures += "failed" in record
                if progress is not None:
                    progress(count, len(mine), failures)
    return merge_study(study, out)


def merge_study(study: str | os.PathLike[str], out: str | os.PathLike[str]) -> Outcome:
    """Join what journals in a folder hold into the table, when all of it is there.

    Raises
    ------
    FileError
        When there is no journal, or one belongs to another study.
    """
    plan, folder = plan_study(study), Path(out)
    journals = sorted(folder.glob(f"*{SUFFIX}"))
    if not journals:
        raise FileError(f"{folder}: has no journal of a study; run it first")
    found: dict[int, dict[str, Any]] = {}
    for path in journals:
        head, records, _ = read_journal(path)
        if head is not None and head != plan.head:
            raise FileError(f"{path}: belongs to another study; give the file that it was run with")
        found |= {record["task"]: record for record in records}
    failed = {record["case"]: record["failed"] for record in found.values() if "failed" in record}
    warned = tuple(dict.fromkeys(text for number in sorted(found) for text in found[number].get("warned", [])))
    missing = len(plan.tasks) - len(found)
    rows = [row for number in sorted(found) for row in found[number].get("rows", [])]
    if missing:
        return Outcome(results=None, rows=len(rows), failed=failed, missing=missing, warned=warned)
    write_results(in_order(rows, plan.head["version"]), folder / NAME)
    return Outcome(results=folder / NAME, rows=len(rows), failed=failed, warned=warned)


def in_order(rows: Sequence[dict[str, Any]], release: str) -> Iterator[Row]:
    """Rows by case, then cell; their version last."""
    for entry in sorted(rows, key=lambda entry: (entry["case"], entry["cell"])):
        yield {**entry["row"], "version": release}


def _records(executors: Sequence[Executor], room: int, plan: Plan, tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
    """Records of tasks as they end; no more than `room` under way in each executor, so that memory stays.

    A worker that dies takes with it what it had under way. Its executor goes on with one task at a time, and a task
    that dies alone has failed.
    """
    few = len({task.group for task in tasks}) < len(executors)
    queues: list[deque[Task]] = [deque() for _ in executors]
    for task in tasks:
        queues[(task.number if few else task.group) % len(executors)].append(task)
    waiting: Waiting = {}
    under_way, rooms = [0] * len(executors), [room] * len(executors)
    while waiting or any(queues):
        for place, queue in enumerate(queues):
            while queue and under_way[place] < rooms[place]:
                task = queue.popleft()
                waiting[executors[place].submit(_done, plan.request, task)] = task, place
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
                yield {"task": task.number, "case": task.case.name} | _told(future)


def _lost_with_it(waiting: Waiting, place: int) -> list[Task]:
    """Take out the tasks that a dead worker had under way."""
    own = [future for future, (_, at) in waiting.items() if at == place]
    wait(own)
    return [waiting.pop(future)[0] for future in own if isinstance(future.exception(), BrokenExecutor)]


def _told(future: Future[dict[str, Any]]) -> dict[str, Any]:
    """What a task gave, or why it failed."""
    error = future.exception()
    if is_lost(error):
        return {"failed": "its worker died, for lack of memory or by a signal; give it a larger machine or crop it"}
    if isinstance(error, MemoryError):
        return {"failed": "needs more memory than there is; crop it, or use fewer workers"}
    if isinstance(error, PtvkitError):
        return {"failed": " ".join(str(error).split())}
    return future.result()


def _done(request: Request, task: Task) -> dict[str, Any]:
    """A task's rows with what orders them, and the warnings on the way."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", PtvkitWarning)
        rows = run_task(request, task)
    told = {"rows": [{"case": task.case.name, "cell": number, "row": row} for number, row in rows]}
    for one in seen:
        if not issubclass(one.category, PtvkitWarning):  # a library's: not ours to keep
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    texts = list(dict.fromkeys(str(one.message) for one in seen if issubclass(one.category, PtvkitWarning)))
    return {**told, "warned": texts} if texts else told


def _journal_name(shard: tuple[int, int] | None) -> str:
    return f"{JOURNAL}{SUFFIX}" if shard is None else f"{JOURNAL}-{shard[0]}-of-{shard[1]}{SUFFIX}"


def _checked_shard(shard: tuple[int, int] | None) -> None:
    if shard is not None and not (shard[1] >= 1 and 1 <= shard[0] <= shard[1]):
        raise MotionError(f"shard {shard[0]}/{shard[1]}: give i/n with i from 1 to n")
