"""The targets of one case, from its files to its files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ptvkit.display import drawing
from ptvkit.errors import GridError, MarginError
from ptvkit.geometry.extent import grid_around, grown_to_hold
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.region import Region
from ptvkit.io.dicom.frames import refuse_other_frames
from ptvkit.io.dicom.target_set import write_targets_rtstruct
from ptvkit.io.formats import grid_of_image
from ptvkit.io.naming import StructureRef
from ptvkit.io.nifti import read_image
from ptvkit.io.provenance import Provenance
from ptvkit.io.requests import InputFiles, write_request
from ptvkit.io.target_files import Layout, margins_asked, refuse_cut_masks, write_targets
from ptvkit.margins.targets import Targets
from ptvkit.request.request import Request
from ptvkit.work.structures import gtv_of, targets_of

SMALLEST_MM, LARGEST_MM = 0.1, 20.0
"""Spacings that a grid may be asked for."""


def make_case(
    request: Request, folder: Path, layout: Layout, inputs: InputFiles, warned: Sequence[str], name: str = ""
) -> dict[str, Any]:
    """Make the targets of one case and write them into a folder, all files or none.

    Parameters
    ----------
    request : Request
        Of this case, as from `Request.for_case`.
    folder : Path
    layout : Layout
        What the files are called.
    inputs : InputFiles
        What the request names, hashed.
    warned : sequence of str
        Warnings so far; it may still grow.
    name : str
        What the page calls the case; by default the GTV's.

    Returns
    -------
    dict
        What ``targets.json`` holds.

    Raises
    ------
    PtvkitError
        When an input cannot be used or changes meanwhile, or the files cannot be written.
    """
    refuse_other_frames(inputs.paths)
    gtv = gtv_of(request)
    grid = None if request.tables.targets is None else request.tables.targets.grid
    if _voxels(gtv) is None and grid is None:
        raise MarginError(
            f"{gtv.name}: contours have no voxels to write on; give {request.label('targets.grid')}: the folder of the"
            " image, an image file, or a spacing in mm"
        )
    targets = targets_of(request, gtv)
    output = output_grid(request, gtv, targets)
    refuse_cut_masks(targets, output, allow_cut=request.tables.targets is not None and request.tables.targets.allow_cut)
    provenance = Provenance(inputs=inputs.sources, method="region", margins=margins_asked(targets))
    with write_request(folder, inputs, record=layout.summary, names=layout.names) as stage:
        content = write_targets(
            targets,
            stage,
            home=folder,
            grid=output,
            provenance=provenance,
            warnings=warned,
            layout=layout,
            request=request.content,
        )
        _write_extras(request, targets, stage, layout, content, name or gtv.name)
    return content


def _write_extras(
    request: Request, targets: Targets, stage: Path, layout: Layout, content: dict[str, Any], name: str
) -> None:
    """What the request wants beside the masks."""
    wanted, cases = request.tables.output, request.tables.cases
    behind = None if cases.image is None or not (wanted.picture or wanted.page) else read_image(cases.image)
    if wanted.picture:
        values, grid = behind or (None, None)
        title = ",  ".join(f"{key} {region.volume_cc:.1f} cc" for key, region in targets.structures.items())
        figure = drawing("planes").target_figure(values, grid, targets.structures, title=title)
        drawing("style").save_figure(figure, stage / layout.picture)
    if wanted.page:
        page = drawing("targets_page").write_targets_page
        page(targets, stage / layout.page, name=name, content=content, image=behind)
    if wanted.rtstruct:
        source = StructureRef.parse(str(cases.gtv))
        path = None if source.is_built_in or targets.motion is not None else source.path
        write_targets_rtstruct(targets, stage / layout.rtstruct, source=path, image=grid_file(request))


def _voxels(gtv: Mask | Region | Phases) -> Grid | None:
    """The image that a GTV was drawn on, where it has voxels."""
    return None if isinstance(gtv, Region) else gtv.grid


def output_grid(request: Request, gtv: Mask | Region | Phases, targets: Targets) -> Grid:
    """The GTV's grid, or one of another spacing or of another image, grown to hold the PTV when wanted.

    Raises
    ------
    GridError
        When the spacing is not possible.
    """
    table = request.tables.targets
    asked, pad = (None, False) if table is None else (table.grid, table.pad)
    image, grid = grid_file(request), _voxels(gtv) or targets.gtv.grid
    shown = targets.gtv, targets.ctv, targets.ptv
    if image is not None:
        grid = grid_of_image(image)
    elif asked is not None:
        spacing = float(asked)
        if not SMALLEST_MM <= spacing <= LARGEST_MM:
            label = request.label("targets.grid")
            where = label if label != "targets.grid" else f"targets.grid {spacing:g}"
            raise GridError(f"{where}: give a spacing from {SMALLEST_MM:g} to {LARGEST_MM:g} mm, or an image file")
        if _voxels(gtv) is None:
            return grid_around(spacing, *shown)
        grid = grid.resampled((spacing,) * 3)
    return grown_to_hold(grid, *shown) if pad else grid


def grid_file(request: Request) -> Path | None:
    """The image that ``targets.grid`` names, unless it is a number."""
    grid = None if request.tables.targets is None else request.tables.targets.grid
    try:
        float(grid or 0)
    except ValueError:
        return Path(str(grid))
    return None
