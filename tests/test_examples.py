"""The examples run as they are."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ptvkit.trust.check import check_folder

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_example(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


@pytest.mark.snakemake
def test_snakemake_makes_every_case_and_nothing_twice(tmp_path: Path) -> None:
    labels = np.zeros((40, 33, 25), np.uint8)
    labels[5:35, 5:28, 3:22] = 1
    labels[12:18, 10:15, 9:13] = 2
    (tmp_path / "segmentations").mkdir()
    for name in ("p1", "p2"):
        nib.save(nib.Nifti1Image(labels, np.diag([-1.5, -2, 3, 1])), tmp_path / "segmentations" / f"{name}.nii.gz")
    rules = EXAMPLES[0].parent / "snakemake" / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--directory", tmp_path, "--snakefile", rules]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for done in ("5 of 5 steps", "Nothing to be done"):
        ran = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert done in ran.stderr
    findings = check_folder(tmp_path)
    assert {f"targets/{name}/ptv.nii.gz" for name in ("p1", "p2")} <= {f.path.as_posix() for f in findings}
    assert all(finding.is_fresh for finding in findings)
