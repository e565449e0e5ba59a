"""Guided rules: how a gradient passes back through a rectifier, for any network as it is.

The rules act on the operations of the backward pass itself, under a dispatch mode that lives as
long as the call. Whether a ReLU is a module, a function, in place, shared or a ReLU6 makes no
difference, nothing of the network is replaced, and other threads are not concerned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from featvis.gradients.aim import Aim
from featvis.gradients.cropped_gradient import slope, zero_notes
from featvis.methods.grad_cams import grad_cam
from featvis.model import Image, VisionModel, values
from featvis.network.neuron import Position
from featvis.network.rules import operation
from featvis.render import on_input
from featvis.spec import method
from featvis.target import Target
from featvis.types import Attribution

__all__ = ["deconvnet", "guided_backprop", "guided_grad_cam"]

# Smooth rectifiers: operation of the backward pass -> its name, and where its own input stands.
SMOOTH = {
    "gelu_backward": ("GELU", 1),
    "silu_backward": ("SiLU", 1),
    "mish_backward": ("Mish", 1),
    "hardswish_backward": ("Hardswish", 1),
    "leaky_relu_backward": ("LeakyReLU", 1),
    "elu_backward": ("ELU", 5),
    "softplus_backward": ("Softplus", 1),
    "_prelu_kernel_backward": ("PReLU", 1),
}


class Guided(TorchDispatchMode):
    """Within: only positive gradients pass back through rectifiers.

    `gated`: the rectifier's own gate holds too (guided backpropagation), or does not (deconvnet).
    """

    def __init__(self, *, gated: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gated = gated
        self.rectifiers = 0
        self.smooth: dict[str, None] = {}  # in the order met

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation(func)
        if name == "threshold_backward" or (name == "hardtanh_backward" and args[2] >= 0):
            self.rectifiers += 1
            positive = args[0].clamp_min(0)
            return func(positive, *args[1:]) if self.gated else positive
        if name in SMOOTH:
            return self._smooth(func, args, *SMOOTH[name])
        return func(*args, **(kwargs or {}))

    def _smooth(self, func: Any, args: Sequence[Any], name: str, at: int) -> Any:
        """The same rule with the activation's own slope, where its input is positive."""
        self.smooth[name] = None
        positive = args[0].clamp_min(0)
        if not self.gated:
            return (positive, torch.zeros_like(args[2])) if name == "PReLU" else positive
        out = func(positive, *args[1:])
        gate = args[at] > 0
        return (out[0] * gate, out[1]) if isinstance(out, tuple) else out * gate

    def notes(self, title: str) -> tuple[str, ...]:
        """What must be known of the activations that were met."""
        if self.smooth:
            names = " and ".join(self.smooth)
            rule = "and inputs are cut off, the rest has its own slope" if self.gated else "are cut"
            return (
                f"this network has {names} where {title} is defined for ReLU: here negative "
                f"gradients {rule}; this is not {title} as published",
            )
        if not self.rectifiers:
            return (f"no rectifier was met: without one {title} is the plain gradient",)
        return ()


@method(
    "Guided backpropagation",
    family="Class evidence",
    paper="Springenberg et al. 2014, arXiv:1412.6806",
    cost=3,
    first=True,
)
def guided_backprop(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: str | None = None,
    channel: int | None = None,
    position: Position = None,
) -> Attribution:
    """What excites a neuron, or speaks for a class: the gradient along positive ways only.

        R_in = R_out where R_out > 0 and the ReLU's input > 0, else 0

    At every ReLU on the way back negative gradients are set to zero, and so is what the ReLU
    stopped on the way up. The picture is sharp and shows which strokes and colours the neuron
    answers to. Of a class it says little: it hardly changes with the class or with the upper
    layers' weights (Adebayo et al. 2018), much like an edge detector.
    """
    return _guided(model, values(image), Aim(model, target, layer, channel, position), True)


@method(
    "DeconvNet", family="Class evidence", paper="Zeiler and Fergus 2014, arXiv:1311.2901", cost=3
)
def deconvnet(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: str | None = None,
    channel: int | None = None,
    position: Position = None,
) -> Attribution:
    """A neuron projected back to pixels: rectified on the way down instead of gated.

        R_in = max(0, R_out) at every ReLU; max pooling returns to where the maximum was

    Only the places of the maxima come from the picture, so a network without max pooling draws
    much the same for every picture. Guided backpropagation keeps both gates.
    """
    return _guided(model, values(image), Aim(model, target, layer, channel, position), False)


@method(
    "Guided Grad-CAM",
    family="Class evidence",
    paper="Selvaraju et al. 2017, arXiv:1610.02391",
    cost=6,
)
def guided_grad_cam(
    model: VisionModel, image: Tensor | Image, target: Target = None, layer: str | None = None
) -> Attribution:
    """Guided backpropagation where Grad-CAM sees the class: sharp, and in the right place.

        A = guided backpropagation of logit_c . Grad-CAM_c, enlarged to the input

    The detail comes from the first factor and is no evidence by itself; the place comes from the
    second. `layer` is Grad-CAM's.
    """
    pixels = values(image)
    aim, _ = Aim(model, target).settled(pixels)
    heat = grad_cam(model, pixels, aim.target, layer)
    fine = _guided(model, pixels, aim, True)
    h, w = pixels.shape[2:]
    product = fine.values * on_input(heat, (h, w))[:, None].to(fine.values)
    notes = (*fine.notes, *heat.notes)
    return Attribution(
        product, fine.target, fine.score, product.abs().amax(1), colors=True, notes=notes
    )


def _guided(model: VisionModel, images: Tensor, aim: Aim, gated: bool) -> Attribution:
    rules = Guided(gated=gated)
    gradient, score = slope(aim, images.detach(), rules)
    title = "guided backpropagation" if gated else "DeconvNet"
    return Attribution(
        gradient,
        score.words,
        score.values,
        gradient.abs().amax(1),
        colors=True,
        notes=(*rules.notes(title), *zero_notes(gradient)),
    )
