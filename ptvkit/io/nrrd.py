"""NRRD: label volumes, and segmentations as 3D Slicer writes them."""

import gzip
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import FileError, GridError, MaskError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.io.colours import Colour, structure_colour
from ptvkit.io.files import PathLike, open_input, write_whole
from ptvkit.io.grids import grid_of_file
from ptvkit.io.segment import Listed, Segment

TO_RAS: Final[Mapping[str, tuple[float, float, float]]] = {
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
}
MOST_BYTES: Final = 4_000_000_000
LONGEST_HEADER: Final = 1_000_000
_DAMAGE: Final = (ValueError, TypeError, LookupError, ArithmeticError, zlib.error, EOFError, OSError, MemoryError)


def nrrd_structures(path: PathLike) -> list[Listed]:
    """List the structures of an NRRD: segments with names and colours, or labels.

    Raises
    ------
    FileError
        When the file is damaged, or its encoding is not supported.
    MaskError
        When its values are not labels.
    GridError
        When its space is not a patient frame, or is sheared.
    """
    place = Path(path)
    with open_input(place, "a .nrrd file") as file:
        content = file.read(MOST_BYTES)
    try:
        with np.errstate(invalid="raise", over="raise"):  # not a number, or too large for its field
            header, start = _header(content)
            array = _array(header, content, start, place)
            grid, layers = _grid(header, array, place)
            return _segments(header, layers, grid, place)
    except (FileError, MaskError, GridError):
        raise
    except _DAMAGE as error:
        why = " ".join(str(error).split())[:80]
        raise FileError(f"{place}: is damaged or not readable as NRRD ({why}); write it again") from None


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """Header fields, and the offset of the voxels."""
    try:
        import nrrd
    except ImportError:
        raise FileError('NRRD files need pynrrd; install it with  pip install "ptvkit[nrrd]"') from None
    end = re.search(rb"\r?\n\r?\n", content[:LONGEST_HEADER])
    if not content.startswith(b"NRRD000") or end is None:
        raise ValueError("its header does not begin or end as one")
    try:
        header: dict[str, Any] = dict(nrrd.read_header(BytesIO(content[: end.end()])))
    except nrrd.NRRDError as error:
        raise ValueError(str(error)) from None
    # pynrrd drops non-ASCII characters from names.
    pairs = (line.split(":=", 1) for line in content[: end.start()].decode("utf-8", "replace").splitlines())
    header |= {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
    return header, end.end()


def _array(header: Mapping[str, Any], content: bytes, start: int, path: Path) -> NDArray[Any]:
    if "data file" in header or "datafile" in header:
        raise FileError(f"{path}: keeps its voxels in another file; save it as one file")
    import nrrd

    kind = np.dtype(nrrd.reader._TYPEMAP_NRRD2NUMPY[header["type"]])
    if kind.itemsize > 1:
        kind = kind.newbyteorder(">" if header.get("endian") == "big" else "<")
    sizes = [int(size) for size in header["sizes"]]
    if min(sizes) < 1 or np.prod(sizes, dtype=float) * kind.itemsize > MOST_BYTES:
        raise ValueError(f"sizes {sizes}")
    needed = int(np.prod(sizes, dtype=np.int64)) * kind.itemsize
    encoding = header.get("encoding")
    if encoding in ("gzip", "gz"):
        stored = zlib.decompressobj(wbits=31).decompress(content[start:], needed)
    elif encoding == "raw":
        stored = content[start : start + needed]
    else:
        raise FileError(f"{path}: is encoded as {encoding}; save it as raw or gzip")
    if len(stored) < needed:
        raise ValueError("its voxels end too early")
    return np.frombuffer(stored, kind).reshape(sizes, order="F")


def _grid(header: Mapping[str, Any], array: NDArray[Any], path: Path) -> tuple[Grid, NDArray[Any]]:
    """Grid, and voxels (layers, I, J, K)."""
    space = str(header.get("space", "")).lower()
    if space not in TO_RAS:
        raise GridError(f"{path}: its space is {space or 'missing'}; save it in left-posterior-superior or RAS")
    directions = np.array(header["space directions"], float)
    spatial = [axis for axis, row in enumerate(directions) if np.isfinite(row).all()]
    if len(spatial) != 3 or array.ndim not in (3, 4) or len(directions) != array.ndim:
        raise ValueError(f"{array.ndim} axes, of which {len(spatial)} are in space")
    affine = np.eye(4)
    sides = np.array(TO_RAS[space])
    affine[:3, :3] = (directions[spatial] * sides).T
    affine[:3, 3] = np.array(header["space origin"], float) * sides
    layers = array[None] if array.ndim == 3 else np.moveaxis(array, ({0, 1, 2, 3} - set(spatial)).pop(), 0)
    return grid_of_file(layers.shape[1:], affine, path), layers


def _segments(header: Mapping[str, Any], layers: NDArray[Any], grid: Grid, path: Path) -> list[Listed]:
    described = sorted({int(m[1]) for key in header if (m := re.fullmatch(r"Segment(\d{1,9})_ID", str(key)))})
    if layers.dtype.kind == "f":
        whole = np.rint(layers)
        if not np.isfinite(layers).all() or np.abs(layers - whole).max() > 1e-3:
            raise MaskError(f"{path}: holds values that are not labels; give a segmentation")
        layers = whole.astype(np.int64)
    if not described:
        return _labels(layers, grid, path)
    present = [frozenset(np.unique(layer).tolist()) for layer in layers]
    structures = []
    for n in described:
        value, layer = int(header[f"Segment{n}_LabelValue"]), int(header.get(f"Segment{n}_Layer", 0))
        if value not in present[layer]:
            continue
        name = str(header.get(f"Segment{n}_Name", header[f"Segment{n}_ID"]))
        read = partial(_mask, layers[layer], value, grid, f"{path} ({name or value})")
        colour = _colour(str(header.get(f"Segment{n}_Color", "")))
        structures.append(Listed(name=name, number=value, read=read, colour=colour))
    return structures


def _labels(layers: NDArray[Any], grid: Grid, path: Path) -> list[Listed]:
    """List the labels of a file without named segments."""
    if len(layers) > 1:
        raise MaskError(f"{path}: holds {len(layers)} volumes; give a mask with one")
    labels = [int(value) for value in np.unique(layers) if value != 0]
    if len(labels) > 1000:
        raise MaskError(f"{path}: holds {len(labels)} values besides 0, more like an image; give a segmentation")
    return [
        Listed(name="", number=value, read=partial(_mask, layers[0], value, grid, f"{path} ({value})"))
        for value in labels
    ]


def _mask(layer: NDArray[Any], value: int, grid: Grid, name: str) -> Mask:
    return Mask.from_array(layer == value, grid.affine, name=name)


def _colour(text: str) -> Colour | None:
    parts = text.split()
    if len(parts) != 3:
        return None
    red, green, blue = (round(255 * min(max(float(part), 0.0), 1.0)) for part in parts)
    return red, green, blue


def write_nrrd(path: PathLike, masks: Iterable[tuple[Segment, Mask]], grid: Grid) -> None:
    """Write masks as a segmentation for 3D Slicer; overlapping masks are stored in separate layers.

    Parameters
    ----------
    path : path
        ``.seg.nrrd`` or ``.nrrd``.
    masks : pairs of Segment and Mask
        Masks on `grid`.
    grid : Grid

    Raises
    ------
    FileError
    """
    layers: list[NDArray[np.uint8]] = []
    fields: list[str] = []
    for n, (segment, mask) in enumerate(masks):
        layer = next((k for k, used in enumerate(layers) if not (used[mask.array] > 0).any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(grid.shape, np.uint8))
        value = int(layers[layer].max()) + 1
        if value > 255:
            raise FileError(f"{path}: has over 255 segments in one layer; write them to several files")
        layers[layer][mask.array] = value
        fields += _described(n, segment, mask, value, layer)
    array = layers[0] if len(layers) == 1 else np.stack(layers)
    header = _written_header(array, grid, fields)
    with write_whole(path) as file:
        file.write(header.encode("utf-8"))
        file.write(gzip.compress(array.ravel(order="F").tobytes(), compresslevel=1, mtime=0))


def _described(n: int, segment: Segment, mask: Mask, value: int, layer: int) -> list[str]:
    colour = segment.colour or structure_colour(segment.name, n)
    low, high = mask.box or ((0, 0, 0), (-1, -1, -1))
    name = " ".join(segment.name.split()) or f"Segment_{n + 1}"
    return [
        f"Segment{n}_ID:=Segment_{n + 1}",
        f"Segment{n}_Name:={name}",
        f"Segment{n}_NameAutoGenerated:=0",
        f"Segment{n}_Color:={' '.join(f'{part / 255:.6g}' for part in colour)}",
        f"Segment{n}_ColorAutoGenerated:=0",
        f"Segment{n}_LabelValue:={value}",
        f"Segment{n}_Layer:={layer}",
        f"Segment{n}_Extent:={' '.join(f'{a} {b}' for a, b in zip(low, high, strict=True))}",
        f"Segment{n}_Tags:=|",
    ]


def _written_header(array: NDArray[np.uint8], grid: Grid, fields: Sequence[str]) -> str:
    flip = np.array(TO_RAS["lps"])
    columns = [f"({','.join(f'{v + 0.0:.17g}' for v in grid.affine[:3, axis] * flip)})" for axis in range(3)]
    layered = array.ndim == 4
    lines = [
        "NRRD0004",
        "type: uint8",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, array.shape))}",
        f"space directions: {'none ' if layered else ''}{' '.join(columns)}",
        f"kinds: {'list ' if layered else ''}domain domain domain",
        "encoding: gzip",
        f"space origin: ({','.join(f'{v + 0.0:.17g}' for v in grid.affine[:3, 3] * flip)})",
        *fields,
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    return "\n".join(lines) + "\n\n"
