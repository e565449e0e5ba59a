"""Text: a request as people write it, in the API, commands, recipes and the window.

Each part is read, and refused, in one place; `machine/values.py` reads the types below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import PIL.Image
from torch import Tensor

import zoo_adapters
from featvis import METHODS, Method, VisionModel, WrongRequest
from featvis.model import brief
from featvis.target import Target

from ..machine import values
from ..machine.cache import model_of
from ..machine.limits import check_model
from . import pictures
from .state import MOST as NETWORKS
from .state import State
from .tabs import TABS

Opening = Callable[[str], PIL.Image.Image]
MOST = 6  # methods side by side
SEVERAL = ("maximize",)  # methods that take several channels


def method_named(name: object) -> Method:
    """The method of that name."""
    if isinstance(name, str) and name in METHODS:
        return METHODS[name]
    raise WrongRequest(f"there is no method {brief(name)}; the methods are {', '.join(METHODS)}")


def methods_named(tab: str, names: object) -> tuple[str, ...]:
    """Methods that a tab shows, in the order in which they are declared."""
    lines = (name.strip() for name in values.names("methods", names, len(METHODS)))
    chosen = [method_named(name).name for name in lines if name]
    possible = [method.name for method in TABS[tab].methods]
    for name in chosen:
        if name not in possible:
            raise WrongRequest(
                f"{name} is of another kind; {tab} takes the methods {', '.join(possible)}"
            )
    if len(chosen) > MOST:
        raise WrongRequest(f"choose at most {MOST} methods; take one away before you add another")
    return tuple(name for name in possible if name in chosen)


def networks_named(model: str, names: object) -> tuple[str, ...]:
    """Networks that `model` is compared with; each name is one of a zoo."""
    lines = (name.strip() for name in values.names("networks", names, 10 * NETWORKS))
    others = tuple(name for name in dict.fromkeys(lines) if name and name != model)
    if len(others) >= NETWORKS:
        raise WrongRequest(f"choose at most {NETWORKS - 1} networks beside {model}")
    for name in others:
        check_model(name)
        zoo_adapters.describe(name)  # an unknown one is refused before it is loaded
    return others


def target_named(model: VisionModel, text: str, picture: Opening = pictures.get) -> Target:
    """The target of a text: a class, "3-5" (3 rather than 5), or a picture to be like.

    `picture` opens the picture of a name: the command line alone opens files, too.
    """

    def output_of(name: str) -> Tensor:
        image = zoo_adapters.read_image(picture(name), model)
        return model(image.values.to(model.like))[0]

    return model.output.parse(text, output_of)


def target_text(model: VisionModel, text: object) -> str | None:
    """A target as links and recipes write it; None of an empty text."""
    line = values.text("target", text)
    return str(target_named(model, line)) if line else None


def layer_named(model: VisionModel, name: object) -> str | None:
    """The layer of that name; None of an empty text."""
    line = values.text("layer", name)
    return model.layer(line).name if line else None


def channels_named(
    method: Method, model: VisionModel, layer: str | None, text: str
) -> int | list[int]:
    """A channel, as 3; several, as 3,17, or all of a layer, where a method takes them."""
    if text == "all" and method.name in SEVERAL:
        return list(range(model.layer(layer or model.last_layer).channels))
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise WrongRequest(f"a channel is a whole number as in 3, not {brief(text)}")
    numbers = [values.digits("channel", part) for part in parts]
    return one_or_several(method, numbers[0] if len(numbers) == 1 else numbers)


def one_or_several(method: Method, channels: int | list[int]) -> int | list[int]:
    """The channels, if the method takes so many."""
    if isinstance(channels, list) and method.name not in SEVERAL:
        some = ",".join(map(str, channels))
        raise WrongRequest(f"{method.name} takes one channel, not {brief(some)}")
    return channels


def comparison(models: Sequence[str], image: str, methods: Sequence[str], target: object) -> State:
    """The state that asks several networks the same; a class is one of the first network."""
    if len(models) < 2:
        raise WrongRequest(f"compare takes two to {NETWORKS} networks, not {len(models)}")
    state = State(
        tab="Compare",
        model=values.name("model", models[0]),
        image=image,
        others=networks_named(models[0], models[1:]),
        methods=methods_named("Compare", methods),
    )
    label = values.text("target", target)
    return state.but(target=target_text(model_of(state.model), label)) if label else state
