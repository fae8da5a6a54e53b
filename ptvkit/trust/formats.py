"""Round trips of an asymmetric body through every file format.

To add a format, add a line to `FORMATS`: how a mask is written and read back, which module is required, and on which
grids the format can store it.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from ptvkit.errors import PtvkitError
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.dicom.made_series import write_series
from ptvkit.io.formats import read_structure, write_segments
from ptvkit.io.nibabel_reader import read_mask_with_nibabel
from ptvkit.io.nifti import read_mask, write_mask
from ptvkit.io.segment import Frame, Segment, WriteOptions
from ptvkit.trust.orientation import body, grids, reach, went

Kind = Literal["all", "axis-aligned", "right-handed", "some", "axial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """Writing to a format and reading back.

    Attributes
    ----------
    write : callable
        ``write(mask, path)`` writes the mask to a file or folder `path`.
    read : callable
        ``read(path)`` returns the mask or region.
    ending : str
        File ending, such as ``".nii.gz"``; may be empty.
    needs : str
        Required module; empty when there is none.
    grids : {"all", "axis-aligned", "right-handed", "some", "axial"}
        Grids to test: all 48 axis orders and oblique grids; grids along the patient axes; right-handed grids, as in
        DICOM; every tenth grid; the usual order of an axial scan (L, P, S).
    tolerance_mm : float
        Accepted deviation of an arm's length.
    """

    write: Callable[[Mask, Path], object]
    read: Callable[[Path], Mask | Region]
    ending: str = ""
    needs: str = ""
    grids: Kind = "all"
    tolerance_mm: float = 0.01


def _through(ending: str, *, frame: Frame | None = None, kind: str | None = None, **more: Any) -> RoundTrip:
    """Round trip through a format of `ptvkit.io.formats`."""

    def write(mask: Mask, path: Path) -> None:
        scan = write_series(path.with_name(f"{path.stem}-scan"), mask.grid) if ending == ".dcm" else None
        write_segments(path, [Segment(name="body", shape=mask)], WriteOptions(frame=frame, reference=scan), kind=kind)

    return RoundTrip(write=write, read=lambda path: read_structure(path, frame=frame), ending=ending, **more)


SURFACE_MM: Final = 2.0
"""Contours and meshes hold the sub-voxel surface, which rounds the ends of the arms; arms differ by at least 5 mm."""
FORMATS: Final[dict[str, RoundTrip]] = {
    "NIfTI .nii": RoundTrip(write=write_mask, read=read_mask, ending=".nii"),
    "NIfTI .nii.gz": RoundTrip(write=write_mask, read=read_mask, ending=".nii.gz"),
    "NIfTI .nii, read by nibabel": RoundTrip(write=write_mask, read=read_mask_with_nibabel, ending=".nii"),
    "NIfTI .nii.gz, read by nibabel": RoundTrip(write=write_mask, read=read_mask_with_nibabel, ending=".nii.gz"),
    "NRRD .seg.nrrd": _through(".seg.nrrd", needs="nrrd"),
    "MetaImage .mha": _through(".mha", needs="SimpleITK"),
    "STL, RAS": _through(".stl", frame="RAS", grids="some", tolerance_mm=SURFACE_MM),
    "PLY, LPS": _through(".ply", frame="LPS", grids="some", tolerance_mm=SURFACE_MM),
    "DICOM SEG": _through(".dcm", kind="seg", needs="highdicom", grids="right-handed"),
    "RTSTRUCT": _through(".dcm", needs="pydicom", grids="right-handed", tolerance_mm=SURFACE_MM),
}
"""Round trips by format name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """Result of the round trips through one format.

    Attributes
    ----------
    name : str
    state : {"passed", "failed", "not installed"}
    tried : int
        Number of grids.
    went : mapping
        Direction of every arm when read back, by letter: on the first grid with an error, else on the last.
    off_mm : float
        Largest deviation of an arm's length over all grids.
    tolerance_mm : float
    reason : str
        Reason of a failure, or the module to install.
    """

    name: str
    state: Literal["passed", "failed", "not installed"]
    tried: int
    went: Mapping[str, str]
    off_mm: float
    tolerance_mm: float
    reason: str = ""


def run_formats(formats: Mapping[str, RoundTrip] = FORMATS) -> tuple[Journey, ...]:
    """Write the body to every format and read it back.

    Examples
    --------
    >>> journey = run_formats({"NIfTI": FORMATS["NIfTI .nii"]})[0]
    >>> journey.state, journey.tried, "".join(journey.went.values())
    ('passed', 51, 'RLAPSI')
    """
    bodies = {name: body(grid) for name, grid in grids().items()}
    return tuple(_journey(name, trip, bodies) for name, trip in formats.items())


def _journey(name: str, trip: RoundTrip, bodies: Mapping[str, Mask]) -> Journey:
    if trip.needs and find_spec(trip.needs) is None:
        return Journey(
            name=name, state="not installed", tried=0, went={}, off_mm=0.0, tolerance_mm=trip.tolerance_mm,
            reason=f"{trip.needs} is not installed",
        )  # fmt: skip
    directions: dict[str, str] = {}
    worst, tried, reason = 0.0, 0, ""
    with tempfile.TemporaryDirectory() as folder:
        for number, (place, mask) in enumerate(_tried(trip.grids, bodies)):
            expected = reach(mask)
            tried += 1
            try:
                path = Path(folder) / f"{number}{trip.ending}"
                trip.write(mask, path)
                back = reach(trip.read(path))
            except PtvkitError as error:
                reason, back = str(error).replace(str(path), f"a mask on {place}"), {}
            directions = went(expected, back, trip.tolerance_mm)
            worst = max([worst, *(abs(expected[letter] - back[letter]) for letter in back)])
            errors = [f"{a} became {b}" if b != "?" else f"{a} is lost" for a, b in directions.items() if a != b]
            if errors:
                reason = reason or f"on a {place} grid: {', '.join(errors)}"
                break
    state: Literal["passed", "failed"] = "failed" if reason or not tried else "passed"
    return Journey(
        name=name, state=state, tried=tried, went=directions, off_mm=worst, tolerance_mm=trip.tolerance_mm,
        reason=reason or ("" if tried else "tested on no grid"),
    )  # fmt: skip


def _tried(kind: Kind, bodies: Mapping[str, Mask]) -> Iterable[tuple[str, Mask]]:
    for number, (name, mask) in enumerate(bodies.items()):
        fits = {
            "all": True,
            "axis-aligned": mask.grid.is_aligned(),
            "right-handed": np.linalg.det(mask.grid.axes) > 0,
            "some": number % 10 == 0,
            "axial": name == "LPS",
        }
        if fits[kind]:
            yield name, mask
