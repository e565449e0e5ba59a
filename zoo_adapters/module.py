"""Your own network: an nn.Module and its preprocessing in, a VisionModel out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from featvis.classes import Classes
from featvis.embedding import Embedding
from featvis.model import Preprocessing, VisionModel, WrongRequest
from featvis.network.survey import survey
from featvis.output import Output

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
    output: Output | None = None,
    info: Mapping[str, str | int | float] = MappingProxyType({}),
) -> VisionModel:
    """Any network that takes (B, 3, H, W) and gives logits (B, K).

    `mean` and `std` of its normalization, for pixels in [0, 1]; `size` is (height, width);
    `embeds`: its output is an embedding (B, D), not the scores of classes; `output`: it is of
    another kind, which a class of your own describes.
    The module itself is used, not a copy: it is put in eval mode and its parameters are frozen.
    One forward pass of two pictures finds its layers and proves its head.
    """
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise WrongRequest(
            f"{name}: mean and std are three numbers each, for red, green and blue, and std is "
            f"positive; not {tuple(mean)} and {tuple(std)}"
        )
    module.eval().requires_grad_(requires_grad=False)
    planes = _planes(mean), _planes(std)
    facts = _survey(module, name, size, planes)
    if labels and facts.classes and len(labels) != facts.classes:
        raise WrongRequest(
            f"{name} has {facts.classes} outputs but {len(labels)} labels; give one per output, "
            "in the order of the outputs, or none"
        )
    if output is None:
        output = Embedding(facts.classes) if embeds else Classes(tuple(labels), facts.classes)
    count = sum(p.numel() for p in module.parameters())
    return VisionModel(
        name=name,
        module=module,
        mean=planes[0],
        std=planes[1],
        size=(size[0], size[1]),
        layers=facts.layers,
        output=replace(output, network=name),
        head=None if embeds else facts.head,
        head_reason=EMBEDS if embeds else facts.head_reason,
        input=input,
        info=MappingProxyType({"parameters": count, **info}),
    )


def _planes(numbers: Sequence[float]) -> Tensor:
    return torch.tensor([float(v) for v in numbers]).view(3, 1, 1)


def _survey(
    module: nn.Module, name: str, size: tuple[int, int], planes: tuple[Tensor, Tensor]
) -> Any:
    try:
        return survey(module, size=size, mean=planes[0], std=planes[1])
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WrongRequest(
            f"{name} does not run on two pictures of {size[0]} x {size[1]}: {said}; "
            "check the size, and that it takes (B, 3, H, W)"
        ) from error
