"""Pictures for the tests of reading them: a scene, encoded, and who takes it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import PIL.Image
import torch

from featvis.model import Preprocessing

MEAN = (0.5, 0.25, 0.75)


@dataclass
class Taker:
    """What read_image knows of a model."""

    size: tuple[int, int]
    input: Preprocessing
    mean: torch.Tensor


def taker(size=(224, 224), **how):
    return Taker(size, Preprocessing(**how), torch.tensor(MEAN).view(3, 1, 1))


def scene(height, width):
    """A picture with slopes and edges."""
    make = torch.Generator().manual_seed(height * 7919 + width)
    noise = torch.randint(0, 256, (9, 13, 3), generator=make, dtype=torch.uint8)
    small = PIL.Image.frombytes("RGB", (13, 9), bytes(noise.flatten().tolist()))
    return small.resize((width, height), PIL.Image.Resampling.BICUBIC)


def encoded(picture, format="PNG", **how):
    file = io.BytesIO()
    picture.save(file, format, **how)
    return file.getvalue()
