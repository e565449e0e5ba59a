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
    """Any network that takes (B, 3, H, W) and gives logits (B, K).

    `mean` and `std` of its normalization, for pixels in [0, 1]; `size` is (height, width);
    `labels`: one for each class, of a single logit (B,) or (B, 1) those of both sides or of the
    positive one; `embeds`: its output is an embedding (B, D), not the scores of classes.
    `output`: where the scores are in a dict, tuple or record, a key ("logits", "aux.0"), an index
    or a function of the raw output; by default `featvis.selection` chooses. An `Output` instead
    says that it is of another kind.
    The module itself is used, not a copy: it is put in eval mode and its parameters are frozen.
    A forward pass of two pictures finds its layers and proves its head. A final sigmoid, softmax
    or the like is found too: the values before it are explained, and the probabilities are its.
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
