"""The worker of `python -m benchmarks probe`, for the environment that has zennit-crp: it answers.

A line of JSON on the standard input is a question, a line on the standard output its answer: wall
and processor seconds of crp's FeatureVisualization.run over pictures, and what it found strongest.
It is run as its tutorials do, by the maximum and without rules; it finds relevance maxima too, by
a backward pass that ours has no need of.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch


def serve() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):  # crp says much
            answer = _answer(json.loads(line))
        print(json.dumps(answer), flush=True)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    import timm
    from crp.attribution import CondAttribution
    from crp.concepts import ChannelConcept
    from crp.visualization import FeatureVisualization
    from torchvision.transforms import Normalize

    net = timm.create_model(f"local-dir:{question['folder']}", pretrained=True)
    model = torch.nn.Sequential(Normalize(question["mean"], question["std"]), net).eval()
    pixels = torch.from_numpy(np.load(question["pixels"]))
    layers = {f"1.{name}": ChannelConcept() for name in question["layers"]}
    with tempfile.TemporaryDirectory() as folder:
        made = FeatureVisualization(
            CondAttribution(model), [(one, 0) for one in pixels], layers, max_target="max",
            abs_norm=False, path=folder,
        )  # fmt: skip
        begin = perf_counter(), process_time()
        made.run(None, 0, len(pixels), question["batch"])
        spent = perf_counter() - begin[0], process_time() - begin[1]
        found = Path(folder) / "ActMax_max_unnormed" / f"1.{question['show']}_data.npy"
        best = np.load(found)[: question["k"]].T.tolist()  # of each channel
    return {"seconds": spent, "best": best}


if __name__ == "__main__":
    serve()
