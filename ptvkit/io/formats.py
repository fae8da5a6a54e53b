"""Structure file formats: one table for reading and writing, selected by content and file ending."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import EmptyMaskError, FileError, MaskError, PtvkitWarning
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.io import mesh_files
from ptvkit.io.class_files import is_folder, nifti_files, nifti_stem
from ptvkit.io.dicom import reading as dicom
from ptvkit.io.dicom.rtstruct import rtstruct_structures
from ptvkit.io.dicom.rtstruct_write import write_rtstruct
from ptvkit.io.dicom.seg import seg_structures, write_seg
from ptvkit.io.dicom.series import read_series
from ptvkit.io.files import PathLike
from ptvkit.io.itk import itk_structures, write_itk
from ptvkit.io.nifti import read_grid, read_label_map, read_mask, write_labels, write_mask
from ptvkit.io.nrrd import nrrd_structures, write_nrrd
from ptvkit.io.segment import Frame, Listed, Segment, WriteOptions, choose

NIFTI: Final = (".nii", ".nii.gz")
MESHES: Final = (".stl", ".ply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A structure file format.

    Attributes
    ----------
    name : str
    claims : callable
        Whether a path has this format; a file that does not exist yet is judged by its ending.
    structures : callable
        Lists the structures of a path by name and number without reading them.
    read_one : callable, optional
        Reads one structure by label, where that is faster than the list.
    write : callable or None
    """

    name: str
    claims: Callable[[Path], bool]
    structures: Callable[[Path, Frame | None], list[Listed]]
    read_one: Callable[[Path, int | str | None], Mask] | None = None
    write: Callable[[Path, Sequence[Segment], WriteOptions], None] | None = None


def ending(*endings: str) -> Callable[[Path], bool]:
    """Predicate for paths with one of these endings."""
    return lambda path: path.name.lower().endswith(endings)


def _dicom_of(kind: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and dicom.is_dicom(path) and dicom.kind_of(path) == kind


def _write_rtstruct(path: Path, segments: Sequence[Segment], options: WriteOptions) -> None:
    write_rtstruct(path, segments, reference=options.reference)


def _write_seg(path: Path, segments: Sequence[Segment], options: WriteOptions) -> None:
    if options.reference is None:
        raise FileError(f"{path}: a DICOM segmentation belongs to an image; give its folder as reference")
    write_seg(path, segments, reference=options.reference)


def _in_nifti(path: Path, frame: Frame | None) -> list[Listed]:
    array, grid, names = read_label_map(path)
    labels = [int(value) for value in np.unique(array) if value]
    return [
        Listed(
            name=names.get(label, "" if len(labels) > 1 else nifti_stem(path.name) or ""),
            number=label,
            read=partial(_label, array, label, grid, f"{path} ({names.get(label, label)})"),
        )
        for label in labels
    ]


def _label(array: NDArray[np.int32], label: int, grid: Grid, name: str) -> Mask:
    return Mask.from_array(array == label, grid.affine, name=name)


def _write_nifti(path: Path, segments: Sequence[Segment], options: WriteOptions) -> None:
    grid = _voxels(path, segments, options)
    masks = [on_grid(one, grid) for one in segments]
    if len(masks) == 1:
        write_mask(masks[0], path)
        return
    labels = np.zeros(grid.shape, np.int32, order="F")
    for number, (one, mask) in enumerate(zip(segments, masks, strict=True), start=1):
        _refuse_overlap(labels, mask, one, segments, path)
        labels[mask.array] = number
    write_labels(labels, grid, path, {n: one.name or f"label {n}" for n, one in enumerate(segments, start=1)})


def _refuse_overlap(labels: np.ndarray, mask: Mask, one: Segment, segments: Sequence[Segment], path: Path) -> None:
    under = labels[mask.array]
    if under.any():
        other = segments[int(under[under > 0][0]) - 1].name
        raise MaskError(
            f"{path}: {one.name!r} and {other!r} share voxels, which a label file cannot hold; write a .seg.nrrd, or"
            " one structure at a time"
        )


def _write_nrrd(path: Path, segments: Sequence[Segment], options: WriteOptions) -> None:
    grid = _voxels(path, segments, options)
    write_nrrd(path, ((one, on_grid(one, grid)) for one in segments), grid)


def _write_itk(path: Path, segments: Sequence[Segment], options: WriteOptions) -> None:
    grid = _voxels(path, segments, options)
    labels = np.zeros(grid.shape, np.uint16)
    for number, one in enumerate(segments, start=1):
        mask = on_grid(one, grid)
        _refuse_overlap(labels, mask, one, segments, path)
        labels[mask.array] = number
    write_itk(path, labels, grid)


def _in_folder(path: Path, frame: Frame | None) -> list[Listed]:
    """List a folder with one mask per file, as TotalSegmentator writes it."""
    return [
        Listed(name=nifti_stem(file.name) or "", number=number, read=partial(read_mask, file))
        for number, file in enumerate(nifti_files(path), start=1)
    ]


FORMATS: Final = (
    Format(
        name="folder of NIfTI masks",
        claims=lambda path: is_folder(path) and bool(nifti_files(path)),
        structures=_in_folder,
        read_one=lambda path, label: read_mask(path, label=label),
    ),
    Format(
        name="NIfTI",
        claims=ending(*NIFTI),
        structures=_in_nifti,
        read_one=lambda path, label: read_mask(path, label=label),
        write=_write_nifti,
    ),
    Format(name="NRRD", claims=ending(".nrrd"), structures=lambda path, _: nrrd_structures(path), write=_write_nrrd),
    Format(name="MetaImage", claims=ending(".mha"), structures=lambda path, _: itk_structures(path), write=_write_itk),
    Format(
        name="mesh",
        claims=ending(*MESHES),
        structures=mesh_files.structures,
        write=mesh_files.write_segments,
    ),
    Format(
        name="DICOM SEG",
        claims=_dicom_of("SEG"),
        structures=lambda path, _: seg_structures(path),
        write=_write_seg,
    ),
    Format(
        name="RTSTRUCT",
        claims=_dicom_of("RTSTRUCT"),
        structures=lambda path, _: rtstruct_structures(path),
        write=_write_rtstruct,
    ),
)
"""The first format that claims a path is used."""
ENDINGS: Final = ".nii, .nii.gz, .seg.nrrd, .nrrd, .mha, .stl, .ply, or .dcm"


def format_of(path: PathLike, *, kind: str | None = None) -> Format:
    """Format of a path: by content for an existing file, else by its ending.

    Parameters
    ----------
    path : path
    kind : {"rtstruct", "seg"}, optional
        Which of the two a new ``.dcm`` file becomes.

    Raises
    ------
    FileError
        When the format is unknown.
    """
    place = Path(path)
    for one in FORMATS:
        if one.claims(place):
            return one
    if not place.exists() and place.suffix.lower() == ".dcm":
        name = "DICOM SEG" if kind == "seg" else "RTSTRUCT"
        return next(one for one in FORMATS if one.name == name)
    if place.is_file() and dicom.is_dicom(place):
        raise FileError(f"{place}: is of kind {dicom.kind_of(place)}; give an RTSTRUCT or a SEG")
    raise FileError(f"{place}: has an unknown format; give {ENDINGS}")


def _format_to_read(path: PathLike) -> Format:
    if not Path(path).exists():
        raise FileError(f"{path}: no such file; check the path")
    return format_of(path)


def list_structures(path: PathLike, *, frame: Frame | None = None) -> list[Listed]:
    """List the structures of a file of any format by name and number, without reading them.

    Parameters
    ----------
    path : path
        NIfTI, NRRD, MetaImage, STL, PLY, RTSTRUCT, DICOM SEG, or a folder of masks.
    frame : {"RAS", "LPS"}, optional
        Frame of a mesh's vertices, which mesh files do not state.

    Raises
    ------
    FileError, MaskError, GridError
    """
    return _format_to_read(path).structures(Path(path), frame)


def read_segments(path: PathLike, *, frame: Frame | None = None) -> list[Segment]:
    """Read all non-empty structures of a file of any format.

    Parameters
    ----------
    path : path
        NIfTI, NRRD, MetaImage, STL, PLY, RTSTRUCT, DICOM SEG, or a folder of masks.
    frame : {"RAS", "LPS"}, optional
        Frame of a mesh's vertices, which mesh files do not state.

    Raises
    ------
    FileError, MaskError, GridError

    Warns
    -----
    PtvkitWarning
        When a file of a folder is not a mask, such as an image or a probability map; it is left out.
    """
    listed = list_structures(path, frame=frame)
    if not is_folder(Path(path)):
        return [one.segment() for one in listed]
    return [segment for one in listed if (segment := _mask_of_folder(one)) is not None]


def _mask_of_folder(one: Listed) -> Segment | None:
    """Mask of one file of a folder; None when it is empty or, with a warning, not a mask."""
    try:
        return one.segment()
    except EmptyMaskError:
        return None
    except MaskError as error:
        warnings.warn(f"{error}; left out", PtvkitWarning, stacklevel=3)
        return None


def read_structure(path: PathLike, label: int | str | None = None, *, frame: Frame | None = None) -> Mask | Region:
    """Read one structure of a file of any format: a mask where the file contains voxels, else a region.

    The other structures are not read and may be damaged.

    Parameters
    ----------
    path : path
    label : int or str, optional
        Number or name, ignoring case, spaces and underscores; optional when the file has one structure.
    frame : {"RAS", "LPS"}, optional
        Frame of a mesh's vertices.

    Raises
    ------
    FileError, MaskError, GridError
    """
    format_ = _format_to_read(path)
    if format_.read_one is not None:
        return format_.read_one(Path(path), label)
    return choose(format_.structures(Path(path), frame), label, path).read()


def write_segments(
    path: PathLike, segments: Iterable[Segment], options: WriteOptions | None = None, *, kind: str | None = None
) -> None:
    """Write structures in the format of the path's ending, whole or not at all.

    Raises
    ------
    FileError, MaskError, GridError
    """
    chosen = list(segments)
    if not chosen:
        raise MaskError(f"{path}: there is no structure to write")
    one = format_of(path, kind=kind)
    if one.write is None:
        raise FileError(f"{path}: is a {one.name}, a format that cannot be written; give {ENDINGS}")
    one.write(Path(path), chosen, options or WriteOptions())


def grid_of_image(path: PathLike) -> Grid:
    """Grid of an image: NIfTI, NRRD, MetaImage, a DICOM slice, or a folder with a DICOM series.

    Raises
    ------
    FileError, GridError
    """
    place = Path(path)
    if ending(*NIFTI)(place):
        return read_grid(place)
    if place.is_dir() or dicom.is_dicom(place):
        return read_series(place).grid
    shapes = [one.shape for one in read_segments(place)]
    if not shapes or not isinstance(shapes[0], Mask):
        raise FileError(f"{place}: is no image with voxels; give a NIfTI file or the folder of a DICOM series")
    return shapes[0].grid


def on_grid(segment: Segment, grid: Grid) -> Mask:
    """A structure as a mask on a grid; a mask on that grid is returned unchanged."""
    shape = segment.shape
    if isinstance(shape, Mask) and shape.grid.matches(grid):
        return shape
    return replace(as_region(shape), name=segment.name or "the structure").to_mask(grid)


def _voxels(path: Path, segments: Sequence[Segment], options: WriteOptions) -> Grid:
    """Grid to write on: that of the options, else that of the masks."""
    if options.grid is not None:
        return options.grid
    grids = [one.shape.grid for one in segments if isinstance(one.shape, Mask)]
    if not grids:
        raise FileError(f"{path}: contours and meshes have no voxels of their own; give an image as reference")
    if any(not grid.matches(grids[0]) for grid in grids):
        raise FileError(f"{path}: the structures have voxels of different images; give one image as reference")
    return grids[0]
