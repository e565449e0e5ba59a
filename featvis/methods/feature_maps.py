"""Feature maps: what each channel of a layer answers, where."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from featvis.model import Image, VisionModel
from featvis.record import recording
from featvis.spec import method
from featvis.types import FeatureMaps

__all__ = ["feature_maps"]


@method("Feature maps", family="Feature maps", paper="Zeiler & Fergus 2013")
def feature_maps(
    model: VisionModel,
    image: Tensor | Image,
    layer: str,
    *,
    sort: Annotated[Literal["channel", "strength"], "order of the tiles; strength is the peak"] = (
        "channel"
    ),
) -> FeatureMaps:
    """The activations of every channel of a layer, as one small picture each.

    A bright place is where the channel found what it looks for. Early layers keep the outlines of
    the picture; later ones answer in few places, to parts and to whole objects. The colour picture
    shows the three directions in which the channels vary most (principal components): places of
    one colour look alike to the network.

    A bright map does not say that the channel matters for the prediction; see Class evidence.
    """
    with torch.no_grad():
        passed, before, _ = recording(model, image, [layer], units=[layer])
    maps, units = passed[layer], before[layer]
    strongest = units.flatten(2).amax(2)  # (B, C)
    order = torch.arange(maps.shape[1]).expand(len(maps), -1)
    if sort == "strength":
        order = strongest.argsort(dim=1, descending=True, stable=True)
    facts = model.layer(layer)
    return FeatureMaps(
        maps,
        layer,
        facts.place,
        order,
        components(maps),
        before=units if facts.bound else None,
    )


def components(maps: Tensor) -> Tensor:
    """First three principal components (B, 3, h, w) of the channels, per picture.

    Signs are arbitrary in principle; here each component's largest loading is positive.
    """
    points = maps.flatten(2).transpose(1, 2).double()  # (B, h * w, C)
    points = points - points.mean(1, keepdim=True)
    _, _, axes = torch.linalg.svd(points, full_matrices=False)  # rows are directions
    axes = axes[:, :3]
    largest = axes.abs().argmax(2, keepdim=True)
    axes = axes * axes.gather(2, largest).sign()
    found = torch.einsum("bpc,bkc->bkp", points, axes).to(maps.dtype)
    missing = 3 - found.shape[1]
    if missing > 0:
        found = torch.cat([found, found.new_zeros(len(found), missing, found.shape[2])], 1)
    return found.unflatten(2, maps.shape[2:])
