"""`ptvkit targets`: CTV and PTV from a segmented GTV."""

import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import typer

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import lines, print_file, print_rows, remark, say, shown_warnings
from ptvkit.cli.progress import EVERY_S, progress_of
from ptvkit.cli.stopping import BUG, FAILED
from ptvkit.cli.texts import lesion_margin, number_or_text, spacing_or_file
from ptvkit.errors import FileError

if TYPE_CHECKING:
    from ptvkit.work.targets import TargetsOutcome

MARGIN: Final = "mm: 10, or S=12,I=18 (R L A P S I), or 7,S=12"
ORGANS, LESIONS, EVALUATION, OUTPUT, MANY = (
    "Organs",
    "Lesions",
    "PTV for evaluation",
    "Output",
    "Many cases",
)
OPTIONS: Final = (
    argument("gtv", "GTV: a mask or contours in any format, FILE:NAME, or a folder of masks or phases.", "cases.gtv"),
    option("--ctv", f"GTV to CTV, {MARGIN}.", "targets.ctv", metavar="MARGIN"),
    option("--ptv", f"CTV to PTV, {MARGIN}.", "targets.ptv", metavar="MARGIN"),
    option(
        "--breathing",
        "Added to the PTV margin for breathing, each side named: S=12,I=18.",
        "targets.breathing",
        metavar="MARGIN",
    ),
    option(
        "--motion",
        "GTV is a folder of phases: plan on itv, mid_ventilation, mid_position, or a phase's number.",
        "targets.motion",
        metavar="TARGET",
        value=number_or_text,
    ),
    groups.OUT,
    option("--limit", "The CTV stays inside this.", "targets.limit", metavar=groups.STRUCTURE),
    option(
        "--avoid",
        "The CTV stays out of this. May be repeated.",
        "targets.avoid",
        many=True,
        metavar=groups.STRUCTURE,
    ),
    option(
        "--lesion",
        "all (default), largest, or a number (1 is the largest).",
        "targets.lesion",
        value=number_or_text,
    ),
    option(
        "--grid",
        "Write on a grid of this spacing in mm, or on another image's.",
        "targets.grid",
        metavar="MM|FILE",
        value=spacing_or_file,
    ),
    option("--picture", "Also write targets.png.", "output.picture", kind=bool),
    option(
        "--each",
        "Many cases: a folder, or a pattern in quotes: 'seg/*/gtv.nii.gz'.",
        "cases.masks",
        metavar="FOLDER",
    ),
    groups.JSON,
    option(
        "--label",
        "Which structure of the GTV's file, by number or name.",
        "cases.label",
        value=number_or_text,
        panel=LESIONS,
    ),
    option(
        "--lesion-ctv",
        "CTV margin of one lesion: 2:MARGIN. May be repeated.",
        "targets.lesions.{}.ctv",
        many=True,
        value=lesion_margin,
        metavar="N:MARGIN",
        panel=LESIONS,
    ),
    option(
        "--lesion-ptv",
        "PTV margin of one lesion: 2:MARGIN. May be repeated.",
        "targets.lesions.{}.ptv",
        many=True,
        value=lesion_margin,
        metavar="N:MARGIN",
        panel=LESIONS,
    ),
    option(
        "--sweep",
        "Breathing as a sweep of the PTV, not as larger semi-axes.",
        "targets.breathing_shape",
        kind=bool,
        value=lambda swept: "sweep",
        panel=ORGANS,
    ),
    option(
        "--clearance",
        "Distance that the CTV keeps from --avoid, mm.",
        "targets.clearance_mm",
        kind=float,
        panel=ORGANS,
    ),
    option(
        "--eval-limit",
        "Also write ptv_eval, the PTV inside this.",
        "targets.eval_limit",
        metavar=groups.STRUCTURE,
        panel=EVALUATION,
    ),
    option(
        "--eval-depth",
        "Distance of ptv_eval below the surface of --eval-limit, mm.",
        "targets.eval_depth_mm",
        kind=float,
        panel=EVALUATION,
    ),
    option(
        "--eval-avoid",
        "Also write ptv_eval, the PTV outside this. May be repeated.",
        "targets.eval_avoid",
        many=True,
        metavar=groups.STRUCTURE,
        panel=EVALUATION,
    ),
    option("--pad", "Grow the output grid to hold the whole PTV.", "targets.pad", kind=bool, panel=OUTPUT),
    option(
        "--allow-cut",
        "Write masks that hold less than 98 % of their target.",
        "targets.allow_cut",
        kind=bool,
        panel=OUTPUT,
    ),
    option("--page/--no-page", "Write targets.html, a page to review.", "output.page", kind=bool, panel=OUTPUT),
    option("--image", "CT behind the contours of page and picture.", "cases.image", metavar="FILE", panel=OUTPUT),
    option(
        "--rtstruct",
        "Also write rtstruct.dcm: the GTV's structure set with CTV and PTV.",
        "output.rtstruct",
        kind=bool,
        panel=OUTPUT,
    ),
    option("--bids", "Name files and sidecars as BIDS derivatives.", "output.bids", kind=bool, panel=OUTPUT),
    groups.WORKERS,
    option("--scheduler", "A Dask scheduler, tcp://…, in place of workers.", panel=MANY),
    option(
        "--resume",
        "Keep cases of --each that are done, their inputs unchanged.",
        kind=bool,
        default=False,
        panel=MANY,
    ),
    option("--study", "A study file: its targets hold where no option says otherwise.", metavar="FILE", panel="More"),
    groups.SET,
)


def targets(words: Words) -> None:
    """Make CTV and PTV from a segmented GTV, sub-voxel, in patient directions.

    Writes ctv.nii.gz, ptv.nii.gz (and ptv_eval.nii.gz), a JSON sidecar for each, targets.json, and the page
    targets.html. With --each, a folder for each case and cohort.csv; {case} in a file's name is the case's, and :NAME
    is a structure of its own file. Exit status 3: some cases failed.
    """
    made(words, EVERY_S)


COMMANDS: Final = (("targets", targets, OPTIONS),)


def made(words: Words, every_s: float) -> None:
    """Make the targets of one case or of many, write and print."""
    from ptvkit.io.requests import read_json
    from ptvkit.work.targets import run_targets

    request, out, started = words.request(words["study"]), words["out"], perf_counter()
    tables = request.tables
    if tables.cases.masks is None and tables.cases.manifest is None:
        if tables.cases.gtv is None:
            raise FileError("GTV: give the mask, or --each and a folder of them")
        for flag, is_set in (("--workers", words["workers"] is not None), ("--resume", words["resume"])):
            if is_set:
                raise FileError(f"{flag}: is for many cases; give them with --each")
    elif "cases.gtv" in words.overrides:
        raise FileError(
            f"{tables.cases.gtv}: --each takes its cases from its folder or pattern (in quotes); leave this out"
        )
    for flag, key in (("--ctv", "ctv"), ("--ptv", "ptv")):
        if tables.targets is None or key not in tables.targets.model_fields_set:
            raise FileError(f"{flag}: is missing; give the margin, 0 for none")
    with shown_warnings(), progress_of("targets", json=words.json, every_s=every_s) as told:
        names = ("workers", "scheduler", "resume")
        outcome = run_targets(request, out, **{name: words[name] for name in names}, progress=told)
    for text in outcome.notes:
        remark(text)
    if words.json:
        print_file(outcome.summaries[0] if outcome.table is None else outcome.table.with_suffix(".json"))
    elif outcome.table is None:
        print_targets(read_json(outcome.summaries[0]), outcome.summaries[0].parent, perf_counter() - started)
    else:
        print_cohort(outcome)
    for trace in outcome.bugs:
        print(lines(trace), file=sys.stderr)
    if outcome.failed:
        raise typer.Exit(BUG if outcome.bugs else FAILED)


def print_targets(content: Mapping[str, Any], out: Path, seconds: float) -> None:
    """Volumes and margins, a line for each structure."""
    rows: list[tuple[str, ...]] = [("", "cc", *"RLAPSI")]
    achieved = content["margin_achieved_mm"]
    for name, volume in content["volume_cc"].items():
        surface, faces = (achieved[kind].get(name, {}) for kind in ("region", "mask"))
        margins = [f"{surface[letter]:.1f} ({faces[letter]:.1f})" if surface else "" for letter in "RLAPSI"]
        rows.append((name.upper(), f"{volume['region']:.2f} ({volume['mask']:.2f})", *margins))
    caption = f"cc and mm reached: of the surface; in brackets of the mask's voxels and their faces. {seconds:.1f} s."
    print_rows(rows, f"Targets in {out}", caption)
    if "motion" in content:
        say(motion_line(content["motion"]))
    for name, volume in content["cut_cc"].items():
        if volume > SMALLEST_CUT_CC:
            say(f"{CUTS[name]}: {volume:.2f} cc")


def motion_line(how: Mapping[str, Any]) -> str:
    """How the GTV was made from phases."""
    phase = "" if how["phase"] is None else f" {how['phase']:g}" if how["target"] == "phase" else f", {how['phase']:g}"
    sides = " ".join(f"{letter} {mm:.1f}" for letter, mm in how["internal_margin_mm"].items())
    off = ", ".join(f"{mm:.1f}" for mm in how["residual_mm"])
    return (
        f"Phases: planned on {how['target'].replace('_', '-')}{phase}; ({off}) mm (LR, AP, SI) from the time mean."
        f" All phases together reach beyond the mean phase by {sides} mm."
    )


SMALLEST_CUT_CC: Final = 0.005
CUTS: Final = {
    "ctv_limit": "CTV cut by its limit",
    "ctv_avoid": "CTV cut by what it avoids",
    "ctv_outside_image": "CTV beyond the image",
    "ptv_outside_image": "PTV beyond the image",
    "ptv_eval_outside_image": "PTV for evaluation beyond the image",
    "breathing_lack": "Less PTV than with --sweep",
}


def print_cohort(outcome: "TargetsOutcome") -> None:
    """A line for each case: volumes, or why there are none."""
    rows = [("", "GTV cc", "CTV cc", "PTV cc", "lesions", "")]
    for case in outcome.cases:
        count = f"{len(case.warnings)} warning{'s' * (len(case.warnings) > 1)}" if case.warnings else ""
        volumes = (_volume(case.gtv_cc), _volume(case.ctv_cc), _volume(case.ptv_cc))
        rows.append((case.case, *volumes, f"{case.lesions or '–'}", case.reason or count))
    bad = len(outcome.failed)
    caption = f"{len(outcome.cases) - bad} cases done, {bad} failed; cohort.csv has the table"
    print_rows(rows, f"Targets in {outcome.folder}", caption)


def _volume(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
