"""The command line as a whole."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ptvkit import phantom
from ptvkit.cli import main


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
    assert done.stderr.decode() == "ptvkit: no.nii: no such file; check the path, and give an existing file\n"
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
