"""Sequential reading of plain or gzip-compressed files in blocks."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from ptvkit.errors import FileError
from ptvkit.io.files import open_input

GZIP_MAGIC = b"\x1f\x8b"
ACCEPTED = "a .nii or .nii.gz file"
_CHUNK = 1 << 18
_MOST_EXPANSION = 1032
"""Upper bound of the deflate ratio: at most 258 bytes in 2 bits."""


class ByteSource(Protocol):
    """Sequential source of bytes."""

    path: Path
    capacity: int
    """Upper bound of the bytes that a file of this size can hold."""

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer at the end."""


@contextmanager
def open_bytes(path: Path) -> Iterator[ByteSource]:
    """Open a ``.nii`` or ``.nii.gz`` file for reading its decompressed content.

    Raises
    ------
    FileError
        When the file cannot be read, has another ending, or is compressed where its name says that it is not, or
        the other way round.
    """
    name = path.name.lower()
    with open_input(path, ACCEPTED) as file:
        if not name.endswith((".nii", ".nii.gz")):
            raise FileError(f"{path}: not a known ending; give {ACCEPTED}, or convert the image to one")
        zipped = file.read(2) == GZIP_MAGIC
        file.seek(0, 2)
        size = file.tell()
        file.seek(0)
        if zipped and not name.endswith(".gz"):
            raise FileError(f"{path}: is compressed (gzip) though not named so; rename it to end in .nii.gz")
        if name.endswith(".gz") and not zipped:
            raise FileError(f"{path}: is not compressed (gzip) though named .gz; rename it to end in .nii if it is one")
        yield GzipBytes(path, file, size) if zipped else PlainBytes(path, file, size)


class PlainBytes:
    """Bytes of an uncompressed file."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path = path
        self.capacity = size
        self._file = file

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer at the end."""
        return self._file.read(size)


class GzipBytes:
    """Bytes of a gzip file with one or several members, checked against CRC and length.

    Several times faster than `gzip.GzipFile`, which decompresses in small pieces.
    """

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path = path
        self.capacity = _MOST_EXPANSION * size
        self._file = file
        self._input = b""
        self._inflate = zlib.decompressobj(wbits=31)

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer at the end."""
        parts = []
        try:
            while size > 0 and (part := self._next(size)):
                parts.append(part)
                size -= len(part)
        except zlib.error as error:
            raise FileError(f"{self.path}: its compressed data are damaged ({error}); copy or write it again") from None
        return b"".join(parts)

    def _next(self, size: int) -> bytes:
        """At least one and at most `size` bytes; empty at the end."""
        part = b""
        while not part:
            if self._inflate.eof and not self._start_member():
                return b""
            self._input = self._input or self._file.read(_CHUNK)
            ended = not self._input
            part = self._inflate.decompress(self._input, size)
            self._input = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if ended and not part and not self._inflate.eof:
                raise FileError(f"{self.path}: is cut short (compressed data end too early); copy or write it again")
        return part

    def _start_member(self) -> bool:
        """Advance to the next member, if any; trailing zeros are padding."""
        while not (rest := self._input.lstrip(b"\0")):
            self._input = self._file.read(_CHUNK)
            if not self._input:
                return False
        self._input = rest
        self._inflate = zlib.decompressobj(wbits=31)
        return True
