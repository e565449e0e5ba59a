"""transformers: its types, their configurations, and the classes to build for them."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto import image_processing_auto, modeling_auto
from transformers.utils import logging

from featvis.classes import Classes
from featvis.model import WrongRequest
from zoo_adapters import fields, processors
from zoo_adapters.carried import Carried
from zoo_adapters.folders import document, reason
from zoo_adapters.towers import HOW, TOWERS, UNUSABLE

logging.set_verbosity_error()  # it warns of its own defaults ...
logging.disable_progress_bar()  # ... and tells the terminal how far it is

__all__ = ["carried", "chosen", "classes", "defaults", "labels", "outputs", "read", "sees"]

GENERIC = re.compile(r"LABEL_\d+")  # labels that nobody gave


@lru_cache(maxsize=1)
def classes() -> dict[str, str]:
    """Name of an untrained network -> its class: "levit", "levit.LevitFor...WithTeacher"."""
    found = {}
    for kind, made in modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES.items():
        if kind not in UNUSABLE:
            first, *others = [made] if isinstance(made, str) else made
            found[kind] = first
            found.update({f"{kind}.{other}": other for other in others})
    towers = {kind: name for kind, name in TOWERS.items() if kind not in found}
    return found | towers | {"dinov2.Dinov2Model": "Dinov2Model"}


def defaults(name: str) -> tuple[Any, dict[str, Any]]:
    """The default configuration of a type, with its class noted, and what its processor does."""
    kind, made = name.partition(".")[0], classes()[name]
    config = transformers.CONFIG_MAPPING[kind](**HOW.get(made, {}))
    config.architectures = [made]
    return config, processors.sized(processors.defaults(_processor(kind)), config)


def _processor(kind: str) -> Any:
    """The class of a type's image processor that works on PIL's pictures, or None."""
    both = image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES.get(kind)
    name = both.get("pil") or both.get("torchvision") if isinstance(both, dict) else both
    return getattr(transformers, name, None) if name else None


def read(path: Path, full: str) -> tuple[Any, dict[str, Any]]:
    """The configuration in a folder, and what its processor does."""
    table = document(path, "config.json", fields.TRANSFORMERS, full, "transformers")
    for part in ("vision_config", "pretrained_cfg"):
        possible = fields.TIMM if part == "pretrained_cfg" else fields.TRANSFORMERS
        fields.check(table.get(part) or {}, possible, f"{full}, config.json, {part}")
    if (kind := table.get("model_type")) is None:
        raise WrongRequest(f"{full}: config.json names no model_type, as transformers writes it")
    if kind in UNUSABLE:
        raise WrongRequest(f"{full} cannot be shown: {UNUSABLE[kind]}")
    if kind not in transformers.CONFIG_MAPPING:
        raise WrongRequest(
            f"{full}: config.json has the model_type {kind}, which transformers "
            f"{transformers.__version__} does not have"
        )
    try:
        config = transformers.AutoConfig.from_pretrained(
            path, trust_remote_code=False, local_files_only=True
        )
        config._attn_implementation = None  # a file may name a kernel to fetch
        how = processors.sized(processors.defaults(_processor(kind)), config)
    except Exception as error:  # each type checks its fields in its own way
        raise WrongRequest(
            f"{full}: config.json is not a configuration of transformers "
            f"{transformers.__version__} ({reason(error)})"
        ) from error
    file = "preprocessor_config.json"
    if not (path / file).exists():
        return config, how
    processor = document(path, file, fields.PROCESSOR, full, "transformers")
    return config, {**processors.defaults(_processor(kind)), **processor}


def chosen(config: Any, full: str) -> tuple[str, bool]:
    """The class to build, and whether it gives an embedding instead of logits."""
    kind, stated = config.model_type, config.architectures or []
    known = modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES.get(kind, ())
    heads = [known] if isinstance(known, str) else list(known)
    for name in stated:
        if name in heads:
            return name, False
    if kind in TOWERS:
        return TOWERS[kind], True
    plain = modeling_auto.MODEL_MAPPING_NAMES.get(kind)
    if heads and isinstance(plain, str):
        return plain, True
    raise WrongRequest(
        f"{full} holds a {', '.join(stated) or kind}, which is neither an image classifier nor a "
        "vision tower that is known here"
    )


def sees(config: Any, name: str) -> Any:
    """The configuration of the part that sees, where a network also reads."""
    return getattr(config, "vision_config", config) if "Vision" in name else config


def labels(config: Any) -> tuple[str, ...]:
    """The words of the configuration, where somebody gave any."""
    given = config.id2label or {}
    words = [str(given.get(i, f"LABEL_{i}")) for i in range(config.num_labels)]
    if all(GENERIC.fullmatch(word) for word in words):
        return ()
    return tuple(word.partition(",")[0] for word in words)


def carried(module: Any) -> Carried:
    """What a network of transformers says of itself, whoever built it."""
    config = module.config
    _, how = defaults(config.model_type) if config.model_type in classes() else ({}, {})
    if getattr(getattr(config, "vision_config", config), "image_size", None):
        how = processors.sized(how, config)
    ready = processors.prepared(how, getattr(config, "vision_config", config))
    embeds = type(module).__name__.endswith("Model")
    return Carried(
        mean=ready.mean,
        std=ready.std,
        size=ready.size,
        labels=() if embeds else labels(config),
        input=ready.input,
        embeds=embeds,
    )


def outputs(config: Any) -> Classes:
    """The classes of a configuration; several may be true at once where it says so."""
    several = config.problem_type == "multi_label_classification"
    return Classes(tuple(labels(config)), final="sigmoid" if several else "")
