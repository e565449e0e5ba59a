"""Starts: links that are worth a look, over what comes with featvis; declared here alone.

The window, docs/links.md and the tests are made from them; `python -m docs.starts` their pictures.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

from ..machine.disk import file_url
from ..question.state import State, to_query

FILE = Path(__file__).parent.parent / "assets" / "starts.webp"
COLUMNS = 6  # pictures in a row of the file
RESNET, ALEXNET, VIT, CONVNEXT = (
    f"bundled:scenes-{name}" for name in ("resnet", "alexnet", "vit", "convnext")
)


class Start(NamedTuple):
    """A view, and why it is worth a look."""

    title: str
    why: str
    state: State


STARTS = (
    Start(
        "Evidence that adds up",
        "The map's mean plus a bias is the logit, to the last digit: the strawberry, place by "
        "place.",
        State(model=RESNET, methods=("cam",)),
    ),
    Start(
        "Lighthouse, not castle",
        "What speaks for one class rather than for another, and what against it.",
        State(model=RESNET, image="scene-2", methods=("cam", "grad_cam", "saliency"), target="8-9"),
    ),
    Start(
        "Where a transformer looks",
        "Attention, followed through all blocks to the class token, beside two gradients.",
        State(model=VIT, image="scene-60",
              methods=("attention_rollout", "grad_cam", "saliency")),
    ),
    Start(
        "What one neuron sees",
        "A single place of a single channel, and exactly the strokes that excite it.",
        State(model=RESNET, image="scene-3", methods=("guided_backprop", "saliency", "deconvnet"),
              layer="layer3", channel=5, position=(4, 4)).having(explain="neuron"),
    ),
    Start(
        "The first filters",
        "96 small pictures of 11x11: edges, colours and gratings, the classic of 2012.",
        State(tab="Filters", model=ALEXNET),
    ),
    Start(
        "Every channel of a layer",
        "64 views of one teapot; click a tile to see what its neuron looks at.",
        State(tab="Feature maps", model=RESNET, image="scene-41", layer="layer2"),
    ),
    Start(
        "A channel for wheels",
        "It was taught cars, bicycles and trains, never wheels: see what excites it, how often.",
        State(tab="Channel", model=RESNET, image="scene-2", layer="layer4", channel=138),
    ),
    Start(
        "A sunflower made of noise",
        "Noise, changed step by step until the network takes it for a sunflower.",
        State(tab="Synthesis", model=RESNET, target="17").having(steps=96),
    ),
    Start(
        "A house that dreams",
        "What a layer sees in the house, strengthened until we see it too.",
        State(tab="DeepDream", model=RESNET, image="scene-8", layer="layer3").having(
            steps=6, octaves=3),
    ),
    Start(
        "What is alike to a cat",
        "The nearest of 5,000 pictures, by what a transformer makes of them, not by their pixels.",
        State(tab="Neighbours", model=VIT, image="scene-54"),
    ),
    Start(
        "Four networks, one question",
        "Trained on the same scenes: where they agree, and where not.",
        State(tab="Compare", model=RESNET, others=(ALEXNET, CONVNEXT, VIT), image="scene-16",
              methods=("grad_cam", "saliency")),
    ),
    Start(
        "From edges to objects",
        "All channels as colours, at the same depth of two networks: equal colours look alike.",
        State(tab="Compare", model=RESNET, others=(CONVNEXT,), image="scene-30").having(
            columns="depth"),
    ),
)  # fmt: skip


def view() -> str:
    """All of them as small cards, each a plain link."""
    url = file_url(FILE.read_bytes(), "starts.webp")
    rows = -(-len(STARTS) // COLUMNS)
    cards = "".join(_card(i, start, rows) for i, start in enumerate(STARTS))
    size = f"--u:url('{url}');--n:{COLUMNS}00% {rows}00%"
    return f'<nav class="fv-starts" aria-label="Good starts" style="{size}">{cards}</nav>'


def _card(i: int, start: Start, rows: int) -> str:
    x, y = 100 * (i % COLUMNS) / (COLUMNS - 1), 100 * (i // COLUMNS) / max(rows - 1, 1)
    return (
        f'<a href="?{escape(to_query(start.state))}"><i style="background-position:{x:.2f}% '
        f'{y:.2f}%"></i><b>{escape(start.title)}</b><span>{escape(start.why)}</span></a>'
    )


def page() -> str:
    """docs/links.md."""
    rows = "\n".join(
        f"| {i + 1} | [{start.title}](http://127.0.0.1:7860/?{to_query(start.state)}) | "
        f"{start.state.tab} | {start.why} |"
        for i, start in enumerate(STARTS)
    )
    return (
        "# Good links to start from\n\n"
        "Every view of the window is a link. These are over the networks and the drawn scenes that "
        "come with featvis; they open while `make run` serves the window, and stand there under "
        '"Start from one of these".\n\n'
        "![What the links show, in their order](../app/assets/starts.webp)\n\n"
        f"| | link | tab | why |\n| --- | --- | --- | --- |\n{rows}\n\n"
        "Written by `make docs` from [`app/pages/starts.py`](../app/pages/starts.py), the one "
        "place to add another; `python -m docs.starts` makes the pictures.\n"
    )
