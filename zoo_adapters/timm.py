"""timm: its registry, its repositories on the hub, its folders on disk."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config

from featvis.model import VisionModel, WrongRequest
from zoo_adapters import hub, weights
from zoo_adapters.checkpoints import Sizes
from zoo_adapters.facts import Facts, training_data
from zoo_adapters.folders import FILES, config, has_weights, measured_of, reason
from zoo_adapters.measured import completed
from zoo_adapters.module import wrap
from zoo_adapters.registry import elsewhere, repository, unknown
from zoo_adapters.timm_facts import carried, framing, labels_of
from zoo_adapters.weights import Progress

__all__ = [
    "blank",
    "carried",
    "describe",
    "describe_folder",
    "families",
    "folder",
    "load",
    "names",
    "parameters",
]

POPULAR = (
    "resnet",
    "convnext",
    "vision_transformer",
    "efficientnet",
    "mobilenetv3",
    "swin_transformer",
    "regnet",
    "densenet",
    "vgg",
    "deit",
    "maxxvit",
    "mambaout",
)
OWN = "scenes_*"  # the bundled zoo's architectures stand in timm's registry once it is imported
SHORT = {"vision_transformer": "vit", "swin_transformer": "swin", "maxxvit": "maxvit"}


@lru_cache(maxsize=1)
def names() -> list[str]:
    """Every set of weights, "resnet50.a1_in1k", and the architectures that have none."""
    tags = timm.list_pretrained()
    trained = {tag.partition(".")[0] for tag in tags}
    untrained = timm.list_models(exclude_filters=OWN)
    return sorted([*tags, *(name for name in untrained if name not in trained)])


@lru_cache(maxsize=1)
def families() -> dict[str, tuple[str, ...]]:
    """Family -> names, one family per module of timm, the popular ones first."""
    by_architecture: dict[str, list[str]] = {}
    for name in names():
        by_architecture.setdefault(name.partition(".")[0], []).append(name)
    modules = sorted(timm.list_modules(), key=lambda m: (m not in POPULAR, m))
    modules.sort(key=lambda m: POPULAR.index(m) if m in POPULAR else len(POPULAR))
    listed = {
        SHORT.get(module, module): tuple(
            name
            for model in timm.list_models(module=module, exclude_filters=OWN)
            for name in by_architecture[model]
        )
        for module in modules
    }
    return {family: members for family, members in listed.items() if members}


@lru_cache(maxsize=1)
def _family_of() -> dict[str, str]:
    return {
        name.partition(".")[0]: family for family, members in families().items() for name in members
    }


def describe(name: str) -> Facts:
    """What timm's tables, a folder or the cache tell of a model without building it."""
    source, _, rest = name.partition(":")
    if source == "local-dir":
        return describe_folder(Path(rest), name=f"timm:{name}")
    if source == "hf-hub":
        repo, revision = repository(rest, f"timm:{name}")
        told = weights.cached(repo, ["config.json"], revision)
        on_disk = bool(told and weights.cached(repo, FILES, revision))
        address = f"https://huggingface.co/{repo}"
        cfg = _configuration(told.parent, f"timm:{name}") if told else {}
        if told and not cfg.get("license"):
            cfg["license"] = hub.licence_of(told.parent)
        return _facts(f"timm:{name}", cfg, address, on_disk=on_disk)
    name, cfg = _registered(name)
    return _facts(f"timm:{name}", cfg, _source(cfg), on_disk=_on_disk(cfg))


def describe_folder(path: Path, *, name: str) -> Facts:
    """What the configuration of a folder tells."""
    return _facts(name, _configuration(path, name), str(path), on_disk=has_weights(path, name))


def parameters(name: str) -> int:
    """The number of weights, counted without making them: about 0.2 s."""
    made = name if ":" in name else _registered(name)[0]
    with torch.device("meta"):
        return sum(p.numel() for p in _build(made, f"timm:{name}", pretrained=False).parameters())


def load(name: str, *, pretrained: bool = True, progress: Progress | None = None) -> VisionModel:
    """A name of the registry, "hf-hub:org/name[@revision]" or "local-dir:PATH"."""
    source, _, rest = name.partition(":")
    if source == "local-dir":
        return folder(Path(rest), name=f"timm:{name}", pretrained=pretrained)
    if source == "hf-hub":
        return _from_hub(rest, pretrained, progress)
    name, cfg = _registered(name)
    file = _file(name, cfg, progress) if pretrained else None
    overlay = {"file": str(file), "source": "", "custom_load": False} if file else None
    module = _build(name, f"timm:{name}", pretrained, pretrained_cfg_overlay=overlay)
    source, at = _source(cfg), weights.commit(file) if file else ""
    return _record(module, f"timm:{name}", source, pretrained, learned=pretrained, revision=at)


def folder(path: Path, *, name: str, pretrained: bool = True) -> VisionModel:
    """A folder in the hub's format: config.json and the weights."""
    _check(path, name)
    if pretrained and not has_weights(path, name):
        raise WrongRequest(
            f"{name} holds no weights; put model.safetensors into the folder, or load it with "
            "pretrained=False (random weights)"
        )
    module = _build(f"local-dir:{path}", name, pretrained)
    return _record(module, name, str(path), pretrained, learned=True)


def _configuration(path: Path, name: str) -> dict[str, Any]:
    """What config.json tells, of an architecture that there is."""
    cfg = config(path, name)
    if not timm.is_model(cfg["architecture"]):
        raise WrongRequest(
            f"{name}: config.json names the architecture {cfg['architecture']}, which timm "
            f"{timm.__version__} does not have"
        )
    return cfg


def _check(path: Path, name: str) -> None:
    """Refuse a folder whose network is too large, before any of its weights are made."""
    _configuration(path, name)
    with torch.device("meta"):
        module = _build(f"local-dir:{path}", name, pretrained=False)
    weights.refuse_unfit(sum(p.numel() for p in module.parameters()), name)


def _from_hub(rest: str, pretrained: bool, progress: Progress | None) -> VisionModel:
    """A repository of the hub: its two files are fetched, then it is a folder."""
    name = f"timm:hf-hub:{rest}"
    repo, at = repository(rest, name)
    told = hub.configuration(repo, model=name, revision=at, progress=progress)
    if pretrained:
        file = weights.hub_file(repo, FILES, model=name, revision=at, progress=progress)
        if file.parent != told.parent:  # the repository changed since its configuration was cached
            commit = file.parent.name
            told = hub.configuration(repo, model=name, revision=commit)
    _check(told.parent, name)
    module = _build(f"local-dir:{told.parent}", name, pretrained)
    source, commit = f"https://huggingface.co/{repo}", weights.commit(told)
    model = _record(module, name, source, pretrained, learned=True, revision=commit)
    if model.info["licence"] == "unknown":
        return replace(model, info={**model.info, "licence": hub.licence_of(told.parent)})
    return model


def _registered(name: str) -> tuple[str, dict[str, Any]]:
    """The full name, with the default tag where none is given, and its configuration."""
    elsewhere(name)
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture) or (tag and name not in names()):
        unknown("timm", name, names())
    cfg = timm.get_pretrained_cfg(name)
    found = cfg.to_dict() if cfg else {}
    if not tag and _source(found):
        tag = found.get("tag") or ""
    return (f"{architecture}.{tag}" if tag else architecture), found


def _source(cfg: dict[str, Any]) -> str:
    repo = cfg.get("hf_hub_id")
    return f"https://huggingface.co/{repo}" if repo else cfg.get("url") or ""


def _on_disk(cfg: dict[str, Any]) -> bool:
    if repo := cfg.get("hf_hub_id"):
        return weights.cached(repo, FILES) is not None
    return bool(cfg.get("url")) and weights.url_path(cfg["url"]).exists()


def _file(name: str, cfg: dict[str, Any], progress: Progress | None) -> Path:
    if repo := cfg.get("hf_hub_id"):
        return weights.hub_file(repo, FILES, model=f"timm:{name}", progress=progress)
    if url := cfg.get("url"):
        return weights.url_file(url, model=f"timm:{name}", progress=progress)
    raise WrongRequest(
        f"timm:{name} has no trained weights; load it with pretrained=False (random weights)"
    )


def _build(made: str, name: str, pretrained: bool, **how: Any) -> torch.nn.Module:
    """The module, built without touching the caller's random numbers."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return timm.create_model(made, pretrained=pretrained, **how)
    except Exception as error:  # damaged files, foreign architectures, wrong shapes
        raise WrongRequest(
            f"{name} cannot be built: {reason(error)}; its files may be damaged or made for "
            f"another version of timm than {timm.__version__}"
        ) from error


def _record(
    module: Any, name: str, source: str, pretrained: bool, *, learned: bool, revision: str = ""
) -> VisionModel:
    """The model record; `learned`: its outputs have the meaning that the configuration tells."""
    cfg = module.pretrained_cfg
    data = resolve_model_data_config(module)
    if data["input_size"][0] != 3:
        raise WrongRequest(
            f"{name} takes {data['input_size'][0]} channels; only networks of RGB are shown"
        )
    return wrap(
        module,
        name=name,
        mean=data["mean"],
        std=data["std"],
        size=tuple(data["input_size"][1:]),
        labels=labels_of(cfg, module.num_classes) if learned else (),
        embeds=module.num_classes == 0,
        input=framing(module, data),
        info={
            "licence": cfg.get("license") or "unknown",
            "source": source,
            "training": training_data(cfg.get("tag") or "") if pretrained else "none",
            "pretrained": pretrained,
            **({"revision": revision} if revision else {}),
        },
    )


def blank(name: str, sizes: Sizes) -> tuple[Any, dict[str, Any]]:
    """The untrained network of an architecture, and what `wrap` is told of it."""
    architecture, _ = _registered(name)
    how = {"num_classes": sizes.classes, "in_chans": sizes.bands}
    how = {key: value for key, value in how.items() if value is not None}
    module = _build(architecture, f"timm:{name}", pretrained=False, **how)
    return module, {"embeds": module.num_classes == 0}


def _facts(name: str, cfg: dict[str, Any], source: str, *, on_disk: bool) -> Facts:
    variant = name.partition(":")[2]
    architecture = cfg.get("architecture") or variant.partition(".")[0]
    size = cfg.get("input_size")
    facts = Facts(
        name=name,
        family=_family_of().get(architecture, ""),
        variant=variant,
        size=(size[1], size[2]) if size else None,
        classes=cfg.get("num_classes"),
        licence=cfg.get("license") or "unknown",
        source=source,
        training=training_data(cfg.get("tag") or ""),
        weights=bool(source),
        on_disk=on_disk,
    )
    known, measured = completed(facts, f"timm:{architecture}"), measured_of(cfg)
    if measured or cfg.get("model_args"):  # built otherwise than the architecture of that name
        return replace(known, **{"parameters": None, "about": None, "gmacs": None, **measured})
    return known
