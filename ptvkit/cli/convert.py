"""`ptvkit convert`: structures from one format to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ptvkit.cli.options import print_rows, told_warnings
from ptvkit.errors import FileError, MaskError

if TYPE_CHECKING:
    from ptvkit.io.segment import Frame, Segment

FRAMES = ("RAS", "LPS")
KINDS = ("rtstruct", "seg")


def convert(
    source: Annotated[
        Path, typer.Argument(help="NIfTI, NRRD, .mha, STL, PLY, DICOM, or a folder of masks.", metavar="IN")
    ],
    target: Annotated[
        Path | None, typer.Argument(help="The file to write; its ending says in which format.", metavar="OUT")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The same as OUT.", metavar="OUT")] = None,
    structure: Annotated[
        list[str] | None,
        typer.Option(help="Take this one, by name or number. May be repeated; else all.", metavar="NAME"),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="The image: its voxels for contours and meshes, its series for DICOM.", metavar="FILE|FOLDER"
        ),
    ] = None,
    frame: Annotated[str | None, typer.Option(help="RAS or LPS: what a mesh's vertices are in.")] = None,
    kind: Annotated[str, typer.Option("--as", help="What a .dcm is to be: rtstruct or seg.")] = "rtstruct",
) -> None:
    """Write structures in another format: voxels, contours or a surface, placed where they were."""
    from ptvkit.io.files import refuse_overwrite
    from ptvkit.io.formats import format_of, grid_of_image, read_segments, write_segments
    from ptvkit.io.provenance import Provenance, write_sidecar
    from ptvkit.io.requests import InputFiles
    from ptvkit.io.segment import Wish

    if frame is not None and frame.upper() not in FRAMES:
        raise FileError(f"--frame {frame}: use RAS or LPS")
    if kind not in KINDS:
        raise FileError(f"--as {kind}: use rtstruct or seg")
    meant = cast("Frame | None", None if frame is None else frame.upper())
    written = the_one(target, out)
    refuse_overwrite([written], [source] if reference is None else [source, reference])
    if not source.exists():
        raise FileError(f"{source}: no such file; check the path")
    with told_warnings():
        inputs = InputFiles([source])
        segments = chosen(source, structure or [], meant)
        is_dicom = written.suffix.lower() == ".dcm"
        grid = None if reference is None or is_dicom else grid_of_image(reference)
        inputs.check_unchanged()
        write_segments(written, segments, Wish(grid=grid, reference=reference, frame=meant), kind=kind)
        method = f"converted to {format_of(written).name}"
        write_sidecar(written, Provenance(inputs=inputs.sources, method=method, margins={}))
        print_comparison(segments, read_segments(written, frame=meant), f"{written}: {format_of(written).name}")


def the_one(target: Path | None, out: Path | None) -> Path:
    """The file to write, as an argument or as an option."""
    if (target is None) == (out is None):
        raise FileError("OUT: give the file to write once, as the second argument or with -o")
    return cast("Path", target or out)


def chosen(source: Path, wanted: list[str], frame: "Frame | None") -> "list[Segment]":
    """All structures, or those that are named; only those are read."""
    from ptvkit.io.formats import list_structures, read_segments
    from ptvkit.io.naming import label_of
    from ptvkit.io.segment import choose

    if wanted:
        listed = list_structures(source, frame=frame)
        return [choose(listed, label_of(text), source).segment() for text in wanted]
    segments = read_segments(source, frame=frame)
    if not segments:
        raise MaskError(f"{source}: holds no structure with a voxel or a contour")
    return segments


def print_comparison(segments: "list[Segment]", written: "list[Segment]", title: str) -> None:
    """Volumes of the structures, and of what was read back."""
    rows: list[tuple[str, ...]] = [("", "number", "cc", "cc written")]
    after = {one.name: one for one in written} if len(written) > 1 else {one.name: written[0] for one in segments}
    for number, one in enumerate(segments, start=1):
        same = after.get(one.name) or (written[number - 1] if number <= len(written) else None)
        volume = "–" if same is None else f"{same.shape.volume_cc:.3f}"
        rows.append((one.name or "–", f"{one.number or number}", f"{one.shape.volume_cc:.3f}", volume))
    print_rows(rows, title, "volumes of voxels, or inside the surface; read back after writing")
