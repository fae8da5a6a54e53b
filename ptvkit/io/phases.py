"""Phases of a 4D image: one structure in a file for each phase, or one with displacement fields."""

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ptvkit.errors import FileError, MotionError, PtvkitWarning
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.extent import edges_touched
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.phases import FEWEST, Phases
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.geometry.warp import MAPS, Maps, folded_share, warped
from ptvkit.io.cases import WILDCARDS, stem
from ptvkit.io.class_files import is_folder
from ptvkit.io.columns import read_columns
from ptvkit.io.dicom.frames import refuse_other_frames
from ptvkit.io.dicom.reading import is_dicom, kind_of, read_dataset
from ptvkit.io.displacement_fields import read_displacement_field
from ptvkit.io.files import PathLike
from ptvkit.io.formats import MESHES, NIFTI
from ptvkit.io.naming import StructureRef, label_of
from ptvkit.values import choice

ENDINGS: Final = (*NIFTI, ".nrrd", ".mha", ".dcm", *MESHES)
MANIFEST: Final = "phases.csv"
DIRECTION_MM: Final = 3.0
"""Distance between a carried and a delineated structure above which a field is doubted."""
NUMBERS: Final = (
    re.compile(r"(?:phase|gated|(?<![a-z])ph)[_ -]?(\d{1,3}(?:\.\d+)?)(?![\d.])", re.I),
    re.compile(r"(?<![\d.])(\d{1,3})[_ ]?(?:%|pct)", re.I),
    re.compile(r"(?<![a-z])t[_ -]?(\d{1,3})(?![\d.])", re.I),
)
"""A phase's number: ``phase_30``, ``30 %``, ``T30``."""
WEIGHT: Final = re.compile(r"(?<![a-z])(?:w|weight)[_=-]?(\d*\.\d+|\d+)", re.I)
"""A phase's time weight: ``w0.12``, ``weight_12``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFile:
    """The file of one phase.

    Attributes
    ----------
    path : Path
        A file, or a folder with one structure set.
    number : float or None
        Percent of the cycle.
    weight : float or None
        Share of the cycle.
    """

    path: Path
    number: float | None = None
    weight: float | None = None


def read_phases(
    source: PathLike | Sequence[PathLike],
    *,
    label: int | str | None = None,
    weights: ArrayLike | None = None,
    numbers: ArrayLike | None = None,
    manifest: PathLike | None = None,
    fields: PathLike | Sequence[PathLike] | None = None,
    vectors: str | None = None,
    maps: Maps = "to_reference",
    reference: float | None = None,
    delineated: PathLike | Sequence[PathLike] | None = None,
) -> Phases:
    """Read a structure at the phases of a breathing cycle: a file for each phase, or one with displacement fields.

    Phases are put in the order of their numbers, percent of the cycle.

    Parameters
    ----------
    source : path, or several
        A folder, a pattern such as ``"4d/*/gtv.nii.gz"``, or files; masks in any format, structure sets (or folders
        with one and its images), or surfaces. Files in a folder that name no phase are left out.
    label : int or str, optional
        Which structure of each file; optional where a file has one.
    weights : (K,) array, optional
        Share of the cycle of each phase, in the order of the numbers. By default as the manifest or the names say
        (``phase_30_w0.12.nii.gz``), else equal, with a warning.
    numbers : (K,) array, optional
        Numbers of the files in the order in which they are given (sorted by path in a folder). By default as the
        manifest says, or the names: ``phase_30``, ``T30``, ``30%``; of DICOM also the folder's name, the label of the
        structure set and the description of its series.
    manifest : path, optional
        A table with the columns ``file``, ``phase`` and, optionally, ``weight``; files relative to it. By default
        ``phases.csv`` in the folder, when there is one.
    fields : path, or several, optional
        Displacement fields of the phases, named as phases are; `source` is then one structure, of the reference phase.
    vectors : {"LPS", "RAS"}
        Frame of the fields' components; ITK, elastix and ANTs write LPS. Required with `fields`.
    maps : {"to_reference", "from_reference"}
        Whether a field takes a point of its phase to the reference (fields that resample the reference image onto the
        phase), or a point of the reference to its phase.
    reference : float, optional
        Number of the reference phase, which is then one of the phases, unless it has a field.
    delineated : path, or several, optional
        Delineations of some phases, named as phases are. A field whose reverse fits them better has the wrong
        direction and is refused.

    Returns
    -------
    Phases

    Raises
    ------
    FileError
        When a file cannot be read, names no phase, or belongs to another frame of reference.
    MaskError, GridError, MotionError
        When a phase is empty, grids differ, there are fewer than 3 phases, or weights do not add up to 1.

    Warns
    -----
    PtvkitWarning
        When weights are taken as equal, volumes differ by more than 10 %, a phase is out of sequence, a phase reaches
        the image's edge, or a field folds near the structure.
    """
    if fields is None:
        files, shapes = _of_files(source, label, numbers, manifest)
        return _phases(shapes, files, weights, _named(source))
    files = _numbered(_files(fields, manifest), numbers, _named(fields))
    start = StructureRef.at(Path(str(source)), label).read()
    shapes = _carried(as_region(start), files, vectors, maps)
    if reference is not None and reference not in [file.number for file in files]:
        files, shapes = [*files, PhaseFile(path=Path(str(source)), number=reference)], [*shapes, start]
    if delineated is not None:
        _check_direction(as_region(start), files, shapes, (vectors, maps), _of_files(delineated, label, None, None))
    order = sorted(range(len(files)), key=lambda n: files[n].number or 0.0)
    return _phases([shapes[n] for n in order], [files[n] for n in order], weights, _named(source))


def _of_files(
    source: PathLike | Sequence[PathLike], label: int | str | None, numbers: ArrayLike | None, manifest: PathLike | None
) -> tuple[list[PhaseFile], list[Mask | Region]]:
    """The files of phases, in order, and the structures that they hold."""
    files = _numbered(
        _files(source, manifest), numbers, _named(source), is_list=not isinstance(source, str | os.PathLike)
    )
    refuse_other_frames(file.path for file in files)
    return files, [_read(file, label) for file in files]


def _phases(
    shapes: Sequence[Mask | Region], files: Sequence[PhaseFile], weights: ArrayLike | None, name: str
) -> Phases:
    """Phases of structures, with warnings of what a physicist should see."""
    stated = _weights(files, weights, name)
    phases = Phases(regions=shapes, weights=stated, numbers=[file.number or 0.0 for file in files], name=name)
    if stated is None:
        _warn(f"{name}: nothing states the time weights of the phases; they are taken as equal, 1/{len(shapes)} each")
    for shape, file in zip(shapes, files, strict=True):
        touched = edges_touched(shape) if isinstance(shape, Mask) else ()
        if touched:
            _warn(f"{file.path}: reaches the image's edge ({', '.join(touched)}); the tumour may go on beyond it")
    for text in phases.findings:
        _warn(text)
    return phases


def _carried(
    start: Region, files: Sequence[PhaseFile], vectors: str | None, maps: Maps, *, is_check: bool = False
) -> list[Mask | Region]:
    """A structure of the reference phase in each of the phases, by their fields."""
    if vectors is None:
        raise MotionError("fields need vectors: 'LPS' (as ITK, elastix and ANTs write) or 'RAS'")
    choice("maps", maps, MAPS)
    shapes: list[Mask | Region] = []
    for file in files:
        field = read_displacement_field(file.path, vectors=vectors)
        share = 0.0 if is_check else folded_share(field, start)
        if share:
            _warn(f"{file.path}: folds at {share:.1%} of its nodes near the structure (Jacobian ≤ 0); check it")
        shapes.append(warped(start, field, maps))
    return shapes


def _check_direction(
    start: Region,
    files: Sequence[PhaseFile],
    shapes: Sequence[Mask | Region],
    how: tuple[str | None, Maps],
    delineated: tuple[list[PhaseFile], list[Mask | Region]],
) -> None:
    """Refuse fields whose reverse carries the structure nearer to the delineations.

    Raises
    ------
    MotionError
    """
    other: Maps = "from_reference" if how[1] == "to_reference" else "to_reference"
    own = {file.number: (file, shape) for file, shape in zip(files, shapes, strict=True)}
    checked = False
    for file, drawn in zip(*delineated, strict=True):
        if file.number not in own or own[file.number][1] is start:
            continue
        checked = True
        field, shape = own[file.number]
        at = centroid(as_region(drawn))
        off = float(np.linalg.norm(centroid(as_region(shape)) - at))
        reverse = as_region(_carried(start, [field], how[0], other, is_check=True)[0])
        off_reverse = float(np.linalg.norm(centroid(reverse) - at))
        if off > DIRECTION_MM and off_reverse < 0.5 * off:
            raise MotionError(
                f"{field.path}: has the wrong direction: the structure it carries lies {off:.1f} mm from {file.path},"
                f" and {off_reverse:.1f} mm with maps={other!r}; give that, or check vectors"
            )
        if off > DIRECTION_MM:
            _warn(f"{field.path}: the structure it carries lies {off:.1f} mm from {file.path}; check both")
    if not checked:
        raise MotionError("delineated: none of its phases has a field; name them as the fields' phases")


def phases_named(text: str) -> tuple[str, int | str | None]:
    """The folder of phases and the structure that text names, as ``FOLDER`` or ``FOLDER:NAME``.

    Raises
    ------
    FileError
        When there is no such folder.
    """
    folder, _, name = text.rpartition(":")
    if is_folder(Path(text)):
        return text, None
    if not folder or not is_folder(Path(folder)):
        raise FileError(f"{text}: is no folder of phases; give a folder with a mask or structure set for each phase")
    return folder, label_of(name)


def _files(source: PathLike | Sequence[PathLike], manifest: PathLike | None) -> list[PhaseFile]:
    """The files of the phases, in the order in which they are given."""
    if manifest is not None:
        return _of_manifest(Path(manifest))
    if not isinstance(source, str | os.PathLike):
        return _named_files([Path(path) for path in source])
    if is_folder(Path(source)):
        return _of_folder(Path(source))
    if not any(sign in str(source) for sign in WILDCARDS):
        raise FileError(f"{source}: is no folder of phases; give a folder, a pattern in quotes, or the files")
    base = Path(Path(source).anchor or ".")
    paths = sorted(base.glob(str(Path(source).relative_to(base) if Path(source).anchor else source)))
    return _named_files([path for path in paths if path.is_dir() or _is_structure(path)])


def _of_folder(folder: Path) -> list[PhaseFile]:
    if (folder / MANIFEST).is_file():
        return _of_manifest(folder / MANIFEST)
    here = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = _named_files([path for path in here if _is_structure(path)])
    if not files:
        folders = [path for path in here if path.is_dir()]
        files = _named_files([path for path in folders if any(_is_structure(one) for one in path.iterdir())])
    numbered = [file for file in files if file.number is not None]
    return numbered if len(numbered) >= FEWEST else files


def _is_structure(path: Path) -> bool:
    if not path.is_file() or path.name.startswith("."):
        return False
    if is_dicom(path):
        return kind_of(path) in ("RTSTRUCT", "SEG")
    return path.name.lower().endswith(ENDINGS)


def _of_manifest(path: Path) -> list[PhaseFile]:
    columns = read_columns(path)
    names = [name.lower() for name in columns.names]
    for name in ("file", "phase"):
        if name not in names:
            raise FileError(f"{path}: has no column {name!r}; give file, phase and, optionally, weight")
    numbers = columns.numbers(names.index("phase"))
    weights = columns.numbers(names.index("weight")) if "weight" in names else None
    rows = [row[names.index("file")].strip() for row in columns.rows]
    return [
        PhaseFile(
            path=path.parent / name, number=float(numbers[n]), weight=None if weights is None else float(weights[n])
        )
        for n, name in enumerate(rows)
    ]


def _named_files(paths: Sequence[Path]) -> list[PhaseFile]:
    """Files with what their names say of them; or their folders where the files say nothing."""
    files = [_named_file(path) for path in paths]
    folders = [path.parent for path in paths]
    if all(file.number is not None for file in files) or len(set(folders)) < len(folders):
        return files
    return [replace(file, number=_number(folder.name)) for file, folder in zip(files, folders, strict=True)]


def _named_file(path: Path) -> PhaseFile:
    """A file with what its name says of it, its ending left out."""
    inner = next((one for one in sorted(path.iterdir()) if _is_structure(one)), path) if path.is_dir() else path
    number = next((found for one in (path, inner) if (found := _number(stem(one.name))) is not None), None)
    if number is None and inner.is_file() and is_dicom(inner):
        data = read_dataset(inner, headers_only=True)
        said = [str(data.get(key, "") or "") for key in ("StructureSetLabel", "SeriesDescription")]
        number = next((found for word in said if (found := _number(word)) is not None), None)
    weight = WEIGHT.search(stem(path.name))
    return PhaseFile(path=path, number=number, weight=None if weight is None else float(weight[1]))


def _number(text: str) -> float | None:
    """The phase's number that a name states; else its only number."""
    plain = WEIGHT.sub(" ", text)
    found = next((match for pattern in NUMBERS if (match := pattern.search(plain)) is not None), None)
    if found is not None:
        return float(found[1])
    whole = re.findall(r"(?<![\d.])\d{1,3}(?![\d.])", plain)
    return float(whole[0]) if len(whole) == 1 else None


def _numbered(
    files: Sequence[PhaseFile], numbers: ArrayLike | None, name: str, *, is_list: bool = False
) -> list[PhaseFile]:
    """Files with their numbers, in order."""
    if numbers is not None:
        stated = np.asarray(numbers, float).reshape(-1).tolist()
        if len(stated) != len(files):
            raise FileError(f"{name}: {len(stated)} numbers for {len(files)} phases; give one for each")
        files = [replace(file, number=number) for file, number in zip(files, stated, strict=True)]
    return _in_order(files, name, is_list=is_list)


def _in_order(files: Sequence[PhaseFile], name: str, *, is_list: bool) -> list[PhaseFile]:
    """Files by rising number; those of a list without any keep their order."""
    if not files:
        raise FileError(f"{name}: holds no structures; give a folder with a mask or structure set for each phase")
    without = [file for file in files if file.number is None]
    if without and is_list and len(without) == len(files):
        _warn(f"{name}: the files name no phases; they are taken in this order, at equal steps of the cycle")
        return [replace(file, number=100.0 * n / len(files)) for n, file in enumerate(files)]
    if without:
        raise FileError(
            f"{without[0].path}: names no phase, as phase_30 does; give numbers, or a manifest (phases.csv)"
        )
    ordered = sorted(files, key=lambda file: file.number or 0.0)
    for one, other in pairwise(ordered):
        if one.number == other.number:
            raise FileError(f"{one.path} and {other.path} are both phase {one.number:g}; keep one, or give a manifest")
    return ordered


def _weights(files: Sequence[PhaseFile], weights: ArrayLike | None, name: str) -> ArrayLike | None:
    """The time weights that arguments, a manifest or names state."""
    stated = [file.weight for file in files if file.weight is not None]
    if weights is not None or not stated:
        return weights
    if len(stated) < len(files):
        raise FileError(f"{name}: {len(stated)} of {len(files)} phases state a time weight; give all or none")
    return stated


def _read(file: PhaseFile, label: int | str | None) -> Mask | Region:
    place = file.path
    if place.is_dir():
        place = next((one for one in sorted(place.iterdir()) if is_dicom(one) and _is_structure(one)), place)
    ref = StructureRef.at(place, label)
    ref.check()
    return ref.read()


def _named(source: PathLike | Sequence[PathLike]) -> str:
    return (
        str(source)
        if isinstance(source, str | os.PathLike)
        else f"{', '.join(str(one) for one in list(source)[:1])}, …"
    )


def _warn(message: str) -> None:
    warnings.warn(message, PtvkitWarning, stacklevel=4)
