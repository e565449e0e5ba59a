"""Gradients at the input: what a small change of each pixel would do to a class or a neuron."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from featvis.gradients.aim import Aim
from featvis.gradients.cropped_gradient import slope, zero_notes
from featvis.gradients.precision import Precision
from featvis.gradients.samples import baseline as made
from featvis.gradients.samples import summed_gradients
from featvis.model import Image, VisionModel, values
from featvis.network.neuron import Position
from featvis.spec import Range, Tuning, method
from featvis.target import Target
from featvis.types import Attribution

__all__ = ["gradient_x_input", "integrated_gradients", "saliency", "smoothgrad"]

Baseline = Annotated[Literal["black", "mean", "blur"], "The picture without information, in pixels"]
Batch = Annotated[int, Range(1, 1024), Tuning("Pictures computed at once: bounds the memory only")]

PER_PIXEL = "score per pixel"  # all pixels together make up the score, or its rise
PER_PIXEL_VALUE = "score per value of a pixel"  # a gradient


@method("Saliency", family="Class evidence", paper="Simonyan et al. 2013, arXiv:1312.6034", cost=3)
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

    With a channel of a layer the score is that neuron's activation instead of a class's logit.
    The gradient says what the score is sensitive to here, not what it is made of: the map is noisy
    in deep networks, and a bright pixel may speak for or against the class.
    """
    gradient, score = slope(Aim(model, target, layer, channel, position), values(image).detach())
    shown, notes = gradient.abs().amax(1), zero_notes(gradient)
    return Attribution(
        gradient, score.words, score.values, shown, notes=notes, unit=PER_PIXEL_VALUE
    )


@method(
    "Gradient x input",
    family="Class evidence",
    paper="Shrikumar et al. 2016, arXiv:1605.01713",
    cost=3,
)
def gradient_x_input(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: str | None = None,
    channel: int | None = None,
    position: Position = None,
    *,
    baseline: Baseline = "mean",
) -> Attribution:
    """The gradient times what it is the gradient of: each pixel's share of a linear score.

        A(x, y) = (I(x, y) - I'(x, y)) . d logit_c / d I(x, y)

    I' is the baseline picture. Were the network linear, the shares would add up to the difference
    of the scores of I and I'; it is not, and integrated gradients mends that. Warm colours raise
    the score, cold ones lower it.
    """
    pixels = values(image).detach()
    found = saliency(model, pixels, target, layer, channel, position)
    parts = found.values * (pixels - made(baseline, pixels, model.mean))
    return Attribution(
        parts,
        found.target,
        found.score,
        parts.sum(1),
        signed=True,
        notes=found.notes,
        unit=PER_PIXEL,
    )


@method(
    "SmoothGrad",
    family="Class evidence",
    paper="Smilkov et al. 2017, arXiv:1706.03825",
    cost=lambda _, given: 3 * given["samples"] + 1,
)
def smoothgrad(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: str | None = None,
    channel: int | None = None,
    position: Position = None,
    *,
    samples: Annotated[int, Range(1, 500), "Noisy copies of the picture"] = 25,
    noise: Annotated[float, Range(0, 1), "Noise, as a share of the picture's range"] = 0.15,
    seed: Annotated[int, Range(0, 2**31 - 1), Tuning("Of the noise")] = 0,
    batch: Batch = 5,
    precision: Precision = "auto",
) -> Attribution:
    """The gradient, averaged over noisy copies of the picture: saliency with less speckle.

        S(x, y) = max over colour of |mean over n of d logit_c / d I(I + N(0, s^2))|

    s is `noise` times the span of the picture's values. The class, or the neuron, is that of the
    clean picture for all copies. What is left after averaging is the gradient's trend around the
    picture; much noise shows the network something it was not made for.
    """
    pixels = values(image).detach()
    aim, score = Aim(model, target, layer, channel, position).settled(pixels)
    span = pixels.amax((1, 2, 3), keepdim=True) - pixels.amin((1, 2, 3), keepdim=True)

    def noisy(picture: Tensor, sample: Tensor) -> Tensor:
        grain = torch.stack([_grain(seed, n, pixels) for n in sample.tolist()])
        return pixels[picture] + noise * span[picture] * grain

    weights = torch.full((samples,), 1 / samples, dtype=pixels.dtype)
    found = summed_gradients(aim, pixels, noisy, weights, batch, precision)
    shown = found.values.abs().amax(1)
    return Attribution(
        found.values, score.words, score.values, shown, notes=found.notes, unit=PER_PIXEL_VALUE
    )


def _grain(seed: int, sample: int, like: Tensor) -> Tensor:
    """Normal noise (3, H, W) of one sample: the same in every batch and for every picture."""
    make = torch.Generator().manual_seed(seed * 1009 + sample)
    return torch.randn(like.shape[1:], generator=make).to(like)


@method(
    "Integrated gradients",
    family="Class evidence",
    paper="Sundararajan et al. 2017, arXiv:1703.01365",
    cost=lambda _, given: 3 * given["steps"] + 2,
)
def integrated_gradients(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: str | None = None,
    channel: int | None = None,
    position: Position = None,
    *,
    steps: Annotated[int, Range(2, 500), "Points on the way from the baseline"] = 50,
    baseline: Baseline = "mean",
    batch: Batch = 5,
    precision: Precision = "auto",
) -> Attribution:
    """The score's way from a baseline to the picture, shared out among the pixels.

        A = (I - I') . integral over a in [0, 1] of d logit_c / d I(I' + a (I - I')) da

    The sum of A is the score of I minus that of the baseline I': the gap says how well `steps`
    points of Gauss-Legendre quadrature reach that, as a share of the difference. What equals the
    baseline gets nothing: black things on a black baseline, whatever they mean to the network.
    Warm colours raise the score, cold ones lower it.
    """
    pixels = values(image).detach()
    empty = made(baseline, pixels, model.mean)
    aim, score = Aim(model, target, layer, channel, position).settled(pixels)
    points, weights = (t.to(pixels) for t in legendre(steps))

    def between(picture: Tensor, sample: Tensor) -> Tensor:
        return torch.lerp(empty[picture], pixels[picture], points[sample][:, None, None, None])

    found = summed_gradients(aim, pixels, between, weights, batch, precision)
    parts = (pixels - empty) * found.values
    with torch.no_grad():
        difference = score.values - aim(empty).values
    missing = (parts.sum((1, 2, 3)) - difference).abs()
    gap = missing / difference.abs().clamp_min(1e-12)
    return Attribution(
        parts,
        score.words,
        score.values,
        parts.sum(1),
        signed=True,
        gap=gap,
        notes=found.notes,
        unit=PER_PIXEL,
    )


def legendre(count: int) -> tuple[Tensor, Tensor]:
    """Points in (0, 1) and weights of Gauss-Legendre quadrature (Golub and Welsch 1969)."""
    n = torch.arange(1, count, dtype=torch.double)
    beside = n / (4 * n.square() - 1).sqrt()
    roots, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return (roots + 1) / 2, vectors[0].square()
