"""One way to name a structure: a file, FILE:NAME, FILE:NUMBER, a folder of masks, or the built-in phantom."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ptvkit import phantom
from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.class_files import is_folder, mask_file, nifti_files, nifti_stem
from ptvkit.io.formats import MESHES, NIFTI, read_structure
from ptvkit.io.segment import Frame
from ptvkit.text import LONGEST_SHOWN, printable, whole_number

PHANTOM: Final = "phantom:"
ENDINGS: Final = (*NIFTI, ".nrrd", ".mha", ".dcm", *MESHES)
"""Of files whose structures can be named while the file is not there yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureRef:
    """A structure named, not read: which file, and which of its structures.

    Attributes
    ----------
    path : Path
        The file; of the built-in phantom ``phantom:NAME``.
    name : int, str or None
        Number or name of the structure in the file; None for a file with one structure.
    frame : {"RAS", "LPS"} or None
        Of a mesh's vertices.
    """

    path: Path
    name: int | str | None = None
    frame: Frame | None = None

    @classmethod
    def parse(cls, text: str, *, own: Path | None = None, frame: Frame | None = None) -> "StructureRef":
        """The structure that text names: ``FILE``, ``FILE:NAME``, ``FILE:NUMBER``, ``FOLDER:NAME``, ``phantom:NAME``.

        Text that is an existing path is that path, whatever colons it has.

        Parameters
        ----------
        text : str
        own : Path, optional
            The file that ``:NAME`` alone is of.
        frame : {"RAS", "LPS"}, optional
            Of a mesh's vertices.

        Raises
        ------
        FileError
            When there is no text, no name after the colon, or a folder of masks has none of that name.

        Examples
        --------
        >>> ref = StructureRef.parse("seg.nii.gz:liver")
        >>> str(ref.path), ref.name, ref.title
        ('seg.nii.gz', 'liver', 'liver')
        >>> StructureRef.parse(":2", own=Path("seg.nii.gz")).name
        2
        >>> StructureRef.parse("gtv.nii.gz").title
        'gtv'
        """
        if not text.strip():
            raise FileError("a structure needs a file; give FILE, FILE:NAME, or phantom:gtv, not empty text")
        if text.startswith(":"):
            if own is None:
                raise FileError(f"{printable(text, LONGEST_SHOWN)}: names a structure of no file; give FILE:NAME")
            return cls.at(own, _label(text[1:], text), frame=frame)
        path = Path(text)
        if _exists(path):
            return cls.at(path, frame=frame)
        if text.startswith(PHANTOM):
            return cls(path=path)
        parted = next(_parted(text), None)
        return cls.at(path, frame=frame) if parted is None else cls.at(parted[0], _label(parted[1], text), frame=frame)

    @classmethod
    def at(cls, path: Path, name: int | str | None = None, *, frame: Frame | None = None) -> "StructureRef":
        """A structure of a file; in a folder of masks, the file that holds it, where it is named or the only one.

        Raises
        ------
        FileError
            When a folder of masks has none of that name.
        """
        if is_folder(path) and (name is not None or len(nifti_files(path)) == 1):
            path, name = mask_file(path, name)
        return cls(path=path, name=name, frame=frame)

    @property
    def is_built_in(self) -> bool:
        """Whether it is of the built-in phantom."""
        return str(self.path).startswith(PHANTOM) and not _exists(self.path)

    @property
    def title(self) -> str:
        """Its name, or its file's without the ending."""
        own = self._in_phantom if self.is_built_in else self.name
        return (nifti_stem(self.path.name) or self.path.stem) if own is None else str(own)

    @property
    def _in_phantom(self) -> str:
        return str(self.path).removeprefix(PHANTOM)

    def files(self) -> tuple[Path, ...]:
        """The files that are read for it, none for the phantom; of a folder its files (and its folders')."""
        if self.is_built_in:
            return ()
        if is_folder(self.path):
            deeper = () if nifti_files(self.path) else self.path.glob("*/*")
            return tuple(sorted(one for one in (*self.path.iterdir(), *deeper) if one.is_file()))
        return (self.path,)

    def check(self) -> None:
        """Whether its file is there, without reading it.

        Raises
        ------
        FileError, MaskError
            When the file is not there, or the phantom has no such structure.
        """
        if self.is_built_in:
            if self._in_phantom not in phantom.STRUCTURES:
                wanted = printable(repr(self._in_phantom), LONGEST_SHOWN)
                raise MaskError(f"the phantom has no {wanted}; it has {', '.join(phantom.STRUCTURES)}")
        elif not _exists(self.path):
            raise FileError(f"{printable(str(self.path), LONGEST_SHOWN)}: no such file; check the path")

    def read(self) -> Mask | Region:
        """The structure: a mask where the file holds voxels, a region where it holds contours or a surface.

        Other structures of the file are not read, and may be damaged.

        Raises
        ------
        FileError, MaskError, GridError
        """
        self.check()
        if self.is_built_in:
            return phantom.mask(self._in_phantom, phantom.grid())
        return read_structure(self.path, self.name, frame=self.frame)


def label_of(text: str | None) -> int | str | None:
    """A label's number where the text is one, else its name.

    Examples
    --------
    >>> label_of("5"), label_of("liver"), label_of(None)
    (5, 'liver', None)
    """
    number = None if text is None else whole_number(text)
    return text if number is None else number


def _label(text: str, whole: str) -> int | str:
    label = label_of(text)
    if label is None or not text.strip():
        raise FileError(f"{printable(whole, LONGEST_SHOWN)}: names no structure after the colon; give FILE:NAME")
    return label


def _parted(text: str) -> Iterator[tuple[Path, str]]:
    """Text parted at a colon into a file and a label: an existing file first, else one of a known ending."""
    pairs = [(Path(text[:n]), text[n + 1 :]) for n, sign in enumerate(text) if sign == ":" and n]
    yield from (pair for pair in pairs if _exists(pair[0]))
    yield from (pair for pair in pairs if pair[0].name.lower().endswith(ENDINGS))


def _exists(path: Path) -> bool:
    """Whether a path is there; one that no system could hold is not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
