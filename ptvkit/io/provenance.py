"""Provenance of derived files: a JSON sidecar beside each, and the check that both are still current."""

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
    "derivatives.csv": "ptvkit-derivatives-table/1",
    "dose.csv": "ptvkit-dose-table/1",
    "lesions.csv": "ptvkit-lesions-table/1",
    "results.csv": "ptvkit-results-table/1",
    "sensitivity.csv": "ptvkit-sensitivity-table/1",
    "strategies.csv": "ptvkit-strategies-table/1",
    "tornado.csv": "ptvkit-tornado-table/1",
    "treatment.csv": "ptvkit-treatment-table/1",
}
"""Schema and version of each table, by file name; the JSON file that lists the table names it."""
DVH_TABLE_SCHEMA: Final = "ptvkit-dvh-table/1"
"""Schema of a table of cumulative dose-volume histograms, named in the table's sidecar."""
JSON_SCHEMAS: Final = {
    "dose": "ptvkit-dose-metrics/1",
    "recipe": "ptvkit-recipe/1",
    "solve": "ptvkit-solve/1",
    "trace": "ptvkit-trace/1",
    "setup-stats": "ptvkit-setup-statistics/1",
    "personal": "ptvkit-personal-margin/1",
    "margin": "ptvkit-margin/1",
    "convert": "ptvkit-convert/1",
    "demo": "ptvkit-demo/1",
    "recipes": "ptvkit-recipes/1",
    "run": "ptvkit-run/1",
    "run --dry-run": "ptvkit-run-plan/1",
    "run --new": "ptvkit-run-new/1",
}
"""Schema and version of the JSON that a command prints, by command."""
_LIBRARIES = ("numpy", "scipy", "nibabel", "numba")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Path of a file and SHA-256 of its bytes.

    Call `source_of` when the file is read: a change between reading and hashing would be missed.
    """

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a derived file was produced; one value for all files of a run.

    Attributes
    ----------
    inputs : tuple of Source
    method : str
        For example ``"subvoxel"`` or ``"voxel"``.
    margins : mapping
        Values that JSON can hold, mm.
    command : tuple of str
        Command line; by default that of this process.
    created : datetime
        With a time zone; by default the current time.
    """

    inputs: tuple[Source, ...]
    method: str
    margins: Mapping[str, Any]
    command: tuple[str, ...] = field(default_factory=lambda: command_line())
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


def command_line() -> tuple[str, ...]:
    """Command line of this process, the program without its folder."""
    return (Path(sys.argv[0]).name, *sys.argv[1:])


def versions() -> dict[str, str]:
    """Versions of Python, ptvkit and the libraries that affect a result."""
    return {"python": platform.python_version()} | {name: _version(name) for name in ("ptvkit", *_LIBRARIES)}


def source_of(path: PathLike) -> Source:
    """Path and SHA-256 of a file; the file is read in blocks.

    Raises
    ------
    FileError
        When the file cannot be read.
    """
    with open_input(Path(path), "an existing file") as file:
        return Source(path=Path(path), sha256=hashlib.file_digest(file, "sha256").hexdigest())


def sidecar_path(path: PathLike) -> Path:
    """Path of a derived file's sidecar: the file's name followed by ``.json``.

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
    extra: Mapping[str, Any] | None = None,
    schema: str = "",
) -> Path:
    """Write the sidecar of an existing derived file, whole or not at all.

    Paths in the sidecar are relative to its folder, so that a study can be moved as a whole.

    Parameters
    ----------
    path : path
        The derived file.
    provenance : Provenance
    home : path, optional
        The final folder of both, when they are written elsewhere first.
    name : str, optional
        File name of the sidecar; by default that of `sidecar_path`.
    extra : mapping, optional
        Further entries, such as the keys of BIDS.
    schema : str, optional
        Schema and version of the derived file, such as `DVH_TABLE_SCHEMA`.

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
    ...     run = Provenance(inputs=(source_of(gtv),), method="voxel", margins={"ptv": {"uniform_mm": 10}})
    ...     sidecar = write_sidecar(ptv, run)
    ...     fresh = stale_reasons(sidecar)
    ...     _ = gtv.write_bytes(b"changed")
    ...     fresh, stale_reasons(sidecar)
    ([], ['input gtv.nii has changed'])
    """
    sidecar = sidecar_path(path) if name is None else Path(path).with_name(name)
    refuse_overwrite([sidecar], [source.path for source in provenance.inputs])
    write_json(sidecar, dict(extra or {}) | _as_json(source_of(path), provenance, Path(home or sidecar.parent), schema))
    return sidecar


def write_json(path: PathLike, content: Mapping[str, Any]) -> None:
    """Write values as JSON, whole or not at all; NumPy numbers and paths are converted, NaN is refused."""
    text = json.dumps(content, indent=2, allow_nan=False, default=_plain)
    with write_whole(path) as file:
        file.write(text.encode() + b"\n")


def read_sidecar(sidecar: PathLike) -> dict[str, Any]:
    """Read the content of a sidecar.

    Raises
    ------
    FileError
        When the file cannot be read or is not a sidecar.
    """
    with open_input(Path(sidecar), "a .json sidecar that ptvkit wrote") as file:
        try:
            content: dict[str, Any] = json.load(file)
            entries = [content["output"], *content["inputs"]]
            is_whole = all(isinstance(entry[key], str) for entry in entries for key in ("path", "sha256"))
        except (ValueError, TypeError, KeyError, RecursionError):
            is_whole = False
    if not is_whole:
        raise FileError(f"{sidecar}: is not a sidecar that ptvkit wrote, or is damaged; write it again")
    return content


def stale_reasons(sidecar: PathLike) -> list[str]:
    """Reasons why a derived file is stale; empty when the file and its inputs match the sidecar.

    Raises
    ------
    FileError
        When the file cannot be read or is not a sidecar.
    """
    content = read_sidecar(sidecar)
    folder = Path(os.path.realpath(Path(sidecar).parent))
    entries = [("output", content["output"]), *(("input", source) for source in content["inputs"])]
    changes = [(role, entry["path"], _change(folder / entry["path"], entry["sha256"])) for role, entry in entries]
    return [f"{role} {path} {change}" for role, path, change in changes if change]


def _as_json(output: Source, provenance: Provenance, folder: Path, schema: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "output": {"path": output.path.name, "sha256": output.sha256} | ({"schema": schema} if schema else {}),
        "inputs": [source_as_json(source, folder) for source in provenance.inputs],
        "method": provenance.method,
        "margins": dict(provenance.margins),
        "command": list(provenance.command),
        "created": provenance.created.astimezone(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def source_as_json(source: Source, folder: Path) -> dict[str, str]:
    """JSON entry of a source: its path relative to the folder of the JSON file, and its SHA-256."""
    # Symbolic links are resolved on both sides: ".." from a linked folder leads elsewhere.
    path = os.path.realpath(source.path)
    with suppress(ValueError):  # On Windows there is no relative path to another drive.
        path = os.path.relpath(path, os.path.realpath(folder))
    return {"path": Path(path).as_posix(), "sha256": source.sha256}


def file_entry(path: Path) -> dict[str, str]:
    """JSON entry of a written file: its name, its hash and, for a table, its schema."""
    schema = {"schema": TABLE_SCHEMAS[path.name]} if path.name in TABLE_SCHEMAS else {}
    return {"path": path.name, "sha256": source_of(path).sha256, **schema}


def record(
    provenance: Provenance, home: Path, files: Mapping[str, dict[str, str]], warnings: Iterable[str]
) -> dict[str, Any]:
    """Closing entries of a result's JSON: warnings, files written, inputs, command and versions."""
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
    """NumPy numbers and arrays, paths and sequences as JSON values."""
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
