"""`ptvkit targets`: CTV and PTV from a segmented GTV."""

import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptvkit.cli.options import Structure, as_label, output_folder, told_warnings
from ptvkit.errors import MarginError, MaskError

if TYPE_CHECKING:
    from ptvkit.geometry.grid import Grid
    from ptvkit.geometry.mask import Mask
    from ptvkit.geometry.region import Region
    from ptvkit.margins.margin import Margin
    from ptvkit.margins.targets import Targets

MARGIN = "mm: 10, or S=12,I=18 (R L A P S I), or 7,S=12"
FILE_LABEL = "NIfTI file, or FILE:LABEL for one structure of several"


def targets(
    gtv: Annotated[Path, typer.Argument(help="GTV mask, .nii or .nii.gz.", metavar="GTV")],
    ctv: Annotated[str, typer.Option(help=f"GTV to CTV, {MARGIN}.", metavar="MARGIN")],
    ptv: Annotated[str, typer.Option(help=f"CTV to PTV, {MARGIN}.", metavar="MARGIN")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", metavar="DIR")],
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
    picture: Annotated[bool, typer.Option("--picture", help="Also write targets.png.")] = False,
    image: Annotated[Path | None, typer.Option(help="CT behind the contours of --picture.", metavar="FILE")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print targets.json instead of the table.")] = False,
) -> None:
    """Make CTV and PTV from a segmented GTV, sub-voxel, in patient directions.

    Writes ctv.nii.gz, ptv.nii.gz (and ptv_eval.nii.gz), a JSON sidecar for each, and targets.json.
    """
    from ptvkit.geometry.mask import Mask
    from ptvkit.io.files import refuse_overwrite, write_together
    from ptvkit.io.provenance import Provenance, source_of
    from ptvkit.io.target_files import margins_asked, write_targets
    from ptvkit.margins.targets import make_targets

    started = perf_counter()
    if eval_depth and eval_limit is None:
        raise MarginError(
            f"--eval-depth {eval_depth:g}: give --eval-limit too, the structure whose surface it is below"
        )
    with told_warnings() as warned:
        source = Structure.parse(str(gtv)) if label is None else Structure(gtv, as_label(label))
        others = {name: _all(given) for name, given in (("limit", limit), ("avoid", avoid), ("eval_limit", eval_limit))}
        others["eval_avoid"] = _all(eval_avoid)
        files = {source.path, *(s.path for group in others.values() for s in group)}
        files |= {path for path in (image, _grid_file(grid)) if path is not None}
        refuse_overwrite([output_folder(out) / name for name in OUTPUTS], files)
        inputs = tuple(source_of(path) for given in sorted(files) for path in files_of(given))
        drawn = source.read()
        mask = chosen_lesion(drawn, lesion) if isinstance(drawn, Mask) else whole_region(drawn, lesion, grid)
        ctv_margins, ptv_margins = lesion_margins(mask, ctv, ptv, lesion_ctv or [], lesion_ptv or [])
        read = {name: [s.read() for s in group] for name, group in others.items()}
        made = make_targets(
            mask,
            ctv=ctv_margins,
            ptv=ptv_margins,
            breathing=breathing_margin(breathing),
            breathing_shape="sweep" if sweep else "semi_axes",
            limit_ctv=next(iter(read["limit"]), None),
            avoid=read["avoid"],
            avoid_clearance_mm=clearance,
            eval_limit=next(iter(read["eval_limit"]), None),
            eval_depth_mm=eval_depth,
            eval_avoid=read["eval_avoid"],
        )
        output = output_grid(mask, made, grid, pad=pad)
        provenance = Provenance(inputs=inputs, method="region", margins=margins_asked(made))
        with write_together(out, files) as stage:
            content = write_targets(made, stage, home=out, grid=output, provenance=provenance, warnings=warned)
            if picture:
                draw(made, image, stage / "targets.png")
    if json:
        sys.stdout.write((out / "targets.json").read_text(encoding="utf-8"))
    else:
        print_table(content, out, perf_counter() - started)


def chosen_lesion(mask: "Mask", lesion: str) -> "Mask":
    """All lesions, the largest, or one by its number."""
    from ptvkit.geometry.components import lesions

    if lesion == "all":
        return mask
    found = lesions(mask)
    number = 1 if lesion == "largest" else int(lesion) if lesion.isdecimal() else 0
    if not 1 <= number <= len(found):
        raise MaskError(f"--lesion {lesion}: {mask.name} holds {len(found)}; use all, largest, or 1 to {len(found)}")
    return found[number - 1]


def files_of(path: Path) -> list[Path]:
    """A file, or those of a folder, such as a DICOM series."""
    return sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]


def whole_region(drawn: "Region", lesion: str, grid: str | None) -> "Region":
    """Contours or a mesh as the GTV: taken whole, and written on an image's grid."""
    if _grid_file(grid) is None:
        raise MarginError(f"{drawn.name}: contours have no voxels to write on; give --grid and the image")
    if lesion != "all":
        raise MarginError(f"--lesion {lesion}: contours are taken whole; name the structure that is meant")
    return drawn


def lesion_margins(
    mask: "Mask | Region", ctv: str, ptv: str, lesion_ctv: list[str], lesion_ptv: list[str]
) -> "tuple[Margin | list[Margin], Margin | list[Margin]]":
    """One margin for all lesions, or one for each where some were given their own."""
    from ptvkit.geometry.components import lesions, parts
    from ptvkit.geometry.mask import Mask

    common = parsed("--ctv", ctv), parsed("--ptv", ptv)
    if not lesion_ctv and not lesion_ptv:
        return common
    count = len(lesions(mask) if isinstance(mask, Mask) else parts(mask))
    each = [common[0]] * count, [common[1]] * count
    for margins, given, option in ((each[0], lesion_ctv, "--lesion-ctv"), (each[1], lesion_ptv, "--lesion-ptv")):
        for text in given:
            number, colon, margin = text.partition(":")
            if not colon or not number.isdecimal() or not 1 <= int(number) <= count:
                raise MarginError(f"{option} {text}: give N:MARGIN with N from 1 to {count} (1 is the largest lesion)")
            margins[int(number) - 1] = parsed(option, margin)
    return each


def breathing_margin(text: str) -> "Margin":
    """The breathing margin; each of its sides has to be named."""
    from ptvkit.margins.margin import Margin

    if text and "=" not in text:
        raise MarginError(f"--breathing {text}: name each side, as in S=12,I=18; one figure could mean either or both")
    return parsed("--breathing", text) if text else Margin()


def parsed(option: str, text: str) -> "Margin":
    """The margin of an option; what is wrong with it is said with the option's name."""
    from ptvkit.margins.margin import Margin

    try:
        return Margin.parse(text)
    except MarginError as error:
        raise MarginError(f"{option} {text}: {error}") from None


def output_grid(mask: "Mask | Region", made: "Targets", grid: str | None, *, pad: bool) -> "Grid":
    """The GTV's grid, or one of another spacing or of another image, grown to hold the PTV when wanted."""
    from ptvkit.geometry.extent import grown_to_hold
    from ptvkit.io.formats import grid_of_image

    found = mask.grid
    path = _grid_file(grid)
    if path is not None:
        found = grid_of_image(path)
    elif grid is not None:
        spacing = float(grid)
        if not 0.1 <= spacing <= 20:
            raise MarginError(f"--grid {grid}: give a spacing from 0.1 to 20 mm, or an image file")
        found = found.resampled((spacing,) * 3)
    return grown_to_hold(found, made.gtv, made.ctv, made.ptv) if pad else found


def draw(made: "Targets", image: Path | None, path: Path) -> None:
    """The three planes with the contours, over the CT when there is one."""
    from ptvkit.io.nifti import read_image
    from ptvkit.report.planes import target_figure
    from ptvkit.report.style import save_figure

    values, grid = (None, None) if image is None else read_image(image)
    structures = {"GTV": made.gtv, "CTV": made.ctv, "PTV": made.ptv}
    title = ",  ".join(f"{name} {region.volume_cc:.1f} cc" for name, region in structures.items())
    save_figure(target_figure(values, grid, structures, title=title), path)


def print_table(content: dict[str, Any], out: Path, seconds: float) -> None:
    """Volumes and margins, a line for each structure."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Targets in {out}", title_justify="left", caption_justify="left")
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
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for name, volume in content["cut_cc"].items():
        if volume > 0.005:
            console.print(f"{CUTS[name]}: {volume:.2f} cc")


OUTPUTS = [
    *(f"{name}.nii.gz{more}" for name in ("ctv", "ptv", "ptv_eval") for more in ("", ".json")),
    "targets.json",
    "targets.png",
]
CUTS = {
    "ctv_limit": "CTV cut by its limit",
    "ctv_avoid": "CTV cut by what it avoids",
    "ctv_outside_image": "CTV beyond the image",
    "ptv_outside_image": "PTV beyond the image",
    "ptv_eval_outside_image": "PTV for evaluation beyond the image",
    "breathing_lack": "Less PTV than with --sweep",
}


def _all(given: str | list[str] | None) -> list[Structure]:
    texts = [given] if isinstance(given, str) else given or []
    return [Structure.parse(text) for text in texts]


def _grid_file(grid: str | None) -> Path | None:
    """The image that --grid names, unless it is a number."""
    if grid is None:
        return None
    try:
        float(grid)
    except ValueError:
        return Path(grid)
    return None
