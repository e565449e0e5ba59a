"""Comparison: the same question to several networks, one after another; the window and the command.

Rows are networks. Columns are methods, or layers at the same relative depth: all their channels, or
the picture made for the one that is strongest in the picture at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

import zoo_adapters
from featvis import Image, Method, VisionModel, WrongRequest, render
from featvis.measures.agreement import Agreement, agreement
from featvis.network.cost import multiplications
from featvis.types import Attribution, Heatmap
from zoo_adapters import Facts

from ..machine.errors import Cancelled, sentence
from ..question import trainings
from ..question.labels import class_like
from ..question.state import MOST, State
from . import session, trust
from .readout import on_original
from .session import Made

__all__ = ["DEPTHS", "Cell", "Row", "agreements", "compared", "limits", "told"]

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class Cell:
    """What one network answers to one question, or why it does not."""

    title: str
    made: Made | None = None
    reason: str = ""
    faith: trust.Faith | None = None
    alone: State | None = None  # that asks for it alone, where that is another question


@dataclass(frozen=True, eq=False)
class Row:
    """One network and its answers; those that are not there yet are missing."""

    state: State  # that asks this network alone
    model: VisionModel | None = None
    facts: Facts | None = None
    image: Image | None = None
    prediction: str = ""
    reason: str = ""  # why there is nothing of it
    cells: tuple[Cell, ...] = field(default=())


def networks(state: State) -> tuple[str, ...]:
    """The names of the networks, each once."""
    found = tuple(dict.fromkeys((state.model, *state.others)))
    if len(found) > MOST:
        raise WrongRequest(f"{len(found)} networks are too many to compare: choose at most {MOST}")
    return found


def compared(state: State) -> Iterator[list[Row]]:
    """All rows so far, after each answer; what fails says why, and the rest goes on."""
    rows: list[Row] = []
    methods = state.shown_methods
    for name in networks(state):
        one = state.but(tab="Class evidence", model=name, layer=None, channel=None, position=None)
        one = one.having(explain="class")
        rows.append(Row(one))
        try:
            row = _begun(one, state)
        except Exception as error:
            rows[-1] = Row(one, reason=_reason(error))
            yield rows
            continue
        for cell in _cells(row, state, methods):
            row = Row(row.state, row.model, row.facts, row.image, row.prediction,
                      cells=(*row.cells, cell))  # fmt: skip
            rows[-1] = row
            yield rows


def _begun(one: State, state: State) -> Row:
    """A row with its network loaded; the class is the same by its label, or each one's own."""
    if not state.display("download") and (words := trainings.cost(one.model)):
        raise WrongRequest(f"{words}; choose Download to fetch it")
    model = session.model_of(one.model)
    facts, image = _facts(one.model, model), session.image_of(one)
    one = one.but(target=_target(state, model))
    logits = session.logits_of(one)
    said = "an embedding" if model.embeds or logits.ndim != 1 else _top(model, logits)
    return Row(one, model, facts, image, said)


def _facts(name: str, model: VisionModel) -> Facts:
    """What is known of a network; what no table tells is counted."""
    known = zoo_adapters.describe(name)
    if known.gmacs is None:
        count = session.RESULTS.get_or(("gmacs", name), lambda: multiplications(model))
        known = replace(known, gmacs=count / 1e9)
    return replace(
        known,
        licence=known.licence or str(model.info.get("licence") or ""),
        training=known.training or str(model.info.get("training") or ""),
    )


def told(row: Row) -> dict[str, Any]:
    """A row in plain values: what is known of the network, what it says, what each answer is."""
    made: dict[str, Any] = {"model": row.state.model, "prediction": row.prediction,
                            "reason": row.reason}  # fmt: skip
    if row.model is None or row.facts is None:
        return made
    made |= {
        "parameters": row.model.parameters,
        "gmacs": row.facts.gmacs,
        "size": list(row.model.size),
        "licence": row.facts.licence,
        "training": row.facts.training,
    }
    made["cells"] = [
        {
            "method": cell.title,
            "reason": cell.reason,
            "seconds": cell.made.seconds if cell.made else None,
            "insertion": cell.faith.insertion if cell.faith else None,
            "deletion": cell.faith.deletion if cell.faith else None,
        }
        for cell in row.cells
    ]
    return made


def _top(model: VisionModel, logits: torch.Tensor) -> str:
    shares = logits.float().softmax(0)
    best = int(shares.argmax())
    label = model.labels[best] if model.labels else f"class {best}"
    return f"{label} {100 * float(shares[best]):.1f} %"


def _target(state: State, model: VisionModel) -> str | None:
    """The class of the first network, found in another's labels; None: each one's prediction."""
    asked = session.model_of(state.model)
    if state.target is None or asked.embeds or model.embeds:
        return None
    if model.name == asked.name or not state.target.partition("-")[0].isdecimal():
        return state.target
    pair = [int(part) for part in state.target.split("-")]
    return "-".join(str(class_like(asked, number, model)) for number in pair)


def _cells(row: Row, state: State, methods: Sequence[Method]) -> Iterator[Cell]:
    if (columns := state.display("columns")) != "methods":
        assert row.model is not None
        for depth in DEPTHS:
            yield _deep(row, row.model, depth, made=columns == "synthesis")
        return
    for method in methods:
        yield _answer(row, state, method)


def _answer(row: Row, state: State, method: Method) -> Cell:
    try:
        if reason := session.missing(method, row.state):
            return Cell(method.title, reason=reason)
        made = session.run(method.name, row.state)
        faith = trust.faith(made, row.state) if state.display("trust") else None
        return Cell(method.title, made, faith=faith)
    except Exception as error:
        return Cell(method.title, reason=_reason(error))


def _deep(row: Row, model: VisionModel, depth: float, *, made: bool) -> Cell:
    """Of the layer nearest to a depth: all channels, or a picture `made` for the strongest one."""
    title = f"{100 * depth:.0f} %"
    layers = [x for x in model.layers.values() if min(x.size) >= 2] or list(model.layers.values())
    if not layers:
        return Cell(title, reason=f"{model.name} has no layer whose output is a map")
    layer = min(layers, key=lambda x: abs(x.depth - depth))
    asked, title = row.state.but(tab="Feature maps", layer=layer.name), f"{title}: {layer.name}"
    try:
        if not made:
            return Cell(title, session.run("feature_maps", asked))
        number = session.strongest(asked)
        asked, title = asked.but(tab="Synthesis", channel=number), f"{title}, channel {number}"
        return Cell(title, session.run("maximize", asked), alone=asked)
    except Exception as error:
        return Cell(title, reason=_reason(error))


def _reason(error: Exception) -> str:
    """Why one answer is missing, in a sentence; a cancelled comparison ends."""
    if isinstance(error, Cancelled):
        raise error
    return sentence(error)


def limits(rows: Sequence[Row]) -> dict[str, float]:
    """Title of a column -> the strongest value in it, over all networks."""
    found: dict[str, float] = {}
    for row in rows:
        for cell in row.cells:
            if cell.made and isinstance(cell.made.result, Heatmap | Attribution):
                top = render.limit(cell.made.result)
                found[cell.title] = max(found.get(cell.title, 0.0), top)
    return found


def agreements(rows: Sequence[Row]) -> dict[str, tuple[list[str], Agreement]]:
    """Title of a column -> the networks that answered, and how much their maps are alike."""
    columns: dict[str, list[tuple[str, torch.Tensor]]] = {}
    for row in rows:
        for cell in row.cells:
            if row.image and cell.made and isinstance(cell.made.result, Heatmap | Attribution):
                grid = torch.tensor(on_original(cell.made.result, row.image))
                columns.setdefault(cell.title, []).append((row.state.model, grid))
    return {
        title: ([name for name, _ in found], agreement([grid for _, grid in found]))
        for title, found in columns.items()
        if len(found) > 1
    }
