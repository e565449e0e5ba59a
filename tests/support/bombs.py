"""Bombs: pictures' files that are small, and ask whoever decodes them for far too much."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import PIL.Image

__all__ = ["BOMBS", "chunk", "png", "progressive"]


def encoded(picture: PIL.Image.Image, format: str, **options: object) -> bytes:
    """The file of a picture."""
    data = io.BytesIO()
    picture.save(data, format, **options)
    return data.getvalue()


def noise(width: int = 64, height: int = 48) -> PIL.Image.Image:
    """A picture that is no plain area."""
    return PIL.Image.effect_noise((width, height), 60).convert("RGB")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(*extra: bytes, size: tuple[int, int] = (4, 3), rows: bytes | None = None) -> bytes:
    """A gray PNG with further chunks before its pixels."""
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(size[0] + 1) * size[1]) if rows is None else rows
    chunks = chunk(b"IHDR", header), *extra, chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def packed(megabytes: int) -> bytes:
    """So many megabytes of nothing, compressed."""
    press, block = zlib.compressobj(9), bytes(1_000_000)
    return b"".join(press.compress(block) for _ in range(megabytes)) + press.flush()


def progressive(scans: int, side: int = 2000) -> bytes:
    """A progressive JPEG of so many scans: its first one, and its last one again and again."""
    data = encoded(PIL.Image.new("L", (side, side)), "JPEG", progressive=True)
    starts = [i for i in range(len(data) - 1) if data[i : i + 2] == b"\xff\xda"]
    last = data[starts[-1] : -2]
    return data[:-2] + last * (scans - len(starts)) + b"\xff\xd9"


def animated(format: str, frames: int) -> bytes:
    """A file of so many frames."""
    if format == "GIF":
        whole = encoded(PIL.Image.new("P", (64, 64)), "GIF")
        at = whole.index(b",\0\0\0\0")
        return whole[:at] + whole[at:-1] * frames + b";"
    if format == "PNG":
        control = struct.pack(">IIIIIHHBB", 0, 4, 3, 0, 0, 1, 10, 0, 0)
        more = b"".join(
            chunk(b"fcTL", struct.pack(">I", 2 * n + 1) + control[4:])
            + chunk(b"fdAT", struct.pack(">I", 2 * n + 2) + zlib.compress(bytes(15)))
            for n in range(frames)
        )
        still = png(chunk(b"acTL", struct.pack(">II", frames + 1, 0)), chunk(b"fcTL", control))
        return still[:-12] + more + still[-12:]
    whole = encoded(noise(), "WEBP", save_all=True, append_images=[noise(), noise()])
    at = whole.index(b"ANMF")
    length = 8 + int.from_bytes(whole[at + 4 : at + 8], "little")
    body = whole[12:at] + whole[at : at + length] * frames
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff(*tags: tuple[int, int, int, int], after: int = 0, tail: bytes = b"") -> bytes:
    """A TIFF of one directory: (tag, type, count, value) each, and where the next one is."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", after)
    return b"II*\0\x08\0\0\0" + directory + tail


def plain(width: int, height: int, **tags: int) -> list[tuple[int, int, int, int]]:
    """Tags of a gray picture of 8 bits."""
    bits, strip, rows = tags.get("bits", 8), tags.get("strip", 0), tags.get("rows", height)
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1),
            (262, 3, 1, 1), (273, 4, 1, strip), (277, 3, 1, 1), (278, 4, 1, rows),
            (279, 4, 1, tags.get("bytes", width * height))]  # fmt: skip


def exif(entries: int, length: int) -> bytes:
    """EXIF of many entries that all point to the same bytes."""
    tags = [(0x0200 + n, 7, length, 8 + 2 + 12 * entries + 4) for n in range(entries)]
    return b"Exif\0\0" + tiff(*tags, tail=bytes(length))


def long_webp(kind: bytes, content: bytes) -> bytes:
    """A WebP with a chunk of metadata."""
    name = {b"ICCP": "icc_profile", b"EXIF": "exif", b"XMP ": "xmp"}[kind]
    return encoded(noise(), "WEBP", **{name: content})


BOMBS: dict[str, Callable[[], bytes]] = {
    "progressive JPEG of 1,000 scans": lambda: progressive(1000),
    "progressive JPEG of 90 scans": lambda: progressive(90, 4800),
    "GIF of 10,000 frames": lambda: animated("GIF", 10_000),
    "APNG of 10,000 frames": lambda: animated("PNG", 10_000),
    "WebP of 1,000 frames": lambda: animated("WEBP", 1_000),
    "PNG with a profile of 200 MB": lambda: png(chunk(b"iCCP", b"a\0\0" + packed(200))),
    "PNG with a text of 200 MB": lambda: png(chunk(b"zTXt", b"a\0\0" + packed(200))),
    "PNG with an international text of 200 MB": lambda: png(
        chunk(b"iTXt", b"a\0\1\0en\0a\0" + packed(200))
    ),
    "PNG with 400 texts of 900 kB": lambda: png(
        *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000)))] * 400
    ),
    "PNG of 300,000 chunks": lambda: png(*[chunk(b"tIME", b"")] * 300_000),
    "PNG with EXIF of many entries": lambda: png(chunk(b"eXIf", exif(5000, 60_000)[6:])),
    "PNG of 4 x 3 with rows of 200 MB": lambda: png(rows=packed(200)),
    "WebP with a profile of 4 MB": lambda: long_webp(b"ICCP", bytes(4_000_000)),
    "WebP with EXIF of many entries": lambda: long_webp(b"EXIF", exif(20_000, 4_000_000)),
    "JPEG with EXIF of many entries": lambda: encoded(noise(), "JPEG", exif=exif(2000, 40_000)),
    "JPEG with XMP of 3 MB": lambda: encoded(noise(), "JPEG")[:2]
    + (b"\xff\xe1\xff\xff" + b"http://ns.adobe.com/xap/1.0/\0".ljust(65533)) * 48
    + encoded(noise(), "JPEG")[2:],
    "TIFF whose next directory is its first": lambda: tiff(
        *plain(4, 3, strip=122), after=8, tail=bytes(12)
    ),
    "TIFF whose EXIF directory is its first": lambda: tiff(
        *plain(4, 3, strip=134), (0x8769, 4, 1, 8), tail=bytes(12)
    ),
    "TIFF of one row that is all of it": lambda: tiff(
        *plain(4000, 5000, strip=122, rows=2**32 - 1)
    ),
    "TIFF of 65,535 entries": lambda: tiff(*plain(4, 3), *[(60000, 7, 2**31, 8)] * 65_000),
    "TIFF with 4 GB of a tag": lambda: tiff(*plain(4, 3, strip=134), (50000, 7, 2**32 - 1, 8)),
    "GIF whose frame is larger than it": lambda: b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0"
    b"\xff\xff\xff\xff\0\x02\x02L\1\0;",
    "BMP of -1 x -1": lambda: b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, -1, -1, 1, 24,
                                                  0, 0, 0, 0, 0, 0),
    "BMP of 2 GB": lambda: b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, 2**31 - 1, 1, 1,
                                               24, 0, 0, 0, 0, 0, 0),
    "JPEG of 65,500 x 65,500": lambda: encoded(noise(), "JPEG").replace(
        b"\0\x30\0\x40", b"\xff\xdc\xff\xdc", 1
    ),
    "AVIF that ends": lambda: encoded(noise(), "AVIF")[:200],
}  # fmt: skip
