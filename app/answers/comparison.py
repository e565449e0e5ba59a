"""Comparison: the same question to several networks, one after another; the window and the command.

Rows are networks. Columns are methods, or layers at the same relative depth: all their channels, or
the picture made for the one that is strongest in the picture at hand.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

import zoo_adapters
from featvis import Image, Method, VisionModel, WrongRequest
from featvis.measures.agreement import Agreement, agreement
from featvis.network.cost import multiplications
from featvis.types import Attribution, Heatmap
from zoo_adapters import Facts

from ..machine.cache import RESULTS, model_of
from ..machine.errors import Cancelled, sentence
from ..question import trainings
from ..question.state import MOST, State
from . import trust
from .ask import ask_of
from .prediction import image_of, logits_of
from .readout import on_original
from .run import Answer, run
from .subject import strongest_channel, target_of

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class Cell:
    """What one network answers to one question, or why it does not."""

    title: str
    answer: Answer | None = None
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


class Mapped(NamedTuple):
    """A map of a network, and the picture that it lies on."""

    row: Row
    image: Image
    result: Heatmap | Attribution


class Agreed(NamedTuple):
    """Networks that were asked the same, and how much their maps are alike."""

    networks: list[str]
    agreement: Agreement


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
    trainings.check_here(one.model, state)
    model = model_of(one.model)
    facts, image = _facts(one.model, model), image_of(one)
    one = one.but(target=_target(state, model))
    prediction = model.output.predict(logits_of(one)).words
    return Row(one, model, facts, image, prediction)


def _facts(name: str, model: VisionModel) -> Facts:
    """What is known of a network; what no table tells is counted."""
    known = zoo_adapters.describe(name)
    if known.gmacs is None:
        count = RESULTS.get_or(("gmacs", name), lambda: multiplications(model))
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
            "seconds": cell.answer.seconds if cell.answer else None,
            "insertion": cell.faith.insertion if cell.faith else None,
            "deletion": cell.faith.deletion if cell.faith else None,
        }
        for cell in row.cells
    ]
    return made


def _target(state: State, model: VisionModel) -> str | None:
    """The first network's target as another one has it; None: each one's prediction."""
    first = model_of(state.model).output
    target = first.translate(target_of(state), model.output)
    return None if target is None else str(target)


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
        ask = ask_of(method.name, row.state)
        if ask.reason:
            return Cell(method.title, reason=ask.reason)
        answer = run(ask)
        faith = trust.faith(answer) if state.choices["trust"] else None
        return Cell(method.title, answer, faith=faith)
    except Exception as error:
        return Cell(method.title, reason=_reason(error))


def _deep(row: Row, model: VisionModel, depth: float, *, made: bool) -> Cell:
    """Of the layer nearest to a depth: all channels, or a picture `made` for the strongest one."""
    title = f"{100 * depth:.0f} %"
    try:
        layers = [x for x in model.layer_list if min(x.size) >= 2] or model.layer_list
        layer = min(layers, key=lambda x: abs(x.depth - depth))
        asked, title = row.state.but(tab="Feature maps", layer=layer.name), f"{title}: {layer.name}"
        if not made:
            return Cell(title, run(ask_of("feature_maps", asked)))
        number = strongest_channel(asked)
        asked, title = asked.but(tab="Synthesis", channel=number), f"{title}, channel {number}"
        return Cell(title, run(ask_of("maximize", asked)), alone=asked)
    except Exception as error:
        return Cell(title, reason=_reason(error))


def _reason(error: Exception) -> str:
    """Why one answer is missing, in a sentence; a cancelled comparison ends."""
    if isinstance(error, Cancelled):
        raise error
    return sentence(error)


def agreements(rows: Sequence[Row]) -> dict[str, Agreed]:
    """Title of a column -> how much the maps in it that answer the same question are alike.

    Where each network explains its own prediction, the maps of each class have an entry of their
    own, and a map whose class no other network predicts has none.
    """
    found = {}
    for title, questions in _questions(rows).items():
        several = [maps for maps in questions.values() if len(maps) > 1]
        for maps in several:
            entry = title if len(several) == 1 else f"{title}: {maps[0].result.target}"
            found[entry] = Agreed(
                networks=[one.row.state.model for one in maps],
                agreement=agreement(
                    [torch.tensor(on_original(one.result, one.image)) for one in maps]
                ),
            )
    return found


def alone(rows: Sequence[Row]) -> list[str]:
    """The networks of which a map explains what no other network explains."""
    found: dict[str, None] = {}
    for questions in _questions(rows).values():
        singles = [maps[0] for maps in questions.values() if len(maps) == 1]
        if len(questions) > 1:
            found |= {one.row.state.model: None for one in singles}
    return list(found)


def _questions(rows: Sequence[Row]) -> dict[str, dict[Hashable, list[Mapped]]]:
    """Title of a column -> question -> the maps that answer it."""
    columns: dict[str, dict[Hashable, list[Mapped]]] = {}
    for row in rows:
        for cell in row.cells:
            if row.image and cell.answer and isinstance(cell.answer.result, Heatmap | Attribution):
                question = _question(row, cell.answer, rows[0])
                maps = columns.setdefault(cell.title, {}).setdefault(question, [])
                maps.append(Mapped(row, row.image, cell.answer.result))
    return columns


def _question(row: Row, answer: Answer, first: Row) -> Hashable:
    """What a map explains: equal for two networks that were asked the same."""
    if "target" not in answer.method.subject or row.state.target is not None:
        return None
    assert row.model is not None
    output = row.model.output
    target = output.goal(logits_of(row.state), None)
    if isinstance(target, int) and first.model is not None:
        with suppress(WrongRequest):  # the first network has no such class
            return output.translate(target, first.model.output)
    return answer.result.target  # type: ignore[no-any-return]
