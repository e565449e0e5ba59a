"""Checkpoints: weights that somebody trained, put into an architecture of a zoo.

A file of weights says neither its architecture nor its classes. The architecture is named; the
number of classes and of bands are those that the shapes of its tensors tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from featvis.model import WrongRequest, brief

__all__ = ["Sizes", "fitted", "read_weights", "sizes_of"]

# Keys under which training scripts keep the weights, the best first: averaged ones are evaluated.
NESTS = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema", "state_dict", "model_state_dict",
    "model_state", "model", "net", "network", "module", "params", "weights", "teacher", "student",
)  # fmt: skip
# What wrappers and scripts put before the names.
PREFIXES = (
    "module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "encoder_q.",
    "base_encoder.", "ema_model.", "student.", "teacher.", "base_model.model.",
)  # fmt: skip
# Buffers that a network counts or computes by itself: a file may lack them.
COUNTED = ("num_batches_tracked", "relative_position_index", "relative_coords_table")
SOME = 3  # names that a refusal lists


class Sizes(NamedTuple):
    """How a network is built for a checkpoint; None: as its architecture has it."""

    classes: int | None = None
    bands: int | None = None


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The weights in a file of safetensors or torch; nothing in it is executed.

    Raises:
        WrongRequest: there is no such file, it is damaged, holds more than weights, or none.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise WrongRequest(f"there is no file {brief(str(path))} of weights; check the path")
    if file.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(file)
        except (SafetensorError, OSError) as error:
            raise WrongRequest(f"{file.name} is damaged and cannot be read ({error})") from error
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpicklers raise anything
        raise WrongRequest(
            f"{file.name} is damaged, or holds more than weights, which could run code and is not "
            "read; save its weights alone: torch.save(model.state_dict(), 'weights.pth')"
        ) from error
    weights = _nested(content)
    if not weights:
        raise WrongRequest(
            f"{file.name} holds no weights by name, but {_kind(content)}; save them with: "
            "torch.save(model.state_dict(), 'weights.pth')"
        )
    return weights


def _nested(content: Any) -> dict[str, Tensor]:
    """The dictionary of tensors in what a file holds; {} without one."""
    if not isinstance(content, Mapping):
        return {}
    tensors = {str(key): part for key, part in content.items() if isinstance(part, Tensor)}
    if len(tensors) > len(content) / 2:
        return tensors
    inner = [content[name] for name in NESTS if name in content]
    return next((found for part in (*inner, *content.values()) if (found := _nested(part))), {})


def _kind(content: Any) -> str:
    if isinstance(content, Mapping):
        names = ", ".join(brief(str(key)) for key in [*content][:SOME])
        return f"a dictionary of {names or 'nothing'}"
    return f"a {type(content).__name__}"


def sizes_of(weights: Mapping[str, Tensor], blank: nn.Module) -> Sizes:
    """The numbers of classes and of bands by which weights differ from a network as it is."""
    state = blank.state_dict()
    named = _renamed(weights, state)
    differing = [
        (tuple(named[key].shape), tuple(tensor.shape))
        for key, tensor in state.items()
        if key in named and named[key].shape != tensor.shape
    ]
    classes = {
        found[0]
        for found, own in differing
        if len(found) == len(own) and found[1:] == own[1:] and found[0] != own[0]
    }
    bands = {
        found[1]
        for found, own in differing
        if len(found) == len(own) == 4 and found[1] != own[1] and found[0] == own[0]
    }
    return Sizes(
        classes.pop() if len(classes) == 1 else None, bands.pop() if len(bands) == 1 else None
    )


def fitted(name: str, file: str, weights: Mapping[str, Tensor], module: nn.Module) -> nn.Module:
    """The module with the weights; names with the prefixes of wrappers are mended.

    Raises:
        WrongRequest: tensors are missing, or of another shape; which, in one sentence.
    """
    state = module.state_dict()
    named = _renamed(weights, state)
    missing = [key for key in state if key not in named and not key.endswith(COUNTED)]
    wrong = [
        f"{key} is {tuple(named[key].shape)} and not {tuple(tensor.shape)}"
        for key, tensor in state.items()
        if key in named and named[key].shape != tensor.shape
    ]
    left = [key for key in named if key not in state]
    if missing or wrong:
        raise WrongRequest(
            f"{file} does not fit {name}: "
            + "; ".join(
                f"{len(names)} of {len(state)} tensors {what} ({_some(names)})"
                for what, names in (("are missing", missing), ("have another shape", wrong))
                if names
            )
            + (f"; it holds {len(left)} others ({_some(left)})" if left else "")
            + "; check the architecture, num_classes and in_chans"
        )
    module.load_state_dict({key: named[key] for key in state if key in named}, strict=False)
    return module


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SOME]) + (", ..." if len(listed) > SOME else "")


def _renamed(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names of the network: the prefixes that most of them need, changed."""
    best, most = dict(weights), _matches(weights, state)
    for change in (*_removals(weights), *_additions(state)):
        changed = {new: tensor for key, tensor in weights.items() if (new := change(key))}
        if (count := _matches(changed, state)) > most:
            best, most = changed, count
    return best


def _matches(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> int:
    return sum(key in state for key in weights)


Change = Callable[[str], str]


def _removals(weights: Mapping[str, Tensor]) -> list[Change]:
    """Taking off what stands before most names: known prefixes, several of them, or any."""
    first = Counter(key.partition(".")[0] for key in weights if "." in key)
    own = [partial(_without, f"{part}.") for part, _ in first.most_common(4)]
    return [_without_known, *own]


def _additions(state: Mapping[str, Tensor]) -> list[Change]:
    """Putting before the names what the network's own have there."""
    first = Counter(key.partition(".")[0] for key in state if "." in key)
    return [partial(_with, f"{part}.") for part, _ in first.most_common(2)]


def _without_known(key: str) -> str:
    while prefix := next((p for p in PREFIXES if key.startswith(p)), ""):
        key = key.removeprefix(prefix)
    return key


def _without(prefix: str, key: str) -> str:
    return key.removeprefix(prefix)


def _with(prefix: str, key: str) -> str:
    return prefix + _without_known(key)
