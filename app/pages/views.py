"""Views: results -> pieces of HTML. All text that is not ours is escaped here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, sqrt

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from featvis import VisionModel, render
from featvis.output import Answer
from featvis.target import Target
from featvis.types import FeatureMaps, Filters
from zoo_adapters import Facts

from ..files.encode import png
from ..machine.disk import file_url
from ..words import texts
from ..words.texts import sentence
from ..words.translate import LANGUAGES

TILE = 64  # largest side of a tile in the sprite, pixels


def facts(model: VisionModel, known: Facts) -> str:
    """One line of facts, and how the logits come from the last map."""
    h, w = model.size
    licence = known.licence or str(model.info.get("licence") or "") or "licence unknown"
    items = [
        texts.count(model.parameters),
        f"{h} px" if h == w else f"{h}x{w} px",
        known.training or str(model.info.get("training") or ""),
        licence,
        "on disk" if model.info.get("pretrained", True) else "random weights",
    ]
    head = f"CAM: {model.head.kind}" if model.head else "no CAM"
    return (
        f'{line(items)}<p class="fv-head">'
        f'<b class="fv-tag {"good" if model.head else ""}">{escape(head)}</b> '
        f"{escape(sentence(model.head_reason))}</p>{_meaning(model)}"
    )


def _meaning(model: VisionModel) -> str:
    """Which values of the network its scores are, where they are not simply its output."""
    words = model.output.meaning
    return f'<p class="fv-head">{escape(sentence(words))}</p>' if words else ""


def languages() -> str:
    """The languages to choose from, each in its own words."""
    links = "".join(
        f'<a href="?lang={code}" lang="{code}" hreflang="{code}">{name}</a>'
        for code, name in LANGUAGES.items()
    )
    return f'<nav class="fv-languages" aria-label="Language">{links}</nav>'


def line(items: Sequence[str]) -> str:
    """Facts side by side; empty ones are left out."""
    made = " · ".join(f"<span>{escape(item)}</span>" for item in items if item)
    return f'<div class="fv-facts">{made}</div>'


def prediction(model: VisionModel, logits: Tensor, target: Target) -> str:
    """The strongest answers with their probabilities, or else scores; each is a button."""
    predicted = model.output.predict(logits, target)
    if not predicted.answers:
        return f'<p class="fv-note">{escape(predicted.note or predicted.words)}</p>'
    quantity = model.output.quantity(None)
    rows = "".join(_answer(answer, quantity) for answer in predicted.answers)
    return f'<div class="fv-classes" role="group" aria-label="Prediction">{rows}</div>'


def _answer(answer: Answer, quantity: str) -> str:
    name, number = escape(answer.label), escape(answer.target)
    percent = 100 * (answer.share or 0)
    shown = f"{percent:.1f} %" if percent >= 0.1 else "&lt; 0.1 %"
    if answer.share is None:
        shown = f"{answer.value:.3g}"
    return (
        f'<button class="fv-class" data-pick="{number}" '
        f'aria-pressed="{str(answer.chosen).lower()}" '
        f'title="Explain class {number}, {name}: {quantity} {answer.value:.2f}">'
        f'<i style="width:{percent:.1f}%"></i><span>{name}</span><em>{shown}</em></button>'
    )


def examples(names: Sequence[str], labels: Sequence[str], url: str, chosen: str) -> str:
    """A strip of pictures to choose from, cut out of one sprite."""
    step = 100 / max(len(names) - 1, 1)
    tiles = "".join(
        f'<button data-pick="{name}" aria-pressed="{str(name == chosen).lower()}" '
        f'title="{escape(label)}" aria-label="Example picture: {escape(label)}" '
        f'style="background-position:{i * step:.3f}% 0"></button>'
        for i, (name, label) in enumerate(zip(names, labels, strict=True))
    )
    return (
        f'<div class="fv-examples" role="group" aria-label="Example pictures" '
        f"style=\"--u:url('{url}');--n:{len(names)}00% 100%\">{tiles}</div>"
    )


def notice(text: str) -> str:
    """A sentence that must be read."""
    if not text:
        return ""
    return (
        f'<div class="fv-notice" role="alert"><span>{escape(sentence(text))}</span>'
        '<button data-close aria-label="Close">×</button></div>'
    )


def busy(text: str, share: float | None = None, *, cancel: bool = False) -> str:
    """What is being done, with a bar: of a known share, or moving; and a way to stop it."""
    stop = "<button data-cancel>Cancel</button>" if cancel else ""
    bar = '<i class="moving"></i>' if share is None else f'<i style="width:{100 * share:.0f}%"></i>'
    return f'<div class="fv-busy"><span>{escape(text)}</span><b>{bar}</b>{stop}</div>'


def grid(result: Filters | FeatureMaps, scale: str, chosen: int | None, noun: str) -> str:
    """All channels as a grid of buttons, cut out of one sprite."""
    tiles = render.tiles(result, scale=scale)
    order = (result.order if result.order.ndim == 1 else result.order[0]).tolist()
    every = ceil(max(tiles.shape[1:3]) / TILE / 2)  # maps far larger than a tile are thinned
    tiles = tiles[:, ::every, ::every]
    return _buttons(tiles, order, chosen, noun, lambda channel: _strength(result, channel))


def _buttons(
    tiles: Tensor,
    order: Sequence[int],
    chosen: int | None,
    noun: str,
    told: Callable[[int], str],
) -> str:
    """Tiles (N, h, w, 3) of the channels in `order`, which can be picked."""
    columns = ceil(sqrt(len(tiles)))
    rows = ceil(len(tiles) / columns)
    url = file_url(png(render.sheet(tiles, columns, gap=0)), "tiles.png")
    made = []
    for i, channel in enumerate(order):
        x = 100 * (i % columns) / max(columns - 1, 1)
        y = 100 * (i // columns) / max(rows - 1, 1)
        made.append(
            f'<button role="option" data-pick="{channel}" tabindex="{-1 if i else 0}" '
            f'aria-selected="{str(channel == chosen).lower()}" '
            f'title="{noun} {channel}{told(channel)}" '
            f'style="background-position:{x:.3f}% {y:.3f}%"><span>{channel}</span></button>'
        )
    size = "few" if len(made) <= 40 else "some" if len(made) <= 130 else "many"
    return (
        f'<div class="fv-grid {size}" role="listbox" aria-label="{noun.capitalize()}s" '
        f"style=\"--u:url('{url}');--n:{columns}00% {rows}00%;"
        f'--a:{tiles.shape[2]}/{tiles.shape[1]}">{"".join(made)}</div>'
    )


def patches(pictures: Sequence[PIL.Image.Image], chosen: int, side: int) -> str:
    """One picture for each channel as a grid of buttons, fitted into squares of `side` pixels."""
    fitted = [picture.resize((side, side), PIL.Image.Resampling.BICUBIC) for picture in pictures]
    tiles = torch.stack([torch.from_numpy(np.array(picture)) for picture in fitted])
    channels = list(range(len(tiles)))
    return _buttons(tiles, channels, chosen, "channel", lambda channel: "")


def _strength(result: Filters | FeatureMaps, channel: int) -> str:
    if isinstance(result, Filters):
        return f", norm {float(result.norms[channel]):.3g}"
    plane = result.values[0, channel]
    return f", from {float(plane.min()):.3g} to {float(plane.max()):.3g}"


def filters(
    layer: str, facts: Sequence[str], notes: Sequence[str], large: Tensor | None, title: str
) -> str:
    """What must be known to read the filters of a layer, and one of them large."""
    said = "".join(f'<p class="fv-note">{escape(sentence(note))}</p>' for note in notes)
    words = f'<div><b class="fv-title">{escape(layer)}</b>{line(facts)}{said}'
    picture = ""
    if large is not None:
        url = file_url(png(large), "filter.png")
        picture = f'<img class="fv-large" src="{url}" alt="{escape(title)}">'
        words += f"<p>{escape(title)}.</p>"
    return f'<div class="fv-filter">{picture}{words}</div></div>'
