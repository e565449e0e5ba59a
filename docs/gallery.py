"""Makes docs/gallery: python -m docs.gallery [SHEET ...]. Pictures that networks made of noise.

Without a name all sheets are made; README.md says how each was. The ImageNet network is read from
the folder FEATVIS_REAL_DATA/weights; without it, its sheets stay as they are.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

import featvis
import zoo_adapters
from featvis import VisionModel, render

FOLDER = Path(__file__).with_name("gallery")
MOBILENET = "mobilenetv2_100.coral_qat_in1k"
CLASSES = [130, 281, 949, 985, 340, 437]
CHANNELS = list(range(0, 60, 10))


class Sheet(NamedTuple):
    """Six pictures in a row: a model, what excites it, and how it was found."""

    model: str
    layer: str | None = None
    numbers: list[int] = CLASSES  # channels of the layer, or classes
    steps: int = 256
    size: int = 0
    seed: int = 0
    preset: str = "Fourier + robust"


SHEETS = {
    "mobilenet-classes": Sheet(MOBILENET),
    "mobilenet-early": Sheet(MOBILENET, "blocks.1.0.bn1", CHANNELS, 128, 112),
    "mobilenet-middle": Sheet(MOBILENET, "blocks.3.1.bn1", CHANNELS, 128, 160),
    "mobilenet-patterns": Sheet(MOBILENET, "blocks.4", CHANNELS),
    "mobilenet-parts": Sheet(MOBILENET, "blocks.5", CHANNELS),
    "mobilenet-late": Sheet(MOBILENET, "bn2", CHANNELS, 160),
    "scenes-alexnet-conv1": Sheet("bundled:scenes-alexnet", "features.conv1", CHANNELS, 128),
    "scenes-alexnet": Sheet("bundled:scenes-alexnet", "features.conv5", CHANNELS, 128),
    "scenes-resnet": Sheet("bundled:scenes-resnet", "layer4", CHANNELS, 128),
    "scenes-mobilenet": Sheet("bundled:scenes-mobilenet", "blocks.3.0.bn2", CHANNELS, 128),
    "scenes-convnext": Sheet("bundled:scenes-convnext", "stages.2", CHANNELS, 128),
    "scenes-vit": Sheet("bundled:scenes-vit", "blocks.4", CHANNELS, 128),
    "scenes-classes": Sheet("bundled:scenes-resnet", None, [0, 4, 8, 12, 16, 20], 128),
}


def main(names: list[str]) -> None:
    """Make the sheets of these names, then the page of all."""
    for name in names or SHEETS:
        sheet = SHEETS[name]
        model = _model(sheet.model)
        if model is not None:
            print(name, flush=True)
            _make(name, sheet, model)
    (FOLDER / "README.md").write_text(_page(), encoding="utf8")


def _model(name: str) -> VisionModel | None:
    if name != MOBILENET:
        return zoo_adapters.load(name)
    folder = Path(os.environ.get("FEATVIS_REAL_DATA", "")) / "weights" / MOBILENET
    return zoo_adapters.load(f"timm:local-dir:{folder}") if folder.is_dir() else None


def _make(name: str, sheet: Sheet, model: VisionModel) -> None:
    subject: dict[str, Any] = {"target": sheet.numbers}
    if sheet.layer is not None:
        subject = {"layer": sheet.layer, "channel": sheet.numbers}
    how: dict[str, Any] = {
        "preset": sheet.preset, "steps": sheet.steps, "size": sheet.size, "seed": sheet.seed
    }  # fmt: skip
    *_, made = featvis.maximize(model, **subject, **how)
    said = [f"activation {value:.3g}" for value in made.activation.tolist()]
    if sheet.layer is None:
        with torch.no_grad():
            shares = model(made.values).softmax(1).tolist()
        said = [f"p {row[n]:.3f}" for row, n in zip(shares, sheet.numbers, strict=True)]
    picture = render.to_pil(render.sheet(render.pictures(made), 6))
    picture.save(FOLDER / f"{name}.webp", quality=82, method=6)
    facts = {
        "said": said,
        "subjects": made.subjects,
        "notes": made.notes,
        "size": made.values.shape[2:],
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf8")


def _page() -> str:
    parts = [
        "# Pictures that networks made\n\nEach begins as noise and is changed until it excites a "
        "channel or a class; no photograph is in them. Made by `python -m docs.gallery`.\n"
    ]
    for name, sheet in SHEETS.items():
        if not (FOLDER / f"{name}.json").exists():
            continue
        facts = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf8"))
        h, w = facts["size"]
        what = f"layer {sheet.layer}, channels" if sheet.layer else "classes"
        numbers = ", ".join(map(str, sheet.numbers))
        each = "; ".join(
            f"{subject}: {said}"
            for subject, said in zip(facts["subjects"], facts["said"], strict=True)
        )
        notes = "".join(f"\n{note}." for note in facts["notes"])
        parts.append(
            f"## {name}\n\n![Six pictures: {name}]({name}.webp)\n\n"
            f"{sheet.model}, {what} {numbers}. Preset {sheet.preset}, {sheet.steps} "
            f"steps, {h}x{w} pixels, seed {sheet.seed}.\n"
            f"{each}.{notes}\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    main(sys.argv[1:])
