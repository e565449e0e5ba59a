"""Train the bundled networks again: python -m zoo_adapters.bundled.train [NAME ...].

Seeds are fixed; the same machine gives the same weights. Each network is written as a hub folder
(config.json, model.safetensors) when it is done, over the old one in one step.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import zoo_adapters.bundled.alexnet  # it registers its architecture
from featvis.network.cost import Products
from featvis.network.survey import mixing
from zoo_adapters.bundled import WEIGHTS, folder
from zoo_adapters.bundled.data import HELD_OUT, TRAINING, pictures
from zoo_adapters.bundled.recipes import RECIPES, SIZES, Recipe
from zoo_adapters.bundled.scenes import CLASSES, SIZE
from zoo_adapters.measured import convolutions, kind_of

MEAN, STD = 0.5, 0.25
BATCH = 128


def main() -> None:
    """Train the networks named, or all in the order of RECIPES."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("names", nargs="*", default=list(RECIPES), metavar="NAME")
    options.add_argument("--scenes", type=int, default=24_000, help="training scenes")
    options.add_argument("--epochs", type=float, default=1.0, help="factor on the epochs")
    options.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "scenes-cache")
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = options.parse_args()
    training = pictures(TRAINING, chosen.scenes, chosen.cache)
    held_out = pictures(HELD_OUT, 2000, chosen.cache)
    for name in chosen.names:
        train(name, training, held_out, chosen.device, chosen.epochs)


def train(name: str, training: Any, held_out: Any, device: str, factor: float) -> None:
    """Train one network and write its folder."""
    recipe = RECIPES[name]
    torch.manual_seed(0)
    module = build(recipe).to(device).to(memory_format=torch.channels_last)
    first = _first_filters(module) if recipe.smooth else None
    epochs = max(1, round(recipe.epochs * factor))
    steps = epochs * (len(training[0]) // BATCH)
    optimizer = torch.optim.AdamW(_groups(module, recipe.decay), recipe.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps, pct_start=0.15
    )
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    teacher = _load(recipe.teacher, device) if recipe.teacher else None
    random = np.random.default_rng(0)
    begin = time.perf_counter()
    for epoch in range(epochs):
        module.train()
        size = next(size for share, size in SIZES if epoch < epochs * share)
        total = 0.0
        for images, labels in _batches(training, random, size, device):
            with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.half):
                logits = module(images)
            loss = _loss(logits.float(), labels, teacher, images)
            if first is not None:
                loss = loss + recipe.smooth * roughness(first)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 2.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(module)
            total += float(loss.detach())
        right = accuracy(average.module, held_out, device)
        mean = total / (steps // epochs)
        spent = time.perf_counter() - begin
        done = f"{name} epoch {epoch + 1}/{epochs}, {size} px"
        print(f"{done}: loss {mean:.3f}, held out {right:.4f}, {spent:.0f} s", flush=True)
    facts = {"held_out_top1": round(right, 4), "scenes": len(training[0]), "epochs": epochs}
    write(name, average.module, facts)


def build(recipe: Recipe) -> nn.Module:
    """The network with random weights."""
    arguments = {**recipe.arguments, **recipe.training, "num_classes": len(CLASSES)}
    return timm.create_model(recipe.architecture, pretrained=False, **arguments)


def _first_filters(module: nn.Module) -> Tensor:
    return next(m.weight for m in module.modules() if isinstance(m, nn.Conv2d))


def roughness(filters: Tensor) -> Tensor:
    """Energy of the Laplacian of filters (C, in, kh, kw) over their own; 20 for white noise.

    Directions in which the pictures hardly vary get no gradient but the noise of the batches; the
    penalty lets them die out, so that a filter shows what it responds to.
    """
    planes = filters.flatten(0, 1)[:, None]
    kernel = planes.new_tensor([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])[None, None]
    energy = F.conv2d(planes, kernel, padding=1).square().reshape(len(filters), -1).sum(1)
    return (energy / filters.square().flatten(1).sum(1)).mean()


def _groups(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and gains do not."""
    weights = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _loss(logits: Tensor, labels: Tensor, teacher: nn.Module | None, images: Tensor) -> Tensor:
    loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
    if teacher is None:
        return loss
    with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16):
        wanted = teacher(images).float()
    soft = F.kl_div(
        F.log_softmax(logits / 2, 1),
        F.log_softmax(wanted / 2, 1),
        log_target=True,
        reduction="batchmean",
    )
    return 0.5 * loss + 2 * soft


def _batches(
    data: Any, random: np.random.Generator, size: int, device: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order: normalized, mirrored, shifted, tinted."""
    images, labels = data
    order = random.permutation(len(images))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        batch = torch.from_numpy(images[chosen]).to(device).permute(0, 3, 1, 2).float() / 255
        batch = _varied(batch, random, size)
        normal = (batch - MEAN) / STD
        yield (
            normal.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(labels[chosen]).to(device),
        )


def _varied(batch: Tensor, random: np.random.Generator, size: int) -> Tensor:
    """Mirrored, turned, scaled and shifted a little by one affine sampling; tinted; cut out."""
    count = len(batch)
    scale = random.uniform(0.8, 1.1, count)
    angle, mirror = random.normal(0, 0.08, count), random.choice([-1.0, 1.0], count)
    shift = random.uniform(-0.12, 0.12, (count, 2))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    theta = np.stack([
        np.stack([mirror * c, -s, shift[:, 0]], 1), np.stack([mirror * s, c, shift[:, 1]], 1)
    ], 1)  # fmt: skip
    grid = F.affine_grid(
        torch.from_numpy(theta).float().to(batch), [count, 3, size, size], align_corners=False
    )
    batch = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    gain = torch.from_numpy(random.uniform(0.75, 1.25, (count, 3, 1, 1))).float().to(batch)
    return (batch * gain).clamp(0, 1)


@torch.no_grad()
def accuracy(module: nn.Module, data: Any, device: str) -> float:
    """Top-1 on scenes (images, labels), in float32."""
    module.eval()
    right = 0
    for start in range(0, len(data[0]), 250):
        images = torch.from_numpy(data[0][start : start + 250]).to(device).permute(0, 3, 1, 2)
        logits = module(((images / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last))
        right += int((logits.argmax(1).cpu().numpy() == data[1][start : start + 250]).sum())
    return right / len(data[0])


def write(name: str, module: nn.Module, facts: dict[str, Any]) -> None:
    """The hub folder of a network, complete or not at all."""
    WEIGHTS.mkdir(exist_ok=True)
    made = WEIGHTS / f".{name}.{os.getpid()}"
    made.mkdir()
    state = {k: v.half().contiguous().cpu() if v.is_floating_point() else v.cpu()
             for k, v in module.state_dict().items()}  # fmt: skip
    save_file(state, made / "model.safetensors", metadata={"format": "pt"})
    config = json.dumps(configuration(name, module, facts), indent=1) + "\n"
    (made / "config.json").write_text(config, encoding="utf-8")
    shutil.rmtree(folder(name), ignore_errors=True)
    made.rename(folder(name))


def configuration(name: str, module: nn.Module, facts: dict[str, Any]) -> dict[str, Any]:
    """What timm's hub loading reads, and how the network was trained."""
    recipe = RECIPES[name]
    default: Any = module.pretrained_cfg
    return {
        "architecture": recipe.architecture,
        "num_classes": len(CLASSES),
        "num_features": module.num_features,
        "label_names": list(CLASSES),
        "model_args": recipe.arguments,
        "pretrained_cfg": {
            "tag": "scenes",
            "custom_load": False,
            "input_size": [3, SIZE, SIZE],
            "fixed_input_size": False,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
            "num_classes": len(CLASSES),
            "first_conv": default.get("first_conv"),
            "classifier": default.get("classifier"),
            "license": "apache-2.0",
            "description": f"{recipe.title}, trained on drawn scenes",
            **recipe.fixed,
        },
        "training": facts,
        "measured": _measured(module),
    }


def _measured(module: nn.Module) -> dict[str, Any]:
    """How large the network is and of what kind, for those who choose one."""
    with torch.no_grad(), Products() as products:
        module(torch.zeros(1, 3, SIZE, SIZE))
    how: dict[str, Any] = {"mean": (MEAN,) * 3, "std": (STD,) * 3, "size": (SIZE, SIZE)}
    model = zoo_adapters.wrap(module, name="scenes", **how)
    return {
        "parameters": model.parameters,
        "gmacs": float(f"{products.count / 1e9:.4g}"),
        "kind": kind_of(mixing(model), convolutions(model)),
        "head": model.head.kind if model.head else "none",
    }


def _load(name: str, device: str) -> nn.Module:
    """A trained network at the resolution of its training: its finer maps cost a teacher time."""
    arguments = RECIPES[name].training
    module = timm.create_model(f"local-dir:{folder(name)}", pretrained=True, **arguments)
    module.eval().requires_grad_(False)
    return module.to(device).to(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
