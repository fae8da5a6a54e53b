"""Structures of a file, whatever its format: listed by name, read as segments, and options for writing them."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ptvkit.errors import MaskError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.colours import Colour
from ptvkit.io.files import PathLike
from ptvkit.text import LONGEST_SHOWN, printable

Frame = Literal["RAS", "LPS"]
MOST_LISTED: Final = 40


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
        DICOM type of the structure, where the file states it: ``"GTV"``, ``"CTV"``, ``"PTV"``, ``"ORGAN"``, …
    """

    name: str
    shape: Mask | Region
    number: int | None = None
    colour: Colour | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listed:
    """Structure of a file, listed and not yet read.

    Attributes
    ----------
    name : str
        As the file has it; may be empty.
    number : int or None
        Its label or ROI number in the file.
    read : callable
        Reads its shape, a Mask or a Region.
    colour, kind
        As in `Segment`.
    """

    name: str
    number: int | None
    read: Callable[[], Mask | Region]
    colour: Colour | None = None
    kind: str = ""

    def segment(self) -> Segment:
        """Read the structure."""
        return Segment(name=self.name, shape=self.read(), number=self.number, colour=self.colour, kind=self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """Options for writing structures.

    Attributes
    ----------
    grid : Grid or None
        Voxel grid, for formats with voxels.
    reference : path or None
        Image series, for DICOM.
    frame : {"RAS", "LPS"} or None
        Frame of the vertices, for meshes.
    """

    grid: Grid | None = None
    reference: PathLike | None = None
    frame: Frame | None = None


Wish = WriteOptions


def plain_name(name: str) -> str:
    """A name in a form that ignores case, spaces and underscores.

    Examples
    --------
    >>> plain_name("Tumor_Bed") == plain_name("tumor bed")
    True
    """
    return "".join(name.casefold().replace("_", " ").split())


def choose(listed: Sequence[Listed], label: int | str | None, path: PathLike) -> Listed:
    """Choose a structure of a file by number or name; without a label, the only one.

    Raises
    ------
    MaskError
        When no structure or several match; the message lists the structures of the file.
    """
    there = ", ".join(f"{one.number} {one.name!r}" if one.name else f"{one.number}" for one in listed[:MOST_LISTED])
    there = f"{there or 'nothing'}{f' and {len(listed) - MOST_LISTED} more' if len(listed) > MOST_LISTED else ''}"
    if label is None:
        if len(listed) == 1:
            return listed[0]
        raise MaskError(f"{path}: holds {len(listed)} structures; choose one by name or number (label): {there}")
    chosen = [one for one in listed if (one.number if isinstance(label, int) else one.name) == label]
    if not chosen and isinstance(label, str):
        chosen = [one for one in listed if plain_name(one.name) == plain_name(label)]
    if len(chosen) == 1:
        return chosen[0]
    wanted = printable(repr(label), LONGEST_SHOWN)
    if chosen:
        raise MaskError(f"{path}: {len(chosen)} structures are called {wanted}; choose by number: {there}")
    near = difflib.get_close_matches(str(label)[:LONGEST_SHOWN], [one.name for one in listed], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    raise MaskError(f"{path}: has no structure {wanted}{hint} it has {there}")
