"""`ptvkit run`, `merge` and `new-study`: studies of margins over cases and sweeps."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from ptvkit.cli.options import print_rows, told_warnings
from ptvkit.errors import MotionError
from ptvkit.text import LONGEST_SHOWN, printable, whole_number

if TYPE_CHECKING:
    from ptvkit.work.study import Outcome, Plan

FAILED = 3
"""Exit status when some cases failed, or parts are missing."""
CELL_S, TARGET_S = 0.04, 1.5
"""A first idea of time, for --dry-run: a cell of 1,000 patients without dose, and making a target ready."""


def run(
    study: Annotated[Path, typer.Argument(help="A study file, TOML; see ptvkit new-study.", metavar="STUDY")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", metavar="DIR")],
    workers: Annotated[
        int | None, typer.Option(help="Processes, one thread each; by default it runs here, with all cores.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="A Dask scheduler, tcp://…, in place of workers.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="Run the i-th of n parts; ptvkit merge joins them.", metavar="i/n")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an earlier run left.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False,
) -> None:
    """Run a study: every case with every cell of its sweep, into one table, results.csv, and report.html.

    Exit status 3: it ran, but some cases failed.
    """
    from ptvkit.work.study import plan_study, run_study

    if dry_run:
        print_plan(plan_study(study))
        return
    if workers is not None and workers < 1:
        raise MotionError(f"--workers {workers}: needs 1 or more")
    started = perf_counter()
    with told_warnings(), progress_of_tasks() as tell:
        outcome = run_study(
            study, out, workers=workers, scheduler=scheduler, shard=_part(shard), resume=resume, progress=tell
        )
    told(study, out, outcome, perf_counter() - started, shard)


def merge(
    study: Annotated[Path, typer.Argument(help="The study file that the shards were run with.", metavar="STUDY")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder with their journals.", metavar="DIR")],
) -> None:
    """Join the shards of a study into results.csv."""
    from ptvkit.work.study import merge_study

    started = perf_counter()
    told(study, out, merge_study(study, out), perf_counter() - started, None)


def new_study(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.", metavar="FILE")] = Path("study.toml"),
) -> None:
    """Write a commented study file that runs as it is, on the built-in phantom."""
    from ptvkit.errors import FileError
    from ptvkit.io.files import write_whole
    from ptvkit.request.reading import packaged

    if out.exists():
        raise FileError(f"{out}: is there already; choose another name")
    with write_whole(out) as file:
        file.write(packaged("new-study.toml"))
    print(f"{out}: run it with  ptvkit run {out} -o out/")


def print_plan(plan: "Plan") -> None:
    """What would run, and roughly how long."""
    from ptvkit.work.study_tasks import target_key

    patients = plan.content.get("simulation", {}).get("patients", 1000)
    many = len(plan.cases) * len(plan.cells)
    rows: list[tuple[str, ...]] = [("", "")]
    rows += [
        ("cases", f"{len(plan.cases)}: {', '.join(case.name for case in plan.cases[:5])}" + _more(len(plan.cases)))
    ]
    rows += [("cells of the sweep", f"{len(plan.cells)}"), ("in all", f"{many}"), ("patients each", f"{patients}")]
    rows += [(key, _values(plan, key)) for key in plan.cells[0].values]
    targets = len(plan.cases) * len({target_key(cell) for cell in plan.cells})
    minutes = (many * patients / 1000 * CELL_S + targets * TARGET_S) / 60
    print_rows(rows, plan.source, f"roughly {max(minutes, 0.1):.1f} minutes here; more with dose")


def _more(count: int) -> str:
    return ", …" if count > 5 else ""


def _values(plan: "Plan", key: str) -> str:
    values = list(dict.fromkeys(str(cell.values[key]) for cell in plan.cells))
    return ", ".join(values[:8]) + (", …" if len(values) > 8 else "")


def told(study: Path, out: Path, outcome: "Outcome", seconds: float, shard: str | None) -> None:
    """Write the report and say what became of a study, with an honest exit status."""
    for text in outcome.warned:
        print(f"ptvkit: warning: {text}", file=sys.stderr)
    for case, reason in outcome.failed.items():
        print(f"ptvkit: {case}: {reason}", file=sys.stderr)
    if outcome.results is not None:
        from ptvkit.report.study_page import write_study_page
        from ptvkit.work.study import plan_study

        print(f"{outcome.results}: {outcome.rows} rows, {len(outcome.failed)} cases failed. {seconds:.1f} s.")
        print(f"{write_study_page(plan_study(study), outcome, out)}: the report")
    elif shard is not None:
        print(f"This shard is done; {outcome.missing} tasks of others are missing. Join them with ptvkit merge.")
    else:
        print(f"ptvkit: {outcome.missing} tasks are missing; run their shards, or --resume", file=sys.stderr)
    if outcome.failed or (outcome.missing and shard is None):
        raise typer.Exit(FAILED)


def _part(shard: str | None) -> tuple[int, int] | None:
    if shard is None:
        return None
    first, slash, second = shard.partition("/")
    if not slash or whole_number(first) is None or whole_number(second) is None:
        raise MotionError(f"--shard {printable(shard, LONGEST_SHOWN)}: give i/n, such as 3/20")
    return int(first), int(second)


@contextmanager
def progress_of_tasks() -> Iterator[Callable[[int, int, int], None] | None]:
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("tasks", total=None)

        def tell(done: int, total: int, failures: int) -> None:
            bar.update(
                task, completed=done, total=total, description=f"tasks, {failures} failed" if failures else "tasks"
            )

        yield tell
