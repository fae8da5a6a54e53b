"""The files of one request: inputs that change, and what an earlier request left."""

import json
from pathlib import Path

import pytest

from ptvkit.errors import FileError
from ptvkit.io.provenance import source_of, write_json
from ptvkit.io.requests import InputFiles, recorded_files, write_request

NAMES = ("a.txt", "b.txt", "r.json")


def write(folder: Path, inputs: InputFiles, **files: str) -> None:
    with write_request(folder, inputs, record="r.json", names=NAMES) as stage:
        for name, text in files.items():
            (stage / f"{name}.txt").write_text(text)
        write_json(stage / "r.json", {"schema": "ptvkit-test/1"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_changed_input_leaves_everything_as_it_was(tmp_path: Path) -> None:
    source, out = tmp_path / "in.txt", tmp_path / "out"
    source.write_text("before")
    write(out, InputFiles([source]), a="1")
    inputs = InputFiles([source])
    (recorded,) = inputs.sources
    source.write_text("after")
    with pytest.raises(FileError, match=r"in\.txt: has changed while it was in use"):
        write(out, inputs, b="2")
    assert names(out) == ["a.txt", "r.json"]
    assert inputs.add(source) == (recorded,)  # hashed once, when it was read
    source.unlink()
    with pytest.raises(FileError, match="no such file"):
        inputs.check_unchanged()


def test_a_folder_is_hashed_by_its_files(tmp_path: Path) -> None:
    for name in ("1.dcm", "2.dcm"):
        (tmp_path / name).write_text(name)
    assert [source.path.name for source in InputFiles([tmp_path]).sources] == ["1.dcm", "2.dcm"]


def test_what_the_new_request_does_not_write_goes(tmp_path: Path) -> None:
    write(tmp_path, InputFiles(), a="1", b="1", other="1")
    assert set(recorded_files(tmp_path / "r.json")) == {"a.txt", "b.txt", "other.txt"}
    (tmp_path / "mine.txt").write_text("never touched")
    write(tmp_path, InputFiles(), a="2")
    assert names(tmp_path) == ["a.txt", "mine.txt", "r.json"]
    assert recorded_files(tmp_path / "r.json") == {"a.txt": source_of(tmp_path / "a.txt").sha256}


def test_what_was_edited_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, InputFiles(), a="1", b="1")
    (tmp_path / "b.txt").write_text("edited")
    with pytest.raises(FileError, match=r"b\.txt: is of an earlier request and was edited"):
        write(tmp_path, InputFiles(), a="2")
    assert (tmp_path / "a.txt").read_text() == "1"


def test_what_no_record_lists_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, InputFiles(), b="1")
    for content in ("", "{", '{"files": 5}', '{"files": {"b": {"path": "../b.txt", "sha256": ""}}}'):
        (tmp_path / "r.json").write_text(content)
        with pytest.raises(FileError, match=r"b\.txt: may be of an earlier request"):
            write(tmp_path, InputFiles(), a="2")
    assert names(tmp_path) == ["b.txt", "r.json"]


def test_an_input_is_never_removed(tmp_path: Path) -> None:
    write(tmp_path, InputFiles(), a="1", other="1")
    write(tmp_path, InputFiles([tmp_path / "other.txt"]), a="2")
    assert names(tmp_path) == ["a.txt", "other.txt", "r.json"]
    with pytest.raises(FileError, match="would overwrite the input"):
        write(tmp_path, InputFiles([tmp_path / "a.txt"]), b="2")


def test_the_record_keeps_what_its_writer_said(tmp_path: Path) -> None:
    with write_request(tmp_path, InputFiles(), record="r.json") as stage:
        (stage / "t.csv").write_text("x")
        entry = {"path": "t.csv", "sha256": "s"}
        write_json(stage / "r.json", {"schema": "ptvkit-test/1", "files": {"table": entry}, "inputs": []})
    assert json.loads((tmp_path / "r.json").read_text())["files"] == {"table": entry}
