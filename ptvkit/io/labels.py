"""Labels: whole numbers in voxels, label names, and the selection of a label."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MaskError
from ptvkit.text import LONGEST_SHOWN, printable, whole_number

Numbers = NDArray[Any]
Label = int | str | Collection[int]
"""A label number, a name, or several numbers that form one structure."""

LABEL_TOLERANCE = 1e-3
"""Tolerance: re-saved scaled files contain labels such as 1.0000000591; probability maps deviate more."""

_LARGEST_LABEL = 2**31 - 1
_MOST_LISTED = 8
_MOST_LABELS = 1000


def label_names(extension: bytes) -> dict[int, str]:
    """Label names in a NIfTI header extension: XML with ``<Label Key="5" …>liver</Label>``, as TotalSegmentator writes.

    Other content and damaged XML yield no names, since voxels can be read without them.

    Examples
    --------
    >>> label_names(b'<LabelTable><Label Key="5" Red="0">liver</Label></LabelTable>')
    {5: 'liver'}
    >>> label_names(b"something else")
    {}
    """
    if b"<Label" not in extension or b"<!DOCTYPE" in extension:
        return {}
    try:
        root = ElementTree.fromstring(extension.strip(b"\0 \t\r\n"))
        named = {int(e.get("Key", "")): " ".join((e.text or "").split()) for e in root.iter("Label")}
    except (ElementTree.ParseError, ValueError, LookupError):
        return {}
    return {number: name for number, name in named.items() if name}


def names_as_extension(names: Mapping[int, str]) -> bytes:
    """Label names as a header extension that `label_names` and tools for TotalSegmentator's files read.

    Examples
    --------
    >>> label_names(names_as_extension({1: "GTV & CTV", 2: "liver"}))
    {1: 'GTV & CTV', 2: 'liver'}
    """
    root = ElementTree.Element("CaretExtension")
    table = ElementTree.SubElement(ElementTree.SubElement(root, "VolumeInformation", Index="0"), "LabelTable")
    for number, name in sorted(names.items()):
        ElementTree.SubElement(table, "Label", Key=str(number), Red="1", Green="1", Blue="1", Alpha="1").text = name
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def as_labels(stored: Numbers, slope: float, intercept: float, path: Path) -> Numbers:
    """Convert stored values to whole numbers.

    Raises
    ------
    MaskError
        When a value is NaN or further than a thousandth from a whole number.
    """
    is_scaled = (slope, intercept) != (1.0, 0.0)
    if not is_scaled and stored.dtype.kind in "iu":
        return stored
    with np.errstate(invalid="ignore", over="ignore"):
        if not is_scaled and not stored.any():
            return np.zeros(stored.size, np.uint8)
        values = stored.astype(np.float64)
        if is_scaled:
            values *= slope
            values += intercept
        whole = np.rint(values)
        right = np.abs(values - whole) <= LABEL_TOLERANCE
        right &= np.abs(whole) <= _LARGEST_LABEL
    if not right.all():
        raise _not_labels(float(values[~right][0]), path)
    return whole.astype(np.int64)


def labels_in(labels: Numbers, path: Path) -> set[int]:
    """Non-zero labels of a block of voxels.

    Raises
    ------
    MaskError
        When a label does not fit in 32 bits.
    """
    low, high = int(labels.min()), int(labels.max())
    if max(-low, high) > _LARGEST_LABEL:
        raise _not_labels(float(max(low, high, key=abs)), path)
    if low == high or (low, high) == (0, 1):
        present = {low, high}
    elif high - low < 1 << 16:
        counts = np.bincount(labels.astype(np.int64) - low)
        present = {int(n) + low for n in np.flatnonzero(counts)}
    else:
        present = {int(n) for n in np.unique(labels)}
    return present - {0}


def number_of(label: int | str, names: Mapping[int, str], path: Path) -> int | None:
    """Number of a label, by number or name; None when the name is unknown.

    Raises
    ------
    MaskError
        When the label is 0, the background, or several labels have the name.
    """
    numbers = sorted(n for n, name in names.items() if name == label)
    if len(numbers) > 1:
        raise MaskError(f"{path}: several labels are named {label!r} ({_joined(numbers, {})}); choose by number")
    number = numbers[0] if numbers else _as_number(label)
    if number == 0:
        raise MaskError(f"{path}: label 0 is the background; choose another label")
    return number


def numbers_of(label: Label, names: Mapping[int, str], path: Path) -> frozenset[int]:
    """Numbers of a label, or of several labels that form a structure; empty when the name is unknown.

    Raises
    ------
    MaskError
        See `number_of`; also when several labels are not whole numbers.
    """
    if isinstance(label, int | str) or not isinstance(label, Collection):
        number = number_of(label, names, path)
        return frozenset() if number is None else frozenset([number])
    numbers = [_as_number(n) for n in label]
    if not numbers or None in numbers or 0 in numbers:
        raise MaskError(f"{path}: label {list(label)!r}: give whole numbers other than 0, the background")
    return frozenset(n for n in numbers if n is not None)


def none_chosen(present: Iterable[int], names: Mapping[int, str], path: Path) -> MaskError:
    """Error for several labels without a choice."""
    numbers = sorted(present)
    if len(numbers) > _MOST_LABELS:
        return MaskError(
            f"{path}: holds {len(numbers)} values besides 0, more like an image than a segmentation; give a mask"
        )
    first = names.get(numbers[0]) or numbers[0]
    return MaskError(
        f"{path}: holds several labels: {_joined(numbers, names)}; choose one with label={first!r} (--label {first})"
    )


def not_present(label: Label, present: Iterable[int], names: Mapping[int, str], path: Path) -> MaskError:
    """Error for a label without voxels, with the nearest name as a hint."""
    numbers = sorted(present)
    number = next((n for n, name in names.items() if name == label), None)
    number = _as_number(label) if number is None else number
    if number is not None and number in names:
        problem = f"label {number} ({names[number]}) has a name, but no voxel holds it"
    else:
        problem = f"there is no label {printable(repr(label), LONGEST_SHOWN)}"
    there = f"present: {_joined(numbers, names)}" if numbers else "every voxel is 0"
    known = {names[n].casefold(): names[n] for n in numbers if n in names}
    near = difflib.get_close_matches(str(label)[:LONGEST_SHOWN].casefold(), known, 1)
    hint = f"; did you mean {known[near[0]]!r}?" if near else "; choose one of these" if numbers else ""
    return MaskError(f"{path}: {problem}; {there}{hint}")


def _as_number(label: Any) -> int | None:
    if isinstance(label, str):
        return whole_number(label)
    try:
        number = int(label)
    except (ValueError, OverflowError, TypeError):
        return None
    return number if bool(number == label) else None


def _joined(numbers: list[int], names: Mapping[int, str]) -> str:
    shown = [f"{n} ({names[n]})" if n in names else str(n) for n in numbers[:_MOST_LISTED]]
    more = [f"and {len(numbers) - _MOST_LISTED} more"] if len(numbers) > _MOST_LISTED else []
    return ", ".join(shown + more)


def _not_labels(value: float, path: Path) -> MaskError:
    if np.isnan(value):
        return MaskError(f"{path}: holds NaN; replace it by 0 or by a label")
    return MaskError(
        f"{path}: holds values that are not labels, such as {value:g}; give a segmentation, or cut a probability map"
        " at a threshold first"
    )
