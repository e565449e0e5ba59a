"""Pictures of the command line, which may open any file that its user names."""

from __future__ import annotations

from pathlib import Path

import PIL.Image

from zoo_adapters.pictures import upright

from ..question import pictures
from ..question.recipe import picture_hash


def named(name: str | Path) -> PIL.Image.Image:
    """The picture of a file, a drawn scene by its name, or an upload that is kept here."""
    if pictures.NAME.fullmatch(str(name)) and not Path(name).exists():
        return pictures.get(str(name))
    return upright(name)


def lend(name: str) -> str:
    """The short name of a picture (see `named`) for as long as this process lives."""
    picture = named(name)
    short = picture_hash(picture)
    pictures.LENT[short] = picture
    return short
