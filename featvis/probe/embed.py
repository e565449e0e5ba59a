"""The embedding of a picture: what its network makes of it just before the logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from featvis.head import watch
from featvis.hooks import fed, first_tensor
from featvis.model import Image, VisionModel, values

__all__ = ["Embedder", "embed", "embedder"]


@dataclass(frozen=True, eq=False)
class Embedder:
    """How the embedding (B, D) of a network is had: `run` makes a forward pass and gives it."""

    run: Callable[[Tensor], Tensor]  # images (B, 3, H, W) in [0, 1]
    what: str  # in words


def embed(model: VisionModel, image: Tensor | Image) -> Tensor:
    """The embedding (B, D) of images (B, 3, H, W) in [0, 1]; `embedder` says what it is."""
    with torch.no_grad():
        return embedder(model).run(values(image).to(model.like))


def embedder(model: VisionModel) -> Embedder:
    """The average of the last map where the head pools one, else what the classifier takes.

    A network whose output is an embedding gives that; one without a linear classifier its output.
    """
    head = model.head
    if model.embeds:
        return Embedder(lambda x: model(x).flatten(1), "its output")
    if head is not None:

        def pooled(images: Tensor) -> Tensor:
            evidence = watch(model.module, model.normalize(images), head.source)
            return head.layout.to_maps(evidence.raw, head.size).mean((2, 3))

        return Embedder(pooled, "the average of the last map, before the classifier")
    name = _classifier(model)
    if name is None:
        return Embedder(lambda x: model(x).flatten(1), "the logits")

    def taken(images: Tensor) -> Tensor:
        with _kept(model.module.get_submodule(name)) as inputs:
            model(images)
        return inputs[0].flatten(1)

    return Embedder(taken, f"what the classifier {name} takes")


@contextmanager
def _kept(module: nn.Module) -> Iterator[list[Tensor]]:
    """Within: the inputs of a module's calls."""
    inputs: list[Tensor] = []
    with fed({"": module}, lambda _, taken: inputs.append(taken)):
        yield inputs


def _classifier(model: VisionModel) -> str | None:
    """The linear layer whose output is the logits."""
    linear = {n: m for n, m in model.module.named_modules() if isinstance(m, nn.Linear)}
    last: list[tuple[str, Tensor]] = []

    def seen(name: str, taken: Tensor) -> None:
        layer = linear[name]
        made = nn.functional.linear(taken, layer.weight, layer.bias) if taken.ndim == 2 else None
        last[:] = [] if made is None else [(name, made)]

    with torch.no_grad(), fed({n: m for n, m in linear.items() if n}, seen):
        out: Any = first_tensor(model.module(model.normalize(_grey(model))))
    found = bool(last) and last[0][1].shape == out.shape and torch.allclose(last[0][1], out)
    return last[0][0] if found else None


def _grey(model: VisionModel) -> Tensor:
    return torch.full((1, 3, *model.size), 0.5).to(model.like)
