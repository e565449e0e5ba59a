"""Your own network: an nn.Module and its preprocessing in, a VisionModel out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import nn

from featvis.autograd import in_own_mode
from featvis.classes import Classes
from featvis.embedding import Embedding
from featvis.model import Preprocessing, VisionModel, WrongRequest
from featvis.network.survey import survey
from featvis.output import Key, Output

from .carried import carried
from .given import Labels, Numbers, Size, as_labels, as_numbers, as_size
from .holding import Call, hold, releasing, unwrapped
from .pictures import read_image

__all__ = ["wrap"]

MOST_BANDS = 16  # that are taken for those of a picture without being told
LARGER = 32  # pixels by which a picture is larger to try whether the network takes it
EMBEDS = "it has no classes: its output is an embedding, not the sum of evidence for something"
RGB = (0, 1, 2)


@in_own_mode
def wrap(
    module: nn.Module,
    *,
    name: str | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    size: Size | None = None,
    labels: Labels | None = None,
    channels: int | None = None,
    rgb: Sequence[int] = RGB,
    input: Preprocessing | None = None,
    embeds: bool | None = None,
    output: Output | Key = None,
    call: Call | None = None,
    info: Mapping[str, str | int | float] = MappingProxyType({}),
) -> VisionModel:
    """Any network that takes (B, C, H, W) and gives logits (B, K), for its owner to explain.

    What the module carries, as networks of timm and of transformers do, need not be said: their
    mean, std, size and labels are read from it.

    Args:
        module: used itself, not copied: it is put in eval mode and its parameters are frozen until
            `model.release()`, or the end of `with wrap(...) as model:`, gives it back as it was.
            `nn.DataParallel` and `torch.compile` are taken off it for as long.
        name: by default that of its class.
        mean: of its normalization, for pixels in [0, 1]: a number, or one for each band.
        std: likewise.
        size: height and width in pixels, or one number for both.
        labels: one for each class: a list, a mapping from the number, or the path of a file with
            one on each line. Of a single logit (B,) or (B, 1) those of both sides, or of the
            positive one.
        channels: bands of a picture, by default those of its first convolution. RGB pictures are
            shown in gray to a network of one band; more bands are given as tensors (B, C, H, W).
        rgb: of more bands the three that are shown as red, green and blue.
        input: how a picture is resized and cropped.
        embeds: its output is an embedding (B, D), not the scores of classes.
        output: where the scores are in a dict, tuple or record: a key ("logits", "aux.0"), an
            index, or a function of the raw output; by default `featvis.selection` chooses. An
            `Output` instead says that it is of another kind; `Classes(final="sigmoid")` says that
            several classes may be true at once.
        call: how the network is run on pictures where they are not its only argument, as
            `lambda run, pictures: run(pictures, reference)`; `run` is its own `forward`.
        info: more facts, for people.

    A forward pass of two pictures finds its layers and proves its head. A final sigmoid, softmax
    or the like is found too: the values before it are explained, and the probabilities are its.
    `model.output.meaning` says so, and which other tensors may hold the scores.

    Raises:
        WrongRequest: something is missing, does not fit, or the network does not run.
    """
    if not isinstance(module, nn.Module):
        raise WrongRequest(
            f"wrap takes a torch.nn.Module, not {type(module).__name__}; "
            "zoo_adapters.load takes a name"
        )
    module = unwrapped(module)
    name = type(module).__name__ if name is None else name
    bands = _bands(module, channels, mean)
    known = carried(module, bands)
    planes = tuple(
        as_numbers(name, what, given if given is not None else own, bands)[:, None, None]
        for what, given, own in (("mean", mean, known.mean), ("std", std, known.std))
    )
    shape = as_size(name, known.size if size is None else size)
    own = as_labels(known.labels if labels is None else labels)
    embeds = known.embeds if embeds is None else embeds
    framing = input or known.input or Preprocessing()
    give_back = hold(module, call)
    with releasing(give_back):
        facts = survey(
            module,
            size=shape,
            mean=planes[0],
            std=planes[1],
            bands=bands,
            output=replace(_kind(output, own, embeds=embeds), network=name),
        )
        named = facts.output.labels if isinstance(facts.output, Classes) else ()
        if named and facts.classes and len(named) != facts.classes:
            raise WrongRequest(
                f"{name} has {facts.classes} outputs but {len(own)} labels; give one per "
                "output, in the order of the outputs, or none"
            )
        if facts.head is None and not framing.fixed_size:
            framing = replace(framing, fixed_size=not _takes_others(module, bands, shape))
    embeds = isinstance(facts.output, Embedding)
    count = sum(p.numel() for p in module.parameters())
    return VisionModel(
        name=name,
        module=module,
        mean=planes[0],
        std=planes[1],
        size=shape,
        layers=facts.layers,
        output=facts.output,
        head=None if embeds else facts.head,
        head_reason=EMBEDS if embeds else facts.head_reason,
        input=framing,
        rgb=_triple(name, rgb, bands),
        info=MappingProxyType({"parameters": count, **info}),
        reader=read_image,
        give_back=give_back,
    )


def _bands(module: nn.Module, channels: int | None, mean: Numbers | None) -> int:
    """The number of bands: as it is given, that of the means, or of the first convolution."""
    if channels is not None:
        return channels
    if isinstance(mean, list | tuple) and len(mean) > 1:
        return len(mean)
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    # one of more channels convolves what the network made of the picture, as its spectrum
    return 3 if first is None or first.in_channels > MOST_BANDS else first.in_channels


def _triple(name: str, rgb: Sequence[int], bands: int) -> tuple[int, int, int]:
    if bands <= 3:
        return RGB
    chosen = tuple(rgb)
    if len(chosen) != 3 or not all(0 <= band < bands for band in chosen):
        raise WrongRequest(f"{name}: rgb names three of its bands, 0 to {bands - 1}, not {chosen}")
    return chosen[0], chosen[1], chosen[2]


def _takes_others(module: nn.Module, bands: int, size: tuple[int, int]) -> bool:
    """Does the network run on pictures of another size, too? One that flattens its map does not."""
    weights = next(module.parameters(), torch.zeros(()))
    gray = torch.zeros(1, bands, size[0] + LARGER, size[1] + LARGER).to(weights)
    try:
        with torch.no_grad():
            module(gray)
    except Exception:
        return False
    return True


def _kind(output: Output | Key, labels: tuple[str, ...], *, embeds: bool) -> Output:
    """The kind of output, before anything is known of it but a key."""
    if isinstance(output, Output):
        return output
    return Embedding(key=output) if embeds else Classes(labels, key=output)
