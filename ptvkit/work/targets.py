"""Targets of one case or of many: masks, sidecars, a table."""

import csv
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError, PtvkitError, PtvkitWarning
from ptvkit.io.bids import bids_layout, bids_name, check_dataset, describe_dataset, source_root
from ptvkit.io.files import write_together
from ptvkit.io.naming import StructureRef
from ptvkit.io.provenance import Provenance, file_entry, record, source_of, write_json
from ptvkit.io.requests import InputFiles, read_json, recorded_files, remove_request
from ptvkit.io.target_files import NOTE, PLAIN, Layout
from ptvkit.request.cases import Case, cases_of
from ptvkit.request.request import Consumer, Request
from ptvkit.text import csv_text
from ptvkit.work.journal import SCHEMA as JOURNAL_SCHEMA
from ptvkit.work.journal import SUFFIX, Record
from ptvkit.work.reading import check_case_keys, read_by
from ptvkit.work.schedule import Schedule, TaskProgress, carry_out
from ptvkit.work.target_case import grid_file, make_case
from ptvkit.work.workspace import Workspace

SCHEMA: Final = "ptvkit-cohort/1"
TABLE, SUMMARY, JOURNAL = "cohort.csv", "cohort.json", f"cohort{SUFFIX}"
MADE_FROM: Final = ("cases", "targets", "output")
TARGETS: Final = Consumer(
    name="targets",
    reads=(
        *(f"cases.{key}" for key in ("gtv", "masks", "manifest", "label", "image")),
        *(
            f"targets.{key}"
            for key in ("ctv", "ptv", "motion", "breathing", "breathing_shape", "limit", "avoid", "clearance_mm")
        ),
        *(
            f"targets.{key}"
            for key in ("eval_limit", "eval_depth_mm", "eval_avoid", "lesion", "lesions", "grid", "pad", "allow_cut")
        ),
        *(f"output.{key}" for key in ("picture", "rtstruct", "bids", "page")),
    ),
)
PASSED_OVER: Final = ("targets.organ", *(f"output.{key}" for key in ("pictures", "maps", "patients")))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTargets:
    """What became of a case: a line of ``cohort.csv``.

    Attributes
    ----------
    case : str
    status : {"done", "failed"}
    gtv_cc, ctv_cc, ptv_cc : float or None
    lesions : int or None
    warnings : tuple of str
    reason : str
        Why it failed.
    source : str
        The GTV.
    targets : str
        Its ``targets.json``, from the folder of results.
    """

    case: str
    status: str
    gtv_cc: float | None = None
    ctv_cc: float | None = None
    ptv_cc: float | None = None
    lesions: int | None = None
    warnings: tuple[str, ...] = ()
    reason: str = ""
    source: str = ""
    targets: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsOutcome:
    """What became of a request for targets.

    Attributes
    ----------
    folder : Path
    cases : tuple of CaseTargets
        By name.
    table : Path or None
        ``cohort.csv``, where many cases were asked for.
    notes : tuple of str
        Tables of the request that were not read.
    bugs : tuple of str
        Tracebacks of failures that are not the user's.
    """

    folder: Path
    cases: tuple[CaseTargets, ...]
    table: Path | None = None
    notes: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()

    @property
    def failed(self) -> dict[str, str]:
        """Reason by case."""
        return {case.case: case.reason for case in self.cases if case.status == "failed"}

    @property
    def summaries(self) -> tuple[Path, ...]:
        """``targets.json`` of each case that is done."""
        return tuple(self.folder / case.targets for case in self.cases if case.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsTask:
    """A case and where its files go."""

    number: int
    case: Case
    folder: Path
    layout: Layout
    part: int = 0

    @property
    def group(self) -> int:
        """Cases share nothing."""
        return self.number


def run_targets(
    request: Request,
    out: str | os.PathLike[str],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    progress: TaskProgress | None = None,
) -> TargetsOutcome:
    """Make CTV and PTV of one case or of many, and write masks, sidecars and ``targets.json``.

    With ``cases.gtv`` the files go into `out`; with ``cases.masks`` or a manifest into a folder for each case, beside
    ``cohort.csv`` and ``cohort.json``. ``output.bids`` names them as BIDS derivatives.

    Parameters
    ----------
    request : Request
    out : path
        Made when it is missing. It holds the files of one request: those of an earlier one go.
    workers : int, optional
        Processes for many cases.
    scheduler : str, optional
        Address of a Dask scheduler, in place of workers.
    resume : bool
        Keep cases that are done, unless their request, inputs or files have changed since.
    progress : callable, optional
        Called with (cases done, cases in all, failures).

    Raises
    ------
    FileError
        When the request cannot be carried out at all.
    PtvkitError
        When the only case of ``cases.gtv`` cannot; of many, a case that fails is recorded and the others go on.

    Examples
    --------
    >>> import tempfile
    >>> ask = Request.load({"cases": {"gtv": "phantom:lesion_3"}, "targets": {"ctv": 5, "ptv": "5,S=8"}})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     outcome = run_targets(ask, folder)
    ...     sorted(path.name for path in Path(folder).iterdir())[:2], outcome.cases[0].status
    (['ctv.nii.gz', 'ctv.nii.gz.json'], 'done')
    """
    notes, folder = read_by(request, TARGETS, PASSED_OVER), output_folder(out)
    cases = cases_of(request, leave_out=folder)
    check_case_keys(request, cases, TARGETS)
    is_cohort = request.tables.cases.masks is not None or request.tables.cases.manifest is not None
    tasks = tasks_of(request, cases, folder, is_cohort=is_cohort)
    if not is_cohort:
        return TargetsOutcome(folder=folder, cases=(_run_one(request, tasks[0], folder),), notes=notes)
    schedule = Schedule(
        tasks=tasks,
        run=partial(carry_out_case, request, folder),
        journal=folder / JOURNAL,
        head={"schema": JOURNAL_SCHEMA, "kind": "targets", "version": version("ptvkit")},
        opening={"cases": [case.name for case in cases], "parts": 1},
        is_current=partial(_is_current, request),
        replace=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    done = carry_out(schedule, workers=workers, scheduler=scheduler, resume=resume, progress=progress)
    records = [done[task.case.name, 0] for task in tasks]
    rows = tuple(_row_of(task, record) for task, record in zip(tasks, records, strict=True))
    _finish(request, folder, tasks, rows)
    bugs = tuple(record["bug"] for record in records if "bug" in record)
    return TargetsOutcome(folder=folder, cases=rows, table=folder / TABLE, notes=notes, bugs=bugs)


def output_folder(out: str | os.PathLike[str]) -> Path:
    """The folder to write to.

    Raises
    ------
    FileError
        When it is a file, or has no name.
    """
    if not os.fspath(out):
        raise FileError("the output folder has no name; give a folder to write to")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: is a file; give a folder to write to")
    return folder


def named_files(request: Request) -> InputFiles:
    """The files that a request names, hashed; what is missing is said where it is read."""
    return InputFiles(path for path in request.files() if path.exists())


def tasks_of(request: Request, cases: Sequence[Case], folder: Path, *, is_cohort: bool) -> list[TargetsTask]:
    """Each case with its place.

    Raises
    ------
    FileError
        When BIDS gives two cases one name.
    """
    if not request.tables.output.bids:
        homes = [folder / case.name if is_cohort else folder for case in cases]
        return [
            TargetsTask(number=n, case=case, folder=home, layout=PLAIN)
            for n, (case, home) in enumerate(zip(cases, homes, strict=True))
        ]
    places: dict[tuple[Path, str], Case] = {}
    tasks = []
    root = source_root(_source(request, cases[0]))
    for number, case in enumerate(cases):
        home, layout = _bids_place(request, case, folder, root)
        other = places.setdefault((home, layout.summary), case)
        if other is not case:
            names = f"{_source(request, other)} and {_source(request, case)}"
            raise FileError(f"{names}: BIDS gives both one name; rename one of them")
        tasks.append(TargetsTask(number=number, case=case, folder=home, layout=layout))
    return tasks


def _source(request: Request, case: Case) -> Path:
    """The file of a case's GTV, or the folder of its masks."""
    text = str(case.gtv or request.tables.cases.gtv)
    return Path(text) if Path(text).exists() else StructureRef.parse(text).path


def _bids_place(request: Request, case: Case, out: Path, root: Path) -> tuple[Path, Layout]:
    """Folder and names of a case in a BIDS dataset."""
    check_dataset(out)
    own, source = request.for_case(case.name, case.values), _source(request, case)
    table, grid = own.tables.targets, grid_file(own)
    name = bids_name(source, case.name, resampled=table is not None and table.grid is not None)
    named = [] if table is None else [table.limit, *_each(table.avoid), table.eval_limit, *_each(table.eval_avoid)]
    others = [StructureRef.parse(text).path for text in named if text is not None]
    return out / name.folder, bids_layout(name, [source, *others], grid or source, root, out)


def _each(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _run_one(request: Request, task: TargetsTask, out: Path) -> CaseTargets:
    """The only case: what is wrong with it is raised, what is warned of is warned of."""
    workspace = Workspace()
    with workspace.collected_warnings() as warned:
        record = carry_out_case(request, out, task, workspace)
    for text in warned:
        warnings.warn(text, PtvkitWarning, stacklevel=3)
    if request.tables.output.bids:
        describe_dataset(out, source_root(_source(request, task.case)))
    return CaseTargets(**{**record["row"], "warnings": tuple(record["row"]["warnings"])})


def carry_out_case(request: Request, out: Path, task: TargetsTask, workspace: Workspace) -> Record:
    """The targets of a case, and what of them is written into the table.

    Raises
    ------
    PtvkitError
    """
    own = request.for_case(task.case.name, task.case.values)
    inputs = named_files(own)
    identity = own.identity(*MADE_FROM, hash_of=inputs.sha256)
    content = make_case(
        own, task.folder, task.layout, inputs, workspace.warned, task.case.name if task.case.gtv else ""
    )
    summary = task.folder / task.layout.summary
    volumes = {name: round(volume["region"], 4) for name, volume in content["volume_cc"].items()}
    row = CaseTargets(
        case=task.case.name,
        status="done",
        gtv_cc=volumes["gtv"],
        ctv_cc=volumes["ctv"],
        ptv_cc=volumes["ptv"],
        lesions=len(content["lesions"]),
        warnings=tuple(content["warnings"]),
        source=str(_source(request, task.case)),
        targets=summary.relative_to(out).as_posix(),
    )
    return {"identity": identity, "summary": source_of(summary).sha256, "row": asdict(row)}


def _is_current(request: Request, task: TargetsTask, record: Record) -> bool:
    """Whether request, inputs and files of a case are what they were."""
    summary = task.folder / task.layout.summary
    if not summary.exists() or source_of(summary).sha256 != record.get("summary"):
        return False
    files = recorded_files(summary)
    if any(source_of(task.folder / name).sha256 != sha256 for name, sha256 in files.items()):
        return False
    own = request.for_case(task.case.name, task.case.values)
    return record.get("identity") == own.identity(*MADE_FROM)


def _row_of(task: TargetsTask, record: Record) -> CaseTargets:
    if "failed" in record:
        source = str(task.case.gtv or "")
        return CaseTargets(case=task.case.name, status="failed", reason=record["failed"], source=source)
    return CaseTargets(**{**record["row"], "warnings": tuple(record["row"]["warnings"])})


def _finish(request: Request, out: Path, tasks: Sequence[TargetsTask], rows: Sequence[CaseTargets]) -> None:
    """The table, the description of a dataset; and what an earlier request left of cases without targets goes."""
    current = {row.targets for row in rows}
    failed = [task for task, row in zip(tasks, rows, strict=True) if row.status == "failed"]
    earlier = {(task.folder / task.layout.summary).relative_to(out).as_posix() for task in failed}
    earlier |= {str(row.get("targets") or "") for row in _earlier_rows(out / SUMMARY)}
    for name in sorted(earlier - current - {""}):
        if (out / name).is_file():
            try:
                remove_request(out / name)
            except PtvkitError as error:
                warnings.warn(str(error), PtvkitWarning, stacklevel=3)
    if request.tables.output.bids and any(row.status == "done" for row in rows):
        describe_dataset(out, source_root(_source(request, tasks[0].case)))
    write_table(rows, request, out)


def _earlier_rows(summary: Path) -> Sequence[Mapping[str, Any]]:
    """Rows of the table that an earlier request left."""
    try:
        content = read_json(summary)
        rows = content["cases"] if content["schema"] == SCHEMA else []
    except (PtvkitError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [row for row in rows if isinstance(row, Mapping) and ".." not in str(row.get("targets", ""))]


def write_table(rows: Sequence[CaseTargets], request: Request, out: Path) -> None:
    """``cohort.csv``, the same bytes for the same cases, and ``cohort.json``, which also says how they were made."""
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    plain = [asdict(row) for row in rows]
    table.writerow(plain[0])
    table.writerows([_cell(value) for value in row.values()] for row in plain)
    provenance = Provenance(inputs=(), method="region", margins={})
    with write_together(out) as stage:
        (stage / TABLE).write_text(text.getvalue(), encoding="utf-8", newline="")
        files = {"cohort": file_entry(stage / TABLE)}
        content = {"schema": SCHEMA, "note": NOTE, "request": request.content, "cases": plain}
        write_json(stage / SUMMARY, {**content, **record(provenance, out, files, ())})


def _cell(value: Any) -> Any:
    """A value as CSV has it; text is never a formula."""
    text = " | ".join(value) if isinstance(value, tuple) else value
    return csv_text(text) if isinstance(text, str) else text
