"""The files of one request: inputs hashed as they are read, and an output folder with nothing of an earlier one."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.io.files import PathLike, open_input, refuse_overwrite, write_together
from ptvkit.io.provenance import Source, file_entry, source_of, write_json

_MOST_BYTES: Final = 1 << 28


class InputFiles:
    """The input files of a request: each is hashed before it is read, and compared at the end.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gtv = Path(folder) / "gtv.nii"
    ...     _ = gtv.write_bytes(b"a")
    ...     inputs = InputFiles()
    ...     [source.path.name for source in inputs.add(gtv)]
    ...     inputs.check_unchanged()
    ...     _ = gtv.write_bytes(b"b")
    ...     try:
    ...         inputs.check_unchanged()
    ...     except FileError as error:
    ...         "gtv.nii: has changed while it was in use" in str(error)
    ['gtv.nii']
    True
    """

    def __init__(self, paths: Iterable[PathLike] = ()) -> None:
        self._sources: dict[Path, Source] = {}
        for path in paths:
            self.add(path)

    def add(self, path: PathLike) -> tuple[Source, ...]:
        """Hash a file, or each file of a folder; call it before the file is read. A file is hashed once.

        Raises
        ------
        FileError
            When a file cannot be read.
        """
        place = Path(path)
        files = sorted(one for one in place.iterdir() if one.is_file()) if place.is_dir() else [place]
        for file in files:
            if file not in self._sources:
                self._sources[file] = source_of(file)
        return tuple(self._sources[file] for file in files)

    def sha256(self, path: PathLike) -> str:
        """SHA-256 of a file, hashed now unless it is already."""
        return self.add(path)[0].sha256

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every file with its hash, by path."""
        return tuple(self._sources[path] for path in sorted(self._sources))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file, by path."""
        return tuple(sorted(self._sources))

    def check_unchanged(self) -> None:
        """Compare every file with the hash that it had when it was added.

        Raises
        ------
        FileError
            When one has changed or is gone; the message names it.
        """
        for source in self.sources:
            if source_of(source.path).sha256 != source.sha256:
                raise FileError(
                    f"{source.path}: has changed while it was in use; run again, with a file that stays as it is"
                )


@contextmanager
def write_request(folder: PathLike, inputs: InputFiles, *, record: str, names: Collection[str] = ()) -> Iterator[Path]:
    """Write the files of one request into a folder, all or none; what an earlier request left there goes.

    The record is a JSON file of the request, such as ``targets.json``. At the end its ``files`` get an entry for every
    file that is written with it. Files that the older record of that name lists and the new request does not write are
    removed in the same step.

    Parameters
    ----------
    folder : path
    inputs : InputFiles
        Compared before the files take their names; never replaced or removed.
    record : str
        Name of the record. The caller writes it as a JSON object with a ``schema``.
    names : collection of str
        All names that such a request may write. A file of such a name that no record lists is not removed.

    Yields
    ------
    Path
        The hidden folder to write to.

    Raises
    ------
    FileError
        When an input has changed; when the folder cannot be written; when a file of an earlier request, that the new
        one does not write, was edited or is in no record; or when an output would replace an input.
    """
    refuse_overwrite([Path(folder) / name for name in names], inputs.paths)
    with write_together(folder, inputs.paths, partial(_outdated, record=record, names=names)) as stage:
        yield stage
        _complete(stage / record)
        inputs.check_unchanged()


def remove_request(record: Path) -> None:
    """Remove a record and the files that it lists beside it, all or none; their folder too when nothing else is in it.

    Raises
    ------
    FileError
        When one of them was edited.
    """
    old = [path for path in (record, *_outdated(record.parent, set(), record=record.name, names=())) if path.exists()]
    for path in old:
        path.unlink()
    with suppress(OSError):  # it holds other files
        record.parent.rmdir()


def recorded_files(record: Path) -> dict[str, str]:
    """SHA-256 by name of the files that a record lists in its own folder; none where there is no such record."""
    with suppress(FileError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        entries = read_json(record)["files"].values()
        return {entry["path"]: entry["sha256"] for entry in entries if Path(entry["path"]).name == entry["path"]}
    return {}


def read_json(record: Path) -> dict[str, Any]:
    """Content of a JSON file.

    Raises
    ------
    FileError, ValueError, RecursionError
        When it cannot be read, or is no JSON.
    """
    with open_input(record, "a .json file") as file:
        content: dict[str, Any] = json.loads(file.read(_MOST_BYTES))
        return content


def _complete(record: Path) -> None:
    """Give a record an entry for every file beside it."""
    content = read_json(record)
    files: Mapping[str, dict[str, str]] = content.get("files", {})
    listed = {entry["path"] for entry in files.values()}
    others = sorted(path for path in record.parent.iterdir() if path.name not in listed and path != record)
    write_json(record, {**content, "files": {**files, **{path.name: file_entry(path) for path in others}}})


def _outdated(folder: Path, written: Set[str], *, record: str, names: Iterable[str]) -> list[Path]:
    """Files of an earlier request that the new one does not write.

    Raises
    ------
    FileError
        When one of them was edited, or is in no record.
    """
    recorded = recorded_files(folder / record)
    old = [folder / name for name in sorted({*recorded, *names} - written) if (folder / name).is_file()]
    for path in old:
        if path.name not in recorded:
            raise FileError(
                f"{path}: may be of an earlier request, and no record lists it; remove it, or choose another folder"
            )
        if source_of(path).sha256 != recorded[path.name]:
            raise FileError(
                f"{path}: is of an earlier request and was edited since; move it away, or choose another folder"
            )
    return old
