"""Files: clear errors on reading, atomic writing, no output over an input."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path

from ptvkit.errors import FileError, PtvkitError

PathLike = str | os.PathLike[str]

_REMEDIES = {
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "its folder is a file; choose another folder",
    errno.EEXIST: "a file has that name; choose another folder",
    errno.EACCES: "no permission to write there; choose another folder or change its permissions",
    errno.EPERM: "no permission to write there; choose another folder or change its permissions",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOSPC: "no space is left on the disk; free some or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextmanager
def open_input(path: Path, accepted: str) -> Iterator[BufferedReader]:
    """Open a user's file for reading bytes; any failure is a `FileError`.

    Parameters
    ----------
    path : Path
        The file.
    accepted : str
        Accepted kind of file, for messages: ``"a .nii or .nii.gz file"``.

    Raises
    ------
    FileError
        When the file is missing, a folder, not a regular file, empty or not readable, or when reading fails later.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FileError(f"{path}: is a folder; give {accepted}")
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path}: is not a regular file; give {accepted}")
        if status.st_size == 0:
            raise FileError(f"{path}: is empty (0 bytes); write or copy it again")
        with open(path, "rb") as file:
            yield file
    except PtvkitError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise FileError(f"{path}: no such file; check the path, and give {accepted}") from None
    except PermissionError:
        raise FileError(f"{path}: no permission to read it; change its permissions or copy it") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error}); copy it to a local disk") from error


@contextmanager
def write_whole(path: PathLike) -> Iterator[BufferedWriter]:
    """Write a file whole or not at all.

    The bytes go to a temporary file in the same folder, which is renamed in one step once it is on the disk. After a
    failure or interrupt the temporary file is removed and an existing file is unchanged. Of two concurrent writers
    the last one wins; readers never see a partial file.

    Parameters
    ----------
    path : path
        Final name; its folder must exist.

    Yields
    ------
    binary file
        File for the caller to write to.

    Raises
    ------
    FileError
        When the file cannot be written; the message names it and the remedy.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_whole(Path(folder) / "a.json") as file:
    ...         _ = file.write(b"{}")
    ...     (Path(folder) / "a.json").read_bytes()
    b'{}'
    """
    target = Path(path)
    temporary = target.parent / f".ptvkit-{secrets.token_hex(8)}.tmp"
    try:
        _refuse_special(target)
        # mkstemp would restrict access to the owner; mode "x" follows the umask.
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _flush_folder(target.parent)
    except PtvkitError:
        raise
    except OSError as error:
        raise FileError(f"{target}: cannot be written: {_remedy(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def write_together(
    folder: PathLike,
    inputs: Collection[PathLike] = (),
    outdated: Callable[[Path, Set[str]], Iterable[Path]] | None = None,
) -> Iterator[Path]:
    """Write several files into a folder: all of them, or none.

    The files are first written to a hidden folder inside and take their final names together at the end, in the order
    of their names. When anything fails, also an interrupt, nothing of them is left and older files stay as they were.

    Parameters
    ----------
    folder : path
        Created when missing, and removed again when nothing could be written.
    inputs : paths
        Files that no output may replace.
    outdated : callable, optional
        Function of the folder and the written names: files to remove in the same step; inputs are kept.

    Yields
    ------
    Path
        Hidden folder to write to.

    Raises
    ------
    FileError
        When the folder cannot be written, or an output would replace an input; the message names it and the remedy.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as home:
    ...     with write_together(Path(home) / "out") as stage:
    ...         _ = (stage / "a.txt").write_text("whole")
    ...     [path.name for path in (Path(home) / "out").iterdir()]
    ['a.txt']
    """
    final = Path(folder)
    created = _missing_folders(final)
    stage = final / f".ptvkit-{secrets.token_hex(8)}"
    try:
        stage.mkdir(parents=True)
        yield stage
        written = sorted(stage.iterdir())
        refuse_overwrite([final / path.name for path in written], inputs)
        for path in written:
            _refuse_special(final / path.name)
        old = [] if outdated is None else list(outdated(final, {path.name for path in written}))
        for path in written:
            os.replace(path, final / path.name)
        for path in old:
            if not any(_is_same_file(path, Path(one)) for one in inputs):
                path.unlink(missing_ok=True)
        _flush_folder(final)
    except PtvkitError:
        raise
    except OSError as error:
        raise FileError(f"{final}: cannot be written: {_remedy(error)}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for path in created:  # Only empty folders are removed.
            with suppress(OSError):
                path.rmdir()


def refuse_overwrite(outputs: Iterable[PathLike], inputs: Iterable[PathLike]) -> None:
    """Refuse outputs that are inputs, also through links or relative paths.

    Parameters
    ----------
    outputs, inputs : paths
        May be missing.

    Raises
    ------
    FileError
        When an output is an input.

    Examples
    --------
    >>> refuse_overwrite(["ptv.nii.gz"], ["gtv.nii.gz"])
    >>> refuse_overwrite(["out/../gtv.nii.gz"], ["gtv.nii.gz"])
    Traceback (most recent call last):
    ...
    ptvkit.errors.FileError: out/../gtv.nii.gz: would overwrite the input gtv.nii.gz; choose another output name
    """
    sources = [Path(i) for i in inputs]
    for output in map(Path, outputs):
        for source in sources:
            if _is_same_file(output, source):
                raise FileError(f"{output}: would overwrite the input {source}; choose another output name")


def _missing_folders(folder: Path) -> list[Path]:
    """The folder and its missing parents, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _is_same_file(a: Path, b: Path) -> bool:
    # Resolved paths cover files that do not exist yet; samefile covers hard links and case-insensitive file systems.
    if os.path.realpath(a) == os.path.realpath(b):
        return True
    with suppress(OSError):
        return a.samefile(b)
    return False


def _refuse_special(target: Path) -> None:
    # As root, a rename could replace /dev/null by a file.
    if target.is_dir():
        raise FileError(f"{target}: is a folder; give a file name in it")
    if target.exists() and not target.is_file():
        raise FileError(f"{target}: is not a regular file; choose another output name")


def _flush_folder(folder: Path) -> None:
    # Not supported everywhere (Windows, some network disks); the file is complete without it.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remedy(error: OSError) -> str:
    return _REMEDIES.get(error.errno or 0, f"{error.strerror or error}; choose another folder")
