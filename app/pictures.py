"""Pictures by a short name: drawn scenes ("scene-17"), and uploads by the hash of their content."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from functools import lru_cache
from pathlib import Path

import PIL.Image
import PIL.ImageDraw

from featvis import WrongRequest
from featvis.types import Box
from zoo_adapters.bundled.scenes import CLASSES, scene
from zoo_adapters.pictures import upright

from . import disk
from .limits import limits, opened

__all__ = ["EXAMPLES", "SCENE", "framed", "get", "keep", "lend", "named", "strip", "upload_at"]

SCENE = 512  # side of a drawn scene, pixels
NAME = re.compile(r"scene-[0-9]{1,7}|[0-9a-f]{16}", re.ASCII)
THUMB = 96  # side of an example in the strip
LARGEST = 1024  # longer side of a kept upload
STORE = Path(tempfile.gettempdir()) / "featvis-pictures"
EXAMPLES = tuple(f"scene-{seed}" for seed in (24, 2, 30, 8, 11, 5, 41, 16, 3, 54, 29, 60))


LENT: dict[str, PIL.Image.Image] = {}  # pictures of this process, as they are


def lend(name: str) -> str:
    """The short name of a picture (see `named`) for as long as this process lives."""
    picture = named(name)
    pixels = f"{picture.size}".encode() + picture.tobytes()
    short = hashlib.sha256(pixels).hexdigest()[:16]
    LENT[short] = picture
    return short


@lru_cache(maxsize=32)
def get(name: str) -> PIL.Image.Image:
    """The picture of that name, RGB."""
    if name in LENT:
        return LENT[name]
    gone = WrongRequest("the picture of this link is no longer here; choose another one")
    if not NAME.fullmatch(name):  # a page may send anything: nothing else is a file's name
        raise gone
    if name.startswith("scene-"):
        return PIL.Image.fromarray(scene(int(name[6:]), size=SCENE).image)
    file = STORE / f"{name}.webp"
    if not file.is_file():
        raise gone
    try:
        with PIL.Image.open(file) as kept:
            return kept.convert("RGB")
    except (OSError, SyntaxError, ValueError):  # damaged on disk: an upload of it is kept anew
        file.unlink(missing_ok=True)
        raise gone from None


def upload_at(name: str) -> Path | None:
    """The file of a kept upload, if it is one."""
    file = STORE / f"{name}.webp"
    return file if re.fullmatch("[0-9a-f]{16}", name, re.ASCII) and file.is_file() else None


def named(name: str | Path) -> PIL.Image.Image:
    """The picture of a file, a drawn scene by its name, or an upload that is kept here."""
    if NAME.fullmatch(str(name)) and not Path(name).exists():
        return get(str(name))
    return upright(name)


@lru_cache(maxsize=1)
def strip() -> tuple[PIL.Image.Image, tuple[str, ...]]:
    """The examples side by side, small, and what each of them shows."""
    made = PIL.Image.new("RGB", (THUMB * len(EXAMPLES), THUMB))
    labels = []
    for i, name in enumerate(EXAMPLES):
        drawn = scene(int(name[6:]), size=THUMB)
        made.paste(PIL.Image.fromarray(drawn.image), (i * THUMB, 0))
        labels.append(CLASSES[drawn.label])
    return made, tuple(labels)


def framed(picture: PIL.Image.Image, box: Box, size: tuple[int, int]) -> PIL.Image.Image:
    """A picture with a white frame on black, where `box` is on the original of (height, width)."""
    made = picture.copy()
    draw = PIL.ImageDraw.Draw(made)
    across, down = made.width / size[1], made.height / size[0]
    corners = (box.left * across, box.top * down, box.right * across - 1, box.bottom * down - 1)
    draw.rectangle(corners, outline="black", width=4)
    draw.rectangle([c + d for c, d in zip(corners, (1, 1, -1, -1), strict=True)], None, "white", 2)
    return made


def keep(picture: str | Path | bytes | PIL.Image.Image) -> str:
    """Keep an upload, reduced and without its metadata; its name."""
    if isinstance(picture, str | Path):
        picture = Path(picture).read_bytes()  # where it lay is said to nobody
    made = opened(picture) if isinstance(picture, bytes) else upright(picture)
    made.thumbnail((LARGEST, LARGEST))
    data = io.BytesIO()
    made.save(data, "WEBP", quality=92)
    name = hashlib.sha256(data.getvalue()).hexdigest()[:16]
    STORE.mkdir(parents=True, exist_ok=True)
    file = STORE / f"{name}.webp"
    if not file.exists():
        disk.write(file, data.getvalue())
        disk.make_room(STORE, "*", 1e6 * limits().stored_mb or 1e18, file)
    return name
