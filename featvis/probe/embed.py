"""The embedding of a picture: what its network makes of it just before the logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from featvis.autograd import in_own_mode
from featvis.embedding import Embedding
from featvis.hooks import fed, first_tensor, hooked
from featvis.model import Head, Image, VisionModel, values
from featvis.network.head import read_head

__all__ = ["Embedder", "embed", "embedder"]


DIRECT: WeakKeyDictionary[VisionModel, str | None] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Embedder:
    """How the embedding (B, D) of a network is had: `run` makes a forward pass and gives it."""

    run: Callable[[Tensor], Tensor]  # images (B, 3, H, W) in [0, 1]
    what: str  # in words


@in_own_mode
def embed(model: VisionModel, image: Tensor | Image) -> Tensor:
    """The embedding (B, D) of images (B, 3, H, W) in [0, 1]; `embedder` says what it is."""
    with torch.no_grad():
        return embedder(model).run(values(image).to(model.like))


def embedder(model: VisionModel) -> Embedder:
    """The average of the last map where the head pools one, else what the classifier takes.

    A network whose output is an embedding gives that; one without a linear classifier its output.
    """
    head = model.head
    if isinstance(model.output, Embedding):
        return Embedder(lambda x: model(x).flatten(1), "its output")
    if head is not None:
        direct = _gives_the_map(model, head)

        def pooled(images: Tensor) -> Tensor:
            # a hook alone costs less than a watch
            raw = _after(model, direct, images) if direct else read_head(model, images).raw
            return head.layout.to_maps(raw, head.size).mean((2, 3))

        return Embedder(pooled, "the average of the last map, before the classifier")
    name = _classifier(model)
    if name is None:
        return Embedder(lambda x: model(x).flatten(1), "the logits")

    def taken(images: Tensor) -> Tensor:
        with _kept(model.module.get_submodule(name)) as inputs:
            model(images)
        return inputs[0].flatten(1)

    return Embedder(taken, f"what the classifier {name} takes")


def _gives_the_map(model: VisionModel, head: Head) -> str | None:
    """The module whose output is the very tensor that the head pools, if there is one."""
    if model not in DIRECT:
        after, outputs = head.source.after, list[Tensor]()
        DIRECT[model] = None
        if after is not None:
            keep = {after: model.module.get_submodule(after)}
            with (
                torch.no_grad(),
                hooked(keep, lambda _, __, out: outputs.append(first_tensor(out))),
            ):
                raw = read_head(model, _grey(model)).raw
            same = outputs[-1].data_ptr() == raw.data_ptr() and outputs[-1].shape == raw.shape
            DIRECT[model] = after if same and outputs[-1].stride() == raw.stride() else None
    return DIRECT[model]


def _after(model: VisionModel, name: str, images: Tensor) -> Tensor:
    """What a module gives; it is read after the pass, as what follows may change it in place."""
    outputs: list[Tensor] = []
    keep = {name: model.module.get_submodule(name)}
    with hooked(keep, lambda _, __, out: outputs.append(first_tensor(out))):
        model(images)
    return outputs[-1]


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
        out = model(_grey(model))
    if last and last[0][1].shape[1] == 1:  # a single score has two sides
        out = out[:, -1:]
    found = bool(last) and last[0][1].shape == out.shape and torch.allclose(last[0][1], out)
    return last[0][0] if found else None


def _grey(model: VisionModel) -> Tensor:
    return torch.full((1, model.bands, *model.size), 0.5).to(model.like)
