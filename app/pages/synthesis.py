"""Synthesis: pictures made by ascent, with their activation over the steps, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from torch import Tensor

from featvis import render
from featvis.types import Synthesis

from ..files.encode import png
from ..machine.disk import file_url
from ..words.texts import sentence

MANY = 16  # pictures that are shown at their size; more of them small
SMALL = 112  # side of a small one, in pixels, about
WIDTH, HEIGHT = 260, 64  # of the curve, in its own units


def view(title: str, result: Synthesis, seconds: float, places: Sequence[str] = ()) -> str:
    """The pictures side by side, each with what it is for.

    `places` are words on each one's activation. Many pictures are a sheet that can be enlarged.
    """
    pictures = render.pictures(result)
    if len(pictures) > MANY:
        figures = _sheet(pictures, result)
    else:
        figures = "".join(
            _figure(picture, words, float(result.activation[i]), curve, place)
            for i, (picture, words, curve, place) in enumerate(
                zip(
                    pictures,
                    _subjects(result),
                    _curves(result),
                    places or [""] * len(pictures),
                    strict=True,
                )
            )
        )
    lines = "".join(f"<p>{escape(sentence(note))}</p>" for note in result.notes)
    count = len(pictures)
    size = "one" if count == 1 else "few" if count <= 4 else "many" if count <= MANY else "all"
    return (
        f'<div class="fv-title"><b>{escape(title)}</b>'
        f"<span>step {result.step}, {seconds:.1f} s</span></div>"
        f'<div class="fv-made {size}">{figures}</div><div class="fv-said">{lines}</div>'
    )


def _subjects(result: Synthesis) -> Sequence[str]:
    return result.subjects or ("",) * len(result.values)


def _curves(result: Synthesis) -> Sequence[Tensor | None]:
    return [None] * len(result.values) if result.curve is None else list(result.curve)


def _sheet(pictures: Tensor, result: Synthesis) -> str:
    """Small pictures close together; the channel is said on each, and a click chooses it."""
    side = max(1, max(pictures.shape[1:3]) // SMALL)
    made = []
    for picture, words, value in zip(
        pictures[:, ::side, ::side], _subjects(result), result.activation.tolist(), strict=True
    ):
        url = file_url(png(picture), "made.png")
        short = words.rpartition("channel ")[2]
        made.append(
            f'<button data-pick="made:{escape(short)}" '
            f'title="{escape(words)}: activation {value:.3g}"><img src="{url}" '
            f'alt="Picture made for {escape(words)}"><span>{escape(short)}</span></button>'
        )
    return "".join(made)


def _figure(
    picture: Tensor, words: str, activation: float, curve: Tensor | None, place: str
) -> str:
    url = file_url(png(picture), "made.png")
    said = ", ".join(filter(None, (f"activation {activation:.3g}", place)))
    return (
        f'<figure><img src="{url}" alt="Picture made for {escape(words)}">'
        f"<figcaption><b>{escape(words)}</b> <span>{escape(said)}</span>"
        f"{_curve(curve)}</figcaption></figure>"
    )


def _curve(values: Tensor | None) -> str:
    """The activation over the steps, as a line."""
    if values is None or len(values) < 2:
        return ""
    known = values.detach().cpu().double().nan_to_num()
    every = max(1, len(known) // WIDTH)
    known = known[::every]
    low, high = min(float(known.min()), 0.0), max(float(known.max()), 1e-12)
    points = " ".join(
        f"{i * WIDTH / (len(known) - 1):.1f},{HEIGHT * (high - float(v)) / (high - low):.1f}"
        for i, v in enumerate(known)
    )
    return (
        f'<svg class="fv-curve" viewBox="0 -2 {WIDTH} {HEIGHT + 4}" preserveAspectRatio="none" '
        f'role="img" aria-label="Activation over {len(values)} steps, up to {high:.3g}">'
        f'<polyline points="{points}" vector-effect="non-scaling-stroke"/></svg>'
    )
