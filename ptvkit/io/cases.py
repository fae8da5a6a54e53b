"""Cases of a cohort: named files or folders, listed from a folder or a pattern."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from ptvkit.errors import FileError
from ptvkit.io.class_files import nifti_stem
from ptvkit.io.nnunet import dataset_beside

WILDCARDS: Final = "*?["
ENDINGS: Final = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha", ".dcm")
"""File endings of a case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of a cohort.

    Attributes
    ----------
    name : str
        Name of its result folder.
    path : Path
        Segmentation file, or a folder with one file per structure.
    """

    name: str
    path: Path


def find_cases(source: str, *, leave_out: Path) -> list[Case]:
    """List the cases of a folder or pattern, sorted by name.

    In a folder of NIfTI files (nnU-Net predictions) every file is a case; in a folder of folders (TotalSegmentator)
    every folder is one. In a pattern such as ``"patients/*/gtv.nii.gz"`` every match is one, named after the parts
    that its wildcards match.

    Parameters
    ----------
    source : str
        Folder or pattern.
    leave_out : Path
        Folder to ignore: that of the results.

    Raises
    ------
    FileError
        When there is no case, or two cases have the same name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as home:
    ...     for name in ("a", "b"):
    ...         (Path(home) / name).mkdir()
    ...         _ = (Path(home) / name / "gtv.nii.gz").write_bytes(b"")
    ...     [case.name for case in find_cases(f"{home}/*/gtv.nii.gz", leave_out=Path(home) / "out")]
    ['a', 'b']
    """
    folder = Path(source)
    if folder.is_dir():
        cases = _in_folder(folder)
    elif any(sign in source for sign in WILDCARDS):
        cases = _by_pattern(source)
    else:
        raise FileError(f"{source}: is not a folder; give a folder, or a pattern in quotes: 'patients/*/gtv.nii.gz'")
    results = Path(os.path.realpath(leave_out))
    kept = [case for case in cases if results not in (p := Path(os.path.realpath(case.path)), *p.parents)]
    if not kept:
        raise FileError(f"{source}: {_none_found(folder)}")
    _refuse_same(kept, source)
    return sorted(kept, key=lambda case: case.name)


def stem(name: str) -> str:
    """File name without the ending of its format.

    Examples
    --------
    >>> stem("p01.seg.nrrd"), stem("ct.v2.nii.gz"), stem("folder")
    ('p01', 'ct.v2', 'folder')
    """
    ending = next((one for one in ENDINGS if name.lower().endswith(one)), "")
    return name[: len(name) - len(ending)] or name


def _is_case(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(ENDINGS) and not path.name.startswith(".")


def _in_folder(folder: Path) -> list[Case]:
    files = [Case(name=stem(path.name), path=path) for path in sorted(folder.iterdir()) if _is_case(path)]
    if files:
        return files
    return [Case(name=p.name, path=p) for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _by_pattern(pattern: str) -> list[Case]:
    parts = PurePath(pattern).parts
    if "**" in parts:
        raise FileError(f"{pattern}: ** could match at any depth; write a * for each folder")
    first = next(n for n, part in enumerate(parts) if any(sign in part for sign in WILDCARDS))
    base, varying = Path(*parts[:first]), parts[first:]
    cases = []
    for path in sorted(base.glob(str(PurePath(*varying)))):
        own = path.relative_to(base).parts
        is_hidden = any(part.startswith(".") for part in own)
        if not is_hidden and (path.is_dir() or _is_case(path)):
            cases.append(Case(name=_name(own, varying), path=path))
    return cases


def _name(own: Iterable[str], varying: Iterable[str]) -> str:
    """Text that the wildcards match; a part that a later part starts with, such as a BIDS subject, is omitted."""
    parts = [
        stem(part) for part, pattern in zip(own, varying, strict=True) if any(sign in pattern for sign in WILDCARDS)
    ]
    kept = [part for n, part in enumerate(parts) if not any(later.startswith(part) for later in parts[n + 1 :])]
    return "_".join(kept)


def _refuse_same(cases: list[Case], source: str) -> None:
    seen: dict[str, Path] = {}
    for case in cases:
        other = seen.setdefault(case.name.casefold(), case.path)
        if other is not case.path:
            raise FileError(f"{source}: {other} and {case.path} are both named {case.name}; rename one of them")


def _none_found(folder: Path) -> str:
    dataset = dataset_beside(folder / "x")
    if dataset is not None and nifti_stem(f"x{dataset.file_ending}") is None:
        return f"its files end in {dataset.file_ending}; convert them to .nii.gz"
    return "holds no case; give a folder of .nii.gz files, a folder of folders, or a pattern in quotes"
