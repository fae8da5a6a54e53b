"""Label names of nnU-Net: ``dataset.json``, which `nnUNetv2_predict` copies into its folder of predictions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.io.files import PathLike, open_input

NAME: Final = "dataset.json"
_BACKGROUND: Final = ("background", "ignore")
"""Names that are not structures: background and ignore label; predictions never contain the latter."""
_MOST_BYTES: Final = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class NnunetDataset:
    """Labels of a ``dataset.json``.

    Attributes
    ----------
    path : Path
    labels : mapping of str to frozenset of int
        Integers of a name in a segmentation: one, or several for a region (region-based training).
    file_ending : str
        File ending of the dataset, such as ``.nii.gz``.
    """

    path: Path
    labels: Mapping[str, frozenset[int]]
    file_ending: str = ".nii.gz"

    @property
    def names(self) -> dict[int, str]:
        """Names of single integers, without regions."""
        return {next(iter(numbers)): name for name, numbers in self.labels.items() if len(numbers) == 1}


def nnunet_labels(path: PathLike) -> dict[str, tuple[int, ...]]:
    """Integers of the label names in an nnU-Net ``dataset.json``.

    With region-based training a name stands for several integers: the model writes one integer per voxel, that of the
    innermost region, so a whole tumour is the union of all the integers of its parts.

    Parameters
    ----------
    path : path
        A ``dataset.json``, the folder that holds it, or a segmentation beside it.

    Returns
    -------
    dict
        Integers in ascending order by name; without the background.

    Raises
    ------
    FileError
        When there is no ``dataset.json``, or it contradicts itself.

    Examples
    --------
    >>> import tempfile
    >>> text = '{"labels": {"background": 0, "liver": [1, 2], "lesion": 2}, "regions_class_order": [1, 2]}'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "dataset.json").write_text(text)
    ...     nnunet_labels(folder)
    {'liver': (1, 2), 'lesion': (2,)}
    """
    place = Path(path)
    dataset = dataset_beside(place / "x" if place.is_dir() else place)
    if dataset is None:
        raise FileError(f"{place}: has no {NAME} beside it, which names the labels; copy it there, or choose by number")
    return {name: tuple(sorted(numbers)) for name, numbers in dataset.labels.items()}


def dataset_beside(path: Path) -> NnunetDataset | None:
    """``dataset.json`` of a segmentation, or None.

    It is in the segmentation's folder, or, for the labels that a model was trained on (``labelsTr``), one above.

    Raises
    ------
    FileError
    """
    folders = [path.parent, *([path.parent.parent] if path.parent.name.startswith("labels") else [])]
    file = next((folder / NAME for folder in folders if (folder / NAME).is_file()), None)
    return None if file is None else read_dataset(file)


def read_dataset(path: Path) -> NnunetDataset:
    """Read a ``dataset.json`` of nnU-Net v2 or v1 (Medical Segmentation Decathlon).

    Raises
    ------
    FileError
        When the file is damaged, names no labels, or its regions contradict `regions_class_order`.
    """
    with open_input(path, f"nnU-Net's {NAME}") as file:
        try:
            content: Any = json.loads(file.read(_MOST_BYTES))
        except (ValueError, RecursionError):
            raise FileError(
                f"{path}: is not JSON, or is truncated; copy it again, or choose labels by number"
            ) from None
    named = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(named, dict) or not named:
        raise FileError(f'{path}: has no "labels" table; choose labels by number')
    labels = {name: numbers for name, numbers in _named(named, path) if name not in _BACKGROUND and numbers != {0}}
    _check_order(content.get("regions_class_order"), labels, path)
    ending = content.get("file_ending", ".nii.gz")
    return NnunetDataset(path=path, labels=labels, file_ending=ending if isinstance(ending, str) else ".nii.gz")


def _named(named: dict[str, Any], path: Path) -> list[tuple[str, frozenset[int]]]:
    if all(name.isdecimal() and isinstance(value, str) for name, value in named.items()):  # v1: number to name
        return [(value, frozenset([int(name)])) for name, value in named.items()]
    return [(name, _numbers(name, value, path)) for name, value in named.items()]


def _numbers(name: str, value: Any, path: Path) -> frozenset[int]:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise FileError(f"{path}: label {name!r} is {value!r}; it must be a whole number, or a list of them")
    return frozenset(numbers)


def _check_order(order: Any, labels: Mapping[str, frozenset[int]], path: Path) -> None:
    """The n-th integer of ``regions_class_order`` is what the model writes for the n-th region, and must be its own."""
    if order is None or all(len(numbers) == 1 for numbers in labels.values()):
        return
    if not isinstance(order, list) or len(order) != len(labels):
        raise FileError(f"{path}: regions_class_order is {order!r} for {len(labels)} regions; choose labels by number")
    for (name, numbers), written in zip(labels.items(), order, strict=True):
        if written not in numbers:
            raise FileError(
                f"{path}: region {name!r} means {sorted(numbers)}, but regions_class_order has {written!r} written for"
                " it, so its name would miss voxels; mend the file, or choose labels by number"
            )
