"""What class evidence costs on top of the forward pass that makes the prediction."""

from __future__ import annotations

import torch

import featvis
import zoo_adapters
from benchmarks.timing import interleaved

BOUNDS = {"cam": 1.10, "grad_cam": 1.25}


def main(rounds: int = 30) -> None:
    """ResNet-50, 224 px, batch 1: ratios to a bare forward pass without gradients."""
    model = zoo_adapters.load("timm:resnet50", pretrained=False)
    image = torch.rand(1, 3, *model.size, generator=torch.Generator().manual_seed(0))

    def bare() -> None:
        with torch.no_grad():
            model(image)

    found = interleaved(
        {
            "forward pass": bare,
            "cam": lambda: featvis.cam(model, image),
            "grad_cam": lambda: featvis.grad_cam(model, image),
        },
        rounds,
    )
    print(f"ResNet-50, 224 px, batch 1, {torch.get_num_threads()} threads, {rounds} rounds")
    print("| | median ms | ratio to the forward pass | bound |\n| --- | ---: | ---: | ---: |")
    for name, (seconds, ratio) in found.items():
        bound = f"{BOUNDS[name]:.2f}" if name in BOUNDS else ""
        print(f"| {name} | {1000 * seconds:.1f} | {ratio:.3f} | {bound} |")
