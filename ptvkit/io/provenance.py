"""Where a derived file came from: a JSON sidecar beside it, and whether it is still true."""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.io.files import PathLike, open_input, refuse_overwrite, write_whole

SCHEMA = "ptvkit-sidecar/1"
TABLE_SCHEMAS: Final = {
    "cohort.csv": "ptvkit-cohort-table/1",
    "coverage.csv": "ptvkit-coverage-table/1",
    "dose.csv": "ptvkit-dose-table/1",
    "results.csv": "ptvkit-results-table/1",
}
"""Schema and version of each table, by file name; the JSON that lists the table says it."""
_LIBRARIES = ("numpy", "scipy", "nibabel", "numba")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file as it was: its path and the SHA-256 of its bytes.

    Take it with `source_of` when the file is read, not later, or a change in between goes unseen.
    """

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a derived file was made; the same for all files of one run.

    Attributes
    ----------
    inputs : tuple of Source
    method : str
        As in ``"subvoxel"`` or ``"voxel"``.
    margins : mapping
        Plain values that JSON can hold, mm.
    command : tuple of str
        Command line; by default that of this process.
    created : datetime
        With its time zone; by default now.
    """

    inputs: tuple[Source, ...]
    method: str
    margins: Mapping[str, Any]
    command: tuple[str, ...] = field(default_factory=lambda: command_line())
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


def command_line() -> tuple[str, ...]:
    """Words of this process's command line; the program without its folder."""
    return (Path(sys.argv[0]).name, *sys.argv[1:])


def versions() -> dict[str, str]:
    """Versions of Python, of ptvkit and of the libraries that a result rests on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in ("ptvkit", *_LIBRARIES)}


def source_of(path: PathLike) -> Source:
    """Path and SHA-256 of a file, read a piece at a time.

    Raises
    ------
    FileError
        When the file cannot be read.
    """
    with open_input(Path(path), "an existing file") as file:
        return Source(path=Path(path), sha256=hashlib.file_digest(file, "sha256").hexdigest())


def sidecar_path(path: PathLike) -> Path:
    """Path of the sidecar of a derived file: its name with ``.json`` after it.

    Examples
    --------
    >>> sidecar_path("out/ptv.nii.gz").name
    'ptv.nii.gz.json'
    """
    return Path(path).with_name(Path(path).name + ".json")


def write_sidecar(
    path: PathLike,
    provenance: Provenance,
    *,
    home: PathLike | None = None,
    name: str | None = None,
    said: Mapping[str, Any] | None = None,
) -> Path:
    """Write the sidecar of a derived file that is already there; whole or not at all.

    Paths in it are relative to its folder, so that a study can be moved as one.

    Parameters
    ----------
    path : path
        The derived file.
    provenance : Provenance
    home : path, optional
        The folder in which both will end, when they are written elsewhere first.
    name : str, optional
        The sidecar's own name; by default that of `sidecar_path`.
    said : mapping, optional
        What else it says, such as the keys of BIDS.

    Returns
    -------
    Path
        The sidecar.

    Raises
    ------
    FileError
        When the derived file cannot be read, or the sidecar cannot be written or is one of the inputs.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gtv, ptv = Path(folder) / "gtv.nii", Path(folder) / "ptv.nii"
    ...     _ = gtv.write_bytes(b"a"), ptv.write_bytes(b"b")
    ...     made = Provenance(inputs=(source_of(gtv),), method="voxel", margins={"ptv": {"uniform_mm": 10}})
    ...     sidecar = write_sidecar(ptv, made)
    ...     fresh = stale_reasons(sidecar)
    ...     _ = gtv.write_bytes(b"changed")
    ...     fresh, stale_reasons(sidecar)
    ([], ['input gtv.nii has changed'])
    """
    sidecar = sidecar_path(path) if name is None else Path(path).with_name(name)
    refuse_overwrite([sidecar], [source.path for source in provenance.inputs])
    write_json(sidecar, dict(said or {}) | _as_json(source_of(path), provenance, Path(home or sidecar.parent)))
    return sidecar


def write_json(path: PathLike, content: Mapping[str, Any]) -> None:
    """Write plain values as JSON, whole or not at all; NumPy numbers and paths become plain, NaN is refused."""
    text = json.dumps(content, indent=2, allow_nan=False, default=_plain)
    with write_whole(path) as file:
        file.write(text.encode() + b"\n")


def read_sidecar(sidecar: PathLike) -> dict[str, Any]:
    """Read a sidecar's content.

    Raises
    ------
    FileError
        When the file cannot be read or is not a sidecar.
    """
    with open_input(Path(sidecar), "a .json sidecar that ptvkit wrote") as file:
        try:
            content: dict[str, Any] = json.load(file)
            named = [content["output"], *content["inputs"]]
            is_whole = all(isinstance(source[key], str) for source in named for key in ("path", "sha256"))
        except (ValueError, TypeError, KeyError, RecursionError):
            is_whole = False
    if not is_whole:
        raise FileError(f"{sidecar}: is not a sidecar that ptvkit wrote, or is damaged; make it again")
    return content


def stale_reasons(sidecar: PathLike) -> list[str]:
    """Why a derived file is no longer what its sidecar says; empty when all is as it was.

    Raises
    ------
    FileError
        When the sidecar cannot be read or is none.
    """
    content = read_sidecar(sidecar)
    folder = Path(os.path.realpath(Path(sidecar).parent))
    named = [("output", content["output"]), *(("input", source) for source in content["inputs"])]
    return [f"{role} {s['path']} {change}" for role, s in named if (change := _change(folder / s["path"], s["sha256"]))]


def _as_json(output: Source, provenance: Provenance, folder: Path) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "output": {"path": output.path.name, "sha256": output.sha256},
        "inputs": [source_as_json(source, folder) for source in provenance.inputs],
        "method": provenance.method,
        "margins": dict(provenance.margins),
        "command": list(provenance.command),
        "created": provenance.created.astimezone(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def source_as_json(source: Source, folder: Path) -> dict[str, str]:
    """A source as JSON holds it: its path relative to the folder in which the JSON will be, and its SHA-256."""
    # Real paths on both sides: ".." from a folder behind a link leads elsewhere.
    path = os.path.realpath(source.path)
    with suppress(ValueError):  # On Windows there is no relative path to another drive.
        path = os.path.relpath(path, os.path.realpath(folder))
    return {"path": Path(path).as_posix(), "sha256": source.sha256}


def file_entry(path: Path) -> dict[str, str]:
    """A written file as a result's JSON lists it: its name, its hash, and the schema of a table."""
    schema = {"schema": TABLE_SCHEMAS[path.name]} if path.name in TABLE_SCHEMAS else {}
    return {"path": path.name, "sha256": source_of(path).sha256, **schema}


def record(
    provenance: Provenance, home: Path, files: Mapping[str, dict[str, str]], warnings: Iterable[str]
) -> dict[str, Any]:
    """The end of every result's JSON: what was warned of and written, from what, by which command and versions."""
    return {
        "warnings": list(warnings),
        "files": dict(files),
        "inputs": [source_as_json(source, home) for source in provenance.inputs],
        "method": provenance.method,
        "command": list(provenance.command),
        "created": provenance.created.isoformat(timespec="seconds"),
        "versions": versions(),
    }


def _change(path: Path, sha256: str) -> str:
    if not path.exists():
        return "is missing"
    try:
        return "" if source_of(path).sha256 == sha256 else "has changed"
    except FileError:
        return "cannot be read"


def _plain(value: Any) -> Any:
    """NumPy numbers and arrays, paths and tuples' kin as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return list(value)
    raise TypeError(f"a sidecar holds plain values, found {type(value).__name__}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0+unknown"
