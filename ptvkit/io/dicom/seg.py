"""DICOM segmentations: named voxels, frames placed by their headers."""

import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.io.dicom.reading import (
    TO_RAS,
    DamageError,
    Floats,
    code_of,
    damage,
    grid_of,
    numbers,
    plane_axes,
    read_dataset,
    warn_about,
)
from ptvkit.io.dicom.rtstruct_write import segments_of
from ptvkit.io.dicom.series import read_series
from ptvkit.io.files import PathLike, refuse_overwrite, write_whole
from ptvkit.io.segment import Listed, Segment, choose

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

HALF: Final = 0.5
MOST_VOXELS: Final = 1_000_000_000


def seg_segments(path: PathLike) -> list[Segment]:
    """Read all non-empty segments of a DICOM segmentation.

    Raises
    ------
    FileError, GridError
        See `seg_structures`.
    """
    return [one.segment() for one in seg_structures(path)]


def seg_structures(path: PathLike) -> list[Listed]:
    """List the non-empty segments of a DICOM segmentation, by label and number.

    Frames are placed by their plane position; omitted frames are empty. Of
    fractional segmentations a voxel is inside from one half on.

    Raises
    ------
    FileError, GridError
        When the file is damaged, or its frames are not evenly spaced.

    Warns
    -----
    PtvkitWarning
        When the segmentation is fractional.
    """
    place = Path(path)
    data = read_dataset(place, kind="SEG")
    with damage(place):
        kind = code_of(data, "SegmentationType")
        if kind not in ("BINARY", "FRACTIONAL"):
            raise FileError(f"{place}: is a segmentation of type {kind or 'unknown'}; give a binary or fractional one")
        if kind == "FRACTIONAL":
            warn_about(place, "is fractional; voxels with a value of at least 0.5 are inside")
        inside = _pixels(data, fractional=kind == "FRACTIONAL")
        segments, places = _frames(data)
        holds = inside.any(axis=(1, 2))
        grid, layer = _grid(data, places, place)
        structures = []
        for one in data.SegmentSequence:
            number, label = int(one.SegmentNumber), str(one.get("SegmentLabel", "") or "")
            frames = np.flatnonzero((segments == number) & holds)
            if len(frames):
                read = partial(_mask, inside[frames], layer[frames], grid, f"{place} ({label})")
                structures.append(Listed(name=label, number=number, read=read))
    return structures


def _mask(frames: NDArray[np.bool_], layers: NDArray[np.int64], grid: Grid, name: str) -> Mask:
    """Mask of one segment: frames (N, rows, columns) placed on their layers."""
    array = np.zeros(grid.shape, bool)
    for frame, layer in zip(frames, layers, strict=True):
        array[:, :, layer] |= frame.T
    return Mask.from_array(array, grid.affine, name=name)


def read_seg(path: PathLike, segment: str | int | None = None) -> Mask:
    """Read one segment by label or number; without either, the only one.

    Raises
    ------
    FileError, GridError
        See `seg_structures`.
    MaskError
        When the segment does not exist, or the file has several and none is chosen.
    """
    mask = choose(seg_structures(path), segment, path).read()
    assert isinstance(mask, Mask)
    return mask


def _pixels(data: "Dataset", *, fractional: bool) -> NDArray[np.bool_]:
    """Frames (N, rows, columns)."""
    rows, columns, frames = int(data.Rows), int(data.Columns), int(data.NumberOfFrames)
    if min(rows, columns, frames) < 1 or rows * columns * frames > MOST_VOXELS:
        raise DamageError(f"{frames} frames of {rows}×{columns}")
    needed = rows * columns * frames / (1 if fractional else 8)
    encapsulated = bool(data.file_meta.TransferSyntaxUID.is_encapsulated)
    if not encapsulated and len(data.PixelData) < needed:
        raise DamageError("fewer pixels than its header states")
    values = np.asarray(data.pixel_array).reshape(frames, rows, columns)
    if fractional:
        most = float(data.get("MaximumFractionalValue", 255) or 255)
        values = values >= HALF * most
    inside: NDArray[np.bool_] = values != 0
    return inside


def _frames(data: "Dataset") -> tuple[NDArray[np.int64], Floats]:
    """Segment number (N,) and position (N, 3) of the frames."""
    shared = data.get("SharedFunctionalGroupsSequence", None)
    segments, places = [], []
    for one in data.PerFrameFunctionalGroupsSequence:
        identified = one.get("SegmentIdentificationSequence", None) or shared[0].SegmentIdentificationSequence
        segments.append(int(identified[0].ReferencedSegmentNumber))
        position = one.get("PlanePositionSequence", None) or shared[0].PlanePositionSequence
        places.append(numbers(position[0].ImagePositionPatient, 3, "ImagePositionPatient") * TO_RAS)
    return np.array(segments), np.array(places)


def _grid(data: "Dataset", places: Floats, path: Path) -> tuple[Grid, NDArray[np.int64]]:
    """Grid of all frames, and the layer index of every frame; layers without a frame are empty."""
    shared = data.SharedFunctionalGroupsSequence[0]
    first = data.PerFrameFunctionalGroupsSequence[0]
    oriented = shared.get("PlaneOrientationSequence", None) or first.PlaneOrientationSequence
    measures = (shared.get("PixelMeasuresSequence", None) or first.PixelMeasuresSequence)[0]
    across, down = plane_axes(oriented[0])
    spacing = numbers(measures.PixelSpacing, 2, "PixelSpacing")
    normal = np.cross(across, down)
    heights = places @ normal
    steps = np.diff(np.unique(np.round(heights, 3)))
    thickness = measures.get("SpacingBetweenSlices", None) or measures.get("SliceThickness", None)
    step = abs(float(thickness)) if thickness else float(steps.min()) if len(steps) else 1.0
    layer = np.rint((heights - heights.min()) / step).astype(np.int64)
    if np.abs(heights - heights.min() - layer * step).max() > 0.05 * step:
        raise DamageError("its frames are not evenly spaced")
    count = int(layer.max()) + 1
    if count * int(data.Rows) * int(data.Columns) > MOST_VOXELS:
        raise DamageError(f"its frames reach over {count} slices")
    base = places[int(heights.argmin())]
    filled = base + np.arange(count)[:, None] * normal * step
    shape = (int(data.Rows), int(data.Columns))
    grid, _ = grid_of(across, down, spacing, shape, filled, path, thickness_mm=step)
    return grid, layer


def write_seg(
    path: PathLike,
    structures: Mapping[str, Mask | Region] | Iterable[Segment],
    *,
    reference: PathLike,
) -> None:
    """Write structures as a binary DICOM segmentation on the slices of an image, whole or not at all.

    Parameters
    ----------
    path : path
    structures : mapping of name to Mask or Region, or Segments
        Masks on the image's grid are written unchanged; other structures are sampled on it.
    reference : path
        Image series.

    Raises
    ------
    FileError
        When a file cannot be read or written, or highdicom is not installed.
    MaskError
        When a structure has no voxel on the image.
    """
    try:
        import highdicom
    except ImportError:
        raise FileError('DICOM segmentations need highdicom; install it with  pip install "ptvkit[dicom]"') from None
    refuse_overwrite([path], [reference])
    segments = segments_of(structures, path)
    series = read_series(reference)
    planes = np.stack([_on(one, series.grid, path).transpose(2, 1, 0) for one in segments], axis=-1)
    with damage(reference), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one repeats the patient's name
        segmentation = highdicom.seg.Segmentation(
            source_images=[_with_pixels(one) for one in series.slices],
            pixel_array=planes.astype(np.uint8),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(one, n, highdicom) for n, one in enumerate(segments, start=1)],
            series_instance_uid=highdicom.UID(),
            series_number=1,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="ptvkit",
            manufacturer_model_name="ptvkit",
            software_versions=version("ptvkit"),
            device_serial_number="1",
        )
    stream = BytesIO()
    segmentation.save_as(stream)
    with write_whole(path) as file:
        file.write(stream.getvalue())


def _on(segment: Segment, grid: Grid, path: PathLike) -> NDArray[np.bool_]:
    shape = segment.shape
    mask = shape if isinstance(shape, Mask) and shape.grid.matches(grid) else as_region(shape).to_mask(grid)
    if mask.is_empty:
        raise MaskError(f"{path}: {segment.name} has no voxel on the image; give the image on which it was drawn")
    return mask.array


def _with_pixels(data: "Dataset") -> "Dataset":
    # highdicom requires elements that headers read without pixels may lack.
    for name, usual in (("PatientBirthDate", ""), ("PatientSex", ""), ("AccessionNumber", ""), ("StudyID", "")):
        if name not in data:
            setattr(data, name, usual)
    return data


def _description(segment: Segment, number: int, highdicom: Any) -> Any:
    codes = highdicom.sr.CodedConcept
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:64],
        segmented_property_category=codes("123037004", "SCT", "Anatomical Structure"),
        segmented_property_type=codes("123037004", "SCT", "Anatomical Structure"),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="ptvkit", version=version("ptvkit"), family=codes("123109", "DCM", "Manual Processing")
        ),
    )
