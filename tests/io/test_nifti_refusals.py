"""What bad NIfTI files get: one line that names the file and the remedy, and no file left behind."""

import errno
import gzip
import os
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptvkit.errors import FileError, GridError, MaskError, PtvkitError, PtvkitWarning
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.io.nifti import read_grid, read_image, read_labels, read_mask, write_image, write_mask

Encode = Callable[..., bytes]
Voxels = NDArray[np.uint8]

SHEARED = np.array([[1.0, 0.2, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
SINGULAR = np.array([[1.0, 2, 0, 0], [1, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
FLAT = np.diag([1.0, 0.0, 3.0, 1.0])


def refused(path: Path, error: type[PtvkitError], said: str, read: Callable[[Path], Any] = read_mask) -> None:
    with pytest.raises(error) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert said in message
    assert "\n" not in message


HEADERS: dict[str, tuple[dict[int, tuple[str, Any]], type[PtvkitError], str]] = {
    "negative size": ({44: ("h", -9)}, FileError, "impossible size"),
    "size of zero": ({42: ("h", 0)}, FileError, "impossible size"),
    "no axes": ({40: ("h", 0)}, FileError, "impossible size"),
    "nine axes": ({40: ("h", 9)}, FileError, "impossible size"),
    "two axes": ({40: ("h", 2)}, FileError, "has 2 axes; give an image with three"),
    "colour": ({70: ("h", 128)}, FileError, "holds RGB colour values, not plain numbers"),
    "colour and alpha": ({70: ("h", 2304)}, FileError, "holds RGBA colour values"),
    "bits": ({70: ("h", 1)}, FileError, "holds bit-packed values"),
    "complex": ({70: ("h", 32)}, FileError, "holds complex64 values"),
    "long double": ({70: ("h", 1536)}, FileError, "not plain numbers"),
    "unknown type": ({70: ("h", 77)}, FileError, "unknown data type 77"),
    "voxels in the header": ({108: ("f", 100.0)}, FileError, "puts the voxels at byte 100"),
    "voxels at NaN": ({108: ("f", float("nan"))}, FileError, "puts the voxels at byte nan"),
    "voxels beyond the end": ({108: ("f", 4096.0)}, FileError, "more than the file can hold"),
    "infinite slope": ({112: ("f", float("inf"))}, FileError, "scales values by inf"),
    "unknown unit": ({123: ("B", 5)}, FileError, "unknown unit 5"),
    "metres": ({123: ("B", 1)}, GridError, "more than 50 mm along an axis; is its unit mm"),
    "pair": ({344: ("4s", b"ni1\0")}, FileError, ".hdr/.img pair"),
    "no magic": ({344: ("4s", b"abcd")}, FileError, ".hdr/.img pair, or damaged"),
    "NaN affine": ({280: ("f", float("nan"))}, GridError, "must be a finite 4×4 matrix"),
    "far affine": ({292: ("f", 1e30)}, GridError, "beyond a kilometre"),
}


@pytest.mark.parametrize("case", sorted(HEADERS))
@pytest.mark.parametrize("order", ["<", ">"])
def test_bad_headers(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, case: str, order: str) -> None:
    fields, error, said = HEADERS[case]
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels, order=order, fields=fields))
    for read in (read_mask, read_labels, read_image, read_grid):
        refused(path, error, said, read)


@pytest.mark.parametrize("intercept", ["nan", "inf"])
def test_intercepts_that_are_no_numbers(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, intercept: str) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels, fields={116: ("f", float(intercept))}))
    refused(path, FileError, f"scales values by 1 and {intercept}")


@pytest.mark.parametrize(
    ("affine", "said"), [(SHEARED, "is sheared"), (SINGULAR, "is singular"), (FLAT, "is singular")]
)
@pytest.mark.parametrize("read", [read_mask, read_image, read_grid])
def test_bad_affines(
    tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, affine: NDArray[np.float64], said: str, read: Any
) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels, affine))
    refused(path, GridError, said, read)


def test_qform_that_is_no_rotation(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels, fields={252: ("h", 1), 254: ("h", 0), 256: ("f", 9.0)}))
    refused(path, GridError, "finite")


CONTENTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "gtv.nii": (lambda _: b"", "is empty (0 bytes)"),
    "a.nii": (lambda c: c[:3], "is not a NIfTI image"),
    "b.nii": (lambda c: c[:200], "its header ends too early"),
    "c.nii": (lambda c: c[:-1], "more than the file can hold"),
    "d.nii": (lambda c: c[:360], "more than the file can hold"),
    "e.nii": (lambda _: b"\x89PNG" + bytes(500), "is not a NIfTI image"),
    "f.nii": (lambda c: gzip.compress(c), "is compressed (gzip) though not named so"),
    "g.nii.gz": (lambda _: b"", "is empty (0 bytes)"),
    "h.nii.gz": (lambda c: c, "is not compressed (gzip) though named .gz"),
    "i.nii.gz": (lambda c: gzip.compress(c)[:-9], "is cut short (compressed data end too early)"),
    "j.nii.gz": (lambda c: gzip.compress(c)[:-3], "is cut short (compressed data end too early)"),
    "k.nii.gz": (lambda c: gzip.compress(c)[:15], "is cut short"),
    "l.nii.gz": (lambda c: gzip.compress(c[:-1]), "its voxels end too early"),
    "m.nii.gz": (lambda c: gzip.compress(c[:-8])[:-8] + bytes(8), "compressed data are damaged"),
    "n.nii.gz": (lambda c: gzip.compress(c)[:-8] + bytes(8), "compressed data are damaged"),
    "o.nii.gz": (lambda c: gzip.compress(c) + b"garbage", "compressed data are damaged"),
    "p.nii.gz": (lambda _: gzip.compress(b"a,b,c"), "is not a NIfTI image"),
    "q.nii.gz": (lambda _: gzip.compress(b""), "is not a NIfTI image"),
    "r.nii.gz": (lambda c: gzip.compress(c)[:4] + b"\xff" * 90, "compressed data are damaged"),
    "s.nrrd": (lambda c: c, "not a known ending; give a .nii or .nii.gz file"),
    "t.gz": (lambda c: gzip.compress(c), "not a known ending"),
    "nii": (lambda c: c, "not a known ending"),
}


@pytest.mark.parametrize("name", sorted(CONTENTS))
@pytest.mark.parametrize("read", [read_mask, read_image, read_labels])
def test_bad_contents(
    tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, nothing_left: Any, name: str, read: Any
) -> None:
    change, said = CONTENTS[name]
    path = tmp_path / name
    path.write_bytes(change(nifti_bytes(voxels)))
    refused(path, FileError, said, read)
    nothing_left(name)


def test_missing_folder_and_other_things(tmp_path: Path) -> None:
    refused(tmp_path / "gtv.nii.gz", FileError, "no such file; check the path")
    refused(tmp_path, FileError, "is a folder; give a .nii or .nii.gz file")
    (tmp_path / "a.nii").mkdir()
    refused(tmp_path / "a.nii", FileError, "is a folder")
    (tmp_path / "file").write_bytes(b"x")
    refused(tmp_path / "file" / "gtv.nii", FileError, "no such file")
    refused(tmp_path / ("x" * 300 + ".nii"), FileError, "cannot be read")
    os.mkfifo(tmp_path / "pipe.nii")
    refused(tmp_path / "pipe.nii", FileError, "is not a regular file")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_promised_voxels_take_no_memory(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, ending: str) -> None:
    content = nifti_bytes(voxels, fields={42: ("h", 32767), 44: ("h", 32767), 46: ("h", 32767)})
    path = tmp_path / f"gtv{ending}"
    path.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    tracemalloc.start()
    for read in (read_mask, read_image, read_labels):
        refused(path, FileError, "promises 3.518e+13 bytes of voxels, more than the file can hold", read)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_promises_within_the_ratio_are_read_to_their_end(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels) -> None:
    noise = np.random.default_rng(1).bytes(200_000)
    path = tmp_path / "gtv.nii.gz"
    path.write_bytes(
        gzip.compress(nifti_bytes(voxels, fields={42: ("h", 500), 44: ("h", 500), 46: ("h", 800)}) + noise)
    )
    refused(path, FileError, "its voxels end too early", read_labels)


def test_a_bomb_behind_the_voxels_is_not_unpacked(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels) -> None:
    pack = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    parts = [pack.compress(nifti_bytes(voxels))] + [pack.compress(zeros) for _ in range(256)]
    path = tmp_path / "gtv.nii.gz"
    path.write_bytes(b"".join([*parts, pack.flush()]))
    tracemalloc.start()
    with pytest.warns(PtvkitWarning, match="holds more voxels than its header tells"):
        read_mask(path)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


VALUES: dict[str, tuple[Callable[[Voxels], NDArray[Any]], str]] = {
    "NaN": (lambda v: np.where(v, np.nan, 0.0), "holds NaN"),
    "NaN elsewhere": (lambda v: np.where(v, 1.0, np.nan), "holds NaN"),
    "infinite": (lambda v: np.where(v, -np.inf, 0.0), "values that are not labels, such as -inf"),
    "probability": (lambda v: np.where(v, np.float32(0.4), 0), "values that are not labels, such as 0.4"),
    "near a label": (lambda v: np.where(v, np.float32(1.002), 0), "such as 1.002"),
    "large float": (lambda v: np.where(v, 1e10, 0.0), "such as 1e+10"),
    "large integer": (lambda v: np.where(v, 2**40, 0), "such as 1.09951e+12"),
    "very large integer": (lambda v: np.where(v, np.uint64(2**64 - 1), np.uint64(0)), "such as 1.84467e+19"),
    "very negative integer": (lambda v: np.where(v, -(2**63), 0), "such as -9.22337e+18"),
}


@pytest.mark.parametrize("case", sorted(VALUES))
def test_values_that_are_not_labels(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, case: str) -> None:
    make, said = VALUES[case]
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(make(voxels)))
    refused(path, MaskError, said)
    refused(path, MaskError, said, read_labels)


def test_empty_masks_and_images_for_masks(tmp_path: Path, nifti_bytes: Encode) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(np.zeros((7, 9, 11), np.uint8)))
    refused(path, MaskError, "is empty: no voxel is inside")
    refused(path, MaskError, "no label 4; every voxel is 0", lambda p: read_mask(p, label=4))
    path.write_bytes(nifti_bytes(np.arange(13 * 9 * 11, dtype=np.int16).reshape(13, 9, 11) - 1000))
    refused(path, MaskError, "holds 1286 values besides 0, more like an image than a segmentation")


@pytest.mark.parametrize("shape", [(7, 9, 11, 2), (7, 9, 11, 1, 3)])
def test_several_volumes(tmp_path: Path, nifti_bytes: Encode, shape: tuple[int, ...]) -> None:
    path = tmp_path / "4d.nii"
    path.write_bytes(nifti_bytes(np.ones(shape, np.uint8)))
    refused(path, MaskError, f"holds {shape[-1]} volumes; give a mask with one")
    refused(path, FileError, f"holds {shape[-1]} volumes; give an image with one", read_image)
    assert read_grid(path).shape == (7, 9, 11)


@pytest.mark.parametrize("name", ["ptv.nrrd", "ptv", "ptv.gz", "ptv.nii.bz2", ".json"])
def test_written_endings(tmp_path: Path, voxels: Voxels, nothing_left: Any, name: str) -> None:
    mask = Mask.from_array(voxels, np.diag([1.0, 2.0, 3.0, 1.0]))
    refused(tmp_path / name, FileError, "name it .nii or .nii.gz", lambda p: write_mask(mask, p))
    nothing_left()


def test_writing_over_an_input(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels) -> None:
    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels))
    before = path.read_bytes()
    mask = read_mask(path)
    refused(path, FileError, "would overwrite the input", lambda p: write_mask(mask, p, overwrite_guard=[path]))
    image = voxels.astype(np.int16)
    refused(path, FileError, "overwrite", lambda p: write_image(image, mask.grid, p, overwrite_guard=[path]))
    assert path.read_bytes() == before


def test_what_nifti_cannot_hold(tmp_path: Path, voxels: Voxels, nothing_left: Any) -> None:
    path = tmp_path / "ptv.nii"
    far = np.diag([0.001, 0.002, 0.003, 1.0])
    far[:3, 3] = 1e5 + 0.123456789
    mask = Mask.from_array(voxels, far)
    refused(path, GridError, "cannot hold this affine precisely enough", lambda p: write_mask(mask, p))
    long = Mask.from_array(np.ones((40000, 1, 1), bool), np.eye(4))
    refused(path, FileError, "at most 32767 voxels along an axis", lambda p: write_mask(long, p))
    grid = Grid(shape=(9, 7, 11), affine=np.eye(4))
    refused(path, GridError, "does not fit a grid of shape (9, 7, 11)", lambda p: write_image(voxels, grid, p))
    nothing_left()


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_flipped_bytes_never_end_in_another_error(
    tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, ending: str
) -> None:
    xml = b'<LabelTable><Label Key="1">liver</Label></LabelTable>'
    rng = np.random.default_rng(7)
    path = tmp_path / f"gtv{ending}"
    read, refusals = 0, []
    for kind in ("u1", "f4") * 400:
        content = bytearray(nifti_bytes(voxels.astype(kind), extension=xml, order=rng.choice(["<", ">"])))
        for at in rng.integers(0, 440, rng.integers(1, 5)):
            content[at] = rng.integers(0, 256)
        path.write_bytes(bytes(content) if ending == ".nii" else gzip.compress(bytes(content), 1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", PtvkitWarning)
            try:
                read_mask(path)
                read_image(path)
                read += 1
            except PtvkitError as error:
                refusals.append(str(error))
    assert min(read, len(refusals)) > 50
    assert all(message.startswith(f"{path}: ") for message in refusals)


@pytest.mark.filterwarnings("ignore::ptvkit.errors.PtvkitWarning")
def test_flipped_compressed_bytes_are_seen_or_harmless(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels) -> None:
    packed = gzip.compress(nifti_bytes(voxels), mtime=0)
    path = tmp_path / "gtv.nii.gz"
    harmless = 0
    for at in range(10, len(packed)):
        path.write_bytes(packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :])
        with suppress(PtvkitError):
            assert np.array_equal(read_mask(path).array, voxels == 1)
            harmless += 1
    assert harmless < 10  # Bits that only fill up, which change nothing.


def test_no_permission(tmp_path: Path, nifti_bytes: Encode, voxels: Voxels, monkeypatch: pytest.MonkeyPatch) -> None:
    # the system's refusal itself, since root may read everything
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "gtv.nii"
    path.write_bytes(nifti_bytes(voxels))
    monkeypatch.setattr("ptvkit.io.files.open", refuse, raising=False)
    refused(path, FileError, "no permission to read it")
