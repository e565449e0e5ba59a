"""Attribution against captum, pytorch-grad-cam and torchcam, on ResNet-50 at 224 px.

    pip install captum grad-cam torchcam; python -m benchmarks attribution

A library that is not installed is left out, and said. Each comparison is a run of its own in which
the candidates take turns; the ratio is the median over the rounds.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

import featvis
import zoo_adapters
from benchmarks.timing import interleaved

TARGET = 281
NEURON = ("layer2.3", 17, (14, 14))


class Pixels(nn.Module):
    """From pixels to logits, as the other libraries take it."""

    def __init__(self, model: featvis.VisionModel) -> None:
        super().__init__()
        self.mean, self.std, self.module = model.mean, model.std, model.module

    def forward(self, x: Tensor) -> Any:
        """Logits (B, K)."""
        return self.module((x - self.mean) / self.std)


def main(rounds: int = 5) -> None:
    """One table: what is compared, both times, the ratio, and what was aimed at."""
    model = zoo_adapters.load("timm:resnet50", pretrained=False)
    image = torch.rand(1, 3, *model.size, generator=torch.Generator().manual_seed(0))
    print(f"ResNet-50, 224 px, batch 1, {torch.get_num_threads()} threads, {rounds} rounds\n")
    print(
        "| | featvis, s | other, s | other / featvis | aim |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for title, (other, ours, aim, fewer) in comparisons(model, image).items():
        library = title.rpartition("than ")[2].split("'")[0].replace("-", "_")
        if library in ("captum", "pytorch_grad_cam", "torchcam") and find_spec(library) is None:
            print(f"| {title} | | not installed | | {aim} |")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = interleaved({"other": other, "ours": ours}, max(1, rounds // fewer), 1)
        print(
            f"| {title} | {found['ours'][0]:.3f} | {found['other'][0]:.3f} "
            f"| {1 / found['ours'][1]:.2f} | {aim} |",
            flush=True,
        )


def comparisons(
    model: featvis.VisionModel, image: Tensor
) -> dict[str, tuple[Callable[[], object], Callable[[], object], str, int]]:
    """Title -> the other way, ours, the aim, and by how much fewer rounds it is measured."""
    pixels = Pixels(model).eval()
    usual = copy.deepcopy(pixels).requires_grad_()  # pytorch-grad-cam takes no frozen network
    layer, channel, position = NEURON

    def bare() -> None:
        leaf = image.clone().requires_grad_()
        torch.autograd.grad(pixels(leaf)[0, TARGET], leaf)

    return {
        "saliency, than a bare forward and backward pass": (
            bare, lambda: featvis.saliency(model, image, TARGET), ">= 0.95", 1),
        "smoothgrad (25), than captum's default": (
            lambda: _captum("NoiseTunnel", pixels, image),
            lambda: featvis.smoothgrad(model, image, TARGET), ">= 1.5", 2),
        "integrated gradients (50), than captum": (
            lambda: _captum("IntegratedGradients", pixels, image),
            lambda: featvis.integrated_gradients(model, image, TARGET), ">= 1.3", 3),
        "guided backprop of a neuron, than captum": (
            lambda: _captum_neuron(pixels, image, layer, channel, position),
            lambda: featvis.guided_backprop(
                model, image, layer=layer, channel=channel, position=position),
            ">= 2", 1),
        "guided backprop of a class, than captum": (
            lambda: _captum("GuidedBackprop", pixels, image),
            lambda: featvis.guided_backprop(model, image, TARGET), "", 1),
        "grad_cam, than pytorch_grad_cam": (
            lambda: _grad_cam(usual, image),
            lambda: featvis.grad_cam(model, image, TARGET), "", 1),
        "occlusion (12 x 12), than captum": (
            lambda: _captum_occlusion(pixels, image),
            lambda: featvis.occlusion(model, image, TARGET), "", 3),
        "score_cam (2048 masks), than torchcam": (
            lambda: _torchcam(pixels, image),
            lambda: featvis.score_cam(model, image, TARGET), ">= 2", 5),
    }  # fmt: skip


def _captum(name: str, pixels: nn.Module, image: Tensor) -> None:
    import captum.attr as attr

    if name == "NoiseTunnel":
        explain = attr.NoiseTunnel(attr.Saliency(pixels))
        explain.attribute(image, nt_type="smoothgrad", nt_samples=25, stdevs=0.15, target=TARGET)
    elif name == "IntegratedGradients":
        attr.IntegratedGradients(pixels).attribute(image, target=TARGET, n_steps=50)
    else:
        getattr(attr, name)(pixels).attribute(image.clone().requires_grad_(), target=TARGET)


def _captum_neuron(
    pixels: Any, image: Tensor, layer: str, channel: int, position: tuple[int, int]
) -> None:
    import captum.attr as attr

    explain = attr.NeuronGuidedBackprop(pixels, pixels.module.get_submodule(layer))
    explain.attribute(image.clone().requires_grad_(), (channel, *position))


def _captum_occlusion(pixels: nn.Module, image: Tensor) -> None:
    import captum.attr as attr

    explain = attr.Occlusion(pixels)
    explain.attribute(image, (3, 45, 45), (3, 16, 16), target=TARGET, perturbations_per_eval=16)


def _grad_cam(pixels: Any, image: Tensor) -> None:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(pixels, [pixels.module.layer4[-1]]) as explain:
        explain(image, [ClassifierOutputTarget(TARGET)])


def _torchcam(pixels: Any, image: Tensor) -> None:
    from torchcam.methods import ScoreCAM

    with torch.no_grad(), ScoreCAM(pixels, "module.layer4", batch_size=16) as explain:
        logits = pixels(image)
        explain(TARGET, logits)
