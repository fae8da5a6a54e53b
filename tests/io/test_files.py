"""Files written whole or not at all, and never over an input."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptvkit.errors import FileError, MaskError
from ptvkit.io.files import open_input, refuse_overwrite, write_whole

NothingLeft = Callable[..., None]


def test_replaces_an_older_file_in_one_step(tmp_path: Path, nothing_left: NothingLeft) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with write_whole(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    nothing_left("a.json")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MaskError])
def test_an_interrupt_leaves_the_older_file(
    tmp_path: Path, nothing_left: NothingLeft, error: type[BaseException]
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def write() -> None:
        with write_whole(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_bytes() == b"old"
    nothing_left("a.json")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "no space is left on the disk; free some"),
        (errno.EACCES, "no permission to write there; choose another folder"),
        (errno.EROFS, "the disk is read-only; choose another folder"),
        (errno.EIO, "choose another folder"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_errors_of_the_disk(
    tmp_path: Path, nothing_left: NothingLeft, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str, call: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    path = tmp_path / "a.json"
    with pytest.raises(FileError) as caught, write_whole(path) as file:
        file.write(b"new")
    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert remedy in str(caught.value)
    nothing_left()


def test_folders_that_are_none(tmp_path: Path, nothing_left: NothingLeft) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    for name, remedy in {
        "none/a.json": "its folder does not exist; create it first",
        "file/a.json": "its folder is a file; choose another folder",
        "folder": "is a folder; give a file name in it",
        "x" * 300: "the name is too long; choose a shorter one",
    }.items():
        with pytest.raises(FileError) as caught, write_whole(tmp_path / name) as file:
            file.write(b"new")
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert remedy in str(caught.value)
    nothing_left("file", "folder")


def test_devices_are_not_replaced() -> None:
    with pytest.raises(FileError, match="/dev/null: is not a regular file"), write_whole("/dev/null"):
        pass
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the system's refusal itself, since for root no folder is read-only
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("ptvkit.io.files.open", refuse, raising=False)
    with pytest.raises(FileError, match="no permission to write there"), write_whole(tmp_path / "a.json"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_permissions_are_those_of_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with write_whole(tmp_path / "whole"):
        pass
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_two_writers_never_mix(tmp_path: Path, nothing_left: NothingLeft) -> None:
    path = tmp_path / "a.bin"
    seen: set[bytes] = set()

    def write(byte: bytes) -> None:
        for _ in range(10):
            with write_whole(path) as file:
                for _ in range(64):
                    file.write(byte * 1000)
            seen.add(path.read_bytes())

    threads = [threading.Thread(target=write, args=(byte,)) for byte in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen <= {b"a" * 64000, b"b" * 64000}
    nothing_left("a.bin")


def test_outputs_that_are_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "gtv.nii.gz"
    source.write_bytes(b"x")
    (tmp_path / "link.nii.gz").symlink_to(source)
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.link(source, tmp_path / "hard.nii.gz")
    monkeypatch.chdir(tmp_path)
    for output in ("gtv.nii.gz", "./a/../gtv.nii.gz", "link.nii.gz", "hard.nii.gz", "folder/gtv.nii.gz", str(source)):
        with pytest.raises(FileError) as caught:
            refuse_overwrite(["other.nii.gz", output], ["missing.nii.gz", source])
        assert str(caught.value) == (f"{Path(output)}: would overwrite the input {source}; choose another output name")
    refuse_overwrite(["ptv.nii.gz", "sub/gtv.nii.gz"], [source])
    with pytest.raises(FileError, match=r"would overwrite the input folder/later\.nii"):
        refuse_overwrite([tmp_path / "later.nii"], ["folder/later.nii"])


def test_errors_in_reading_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"x")
    with pytest.raises(FileError, match=r"a\.json: cannot be read \(Input/output error\)"), open_input(path, "a file"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
