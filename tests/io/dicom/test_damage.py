"""Damaged DICOM files: one line that names the file and what to do, and nothing of the patient."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

import ptvkit as pk
from ptvkit.errors import FileError
from tests.io.dicom.making import opened, write_series
from tests.io.dicom.test_dose_seg import dose_on
from tests.io.dicom.test_rtstruct import AXES, grid_of

GRID = grid_of(AXES["supine"], (9, 8, 6))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return write_series(tmp_path / "ct", GRID)


@pytest.fixture
def dose(tmp_path: Path, series: Path) -> Path:
    pk.write_dose(dose_on(GRID), tmp_path / "d.dcm", reference=series)
    return tmp_path / "d.dcm"


def refused(read: Callable[[Path], Any], path: Path, says: str) -> None:
    with pytest.raises(FileError, match=re.escape(says)) as raised:
        read(path)
    assert path.name in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value).lower()


def changed(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_name_that_slipped_into_another_element_is_not_told(series: Path) -> None:
    path = series / "000.dcm"
    changed(path, b"\x08\0\x60\0CS\x02\0CT", b"\x08\0\x60\0CS\x60\0CT")  # Modality, as long as all up to the name
    refused(pk.read_rois, path, "is of kind unknown")


def test_number_that_is_a_name_is_not_told(dose: Path) -> None:
    data = opened(dose)
    scaling = str(data.DoseGridScaling).encode()
    changed(dose, scaling, b"Secret^Name".ljust(len(scaling))[: len(scaling)])
    refused(pk.read_dose, dose, "its elements are not what they promise")


@pytest.mark.parametrize("word", [b"1e308", b"nan", b"-1", b"0"])
def test_scaling_that_no_dose_has(word: bytes, dose: Path) -> None:
    scaling = str(opened(dose).DoseGridScaling).encode()
    changed(dose, scaling, word.ljust(len(scaling)))
    refused(pk.read_dose, dose, "is damaged")


def test_slope_that_no_image_has(series: Path) -> None:
    data = opened(series / "000.dcm")
    data.RescaleSlope = "1e308"
    data.save_as(series / "000.dcm")
    refused(pk.read_ct, series / "000.dcm", "is damaged")


def test_length_that_no_number_has(series: Path) -> None:
    path = series / "000.dcm"
    changed(path, b"\x28\0\x10\0US\x02\0", b"\x28\0\x10\0US\x03\0")  # Rows, in three bytes
    refused(pk.read_ct, path, "is damaged")


def test_small_file_that_inflates_to_hundreds_of_megabytes(dose: Path) -> None:
    data = opened(dose)
    data.PixelData = bytes(300_000_000)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(dose)
    assert dose.stat().st_size < 1_000_000
    refused(pk.read_dose, dose, "more than 256 MB when inflated; export it without compression")


def test_deflated_dose_is_read(dose: Path) -> None:
    data = opened(dose)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    values = pk.read_dose(dose).values
    data.save_as(dose)
    np.testing.assert_array_equal(pk.read_dose(dose).values, values)


def test_slices_of_one_name(series: Path) -> None:
    first, second = opened(series / "000.dcm"), opened(series / "001.dcm")
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    second.save_as(series / "001.dcm")
    refused(pk.read_ct, series, "two of its slices have the same SOPInstanceUID")


def test_what_is_missing_is_named(dose: Path) -> None:
    data = opened(dose)
    del data.PixelSpacing
    data.save_as(dose)
    refused(pk.read_dose, dose, "it has no PixelSpacing")


def test_padding_is_no_matter(series: Path, recwarn: pytest.WarningsRecorder) -> None:
    values, _ = pk.read_ct(series)
    data = opened(series / "000.dcm")
    data.PixelData = data.PixelData + bytes(2)
    data.save_as(series / "000.dcm")
    np.testing.assert_array_equal(pk.read_ct(series)[0], values)
    assert not recwarn.list
