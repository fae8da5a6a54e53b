"""Reading of structure sets: contours become regions directly, without voxels."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.contours import region_from_contours
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.io.colours import Colour
from ptvkit.io.dicom.reading import (
    TO_RAS,
    DamageError,
    Floats,
    damage,
    damage_types,
    is_dicom,
    kind_of,
    read_dataset,
    warn_about,
)
from ptvkit.io.dicom.series import Series, read_series
from ptvkit.io.files import PathLike
from ptvkit.io.segment import Listed, Segment, choose

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CLOSED: Final = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
KINDS: Final = ("GTV", "CTV", "PTV", "ORGAN", "AVOIDANCE", "EXTERNAL")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Roi:
    """One structure of a structure set.

    Attributes
    ----------
    number : int
    name : str
    kind : str
        Interpreted type: ``GTV``, ``CTV``, ``PTV``, ``ORGAN``, …; may be empty.
    colour : (red, green, blue) or None
    contours : tuple of (N, 3) array
        Closed contours, patient frame RAS+, mm.
    left_out : int
        Number of points and open contours, which enclose no area.
    frame : str
        UID of the frame of reference.
    """

    number: int
    name: str
    kind: str
    colour: Colour | None
    contours: tuple[Floats, ...] = field(repr=False)
    left_out: int
    frame: str


def read_rois(path: PathLike) -> tuple[Roi, ...]:
    """Read all structures of a structure set, including those without contours.

    Parameters
    ----------
    path : path
        File, or folder with one structure set.

    Raises
    ------
    FileError
        When the file cannot be read, is not a structure set, or the folder does not hold exactly one.
    """
    place = structure_set(path)
    data = read_dataset(place, kind="RTSTRUCT")
    with damage(place):
        return _rois(data)


def structure_set(path: PathLike) -> Path:
    """Path of the single structure set of a folder; a file is returned unchanged."""
    place = Path(path)
    if not place.is_dir():
        return place
    files = [file for file in sorted(place.iterdir()) if is_dicom(file) and kind_of(file) == "RTSTRUCT"]
    if len(files) != 1:
        names = ", ".join(file.name for file in files[:5])
        raise FileError(f"{place}: holds {len(files)} structure sets{': ' + names if names else ''}; give one file")
    return files[0]


def _rois(data: "Dataset") -> tuple[Roi, ...]:
    return tuple(_roi(one, drawn, kind) for one, drawn, kind in _listed(data))


def _listed(data: "Dataset") -> "list[tuple[Dataset, Dataset | None, str]]":
    """ROI item, contour item and interpreted type of the structures, without reading contours."""
    kinds = {
        int(one.ReferencedROINumber): str(one.get("RTROIInterpretedType", "") or "")
        for one in data.get("RTROIObservationsSequence", None) or []
    }
    drawn = {int(one.ReferencedROINumber): one for one in data.get("ROIContourSequence", None) or []}
    numbered = [(int(one.ROINumber), one) for one in data.get("StructureSetROISequence", None) or []]
    return [(one, drawn.get(number), kinds.get(number, "")) for number, one in numbered]


def _roi(one: "Dataset", drawn: "Dataset | None", kind: str) -> Roi:
    contours, left_out = _contours(drawn)
    return Roi(
        number=int(one.ROINumber),
        name=str(one.get("ROIName", "") or ""),
        kind=kind,
        colour=_colour(drawn),
        contours=contours,
        left_out=left_out,
        frame=str(one.get("ReferencedFrameOfReferenceUID", "") or ""),
    )


def _contours(drawn: "Dataset | None") -> tuple[tuple[Floats, ...], int]:
    contours = _contour_items(drawn)
    closed = [one for one in contours if _is_closed(one)]
    return tuple(_points(one) for one in closed), len(contours) - len(closed)


def _contour_items(drawn: "Dataset | None") -> "list[Dataset]":
    return list((drawn.get("ContourSequence", None) if drawn is not None else None) or [])


def _is_closed(contour: "Dataset") -> bool:
    return str(contour.get("ContourGeometricType", "")) in CLOSED


def _points(contour: "Dataset") -> Floats:
    """Points of a contour (N, 3), RAS+ mm."""
    values = np.array([float(value) for value in contour.ContourData], float)
    if not len(values) or len(values) % 3 or not np.isfinite(values).all():
        raise DamageError("ContourData is not a list of points")
    points: Floats = values.reshape(-1, 3) * TO_RAS
    return points


def _colour(drawn: "Dataset | None") -> Colour | None:
    colour = drawn.get("ROIDisplayColor", None) if drawn is not None else None
    if colour is None or len(colour) != 3:
        return None
    red, green, blue = (min(max(int(value), 0), 255) for value in colour)
    return red, green, blue


def read_rtstruct(path: PathLike, roi: str | int | None = None, *, reference: PathLike | Grid | None = None) -> Region:
    """Read one structure of a structure set as a region.

    Contours within others are holes; so is what a keyhole's channel leads to, and what contours of an exclusive or
    leave out. On its plane a contour is kept as it was drawn. A structure ends flat, half a slice beyond its last
    contour.

    Parameters
    ----------
    path : path
        File, or folder with one structure set.
    roi : str or int, optional
        Name (ignoring case, spaces and underscores) or number; optional when one structure has contours.
    reference : path or Grid, optional
        The image that it was drawn on (folder, or slice): its pixels become nodes, so that a mask on it is exact, and
        its frame of reference must be the structure's.

    Returns
    -------
    Region
        Patient frame RAS+ mm.

    Raises
    ------
    FileError
        When a file cannot be read, or the frames of reference differ.
    MaskError
        When the structure does not exist or has no closed contours, or several exist and none is chosen.

    Warns
    -----
    PtvkitWarning
        When slices are missing, or points and open contours are left out.
    """
    place = structure_set(path)
    there = _structures(place, reference)
    drawn = [one for one, is_drawn in there if is_drawn]
    return choose(drawn if roi is None else [one for one, _ in there], roi, place).read()  # type: ignore[return-value]


def rtstruct_segments(path: PathLike, *, reference: PathLike | Grid | None = None) -> list[Segment]:
    """Read all structures of a structure set with closed contours.

    Raises
    ------
    FileError, MaskError
        See `read_rtstruct`.
    """
    return [one.segment() for one in rtstruct_structures(path, reference=reference)]


def rtstruct_structures(path: PathLike, *, reference: PathLike | Grid | None = None) -> list[Listed]:
    """List the structures of a structure set with closed contours, by name and number.

    Contours are read with their structure; a damaged structure does not affect the others.

    Raises
    ------
    FileError
        When the file cannot be read, is not a structure set, or the folder does not hold exactly one.
    """
    return [one for one, is_drawn in _structures(structure_set(path), reference) if is_drawn]


def _structures(place: Path, reference: PathLike | Grid | None) -> list[tuple[Listed, bool]]:
    """Structures of a set, with whether they have closed contours."""
    data = read_dataset(place, kind="RTSTRUCT")
    slice_mm = cache(partial(_slice_distance, data))
    structures = []
    with damage(place):
        for one, drawn, kind in _listed(data):
            number, name = int(one.ROINumber), str(one.get("ROIName", "") or "")
            read = partial(_region, one, drawn, place, reference, slice_mm)
            listed = Listed(name=name, number=number, read=read, colour=_colour(drawn), kind=kind)
            structures.append((listed, any(_is_closed(contour) for contour in _contour_items(drawn))))
    return structures


def _region(
    one: "Dataset",
    drawn: "Dataset | None",
    place: Path,
    reference: PathLike | Grid | None,
    usual_mm: Callable[[], float | None],
) -> Region:
    with damage(place):
        roi = _roi(one, drawn, "")
    name = f"{place} ({roi.name})"
    if not roi.contours:
        raise MaskError(f"{name}: has no closed contours; choose another structure, or contour it first")
    if roi.left_out:
        warn_about(place, f"{roi.name}: {roi.left_out} points or open contours enclose no area and are left out")
    grid = reference if isinstance(reference, Grid) else None
    if reference is not None and not isinstance(reference, Grid):
        series = read_series(reference)
        require_frame(roi.frame, place, series)
        grid = series.grid
    slice_mm = max(grid.spacing_mm) if grid is not None else None
    return region_from_contours(roi.contours, slice_mm=slice_mm or usual_mm(), grid=grid, name=name)


def require_frame(frame: str, place: Path, series: Series) -> None:
    """Refuse an image of another frame of reference.

    Raises
    ------
    FileError
    """
    if frame and series.frame and frame != series.frame:
        raise FileError(
            f"{place}: belongs to another frame of reference than the image {series.path}; give the image that it was"
            " drawn on"
        )


def _slice_distance(data: "Dataset") -> float | None:
    """Median distance between the axial planes of all readable contours, mm; None when there are too few."""
    heights = set()
    for _, drawn, _ in _listed(data):
        for contour in filter(_is_closed, _contour_items(drawn)):
            with suppress(*damage_types()):  # damage of another structure is reported when that structure is read
                points = _points(contour)
                if np.ptp(points[:, 2]) < 0.01:
                    heights.add(round(float(points[0, 2]), 2))
    steps = np.diff(sorted(heights))
    return float(np.median(steps)) if len(steps) > 1 else None
