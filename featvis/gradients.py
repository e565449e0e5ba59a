"""Gradients at the input: what a small change of each pixel would do to a class or a neuron."""

from __future__ import annotations

import torch
from torch import Tensor

from featvis.model import Image, VisionModel, values
from featvis.record import record
from featvis.spec import method
from featvis.target import Position, Target, classes, neuron
from featvis.types import Attribution

__all__ = ["saliency"]


@method("Saliency", family="Class evidence", paper="Simonyan et al. 2013, arXiv:1312.6034")
def saliency(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: str | None = None,
    channel: int | None = None,
    position: Position = None,
) -> Attribution:
    """How strongly each pixel, changed a little, changes the score: the largest |gradient|.

        S(x, y) = max over colour of |d logit_c / d I(x, y)|

    With a layer and a channel the score is that neuron's activation instead of a class's logit.
    The gradient says what the score is sensitive to here, not what it is made of: the map is noisy
    in deep networks, and a bright pixel may speak for or against the class.
    """
    leaf = values(image).detach().requires_grad_()
    with torch.enable_grad():
        score, words = _score(model, leaf, target, layer, channel, position)
        gradient = torch.autograd.grad(score.sum(), leaf)[0]
    return Attribution(gradient, words, gradient.abs().amax(1))


def _score(
    model: VisionModel,
    leaf: Tensor,
    target: Target,
    layer: str | None,
    channel: int | None,
    position: Position,
) -> tuple[Tensor, str]:
    """The score (B,) to differentiate, and what it is in words."""
    if layer is not None and channel is not None:
        return neuron(model, layer, channel, position, record(model, leaf, layer)[layer])
    logits = model(leaf)
    target = classes(model, logits, target)
    names = sorted({model.labels[t] if model.labels else f"class {t}" for t in target.tolist()})
    return logits.gather(1, target[:, None])[:, 0], ", ".join(names)
