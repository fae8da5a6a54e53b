"""Names of nnU-Net's labels and regions, and folders with a file for each structure."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.errors import FileError, MaskError

KITS = {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumour": 2}


def dataset(folder: Path, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dataset.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def labelled() -> NDArray[np.uint8]:
    """Regions as the model writes them: the outermost first, each next one over it."""
    array = np.zeros((7, 9, 11), np.uint8)
    array[1:6, 2:8, 2:9] = 1
    array[2:5, 3:7, 3:7] = 3
    array[2:4, 4:6, 4:5] = 2
    array[6, 8, 10] = 2  # a tumour that the model did not see a kidney around
    return array


@pytest.fixture
def predictions(tmp_path: Path, labelled: NDArray[np.uint8], nifti_bytes: Callable[..., bytes]) -> Path:
    dataset(tmp_path, labels=KITS, regions_class_order=[1, 3, 2], file_ending=".nii.gz")
    (tmp_path / "case_1.nii").write_bytes(nifti_bytes(labelled))
    return tmp_path


@pytest.mark.parametrize(("name", "numbers"), [("kidney", (1, 2, 3)), ("masses", (2, 3)), ("tumour", (2,))])
def test_a_region_is_all_of_its_integers(
    predictions: Path, labelled: NDArray[np.uint8], name: str, numbers: tuple[int, ...]
) -> None:
    assert pk.nnunet_labels(predictions)[name] == numbers
    for label in (name, numbers):
        mask = pk.read_mask(predictions / "case_1.nii", label=label)
        wanted = np.zeros(labelled.shape, bool)
        for number in numbers:
            wanted |= labelled == number
        np.testing.assert_array_equal(mask.array, wanted)


def test_numbers_are_taken_together_and_one_of_them_may_be_absent(predictions: Path) -> None:
    path = predictions / "case_1.nii"
    assert pk.read_mask(path, label=[3, 9]).volume_cc == pk.read_mask(path, label=3).volume_cc
    with pytest.raises(MaskError, match=r"there is no label \[8, 9\]; present: 1, 2 \(tumour\), 3"):
        pk.read_mask(path, label=[8, 9])


@pytest.mark.parametrize("label", [[], [0, 1], ["x"], [1.5], 1.5, [None]])
def test_what_is_no_label(predictions: Path, label: Any) -> None:
    with pytest.raises(MaskError):
        pk.read_mask(predictions / "case_1.nii", label=label)


def test_a_wrong_name_is_told_with_what_is_there(predictions: Path) -> None:
    with pytest.raises(MaskError, match=r"no label 'tumor'.*did you mean 'tumour'"):
        pk.read_mask(predictions / "case_1.nii", label="tumor")
    assert pk.read_labels(predictions / "case_1.nii") == {1: "", 2: "tumour", 3: ""}


def test_names_in_the_header_go_first(
    predictions: Path, labelled: NDArray[np.uint8], nifti_bytes: Callable[..., bytes]
) -> None:
    extension = b'<LabelTable><Label Key="1">tumour</Label></LabelTable>'
    (predictions / "own.nii").write_bytes(nifti_bytes(labelled, extension=extension))
    np.testing.assert_array_equal(pk.read_mask(predictions / "own.nii", label="tumour").array, labelled == 1)


def test_names_of_the_first_version(
    tmp_path: Path, labelled: NDArray[np.uint8], nifti_bytes: Callable[..., bytes]
) -> None:
    """Of v1 and the Medical Segmentation Decathlon, number to name, above the folder of labels."""
    dataset(tmp_path, labels={"0": "background", "1": "liver", "2": "lesion"})
    (tmp_path / "labelsTr").mkdir()
    (tmp_path / "labelsTr" / "a.nii").write_bytes(nifti_bytes(labelled))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.nii").write_bytes(nifti_bytes(labelled))
    assert pk.read_mask(tmp_path / "labelsTr" / "a.nii", label="lesion").volume_cc == pytest.approx(5 * 6e-3)
    with pytest.raises(MaskError, match="no label 'lesion'"):
        pk.read_mask(tmp_path / "elsewhere" / "a.nii", label="lesion")
    with pytest.raises(FileError, match=r"no dataset\.json beside it"):
        pk.nnunet_labels(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"labels": {"backgr', "is not JSON, or is truncated"),
        ("[1]", 'has no "labels" table'),
        ('{"labels": {}}', 'has no "labels" table'),
        ('{"labels": {"a": 1.5}}', "label 'a' is 1.5"),
        ('{"labels": {"a": true}}', "label 'a' is True"),
        ('{"labels": {"a": []}}', r"label 'a' is \[\]"),
        ('{"labels": {"a": [1, -2]}}', r"label 'a' is \[1, -2\]"),
        ('{"labels": {"a": [1, 2], "b": 2}, "regions_class_order": [1]}', r"is \[1\] for 2 regions"),
        ('{"labels": {"a": [1, 2], "b": 2}, "regions_class_order": [2, 1]}', "has 1 written for it"),
    ],
)
def test_a_dataset_file_that_contradicts_itself(
    tmp_path: Path, labelled: NDArray[np.uint8], nifti_bytes: Callable[..., bytes], content: str, found: str
) -> None:
    (tmp_path / "dataset.json").write_text(content, encoding="utf-8")
    (tmp_path / "case.nii").write_bytes(nifti_bytes(labelled))
    with pytest.raises(FileError, match=found):
        pk.read_mask(tmp_path / "case.nii", label="a")
    assert pk.read_mask(tmp_path / "case.nii", label=1).box is not None  # a number needs no names
    assert set(pk.read_labels(tmp_path / "case.nii")) == {1, 2, 3}


def test_a_folder_with_a_file_for_each_structure(
    tmp_path: Path, voxels: NDArray[np.uint8], nifti_bytes: Callable[..., bytes]
) -> None:
    (tmp_path / "liver.nii").write_bytes(nifti_bytes(voxels))
    (tmp_path / "spleen.nii.gz").write_bytes(b"")
    (tmp_path / "statistics.json").write_text("{}", encoding="utf-8")
    mask = pk.read_mask(tmp_path, label="liver")
    np.testing.assert_array_equal(mask.array, voxels > 0)
    assert mask.name == str(tmp_path / "liver.nii")
    with pytest.raises(FileError, match="no 'livr'; there are liver, spleen; did you mean 'liver'"):
        pk.read_mask(tmp_path, label="livr")
    with pytest.raises(FileError, match="folder of 2 masks; choose one by its name, as in label='liver'"):
        pk.read_mask(tmp_path)
    with pytest.raises(FileError, match=r"spleen\.nii\.gz: is empty"):
        pk.read_mask(tmp_path, label="spleen")
