"""`ptvkit run`: studies of margins over cases and sweeps."""

import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import typer

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import lines, print_json, print_rows, remark, say, shown_warnings
from ptvkit.cli.progress import EVERY_S, progress_of
from ptvkit.cli.stopping import BUG, FAILED
from ptvkit.cli.texts import folder, part, place
from ptvkit.errors import FileError

if TYPE_CHECKING:
    from ptvkit.request.request import Request
    from ptvkit.work.study import Outcome, Plan

OUT: Final = option("--out -o", "Folder to write to.", metavar="DIR", value=folder)
OPTIONS: Final = (
    argument("study", "A study file, TOML; --new writes one.", metavar="STUDY"),
    OUT,
    option("--new", "Write a commented study file that runs as it is, and stop.", metavar="FILE", value=place),
    option("--dry-run", "Say what would run, and run nothing.", kind=bool, default=False),
    option("--workers", groups.WORKERS.help, kind=int, value=groups.WORKERS.value),
    option("--scheduler", "A Dask scheduler, tcp://…, in place of workers."),
    option("--shard", "Run the i-th of n parts; --merge joins them.", metavar="i/n", value=part),
    option("--merge", "Join shards that have run, in the folder of their journals.", kind=bool, default=False),
    option("--resume", "Go on with what an earlier run left.", kind=bool, default=False),
    groups.JSON,
    groups.SET,
)


def run(words: Words) -> None:
    """Run a study: every case with every cell of its sweep, into one table, results.csv, and report.html.

    A cell is one combination of swept values. Exit status 3: it ran, but some cases failed.
    """
    if words["new"] is not None:
        new_study(words["new"], words.json)
        return
    if words["study"] is None:
        raise FileError("STUDY: give a study file, or --new FILE to write one")
    request = words.request(words["study"])
    if words["dry_run"]:
        dry_run(request, words["out"], words.json)
        return
    if words["out"] is None:
        raise FileError("--out: give the folder to write to, -o DIR")
    ran(words, request, EVERY_S)


def ran(words: Words, request: "Request", every_s: float) -> None:
    """Run or merge, and print what became of the study, with an honest exit status."""
    from ptvkit.work.study import merge_study, run_study

    started, out = perf_counter(), words["out"]
    with shown_warnings(), progress_of("tasks", json=words.json, every_s=every_s) as told:
        if words["merge"]:
            outcome = merge_study(request, out)
        else:
            names = ("workers", "scheduler", "shard", "resume")
            outcome = run_study(request, out, **{name: words[name] for name in names}, progress=told)
    is_part = words["shard"] is not None
    if words.json:
        print_json(as_json(outcome), "run")
    else:
        print_outcome(outcome, perf_counter() - started, is_part)
    if outcome.bugs:
        raise typer.Exit(BUG)
    if outcome.failed or (outcome.missing and not is_part):
        raise typer.Exit(FAILED)


def as_json(outcome: "Outcome") -> dict[str, Any]:
    """What became of a study, as plain values."""
    return {
        "results": None if outcome.results is None else str(outcome.results),
        "page": None if outcome.page is None else str(outcome.page),
        "rows": outcome.rows,
        "failed": dict(outcome.failed),
        "missing": outcome.missing,
        "warnings": [*outcome.notes, *outcome.warned],
    }


def print_outcome(outcome: "Outcome", seconds: float, is_part: bool) -> None:
    """What became of a study: remarks and failures on stderr, the files on stdout."""
    for text in (*outcome.notes, *(f"warning: {text}" for text in outcome.warned)):
        remark(text)
    for case, reason in outcome.failed.items():
        remark(f"{case}: {reason}")
    for trace in outcome.bugs:
        print(lines(trace), file=sys.stderr)
    if outcome.results is not None:
        say(f"{outcome.results}: {outcome.rows} rows, {len(outcome.failed)} cases failed. {seconds:.1f} s.")
        if outcome.sensitivity is not None:
            from ptvkit.report.study_sensitivity import decides_in_words

            say(lines("\n".join(decides_in_words(outcome.sensitivity))))
        if outcome.page is not None:
            say(f"{outcome.page}: the report")
    elif is_part:
        say(f"This shard is done; {outcome.missing} tasks of others are missing. Join them with ptvkit run --merge.")
    else:
        remark(f"{outcome.missing} tasks are missing; run their shards, or --resume")


def new_study(file: Path, json: bool = False) -> None:
    """Write the commented study file that comes with the package."""
    from ptvkit.io.files import write_whole
    from ptvkit.request.reading import packaged

    if file.exists():
        raise FileError(f"{file}: is there already; choose another name")
    with write_whole(file) as stream:
        stream.write(packaged("new-study.toml"))
    if json:
        print_json({"file": str(file)}, "run --new")
    else:
        say(f"{file}: run it with  ptvkit run {file} -o out/")


def dry_run(request: "Request", out: Path | None, json: bool) -> None:
    """Check a study as far as can be without running it, and say what would run."""
    from ptvkit.work.plan_check import check_plan
    from ptvkit.work.study import plan_study

    with shown_warnings(), progress_of("checking the study", json=json):
        plan = plan_study(request, out)
        minutes = check_plan(plan).seconds / 60
    for text in () if json else plan.notes:
        remark(text)
    if json:
        print_json(plan_as_json(plan, minutes), "run --dry-run")
    else:
        print_plan(plan, minutes)


def plan_as_json(plan: "Plan", minutes: float) -> dict[str, Any]:
    """What would run, as plain values."""
    return {
        "cases": [case.name for case in plan.cases],
        "cells": len(plan.cells),
        "patients": plan.request.tables.simulation.patients,
        "swept": swept(plan),
        "minutes": minutes,
    }


def swept(plan: "Plan") -> dict[str, list[str]]:
    """The swept keys with their values, as text."""
    return {key: list(dict.fromkeys(str(cell.values[key]) for cell in plan.cells)) for key in plan.cells[0].values}


def print_plan(plan: "Plan", minutes: float) -> None:
    """What would run, and roughly how long."""
    names = [case.name for case in plan.cases]
    rows: list[tuple[str, ...]] = [("", ""), ("cases", f"{len(names)}: {_some(names, 5)}")]
    rows.append(("cells of the sweep", f"{len(plan.cells)}"))
    rows.append(("in all", f"{len(plan.cases) * len(plan.cells)}"))
    rows.append(("patients each", f"{plan.request.tables.simulation.patients}"))
    rows += [(key, _some(values, 8)) for key, values in swept(plan).items()]
    print_rows(rows, plan.source, f"roughly {max(minutes, 0.1):.1f} minutes here, by a cell that was tried")


def _some(texts: list[str], most: int) -> str:
    return ", ".join(texts[:most]) + (", …" if len(texts) > most else "")


def merge(words: Words) -> None:
    """Join the shards of a study into results.csv; now `ptvkit run --merge`."""
    plain = {**dict.fromkeys(one.name for one in OPTIONS), **words.plain, "merge": True}
    ran(Words(plain=plain), Words().request(words["study"]), EVERY_S)


def new(words: Words) -> None:
    """Write a commented study file; now `ptvkit run --new FILE`."""
    new_study(words["out"], words.json)


COMMANDS: Final = (("run", run, OPTIONS),)
OLD_COMMANDS: Final = (
    ("merge", merge, (argument("study", "The study file.", is_required=True), groups.OUT, groups.JSON)),
    (
        "new-study",
        new,
        (option("--out -o", "The file to write.", metavar="FILE", default="study.toml", value=place), groups.JSON),
    ),
)
