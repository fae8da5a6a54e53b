"""The command line as a whole."""

import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ptvkit import phantom
from ptvkit.cli import main
from ptvkit.cli.progress import progress_of


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ptvkit {version('ptvkit')}\n"


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "targets" in told
    assert "demo" in told


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tragets"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_exit_status_of_the_program(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; from ptvkit.cli import main; sys.exit(main())", "targets", "no.nii"]
    done = subprocess.run([*command, "--ctv", "1", "--ptv", "1", "-o", "out"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.decode() == "ptvkit: no.nii: no such file; check the path\n"
    assert list(tmp_path.iterdir()) == []


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out)]) == 0
    told = capsys.readouterr()
    assert "lesions 1, 2, 3 merge" in told.err
    assert "GTV" in told.out
    assert (out / "targets.png").stat().st_size > 50_000
    image = nib.load(out / "gtv.nii.gz")
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    assert (np.asarray(image.dataobj) > 0).sum() == phantom.mask("gtv", phantom.grid()).cropped.sum()


def test_progress_in_a_pipe_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_of("courses", every_s=0.05) as told:
        assert told is not None
        told(1280, 10000)
        time.sleep(0.5)
        told(2560, 10000, 2)
        time.sleep(0.5)
    with progress_of("courses", json=True, every_s=0.01) as silent:
        assert silent is None
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "ptvkit: courses 1,280 of 10,000"
    assert lines[-1] == "ptvkit: courses 2,560 of 10,000, 2 failed"
    assert len(lines) >= 4


def test_a_bug_keeps_its_traceback_and_is_json_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise TypeError("by design")

    monkeypatch.setattr("ptvkit.trust.check.check", bug)
    with pytest.raises(TypeError, match="by design"):
        main(["check", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out) == {"error": "a bug in ptvkit: TypeError: by design"}


SMALL = ["--set", "targets.lesion=3"]


def test_a_study_file_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "study.toml"
    assert main(["run", "--new", str(path)]) == 0
    assert main(["new-study", "-o", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["run", str(path), "--dry-run", "--json", "--set", "simulation.patients=60", *SMALL]) == 0
    assert json.loads(capsys.readouterr().out)["patients"] == 60
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        (("recipe", "van-herk", "--systematic", "2", "--random", "3"), "ptvkit-recipe/1"),
        (("recipe",), "ptvkit-recipes/1"),
        (("run", "--new", "study.toml"), "ptvkit-run-new/1"),
    ],
)
def test_printed_json_names_its_schema(
    words: tuple[str, ...],
    schema: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == schema
