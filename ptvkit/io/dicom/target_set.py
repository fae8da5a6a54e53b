"""Targets as a DICOM structure set: CTV and PTV beside the drawn structures."""

from collections.abc import Collection
from itertools import count
from pathlib import Path

from ptvkit.errors import FileError
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.dicom.reading import damage, is_dicom, kind_of, read_dataset
from ptvkit.io.dicom.rtstruct_write import write_rtstruct
from ptvkit.io.files import PathLike
from ptvkit.margins.targets import Targets


def write_targets_rtstruct(
    targets: Targets, path: PathLike, *, source: PathLike | None = None, image: PathLike | None = None
) -> tuple[str, ...]:
    """Write CTV and PTV as contours: into a copy of the structure set of the GTV, or as a new set of an image.

    Parameters
    ----------
    targets : Targets
    path : path
        Output file.
    source : path, optional
        File of the GTV. The structures of a structure set are kept, and CTV and PTV are added.
    image : path, optional
        Image series (folder) on whose slices contours are drawn; required unless `source` is a structure set.

    Returns
    -------
    tuple of str
        Names of the written structures; numbered where the set already has the name.

    Raises
    ------
    FileError
        When there is neither a structure set nor an image series, or a file cannot be read or written.
    """
    series = None if image is None or not _holds_dicom(Path(image)) else image
    is_set = source is not None and is_dicom(source) and kind_of(source) == "RTSTRUCT"
    if not is_set and series is None:
        raise FileError(f"{path}: a structure set needs the GTV from an RTSTRUCT, or grid, the folder of a DICOM image")
    there = _names(source) if is_set and source is not None else ()
    structures: dict[str, Mask | Region] = {} if is_set else {"GTV": targets.gtv}
    for name, region in (("CTV", targets.ctv), ("PTV", targets.ptv)):
        structures[_free(name, there)] = region
    write_rtstruct(path, structures, reference=series, add_to=source if is_set else None)
    return tuple(structures)


def _holds_dicom(path: Path) -> bool:
    return any(is_dicom(file) for file in path.iterdir()) if path.is_dir() else is_dicom(path)


def _names(path: PathLike) -> tuple[str, ...]:
    """Names of all structures of a set, without reading contours."""
    data = read_dataset(path, kind="RTSTRUCT")
    with damage(path):
        return tuple(str(one.get("ROIName", "")) for one in data.get("StructureSetROISequence", None) or [])


def _free(name: str, there: Collection[str]) -> str:
    """A name that is not in use: the name itself, or with a number.

    Examples
    --------
    >>> _free("PTV", ["PTV", "PTV_2"])
    'PTV_3'
    """
    return next(one for n in count(1) if (one := name if n == 1 else f"{name}_{n}") not in there)
