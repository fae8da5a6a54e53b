"""The segment: one named structure of a file, whatever the file's format."""

from dataclasses import dataclass

from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region

Colour = tuple[int, int, int]


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
