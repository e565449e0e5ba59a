"""Hostile pictures, made by code from a number: the same number gives the same picture.

No picture was recorded anywhere: each is wrong in a way that its format allows.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from typing import Any

import PIL.Image

__all__ = ["many_frames", "many_scans", "noise", "picture", "profile", "with_position"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


def picture(number: int) -> bytes:
    """The bytes of a file that says it is a picture; some are, of rare kinds."""
    chance = random.Random(f"picture {number}")
    return chance.choice(PICTURES)(chance)


def _plain(chance: random.Random, kind: str | None = None, **how: Any) -> bytes:
    size = chance.randrange(1, 90), chance.randrange(1, 90)
    image = PIL.Image.frombytes("RGB", size, chance.randbytes(3 * size[0] * size[1]))
    return _saved(image, kind or chance.choice(FORMATS), **how)


def _saved(image: PIL.Image.Image, kind: str, **how: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **how)
    return data.getvalue()


def _cut(chance: random.Random) -> bytes:
    whole = _plain(chance)
    return whole[: chance.randrange(len(whole))]


def _flipped(chance: random.Random) -> bytes:
    data = bytearray(_plain(chance))
    for _ in range(chance.randrange(1, 30)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _png(width: int, height: int, depth: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(chunks) + _chunk(b"IEND", b"")


def _bomb(chance: random.Random) -> bytes:
    side = chance.choice((6_000, 12_000, 65_000, 2**31 - 1))
    rows = zlib.compress(bytes(min(side // 8 + 1, 10_000) * 100), 9)
    return _png(side, side, 1, _chunk(b"IDAT", rows))


def _said_large(chance: random.Random) -> bytes:
    """A header that promises more than there is."""
    large = chance.choice((0, 40_000, 2**31))
    if chance.random() < 0.5:
        return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1 << 30, 0, 0, 54, 40, large % 2**31,
                                   -7, 1, 24, 0, 0, 0, 0, 0, 0)  # fmt: skip
    return b"GIF89a" + struct.pack("<HHBBB", 65_535, large % 65_536, 0xF7, 0, 0) + bytes(800)


def _text_bomb(chance: random.Random) -> bytes:
    packed = zlib.compress(bytes(20_000_000), 9)
    kind, name = chance.choice(((b"zTXt", b"k\0\0"), (b"iCCP", b"p\0\0")))
    pixels = _chunk(b"IDAT", zlib.compress(bytes(2 * 8)))
    return _png(8, 8, 8, _chunk(kind, name + packed), pixels)


def _polyglot(chance: random.Random) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("../../evil.py", "1")
    tails = [
        data.getvalue(),
        b"<html><script>1</script>",
        b"%PDF-1.4\n",
        b"\x7fELF",
        b"#!/bin/sh\n",
    ]
    first, second = _plain(chance), chance.choice(tails)
    return first + second if chance.random() < 0.7 else second + first


def _other(chance: random.Random) -> bytes:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    magic = chance.choice((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\x10\0\0\0WEBP",
                           b"II*\0", b"MM\0*", b"BM", b"\0\0\0\x20ftypavif", b"P6\n9 9\n255\n",
                           b"\0\0\1\0", b"8BPS", b"qoif", b"DDS "))  # fmt: skip
    return chance.choice((b"", svg, b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run", b"\0" * 100,
                          magic + chance.randbytes(chance.randrange(400)),
                          chance.randbytes(300)))  # fmt: skip


def _turned(chance: random.Random) -> bytes:
    exif = PIL.Image.Exif()
    exif[0x0112] = chance.choice((*range(9), 77, 65_535))
    if chance.random() < 0.3:
        return _plain(chance, "JPEG", exif=b"Exif\0\0" + chance.randbytes(60))
    return _plain(chance, "JPEG", exif=exif.tobytes())


def _moving(chance: random.Random) -> bytes:
    frames = [PIL.Image.new("P", (16, 16), n) for n in range(chance.randrange(2, 60))]
    kind = chance.choice(("GIF", "WEBP", "PNG", "TIFF"))
    rest = [f.convert("RGB") for f in frames[1:]]
    return _saved(frames[0].convert("RGB"), kind, save_all=True, append_images=rest)


def _mode(chance: random.Random) -> bytes:
    mode, kind = chance.choice((("CMYK", "JPEG"), ("I;16", "PNG"), ("F", "TIFF"), ("LAB", "TIFF"),
                                ("1", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("P", "GIF"),
                                ("CMYK", "TIFF"), ("I", "TIFF"), ("PA", "PNG")))  # fmt: skip
    image = PIL.Image.new("RGBA" if mode == "PA" else mode, (24, 17))
    return _saved(image.convert("P") if mode == "PA" else image, kind)


def _thin(chance: random.Random) -> bytes:
    long = chance.choice((20_000, 65_000))
    size = (long, 1) if chance.random() < 0.5 else (1, long)
    return _saved(PIL.Image.new("L", size), "PNG")


def _tiff(chance: random.Random) -> bytes:
    """A directory of tags that lead anywhere, even to itself."""
    count = chance.randrange(1, 30)
    tags = b"".join(
        struct.pack("<HHII", chance.choice((256, 257, 258, 259, 262, 273, 277, 278, 279, 330)),
                    chance.randrange(14), chance.choice((0, 1, 3, 2**32 - 1)),
                    chance.choice((0, 8, 1, 2**31)))
        for _ in range(count)
    )  # fmt: skip
    return b"II*\0" + struct.pack("<IH", 8, count) + tags + struct.pack("<I", 8)


PICTURES = (_plain, _cut, _cut, _flipped, _flipped, _flipped, _bomb, _said_large, _text_bomb,
            _polyglot, _other, _other, _turned, _moving, _mode, _thin, _tiff, _tiff)  # fmt: skip


def many_scans(count: int, side: int = 2000) -> bytes:
    """A progressive JPEG whose last scan is repeated: each costs a pass over all pixels."""
    data = _saved(PIL.Image.new("L", (side, side), 77), "JPEG", progressive=True, quality=75)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:last] + data[last:end] * count + data[end:]


def many_frames(count: int) -> bytes:
    """An animated GIF."""
    frames = [PIL.Image.new("P", (8, 8), n % 256) for n in range(count)]
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=1,
                  optimize=False)  # fmt: skip


def profile(megabytes: float) -> bytes:
    """A JPEG with as large a colour profile as its segments hold, or a PNG with a packed one."""
    size = int(1e6 * megabytes)
    if size < 16_000_000:
        return _saved(PIL.Image.new("RGB", (8, 8)), "JPEG", icc_profile=bytes(size))
    packed = _chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(size), 9))
    return _png(8, 8, 8, packed, _chunk(b"IDAT", zlib.compress(bytes(8 * 9))))


def with_position(marker: str, side: int = 64) -> bytes:
    """A JPEG that says where it was taken, and `marker`."""
    exif = PIL.Image.Exif()
    exif[0x010E] = marker  # ImageDescription
    exif[0x8825] = {1: "N", 2: (47.0, 22.0, 1.0), 3: "E", 4: (8.0, 33.0, 1.0)}
    noise = PIL.Image.effect_noise((side, side), 60).convert("RGB")
    return _saved(noise, "JPEG", exif=exif.tobytes(), comment=marker.encode())


def noise(number: int, size: int) -> bytes:
    """A PNG of about so many bytes that no coding makes smaller."""
    side = int((size / 3) ** 0.5)
    pixels = random.Random(number).randbytes(3 * side * side)
    return _saved(PIL.Image.frombytes("RGB", (side, side), pixels), "PNG", compress_level=1)
