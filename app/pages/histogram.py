"""Histograms: the distribution of a number over pictures, with marks, as a small drawing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

BARS, WIDTH, HEIGHT = 48, 480, 110


def histogram(
    counts: NDArray[np.int64], edges: NDArray[np.float64], marks: Mapping[str, float], words: str
) -> str:
    """Counts (n,) between edges (n + 1,), drawn in equal bars; `marks` are values with a name."""
    if not len(counts) or not counts.sum():
        return ""
    low = min(float(edges[0]), 0.0, *marks.values()) if marks else min(float(edges[0]), 0.0)
    high = max(float(edges[-1]), *marks.values()) if marks else float(edges[-1])
    ends = np.linspace(low, high if high > low else low + 1, BARS + 1)
    below = np.concatenate([[0], np.cumsum(counts)])
    bars = np.diff(np.interp(ends, edges, below))
    top = max(float(bars.max()), 1e-9)
    width = WIDTH / BARS
    drawn = "".join(
        f'<rect x="{i * width + 0.5:.1f}" y="{HEIGHT * (1 - (bar / top) ** 0.5):.1f}" '
        f'width="{width - 1:.1f}" height="{HEIGHT * (bar / top) ** 0.5:.1f}"/>'
        for i, bar in enumerate(bars.tolist())
        if bar > 0
    )
    span = float(ends[-1] - ends[0])
    lines = "".join(
        f'<line class="m{i}" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"/>'
        for i, value in enumerate(marks.values())
        for x in [WIDTH * (value - low) / span]
    )
    legend = "".join(
        f'<span class="m{i}">{escape(name)} {value:.3g}</span>'
        for i, (name, value) in enumerate(marks.items())
    )
    return (
        f'<div class="fv-histogram"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'preserveAspectRatio="none" aria-label="{escape(words)}">{drawn}{lines}</svg>'
        f"<div><span>{ends[0]:.3g}</span>{legend}<span>{ends[-1]:.3g}</span></div>"
        f"<p>{escape(words)}</p></div>"
    )
