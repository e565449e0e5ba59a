"""Networks for the sweep: built without initializing them, small, with weights that prove heads.

A freshly initialized network proves little: its scales are 0 or 1, its biases 0, whole branches
silent. Here every parameter is random, and parameters of one shape share one tensor, so that a
network of 7,000 million weights takes the memory of its largest layers. The libraries are imported
on use: a worker of a cluster begins with nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import zoo_adapters
from featvis import Embedding, VisionModel, WrongRequest
from zoo_adapters.registry import adapter

__all__ = ["awakened", "hollow", "small", "untouched"]

SIDES = (64, 96, 112, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)
FINAL = ("class token", "flattened")  # reasons that no size changes
CLIMBING = 4  # sides tried between the smallest one and the network's own


class _Untouched(TorchDispatchMode):
    """Leaves parameters as they were allocated: what initializes them in place is skipped."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.is_mutable and args and isinstance(args[0], nn.Parameter):
            return args[0]
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def untouched() -> Iterator[None]:
    """Within: modules are built with parameters that hold anything. For `awakened` ones only."""
    with torch.random.fork_rng(devices=[]), _Untouched():
        yield


def awakened(module: nn.Module, seed: int = 11, dtype: torch.dtype | None = None) -> nn.Module:
    """Every parameter random, none at 0 or 1: scales about 1, biases about 0, weights by fan-in."""
    make = torch.Generator().manual_seed(seed)
    made: dict[tuple[Any, ...], Tensor] = {}
    for child in module.modules():
        for name, parameter in child._parameters.items():
            if parameter is None or not parameter.is_floating_point():
                continue
            vector = parameter.numel() == max(parameter.shape, default=1)
            offset = vector and ("bias" in name or name in ("beta", "shift"))
            key = (tuple(parameter.shape), offset, parameter.dtype)
            if key not in made:
                made[key] = _random(parameter, vector, offset, make).to(dtype or parameter.dtype)
            child._parameters[name] = nn.Parameter(made[key], requires_grad=False)
        for name, buffer in child._buffers.items():
            if dtype and buffer is not None and buffer.is_floating_point():
                child._buffers[name] = buffer.to(dtype)
    return module


def _random(like: Tensor, vector: bool, offset: bool, make: torch.Generator) -> Tensor:
    shape = tuple(like.shape)
    if vector:
        low, high = (-0.2, 0.2) if offset else (0.5, 1.5)
        return torch.empty(shape).uniform_(low, high, generator=make)
    reach = (3 * shape[0] / max(like.numel(), 1)) ** 0.5  # of variance 1 / fan-in
    return torch.empty(shape).uniform_(-reach, reach, generator=make)


def small(name: str, native: tuple[int, int]) -> VisionModel:
    """The network of that name with awakened weights, at the smallest input that it takes."""
    refused = "no size was tried"
    for side in _sides(name, native):
        try:
            with untouched():
                module = _built(name, side, native)
            model = _wrapped(awakened(module), name, side)
            if "not finite" in model.head_reason:  # random scales add up beyond float32
                model = _wrapped(awakened(module, dtype=torch.float64), name, side)
            if side == native or _settled(model):
                return model
        except WrongRequest as error:
            refused = str(error)
        except Exception as error:  # builders refuse sizes in every way there is
            refused = f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"
    raise WrongRequest(f"{name} runs at none of its sizes: {refused}")


def hollow(name: str, size: tuple[int, int]) -> VisionModel:
    """The network of that name without its weights, for those that cannot be built without."""
    with untouched():
        module = _built(name, size, size)
    return _wrapped(module.to("meta"), name, size)


def _sides(name: str, native: tuple[int, int]) -> list[tuple[int, int]]:
    """Sides to try: a few patches, or a few strides, then larger ones, then the network's own."""
    patch = re.search(r"patch(\d+)", name)
    first = [4 * int(patch[1])] if patch and int(patch[1]) >= 8 else []
    climbing = [s for s in SIDES if s < min(native) and s not in first][:CLIMBING]
    halves = [min(native) // 2] if min(native) >= 256 else []
    square = dict.fromkeys([*first, *climbing, *halves])
    return [*((s, s) for s in square), native]


def _settled(model: VisionModel) -> bool:
    """Would a larger picture tell nothing else of the head? One that is a point is not pooled."""
    if model.head is not None or isinstance(model.output, Embedding):
        return True
    return any(words in model.head_reason for words in FINAL)


def _built(name: str, side: tuple[int, int], native: tuple[int, int]) -> nn.Module:
    zoo, _, rest = name.partition(":")
    return BUILDERS[zoo](rest, side, native)


def _timm(name: str, side: tuple[int, int], native: tuple[int, int]) -> nn.Module:
    import timm

    if side == native:
        return timm.create_model(name, pretrained=False)  # type: ignore[no-any-return]
    try:
        return timm.create_model(name, pretrained=False, img_size=side)  # type: ignore[no-any-return]
    except TypeError:  # it takes every size
        return timm.create_model(name, pretrained=False)  # type: ignore[no-any-return]


def _torchvision(name: str, side: tuple[int, int], native: tuple[int, int]) -> nn.Module:
    import torchvision

    from zoo_adapters import torchvision_backbones

    if torchvision_backbones.family(name):
        return torchvision_backbones.Backbone(torchvision_backbones.whole(name))
    how: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        how = {"aux_logits": False, "init_weights": False}
    if name.startswith("vit_"):
        how = {"image_size": side[0]}
    if name.startswith("maxvit"):
        how = {"input_size": side}
    try:
        return torchvision.models.get_model(name, **how)  # type: ignore[no-any-return]
    except TypeError:
        return torchvision.models.get_model(name)  # type: ignore[no-any-return]


def _transformers(name: str, side: tuple[int, int], native: tuple[int, int]) -> nn.Module:
    return adapter("transformers").untrained(name, side)  # type: ignore[no-any-return]


BUILDERS: dict[str, Callable[[str, tuple[int, int], tuple[int, int]], nn.Module]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "transformers": _transformers,
}


def _wrapped(module: nn.Module, name: str, side: tuple[int, int]) -> VisionModel:
    return zoo_adapters.wrap(
        module,
        name=name,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        size=side,
        embeds=zoo_adapters.describe(name).classes == 0,
    )
