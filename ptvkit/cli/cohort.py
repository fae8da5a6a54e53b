"""`ptvkit targets --each`: the targets of many cases, past bad ones, into one table."""

import csv
import json
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptvkit.cli.options import output_folder, print_rows, progress_bar, told_warnings
from ptvkit.cli.target_case import Request, make_case, request_for
from ptvkit.errors import FileError, PtvkitError
from ptvkit.text import csv_text

if TYPE_CHECKING:
    from ptvkit.io.cases import Case
    from ptvkit.io.target_files import Layout

SCHEMA = "ptvkit-cohort/1"
FAILED, BUG = 3, 1
LOST = "its process died, perhaps for want of memory; run this case alone, or use fewer --workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A case and where its files go: a folder within `out`."""

    case: "Case"
    asked: Request
    out: Path
    folder: Path
    layout: "Layout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of a case."""

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


def run_cohort(
    each: str, request: Request, out: Path, *, bids: bool = False, workers: int | None = None, resume: bool = False
) -> tuple[list[Row], int]:
    """Make the targets of every case of a folder or pattern, and write `cohort.csv` and `cohort.json`.

    Returns
    -------
    rows, status
        By case; and 0, 3 when cases failed, or 1 when one met a bug.

    Raises
    ------
    FileError
        When there is no case, two have one name, or the table cannot be written.
    """
    from ptvkit.io.bids import describe_dataset
    from ptvkit.io.cases import find_cases

    cases = find_cases(each, leave_out=output_folder(out))
    jobs = jobs_of(cases, request, out, bids=bids)
    rows: dict[str, Row] = {}
    bugs = []
    with progress_bar("cases") as tell:
        waiting = []
        for job in jobs:
            kept = kept_row(job) if resume else None
            if kept is None:
                waiting.append(job)
            else:
                rows[job.case.name] = kept
        for row, bug in results(waiting, workers):
            rows[row.case] = row
            bugs += [bug] if bug else []
            if tell is not None:
                tell(len(rows), len(cases))
    found = [rows[case.name] for case in cases]
    if bids and any(row.status == "done" for row in found):
        describe_dataset(out, dataset_root(cases))
    write_table(found, request, out)
    for bug in bugs:
        print(bug, file=sys.stderr)
    return found, BUG if bugs else FAILED if any(row.status == "failed" for row in found) else 0


def jobs_of(cases: "Sequence[Case]", request: Request, out: Path, *, bids: bool) -> list[Job]:
    """Each case with its own request and its place."""
    from ptvkit.io.target_files import PLAIN

    asked = {case.name: request_for(request, case.name, case.path) for case in cases}
    if not bids:
        return [Job(case=c, asked=asked[c.name], out=out, folder=out / c.name, layout=PLAIN) for c in cases]
    root = dataset_root(cases)
    places: dict[tuple[Path, str], Case] = {}
    jobs = []
    for case in cases:
        folder, layout = bids_place(case, asked[case.name], out, root)
        other = places.setdefault((folder, layout.summary), case)
        if other is not case:
            raise FileError(f"{other.path} and {case.path}: BIDS gives both one name; rename one of them")
        jobs.append(Job(case=case, asked=asked[case.name], out=out, folder=folder, layout=layout))
    return jobs


def bids_place(case: "Case", asked: Request, out: Path, root: Path) -> "tuple[Path, Layout]":
    """Folder and names of a case in a BIDS dataset."""
    from ptvkit.cli.target_case import grid_file, structures_of
    from ptvkit.io.bids import bids_layout, bids_name, check_dataset

    check_dataset(out)
    name = bids_name(case.path, case.name, resampled=asked.grid is not None)
    others = [one.path for group in structures_of(asked).values() for one in group]
    grid = grid_file(asked.grid)
    layout = bids_layout(name, [case.path, *others], grid or case.path, root, out)
    return out / name.folder, layout


def dataset_root(cases: "Sequence[Case]") -> Path:
    """The dataset that the cases come from."""
    from ptvkit.io.bids import source_root

    return source_root(cases[0].path)


def results(jobs: Sequence[Job], workers: int | None) -> Iterator[tuple[Row, str]]:
    """Each case as it ends, with the traceback of a bug; a worker that dies costs its own case alone."""
    from ptvkit.work.executors import is_lost, open_executors

    waiting = deque(jobs)
    busy: dict[Future[tuple[Row, str]], tuple[Executor, Job]] = {}
    with open_executors(workers, None) as (pools, _):
        free = list(pools)
        while waiting or busy:
            while waiting and free:
                pool, job = free.pop(), waiting.popleft()
                busy[pool.submit(run_job, job)] = pool, job
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                pool, job = busy.pop(future)
                free.append(pool)
                error = future.exception()
                if error is None:
                    yield future.result()
                elif is_lost(error):
                    yield failed(job, LOST), ""
                else:
                    raise error


def run_job(job: Job) -> tuple[Row, str]:
    """One case, whatever comes of it."""
    try:
        with told_warnings() as warned:
            return row_of(job, make_case(job.asked, job.case.path, job.folder, job.layout, warned, job.case.name)), ""
    except PtvkitError as error:
        return failed(job, str(error)), ""
    except MemoryError:
        return failed(job, "memory ran out; run this case alone, on a larger machine"), ""
    except Exception as error:  # a bug must not take the other cases with it; it is told in full at the end
        return failed(job, f"a bug in ptvkit: {type(error).__name__}: {error}"), traceback.format_exc()


def kept_row(job: Job) -> Row | None:
    """The row of a case that an earlier run has finished, if request, version, inputs and files are the same."""
    from ptvkit.io.provenance import source_of
    from ptvkit.trust.records import read_record

    path = job.folder / job.layout.summary
    with suppress(FileError, OSError, ValueError, KeyError, TypeError):
        record = read_record(path)
        content = json.loads(path.read_text(encoding="utf-8"))
        if record is None or record.version != version("ptvkit") or content["request"] != job.asked.plain():
            return None
        if all(source_of(named.path).sha256 == named.sha256 for named in (*record.made, *record.inputs)):
            return row_of(job, content)
    return None


def row_of(job: Job, content: Mapping[str, Any]) -> Row:
    """A case that is done."""
    volumes = {name: round(found["region"], 4) for name, found in content["volume_cc"].items()}
    return Row(
        case=job.case.name,
        status="done",
        gtv_cc=volumes["gtv"],
        ctv_cc=volumes["ctv"],
        ptv_cc=volumes["ptv"],
        lesions=len(content["lesions"]),
        warnings=tuple(content["warnings"]),
        source=str(job.case.path),
        targets=(job.folder / job.layout.summary).relative_to(job.out).as_posix(),
    )


def failed(job: Job, reason: str) -> Row:
    """A case that is not done, and why."""
    return Row(case=job.case.name, status="failed", reason=" ".join(reason.split()), source=str(job.case.path))


def write_table(rows: Sequence[Row], request: Request, out: Path) -> None:
    """`cohort.csv`, the same bytes for the same cases, and `cohort.json`, which also tells how they were made."""
    from ptvkit.io.files import write_together
    from ptvkit.io.provenance import Provenance, file_entry, record, write_json
    from ptvkit.io.target_files import NOTE

    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    plain = [asdict(row) for row in rows]
    table.writerow(plain[0])
    table.writerows(map(cell, row.values()) for row in plain)
    made = Provenance(inputs=(), method="region", margins={})
    with write_together(out) as stage:
        (stage / "cohort.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
        files = {"cohort": file_entry(stage / "cohort.csv")}
        content = {"schema": SCHEMA, "note": NOTE, "request": request.plain(), "cases": plain}
        write_json(stage / "cohort.json", {**content, **record(made, out, files, ())})


def cell(value: Any) -> Any:
    """A value as CSV has it; text is never a formula."""
    text = " | ".join(value) if isinstance(value, tuple) else value
    return csv_text(text) if isinstance(text, str) else text


def print_cohort(rows: Sequence[Row], out: Path) -> None:
    """A line for each case: volumes, or why there are none."""
    number: Callable[[float | None], str] = lambda value: "–" if value is None else f"{value:.1f}"  # noqa: E731
    lines = [("", "GTV cc", "CTV cc", "PTV cc", "lesions", "")]
    for row in rows:
        count = f"{len(row.warnings)} warning{'s' * (len(row.warnings) > 1)}" if row.warnings else ""
        volumes = number(row.gtv_cc), number(row.ctv_cc), number(row.ptv_cc)
        lines.append((row.case, *volumes, f"{row.lesions or '–'}", row.reason or count))
    bad = sum(row.status == "failed" for row in rows)
    print_rows(lines, f"Targets in {out}", f"{len(rows) - bad} cases done, {bad} failed; cohort.csv has the table")
