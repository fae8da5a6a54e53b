"""How a structure in a file is named: ``FILE``, ``FILE:NAME``, a folder of masks, ``phantom:NAME``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ptvkit import phantom
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.class_files import mask_file
from ptvkit.io.formats import read_structure
from ptvkit.io.nifti import read_mask

PHANTOM = "phantom:"
ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".dcm")


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureRef:
    """A structure in a file."""

    path: Path
    name: int | str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split FILE:NAME; a path that is there as it is written stays whole."""
        head, colon, label = text.rpartition(":")
        if not colon or Path(text).exists() or not (head.lower().endswith(ENDINGS) or Path(head).is_dir()):
            return cls(path=Path(text))
        return cls(path=Path(head), name=int(label) if label.isdecimal() and len(label) < 10 else label)

    def files(self) -> list[Path]:
        """The files that it is read from."""
        return [self.path]

    def read(self) -> Mask | Region:
        """A mask where the file holds voxels, a region where it holds contours."""
        text = str(self.path)
        if text.startswith(PHANTOM):
            return phantom.mask(text.removeprefix(PHANTOM), phantom.grid())
        path, label = mask_file(self.path, self.name) if self.path.is_dir() else (self.path, self.name)
        if path.name.lower().endswith(ENDINGS[:2]) or not path.exists():
            return read_mask(path, label=label)
        return read_structure(path, label)
