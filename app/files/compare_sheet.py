"""The saved sheet of a comparison: all rows as one picture, and all maps as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageOps
import torch

from featvis import render
from featvis.types import Attribution, FeatureMaps, Heatmap, Synthesis

from ..answers import kinship_numbers
from ..answers.comparison import Cell, Row, agreements, compared
from ..question import pictures
from ..question.state import State

SIDE = 256  # of a picture in the sheet, pixels
BAND = 22  # of a line of words in the sheet
POINTS = 12  # of the words
INK, PAPER, SOFT = (28, 25, 23), (255, 255, 255), (111, 106, 99)


def sheet(state: State) -> PIL.Image.Image:
    """All rows as one picture, with the names of the networks and the columns."""
    *_, rows = compared(state)
    return sheet_of(state, rows)


def sheet_of(state: State, rows: Sequence[Row]) -> PIL.Image.Image:
    """Rows as one picture."""
    shared = state.display("maps") == "shared"
    original = pictures.get(state.image)
    factor = SIDE / max(original.size)
    size = (max(1, round(original.width * factor)), max(1, round(original.height * factor)))
    columns = max([len(row.cells) for row in rows] + [1])
    high = size[1] + 2 * BAND
    made = PIL.Image.new("RGB", ((columns + 1) * (size[0] + 6), len(rows) * (high + 6)), PAPER)
    draw = PIL.ImageDraw.Draw(made)

    def line(left: int, top: int, text: str, colour: tuple[int, int, int], **how: bool) -> None:
        draw.text((left + 2, top), _fitting(draw, text, size[0], **how), colour, font_size=POINTS)

    for r, row in enumerate(rows):
        top = r * (high + 6)
        made.paste(original.resize(size), (0, top + BAND))
        line(0, top + 5, row.state.model, INK, end=True)
        line(0, top + BAND + size[1] + 4, row.prediction or row.reason, SOFT)
        tops = _limits(row) if shared else {}
        for c, cell in enumerate(row.cells):
            left = (c + 1) * (size[0] + 6)
            picture = _drawn(cell, row, original, tops)
            if picture is not None:
                made.paste(picture.resize(size), (left, top + BAND))
            else:
                words = "\n".join(wrap(cell.reason, size[0] // 7))
                draw.text((left + 2, top + BAND + 8), words, SOFT, font_size=POINTS)
            line(left, top + 5, cell.title, INK)
            line(left, top + BAND + size[1] + 4, _said(cell), SOFT)
    return made


def _fitting(draw: PIL.ImageDraw.ImageDraw, text: str, width: int, *, end: bool = False) -> str:
    """A text that is not wider than a picture: its beginning, or its `end`, is kept."""
    kept = text
    while len(kept) > 1 and draw.textlength(_cut(kept, text, end), font_size=POINTS) > width:
        kept = kept[1:] if end else kept[:-1]
    return _cut(kept, text, end)


def _cut(kept: str, text: str, end: bool) -> str:
    return text if kept == text else f"…{kept}" if end else f"{kept}…"


def _said(cell: Cell) -> str:
    if cell.answer is None:
        return ""
    result = cell.answer.result
    if isinstance(result, Synthesis):
        return f"activation {float(result.activation[0]):.3g}"
    said = [] if isinstance(result, FeatureMaps) else [str(getattr(result, "target", ""))]
    if cell.faith is not None:
        said.append(f"insertion {cell.faith.insertion:.2f}, deletion {cell.faith.deletion:.2f}")
    return ", ".join(filter(None, said))


def _limits(row: Row) -> dict[str, float]:
    """Title of a cell -> the limit of its colors; maps in the same unit have the same one."""
    answers = {cell.title: cell.answer.result for cell in row.cells if cell.answer is not None}
    maps = {t: r for t, r in answers.items() if isinstance(r, Heatmap | Attribution)}
    return dict(zip(maps, render.limits([*maps.values()]), strict=True))


def _drawn(
    cell: Cell, row: Row, original: PIL.Image.Image, tops: dict[str, float]
) -> PIL.Image.Image | None:
    if cell.answer is None or row.image is None:
        return None
    result = cell.answer.result
    if isinstance(result, FeatureMaps):
        if result.components is None:
            return None
        colors = render.to_pil(render.components(result)[0])
        return colors.resize(original.size, PIL.Image.Resampling.NEAREST)
    if isinstance(result, Synthesis):
        picture = render.to_pil(render.pictures(result)[0])
        return PIL.ImageOps.pad(picture, original.size, color=PAPER)
    assert isinstance(result, Heatmap | Attribution)
    below = torch.from_numpy(np.array(original))
    layer = render.over(result, row.image, limit=tops.get(cell.title))[0]
    return render.to_pil(render.compose(below, layer))


def numbers(state: State) -> dict[str, Any]:
    """All maps, and their agreement."""
    *_, rows = compared(state)
    return numbers_of(state, rows)


def numbers_of(state: State, rows: Sequence[Row]) -> dict[str, Any]:
    """The arrays of rows, by network and method; and of layers and neighbours, if asked for."""
    found: dict[str, Any] = {}
    for row in rows:
        for cell in row.cells:
            if cell.answer is not None:
                column = cell.title.partition(" ")[0] if ":" in cell.title else ""
                name = ".".join(filter(None, (row.state.model, cell.answer.method.name, column)))
                found[f"{name}.values"] = cell.answer.result.values.detach().cpu().numpy()
    for title, (names, made) in agreements(rows).items():
        found[f"{title}.networks"] = np.array(names)
        found[f"{title}.correlation"] = made.correlation.numpy()
        found[f"{title}.overlap"] = made.overlap.numpy()
    others = [row.state.model for row in rows[1:] if row.model is not None]
    return found | kinship_numbers.arrays(state, others)
