"""Synthesis: pictures made by ascent, with their activation over the steps, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from torch import Tensor

from featvis import render
from featvis.types import Synthesis

from .serve import served
from .texts import sentence
from .views import png

__all__ = ["view"]

WIDTH, HEIGHT = 260, 64  # of the curve, in its own units


def view(title: str, result: Synthesis, seconds: float | None) -> str:
    """The pictures side by side, each with what it is for; `seconds` is None on the way."""
    pictures = render.pictures(result)
    figures = "".join(
        _figure(picture, words, float(result.activation[i]), curve)
        for i, (picture, words, curve) in enumerate(
            zip(pictures, _subjects(result), _curves(result), strict=True)
        )
    )
    time = "" if seconds is None else f", {seconds:.1f} s"
    lines = "".join(f"<p>{escape(sentence(note))}</p>" for note in result.notes)
    size = "one" if len(pictures) == 1 else "few" if len(pictures) <= 4 else "many"
    return (
        f'<div class="fv-title"><b>{escape(title)}</b><span>step {result.step}{time}</span></div>'
        f'<div class="fv-made {size}">{figures}</div><div class="fv-said">{lines}</div>'
    )


def _subjects(result: Synthesis) -> Sequence[str]:
    return result.subjects or ("",) * len(result.values)


def _curves(result: Synthesis) -> Sequence[Tensor | None]:
    return [None] * len(result.values) if result.curve is None else list(result.curve)


def _figure(picture: Tensor, words: str, activation: float, curve: Tensor | None) -> str:
    url = served(png(picture), "made.png")
    return (
        f'<figure><img src="{url}" alt="Picture made for {escape(words)}">'
        f"<figcaption><b>{escape(words)}</b> <span>activation {activation:.3g}</span>"
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
