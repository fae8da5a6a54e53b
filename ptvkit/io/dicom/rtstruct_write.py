"""Writing of structure sets: contours at the precision of the surface, on the slices of an image or structure set."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.contours import contours_of
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.io.colours import structure_colour
from ptvkit.io.dicom.keyholes import with_keyholes
from ptvkit.io.dicom.reading import COPIED, TO_RAS, Floats, damage, read_dataset, require_pydicom, warn_about
from ptvkit.io.dicom.rtstruct import require_frame
from ptvkit.io.dicom.series import read_series
from ptvkit.io.files import PathLike, refuse_overwrite, write_whole
from ptvkit.io.segment import Segment

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

RTSTRUCT: Final = "1.2.840.10008.5.1.4.1.1.481.3"
STUDY_CLASS: Final = "1.2.840.10008.3.1.2.3.1"
TYPES: Final = ("GTV", "CTV", "PTV")
LONGEST_NAME: Final = 64
LONGEST_TEXT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Slices:
    """Slices of contours: a grid whose last axis is the slice number, and the UIDs of known slices.

    Slices known only from existing contours are continued at the same spacing.
    """

    grid: Grid
    uids: Mapping[int, str]
    image_class: str
    ends: bool = True


def write_rtstruct(
    path: PathLike,
    structures: Mapping[str, Mask | Region] | Iterable[Segment],
    *,
    reference: PathLike | None = None,
    add_to: PathLike | None = None,
    description: str = "",
    label: str = "ptvkit",
) -> None:
    """Write structures as DICOM contours, whole or not at all.

    A hole is joined to the contour around it by a channel of zero width (keyhole), so that readers that fill each
    contour and readers that combine contours by exclusive or agree. Patient and study are those of the reference.

    Parameters
    ----------
    path : path
        Must not be an input; an existing file is replaced.
    structures : mapping of name to Mask or Region, or Segments
        A name that begins with GTV, CTV or PTV gets that type.
    reference : path, optional
        Image series (folder or one slice) on whose slices contours are drawn.
    add_to : path, optional
        A structure set whose structures stay as they are, in a new file; without `reference` contours are drawn on its
        planes.
    description : str
        How the structures came about, such as their margins; up to 1,024 characters.
    label : str
        Of the structure set, up to 16 characters.

    Raises
    ------
    FileError
        When a file cannot be read or written, or the frames of reference differ.
    MaskError
        When there is no structure, one is empty or lies on none of the slices, or a name is there already.

    Warns
    -----
    PtvkitWarning
        When part of a structure lies beyond the slices.
    """
    pydicom = require_pydicom()
    segments = segments_of(structures, path)
    if reference is None and add_to is None:
        raise FileError(f"{path}: a structure set belongs to an image; give reference, its folder, or add_to")
    refuse_overwrite([path], [one for one in (reference, add_to) if one is not None])
    if add_to is not None:
        old = read_dataset(add_to, kind="RTSTRUCT")
        with damage(add_to):
            slices = _own_planes(old, Path(add_to)) if reference is None else _series_slices(reference)[1]
            data = deepcopy(old)
        if reference is not None:
            require_frame(_frame_of(old), Path(add_to), read_series(reference))
    else:
        assert reference is not None
        first, slices = _series_slices(reference)
        data = _new(first, slices, label)
    drawn = [(one, _contours(one, slices, path)) for one in segments]
    with damage(add_to or reference or path):
        _refuse_names(data, segments, path)
        for one, contours in drawn:
            _append(data, one, contours, slices, description)
        _stamp(data, pydicom)
    stream = BytesIO()
    data.save_as(stream, enforce_file_format=True)
    with write_whole(path) as file:
        file.write(stream.getvalue())


def segments_of(structures: Mapping[str, Mask | Region] | Iterable[Segment], path: PathLike) -> list[Segment]:
    """Structures with names that DICOM can hold, each once.

    Raises
    ------
    MaskError
    """
    if isinstance(structures, Mapping):
        segments = [Segment(name=name, shape=shape) for name, shape in structures.items()]
    else:
        segments = [
            one if one.name.strip() else replace(one, name=f"Segment {one.number or n}")
            for n, one in enumerate(structures, start=1)
        ]
    if not segments:
        raise MaskError(f"{path}: there is no structure to write")
    for one in segments:
        if not 1 <= len(one.name.strip()) <= LONGEST_NAME or "\\" in one.name:
            raise MaskError(
                f"{path}: a structure's name needs 1 to {LONGEST_NAME} characters and no \\, found {one.name!r}"
            )
    names = [one.name for one in segments]
    if len(set(names)) < len(names):
        raise MaskError(f"{path}: two structures have the same name; rename one")
    return segments


def _series_slices(reference: PathLike) -> tuple["Dataset", _Slices]:
    series = read_series(reference)
    uids = dict(enumerate(series.uids))
    first = series.slices[0]
    return first, _Slices(grid=series.grid, uids=uids, image_class=str(first.SOPClassUID))


def _frame_of(data: "Dataset") -> str:
    return str(data.StructureSetROISequence[0].get("ReferencedFrameOfReferenceUID", ""))


def _own_planes(data: "Dataset", path: Path) -> _Slices:
    """Axial planes of a structure set's contours, and the slices to which they refer."""
    slices: dict[float, tuple[str, str]] = {}
    for drawn in data.get("ROIContourSequence", None) or []:
        for one in drawn.get("ContourSequence", None) or []:
            points = np.array([float(value) for value in one.ContourData], float).reshape(-1, 3)
            if np.ptp(points[:, 2]) > 0.01:
                continue
            image = (one.get("ContourImageSequence", None) or [None])[0]
            named = (
                ("", "") if image is None else (str(image.ReferencedSOPInstanceUID), str(image.ReferencedSOPClassUID))
            )
            height = round(float(points[0, 2]), 2)
            slices[height] = max(named, slices.get(height, ("", "")))
    heights = np.array(sorted(slices))
    steps = np.diff(heights)
    if len(steps) < 1:
        raise FileError(f"{path}: its contours do not show the slice positions; give reference, the image's folder")
    step = float(np.median(steps))
    number = np.rint((heights - heights[0]) / step).astype(int)
    if np.abs(heights - heights[0] - number * step).max() > 0.1:
        raise FileError(f"{path}: its contours are not on evenly spaced slices; give reference, the image's folder")
    # The in-plane pixel size does not matter: contours are not sampled to pixels.
    affine = np.diag([-1.0, -1.0, step, 1.0])
    affine[2, 3] = heights[0]
    uids = {int(n): slices[h][0] for n, h in zip(number, heights.tolist(), strict=True) if slices[h][0]}
    grid = Grid(shape=(1, 1, int(number[-1]) + 1), affine=affine)
    classes = [slices[h][1] for h in heights.tolist() if slices[h][1]]
    return _Slices(grid=grid, uids=uids, image_class=classes[0] if classes else "", ends=False)


def _contours(segment: Segment, slices: _Slices, path: PathLike) -> list[tuple[int, Floats]]:
    """Contours with their slice number, within the slices only."""
    region = as_region(segment.shape)
    if region.is_empty:
        raise MaskError(f"{path}: {segment.name} is empty; there is nothing to draw")
    by_slice = contours_of(region, slices.grid)
    beyond = [n for n in by_slice if slices.ends and not 0 <= n < slices.grid.shape[2]]
    axes = slices.grid.axes[:, :2]
    drawn = {n: with_keyholes(contours, axes) for n, contours in sorted(by_slice.items()) if n not in beyond}
    kept = [(n, one) for n, contours in drawn.items() for one in contours]
    if not kept:
        raise MaskError(f"{path}: {segment.name} lies on none of the image's slices; give the image that it belongs to")
    if beyond:
        warn_about(path, f"{segment.name} reaches {len(beyond)} slices beyond the image, where it is not drawn")
    return kept


def _refuse_names(data: "Dataset", segments: Sequence[Segment], path: PathLike) -> None:
    there = {str(one.get("ROIName", "")) for one in data.StructureSetROISequence}
    for one in segments:
        if one.name in there:
            raise MaskError(f"{path}: a structure {one.name!r} is there already; choose another name")


def _new(first: "Dataset", slices: _Slices, label: str) -> "Dataset":
    """A structure set without structures, for an image."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items
    from pydicom.uid import generate_uid

    data = Dataset()
    data.SOPClassUID = RTSTRUCT
    for name in COPIED:
        if name in first:
            data[name] = deepcopy(first[name])
    for name in COPIED:
        if name not in data and name not in ("SpecificCharacterSet", "StudyInstanceUID", "FrameOfReferenceUID"):
            setattr(data, name, "")
    data.Modality, data.Manufacturer, data.SeriesInstanceUID = "RTSTRUCT", "ptvkit", generate_uid()
    data.SeriesNumber, data.InstanceNumber, data.OperatorsName = None, "1", ""
    data.StructureSetLabel = label[:16]
    data.ApprovalStatus = "UNAPPROVED"
    series = Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ContourImageSequence = Items([_image(slices.image_class, uid) for uid in slices.uids.values()])
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY_CLASS, first.StudyInstanceUID
    study.RTReferencedSeriesSequence = Items([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = first.FrameOfReferenceUID
    frame.RTReferencedStudySequence = Items([study])
    data.ReferencedFrameOfReferenceSequence = Items([frame])
    data.StructureSetROISequence = Items([])
    data.ROIContourSequence = Items([])
    data.RTROIObservationsSequence = Items([])
    return data


def _image(image_class: str, uid: str) -> "Dataset":
    from pydicom.dataset import Dataset

    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = image_class, uid
    return image


def _append(
    data: "Dataset", segment: Segment, contours: Sequence[tuple[int, Floats]], slices: _Slices, description: str
) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items

    number = 1 + max((int(one.ROINumber) for one in data.StructureSetROISequence), default=0)
    roi = Dataset()
    roi.ROINumber = number
    frames = data.get("ReferencedFrameOfReferenceSequence", None)
    known = _frame_of(data) if data.StructureSetROISequence else str(frames[0].FrameOfReferenceUID)
    roi.ReferencedFrameOfReferenceUID = known
    roi.ROIName = segment.name
    if description:
        roi.ROIDescription = description[:LONGEST_TEXT]
    roi.ROIGenerationAlgorithm = "AUTOMATIC"
    data.StructureSetROISequence.append(roi)
    drawn = Dataset()
    drawn.ROIDisplayColor = [*(segment.colour or structure_colour(segment.name, number - 1))]
    drawn.ContourSequence = Items([_contour(points, slices, n) for n, points in contours])
    drawn.ReferencedROINumber = number
    data.ROIContourSequence.append(drawn)
    seen = Dataset()
    seen.ObservationNumber = 1 + max((int(one.ObservationNumber) for one in data.RTROIObservationsSequence), default=0)
    seen.ReferencedROINumber = number
    seen.RTROIInterpretedType = segment.kind or _usual_type(segment.name)
    seen.ROIInterpreter = ""
    data.RTROIObservationsSequence.append(seen)


def _contour(points: Floats, slices: _Slices, number: int) -> "Dataset":
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items

    contour = Dataset()
    if number in slices.uids:
        contour.ContourImageSequence = Items([_image(slices.image_class, slices.uids[number])])
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(points)
    # 0.1 µm; fits the 16 characters of a DICOM decimal string
    contour.ContourData = [f"{value + 0.0:.4f}" for value in (points * TO_RAS).reshape(-1).tolist()]
    return contour


def _usual_type(name: str) -> str:
    return next((kind for kind in TYPES if name.upper().startswith(kind)), "")


def _stamp(data: "Dataset", pydicom: Any) -> None:
    """Mark as a new, unapproved instance of this software."""
    now = datetime.now(UTC)
    data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.StructureSetDate = data.InstanceCreationDate = now.strftime("%Y%m%d")
    data.StructureSetTime = data.InstanceCreationTime = now.strftime("%H%M%S")
    data.SoftwareVersions = f"ptvkit {version('ptvkit')}"
    for name in ("OperatorsName", "PositionReferenceIndicator"):  # older sets lack what they should have
        if name not in data:
            setattr(data, name, "")
    if "FrameOfReferenceUID" not in data:
        data.FrameOfReferenceUID = data.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
    data.ApprovalStatus = "UNAPPROVED"
    for name in ("ReviewDate", "ReviewTime", "ReviewerName"):
        if name in data:
            del data[name]
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTSTRUCT, data.SOPInstanceUID
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.ImplementationVersionName = "PTVKIT"
    data.file_meta = meta
