"""Every way in which results can be out of date, on results that the command line made."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ptvkit.cli import main
from ptvkit.errors import FileError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.io.nifti import write_mask
from ptvkit.trust.check import check, check_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made")
    array = np.zeros((27, 29, 31), bool)
    array[10:15, 11:17, 12:20] = True
    write_mask(Mask.from_array(array, np.diag([-1.0, 2.0, 1.5, 1.0])), home / "gtv.nii.gz")
    out = home / "out"
    margins = ["--ctv", "2", "--ptv", "3", "--no-page"]
    assert main(["targets", str(home / "gtv.nii.gz"), *margins, "-o", str(out)]) == 0
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "moved elsewhere"))


def states(folder: Path) -> dict[str, str]:
    return {finding.path.as_posix(): finding.state for finding in check_folder(folder)}


def test_fresh_after_a_move(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert states(home) == {"out/ctv.nii.gz": "fresh", "out/ptv.nii.gz": "fresh"}
    assert states(home / "out") == {"ctv.nii.gz": "fresh", "ptv.nii.gz": "fresh"}
    assert main(["check", str(home)]) == 0
    assert "2 derived files: all fresh" in capsys.readouterr().out


def test_edited(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(home / "out" / "ctv.nii.gz", home / "out" / "ptv.nii.gz")
    assert main(["check", str(home / "out"), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["fresh"] is False
    assert told["counts"] == {"fresh": 1, "edited": 1}
    assert [(one["path"], one["state"]) for one in told["files"]] == [("ctv.nii.gz", "fresh"), ("ptv.nii.gz", "edited")]


def test_stale_input_missing_and_unreadable(home: Path) -> None:
    gtv = home / "gtv.nii.gz"
    content = gtv.read_bytes()
    gtv.write_bytes(content + b"\0")
    assert set(states(home / "out").values()) == {"stale"}
    gtv.unlink()
    found = check_folder(home / "out")
    assert {finding.state for finding in found} == {"input missing"}
    assert found[0].reason == "input ../gtv.nii.gz is missing"
    gtv.mkdir()
    assert set(states(home / "out").values()) == {"input unreadable"}


def test_the_worst_is_told_and_every_reason(home: Path) -> None:
    (home / "gtv.nii.gz").write_bytes(b"x")
    (home / "out" / "ptv.nii.gz").write_bytes(b"x")
    worst = check_folder(home / "out")[1]
    assert worst.state == "edited"
    assert worst.reason == "input ../gtv.nii.gz has changed; has changed"


def test_file_missing(home: Path) -> None:
    (home / "out" / "ptv.nii.gz").unlink()
    assert states(home / "out") == {"ctv.nii.gz": "fresh", "ptv.nii.gz": "file missing"}


def test_the_result_alone_is_record_enough(home: Path) -> None:
    for sidecar in (home / "out").glob("*.nii.gz.json"):
        sidecar.unlink()
    told = states(home / "out")
    assert {told[name] for name in ("ctv.nii.gz", "ptv.nii.gz")} == {"fresh"}
    assert {told[f"{name}.json"] for name in ("ctv.nii.gz", "ptv.nii.gz")} == {"file missing"}
    (home / "out" / "targets.json").unlink()
    assert set(states(home / "out").values()) == {"no record"}


def test_no_record(home: Path) -> None:
    shutil.copy(home / "out" / "ptv.nii.gz", home / "out" / "ptv (copy).nii.gz")
    assert states(home)["out/ptv (copy).nii.gz"] == "no record"


@pytest.mark.parametrize("name", ["targets.json", "ptv.nii.gz.json"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": "ptvkit-x/1"}', b"[" * 100_000]
    + [b'{"schema": "ptvkit-sidecar/1", "output": {"path": 5, "sha256": "a"}, "inputs": []}']
    + [b'{"schema": "ptvkit-sidecar/1", "output": {"path": "a\\u0000b", "sha256": "a"}, "inputs": []}']
    + [b'{"schema": "ptvkit-targets/1", "files": [], "inputs": {}}'],
)
def test_damaged_records(home: Path, name: str, content: bytes) -> None:
    (home / "out" / name).write_bytes(content)
    assert states(home)[f"out/{name}"] == "damaged record"
    assert main(["check", str(home)]) == 3


def test_other_json_is_left_alone(home: Path) -> None:
    for name, content in {
        "a.json": b"{",
        "b.json": b'{"schema": "other"}',
        "c.json": b'{"schema": "ptvkit-x/1"}',
    }.items():
        (home / name).write_bytes(content)
    assert set(states(home)) == {"out/ctv.nii.gz", "out/ptv.nii.gz"}


def test_another_version_is_told(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made_by = json.loads((home / "out" / "targets.json").read_text(encoding="utf-8"))["versions"]["ptvkit"]
    monkeypatch.setattr("ptvkit.trust.check.version", lambda name: "99.0")
    assert set(states(home).values()) == {"other version"}
    assert main(["check", str(home)]) == 0
    assert f"written by ptvkit {made_by}, this is 99.0" in capsys.readouterr().out
    assert main(["check", str(home), "--strict"]) == 3


def test_a_link_to_the_folder_and_from_it(home: Path) -> None:
    (home / "link").symlink_to(home / "out", target_is_directory=True)
    assert set(states(home / "link").values()) == {"fresh"}
    (home / "out" / "loop").symlink_to(home, target_is_directory=True)
    assert set(states(home)) == {"out/ctv.nii.gz", "out/ptv.nii.gz"}


def test_a_pipe_as_input_is_not_waited_for(home: Path) -> None:
    (home / "gtv.nii.gz").unlink()
    os.mkfifo(home / "gtv.nii.gz")
    assert set(states(home / "out").values()) == {"input unreadable"}


def test_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid(shape=(21, 23, 25), affine=np.diag([1.0, 1.0, 1.0, 1.0]))
    inside = np.linalg.norm(np.moveaxis(np.indices(grid.shape), 0, -1) - (10, 11, 12), axis=-1) <= 5
    (tmp_path / "masks").mkdir()
    write_mask(Mask.from_array(inside, grid.affine), tmp_path / "masks" / "a.nii.gz")
    (tmp_path / "study.toml").write_text(
        '[cases]\nmasks = "masks"\n[targets]\nptv = 4\n[[errors]]\nname = "x"\nsystematic_mm = 1\n'
        "[simulation]\npatients = 20\n",
        encoding="utf-8",
    )
    assert main(["run", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")]) == 0
    assert states(tmp_path / "out") == {"results.csv": "fresh"}
    table = tmp_path / "out" / "results.csv"
    content = table.read_bytes()
    table.write_bytes(content.replace(b"1", b"2"))
    assert states(tmp_path / "out") == {"results.csv": "edited"}
    table.unlink()
    assert states(tmp_path / "out") == {"results.csv": "file missing"}
    table.write_bytes(content)
    (tmp_path / "out" / "study.journal").write_bytes(b"torn")
    assert states(tmp_path / "out") == {"results.csv": "damaged record"}


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("a")
    for given, said in (("none", "no such file or folder"), (".", "holds no results of ptvkit")):
        with pytest.raises(FileError, match=said):
            check_folder(tmp_path / given)
        assert main(["check", str(tmp_path / given)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    deep = tmp_path / "/".join("abcdefghijklmnopqrst")
    deep.mkdir(parents=True)
    with pytest.raises(FileError, match="more than 16 deep"):
        check_folder(tmp_path)


def test_one_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = home / "out"
    assert main(["check", str(out / "ptv.nii.gz")]) == 0
    assert "1 derived file: all fresh" in capsys.readouterr().out
    shutil.copy(out / "ctv.nii.gz", out / "ptv.nii.gz")
    assert [finding.state for finding in check(out / "ptv.nii.gz")] == ["edited"]
    assert [finding.state for finding in check(out / "ctv.nii.gz")] == ["fresh"]
    assert {one.path.name: one.state for one in check(out / "targets.json")}["ptv.nii.gz"] == "edited"
    (home / "a.txt").write_text("a")
    assert [finding.state for finding in check(home / "a.txt")] == ["no record"]
    assert main(["check", str(home / "a.txt")]) == 3
