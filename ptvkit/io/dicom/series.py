"""Image series: geometry and values of a folder of DICOM slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError
from ptvkit.geometry.grid import Grid
from ptvkit.io.dicom.reading import (
    TO_RAS,
    damage,
    grid_of,
    is_dicom,
    numbers,
    plane_axes,
    read_dataset,
)
from ptvkit.io.files import PathLike

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MOST_FILES: Final = 20_000
IMAGES: Final = ("CT", "MR", "PT", "NM")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Slices of one image, in order.

    Attributes
    ----------
    path : Path
        Folder, or the file of a single slice.
    grid : Grid
        Array axes (column, row, slice), patient frame RAS+ mm.
    slices : tuple of Dataset
        Slice headers, along the grid's last axis.
    """

    path: Path
    grid: Grid
    slices: tuple["Dataset", ...]

    @property
    def frame(self) -> str:
        """UID of the frame of reference."""
        return str(self.slices[0].get("FrameOfReferenceUID", ""))

    @property
    def uids(self) -> tuple[str, ...]:
        """SOP instance UIDs of the slices."""
        return tuple(str(one.SOPInstanceUID) for one in self.slices)


def read_series(path: PathLike) -> Series:
    """Read the image series of a folder, or one slice.

    Raises
    ------
    FileError
        When there is no series, or more than one.
    GridError
        When slices are missing or duplicated, or the gantry was tilted.
    """
    place = Path(path)
    files = _files(place)
    headers = [(file, read_dataset(file, headers_only=True)) for file in files]
    images = [(file, data) for file, data in headers if str(data.get("Modality", "")) in IMAGES]
    if not images:
        raise FileError(f"{place}: holds no image slices (CT, MR, PT); give the folder of the planning image")
    series = {str(data.get("SeriesInstanceUID", "")) for _, data in images}
    if len(series) > 1:
        raise FileError(f"{place}: holds {len(series)} image series; give a folder with one")
    with damage(place):
        return _sorted(place, [data for _, data in images])


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise FileError(f"{place}: no such file or folder; give the folder of the planning image")
    files = sorted(file for file in place.iterdir() if file.is_file())
    if len(files) > MOST_FILES:
        raise FileError(f"{place}: holds {len(files):,} files; give a folder with one image series")
    return [file for file in files if is_dicom(file)]


def _sorted(place: Path, slices: Sequence["Dataset"]) -> Series:
    first = slices[0]
    across, down = plane_axes(first)
    spacing = numbers(first.PixelSpacing, 2, "PixelSpacing")
    for other in slices[1:]:
        same = all(np.allclose(a, b, atol=1e-4) for a, b in zip(plane_axes(other), (across, down), strict=True))
        if not same or (other.Rows, other.Columns) != (first.Rows, first.Columns):
            raise FileError(f"{place}: its slices differ in size or direction; give a folder with one image series")
    places = np.array([numbers(one.ImagePositionPatient, 3, "ImagePositionPatient") * TO_RAS for one in slices])
    shape = (int(first.Rows), int(first.Columns))
    grid, order = grid_of(across, down, spacing, shape, places, place, thickness_mm=_thickness(first))
    if len({str(one.SOPInstanceUID) for one in slices}) < len(slices):
        raise FileError(f"{place}: two of its slices have the same SOPInstanceUID; export the series again")
    return Series(path=place, grid=grid, slices=tuple(slices[n] for n in order))


def _thickness(data: "Dataset") -> float | None:
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        value = data.get(name)
        if value is not None and float(value) > 0:
            return float(value)
    return None


def read_ct(path: PathLike) -> tuple[NDArray[np.float32], Grid]:
    """Read the values of an image series, rescaled by its headers (CT: HU), and its grid.

    Returns
    -------
    array : (I, J, K) float32
        Axes: columns, rows, slices.
    grid : Grid
        Patient frame RAS+ mm.

    Raises
    ------
    FileError, GridError
        See `read_series`; also when the pixel compression is not supported.
    """
    series = read_series(path)
    wanted = {uid: n for n, uid in enumerate(series.uids)}
    values = np.empty(series.grid.shape, np.float32)
    for file in _files(Path(path)):
        data = read_dataset(file)
        place = wanted.get(str(data.get("SOPInstanceUID", "")))
        if place is not None:
            with damage(file):
                values[:, :, place] = _scaled(data).T
    return values, series.grid


def _scaled(data: Any) -> NDArray[np.float32]:
    pixels = np.asarray(data.pixel_array, np.float32)
    scaled: NDArray[np.float32] = pixels * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
    return scaled
