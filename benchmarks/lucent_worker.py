"""The worker of `python -m benchmarks synthesis`, for the environment that has lucent: it answers.

A line of JSON on the standard input is a question, a line on the standard output its answer: wall
and processor seconds of a step, and the picture where it is asked for. The steps are lucent's
defaults: Fourier, decorrelated colour, its transforms, Adam 0.05, float32.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter, process_time
from typing import Any

import torch

SIDE = 224


def serve() -> None:
    """Answer until the input ends."""
    models: dict[str, Any] = {}
    for line in sys.stdin:
        question = json.loads(line)
        name = question.get("model") or question["folder"]
        if name not in models:
            models[name] = _loaded(question)
        print(json.dumps(_answer(models[name], question)), flush=True)


def _loaded(question: dict[str, Any]) -> Any:
    import timm
    from torchvision.transforms import Normalize

    if "model" in question:
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        net = timm.create_model(question["model"], pretrained=False)
    else:
        mean, std = question["mean"], question["std"]
        net = timm.create_model(f"local-dir:{question['folder']}", pretrained=True)
    return torch.nn.Sequential(Normalize(mean, std), net).eval()


def _answer(model: Any, question: dict[str, Any]) -> dict[str, Any]:
    from lucent.optvis import param, render

    marks = []
    layer, channel = f"1_{question['layer']}".replace(".", "_"), question["channel"]

    def objective(seen: Any) -> Any:  # once a step, of every picture of the batch
        marks.append((perf_counter(), process_time()))
        return -seen(layer)[:, channel].mean()

    pictures = render.render_vis(
        model, objective, lambda: param.image(SIDE, batch=question["count"]), preprocess=False,
        thresholds=(question["steps"] + 1,), progress=False, show_image=False,
        fixed_image_size=SIDE,
    )  # fmt: skip
    spent = [(marks[-1][i] - marks[0][i]) / question["steps"] for i in (0, 1)]
    if not question.get("picture"):
        return {"seconds": spent}
    return {"seconds": spent, "picture": pictures[-1].transpose(0, 3, 1, 2).tolist()}


if __name__ == "__main__":
    serve()
