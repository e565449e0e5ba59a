"""The Compare page: one picture and one question to several networks, on one scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
import torch

from featvis import render
from featvis.render import color
from featvis.types import Attribution, FeatureMaps, Heatmap, Place, Synthesis
from zoo_adapters import Facts

from ..answers import trust
from ..answers.comparison import DEPTHS, Cell, Row, agreements, alone, compared
from ..files import encode
from ..machine.disk import file_url
from ..question import pictures, trainings
from ..question.state import State, to_query
from ..words import texts
from . import evidence, likeness, views
from .panels import Panel, panels
from .shown import Shown

# choices of the page -> what they add for each of the other networks
KIN = {"layers": likeness.layers, "neighbours": likeness.neighbourhoods}


def page(
    state: State,
    say: Callable[[str], None],
    show: Callable[[Shown], None],
    relax: Callable[[], None],
) -> Shown:
    """A row for each network, shown as it comes; then how much they agree."""
    rows: list[Row] = []
    drawn: list[str] = []  # of the rows before the last one: they do not change any more
    for rows in compared(state):
        say(f"Asking {rows[-1].state.model}")
        drawn = [*drawn[: len(rows) - 1], _row(state, rows[-1], first=len(rows) == 1)]
        show(Shown(_page(state, drawn)))
    drawn.append(_agreement(state, rows))
    asked = [section for name, section in KIN.items() if state.display(name)]
    for row in (row for row in rows[1:] if row.model is not None):
        for section in asked:
            show(Shown(_page(state, drawn)))
            drawn.append(section(state, row.state.model, say))
    return Shown(_page(state, drawn))


def _page(state: State, parts: Sequence[str]) -> str:
    hint = ""
    if not state.others:
        hint = '<p class="fv-note">Add networks above: each gets a row.</p>'
    return f'<div class="fv-page">{_trainings(state)}{"".join(parts)}{hint}</div>'


def _trainings(state: State) -> str:
    """The way to the same architecture with other weights, where there are any."""
    words = trainings.words(state.model)
    if not words or set(trainings.lined_up(state.model)) <= set(state.others):
        return ""
    return (
        '<p class="fv-note"><button class="fv-line" data-pick="trainings:">Same architecture, '
        f"other training</button> {escape(texts.sentence(words))}</p>"
    )


def _row(state: State, row: Row, *, first: bool) -> str:
    name = escape(row.state.model)
    if row.model is None or row.image is None:
        words = escape(texts.sentence(row.reason or "loading"))
        return f'<section class="fv-off"><h3>{name}</h3><p>{words}</p></section>'
    facts = f"<h3>{name} <em>{escape(row.prediction)}</em></h3>{views.line(_facts(row.facts, row))}"
    shown = [_panel(cell, row, state) for cell in row.cells]
    over = panels(
        row.image,
        state.image,
        shown,
        None,
        of=row.state.model,
        shared=state.display("maps") == "shared",
        slider=first and state.display("columns") != "synthesis",
    )
    columns = len(state.shown_methods if state.has_methods else DEPTHS)
    return f'<section class="fv-compared" style="--n:{columns}">{facts}{over}</section>'


def _facts(facts: Facts | None, row: Row) -> list[str]:
    """What is known of a network, for a line."""
    assert row.model is not None
    h, w = row.model.size
    head = f"CAM: {row.model.head.kind}" if row.model.head else "no CAM"
    if facts is None:
        return [texts.count(row.model.parameters), f"{h}x{w} px", head]
    cost = f"{facts.gmacs:.3g} GMAC" if facts.gmacs else ""
    licence = facts.licence or "licence unknown"
    kind = trainings.kind(facts.name) if facts.training else ""
    taught = ", ".join(filter(None, (facts.training, kind if kind != "supervised" else "")))
    return [texts.count(row.model.parameters), cost, f"{h}x{w} px", taught, licence, head]


def _panel(cell: Cell, row: Row, state: State) -> Panel:
    if cell.answer is None:
        return Panel(cell.title, reason=cell.reason)
    result = cell.answer.result
    depth, _, where = cell.title.partition(": ")
    if isinstance(result, FeatureMaps):
        h, w = result.values.shape[2:]
        lines = [f"<b>{escape(where)}</b>", f"{result.values.shape[1]} channels, {h}x{w}"]
        if result.components is None:
            return Panel(cell.title, reason="these maps have no components")
        colors = render.components(result)[0]
        return Panel(depth, None, lines, cell.answer.seconds, colors=colors, place=result.place)
    if isinstance(result, Synthesis):
        return _made(cell, row, state, result)
    assert isinstance(result, Heatmap | Attribution)
    lines = [f"<b>{escape(result.target)}</b>{evidence.score(result, cell.answer.ask)}"]
    if cell.faith is not None:
        lines.append(trust.faith_words(cell.faith))
    return Panel(cell.title, result, lines, cell.answer.seconds)


def _made(cell: Cell, row: Row, state: State, result: Synthesis) -> Panel:
    """The picture made for a channel, and the way to that channel."""
    assert cell.answer is not None
    assert cell.alone is not None
    others = tuple(name for name in (state.model, *state.others) if name != row.state.model)
    there = to_query(cell.alone.but(tab="Channel", others=others))
    depth, _, where = cell.title.partition(": ")
    lines = [
        f"<b>{escape(where)}</b>",
        f"activation {float(result.activation[0]):.3g}",
        f'<a href="?{escape(there)}">Open the channel</a>',
    ]
    return Panel(depth, None, lines, cell.answer.seconds, alone=render.pictures(result)[0])


def _agreement(state: State, rows: Sequence[Row]) -> str:
    """For each method: a table of the networks' agreement, and where they do not agree."""
    made = ""
    for title, (names, found) in agreements(rows).items():
        short = [escape(name.rpartition(":")[2]) for name in names]
        head = "".join(f"<th>{i + 1}</th>" for i in range(len(short)))
        body = "".join(
            f"<tr><th>{i + 1} {name}</th>"
            + "".join(_cell(found.correlation, found.overlap, i, j) for j in range(len(short)))
            + "</tr>"
            for i, name in enumerate(short)
        )
        url = file_url(encode.png(_disagreement(state, found.disagreement)), "disagree.png")
        made += (
            f"<div><b>{escape(title)}</b><table><tr><td></td>{head}</tr>{body}</table></div><figure>"
            f'<img src="{url}" alt="Where the maps of {escape(title)} disagree"><figcaption>Where '
            "they disagree: bright places rank differently</figcaption></figure>"
        )
    if not made:
        return _apart(rows)
    words = (
        "rank correlation of the maps over all places of the picture, and below it the overlap "
        "(IoU) of the strongest fifth of each; between random maps both are about 0 and 0.11"
    )
    return (
        f"<section><h3>How much they agree</h3><p>{escape(texts.sentence(words))}</p>"
        f'<div class="fv-agree">{made}</div>{_apart(rows)}</section>'
    )


def _apart(rows: Sequence[Row]) -> str:
    """A sentence on the networks whose maps cannot be compared."""
    names = alone(rows)
    if not names:
        return ""
    words = (
        "maps of different classes are not compared: no other network predicts the class of "
        f"{', '.join(names)}; choose a class to compare all maps"
    )
    return f'<p class="fv-note">{escape(texts.sentence(words))}</p>'


def _cell(correlation: torch.Tensor, overlap: torch.Tensor, i: int, j: int) -> str:
    value, shared = float(correlation[i, j]), float(overlap[i, j])
    strength = f"{100 * max(value, 0):.0f}%"
    return (
        f'<td style="--s:{strength}" title="rank correlation {value:.3f}, IoU {shared:.3f}">'
        f"{value:.2f}<small>{shared:.2f}</small></td>"
    )


def _disagreement(state: State, spread: torch.Tensor) -> torch.Tensor:
    """Over the picture, bright where the maps' ranks differ the most."""
    picture = torch.from_numpy(np.array(pictures.get(state.image)))
    h, w = picture.shape[:2]
    n = spread.shape[0]
    y, x = ((torch.arange(side) + 0.5) / side * n for side in (h, w))
    at = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)
    fine = render.sample(spread[None], Place((0.5, 0.5), (1.0, 1.0)), at)[0]
    colors = color.heat(fine / 0.5)  # ranks of two maps differ by 0.5 at most
    layer = torch.cat([colors, torch.full((h, w, 1), 200, dtype=torch.uint8)], -1)
    return render.compose(picture, layer, 1.0)
