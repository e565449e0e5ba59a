"""Tiles: small pictures side by side, cut out of one sprite, that can be clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import PIL.Image
import torch

from ..files.encode import contact, png
from ..machine.disk import file_url


@dataclass(frozen=True, eq=False)
class Tile:
    """One or more pictures of the same thing, one below the other."""

    pictures: tuple[PIL.Image.Image, ...]
    pick: str  # what a click on it means, see `changes.set_shown`
    title: str  # said in full
    caption: str = ""


def strip(tiles: Sequence[Tile], label: str, *, side: int = 96, kind: str = "") -> str:
    """Tiles as a row of buttons; each picture is fitted into a square of `side` pixels."""
    if not tiles:
        return ""
    sheet = contact([tile.pictures for tile in tiles], side)
    rows = sheet.height // side
    url = file_url(png(torch.from_numpy(np.array(sheet))), "tiles.png")
    size = f"{len(tiles)}00% {rows}00%"
    made = "".join(_tile(tile, i, len(tiles), rows) for i, tile in enumerate(tiles))
    return (
        f'<div class="fv-tiles {kind}" role="group" aria-label="{escape(label)}" '
        f"style=\"--u:url('{url}');--n:{size}\">{made}</div>"
    )


def _tile(tile: Tile, column: int, columns: int, rows: int) -> str:
    x = 100 * column / max(columns - 1, 1)
    pictures = "".join(
        f'<i style="background-position:{x:.3f}% {100 * row / max(rows - 1, 1):.3f}%"></i>'
        for row in range(len(tile.pictures))
    )
    caption = f"<span>{escape(tile.caption)}</span>" if tile.caption else ""
    if not tile.pick:
        words = f'role="img" aria-label="{escape(tile.title)}"'
        return f'<div {words} title="{escape(tile.title)}">{pictures}{caption}</div>'
    return (
        f'<button data-pick="{escape(tile.pick)}" title="{escape(tile.title)}" '
        f'aria-label="{escape(tile.title)}">{pictures}{caption}</button>'
    )
