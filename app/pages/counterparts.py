"""Counterparts: what answers in other networks to the same places, beside the channel itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

import PIL.Image

from featvis import WrongRequest, render
from featvis.types import Synthesis

from ..answers import indexed, kinship
from ..answers.ask import ask_of
from ..answers.run import run
from ..machine.errors import sentence
from ..question import trainings
from ..question.state import State
from ..words import texts
from .sections import section
from .tiles import Tile, strip

GREY = "#888"  # where there is no patch, or no picture yet
KIN = (
    f"channels that are active at the same places of the same {kinship.COUNT} pictures (Pearson's "
    "correlation), each by its strongest patch; click one to go there"
)
MADE = "below each patch is the picture made to excite the channel"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Neuron:
    """A channel of a layer of a network."""

    model: str
    layer: str
    channel: int


Pictures = Mapping[Neuron, PIL.Image.Image | str]  # or why there is none


def counterparts(state: State, own: Neuron, say: Say, made: Pictures) -> str:
    """A row for the channel itself, and one for each network that it is compared with."""
    words = f"{KIN}; {MADE}" if state.display("picture") else KIN
    shown = "".join(_row(state, own, other, say, made) for other in state.others)
    first = f"<p><b>{escape(own.model)}</b> {escape(own.layer)}</p>"
    tile = Tile(_pictures(state, own, made), "", f"this channel, {own.channel}", str(own.channel))
    rows = f"{first}{strip([tile], 'This channel', side=96)}{shown}" if shown else ""
    return section("Its counterparts in other networks", rows, words)


def _row(state: State, own: Neuron, other: str, say: Say, made: Pictures) -> str:
    """The channels of another network that go with it, or why they cannot be shown."""
    try:
        found = _found(state, own, other, say)
        tiles = [_tile(state, neuron, value, made) for neuron, value in found.items()]
    except WrongRequest as error:
        return f'<p class="fv-note">{escape(texts.sentence(error))}</p>'
    best = next((f", best in {escape(neuron.layer)}" for neuron in found), "")
    return f"<p><b>{escape(other)}</b>{best}</p>" + strip(tiles, f"Counterparts in {other}")


def _tile(state: State, neuron: Neuron, correlation: float, made: Pictures) -> Tile:
    where, failed = f"{neuron.layer}, channel {neuron.channel}", made.get(neuron)
    reason = f"; no picture: {failed}" if isinstance(failed, str) else ""
    return Tile(
        _pictures(state, neuron, made),
        f"there:{neuron.model}|{neuron.layer}|{neuron.channel}",
        f"{where}: correlation {correlation:.2f}; open it{reason}",
        f"{neuron.channel} · {correlation:.2f}",
    )


def _found(state: State, own: Neuron, other: str, say: Say) -> dict[Neuron, float]:
    """The counterparts in another network, best first, with their correlations."""
    trainings.check_here(other, state)
    found = kinship.counterparts_of(state, other, own.layer, own.channel, say)
    return {Neuron(other, one.layer, one.channel): one.correlation for one in found}


def _pictures(state: State, of: Neuron, made: Pictures) -> tuple[PIL.Image.Image, ...]:
    """The strongest patch of a channel, and the picture made for it where those are asked for."""
    there = state.but(model=of.model)
    index = indexed.index_of(there)
    patch = PIL.Image.new("RGB", (8, 8), GREY)
    if index is not None and of.layer in index.layers:
        patch = indexed.overview(there, index, of.layer, [of.channel])[0]
    if not state.display("picture"):
        return (patch,)
    found = made.get(of)
    return (patch, PIL.Image.new("RGB", (8, 8), GREY) if isinstance(found, str | None) else found)


def made_for(state: State, own: Neuron, say: Say) -> Iterator[Pictures]:
    """All pictures so far, after each: of the channel, then of its counterparts."""
    made: dict[Neuron, PIL.Image.Image | str] = {}
    neurons = [own]
    for other in state.others:
        try:
            neurons += _found(state, own, other, say)
        except WrongRequest:  # the page says it
            continue
    for neuron in neurons:
        say(f"Making the picture for channel {neuron.channel} of {neuron.layer}, {neuron.model}")
        try:
            result = run(ask_of("maximize", asked(state, neuron))).result
            assert isinstance(result, Synthesis)
            made[neuron] = render.to_pil(render.pictures(result)[0])
        except WrongRequest as error:  # the others are made all the same
            made[neuron] = sentence(error)
        yield made


def asked(state: State, neuron: Neuron) -> State:
    """The state that makes the picture which excites a channel the most."""
    return State(
        tab="Synthesis",
        model=neuron.model,
        image=state.image,
        layer=neuron.layer,
        channel=neuron.channel,
        params=state.params,
    )
