"""Studies: every case with every cell of a sweep, into one table."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ptvkit.display import drawing
from ptvkit.errors import FileError, MotionError
from ptvkit.io.provenance import TABLE_SCHEMAS
from ptvkit.io.requests import InputFiles
from ptvkit.request.cases import Case, cases_of
from ptvkit.request.request import Consumer, Request
from ptvkit.request.schema import DISPLACING
from ptvkit.request.sweep import Cell, cells_of, check_cells
from ptvkit.work.journal import SCHEMA, SUFFIX, Record
from ptvkit.work.reading import check_case_keys, read_by
from ptvkit.work.results import NAME, write_results
from ptvkit.work.schedule import Key, Schedule, TaskProgress, carry_out
from ptvkit.work.sensitivity import Sensitivity, sensitivity_of, write_sensitivity
from ptvkit.work.study_table import FAILED_LATER, Records, joined, rows_of
from ptvkit.work.study_tasks import COMPUTED, Task, carry_out_task, identities, tasks_of
from ptvkit.work.treatment import check_parts
from ptvkit.work.values import course_of

JOURNAL: Final = "study"
KIND: Final = "study"
ASKED: Final = (*COMPUTED[1:], "sweep")
"""Tables that say what a study is, whatever its cases."""
STUDY: Final = Consumer(
    name="a study",
    reads=(
        *("cases", *DISPLACING, "dose", "simulation", "sweep"),
        *("parts", "treatment", "limits", "output.page"),
        *(
            f"targets.{key}"
            for key in ("ctv", "ptv", "motion", "breathing", "breathing_shape", "limit", "avoid", "clearance_mm")
        ),
        *(f"targets.{key}" for key in ("organ", "lesion", "lesions")),
    ),
)
PASSED_OVER: Final = (
    *(f"targets.{key}" for key in ("eval_limit", "eval_depth_mm", "eval_avoid", "grid", "pad", "allow_cut")),
    *(f"output.{key}" for key in ("picture", "pictures", "maps", "rtstruct", "bids", "patients")),
)
Asked = Request | str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A study, ready to run.

    Attributes
    ----------
    request : Request
    cases : tuple of Case
    cells : tuple of Cell
    tasks : list of Task
    notes : tuple of str
        Tables of the request that a study does not read.
    """

    request: Request
    cases: tuple[Case, ...]
    cells: tuple[Cell, ...]
    tasks: list[Task]
    notes: tuple[str, ...] = ()

    @property
    def content(self) -> Mapping[str, Any]:
        """Tables of the request."""
        return self.request.content

    @property
    def source(self) -> str:
        """The request's file."""
        return self.request.source

    @property
    def head(self) -> Record:
        """What a journal must agree with to be gone on with: all that is asked but the cases, and names of files."""
        asked = self.request.identity(*ASKED, hash_of=lambda path: path.name)
        return {"schema": SCHEMA, "kind": KIND, "study": asked, "version": version("ptvkit")}

    @property
    def identity(self) -> str:
        """SHA-256 of all that is asked but the cases, with the content of files.

        Raises
        ------
        FileError
            When a file cannot be read.
        """
        return self.request.identity(*ASKED)

    @property
    def opening(self) -> Record:
        """What a journal says of a run: its cases and columns, and what it reads besides the cases."""
        return {
            "cases": [case.name for case in self.cases],
            "parts": len(self.tasks) // len(self.cases),
            "swept": list(self.cells[0].values),
            "content": self.identity,
            "table": TABLE_SCHEMAS[NAME],
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
    missing : int
        Tasks that are not done, such as those of other shards.
    warned : tuple of str
        What a physicist should see, each once.
    notes : tuple of str
        Tables of the request that a study does not read.
    bugs : tuple of str
        Tracebacks of failures that are not the user's.
    sensitivity : Sensitivity or None
        What decides the results, of a sweep by ``sensitivity`` or ``one_at_a_time``.
    page : Path or None
        The report; None where the request does not want one, or parts are missing.
    """

    results: Path | None
    rows: int
    failed: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0
    warned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()
    sensitivity: Sensitivity | None = None
    page: Path | None = None


def plan_study(study: Asked, out: str | os.PathLike[str] | None = None) -> Plan:
    """Read and check a study: which cases, which cells.

    Parameters
    ----------
    study : Request or path
    out : path, optional
        Folder of the results, whose content is no case.

    Raises
    ------
    FileError, MotionError
        When the request, a case list or a sweep cannot be used, or has a key that a study does not read.
    """
    request = study if isinstance(study, Request) else Request.load(study)
    check_parts(request)
    notes = read_by(request, STUDY, PASSED_OVER)
    for key in {} if request.tables.sweep is None else request.tables.sweep.parameters:
        if not STUDY.reads_key(key):
            raise FileError(f"{request.source}: [sweep]: {STUDY.name} does not read {key}; leave it out")
    check_cells(request)
    cases, cells = cases_of(request, leave_out=None if out is None else Path(out)), cells_of(request)
    check_case_keys(request, cases, STUDY)
    for case in cases[:1]:
        course_of(request.for_case(case.name, case.values))
    return Plan(request=request, cases=cases, cells=cells, tasks=tasks_of(cases, cells), notes=notes)


def run_study(
    study: Asked,
    out: str | os.PathLike[str],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    resume: bool = False,
    progress: TaskProgress | None = None,
) -> Outcome:
    """Run a study and write its table, `results.csv`.

    Any number of workers, any order and any resumption give the same bytes: random streams come from the seed, the case
    and the patient alone.

    Parameters
    ----------
    study : Request or path
        A request, or a TOML file.
    out : path
        Folder for the journal and the table.
    workers : int, optional
        Processes, each with one thread for its kernels; by default the study runs here, with all cores.
    scheduler : str, optional
        Address of a Dask scheduler, in place of workers.
    shard : (i, n), optional
        Run the i-th of n parts, 1 to n; `merge_study` joins them.
    resume : bool
        Go on with what an earlier run left: what it did is kept unless it failed, or its inputs have changed since.
    progress : callable, optional
        Called with (tasks done, tasks in all, failures).

    Returns
    -------
    Outcome

    Raises
    ------
    FileError, MotionError
        When the study cannot be run at all. A case that fails is recorded, and the others go on.

    Warns
    -----
    PtvkitWarning
        When a file in the journal's place is set aside.
    """
    plan, folder = plan_study(study, out), Path(out)
    _check_shard(shard)
    tasks = [task for task in plan.tasks if shard is None or task.number % shard[1] == shard[0] - 1]
    schedule = Schedule(
        tasks=tasks,
        run=partial(carry_out_task, plan.request),
        journal=folder / _journal_name(shard),
        head=plan.head,
        opening=plan.opening,
        is_current=partial(_is_current, plan.request),
    )
    folder.mkdir(parents=True, exist_ok=True)
    carry_out(schedule, workers=workers, scheduler=scheduler, resume=resume, progress=progress)
    return _merged(plan, folder)


def merge_study(study: Asked, out: str | os.PathLike[str]) -> Outcome:
    """Join what journals in a folder hold into the table, when all of it is there.

    Raises
    ------
    FileError
        When there is no journal, or one is damaged or belongs to another study.
    """
    return _merged(plan_study(study, out), Path(out))


def _merged(plan: Plan, folder: Path) -> Outcome:
    journals = sorted(folder.glob(f"{JOURNAL}*{SUFFIX}"))
    if not journals:
        raise FileError(f"{folder}: has no journal of a study; run it first")
    held = joined(journals)
    if held.head != plan.head:
        raise FileError(f"{journals[0]}: belongs to another study; give the request that it was run with")
    wanted = [(task.case.name, task.part) for task in plan.tasks]
    done = {key: held.records[key] for key in wanted if key in held.records}
    outcome = _outcome(plan, done, missing=len(wanted) - len(done))
    if outcome.missing:
        return outcome
    records = Records(head=held.head, opening=plan.opening, records=done)
    rows = rows_of(records)
    write_results(rows, folder / NAME, columns=records.columns)
    sensitivity = sensitivity_of(plan.request, len(plan.cells), rows)
    if sensitivity is not None:
        write_sensitivity(sensitivity, folder)
    complete = replace(outcome, results=folder / NAME, rows=len(rows), notes=plan.notes, sensitivity=sensitivity)
    if not plan.request.tables.output.page:
        return complete
    return replace(complete, page=drawing("study_page").write_study_page(plan, complete, folder))


def _outcome(plan: Plan, done: Mapping[Key, Record], missing: int) -> Outcome:
    records = [done[key] for key in sorted(done)]
    mixed = dict.fromkeys(Records.mixed(done), FAILED_LATER)
    return Outcome(
        results=None,
        rows=sum(len(record.get("rows", [])) for record in records),
        failed={record["case"]: record["failed"] for record in records if "failed" in record} | mixed,
        missing=missing,
        warned=tuple(dict.fromkeys(text for record in records for text in record.get("warned", []))),
        notes=plan.notes,
        bugs=tuple(record["bug"] for record in records if "bug" in record),
    )


def _is_current(request: Request, task: Task, record: Record) -> bool:
    """Whether a record was computed from what its inputs are now."""
    return {"inputs": record.get("inputs"), "identity": record.get("identity")} == identities(
        request, task, InputFiles()
    )


def _journal_name(shard: tuple[int, int] | None) -> str:
    return f"{JOURNAL}{SUFFIX}" if shard is None else f"{JOURNAL}-{shard[0]}-of-{shard[1]}{SUFFIX}"


def _check_shard(shard: tuple[int, int] | None) -> None:
    if shard is not None and not (shard[1] >= 1 and 1 <= shard[0] <= shard[1]):
        raise MotionError(f"shard {shard[0]}/{shard[1]}: give i/n with i from 1 to n")
