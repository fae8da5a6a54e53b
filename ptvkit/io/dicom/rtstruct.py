"""Structure sets, read: contours become regions as they were drawn, not by way of voxels."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.contours import region_from_contours
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.io.dicom.reading import TO_RAS, DamageError, Floats, damage, is_dicom, kind_of, read_dataset, told
from ptvkit.io.dicom.series import Series, read_series
from ptvkit.io.files import PathLike
from ptvkit.io.segment import Colour, Segment

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
        Closed ones, patient frame RAS+, mm.
    left_out : int
        Points and open contours, which enclose nothing.
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
    """All structures of a structure set, also those without contours.

    Parameters
    ----------
    path : path
        The file, or a folder that holds one structure set.

    Raises
    ------
    FileError
        When it cannot be read, is no structure set, or the folder holds none or several.
    """
    place = structure_set(path)
    data = read_dataset(place, kind="RTSTRUCT")
    with damage(place):
        return _rois(data)


def structure_set(path: PathLike) -> Path:
    """The one structure set of a folder; a file as it is."""
    place = Path(path)
    if not place.is_dir():
        return place
    found = [file for file in sorted(place.iterdir()) if is_dicom(file) and kind_of(file) == "RTSTRUCT"]
    if len(found) != 1:
        names = ", ".join(file.name for file in found[:5])
        raise FileError(f"{place}: holds {len(found)} structure sets{': ' + names if names else ''}; give one file")
    return found[0]


def _rois(data: "Dataset") -> tuple[Roi, ...]:
    kinds = {
        int(one.ReferencedROINumber): str(one.get("RTROIInterpretedType", "") or "")
        for one in data.get("RTROIObservationsSequence", None) or []
    }
    drawn = {int(one.ReferencedROINumber): one for one in data.get("ROIContourSequence", None) or []}
    found = []
    for one in data.get("StructureSetROISequence", None) or []:
        number = int(one.ROINumber)
        contours, left_out = _contours(drawn.get(number))
        found.append(
            Roi(
                number=number,
                name=str(one.get("ROIName", "") or ""),
                kind=kinds.get(number, ""),
                colour=_colour(drawn.get(number)),
                contours=contours,
                left_out=left_out,
                frame=str(one.get("ReferencedFrameOfReferenceUID", "") or ""),
            )
        )
    return tuple(found)


def _contours(drawn: "Dataset | None") -> tuple[tuple[Floats, ...], int]:
    found, left_out = [], 0
    for one in (drawn.get("ContourSequence", None) if drawn is not None else None) or []:
        if str(one.get("ContourGeometricType", "")) not in CLOSED:
            left_out += 1
            continue
        values = np.array([float(value) for value in one.ContourData], float)
        if not len(values) or len(values) % 3 or not np.isfinite(values).all():
            raise DamageError("ContourData is not a list of points")
        found.append(values.reshape(-1, 3) * TO_RAS)
    return tuple(found), left_out


def _colour(drawn: "Dataset | None") -> Colour | None:
    given = drawn.get("ROIDisplayColor", None) if drawn is not None else None
    if given is None or len(given) != 3:
        return None
    red, green, blue = (min(max(int(value), 0), 255) for value in given)
    return red, green, blue


def read_rtstruct(path: PathLike, roi: str | int | None = None, *, reference: PathLike | Grid | None = None) -> Region:
    """Read one structure of a structure set, from its contours straight to a region.

    Contours within others are holes; so is what a keyhole's channel leads to, and what contours of an exclusive or
    leave out. On its plane a contour is kept as it was drawn. A structure ends flat, half a slice beyond its last
    contour.

    Parameters
    ----------
    path : path
        The file, or a folder that holds one structure set.
    roi : str or int, optional
        Name, without regard to case, spaces and underscores, or number. Not needed when one structure has contours.
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
        When the structure is not there, has no closed contours, or several are there and none was chosen.

    Warns
    -----
    PtvkitWarning
        When slices are missing, or points and open contours are left out.
    """
    place = structure_set(path)
    rois = read_rois(place)
    return _region(chosen_roi(rois, roi, place), rois, place, reference)


def rtstruct_segments(path: PathLike, *, reference: PathLike | Grid | None = None) -> list[Segment]:
    """All structures of a structure set that have closed contours.

    Raises
    ------
    FileError, MaskError
        As `read_rtstruct`.
    """
    place = structure_set(path)
    rois = read_rois(place)
    return [
        Segment(
            name=roi.name,
            shape=_region(roi, rois, place, reference),
            number=roi.number,
            colour=roi.colour,
            kind=roi.kind,
        )
        for roi in rois
        if roi.contours
    ]


def chosen_roi(rois: Sequence[Roi], wanted: str | int | None, place: Path) -> Roi:
    """A structure by name or number; the only one when none is named.

    Raises
    ------
    MaskError
    """
    listed = ", ".join(f"{roi.number} {roi.name!r}" for roi in rois if roi.contours) or "none has contours"
    if wanted is None:
        found = [roi for roi in rois if roi.contours]
        if len(found) != 1:
            raise MaskError(
                f"{place}: has {len(found)} structures with contours, choose one by name or number: {listed}"
            )
        return found[0]
    found = [roi for roi in rois if (roi.number if isinstance(wanted, int) else roi.name) == wanted]
    if not found and isinstance(wanted, str):
        found = [roi for roi in rois if _plain(roi.name) == _plain(wanted)]
    if not found:
        near = difflib.get_close_matches(str(wanted), [roi.name for roi in rois], n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise MaskError(f"{place}: has no structure {wanted!r}{hint} it has {listed}")
    if len(found) > 1:
        raise MaskError(f"{place}: {len(found)} structures are called {wanted!r}; choose by number: {listed}")
    return found[0]


def _plain(name: str) -> str:
    return "".join(name.casefold().replace("_", " ").split())


def _region(roi: Roi, rois: Sequence[Roi], place: Path, reference: PathLike | Grid | None) -> Region:
    name = f"{place} ({roi.name})"
    if not roi.contours:
        raise MaskError(f"{name}: has no closed contours; choose another structure, or draw it")
    if roi.left_out:
        told(place, f"{roi.name}: {roi.left_out} points or open contours enclose nothing and are left out")
    grid = reference if isinstance(reference, Grid) else None
    if reference is not None and not isinstance(reference, Grid):
        series = read_series(reference)
        require_frame(roi.frame, place, series)
        grid = series.grid
    slice_mm = max(grid.spacing_mm) if grid is not None else None
    return region_from_contours(roi.contours, slice_mm=slice_mm or slices_of(rois), grid=grid, name=name)


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


def slices_of(rois: Sequence[Roi]) -> float | None:
    """Usual distance between the axial planes of all contours, mm; None where there are too few."""
    heights = {round(float(one[0, 2]), 2) for roi in rois for one in roi.contours if np.ptp(one[:, 2]) < 0.01}
    steps = np.diff(sorted(heights))
    return float(np.median(steps)) if len(steps) > 1 else None
