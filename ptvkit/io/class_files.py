"""Folders with one file per structure (``liver.nii.gz``, …), as TotalSegmentator writes them."""

import difflib
from pathlib import Path
from typing import Final

from ptvkit.errors import FileError
from ptvkit.text import LONGEST_SHOWN, printable, whole_number

ENDINGS: Final = (".nii.gz", ".nii")


def nifti_stem(name: str) -> str | None:
    """Name of a NIfTI file without its ending; None for other files.

    Examples
    --------
    >>> nifti_stem("liver.nii.gz"), nifti_stem("ct.v2.nii"), nifti_stem("notes.txt")
    ('liver', 'ct.v2', None)
    """
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)
    return None if ending is None or name.startswith(".") else name[: -len(ending)] or None


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False for names that the file system cannot represent."""
    try:
        return path.is_dir()
    except OSError:
        return False


def nifti_files(folder: Path) -> list[Path]:
    """NIfTI files of a folder by name, without hidden files."""
    return sorted(path for path in folder.iterdir() if nifti_stem(path.name) is not None and path.is_file())


def class_file(folder: Path, name: int | str | None) -> Path:
    """File of a structure, by name, or by 1-based position in alphabetical order.

    Raises
    ------
    FileError
        When no structure is named, or none has that name.
    """
    files = {nifti_stem(path.name) or "": path for path in nifti_files(folder)}
    if not files:
        raise FileError(f"{folder}: is a folder; give a .nii or .nii.gz file (it holds none)")
    if str(name) in files:
        return files[str(name)]
    if name is None:
        first = next(iter(files))
        raise FileError(f"{folder}: is a folder of {len(files)} masks; choose one by its name, as in label={first!r}")
    number = name if isinstance(name, int) else whole_number(name)
    if number is not None and 1 <= number <= len(files):
        return list(files.values())[number - 1]
    near = difflib.get_close_matches(str(name)[:LONGEST_SHOWN].casefold(), {stem.casefold(): stem for stem in files}, 1)
    hint = f"; did you mean {next(s for s in files if s.casefold() == near[0])!r}?" if near else ""
    shown = ", ".join(list(files)[:8]) + (f" and {len(files) - 8} more" if len(files) > 8 else "")
    raise FileError(f"{folder}: holds no {printable(repr(name), LONGEST_SHOWN)}; there are {shown}{hint}")


def mask_file(path: Path, label: int | str | None) -> tuple[Path, int | str | None]:
    """File of a structure in a folder of masks, and its label; other folders are returned unchanged.

    Raises
    ------
    FileError
        When the folder has several masks and the label names none of them.
    """
    files = nifti_files(path)
    if not files:
        return path, label
    if len(files) == 1 and nifti_stem(files[0].name) != label:
        return files[0], label
    return class_file(path, label), None
