"""Makes app/assets/starts.webp and preview.jpg: python -m docs.starts. What the links show, small.

The preview of shared links is docs/hero.png, cut to the shape that previews have.
"""

from __future__ import annotations

import io
from pathlib import Path

import PIL.Image
import PIL.ImageOps

from app.files import save
from app.pages.starts import COLUMNS, FILE, STARTS, Start

SIDE = 128  # of a picture, pixels
PREVIEW = (1200, 630)  # pixels, as link previews are shown


def square(start: Start) -> PIL.Image.Image:
    """The most telling square of what a start saves as a picture."""
    whole = PIL.Image.open(io.BytesIO(save.picture(start.state)[0])).convert("RGB")
    w, h = whole.size
    if start.state.tab == "Neighbours":  # a row: the query and three neighbours
        made = PIL.Image.new("RGB", (2 * h, 2 * h))
        for i in range(4):
            made.paste(whole.crop((i * h, 0, (i + 1) * h, h)), (i % 2 * h, i // 2 * h))
        whole = made
    elif start.state.tab == "Compare":  # two maps of two networks, without the words
        made = PIL.Image.new("RGB", (512, 512))
        for i in range(4):
            left, top = (1 + i % 2) * 262, i // 2 * 306 + 22
            made.paste(whole.crop((left, top, left + 256, top + 256)),
                       (i % 2 * 256, i // 2 * 256))  # fmt: skip
        whole = made
    elif w > h:
        whole = whole.crop((0, 0, h, h))
    return PIL.ImageOps.fit(whole, (SIDE, SIDE), PIL.Image.Resampling.LANCZOS)


def main() -> None:
    """Both files."""
    rows = -(-len(STARTS) // COLUMNS)
    sheet = PIL.Image.new("RGB", (COLUMNS * SIDE, rows * SIDE))
    for i, start in enumerate(STARTS):
        sheet.paste(square(start), (i % COLUMNS * SIDE, i // COLUMNS * SIDE))
    sheet.save(FILE, "WEBP", quality=86, method=6)
    hero = PIL.Image.open(Path(__file__).with_name("hero.png")).convert("RGB")
    shown = PIL.ImageOps.fit(hero, PREVIEW, PIL.Image.Resampling.LANCZOS, centering=(0, 0))
    shown.save(FILE.with_name("preview.jpg"), quality=86, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
