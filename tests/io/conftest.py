"""NIfTI files made by `struct` alone, so that the reader is never tested against its own writer."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "c8": 32, "f8": 64, "i1": 256, "u2": 512, "i8": 1024, "u8": 1280}


def encode(
    array: NDArray[Any],
    affine: NDArray[np.float64] | None = None,
    *,
    order: Literal["<", ">"] = "<",
    extension: bytes = b"",
    fields: dict[int, tuple[str, Any]] | None = None,
) -> bytes:
    """Bytes of a .nii; `fields` overwrites header bytes: {offset: (struct format, value)}."""
    affine = np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine
    header = bytearray(348)

    def put(at: int, form: str, *values: Any) -> None:
        struct.pack_into(order + form, header, at, *values)

    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    put(0, "i", 348)
    put(40, "8h", array.ndim, *array.shape, *[1] * (7 - array.ndim))
    put(70, "2h", CODES[array.dtype.str[1:]], 8 * array.dtype.itemsize)
    put(76, "8f", 1, *spacing, 1, 1, 1, 1)
    padded = extension + bytes(-len(extension) % 16)
    put(108, "f", 352 + len(padded) + (8 if extension else 0))
    put(112, "2f", 1, 0)
    put(123, "B", 2)
    put(254, "h", 1)
    for row in range(3):
        put(280 + 16 * row, "4f", *affine[row])
    put(344, "4s", b"n+1\0")
    for at, (form, value) in (fields or {}).items():
        put(at, form, value)
    tail = b"\1\0\0\0" + struct.pack(order + "2i", 8 + len(padded), 0) + padded if extension else bytes(4)
    voxels = array.astype(array.dtype.newbyteorder(order)).tobytes(order="F")
    return bytes(header) + tail + voxels


@pytest.fixture
def nifti_bytes() -> Callable[..., bytes]:
    """Give the encoder."""
    return encode


@pytest.fixture
def voxels() -> NDArray[np.uint8]:
    """An off-centre block without symmetry on (7, 9, 11) voxels."""
    array = np.zeros((7, 9, 11), np.uint8)
    array[1:3, 3:6, 5:9] = 1
    array[3, 4, 5] = 1
    return array


@pytest.fixture
def nothing_left(tmp_path: Path) -> Callable[..., None]:
    """Check that a folder holds these files and no other, hidden ones included."""

    def check(*names: str) -> None:
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)

    return check
