"""The API: what people script, as plain functions with typed parameters; gr.api makes endpoints.

Values of pictures, classes and layers are those of links and of the command line. An error is the
sentence that the window would say.
"""

from __future__ import annotations

import json
from itertools import islice
from types import MappingProxyType
from typing import Any

import zoo_adapters
from featvis import METHODS, WrongRequest

from ..answers import indexed, kinship_numbers
from ..answers.ask import ask_of
from ..answers.comparison import agreements, compared, told
from ..answers.nearest import nearest
from ..answers.run import run as run_ask
from ..files import save
from ..files.compare_sheet import sheet_of
from ..files.page_recipe import of_page
from ..machine import disk, values
from ..machine.cache import model_of
from ..question import pictures, text
from ..question.incoming import picture_name
from ..question.recipe import stamped
from ..question.state import MOST as NETWORKS
from ..question.state import SEEDS, State, to_query
from ..question.tabs import DISPLAY, TABS

MOST = 500  # names in an answer


def models(zoo: str = "", search: str = "") -> list[str]:
    """Names of models, as the other functions take them; at most 500.

    Args:
        zoo: one zoo, as "timm"; empty for all of them.
        search: words that must be in the name.
    """
    zoo, words = values.text("zoo", zoo), values.words(search)
    zoos = [zoo] if zoo else [known.name for known in zoo_adapters.zoos()]
    listed = (name for one in zoos for name in zoo_adapters.names(one))
    return list(islice((n for n in listed if all(w in n.lower() for w in words)), MOST))


def methods() -> list[dict[str, Any]]:
    """All methods: what each shows, what it needs to be told, and the parameters that it takes."""
    return [
        {
            "name": method.name,
            "title": method.title,
            "family": method.family,
            "help": method.help,
            "needs": [name for name in method.subject if name not in method.optional],
            "takes": list(method.optional),
            "parameters": {
                param.name: {
                    "default": param.default,
                    "help": param.help,
                    "possible": list(param.choices or param.range or ()),
                }
                for param in method.params
            },
        }
        for method in METHODS.values()
    ]


def layers(model: str) -> list[dict[str, Any]]:
    """The layers of a model: name, channels, size of the map, stride, kind and relative depth.

    Args:
        model: its name, as "bundled:scenes-resnet".
    """
    return [
        {
            "name": layer.name,
            "channels": layer.channels,
            "size": list(layer.size),
            "stride": list(layer.stride),
            "kind": layer.kind,
            "depth": round(layer.depth, 3),
        }
        for layer in model_of(values.name("model", model)).layers.values()
    ]


def run(
    method: str,
    model: str = "bundled:scenes-resnet",
    image: str = "scene-24",
    target: str = "",
    layer: str = "",
    channel: int = -1,
    position: str = "",
    parameters: str = "{}",
) -> dict[str, Any]:
    """Run a method: a picture, arrays, the recipe, the link, and what is known of the result.

    `png` and `npz` are addresses on this server; what the link shows, `picture` gives as a file.

    Args:
        method: its name, as `methods` lists them: "cam", "saliency", "maximize".
        model: the network's name.
        image: "scene-17" for a drawn scene, or what `upload` gave.
        target: class number or label, "3-5" for 3 rather than 5; empty for the prediction.
        layer: name of a layer; empty for the method's own choice.
        channel: number of a channel of the layer; -1 for none.
        position: "row,column" in the layer's map; empty for none.
        parameters: the method's parameters as JSON, as {"samples": 25}.
    """
    state = _state(method, model, image, target, layer, channel, position, parameters)
    result = run_ask(ask_of(method, state)).result
    made = {"method": method, "model": model, "link": f"?{to_query(state)}"}
    for name in ("target", "step"):
        if (value := getattr(result, name, None)) is not None:
            made[name] = value
    for name in ("score", "residual", "gap", "activation"):
        if (value := getattr(result, name, None)) is not None:
            made[name] = [float(v) for v in value.flatten()]
    recipe = json.loads(save.recipe(state).to_json())
    return {**made, "notes": list(result.notes), "shape": list(result.values.shape),
            "png": save.picture(state), "npz": save.arrays(state), "recipe": recipe}  # fmt: skip


def compare(
    models: list[str],
    image: str = "scene-24",
    methods: str = "cam,grad_cam",
    target: str = "",
    trust: bool = False,
    layers: bool = False,
    neighbours: bool = False,
) -> dict[str, Any]:
    """The same question to several networks: predictions, agreement of the maps, and a sheet.

    Args:
        models: two to six names.
        image: "scene-17" for a drawn scene, or what `upload` gave.
        methods: names of class evidence methods, with commas between.
        target: class number or label of the first network; empty for each one's prediction.
        trust: measure the insertion and deletion of each map, too.
        layers: how alike all layers of the first network and of each other one are (CKA).
        neighbours: how many nearest neighbours they have in common, over their indexes.
    """
    models = [name.strip() for name in values.names("models", models, NETWORKS)]
    columns = values.text("methods", methods).split(",")
    wanted = {"trust": trust, "layers": layers, "neighbours": neighbours}
    wanted = {name: values.flag(name, on) for name, on in wanted.items()} | {"download": True}
    state = text.comparison(models, _image(image), columns, target)
    state = state.having(**{name: True for name, on in wanted.items() if on})
    *_, rows = compared(state)
    kin = kinship_numbers.told(
        state, [row.state.model for row in rows[1:] if row.model is not None]
    )
    agreed = {
        title: {"models": names, "correlation": found.correlation.tolist(),
                "overlap": found.overlap.tolist()}
        for title, (names, found) in agreements(rows).items()
    }  # fmt: skip
    sheet = stamped(sheet_of(state, rows), of_page(state))
    found = {"rows": [told(row) for row in rows], "agreement": agreed, **kin}
    return {**found, "link": f"?{to_query(state)}", "png": (sheet, "featvis-compare.png")}


def channel(model: str, layer: str, channel: int, count: int = 9) -> dict[str, Any]:
    """What the index of a model tells of a channel: strongest pictures, statistics, classes, parts.

    Args:
        model: the network's name.
        layer: name of a layer.
        channel: its number.
        count: how many pictures and similar channels.
    """
    channel, count = values.whole("channel", channel, 0), values.whole("count", count, 1)
    model, layer = values.name("model", model), values.name("layer", layer)
    state = State(tab="Channel", model=model, layer=layer, channel=channel)
    index = indexed.need_index(state)
    count = min(count, MOST)
    stats, chosen = index.stats(layer, channel), index.selectivity(layer, channel)
    ties = index.ties(layer, channel, count)
    return {
        "pictures": index.count,
        "before": index.manifest.bounds.get(layer, ""),
        "ties": ties._asdict() if ties else {},
        "top": [hit._asdict() for hit in index.top(layer, channel, count)],
        "bottom": [hit._asdict() for hit in index.bottom(layer, channel, count)],
        "mean": stats.mean,
        "std": stats.std,
        "active": stats.active,
        "classes": chosen.means if chosen else {},
        "parts": [part._asdict() for part in index.parts(layer, channel)],
        "similar": [one._asdict() for one in index.similar(layer, channel, count)],
        "link": f"?{to_query(state)}",
    }


def neighbours(
    model: str,
    image: str = "scene-24",
    count: int = 12,
    by: str = "embedding",
    layer: str = "",
    channel: int = -1,
) -> list[dict[str, Any]]:
    """The pictures of the index that look most alike to the network, a layer or a channel of it.

    Args:
        model: the network's name.
        image: "scene-17" for a drawn scene, or what `upload` gave.
        count: how many.
        by: embedding, layer (the cosine of its pooled activations) or channel (the closest maxima).
        layer: name of a layer, for the last two.
        channel: its number, for the last one.
    """
    channel, count = values.whole("channel", channel), values.whole("count", count, 1)
    model, image = values.name("model", model), _image(image)
    by, layer = values.text("by", by), values.text("layer", layer)
    known = DISPLAY["by"].choices
    if by not in known or (by != "embedding" and not layer) or (by == "channel" and channel < 0):
        raise WrongRequest(f"by is one of {', '.join(known)}; the last two need a layer, and the "
                           "last one its channel")  # fmt: skip
    place = (layer, channel if by == "channel" else None) if by != "embedding" else (None, None)
    state = State(tab="Neighbours", model=model, image=image, layer=place[0],
                  channel=place[1]).having(by=by)  # fmt: skip
    index = indexed.need_index(state)
    found = nearest(state, index, min(count, MOST))
    return [{**one._asdict(), "label": index.label(one.image)} for one in found.near]


ENDPOINTS = (models, methods, layers, run, compare, channel, neighbours)


def _state(
    method: str, model: str, image: str, target: str, layer: str, channel: int, position: str,
    parameters: str,
) -> State:  # fmt: skip
    """The state that asks for all that, every value checked."""
    asked, params = text.method_named(method), values.settings(parameters)
    model, image = values.name("model", model), _image(image)
    channel, place = values.whole("channel", channel), values.position(position)
    seed = params.pop("seed", 0)
    reading = values.digits if isinstance(seed, str) else values.whole
    seed = reading("seed", seed, 0, SEEDS)
    checked = asked.check(params)
    network = model_of(model)
    state = State(
        tab=asked.family,
        model=model,
        image=image,
        methods=(asked.name,),
        layer=text.layer_named(network, layer),
        channel=None if channel < 0 else channel,
        position=place,
        target=text.target_text(network, target),
        seed=seed,
        params=MappingProxyType({name: str(checked[name]) for name in params}),
    )
    of_neuron = state.channel is not None and TABS[asked.family].explains
    return state.having(explain="neuron") if of_neuron else state


def _image(value: str) -> str:
    """The name of a picture; the files that are made from an upload are deleted with it."""
    name = picture_name(value)
    disk.GROUP.set(pictures.group(name))
    return name
