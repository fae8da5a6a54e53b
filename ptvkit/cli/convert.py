"""`ptvkit convert`: structures from one format to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import print_json, print_rows, shown_warnings
from ptvkit.cli.texts import place
from ptvkit.errors import FileError, MaskError

if TYPE_CHECKING:
    from ptvkit.io.segment import Frame, Segment

FRAMES: Final = ("RAS", "LPS")
KINDS: Final = ("rtstruct", "seg")
OPTIONS: Final = (
    argument("source", "NIfTI, NRRD, .mha, STL, PLY, DICOM, or a folder of masks.", metavar="IN", is_required=True),
    argument("target", "The file to write; its ending says in which format.", metavar="OUT", value=place),
    option("--out -o", "The same as OUT.", metavar="OUT", value=place),
    option("--structure", "Take this one, by name or number. May be repeated; else all.", metavar="NAME", many=True),
    option(
        "--reference", "The image: its voxels for contours and meshes, its series for DICOM.", metavar="FILE|FOLDER"
    ),
    option("--frame", "RAS or LPS: what a mesh's vertices are in."),
    option("--as", "What a .dcm is to be: rtstruct (default) or seg.", name="kind_", default="rtstruct"),
    groups.JSON,
)


def convert(words: Words) -> None:
    """Write structures in another format: voxels, contours or a surface, placed where they were."""
    from ptvkit.io.files import refuse_overwrite
    from ptvkit.io.formats import format_of, grid_of_image, read_segments, write_segments
    from ptvkit.io.provenance import Provenance, write_sidecar
    from ptvkit.io.requests import InputFiles
    from ptvkit.io.segment import Wish

    frame, kind = frame_of(words["frame"]), words["kind_"]
    if kind not in KINDS:
        raise FileError(f"--as {kind}: use rtstruct or seg")
    source, out = Path(words["source"]), the_one(words["target"], words["out"])
    reference = None if words["reference"] is None else Path(words["reference"])
    refuse_overwrite([out], [source] if reference is None else [source, reference])
    if not source.exists():
        raise FileError(f"{source}: no such file; check the path")
    with shown_warnings() as warned:
        inputs = InputFiles([source])
        segments = chosen(source, words["structure"] or [], frame)
        is_dicom = out.suffix.lower() == ".dcm"
        grid = None if reference is None or is_dicom else grid_of_image(reference)
        inputs.check_unchanged()
        write_segments(out, segments, Wish(grid=grid, reference=reference, frame=frame), kind=kind)
        method = f"converted to {format_of(out).name}"
        write_sidecar(out, Provenance(inputs=inputs.sources, method=method, margins={}))
        rows = comparison(segments, read_segments(out, frame=frame))
    if words.json:
        names = ("name", "number", "volume_cc", "written_cc")
        structures = [dict(zip(names, row, strict=True)) for row in rows]
        print_json({"file": str(out), "structures": structures, "warnings": warned}, "convert")
        return
    shown = [(name or "–", f"{number}", f"{cc:.3f}", "–" if after is None else f"{after:.3f}")
             for name, number, cc, after in rows]  # fmt: skip
    caption = "volumes of voxels, or inside the surface; read back after writing"
    print_rows([("", "number", "cc", "cc written"), *shown], f"{out}: {format_of(out).name}", caption)


COMMANDS: Final = (("convert", convert, OPTIONS),)


def frame_of(text: str | None) -> "Frame | None":
    """RAS or LPS, as typed."""
    if text is not None and text.upper() not in FRAMES:
        raise FileError(f"--frame {text}: use RAS or LPS")
    return cast("Frame | None", None if text is None else text.upper())


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


def comparison(
    segments: "list[Segment]", written: "list[Segment]"
) -> list[tuple[str | None, int, float, float | None]]:
    """Name, number, volume, and the volume that was read back, of each structure."""
    after = {one.name: one for one in written} if len(written) > 1 else {one.name: written[0] for one in segments}
    rows: list[tuple[str | None, int, float, float | None]] = []
    for number, one in enumerate(segments, start=1):
        same = after.get(one.name) or (written[number - 1] if number <= len(written) else None)
        rows.append(
            (one.name, one.number or number, one.shape.volume_cc, None if same is None else same.shape.volume_cc)
        )
    return rows
