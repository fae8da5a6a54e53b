"""Damage to files, made by a seeded generator, so that a case can be made again from its number."""

import gzip
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

Mutation = Callable[[bytearray, np.random.Generator], bytes]

WHOLE = (0, 1, -1, 2, 7, 255, 32767, -32768, 65535, 2**31 - 1, -(2**31), 2**32 - 2, 2**32 - 1)
REAL = (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e-30, 1e30, 3e38, 1e9)
FIELDS = ((40, "h", 8), (70, "h", 1), (72, "h", 1), (76, "f", 8), (108, "f", 1), (112, "f", 2), (123, "B", 1),
          (252, "h", 2), (256, "f", 6), (280, "f", 12), (344, "4s", 1), (0, "i", 1), (348, "B", 4))  # fmt: skip
"""Of a NIfTI-1 header: where, type, and how many in a row."""
LONG = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT", b"UC", b"OD")
TEXT = (b"DS", b"IS", b"UI", b"LO", b"CS", b"DA", b"SH", b"PN")
SHORT = (*TEXT, b"US", b"UL", b"FD", b"FL", b"AT", b"SS", b"SL", b"TM")
DEFLATED = b"1.2.840.10008.1.2.1.99\0"


def mutated(path: Path, rng: np.random.Generator) -> tuple[bytes, str]:
    """A damaged copy of a file, and what was done to it."""
    content = bytearray(path.read_bytes())
    own: list[Mutation] = []
    if path.name.endswith(".nii.gz"):
        own = [inside_gzip, inside_gzip, trailing, zeros_in_gzip]
    elif path.suffix == ".nii":
        own = [field, field, promised]
    elif path.suffix == ".dcm":
        own = [length, length, kind, text, text, nested, deflated, dropped]
    elif path.suffix in (".nrrd", ".mha", ".ply"):
        own = [number]
    done = []
    for _ in range(int(rng.integers(1, 3))):
        mutation = [*GENERAL, *own, *own][int(rng.integers(len(GENERAL) + 2 * len(own)))]
        content = bytearray(mutation(content, rng))
        done.append(mutation.__name__)
        if mutation in (nested, deflated, zeros_in_gzip):
            break
    return bytes(content), "+".join(done)


def _span(content: bytes | bytearray, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(content) or 1))
    return start, min(len(content), start + int(2 ** rng.uniform(0, 10)))


def bits(content: bytearray, rng: np.random.Generator) -> bytes:
    for _ in range(int(rng.integers(1, 20))):
        if content:
            content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return bytes(content)


def overwritten(content: bytearray, rng: np.random.Generator) -> bytes:
    start, end = _span(content, rng)
    fill = [b"\0", b"\xff", rng.bytes(1)][int(rng.integers(3))]
    content[start:end] = fill * (end - start)
    return bytes(content)


def truncated(content: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(content[: int(rng.integers(len(content) + 1))])


def deleted(content: bytearray, rng: np.random.Generator) -> bytes:
    start, end = _span(content, rng)
    return bytes(content[:start] + content[end:])


def doubled(content: bytearray, rng: np.random.Generator) -> bytes:
    start, end = _span(content, rng)
    return bytes(content[:end] + content[start:])


def inserted(content: bytearray, rng: np.random.Generator) -> bytes:
    start, _ = _span(content, rng)
    return bytes(content[:start] + rng.bytes(int(2 ** rng.uniform(0, 8))) + content[start:])


def whole_number(content: bytearray, rng: np.random.Generator) -> bytes:
    """An integer that is rarely expected, anywhere near the beginning."""
    size = [2, 4, 8][int(rng.integers(3))]
    start = int(rng.integers(max(1, min(len(content), 2000) - size)))
    value = WHOLE[int(rng.integers(len(WHOLE)))] % 2 ** (8 * size)
    content[start : start + size] = value.to_bytes(size, "little" if rng.random() < 0.7 else "big")
    return bytes(content)


GENERAL: tuple[Mutation, ...] = (bits, overwritten, truncated, deleted, doubled, inserted, whole_number)


def field(content: bytearray, rng: np.random.Generator) -> bytes:
    """A field of a NIfTI header."""
    where, kind, count = FIELDS[int(rng.integers(len(FIELDS)))]
    order = ">" if content[:4] == b"\0\0\1\x5c" else "<"
    where += int(rng.integers(count)) * struct.calcsize(kind)
    if kind == "4s":
        value: object = [b"ni1\0", b"n+2\0", b"\0\0\0\0", b"n+1\1"][int(rng.integers(4))]
    elif kind == "f":
        value = REAL[int(rng.integers(len(REAL)))]
    else:
        bytes_ = struct.calcsize(kind)
        value = WHOLE[int(rng.integers(len(WHOLE)))] % 2 ** (8 * bytes_)
        if kind != "B" and int(value) >= 2 ** (8 * bytes_ - 1):
            value = int(value) - 2 ** (8 * bytes_)
    if len(content) >= where + struct.calcsize(kind):
        struct.pack_into(order + kind, content, where, value)
    return bytes(content)


def promised(content: bytearray, rng: np.random.Generator) -> bytes:
    """A size of gigabytes that the file does not hold."""
    order = ">" if content[:4] == b"\0\0\1\x5c" else "<"
    if len(content) > 56:
        struct.pack_into(order + "3h", content, 42, *(int(n) for n in rng.choice([1000, 3000, 32767], 3)))
    return bytes(content)


def inside_gzip(content: bytearray, rng: np.random.Generator) -> bytes:
    """Damage before compression, where the header is."""
    try:
        inner = bytearray(gzip.decompress(bytes(content)))
    except (OSError, EOFError, zlib.error):
        return bits(content, rng)
    mutation = [field, promised, truncated, overwritten, inserted][int(rng.integers(5))]
    return gzip.compress(mutation(inner, rng), 1)


def trailing(content: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(content) + (rng.bytes(50) if rng.random() < 0.5 else bytes(content))


def zeros_in_gzip(content: bytearray, rng: np.random.Generator) -> bytes:
    """A small file that holds hundreds of megabytes, with a header that wants them or more."""
    try:
        inner = bytearray(gzip.decompress(bytes(content)))[:400]
    except (OSError, EOFError, zlib.error):
        inner = bytearray(400)
    if len(inner) > 56:
        struct.pack_into("<3h", inner, 42, 700, 600, int(rng.choice([100, 500, 30000])))
    return gzip.compress(bytes(inner), 1) + gzip.compress(bytes(50_000_000), 1) * int(rng.integers(1, 5))


def number(content: bytearray, rng: np.random.Generator) -> bytes:
    """A number of a text header."""
    found = [one.span() for one in re.finditer(rb"-?\d+(\.\d+)?", bytes(content[:3000]))]
    words = (b"0", b"-1", b"nan", b"inf", b"1e308", b"2147483648", b"999999", b"0.0", b"x", b"")
    if found:
        start, end = found[int(rng.integers(len(found)))]
        content[start:end] = words[int(rng.integers(len(words)))]
    return bytes(content)


def _elements(content: bytes | bytearray, codes: tuple[bytes, ...]) -> list[int]:
    """Where explicit value representations stand."""
    found = []
    for code in codes:
        at = content.find(code, 132)
        while at >= 0:
            found.append(at)
            at = content.find(code, at + 1)
    return sorted(found)


def length(content: bytearray, rng: np.random.Generator) -> bytes:
    """The length of a DICOM element: too long, undefined, or gigabytes."""
    is_long = rng.random() < 0.5
    places = _elements(content, LONG if is_long else SHORT)
    if not places:
        return bytes(content)
    at = places[int(rng.integers(len(places)))]
    if is_long:
        value = [0, 1, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 3_000_000_000, 10**6][int(rng.integers(7))]
        content[at + 4 : at + 8] = struct.pack("<I", value)
    else:
        content[at + 2 : at + 4] = struct.pack("<H", int(rng.choice([0, 1, 3, 0x7FFF, 0xFFFF, 200])))
    return bytes(content)


def kind(content: bytearray, rng: np.random.Generator) -> bytes:
    """Another value representation."""
    places = _elements(content, (*LONG, *SHORT))
    if places:
        at = places[int(rng.integers(len(places)))]
        codes = (*LONG, *SHORT, b"ZZ", b"\0\0")
        content[at : at + 2] = codes[int(rng.integers(len(codes)))]
    return bytes(content)


def text(content: bytearray, rng: np.random.Generator) -> bytes:
    """A number or name that is none, or huge, in place of one, of the same length."""
    places = _elements(content, TEXT)
    if places:
        at = places[int(rng.integers(len(places)))]
        size = struct.unpack_from("<H", content, at + 2)[0] if at + 4 <= len(content) else 0
        words = [b"nan", b"1e308", b"-inf", b"abc", b"\\\\\\", b"99999999999", b"-1", b"\xff\xfe", b"", b"0", b"1e999"]
        if 0 < size < 10_000:
            word = words[int(rng.integers(len(words)))]
            content[at + 4 : at + 4 + size] = (word + b"\\" + word if rng.random() < 0.3 else word)[:size].ljust(size)
    return bytes(content)


def dropped(content: bytearray, rng: np.random.Generator) -> bytes:
    """A short element left out, as if it had never been written."""
    places = [at for at in _elements(content, SHORT) if at > 300]
    if not places:
        return bytes(content)
    at = places[int(rng.integers(len(places)))]
    size = struct.unpack_from("<H", content, at + 2)[0] if at + 4 <= len(content) else 0
    return bytes(content[: at - 4] + content[at + 4 + size :])


def nested(content: bytearray, rng: np.random.Generator) -> bytes:
    """Sequences in sequences, thousands deep, at the end."""
    deep = int(rng.choice([20, 500, 5000, 20000]))
    tag = struct.pack("<HH", 0x3006, 0x0039)
    item = struct.pack("<HH", 0xFFFE, 0xE000)
    if rng.random() < 0.5:
        opened = (tag + b"SQ\0\0\xff\xff\xff\xff" + item + b"\xff\xff\xff\xff") * deep
        closed = (struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)) * deep
        return bytes(content) + opened + (closed if rng.random() < 0.7 else b"")
    parts = []
    size = 0
    for _ in range(deep):
        parts.append(tag + b"SQ\0\0" + struct.pack("<I", size + 8) + item + struct.pack("<I", size))
        size += 20
    return bytes(content) + b"".join(reversed(parts))


def deflated(content: bytearray, rng: np.random.Generator) -> bytes:
    """The deflated transfer syntax: as promised, damaged, or far larger than the file."""
    at = content.find(b"1.2.840.10008.1.2.1\0")
    if at < 0:
        return bits(content, rng)
    start = at + 20
    meta = content[:start].replace(b"1.2.840.10008.1.2.1\0", DEFLATED + b"\0")
    struct.pack_into("<H", meta, at - 2, len(DEFLATED) + 1)
    group = meta.find(b"\x02\0\0\0UL\4\0")
    if group >= 0:
        struct.pack_into("<I", meta, group + 8, len(meta) - group - 12)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    way = int(rng.integers(3))
    body = packer.compress(bytes(content[start:]))
    if way == 1:
        body += packer.compress(b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<I", 0xFFFFFFF0))
        zeros = bytes(10_000_000)
        for _ in range(30 if rng.random() < 0.9 else 300):
            body += packer.compress(zeros)
    body += packer.flush()
    return bytes(meta) + (bits(bytearray(body), rng) if way == 2 else body)
