"""One case of `ptvkit targets`: what is asked for it, and its files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptvkit.cli.options import structure
from ptvkit.errors import MarginError, MaskError
from ptvkit.text import LONGEST_SHOWN, printable, whole_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ptvkit.geometry.grid import Grid
    from ptvkit.geometry.mask import Mask
    from ptvkit.geometry.region import Region
    from ptvkit.io.naming import StructureRef
    from ptvkit.io.target_files import Layout
    from ptvkit.margins.margin import Margin
    from ptvkit.margins.targets import Targets

CASE = "{case}"
"""Stands for a case's name in the names of files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a case is to get: the options, as they were given."""

    ctv: str
    ptv: str
    breathing: str = ""
    sweep: bool = False
    label: str | None = None
    lesion: str = "all"
    lesion_ctv: tuple[str, ...] = ()
    lesion_ptv: tuple[str, ...] = ()
    limit: str | None = None
    avoid: tuple[str, ...] = ()
    clearance: float = 0.0
    eval_limit: str | None = None
    eval_depth: float = 0.0
    eval_avoid: tuple[str, ...] = ()
    grid: str | None = None
    pad: bool = False
    allow_cut: bool = False
    picture: bool = False
    page: bool = True
    rtstruct: bool = False
    image: str | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def request_for(request: Request, name: str, path: Path) -> Request:
    """The request of one case: its name for `CASE`, and its own file for structures that name only a label.

    Examples
    --------
    >>> common = Request(ctv="5", ptv="5", limit=":liver", image="ct/{case}.nii.gz")
    >>> own = request_for(common, "p01", Path("seg/p01.nii.gz"))
    >>> own.limit, own.image
    ('seg/p01.nii.gz:liver', 'ct/p01.nii.gz')
    """

    def filled(text: str | None) -> str | None:
        return None if text is None else (f"{path}{text}" if text.startswith(":") else text).replace(CASE, name)

    def all_filled(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(filled(text) or "" for text in texts)

    return replace(
        request,
        limit=filled(request.limit),
        eval_limit=filled(request.eval_limit),
        grid=filled(request.grid),
        image=filled(request.image),
        avoid=all_filled(request.avoid),
        eval_avoid=all_filled(request.eval_avoid),
    )


def make_case(
    asked: Request, gtv: Path, folder: Path, layout: "Layout", warned: list[str], case: str = ""
) -> dict[str, Any]:
    """Make the targets of one case and write them into a folder, all files or none.

    Parameters
    ----------
    asked : Request
        Of this case, as from `request_for`.
    gtv : Path
        The segmentation, or a folder of masks.
    folder : Path
    layout : Layout
        What the files are called.
    warned : list of str
        As `told_warnings` fills it.
    case : str
        What the page calls it; by default the segmentation's file name.

    Returns
    -------
    dict
        What `targets.json` holds.
    """
    from ptvkit.geometry.mask import Mask
    from ptvkit.io.dicom.frames import refuse_other_frames
    from ptvkit.io.dicom.target_set import write_targets_rtstruct
    from ptvkit.io.files import refuse_overwrite
    from ptvkit.io.provenance import Provenance
    from ptvkit.io.requests import InputFiles, write_request
    from ptvkit.io.target_files import margins_asked, write_targets

    source = structure(str(gtv), asked.label)
    others = structures_of(asked)
    image = None if asked.image is None else Path(asked.image)
    named = [source, *(one for group in others.values() for one in group)]
    files = {path for one in named for path in one.files()}
    files |= {path for path in (image, grid_file(asked.grid)) if path is not None}
    refuse_overwrite([folder / name for name in layout.names], files)
    refuse_other_frames(sorted(files))
    inputs = InputFiles(sorted(files))
    drawn = source.read()
    whole = chosen_lesion(drawn, asked.lesion) if isinstance(drawn, Mask) else whole_region(drawn, asked)
    made = targets_of(whole, asked, {name: [s.read() for s in group] for name, group in others.items()})
    output = output_grid(whole, made, asked.grid, pad=asked.pad)
    refuse_cut(made, output, allowed=asked.allow_cut)
    provenance = Provenance(inputs=inputs.sources, method="region", margins=margins_asked(made))
    with write_request(folder, inputs, record=layout.summary, names=layout.names) as stage:
        content = write_targets(
            made,
            stage,
            home=folder,
            grid=output,
            provenance=provenance,
            warnings=warned,
            layout=layout,
            request=asked.plain(),
        )
        behind = read_behind(image) if asked.picture or asked.page else None
        if asked.picture:
            draw(made, behind, stage / layout.picture)
        if asked.page:
            from ptvkit.report.targets_page import write_targets_page

            write_targets_page(made, stage / layout.page, name=case or gtv.name, content=content, image=behind)
        if asked.rtstruct:
            write_targets_rtstruct(made, stage / layout.rtstruct, source=source.path, image=grid_file(asked.grid))
    return content


def structures_of(asked: Request) -> "dict[str, list[StructureRef]]":
    """The structures besides the GTV, by the option that names them."""
    given: Mapping[str, tuple[str, ...]] = {
        "limit": () if asked.limit is None else (asked.limit,),
        "avoid": asked.avoid,
        "eval_limit": () if asked.eval_limit is None else (asked.eval_limit,),
        "eval_avoid": asked.eval_avoid,
    }
    return {name: [structure(text) for text in texts] for name, texts in given.items()}


def targets_of(gtv: "Mask | Region", asked: Request, others: "Mapping[str, list[Mask | Region]]") -> "Targets":
    """CTV and PTV of a GTV."""
    from ptvkit.margins.margin import as_margin
    from ptvkit.margins.targets import make_targets

    ctv, ptv = lesion_margins(gtv, asked)
    return make_targets(
        gtv,
        ctv=ctv,
        ptv=ptv,
        breathing=as_margin(asked.breathing or 0, "--breathing", name_sides=True),
        breathing_shape="sweep" if asked.sweep else "semi_axes",
        limit_ctv=next(iter(others["limit"]), None),
        avoid=others["avoid"],
        avoid_clearance_mm=asked.clearance,
        eval_limit=next(iter(others["eval_limit"]), None),
        eval_depth_mm=asked.eval_depth,
        eval_avoid=others["eval_avoid"],
    )


def chosen_lesion(mask: "Mask", lesion: str) -> "Mask":
    """All lesions, the largest, or one by its number."""
    from ptvkit.geometry.components import lesions

    if lesion == "all":
        return mask
    found = lesions(mask)
    number = 1 if lesion == "largest" else whole_number(lesion) or 0
    if not 1 <= number <= len(found):
        shown = printable(lesion, LONGEST_SHOWN)
        raise MaskError(f"--lesion {shown}: {mask.name} holds {len(found)}; use all, largest, or 1 to {len(found)}")
    return found[number - 1]


def whole_region(drawn: "Region", asked: Request) -> "Region":
    """Contours or a mesh as the GTV: taken whole, and written on an image's grid."""
    if asked.grid is None:
        raise MarginError(
            f"{drawn.name}: contours have no voxels to write on; give --grid: the folder of the image, an image file,"
            " or a spacing in mm"
        )
    if asked.lesion != "all":
        raise MarginError(f"--lesion {asked.lesion}: contours are taken whole; name the structure that is meant")
    return drawn


def lesion_margins(mask: "Mask | Region", asked: Request) -> "tuple[Margin | list[Margin], Margin | list[Margin]]":
    """One margin for all lesions, or one for each where some were given their own."""
    from ptvkit.geometry.components import lesions, parts
    from ptvkit.geometry.mask import Mask
    from ptvkit.margins.margin import as_margin

    common = as_margin(asked.ctv, f"--ctv {asked.ctv}"), as_margin(asked.ptv, f"--ptv {asked.ptv}")
    if not asked.lesion_ctv and not asked.lesion_ptv:
        return common
    count = len(lesions(mask) if isinstance(mask, Mask) else parts(mask))
    each = [common[0]] * count, [common[1]] * count
    options = ((each[0], asked.lesion_ctv, "--lesion-ctv"), (each[1], asked.lesion_ptv, "--lesion-ptv"))
    for margins, given, option in options:
        for text in given:
            number, colon, margin = text.partition(":")
            shown = printable(text, LONGEST_SHOWN)
            which = whole_number(number) or 0
            if not colon or not 1 <= which <= count:
                raise MarginError(f"{option} {shown}: give N:MARGIN with N from 1 to {count} (1 is the largest lesion)")
            margins[which - 1] = as_margin(margin, f"{option} {shown}")
    return each


def output_grid(mask: "Mask | Region", made: "Targets", grid: str | None, *, pad: bool) -> "Grid":
    """The GTV's grid, or one of another spacing or of another image, grown to hold the PTV when wanted."""
    from ptvkit.geometry.extent import grid_around, grown_to_hold
    from ptvkit.geometry.mask import Mask
    from ptvkit.io.formats import grid_of_image

    found = mask.grid
    path = grid_file(grid)
    if path is not None:
        found = grid_of_image(path)
    elif grid is not None:
        spacing = float(grid)
        if not 0.1 <= spacing <= 20:
            raise MarginError(f"--grid {grid}: give a spacing from 0.1 to 20 mm, or an image file")
        if not isinstance(mask, Mask):
            return grid_around(spacing, made.gtv, made.ctv, made.ptv)
        found = found.resampled((spacing,) * 3)
    return grown_to_hold(found, made.gtv, made.ctv, made.ptv) if pad else found


def refuse_cut(made: "Targets", grid: "Grid", *, allowed: bool) -> None:
    """Refuse masks that would be empty, or cut without consent; the message names the options."""
    from ptvkit.io.target_files import refuse_cut_masks

    try:
        refuse_cut_masks(made, grid, allow_cut=allowed)
    except MaskError as error:
        raise MaskError(f"{error} (--pad enlarges it; --allow-cut consents to a cut)") from None


def read_behind(image: Path | None) -> "tuple[NDArray[np.generic], Grid] | None":
    """The CT behind the contours, where there is one."""
    from ptvkit.io.nifti import read_image

    return None if image is None else read_image(image)


def draw(made: "Targets", image: "tuple[NDArray[np.generic], Grid] | None", path: Path) -> None:
    """The three planes with the contours, over the CT when there is one."""
    from ptvkit.report.planes import target_figure
    from ptvkit.report.style import save_figure

    values, grid = (None, None) if image is None else image
    title = ",  ".join(f"{name} {region.volume_cc:.1f} cc" for name, region in made.structures.items())
    save_figure(target_figure(values, grid, made.structures, title=title), path)


def grid_file(grid: str | None) -> Path | None:
    """The image that --grid names, unless it is a number."""
    if grid is None:
        return None
    try:
        float(grid)
    except ValueError:
        return Path(grid)
    return None
