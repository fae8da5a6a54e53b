"""The segment: one named structure of a file, whatever the file's format, and how it is wished to be written."""

from dataclasses import dataclass
from typing import Literal

from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.files import PathLike

Colour = tuple[int, int, int]
Frame = Literal["RAS", "LPS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One named structure of a file.

    Attributes
    ----------
    name : str
        As the file has it; may be empty.
    shape : Mask or Region
        Voxels where the file holds voxels, a surface between them where it holds contours or a mesh.
    number : int or None
        Its label or ROI number in the file.
    colour : (red, green, blue) or None
        0 to 255.
    kind : str
        What it is for, where the file tells: ``"GTV"``, ``"CTV"``, ``"PTV"``, ``"ORGAN"``, …
    """

    name: str
    shape: Mask | Region
    number: int | None = None
    colour: Colour | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How structures are to be written.

    Attributes
    ----------
    grid : Grid or None
        Of the voxels, in formats that have them.
    reference : path or None
        The image series, in DICOM.
    frame : {"RAS", "LPS"} or None
        Of the vertices, in meshes.
    """

    grid: Grid | None = None
    reference: PathLike | None = None
    frame: Frame | None = None
