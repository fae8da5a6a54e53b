"""Records of results: derived files and their inputs."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.io.files import open_input

RESULTS: Final = ("targets.json", "coverage.json", "dose.json", "lesions.json", "treatment.json")
"""File names of results. An unreadable file of such a name is damaged; other JSON files are ignored."""
ENDINGS: Final = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".stl", ".dcm")
"""File endings of derived files with a sidecar; to be extended with every new format."""
MOST_FILES: Final = 200_000
DEEPEST: Final = 16
_MOST_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """File named by a record: its path and recorded SHA-256."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Sidecar or result JSON file.

    Attributes
    ----------
    path : Path
    made, inputs : tuple of Named
        Derived files, and their inputs.
    version : str
        Version of ptvkit that wrote it; empty when not recorded.
    """

    path: Path
    made: tuple[Named, ...]
    inputs: tuple[Named, ...]
    version: str


def walk(folder: Path) -> list[Path]:
    """Files of a folder and its subfolders, without hidden files and linked folders.

    Raises
    ------
    FileError
        When there are too many files, or a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise FileError(f"{error.filename}: cannot be listed ({error.strerror}); change its permissions") from error

    files: list[Path] = []
    for home, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if folders and len(Path(home).relative_to(folder).parts) >= DEEPEST:
            raise FileError(f"{home}: folders are more than {DEEPEST} deep; give one nearer to the results")
        files += [Path(home) / name for name in sorted(names) if not name.startswith(".")]
        if len(files) > MOST_FILES:
            raise FileError(f"{folder}: holds more than {MOST_FILES} files; give a folder nearer to the results")
    return files


def is_derived(path: Path) -> bool:
    """Whether a file has the ending of a derived file."""
    return path.name.lower().endswith(ENDINGS)


def is_record_name(path: Path) -> bool:
    """Whether a file's name is that of a record: a result, or the sidecar of a derived file."""
    return path.name in RESULTS or (path.suffix == ".json" and is_derived(path.with_suffix("")))


def read_record(path: Path) -> Record | None:
    """Read a record; None for other JSON files.

    Raises
    ------
    FileError
        When a file with the name of a record is damaged.
    """
    is_ours = is_record_name(path)
    try:
        content = _content(path)
        schema = content.get("schema") if isinstance(content, dict) else None
        if not isinstance(schema, str) or not schema.startswith("ptvkit-"):
            if is_ours:
                raise FileError(f"{path}: is not a record that ptvkit wrote, or is damaged; write its files again")
            return None
        if not is_ours and "inputs" not in content:
            return None
        return _record(path, content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        if is_ours:
            raise FileError(f"{path}: is damaged; write its files again") from None
        return None


def _content(path: Path) -> Any:
    with open_input(path, "a .json file") as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ValueError("too large for a record")
    return json.loads(text)


def _record(path: Path, content: dict[str, Any]) -> Record:
    outputs = [content["output"]] if "output" in content else list(content["files"].values())
    return Record(
        path=path,
        made=tuple(_named(path, entry) for entry in outputs),
        inputs=tuple(_named(path, entry) for entry in content["inputs"]),
        version=str(content.get("versions", {}).get("ptvkit", "")),
    )


def _named(record: Path, entry: dict[str, Any]) -> Named:
    path, sha256 = entry["path"], entry["sha256"]
    if not (isinstance(path, str) and isinstance(sha256, str) and path) or "\0" in path:
        raise ValueError("path and hash must be text")
    # Symbolic links are resolved: ".." from a linked folder leads elsewhere.
    return Named(path=Path(os.path.realpath(Path(os.path.realpath(record.parent)) / path)), sha256=sha256)


def records_of(paths: list[Path]) -> Iterator[tuple[Path, Record | FileError]]:
    """Records among files, or the error for unreadable ones."""
    for path in paths:
        if path.suffix.lower() != ".json":
            continue
        try:
            record = read_record(path)
        except FileError as error:
            yield path, error
        else:
            if record is not None:
                yield path, record
