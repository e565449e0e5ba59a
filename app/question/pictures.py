"""Pictures by a short name: drawn scenes ("scene-17"), and uploads by the hash of their content."""

from __future__ import annotations

import hashlib
import io
import logging
import re
from functools import lru_cache

import PIL.Image
import PIL.ImageDraw
import PIL.WebPImagePlugin  # now: not when no more files can be opened

from featvis import WrongRequest
from featvis.types import Rectangle
from zoo_adapters import raster
from zoo_adapters.bundled.scenes import CLASSES, scene

from ..machine import decoder, disk, disk_store
from ..machine.cache import ON_DELETE
from ..machine.limits import public

LOG = logging.getLogger("featvis")

SCENE = 512  # side of a drawn scene, pixels
UPLOAD = re.compile(r"[0-9a-f]{16}", re.ASCII)
NAME = re.compile(rf"scene-[0-9]{{1,7}}|{UPLOAD.pattern}", re.ASCII)
THUMB = 96  # side of an example in the strip
LARGEST = 1024  # longer side of a kept upload
EXAMPLES = tuple(f"scene-{seed}" for seed in (24, 2, 30, 8, 11, 5, 41, 16, 3, 54, 29, 60))

LENT: dict[str, PIL.Image.Image] = {}  # of the command line: as they are, while it runs


def get(name: str) -> PIL.Image.Image:
    """The picture of that name, RGB: a drawn scene or an upload."""
    if not isinstance(name, str) or not NAME.fullmatch(name):  # a page may send anything
        raise disk.gone()
    if name in LENT:
        return LENT[name]
    if name.startswith("scene-"):
        return _scene(name)
    try:
        if disk.uploads().find(f"{name}.webp") is None:
            raise disk.gone()
        picture = _upload(name)
    except OSError as error:  # too many open files, say: nothing is wrong with the picture
        LOG.exception("an upload cannot be read")
        raise WrongRequest("this picture cannot be read now; try again later") from error
    if name in disk.DELETED:  # while it was read
        _upload.cache_clear()
        raise disk.gone()
    return picture


@lru_cache(maxsize=16)
def _scene(name: str) -> PIL.Image.Image:
    return PIL.Image.fromarray(scene(int(name[6:]), size=SCENE).image)


@lru_cache(maxsize=32)
def _upload(name: str) -> PIL.Image.Image:
    data = disk.uploads().read(f"{name}.webp")
    if data is None:
        raise disk.gone()
    if name_of(data) != name:  # only bytes that were read can be damaged
        disk.uploads().drop(f"{name}.webp")
        raise WrongRequest("this picture is damaged here; send it again")
    with PIL.Image.open(io.BytesIO(data), formats=("WEBP",)) as picture:
        return picture.convert("RGB")


def name_of(data: bytes) -> str:
    """The name of a file's content."""
    return hashlib.sha256(data).hexdigest()[:16]


def group(name: str) -> str:
    """The group of files that are made from a picture (see `disk.GROUP`)."""
    return name if UPLOAD.fullmatch(name) and name not in LENT else "-"


def keep(picture: bytes | PIL.Image.Image) -> str:
    """Keep an upload, reduced and without its metadata; its name."""
    if isinstance(picture, bytes):
        data = decoder.decode(picture, LARGEST)
    else:  # of this process; no path: only the command line opens one
        data = raster.webp(raster.thumbnail(raster.upright(picture), LARGEST))
    name = name_of(data)
    disk.allow(name)
    try:
        disk.uploads().put(f"{name}.webp", data)
    except OSError as error:
        LOG.exception("an upload cannot be kept")
        raise WrongRequest("this picture cannot be kept now; try again later") from error
    return name


def upload_bytes(name: str) -> bytes | None:
    """The file of an upload, if it is here."""
    return disk.uploads().read(f"{name}.webp") if UPLOAD.fullmatch(name) else None


def is_upload(name: str) -> bool:
    """Is it the name of an upload that is here?"""
    return bool(UPLOAD.fullmatch(name)) and disk.uploads().find(f"{name}.webp") is not None


def may_delete(name: str) -> bool:
    """Is it an upload of whoever asks, or any upload on a server of one's own?"""
    return is_upload(name) and (not public() or disk_store.OWNER.get() in disk.owners(name))


def delete(name: str) -> None:
    """Delete an upload, and all that was made from it."""
    if group(name) == "-":
        raise WrongRequest("only a picture that was uploaded can be deleted")
    if not may_delete(name):
        raise WrongRequest(
            "only whoever sent a picture can delete it; send it again from here, then delete it"
        )
    gone = disk.delete(name)
    _upload.cache_clear()
    for forget in ON_DELETE:
        forget(name)
    if not gone:
        LOG.error("the upload %s could not be deleted", name)
        raise WrongRequest("this picture could not be deleted; try again later")


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


def framed(picture: PIL.Image.Image, box: Rectangle, size: tuple[int, int]) -> PIL.Image.Image:
    """A picture with a white frame on black, where `box` is on the original of (height, width)."""
    made = picture.copy()
    draw = PIL.ImageDraw.Draw(made)
    across, down = made.width / size[1], made.height / size[0]
    corners = (box.left * across, box.top * down, box.right * across - 1, box.bottom * down - 1)
    draw.rectangle(corners, outline="black", width=4)
    draw.rectangle([c + d for c, d in zip(corners, (1, 1, -1, -1), strict=True)], None, "white", 2)
    return made
