"""Panels: results over the picture, side by side, each with its scale and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from featvis import Image, render
from featvis.measures.sanity import Stage
from featvis.types import Attribution, Heatmap, Place, Rectangle

from ..answers.readout import on_original
from ..files.encode import overlay, photograph, png
from ..machine.cache import ON_DELETE
from ..machine.disk import file_url
from ..question import pictures
from ..words.texts import sentence

LAYERS: WeakKeyDictionary[Heatmap | Attribution, dict[Any, bytes]] = WeakKeyDictionary()
THUMB = 112  # longer side of a map in a strip, pixels
POINT = "Pick a point of the picture: the arrow keys move, Enter chooses"
ROWS, COLUMNS = ("at the top", "in the middle", "at the bottom"), ("left", "centre", "right")
OPACITY = (
    '<label class="fv-opacity"><span>Picture</span><input type="range" min="0" max="1" '
    'step="0.01" value="0.85" aria-label="Opacity of the maps"><span>Map</span></label>'
)


@dataclass(frozen=True)
class Panel:
    """A result over the picture: its title and what is said of it, or why there is none."""

    title: str
    result: Heatmap | Attribution | None = None
    lines: Sequence[str] = ()  # HTML
    seconds: float | None = None
    reason: str = ""
    colors: Tensor | None = field(default=None, kw_only=True)  # (h, w, 3), instead of a result
    place: Place | None = field(default=None, kw_only=True)
    box: Rectangle | None = field(default=None, kw_only=True)  # round the evidence, on the original
    strip: Sequence[Stage] = field(default=(), kw_only=True)  # of the sanity check
    alone: Tensor | None = field(default=None, kw_only=True)  # (h, w, 3), a picture of its own


def panels(
    image: Image,
    picture: str,
    shown: Sequence[Panel],
    marker: tuple[float, float] | None,
    *,
    of: str = "",
    shared: bool = False,
    slider: bool = True,
) -> str:
    """Results over the picture of a name, side by side.

    `shared`: maps in the same unit have one scale.
    `of`: the network, for who cannot see them. `slider`: one for the opacity of all maps below.
    """
    base, data = _base(picture)
    below = file_url(data, "picture.webp")
    marks = _crop(image)
    if marker is not None:
        x, y = (f"{100 * min(max(at, 0), 1):.2f}%" for at in marker)
        marks += f'<i class="fv-mark" style="left:{x};top:{y}"></i>'
    results = [panel.result for panel in shown if panel.result is not None]
    tops = dict(zip(results, render.limits(results), strict=True)) if shared else {}
    figures = "".join(
        _figure(panel, image, base, below, marks, panel.result and tops.get(panel.result), of)
        for panel in shown
    )
    return (OPACITY if slider else "") + f'<div class="fv-row">{figures}</div>'


@lru_cache(maxsize=32)
def _base(name: str) -> tuple[PIL.Image.Image, bytes]:
    """The picture that maps lie over, and its file."""
    made = pictures.get(name).copy()
    made.thumbnail((render.LARGEST, render.LARGEST))
    return made, photograph(made)


ON_DELETE.append(lambda _: _base.cache_clear())


def _figure(
    panel: Panel,
    image: Image,
    base: PIL.Image.Image,
    below: str,
    marks: str,
    top: float | None,
    of: str,
) -> str:
    title = escape(panel.title)
    if panel.reason:
        return (
            f'<figure class="fv-off"><div class="fv-title"><b>{title}</b></div>'
            f'<div class="fv-stack"><img src="{below}" alt="The picture">'
            f"<p>{escape(sentence(panel.reason))}</p></div></figure>"
        )
    if panel.alone is not None:
        return _alone(panel, panel.alone)
    data = legend = ""
    if panel.result is None:
        above = _components(panel, image)
    else:
        layer = file_url(_layer(panel.result, image, top), "map.webp")
        kind = "strokes" if isinstance(panel.result, Attribution) and panel.result.colors else ""
        values = on_original(panel.result, image)
        told = escape(_told(panel.title, panel.result, values, of))
        above = f'<img class="fv-heat {kind}" src="{layer}" alt="{told}">'
        data = escape(json.dumps(values, separators=(",", ":")))
        legend = _legend(panel.result, render.limit(panel.result) if top is None else top)
    if panel.box is not None:
        marks += f'<i class="fv-box" style="{_rectangle(panel.box, image.original)}"></i>'
    below_map = legend + _strip(panel.strip, image, base)
    lines = "".join(f"<p>{line}</p>" for line in panel.lines)
    return (
        f"<figure>{_title(panel)}"
        f'<div class="fv-stack" data-point tabindex="0" role="application" aria-label="{POINT}" '
        f'data-values="{data}"><img src="{below}" alt="The picture">{above}{marks}'
        f'<i class="fv-aim" hidden></i><output></output></div>{below_map}'
        f"<figcaption>{lines}</figcaption></figure>"
    )


def _title(panel: Panel) -> str:
    title = escape(panel.title)
    time = f"<span>{_duration(panel.seconds)}</span>" if panel.seconds is not None else ""
    return (
        f'<div class="fv-title"><b>{title}</b>{time}<button data-large '
        f'aria-label="Enlarge {title}" title="Enlarge, or back">⤢</button></div>'
    )


def _alone(panel: Panel, picture: Tensor) -> str:
    """A picture that lies over no other one."""
    lines = "".join(f"<p>{line}</p>" for line in panel.lines)
    return (
        f'<figure>{_title(panel)}<img class="fv-alone" src="{file_url(png(picture), "made.png")}" '
        f'alt="Picture made for {escape(panel.title)}"><figcaption>{lines}</figcaption></figure>'
    )


def _told(
    title: str, result: Heatmap | Attribution, values: Sequence[Sequence[float]], of: str
) -> str:
    """What a map shows, in words: of what, for what, and where it is strongest."""
    grid = np.abs(np.array(values))
    row, column = np.unravel_index(int(grid.argmax()), grid.shape)
    where = f"{ROWS[3 * int(row) // len(grid)]}, {COLUMNS[3 * int(column) // len(grid)]}"
    return f"{title} of {of} for {result.target}: strongest {where}"


def _layer(result: Heatmap | Attribution, image: Image, top: float | None) -> bytes:
    """The map as a file that lies over the picture; kept with its result, as many look at it."""
    kept, key = LAYERS.setdefault(result, {}), (image.box, image.original, top)
    if key not in kept:
        kept[key] = overlay(render.over(result, image, limit=top)[0])
    return kept[key]


def _strip(stages: Sequence[Stage], image: Image, base: PIL.Image.Image) -> str:
    """The maps of the sanity check, small, each with its rank correlation."""
    small = base.copy()
    small.thumbnail((THUMB, THUMB))
    picture = torch.from_numpy(np.array(small))
    made = []
    for stage in stages:
        layer = render.over(stage.result, image)[0, :: _every(image), :: _every(image)]
        url = file_url(png(render.compose(picture, layer)), "stage.png")
        value = f"{float(stage.correlation[0, 0]):.2f}"  # of the draw that is shown
        name = escape(stage.down_to)
        made.append(
            f'<span title="Weights drawn anew from the head down to {name}: rank correlation '
            f'{value}"><img src="{url}" alt="Map with random weights down to {name}">{value}</span>'
        )
    if not made:
        return ""
    words = "random weights, from the head alone to all; rank correlation with the map above"
    return f'<div class="fv-strip">{"".join(made)}</div><p class="fv-small">{words}</p>'


def _every(image: Image) -> int:
    """Thins a layer over the picture to about the size of a thumbnail."""
    return max(1, round(min(max(image.original), render.LARGEST) / THUMB / 2))


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


def _components(panel: Panel, image: Image) -> str:
    """Colours (h, w, 3) of a map's positions, placed as heat is."""
    assert panel.colors is not None
    assert panel.place is not None
    layer = overlay(render.components_over(panel.colors, panel.place, image))
    return (
        f'<img class="fv-heat" src="{file_url(layer, "map.webp")}" '
        f'alt="{escape(panel.title)} over the picture">'
    )


def _crop(image: Image) -> str:
    """A frame round what the network saw, where that is not all."""
    height, width = image.original
    top, left, bottom, right = image.box
    if top <= 1 and left <= 1 and bottom >= height - 1 and right >= width - 1:
        return ""
    seen = max(top, 0), max(left, 0), min(bottom, height), min(right, width)
    return f'<i class="fv-crop" style="{_rectangle(seen, image.original)}"></i>'


def _rectangle(box: tuple[float, float, float, float], size: tuple[int, int]) -> str:
    """Top, left, bottom, right on a picture of (height, width), as a style."""
    top, left, bottom, right = box
    return (
        f"top:{100 * top / size[0]:.2f}%;height:{100 * (bottom - top) / size[0]:.2f}%;"
        f"left:{100 * left / size[1]:.2f}%;width:{100 * (right - left) / size[1]:.2f}%"
    )


def _legend(result: Heatmap | Attribution, top: float) -> str:
    signed = result.signed or (isinstance(result, Attribution) and result.colors)
    bar = file_url(png(render.colorbar(result, 128, 1)), "bar.png")
    low = f"−{top:.3g}" if signed else "0"
    return (
        f'<div class="fv-legend"><span>{low}</span><img src="{bar}" alt="">'
        f"<span>{top:.3g}</span></div>"
    )
