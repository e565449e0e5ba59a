"""Titles: what a state shows, in a few words: "CAM · scenes-resnet · strawberry"."""

from __future__ import annotations

from functools import lru_cache

from featvis import METHODS, WrongRequest
from zoo_adapters.bundled.scenes import scene

from ..machine.cache import MODELS
from .state import State
from .tabs import TABS


def title(state: State) -> str:
    """The question, the networks and the picture; nothing is loaded for it."""
    one = METHODS[state.methods[0]].title if len(state.methods) == 1 else state.tab
    compared = state.others if TABS[state.tab].compares_networks else ()
    names = [name.rpartition("/")[2].rpartition(":")[2] for name in (state.model, *compared)]
    return " · ".join(filter(None, (one, ", ".join(names), _of(state))))


def _of(state: State) -> str:
    """The channel, the class or the picture."""
    if state.channel is not None:
        return (
            f"{state.layer} channel {state.channel}" if state.layer else f"channel {state.channel}"
        )
    if TABS[state.tab].shows_weights:
        return state.layer or ""
    return _class(state) or _picture(state.image)


def _class(state: State) -> str:
    """The chosen class, where its network is loaded and has it; "3 rather than 5" of two."""
    model = MODELS.get(state.model)
    if model is None or state.target is None:
        return ""
    try:
        return model.output.words(model.output.parse(state.target))
    except WrongRequest:
        return ""


@lru_cache(maxsize=256)
def _picture(name: str) -> str:
    """What a drawn scene shows; an upload is somebody's own."""
    return scene(int(name[6:]), size=24).name if name.startswith("scene-") else ""
