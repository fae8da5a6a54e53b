"""Damaged study files, manifests, limits, traces, tables of shifts, dataset.json and journals: one line, or read."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ptvkit.cli import main

CASES = 200
SEED = 20_261_124
AFFINE = np.array([[-2.0, 0, 0, 12], [0, -2, 0, 11], [0, 0, 3, -15], [0, 0, 0, 1]])
STUDY = """[cases]
masks = "gtv.nii"
[targets]
ctv = 2
ptv = {all = 3, S = 4}
[[errors]]
name = "set-up"
systematic_mm = [2, 2, 3]
random_mm = 1.5
[guidance]
match = "bone"
action_level_mm = 2
[breathing]
amplitude_mm = [1, 2, 6]
inhale = [1, 1, -1]
reference = "exhale"
[simulation]
fractions = 2
patients = 20
[output]
page = false
[sweep.parameters]
"targets.ptv" = [2, 3]
"""
FILES = {
    "study.toml": STUDY,
    "manifest.csv": "case,mask,targets.ptv\na,gtv.nii,3\nb,gtv.nii,4\n",
    "limits.toml": '[[limits]]\nstructure = "gtv"\nmetric = "D98%"\nat_least = 19\n',
    "trace.csv": "t_s,x_mm,y_mm,z_mm\n" + "".join(f"{n / 5},{n % 3},{n % 5},{n % 7}\n" for n in range(60)),
    "shifts.csv": "patient,fraction,x_mm,y_mm,z_mm\na,1,1,2,3\na,2,2,1,0\nb,1,0,1,-3\nb,2,1,1,1\n",
    "dataset.json": '{"labels": {"background": 0, "liver": [1, 2], "lesion": 1}, "regions_class_order": [1, 2]}',
}
TOKENS = (
    "", "nan", "inf", "-1", "0", "1e400", "9" * 400, "true", "[]", "{}", '""', "[1, 2]", "[[", "'", "\x00", "\x1b[2J",
    "=cmd()", "../..", "$\\frac", "[/b]", "é", "﻿", ",", ";", "\n", "\t", "1" * 5000, "null", "[[[[1]]]]",
)  # fmt: skip
COMMANDS: dict[str, list[str]] = {
    "study.toml": ["run", "study.toml", "--dry-run"],
    "manifest.csv": ["run", "many.toml", "--dry-run"],
    "limits.toml": ["dose", "gtv.nii", "--dose", "dose.nii", "--limits", "limits.toml"],
    "trace.csv": ["measure", "trace.csv", "--axes", "RAS"],
    "shifts.csv": ["measure", "shifts.csv", "--axes", "RAS", "--sign", "couch"],
    "dataset.json": ["targets", "gtv.nii", "--label", "lesion", "--ctv", "2", "--ptv", "1", "-o", "targets"],
    "out/study.journal": ["run", "study.toml", "--merge", "-o", "out"],
}


def mutated(text: str, rng: random.Random) -> str:
    """Text with a few of its tokens, lines or characters changed."""
    for _ in range(rng.randint(1, 3)):
        parts = re.split(r"([\s,=\[\]{}:\"]+)", text)
        at = rng.randrange(len(parts))
        kind = rng.randrange(5)
        if kind <= 1:
            parts[at] = rng.choice(TOKENS)
        elif kind == 2:
            parts[at] = parts[at] * 2
        elif kind == 3:
            del parts[at]
        else:
            at, to = sorted((rng.randrange(len(parts)), rng.randrange(len(parts))))
            parts = parts[:at] if rng.random() < 0.5 else parts[:at] + parts[to:]
        text = "".join(parts)
    return text


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a valid file of each kind, and a study that has run."""
    folder = tmp_path_factory.mktemp("texts")
    array = np.zeros((13, 12, 11), np.uint8)
    array[4:9, 3:8, 3:8] = 1
    nib.save(nib.Nifti1Image(array, AFFINE), folder / "gtv.nii")
    nib.save(nib.Nifti1Image(np.full(array.shape, 20, np.float32), AFFINE), folder / "dose.nii")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "many.toml").write_text(STUDY.replace('masks = "gtv.nii"', 'manifest = "manifest.csv"'), encoding="utf-8")
    return folder


def write_damaged(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def one(home: Path, number: int, heard: Callable[[], tuple[str, str]]) -> tuple[str, int]:
    """Damage one file, use it, and put it back."""
    rng = random.Random(SEED + number)
    name = rng.choice(list(COMMANDS))
    path = home / name
    whole = path.read_text(encoding="utf-8")
    damaged = mutated(whole, rng)
    write_damaged(path, damaged)
    try:
        status = main(COMMANDS[name])
    except Exception as error:
        raise AssertionError(f"case {number}, {name}: {type(error).__name__}: {error}\n{damaged[:2000]}") from error
    finally:
        path.write_text(whole, encoding="utf-8")
    lines = [line for line in heard()[1].splitlines() if "warning" not in line]
    assert status in (0, 2, 3), f"case {number}, {name}: status {status}\n{damaged[:2000]}"
    assert (status != 2) or len(lines) == 1, f"case {number}, {name}: {lines}"
    return name, status


def test_damaged_texts_are_refused_or_read(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    assert main(["run", "study.toml", "-o", "out"]) == 0
    capsys.readouterr()
    outcomes = [one(home, number, capsys.readouterr) for number in range(CASES)]
    assert {name for name, _ in outcomes} == set(COMMANDS)
    assert 0.3 * CASES < sum(status == 2 for _, status in outcomes) < CASES
