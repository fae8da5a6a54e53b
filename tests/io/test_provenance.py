"""Sidecars: what they say, and when they are stale."""

import hashlib
import json
import os
import platform
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptvkit.errors import FileError
from ptvkit.io import provenance
from ptvkit.io.provenance import (
    DVH_TABLE_SCHEMA,
    Provenance,
    command_line,
    read_sidecar,
    sidecar_path,
    source_of,
    stale_reasons,
    versions,
    write_sidecar,
)


@pytest.fixture
def gtv(tmp_path: Path) -> Path:
    path = tmp_path / "patient Ä" / "gtv.nii.gz"
    path.parent.mkdir()
    path.write_bytes(b"gtv")
    return path


@pytest.fixture
def ptv(tmp_path: Path) -> Path:
    path = tmp_path / "out" / "ptv.nii.gz"
    path.parent.mkdir()
    path.write_bytes(b"ptv")
    return path


def made(gtv: Path, **changes: Any) -> Provenance:
    given: dict[str, Any] = {
        "inputs": (source_of(gtv),),
        "method": "subvoxel",
        "margins": {"ptv": {"left_mm": np.float64(10), "lesions": (1, 2), "n": np.arange(3)}},
        "command": ("ptvkit", "targets", "gtv.nii.gz"),
        "created": datetime(2026, 5, 4, 12, 30, tzinfo=timezone(timedelta(hours=2))),
    }
    return Provenance(**(given | changes))


def test_content(gtv: Path, ptv: Path) -> None:
    sidecar = write_sidecar(ptv, made(gtv))
    assert sidecar == ptv.with_name("ptv.nii.gz.json") == sidecar_path(ptv)
    assert json.loads(sidecar.read_text(encoding="ascii")) == {
        "schema": "ptvkit-sidecar/1",
        "output": {"path": "ptv.nii.gz", "sha256": hashlib.sha256(b"ptv").hexdigest()},
        "inputs": [{"path": "../patient Ä/gtv.nii.gz", "sha256": hashlib.sha256(b"gtv").hexdigest()}],
        "method": "subvoxel",
        "margins": {"ptv": {"left_mm": 10.0, "lesions": [1, 2], "n": [0, 1, 2]}},
        "command": ["ptvkit", "targets", "gtv.nii.gz"],
        "created": "2026-05-04T10:30:00+00:00",
        "versions": versions(),
    }
    assert sorted(p.name for p in ptv.parent.iterdir()) == ["ptv.nii.gz", "ptv.nii.gz.json"]


def test_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(versions()) == ["python", "ptvkit", "numpy", "scipy", "nibabel", "numba"]
    assert versions()["python"] == platform.python_version()
    assert versions()["numpy"] == np.__version__
    monkeypatch.setattr(provenance, "_LIBRARIES", ("no-such-library",))
    assert versions()["no-such-library"] == "0+unknown"


def test_defaults(gtv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/ptvkit", "targets", "gtv.nii.gz"])
    now = Provenance(inputs=(), method="voxel", margins={})
    assert now.command == command_line() == ("ptvkit", "targets", "gtv.nii.gz")
    assert abs(now.created - datetime.now(UTC)) < timedelta(minutes=1)


def test_fresh_then_stale(gtv: Path, ptv: Path) -> None:
    sidecar = write_sidecar(ptv, made(gtv))
    assert stale_reasons(sidecar) == []
    gtv.write_bytes(b"gtx")
    assert stale_reasons(sidecar) == ["input ../patient Ä/gtv.nii.gz has changed"]
    ptv.write_bytes(b"ptv, edited")
    gtv.unlink()
    assert stale_reasons(sidecar) == ["output ptv.nii.gz has changed", "input ../patient Ä/gtv.nii.gz is missing"]
    gtv.mkdir()
    ptv.unlink()
    assert stale_reasons(sidecar) == ["output ptv.nii.gz is missing", "input ../patient Ä/gtv.nii.gz cannot be read"]


def test_an_input_changed_during_the_run_is_seen(gtv: Path, ptv: Path) -> None:
    run = made(gtv)
    gtv.write_bytes(b"changed while margins grew")
    assert stale_reasons(write_sidecar(ptv, run)) == ["input ../patient Ä/gtv.nii.gz has changed"]


def test_a_study_that_moves_stays_fresh(gtv: Path, ptv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ptv.parent)
    write_sidecar("ptv.nii.gz", made(Path("../patient Ä/gtv.nii.gz")))
    moved = tmp_path / "archive"
    moved.mkdir()
    for part in ("out", "patient Ä"):
        (tmp_path / part).rename(moved / part)
    assert stale_reasons(moved / "out" / "ptv.nii.gz.json") == []


def test_a_folder_behind_a_link(gtv: Path, ptv: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    link = tmp_path / "deep" / "er" / "out"
    link.symlink_to(ptv.parent, target_is_directory=True)
    sidecar = write_sidecar(link / "ptv.nii.gz", made(gtv))
    assert stale_reasons(sidecar) == stale_reasons(ptv.parent / sidecar.name) == []


def test_names_that_are_no_text(gtv: Path, ptv: Path) -> None:
    odd = gtv.with_name(os.fsdecode(b"g\xfftv.nii"))
    try:
        odd.write_bytes(b"odd")
    except OSError:
        pytest.skip("this file system takes only text")
    assert stale_reasons(write_sidecar(ptv, made(odd))) == []


def test_a_sidecar_over_an_input(gtv: Path, ptv: Path) -> None:
    source = sidecar_path(ptv)
    source.write_bytes(b"study")
    with pytest.raises(FileError, match="would overwrite the input"):
        write_sidecar(ptv, made(source))
    assert source.read_bytes() == b"study"


def test_values_that_json_cannot_hold(gtv: Path, ptv: Path) -> None:
    for value, error in {float("nan"): ValueError, object: TypeError}.items():
        with pytest.raises(error):
            write_sidecar(ptv, made(gtv, margins={"left_mm": value}))
    assert not sidecar_path(ptv).exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"output": {"path": "a"}, "inputs": []}',
        b'{"output": {"path": 1, "sha256": 2}, "inputs": []}',
        b'{"output": 1, "inputs": 2}',
    ],
)
def test_files_that_are_no_sidecar(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        stale_reasons(path)
    assert str(caught.value).startswith(f"{path}: is ")


def test_missing_files(gtv: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.json: no such file"):
        read_sidecar(tmp_path / "none.json")
    with pytest.raises(FileError, match=r"none\.nii: no such file"):
        source_of(tmp_path / "none.nii")
    with pytest.raises(FileError, match=r"none\.nii: no such file"):
        write_sidecar(tmp_path / "none.nii", made(gtv))


def test_sidecar_of_a_table_names_its_schema(tmp_path: Path) -> None:
    source, table = tmp_path / "plan.dcm", tmp_path / "anything.csv"
    source.write_bytes(b"a")
    table.write_bytes(b"dose_gy,liver\n")
    sidecar = write_sidecar(table, made(source), schema=DVH_TABLE_SCHEMA)
    assert read_sidecar(sidecar)["output"]["schema"] == "ptvkit-dvh-table/1"
    assert stale_reasons(sidecar) == []
