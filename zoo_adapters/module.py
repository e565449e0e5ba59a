"""Your own network: an nn.Module and its preprocessing in, a VisionModel out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from featvis.classes import Classes
from featvis.embedding import Embedding
from featvis.model import Preprocessing, VisionModel, WrongRequest
from featvis.network.survey import survey
from featvis.output import Key, Output

__all__ = ["wrap"]

EMBEDS = "it has no classes: its output is an embedding, not the sum of evidence for something"


def wrap(
    module: nn.Module,
    *,
    name: str,
    mean: Sequence[float],
    std: Sequence[float],
    size: tuple[int, int],
    labels: Sequence[str] = (),
    input: Preprocessing = Preprocessing(),  # noqa: B008
    embeds: bool = False,
    output: Output | Key = None,
    info: Mapping[str, str | int | float] = MappingProxyType({}),
) -> VisionModel:
    """Any network that takes (B, 3, H, W) and gives scores of classes (B, K), or one (B,).

    `mean` and `std` of its normalization, for pixels in [0, 1]; `size` is (height, width).
    `labels`: one for each class; a single score has two sides, classes 0 and 1, and takes the
    labels of both, or that of the positive side. `embeds`: the output is an embedding (B, D).
    `output`: the tensor that holds the scores if the network returns a dict, a tuple or a record:
    its name ("logits", "aux.0"), its index, or a function of what the network returns. By default
    `featvis.selection` chooses. An `Output` describes another kind of output;
    `Classes(final="sigmoid")` says that several classes may be true at once.
    The module itself is used, not a copy: it is put in eval mode and its parameters are frozen.
    A forward pass of two pictures finds its layers and proves its head. If the network ends in a
    sigmoid, a softmax or the like, a second pass leaves that out: the values before it are
    explained. `model.output.meaning` says so, and which other tensors may hold the scores.
    """
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise WrongRequest(
            f"{name}: mean and std are three numbers each, for red, green and blue, and std is "
            f"positive; not {tuple(mean)} and {tuple(std)}"
        )
    module.eval().requires_grad_(requires_grad=False)
    planes = _planes(mean), _planes(std)
    facts = survey(
        module,
        size=size,
        mean=planes[0],
        std=planes[1],
        output=replace(_kind(output, labels, embeds=embeds), network=name),
    )
    named = facts.output.labels if isinstance(facts.output, Classes) else ()
    if named and facts.classes and len(named) != facts.classes:
        raise WrongRequest(
            f"{name} has {facts.classes} outputs but {len(named)} labels; give one per output, "
            "in the order of the outputs, or none"
        )
    embeds = isinstance(facts.output, Embedding)
    count = sum(p.numel() for p in module.parameters())
    return VisionModel(
        name=name,
        module=module,
        mean=planes[0],
        std=planes[1],
        size=(size[0], size[1]),
        layers=facts.layers,
        output=facts.output,
        head=None if embeds else facts.head,
        head_reason=EMBEDS if embeds else facts.head_reason,
        input=input,
        info=MappingProxyType({"parameters": count, **info}),
    )


def _planes(numbers: Sequence[float]) -> Tensor:
    return torch.tensor([float(v) for v in numbers]).view(3, 1, 1)


def _kind(output: Output | Key, labels: Sequence[str], *, embeds: bool) -> Output:
    """The kind of output, before anything is known of it but a key."""
    if isinstance(output, Output):
        return output
    return Embedding(key=output) if embeds else Classes(tuple(labels), key=output)
