"""transformers: image classifiers and vision towers of the hub, and folders. The only file with it.

"microsoft/resnet-50[@revision]" is a repository of the hub, "local-dir:PATH" a folder, and "resnet"
the untrained network of that type's default configuration. No code of a repository is ever run.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import transformers
from torch import nn

from featvis.model import VisionModel, WrongRequest
from zoo_adapters import fields, hub, processors, weights
from zoo_adapters import transformers_types as types
from zoo_adapters.checkpoints import Sizes
from zoo_adapters.facts import Facts
from zoo_adapters.folders import reason
from zoo_adapters.measured import completed, table
from zoo_adapters.module import wrap
from zoo_adapters.registry import repository, unknown
from zoo_adapters.towers import POPULAR, UNUSABLE, Patches, Tower, rgb_first
from zoo_adapters.weights import Progress

__all__ = ["blank", "carried", "describe", "families", "load", "names", "parameters", "untrained"]

carried = types.carried
FILES = ("model.safetensors", "pytorch_model.bin")


@lru_cache(maxsize=1)
def names() -> list[str]:
    """Every type with its default configuration, then well-known repositories of the hub."""
    return [*types.classes(), *POPULAR]


@lru_cache(maxsize=1)
def families() -> dict[str, tuple[str, ...]]:
    """The repositories of the hub, then the untrained types."""
    return {"hub": tuple(POPULAR), "untrained": tuple(types.classes())}


def describe(name: str) -> Facts:
    """What a configuration on disk or a type's defaults tell, without building or asking."""
    kind, rest, revision = _split(name)
    full = f"transformers:{name}"
    if kind == "type":
        config, how = types.defaults(rest)
        return _facts(full, "untrained", config, how, weights_exist=False, on_disk=True)
    if kind == "folder":
        config, how = types.read(Path(rest), full)
        return _facts(
            full, str(config.model_type), config, how, source=rest, on_disk=bool(_file(rest))
        )
    told = weights.cached(rest, ["config.json"], revision)
    family = "hub" if name in POPULAR else ""
    source, on_disk = f"https://huggingface.co/{rest}", False
    if not told:
        known = table().get(f"transformers:{POPULAR.get(name)}")
        kind, head = (known.kind, known.head) if known else ("", "")
        return Facts(full, family, name, source=source, licence="unknown", kind=kind, head=head)
    config, how = types.read(told.parent, full)
    on_disk = weights.cached(rest, FILES, revision) is not None
    return _facts(
        full, family or str(config.model_type), config, how, source=source, on_disk=on_disk
    )


def parameters(name: str) -> int | None:
    """The number of weights, counted without making them; None where the hub must be asked."""
    kind, rest, revision = _split(name)
    if kind == "type":
        config = types.defaults(rest)[0]
    elif kind == "folder":
        config = types.read(Path(rest), name)[0]
    elif told := weights.cached(rest, ["config.json"], revision):
        config = types.read(told.parent, name)[0]
    else:
        return None
    return _count(config, f"transformers:{name}")


def _count(config: Any, full: str) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in _built(config, full).parameters())


def load(name: str, *, pretrained: bool = True, progress: Progress | None = None) -> VisionModel:
    """A repository of the hub, "local-dir:PATH", or a type without trained weights."""
    kind, rest, revision = _split(name)
    full = f"transformers:{name}"
    if kind == "type":
        if pretrained:
            raise WrongRequest(
                f"{full} has no trained weights; load it with pretrained=False (random weights), "
                "or a repository of the hub: transformers:microsoft/resnet-50"
            )
        config, how = types.defaults(rest)
        return _record(_built(config, full), config, how, full, {"source": "", "pretrained": False})
    path, commit = Path(rest), ""
    if kind == "hub":
        path, commit = _fetched(rest, revision, full, pretrained, progress)
    config, how = types.read(path, full)
    _ready(config, how, full)
    if (path / "adapter_config.json").exists():
        raise WrongRequest(f"{full} holds an adapter of another network; only whole ones are shown")
    if pretrained and not _file(path):
        raise WrongRequest(
            f"{full} holds none of {', '.join(FILES)}; put the weights into the folder, or load it "
            "with pretrained=False (random weights)"
        )
    weights.refuse_unfit(_count(config, full), full)
    module = _trained(config, path, full) if pretrained else _built(config, full)
    source = f"https://huggingface.co/{rest}" if kind == "hub" else rest
    info: dict[str, Any] = {"source": source, "pretrained": pretrained}
    if kind == "hub":
        info["revision"] = commit
        info["licence"] = hub.licence_of(path)
    return _record(module, config, how, full, info)


def _split(name: str) -> tuple[str, str, str | None]:
    """Kind of a name ("type", "folder" or "hub"), what follows, and the revision."""
    source, colon, rest = name.partition(":")
    if source == "local-dir" and colon:
        return "folder", rest, None
    if source == "hf-hub" and colon:
        raise WrongRequest(f"transformers names a repository plainly: transformers:{rest}")
    if "/" not in name:
        if name in UNUSABLE:
            raise WrongRequest(f"transformers:{name} cannot be shown: {UNUSABLE[name]}")
        if name not in types.classes():
            unknown("transformers", name, names())
        return "type", name, None
    return ("hub", *repository(name, f"transformers:{name}"))


def _fetched(
    repo: str, revision: str | None, full: str, pretrained: bool, progress: Progress | None
) -> tuple[Path, str]:
    """The files of a repository, on disk or downloaded, all of one commit: folder and commit."""
    told = hub.configuration(repo, model=full, revision=revision, progress=progress)
    commit = told.parent.name
    config, _ = types.read(told.parent, full)  # refuse before the weights are downloaded
    types.chosen(config, full)
    if pretrained:
        weights.hub_file(repo, FILES, model=full, revision=commit, progress=progress)
    return told.parent, commit


def _file(path: str | Path) -> Path | None:
    return next((Path(path) / f for f in FILES if (Path(path) / f).is_file()), None)


def _built(config: Any, full: str) -> nn.Module:
    """The module with random weights, built without touching the caller's random numbers."""
    name, _ = types.chosen(config, full)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module: nn.Module = getattr(transformers, name)(types.sees(config, name))
            return module
    except Exception as error:
        raise _damaged(full, error) from error


def _trained(config: Any, path: Path, full: str) -> nn.Module:
    """The module with the weights of a folder; all of them must be there."""
    name, _ = types.chosen(config, full)
    try:
        with torch.random.fork_rng(devices=[]):
            module, report = getattr(transformers, name).from_pretrained(
                path,
                config=types.sees(config, name),
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # damaged files, pickles with code, wrong shapes
        raise _damaged(full, error) from error
    if missing := sorted(report["missing_keys"]):
        raise WrongRequest(
            f"{full} lacks {len(missing)} of the weights of a {name}, {missing[0]} among them"
        )
    return module


def _damaged(full: str, error: Exception) -> WrongRequest:
    return WrongRequest(
        f"{full} cannot be built: {reason(error)}; its files may be damaged or made for another "
        f"version of transformers than {transformers.__version__}"
    )


def _facts(full: str, family: str, config: Any, how: dict[str, Any], **more: Any) -> Facts:
    """What the picker shows of a configuration."""
    _, embeds = types.chosen(config, full)
    size = _ready(config, how, full).size
    exist = more.pop("weights_exist", True)
    facts = Facts(
        name=full,
        family=family,
        variant=full.partition(":")[2],
        size=size,
        classes=0 if embeds else config.num_labels,
        licence="unknown" if exist else "apache-2.0",
        weights=exist,
        **more,
    )
    return facts if exist else completed(facts, full)


def _ready(config: Any, how: dict[str, Any], full: str) -> processors.Prepared:
    """How the network takes a picture; files that contradict one another are refused."""
    name, _ = types.chosen(config, full)
    try:
        ready = processors.prepared(how, types.sees(config, name))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise WrongRequest(
            f"{full}: preprocessor_config.json does not say how a picture is prepared "
            f"({reason(error)})"
        ) from error
    if not all(1 <= side <= fields.SIDE for side in ready.size):
        h, w = ready.size
        raise WrongRequest(
            f"{full}: preprocessor_config.json asks for pictures of {h} x {w}; a side has at most "
            f"{fields.SIDE} pixels"
        )
    return ready


def untrained(name: str, size: tuple[int, int]) -> nn.Module:
    """The untrained network of a type, for another input size and at most two blocks deep."""
    config, _ = types.defaults(name)
    for part in (config, getattr(config, "vision_config", config)):
        for depth in ("num_hidden_layers", "num_self_attends_per_block"):
            if isinstance(getattr(part, depth, None), int) and not hasattr(part, "depths"):
                setattr(part, depth, min(2, getattr(part, depth)))
        if stated := getattr(part, "image_size", None):
            part.image_size = size[0] if isinstance(stated, int) else list(size)
    return _shown(_built(config, name), config, name)


def blank(name: str, sizes: Sizes) -> tuple[nn.Module, dict[str, Any]]:
    """The untrained network of a type, and what `wrap` is told of it."""
    kind, rest, _ = _split(name)
    full = f"transformers:{name}"
    if kind != "type":
        raise WrongRequest(f"{full}: a checkpoint is for a type of network, as transformers:resnet")
    config, how = types.defaults(rest)
    config.num_labels = sizes.classes or config.num_labels
    cls, embeds = types.chosen(config, full)
    if sizes.bands is not None:
        types.sees(config, cls).num_channels = sizes.bands
    ready = _ready(config, how, full)
    alone = sizes.bands not in (None, 3)
    mean, std = (fmean(n) if alone else n for n in (ready.mean, ready.std))
    facts: dict[str, Any] = {"mean": mean, "std": std, "size": ready.size, "input": ready.input}
    facts |= {"embeds": embeds, "channels": sizes.bands or 3}
    return _shown(_built(config, full), config, full), facts


def _shown(module: nn.Module, config: Any, full: str) -> nn.Module:
    """The network as one from pictures to a vector."""
    name, embeds = types.chosen(config, full)
    if "Siglip2" in name:
        return Patches(module, getattr(config, "vision_config", config).patch_size)
    return Tower(module) if embeds else module


def _record(
    module: nn.Module, config: Any, how: dict[str, Any], full: str, info: dict[str, Any]
) -> VisionModel:
    """The model record."""
    _, embeds = types.chosen(config, full)
    ready = _ready(config, how, full)
    if ready.bgr:
        rgb_first(module)
    return wrap(
        _shown(module, config, full),
        name=full,
        mean=ready.mean[::-1] if ready.bgr else ready.mean,
        std=ready.std[::-1] if ready.bgr else ready.std,
        size=ready.size,
        embeds=embeds,
        output=None if embeds else types.outputs(config),
        input=ready.input,
        info={"licence": "unknown", "training": "" if info["pretrained"] else "none", **info},
    )
