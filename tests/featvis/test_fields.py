"""Receptive fields against the pixels that matter: boxes, centres, and what mixes positions."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import featvis
from featvis.record import record
from tests.support import oracles, tiny


class Deep(nn.Module):
    """Strides, padding, dilation, pooling, a shortcut and a rearrangement, centred differently."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 7, 2, 3)
        self.pool = nn.Sequential(nn.MaxPool2d(3, 2, 1))
        self.wide = nn.Conv2d(4, 4, 3, 1, 2, dilation=2)
        self.short = nn.Conv2d(4, 4, 1, 2)
        self.long = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1))
        self.valid = nn.Conv2d(4, 4, 2, 2)

    def forward(self, x):
        x = self.wide(self.pool(self.stem(x)))
        x = self.short(x) + self.long(x)
        return self.valid(x).mean((2, 3))


@pytest.mark.parametrize(
    ("layer", "position"), [("stem", (7, 5)), ("pool", (5, 4)), ("wide", (6, 6)), ("long", (4, 4))]
)
def test_box_and_centre_are_those_of_the_pixels_that_matter(layer, position):
    size = (80, 96)
    model = tiny.model(Deep(), size=size)
    found = featvis.receptive_field(model, layer, position)

    def activation(at):
        return record(model, at, layer)[layer][0, :, position[0], position[1]].sum()

    # a maximum pool hides what is not the largest: the union over pictures is what can matter
    rows, columns = (
        torch.stack(
            [oracles.seen(activation, tiny.images(1, size, seed), axis) for seed in range(6)]
        )
        .any(0)
        .nonzero()[:, 0]
        for axis in (2, 3)
    )
    box = found.box
    assert (box.top, box.bottom) == (int(rows[0]), int(rows[-1]) + 1)
    assert (box.left, box.right) == (int(columns[0]), int(columns[-1]) + 1)
    whole = box.top > 0 and box.bottom < size[0]
    assert whole
    assert found.center[0] == (box.top + box.bottom) / 2
    assert box.top <= found.effective.top < found.effective.bottom <= box.bottom
    torch.testing.assert_close(found.values.sum(), torch.ones((), dtype=found.values.dtype))


def test_the_centres_of_a_resnet_like_stem_are_not_proportional():
    model = tiny.model(Deep(), size=(64, 64))
    place = model.layers["long"].place
    assert place.start == (0.5, 0.5)  # a proportional map would begin at 4
    assert place.step == (8, 8)


@pytest.mark.parametrize(("padded", "count"), [(False, 2), (False, 9), (True, 9)])
def test_centres_of_convolutions_without_padding_are_those_of_their_windows(padded, count):
    """As in Inception v3, whose borders are lost in its first layers: no jump is stretched."""
    more = [nn.Conv2d(4, 4, 3, padding=int(padded)) for _ in range(count)]
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 5), nn.MaxPool2d(3, 2), *more)
    model = tiny.model(nn.Sequential(net, tiny.Mean(), nn.Linear(4, 3)), size=(99, 131))
    h, w = model.layers["0"].size
    for position in ((0, 0), (h - 1, w - 1), (h // 2, w // 2)):
        seen = featvis.receptive_field(model, "0", position)
        found = [axis.nonzero().flatten() for axis in (seen.values.sum(1), seen.values.sum(0))]
        inside = [seen.box.top, seen.box.bottom - 1, seen.box.left, seen.box.right - 1]
        assert [int(x) for axis in found for x in (axis[0], axis[-1])] == inside


def test_gates_and_attention_are_said(models):
    gated = models["squeeze-excite"].layers
    assert not gated["trunk"].gated
    field = featvis.receptive_field(models["tokens, average"], "blocks.0", (1, 1))
    assert field.globally
    assert "attention" in field.notes[0]
    assert (field.box.height, field.box.width) == tiny.SIZE


class Rows(nn.Module):
    """A recurrence along the rows of a map."""

    def __init__(self):
        super().__init__()
        self.net = nn.LSTM(6, 6, batch_first=True)

    def forward(self, x):
        rows = x.permute(0, 2, 3, 1)
        return self.net(rows.flatten(0, 1))[0].reshape(rows.shape).permute(0, 3, 1, 2)


class OnTokens(nn.Module):
    """What `mix` makes of (B, L, C), as a map again."""

    def __init__(self, mix, *parts):
        super().__init__()
        self.mix, self.parts = mix, nn.ModuleList(parts)

    def forward(self, x):
        return self.mix(self.parts, x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


def gated_by_positions(parts, tokens):  # as gMLP: behind a linear layer over the channels
    first, over, second = parts
    one, two = first(tokens).chunk(2, -1)
    return second(one * over(two.transpose(1, 2)).transpose(1, 2))


def linear_attention(parts, tokens):
    query, key = (part(tokens).relu() for part in parts)
    return query @ (key.transpose(1, 2) @ tokens) / 48


def across(parts, tokens):
    return tokens + parts[0](tokens.transpose(1, 2)).transpose(1, 2)


MIXERS = {  # by what positions are mixed, how, and the modules for it
    "token mixing": ("weights", across, nn.Linear(48, 48)),
    "token mixing by a convolution": ("weights", lambda p, x: p[0](x), nn.Conv1d(48, 48, 1)),
    "a gate of positions": (
        "weights", gated_by_positions, nn.Linear(6, 12), nn.Linear(48, 48), nn.Linear(6, 6)
    ),
    "linear attention": ("attention", linear_attention, nn.Linear(6, 6), nn.Linear(6, 6)),
    "attention": (
        "attention", lambda p, x: F.scaled_dot_product_attention(p[0](x), x, x), nn.Linear(6, 6)
    ),
    "channels only": (
        "", lambda p, x: x + p[1](p[0](x).relu()), nn.Linear(6, 12), nn.Linear(12, 6)
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", [*MIXERS, "recurrence"])
def test_positions_that_are_mixed_are_known_and_no_others(kind):
    mixed, *rest = MIXERS.get(kind, ("weights",))
    net = tiny.Net(OnTokens(*rest) if rest else Rows(), tiny.Mean(), nn.Linear(6, 4))
    model = tiny.model(net)
    layer = model.layers["head.0"]
    assert layer.mixed == mixed
    assert (layer.field[0] == float("inf")) == bool(mixed)
    seen = featvis.receptive_field(model, "head.0", (0, 0))
    box = [int(edge) for edge in seen.box]
    outside = seen.values.clone()
    outside[: box[2], : box[3]] = 0
    assert outside.sum() == 0
    assert seen.globally == bool(mixed)


def test_axes_that_are_merged_again_and_again_are_followed_once():
    """As the windows of Swin are: each merge leads to two axes, and forty of them to 2^40 ways."""

    def windows(_, tokens):
        for _ in range(40):
            tokens = tokens.reshape(-1, 6, 2, 4, 6).transpose(2, 3).flatten(1, 3)
        return tokens

    model = tiny.model(tiny.Net(OnTokens(windows), tiny.Mean(), nn.Linear(6, 4)))
    assert model.layers["trunk"].size == (6, 8)
