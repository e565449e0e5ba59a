"""Weights of one's own in commands: the options, and the network that they ask for."""

from __future__ import annotations

import argparse
import sys

import zoo_adapters
from featvis import VisionModel

__all__ = ["add", "load"]

OWN = ("checkpoint", "num_classes", "in_chans", "labels")  # options, as `load` names them


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of weights of one's own."""
    parser.add_argument("--checkpoint", metavar="FILE", help="weights of your own for the "
                        "architecture (.pth, .pt, .bin or .safetensors)")  # fmt: skip
    parser.add_argument("--num-classes", type=int, metavar="N",
                        help="classes of the checkpoint (default: as it has them)")  # fmt: skip
    parser.add_argument("--in-chans", type=int, metavar="N",
                        help="bands of its pictures (default: as it has them)")  # fmt: skip
    parser.add_argument("--labels", metavar="FILE", help="labels of its classes: one on each line, "
                        "or JSON")  # fmt: skip


def load(name: str, options: argparse.Namespace, *, pretrained: bool) -> VisionModel:
    """The network of a name, with the weights that the options give; a download shows its share."""

    def progress(done: int, total: int, what: str) -> None:
        share = f"{100 * done / total:.0f} %" if total else f"{done / 1e6:.1f} MB"
        end = "\n" if done == total else ""
        print(f"\r{what}: {share}", end=end, file=sys.stderr, flush=True)

    own = {key: getattr(options, key, None) for key in OWN}
    return zoo_adapters.load(name, pretrained=pretrained, progress=progress, **own)
