"""Your own network: an nn.Module and its preprocessing in, a VisionModel out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from featvis.autograd import in_own_mode
from featvis.classes import Classes
from featvis.embedding import Embedding
from featvis.model import Preprocessing, VisionModel, WrongRequest
from featvis.network.survey import survey
from featvis.output import Key, Output

from .holding import Call, hold, releasing, unwrapped

__all__ = ["wrap"]

LARGER = 32  # pixels by which a picture is larger to try whether the network takes it
EMBEDS = "it has no classes: its output is an embedding, not the sum of evidence for something"


@in_own_mode
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
    call: Call | None = None,
    info: Mapping[str, str | int | float] = MappingProxyType({}),
) -> VisionModel:
    """Any network that takes (B, 3, H, W) and gives logits (B, K).

    `mean` and `std` of its normalization, for pixels in [0, 1]; `size` is (height, width);
    `labels`: one for each class, of a single logit (B,) or (B, 1) those of both sides or of the
    positive one; `embeds`: its output is an embedding (B, D), not the scores of classes.
    `output`: where the scores are in a dict, tuple or record, a key ("logits", "aux.0"), an index
    or a function of the raw output; by default `featvis.selection` chooses. An `Output` instead
    says that it is of another kind.
    `call`: how the network is run on pictures where they are not its only argument, as
    `lambda run, pictures: run(pictures, reference)`; `run` is its own `forward`.
    The module itself is used, not a copy: it is put in eval mode and its parameters are frozen,
    until `model.release()` or the end of `with wrap(...) as model:` gives it back as it was.
    `nn.DataParallel` and `torch.compile` are taken off it for as long.
    A forward pass of two pictures finds its layers and proves its head. A final sigmoid, softmax
    or the like is found too: the values before it are explained, and the probabilities are its.
    """
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise WrongRequest(
            f"{name}: mean and std are three numbers each, for red, green and blue, and std is "
            f"positive; not {tuple(mean)} and {tuple(std)}"
        )
    module = unwrapped(module)
    give_back = hold(module, call)
    planes = _planes(mean), _planes(std)
    kind = replace(_kind(output, labels, embeds=embeds), network=name)
    with releasing(give_back):
        facts = survey(module, size=size, mean=planes[0], std=planes[1], output=kind)
        named = facts.output.labels if isinstance(facts.output, Classes) else ()
        if named and facts.classes and len(named) != facts.classes:
            raise WrongRequest(
                f"{name} has {facts.classes} outputs but {len(labels)} labels; give one per "
                "output, in the order of the outputs, or none"
            )
    if facts.head is None and not input.fixed_size and not _takes_others(module, planes, size):
        input = replace(input, fixed_size=True)
    embeds = isinstance(facts.output, Embedding)
    if facts.others:
        info = {**info, "output": facts.others}
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
        give_back=give_back,
    )


def _takes_others(module: nn.Module, planes: tuple[Tensor, Tensor], size: tuple[int, int]) -> bool:
    """Does the network run on pictures of another size, too? One that flattens its map does not."""
    weights = next(module.parameters(), planes[0])
    gray = torch.zeros(1, 3, size[0] + LARGER, size[1] + LARGER).to(weights)
    try:
        with torch.no_grad():
            module(gray)
    except Exception:
        return False
    return True


def _planes(numbers: Sequence[float]) -> Tensor:
    return torch.tensor([float(v) for v in numbers]).view(3, 1, 1)


def _kind(output: Output | Key, labels: Sequence[str], *, embeds: bool) -> Output:
    """The kind of output, before anything is known of it but a key."""
    if isinstance(output, Output):
        return output
    return Embedding(key=output) if embeds else Classes(tuple(labels), key=output)
