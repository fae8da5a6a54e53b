"""`ptvkit convert`: structures from one format to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ptvkit.cli.options import as_label, files_of, print_rows, told_warnings
from ptvkit.errors import FileError, MaskError

if TYPE_CHECKING:
    from ptvkit.io.segment import Frame, Segment

FRAMES = ("RAS", "LPS")
KINDS = ("rtstruct", "seg")


def convert(
    source: Annotated[
        Path, typer.Argument(help="NIfTI, NRRD, .mha, STL, PLY, DICOM, or a folder of masks.", metavar="IN")
    ],
    out: Annotated[Path, typer.Argument(help="The file to write; its ending says in which format.", metavar="OUT")],
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
    from ptvkit.io.provenance import Provenance, source_of, write_sidecar
    from ptvkit.io.segment import Wish

    if frame is not None and frame.upper() not in FRAMES:
        raise FileError(f"--frame {frame}: use RAS or LPS")
    if kind not in KINDS:
        raise FileError(f"--as {kind}: use rtstruct or seg")
    meant = cast("Frame | None", None if frame is None else frame.upper())
    refuse_overwrite([out], [source] if reference is None else [source, reference])
    if not source.exists():
        raise FileError(f"{source}: no such file; check the path")
    with told_warnings():
        segments = chosen(read_segments(source, frame=meant), structure or [], source)
        is_dicom = out.suffix.lower() == ".dcm"
        grid = None if reference is None or is_dicom else grid_of_image(reference)
        inputs = tuple(source_of(path) for path in files_of(source))
        write_segments(out, segments, Wish(grid=grid, reference=reference, frame=meant), kind=kind)
        write_sidecar(out, Provenance(inputs=inputs, method=f"converted to {format_of(out).name}", margins={}))
        written = read_segments(out, frame=meant)
    rows: list[tuple[str, ...]] = [("", "number", "cc", "cc written")]
    after = {one.name: one for one in written} if len(written) > 1 else {one.name: written[0] for one in segments}
    for number, one in enumerate(segments, start=1):
        found = after.get(one.name) or (written[number - 1] if number <= len(written) else None)
        told = "–" if found is None else f"{found.shape.volume_cc:.3f}"
        rows.append((one.name or "–", f"{one.number or number}", f"{one.shape.volume_cc:.3f}", told))
    print_rows(
        rows, f"{out}: {format_of(out).name}", "volumes of voxels, or inside the surface; read back after writing"
    )


def chosen(segments: "list[Segment]", wanted: list[str], source: Path) -> "list[Segment]":
    """All structures, or those that were named."""
    if not segments:
        raise MaskError(f"{source}: holds no structure with a voxel or a contour")
    if not wanted:
        return segments
    found = []
    for text in wanted:
        label = as_label(text)
        fits = [one for one in segments if (one.number if isinstance(label, int) else one.name) == label]
        if len(fits) != 1:
            listed = ", ".join(f"{one.number} {one.name!r}" for one in segments)
            raise MaskError(f"{source}: has {len(fits)} structures {text!r}; it has {listed}")
        found += fits
    return found
