"""The formats that structures come in: one table, read and written by content and ending."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.io import mesh_files
from ptvkit.io.dicom import reading as dicom
from ptvkit.io.dicom.rtstruct import rtstruct_segments
from ptvkit.io.dicom.rtstruct_write import write_rtstruct
from ptvkit.io.dicom.seg import seg_segments, write_seg
from ptvkit.io.dicom.series import read_series
from ptvkit.io.files import PathLike
from ptvkit.io.itk import read_itk, write_itk
from ptvkit.io.nifti import read_grid, read_label_map, read_mask, write_labels, write_mask
from ptvkit.io.nrrd import read_nrrd, write_nrrd
from ptvkit.io.segment import Frame, Segment, Wish

NIFTI: Final = (".nii", ".nii.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format.

    Attributes
    ----------
    name : str
    claims : callable
        Whether a path is of it; for a file that is not there yet its ending decides.
    read : callable
        All structures of a path.
    write : callable or None
    """

    name: str
    claims: Callable[[Path], bool]
    read: Callable[[Path, Frame | None], list[Segment]]
    write: Callable[[Path, Sequence[Segment], Wish], None] | None = None


def ending(*endings: str) -> Callable[[Path], bool]:
    """Claims paths by their ending."""
    return lambda path: path.name.lower().endswith(endings)


def _dicom_of(kind: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and dicom.is_dicom(path) and dicom.kind_of(path) == kind


def _write_rtstruct(path: Path, segments: Sequence[Segment], wish: Wish) -> None:
    write_rtstruct(path, segments, reference=wish.reference)


def _write_seg(path: Path, segments: Sequence[Segment], wish: Wish) -> None:
    if wish.reference is None:
        raise FileError(f"{path}: a DICOM segmentation belongs to an image; give its folder (--reference)")
    write_seg(path, segments, reference=wish.reference)


def _read_nifti(path: Path, frame: Frame | None) -> list[Segment]:
    array, grid, names = read_label_map(path)
    labels = [int(value) for value in np.unique(array) if value]
    return [
        Segment(
            name=names.get(label, "" if len(labels) > 1 else _stem(path)),
            number=label,
            shape=Mask.from_array(array == label, grid.affine, name=f"{path} ({names.get(label, label)})"),
        )
        for label in labels
    ]


def _write_nifti(path: Path, segments: Sequence[Segment], wish: Wish) -> None:
    grid = _voxels(path, segments, wish)
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
            " one structure at a time (--structure)"
        )


def _write_nrrd(path: Path, segments: Sequence[Segment], wish: Wish) -> None:
    grid = _voxels(path, segments, wish)
    write_nrrd(path, ((one, on_grid(one, grid)) for one in segments), grid)


def _write_itk(path: Path, segments: Sequence[Segment], wish: Wish) -> None:
    grid = _voxels(path, segments, wish)
    labels = np.zeros(grid.shape, np.uint16)
    for number, one in enumerate(segments, start=1):
        mask = on_grid(one, grid)
        _refuse_overlap(labels, mask, one, segments, path)
        labels[mask.array] = number
    write_itk(path, labels, grid)


def _read_folder(path: Path, frame: Frame | None) -> list[Segment]:
    """A folder of masks, one a file, as TotalSegmentator writes them; empty ones are left out."""
    found = []
    for number, file in enumerate(sorted(one for one in path.iterdir() if ending(*NIFTI)(one)), start=1):
        array, grid, _ = read_label_map(file)
        if array.any():
            mask = Mask.from_array(array != 0, grid.affine, name=str(file))
            found.append(Segment(name=_stem(file), shape=mask, number=number))
    return found


FORMATS: Final = (
    Format(
        name="folder of NIfTI masks",
        claims=lambda path: path.is_dir() and any(ending(*NIFTI)(one) for one in path.iterdir()),
        read=_read_folder,
    ),
    Format(name="NIfTI", claims=ending(*NIFTI), read=_read_nifti, write=_write_nifti),
    Format(name="NRRD", claims=ending(".nrrd"), read=lambda path, _: read_nrrd(path), write=_write_nrrd),
    Format(name="MetaImage", claims=ending(".mha"), read=lambda path, _: read_itk(path), write=_write_itk),
    Format(name="mesh", claims=ending(".stl", ".ply"), read=mesh_files.read, write=mesh_files.write_segments),
    Format(name="DICOM SEG", claims=_dicom_of("SEG"), read=lambda path, _: seg_segments(path), write=_write_seg),
    Format(
        name="RTSTRUCT",
        claims=_dicom_of("RTSTRUCT"),
        read=lambda path, _: rtstruct_segments(path),
        write=_write_rtstruct,
    ),
)
"""In the order in which they are asked whether a path is theirs."""
ENDINGS: Final = ".nii, .nii.gz, .seg.nrrd, .nrrd, .mha, .stl, .ply, or .dcm"


def format_of(path: PathLike, *, kind: str | None = None) -> Format:
    """The format of a path: by content where it is there, else by its ending.

    Parameters
    ----------
    path : path
    kind : {"rtstruct", "seg"}, optional
        Which of the two a new ``.dcm`` is to be.

    Raises
    ------
    FileError
        When it is none that is known here.
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
    raise FileError(f"{place}: is in no format that is known here; give {ENDINGS}")


def read_segments(path: PathLike, *, frame: Frame | None = None) -> list[Segment]:
    """All structures of a file, whatever its format.

    Parameters
    ----------
    path : path
        NIfTI, NRRD, MetaImage, STL, PLY, RTSTRUCT, DICOM SEG, or a folder of masks.
    frame : {"RAS", "LPS"}, optional
        Of a mesh's vertices; meshes do not say it.

    Raises
    ------
    FileError, MaskError, GridError
    """
    return format_of(path).read(Path(path), frame)


def read_structure(path: PathLike, label: int | str | None = None, *, frame: Frame | None = None) -> Mask | Region:
    """One structure of a file, whatever its format: a mask where the file holds voxels, else a region.

    Parameters
    ----------
    path : path
    label : int or str, optional
        Number or name; not needed when there is one.
    frame : {"RAS", "LPS"}, optional
        Of a mesh's vertices.

    Raises
    ------
    FileError, MaskError, GridError
    """
    if format_of(path).name in ("NIfTI", "folder of NIfTI masks"):
        return read_mask(path, label=label)
    there = read_segments(path, frame=frame)
    listed = ", ".join(f"{one.number} {one.name!r}" if one.name else f"{one.number}" for one in there) or "nothing"
    if label is None:
        chosen = there
    else:
        chosen = [one for one in there if (one.number if isinstance(label, int) else one.name) == label]
        if not chosen and isinstance(label, str):
            chosen = [one for one in there if one.name.casefold() == label.casefold()]
    if len(chosen) == 1:
        return chosen[0].shape
    if label is None or chosen:
        raise MaskError(f"{path}: holds {len(chosen)} structures, choose one by name or number (--label): {listed}")
    near = difflib.get_close_matches(str(label), [one.name for one in there], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    raise MaskError(f"{path}: has no structure {label!r}{hint} it has {listed}")


def write_segments(
    path: PathLike, segments: Iterable[Segment], wish: Wish | None = None, *, kind: str | None = None
) -> None:
    """Write structures in the format of a path's ending, whole or not at all.

    Raises
    ------
    FileError, MaskError, GridError
    """
    found = list(segments)
    if not found:
        raise MaskError(f"{path}: there is no structure to write")
    one = format_of(path, kind=kind)
    if one.write is None:
        raise FileError(f"{path}: is a {one.name}, which is not written; give {ENDINGS}")
    one.write(Path(path), found, wish or Wish())


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
    """A structure as voxels of a grid; a mask on it stays as it is."""
    shape = segment.shape
    if isinstance(shape, Mask) and shape.grid.matches(grid):
        return shape
    return replace(as_region(shape), name=segment.name or "the structure").to_mask(grid)


def _voxels(path: Path, segments: Sequence[Segment], wish: Wish) -> Grid:
    """The grid to write on: as asked, or that of the masks."""
    if wish.grid is not None:
        return wish.grid
    grids = [one.shape.grid for one in segments if isinstance(one.shape, Mask)]
    if not grids:
        raise FileError(f"{path}: contours and meshes have no voxels of their own; give an image's (--reference)")
    if any(not grid.matches(grids[0]) for grid in grids):
        raise FileError(f"{path}: the structures have voxels of different images; give one image (--reference)")
    return grids[0]


def _stem(path: Path) -> str:
    name = path.name
    for suffix in NIFTI[::-1]:
        name = name.removesuffix(suffix)
    return name
