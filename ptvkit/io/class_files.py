"""A folder with a file for each structure, ``liver.nii.gz`` and so on, as TotalSegmentator writes."""

import difflib
from pathlib import Path
from typing import Final

from ptvkit.errors import FileError
from ptvkit.text import LONGEST_SHOWN, printable, whole_number

ENDINGS: Final = (".nii.gz", ".nii")


def nifti_stem(name: str) -> str | None:
    """A NIfTI file's name without its ending; None for other names.

    Examples
    --------
    >>> nifti_stem("liver.nii.gz"), nifti_stem("ct.v2.nii"), nifti_stem("notes.txt")
    ('liver', 'ct.v2', None)
    """
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)
    return None if ending is None or name.startswith(".") else name[: -len(ending)] or None


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; a name that no system could hold is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def nifti_files(folder: Path) -> list[Path]:
    """NIfTI files of a folder, by name; hidden ones left out."""
    return sorted(path for path in folder.iterdir() if nifti_stem(path.name) is not None and path.is_file())


def class_file(folder: Path, name: int | str | None) -> Path:
    """The file of one structure, by its name, or by its number in the order of names.

    Raises
    ------
    FileError
        When no structure was named, or there is none of that name.
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
    """Of a folder of masks, the file that holds a structure, and its label there; other folders stay as they are.

    Raises
    ------
    FileError
        When the folder has several masks, and none of them is named by the label.
    """
    files = nifti_files(path)
    if not files:
        return path, label
    if len(files) == 1 and nifti_stem(files[0].name) != label:
        return files[0], label
    return class_file(path, label), None
