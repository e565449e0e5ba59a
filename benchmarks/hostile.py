"""Hostile inputs, made by code from a number: pictures, links and API calls.

The same number gives the same input. Nothing of it was recorded anywhere: what is wrong is what
the formats allow to be wrong.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import PIL.Image

from app.state import TABS
from featvis import METHODS

__all__ = ["call", "link", "picture", "text"]

MODEL = "bundled:scenes-mobilenet"
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
HOSTILE = (
    "", " ", "\0", "a\0b", "../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "..\\..\\x",
    "C:\\Windows\\system.ini", "http://127.0.0.1/", "http://169.254.169.254/latest", "data:,x",
    "nan", "NaN", "inf", "-inf", "1e999", "-1", "0x10", "1_000", "٣", "²", "½", "9" * 400,
    "1" * 20, "-0", "0.0", "1e-320", "true", "None", "null", "[]", "{}", "{" * 2000, "[" * 5000,
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'; DROP TABLE x; --",
    "${7*7}", "{{7*7}}", "%s%n", "%00", "\u202egnp.exe", "\ud7ff", "\ufeff", "🖼" * 50, "한글",
    "A" * 10_000, "\r\nSet-Cookie: x=1", "scene-", "scene-99999999999", "scene--1", "scene-1.5",
    "0123456789abcdef", "0123456789ABCDEF", "3-5-7", "5-5", "99999,99999", "-1,-1", "1,", ",",
    "timm:", ":", "bundled:", "bundled:../scenes-vit", "timm:hf-hub:a/../../b", "mine:net",
    "timm:local-dir:/etc", "timm:resnet18/../../x", "transformers:__import__('os')", "torch",
)  # fmt: skip


def text(chance: random.Random) -> str:
    """A string that is no answer to anything."""
    if chance.random() < 0.7:
        return chance.choice(HOSTILE)
    letters = [chr(chance.choice((chance.randrange(1, 128), chance.randrange(128, 0xD800))))
               for _ in range(chance.randrange(60))]  # fmt: skip
    return "".join(letters)


def link(number: int) -> str:
    """A link whose values are wrong, right for something else, repeated, or too many."""
    chance = random.Random(f"link {number}")
    right: dict[str, Callable[[], str]] = {
        "v": lambda: "1",
        "tab": lambda: chance.choice(TABS),
        "m": lambda: MODEL,
        "method": lambda: ",".join(chance.choices(sorted(METHODS), k=chance.randrange(1, 9))),
        "layer": lambda: chance.choice(("conv_stem", "blocks.1", "blocks.4.0", "head")),
        "ch": lambda: str(chance.randrange(-2, 300)),
        "pos": lambda: f"{chance.randrange(40)},{chance.randrange(40)}",
        "cls": lambda: f"{chance.randrange(40)}-{chance.randrange(40)}",
        "seed": lambda: str(chance.randrange(10**10)),
        "img": lambda: f"scene-{chance.randrange(60)}",
    }
    params = sorted({f"p.{p.name}" for method in METHODS.values() for p in method.params})
    keys = chance.choices([*right, *params, "p.trust", "p.pair", "p.explain", "lang"],
                          k=chance.randrange(1, 14))  # fmt: skip
    pairs = [
        (key, right[key]() if key in right and chance.random() < 0.6 else text(chance))
        for key in keys
    ]
    if chance.random() < 0.05:
        pairs *= 200
    made = urlencode(pairs, errors="replace")
    if chance.random() < 0.1:  # broken encoding
        made = (
            made.replace("%", "%%", 1) + "&%zz=%&=&&;" + quote(text(chance))[: chance.randrange(9)]
        )
    return f"?{made}"


def call(number: int) -> tuple[str, dict[str, Any]]:
    """The name of an endpoint, and arguments that it should not be given."""
    chance = random.Random(f"call {number}")
    name = chance.choice(("models", "layers", "run", "run", "run", "compare", "channel",
                          "neighbours"))  # fmt: skip

    def words(*right: str) -> str:
        return chance.choice(right) if chance.random() < 0.6 else text(chance)

    def number_() -> Any:
        return chance.choice((0, -1, 1, 3, 10**9, -(10**9), 2**63, 10**30, 2.5, float("nan"),
                              float("inf")))  # fmt: skip

    model, image = words(MODEL), words("scene-1", "scene-2")
    if name == "models":
        return name, {"zoo": words("bundled", "timm", ""), "search": text(chance)}
    if name == "layers":
        return name, {"model": model}
    if name == "channel":
        return name, {"model": model, "layer": words("blocks.4.0"), "channel": number_(),
                      "count": number_()}  # fmt: skip
    if name == "neighbours":
        return name, {"model": model, "image": image, "count": number_()}
    if name == "compare":
        return name, {"models": [model, words("bundled:scenes-vit")][: chance.randrange(3)],
                      "image": image, "methods": words("cam", "saliency"),
                      "target": text(chance)}  # fmt: skip
    method = words("cam", "saliency", "maximize", "occlusion", "smoothgrad", "filters")
    known = [p.name for p in METHODS[method].params] if method in METHODS else []
    values: list[Any] = [number_(), text(chance), None, True, [1], {"a": 1}, [[[]]]]
    wrong = {chance.choice([*known, "seed", text(chance)]): chance.choice(values)
             for _ in range(chance.randrange(3))}  # fmt: skip
    params = json.dumps(wrong) if chance.random() < 0.8 else text(chance)
    return name, {
        "method": method, "model": model, "image": image, "target": words("", "", "1"),
        "layer": words("", "blocks.4.0"), "channel": number_() if chance.random() < 0.5 else -1,
        "position": words("", "", "1,1"), "parameters": params,
    }  # fmt: skip


def picture(number: int) -> bytes:
    """The bytes of a file that says it is a picture; some are, of rare kinds."""
    chance = random.Random(f"picture {number}")
    return chance.choice(PICTURES)(chance)


def _plain(chance: random.Random, kind: str | None = None, **how: Any) -> bytes:
    size = chance.randrange(1, 90), chance.randrange(1, 90)
    made = PIL.Image.frombytes("RGB", size, chance.randbytes(3 * size[0] * size[1]))
    return _saved(made, kind or chance.choice(FORMATS), **how)


def _saved(made: PIL.Image.Image, kind: str, **how: Any) -> bytes:
    data = io.BytesIO()
    made.save(data, kind, **how)
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
    """Of a header that promises more than there is."""
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
    made = PIL.Image.new("RGBA" if mode == "PA" else mode, (24, 17))
    return _saved(made.convert("P") if mode == "PA" else made, kind)


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
