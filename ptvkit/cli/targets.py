"""`ptvkit targets`: CTV and PTV from a segmented GTV."""

import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptvkit.cli.options import console, output_folder, structure, told_warnings
from ptvkit.cli.target_case import Request, make_case, request_for
from ptvkit.errors import FileError, MarginError
from ptvkit.text import printable

if TYPE_CHECKING:
    from ptvkit.io.target_files import Layout

MARGIN = "mm: 10, or S=12,I=18 (R L A P S I), or 7,S=12"
FILE_LABEL = "NIfTI file, or FILE:LABEL for one structure of several"


def targets(
    ctv: Annotated[str, typer.Option(help=f"GTV to CTV, {MARGIN}.", metavar="MARGIN")],
    ptv: Annotated[str, typer.Option(help=f"CTV to PTV, {MARGIN}.", metavar="MARGIN")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", metavar="DIR")],
    gtv: Annotated[
        Path | None,
        typer.Argument(help="GTV mask: .nii, .nii.gz, another format, or a folder of masks.", metavar="GTV"),
    ] = None,
    each: Annotated[
        str | None,
        typer.Option(help="Many cases: a folder, or a pattern in quotes: 'seg/*/gtv.nii.gz'.", metavar="FOLDER"),
    ] = None,
    breathing: Annotated[
        str, typer.Option(help="Added to the PTV margin for breathing, each side named: S=12,I=18.", metavar="MARGIN")
    ] = "",
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Breathing as a sweep of the PTV, not as larger semi-axes.")
    ] = False,
    label: Annotated[str | None, typer.Option(help="Which label of the GTV file, by number or name.")] = None,
    lesion: Annotated[str, typer.Option(help="all, largest, or a number (1 is the largest).")] = "all",
    lesion_ctv: Annotated[
        list[str] | None, typer.Option(help="CTV margin of one lesion: 2:MARGIN. May be repeated.", metavar="N:MARGIN")
    ] = None,
    lesion_ptv: Annotated[
        list[str] | None, typer.Option(help="PTV margin of one lesion: 2:MARGIN. May be repeated.", metavar="N:MARGIN")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(help=f"The CTV stays inside this: {FILE_LABEL}.", metavar="FILE[:LABEL]")
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option(help=f"The CTV stays out of this: {FILE_LABEL}. May be repeated.", metavar="FILE[:LABEL]"),
    ] = None,
    clearance: Annotated[float, typer.Option(help="Distance that the CTV keeps from --avoid, mm.")] = 0.0,
    eval_limit: Annotated[
        str | None, typer.Option(help="Also write ptv_eval, the PTV inside this.", metavar="FILE[:LABEL]")
    ] = None,
    eval_depth: Annotated[
        float, typer.Option(help="Distance of ptv_eval below the surface of --eval-limit, mm.")
    ] = 0.0,
    eval_avoid: Annotated[
        list[str] | None,
        typer.Option(help="Also write ptv_eval, the PTV outside this. May be repeated.", metavar="FILE[:LABEL]"),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(help="Write on a grid of this spacing in mm, or on another image's.", metavar="MM|FILE"),
    ] = None,
    pad: Annotated[bool, typer.Option("--pad", help="Grow the output grid to hold the whole PTV.")] = False,
    allow_cut: Annotated[
        bool, typer.Option("--allow-cut", help="Write masks that hold less than 98 % of their target.")
    ] = False,
    picture: Annotated[bool, typer.Option("--picture", help="Also write targets.png.")] = False,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Write targets.html, a page to review.")] = True,
    image: Annotated[
        str | None, typer.Option(help="CT behind the contours of page and picture.", metavar="FILE")
    ] = None,
    rtstruct: Annotated[
        bool, typer.Option("--rtstruct", help="Also write rtstruct.dcm: the GTV's structure set with CTV and PTV.")
    ] = False,
    bids: Annotated[bool, typer.Option("--bids", help="Name files and sidecars as BIDS derivatives.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes for the cases of --each.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep cases of --each that are done, their inputs unchanged.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print targets.json instead of the table.")] = False,
) -> None:
    """Make CTV and PTV from a segmented GTV, sub-voxel, in patient directions.

    Writes ctv.nii.gz, ptv.nii.gz (and ptv_eval.nii.gz), a JSON sidecar for each, targets.json, and the page
    targets.html. With --each, a folder for each case and cohort.csv; {case} in a file's name is the case's, and :LABEL
    is a label of its own file. Exit status 3: some cases failed.
    """
    started = perf_counter()
    if eval_depth and eval_limit is None:
        raise MarginError(
            f"--eval-depth {eval_depth:g}: give --eval-limit too, the structure whose surface it is below"
        )
    request = Request(
        ctv=ctv,
        ptv=ptv,
        breathing=breathing,
        sweep=sweep,
        label=label,
        lesion=lesion,
        lesion_ctv=tuple(lesion_ctv or ()),
        lesion_ptv=tuple(lesion_ptv or ()),
        limit=limit,
        avoid=tuple(avoid or ()),
        clearance=clearance,
        eval_limit=eval_limit,
        eval_depth=eval_depth,
        eval_avoid=tuple(eval_avoid or ()),
        grid=grid,
        pad=pad,
        allow_cut=allow_cut,
        picture=picture,
        page=page,
        image=image,
        rtstruct=rtstruct,
    )
    if each is not None:
        refuse_single(gtv)
        many(each, request, out, bids=bids, workers=workers, resume=resume, json=json)
        return
    if gtv is None:
        raise FileError("GTV: give the mask, or --each and a folder of them")
    for option, given in (("--workers", workers is not None), ("--resume", resume)):
        if given:
            raise FileError(f"{option}: is for many cases; give them with --each")
    content, home, layout = one(gtv, request, out, bids=bids)
    if json:
        sys.stdout.write((home / layout.summary).read_text(encoding="utf-8"))
    else:
        print_table(content, home, perf_counter() - started)


def one(gtv: Path, request: Request, out: Path, *, bids: bool) -> "tuple[dict[str, Any], Path, Layout]":
    """The targets of one mask, and where they are."""
    from ptvkit.cli.cohort import bids_place, dataset_root
    from ptvkit.io.bids import describe_dataset
    from ptvkit.io.cases import Case, stem
    from ptvkit.io.target_files import PLAIN

    path = structure(str(gtv)).path
    case = Case(name=stem(path.name), path=path)
    asked = request_for(request, case.name, path)
    home, layout = output_folder(out), PLAIN
    if bids:
        home, layout = bids_place(case, asked, out, dataset_root([case]))
    with told_warnings() as warned:
        content = make_case(asked, gtv, home, layout, warned, case.name)
    if bids:
        describe_dataset(out, dataset_root([case]))
    return content, home, layout


def many(each: str, request: Request, out: Path, *, bids: bool, workers: int | None, resume: bool, json: bool) -> None:
    """The targets of many cases; exit status 3 when some failed."""
    from ptvkit.cli.cohort import print_cohort, run_cohort

    if workers is not None and workers < 1:
        raise FileError(f"--workers {workers}: needs 1 or more")
    rows, status = run_cohort(each, request, out, bids=bids, workers=workers, resume=resume)
    if json:
        sys.stdout.write((out / "cohort.json").read_text(encoding="utf-8"))
    else:
        print_cohort(rows, out)
    if status:
        raise typer.Exit(status)


def refuse_single(gtv: Path | None) -> None:
    """A mask beside --each would be left out without a word."""
    if gtv is not None:
        raise FileError(f"{gtv}: --each takes its cases from its folder or pattern (in quotes); leave this out")


def print_table(content: dict[str, Any], out: Path, seconds: float) -> None:
    """Volumes and margins, a line for each structure."""
    from rich.table import Table

    table = Table(title=printable(f"Targets in {out}"), title_justify="left", caption_justify="left")
    table.caption = (
        f"cc and mm reached: of the surface; in brackets of the mask's voxels and their faces. {seconds:.1f} s."
    )
    for column in ("", "cc", *"RLAPSI"):
        table.add_column(column, justify="right" if column else "left")
    achieved = content["margin_achieved_mm"]
    for name, volume in content["volume_cc"].items():
        surface, faces = (achieved[kind].get(name, {}) for kind in ("region", "mask"))
        margins = [f"{surface[letter]:.1f} ({faces[letter]:.1f})" if surface else "" for letter in "RLAPSI"]
        table.add_row(name.upper(), f"{volume['region']:.2f} ({volume['mask']:.2f})", *margins)
    stdout = console(120)
    stdout.print(table)
    for name, volume in content["cut_cc"].items():
        if volume > 0.005:
            stdout.print(f"{CUTS[name]}: {volume:.2f} cc")


CUTS = {
    "ctv_limit": "CTV cut by its limit",
    "ctv_avoid": "CTV cut by what it avoids",
    "ctv_outside_image": "CTV beyond the image",
    "ptv_outside_image": "PTV beyond the image",
    "ptv_eval_outside_image": "PTV for evaluation beyond the image",
    "breathing_lack": "Less PTV than with --sweep",
}
