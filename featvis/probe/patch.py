"""Patches: the part of a picture that a position of a layer sees."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from featvis.model import Image, VisionModel
from featvis.network.neuron import check_position
from featvis.network.receptive_field import field_box, receptive_field
from featvis.types import ATTENTION, WEIGHTS, Rectangle

__all__ = ["Patch", "on_original", "patch"]


class Patch(NamedTuple):
    """A box, and which one it is."""

    box: Rectangle
    effective: bool  # it holds 95 % of the influence, not all that can matter
    note: str  # in a sentence


EXACT = "the patch is the receptive field: nothing outside it matters"
GATED = (
    "a global gate lets every pixel matter a little: the patch is the receptive field without it"
)
MIXED = {
    ATTENTION: "attention lets every position see all others: the patch holds 95 % of the "
    "influence",
    WEIGHTS: "a mixing of positions lets every position see all others: the patch holds 95 % of "
    "the influence",
}
LARGE = "the receptive field is as large as the picture: the patch holds 95 % of the influence"
NEARLY = (
    "the receptive field is nearly as large as the picture: the patch holds 95 % of the influence"
)
MOST = 0.75  # of the picture's sides: a field beyond it says no more than one of all of it
MEASURED: WeakKeyDictionary[VisionModel, dict[str, Rectangle]] = WeakKeyDictionary()


def patch(
    model: VisionModel, layer: str, position: tuple[int, int], image: Image | None = None
) -> Patch:
    """What a position sees: its receptive field, cut off at the edges of the picture.

    Where all positions are mixed, or the field covers the whole picture or nearly, it is the
    effective box, which holds 95 % of the influence; it is measured in the middle of the map and
    moved to the position. In pixels of the original where an image is given, else of the network's
    input.
    """
    facts = model.layer(layer)
    check_position(layer, position, facts.size)
    center = facts.place.center(position)
    mixed = bool(facts.mixed)
    share = min(field / side for field, side in zip(facts.field, model.size, strict=True))
    if mixed or share >= MOST:
        box = _moved(_effective(model, layer), center, model.size)
    else:
        box = field_box(center, facts.field, model.size)
    exact = GATED if facts.gated else EXACT
    note = exact if share < MOST else NEARLY if share < 1 else LARGE
    box = box if image is None else on_original(image, box)
    return Patch(box, mixed or share >= MOST, MIXED[facts.mixed] if mixed else note)


def _effective(model: VisionModel, layer: str) -> Rectangle:
    """The effective box of the middle position, measured from its centre."""
    known = MEASURED.setdefault(model, {})
    if layer not in known:
        h, w = model.layer(layer).size
        seen = receptive_field(model, layer, (h // 2, w // 2))
        (y, x), (top, left, bottom, right) = seen.center, seen.effective
        known[layer] = Rectangle(top - y, left - x, bottom - y, right - x)
    return known[layer]


def _moved(box: Rectangle, center: tuple[float, float], size: tuple[int, int]) -> Rectangle:
    (y, x), (h, w) = center, size
    return Rectangle(
        max(y + box.top, 0.0),
        max(x + box.left, 0.0),
        min(y + box.bottom, float(h)),
        min(x + box.right, float(w)),
    )


def on_original(image: Image, box: Rectangle) -> Rectangle:
    """A box on the input, on the original picture."""
    top, left, bottom, right = image.box
    down, across = (bottom - top) / image.values.shape[2], (right - left) / image.values.shape[3]
    height, width = image.original

    def inside(value: float, length: int) -> float:
        return min(max(value, 0.0), float(length))

    return Rectangle(
        inside(top + box.top * down, height),
        inside(left + box.left * across, width),
        inside(top + box.bottom * down, height),
        inside(left + box.right * across, width),
    )
