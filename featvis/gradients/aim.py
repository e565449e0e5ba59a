"""Aims: what is explained of which pictures, so that it can be asked again of changed ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, no_grad

from featvis.model import VisionModel
from featvis.network.neuron import Position, neuron
from featvis.record import record_units
from featvis.target import Contrast, Score, Target

__all__ = ["Aim"]


@dataclass(frozen=True, eq=False)
class Aim:
    """The score of a class or, with a layer, of a neuron; see `featvis.target`."""

    model: VisionModel
    target: Target = None
    layer: str | None = None
    channel: int | None = None
    position: Position | Tensor = None  # (row, column), or one for each picture (B, 2)

    def __call__(self, images: Tensor) -> Score:
        """The score of images (B, 3, H, W); the forward pass stops at the layer of a neuron."""
        if self.layer is None and self.channel is None:
            return self.model.output.score(self.model(images), self.target)
        layer = self.layer or self.model.last_layer
        maps = record_units(self.model, images, layer)[layer]
        return neuron(self.model, layer, self.channel, self.position, maps)

    def settled(self, images: Tensor) -> tuple[Aim, Score]:
        """The aim with each picture's predicted class, or most active position, held fixed."""
        with no_grad():
            found = self(images)
        if found.position is not None:
            return replace(self, position=found.position), found
        if int(found.classes.min()) < 0 or isinstance(self.target, Contrast):
            return self, found
        return replace(self, target=found.classes), found

    def of(self, pictures: Tensor) -> Aim:
        """The settled aim for rows that are variants of `pictures` (N,), numbers of pictures."""
        aim = self
        if isinstance(aim.target, Tensor) and len(aim.target) > 1:
            aim = replace(aim, target=aim.target[pictures])
        if isinstance(aim.position, Tensor):
            aim = replace(aim, position=aim.position[pictures])
        return aim
