"""Headers: the format of a picture's file, its size and its scans, before anything is decoded.

Only what is cheap to see is looked at; the process that decodes has limits of time and memory.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

PARTS = 10_000  # chunks or segments of a file that are looked at
MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")  # within a scan, all others are data
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG markers that tell the size
BARE = {0x01, *range(0xD0, 0xD9)}  # JPEG markers without a length
ZIPPED = (b"iCCP", b"zTXt", b"iTXt")
METADATA = (*ZIPPED, b"tEXt", b"eXIf")
AVIF = (b"avif", b"avis", b"mif1", b"msf1")


class Header(NamedTuple):
    """Facts about a file; 0 where they are not known before it is decoded."""

    format: str  # of Pillow; "" is none of those that are read
    width: int = 0
    height: int = 0
    scans: int = 0  # of a JPEG
    metadata: int = 0  # bytes of a PNG's text and profile, unpacked, up to the bound


def read(data: bytes, bound: int) -> Header:
    """Read the header of a file; no more than `bound` bytes of its metadata are unpacked."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data, bound)
        for start, reader in READERS.items():
            if data.startswith(start):
                return reader(data)
    except (struct.error, IndexError):
        return Header("")  # it ends within its header
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return Header("AVIF" if data[4:8] == b"ftyp" and data[8:12] in AVIF else "")


def _png(data: bytes, bound: int) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    total = 0
    for kind, part in _chunks(data):
        total += _unpacked_size(kind, part, bound - total) if kind in ZIPPED else len(part)
        if total > bound:
            break
    return Header("PNG", width, height, metadata=total)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and the content of each chunk of metadata."""
    at = 8
    for _ in range(PARTS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in METADATA:
            yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def _unpacked_size(kind: bytes, part: bytes, bound: int) -> int:
    """Bytes of a compressed chunk, at most one more than the bound."""
    _, _, rest = part.partition(b"\0")  # after its keyword
    packed = rest[1:]  # after the method of compression
    if kind == b"iTXt":
        if rest[:1] != b"\1":  # not compressed
            return len(part)
        packed = rest[2:].split(b"\0", 2)[-1]  # after two languages
    try:
        return len(zlib.decompressobj().decompress(packed, bound + 1))
    except zlib.error:
        return len(part)


def _jpeg(data: bytes) -> Header:
    at, width, height, scans = 2, 0, 0, 0
    for _ in range(PARTS):
        mark = MARKER.search(data, at)
        if mark is None:
            break
        kind, at = data[mark.end() - 1], mark.end()
        if kind == 0xD9:  # the end: another picture may follow
            break
        if kind in BARE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if kind in FRAMES and not width:
            height, width = struct.unpack_from(">HH", data, at + 3)
        scans += kind == 0xDA
        at += length
    return Header("JPEG", width, height, scans)


def _webp(data: bytes) -> Header:
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(body[i : i + 3], "little") for i in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(body[i : i + 2], "little") & 0x3FFF for i in (6, 8))
    return Header("WEBP", width, height)


def _gif(data: bytes) -> Header:
    return Header("GIF", *struct.unpack_from("<HH", data, 6))


def _bmp(data: bytes) -> Header:
    old = data[14] == 12
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    return Header("BMP", abs(width), abs(height))


def _tiff(data: bytes) -> Header:
    return Header("TIFF")  # its size may be anywhere in the file


READERS: dict[bytes, Callable[[bytes], Header]] = {
    b"\xff\xd8\xff": _jpeg,
    b"GIF87a": _gif,
    b"GIF89a": _gif,
    b"BM": _bmp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
    b"II+\0": _tiff,
    b"MM\0+": _tiff,
    b"MM*\0": _tiff,
    b"II\0*": _tiff,
}
