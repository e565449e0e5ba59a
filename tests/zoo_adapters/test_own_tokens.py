"""Transformers as people write them: where the tokens of a map lie, in every order of the axes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import featvis
import zoo_adapters

SIZE, PATCH, GRID, WIDTH = (24, 40), 8, (3, 5), 16


class Transformer(nn.Module):
    """Patches, extra tokens before or behind them, two blocks, and what a classifier takes."""

    def __init__(self, *, batch_first=True, before=0, behind=0, attention="encoder"):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.before = nn.Parameter(torch.randn(1, before, WIDTH))
        self.behind = nn.Parameter(torch.randn(1, behind, WIDTH))
        self.batch_first, self.attention = batch_first, attention
        if attention == "encoder":
            block = nn.TransformerEncoderLayer(WIDTH, 2, 32, batch_first=batch_first, dropout=0.1)
            self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        else:
            self.blocks = nn.ModuleList(
                nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first) for _ in range(2)
            )
        self.fc = nn.Linear(WIDTH, 5)

    def forward(self, x):
        patches = self.patch(x).flatten(2).transpose(1, 2)
        extra = [token.expand(len(x), -1, -1) for token in (self.before, self.behind)]
        parts = [extra[0], patches, extra[1]]
        tokens = torch.cat([part for part in parts if part.shape[1]], 1)
        if not self.batch_first:
            tokens = tokens.transpose(0, 1)
        if self.attention == "encoder":
            tokens = self.blocks(tokens)
        else:
            for block in self.blocks:
                tokens = (
                    tokens
                    + block(tokens, tokens, tokens, need_weights=self.attention == "weights")[0]
                )
        if not self.batch_first:
            tokens = tokens.transpose(0, 1)
        if self.before.shape[1]:
            return self.fc(tokens[:, 0])
        return self.fc(tokens[:, -1] if self.behind.shape[1] else tokens.mean(1))


KINDS = {
    f"{'(B, L, D)' if first else '(L, B, D)'}, {before} before, {behind} behind, {attention}": {
        "batch_first": first,
        "before": before,
        "behind": behind,
        "attention": attention,
    }
    for first in (True, False)
    for before, behind in ((0, 0), (1, 0), (0, 1), (3, 0), (1, 2))
    for attention in ("encoder", "weights", "fused")
}


def wrapped(module):
    return zoo_adapters.wrap(module, name="mine", mean=(0.5,) * 3, std=(0.25,) * 3, size=SIZE)


def model(kind):
    torch.manual_seed(0)
    return wrapped(Transformer(**KINDS[kind]))


def picture():
    return torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_of_the_picture_changes_its_own_place_the_most(kind):
    network = model(kind)
    deep = [layer for layer in network.layers.values() if layer.layout.kind in ("NLC", "LNC")]
    assert len(deep) >= 2, "the blocks are layers"
    first = deep[0].name if KINDS[kind]["attention"] == "encoder" else None
    for row, column in ((0, 0), (1, 3), (2, 4)):
        changed = picture()
        y, x = row * PATCH, column * PATCH
        changed[:, :, y : y + PATCH, x : x + PATCH] = (
            1 - changed[:, :, y : y + PATCH, x : x + PATCH]
        )
        for layer in deep:
            assert layer.size == GRID
            maps = [
                featvis.record(network, image, layer.name)[layer.name]
                for image in (picture(), changed)
            ]
            assert maps[0].shape == (1, WIDTH, *GRID)
            if layer.name == first or "self_attn" in layer.name or first is None:
                continue  # attention alone spreads a change over all places
            moved = (maps[1] - maps[0]).norm(dim=1)[0]
            assert divmod(int(moved.argmax()), GRID[1]) == (row, column), layer.name


@pytest.mark.parametrize("kind", KINDS)
def test_rollout_follows_the_attention_of_the_class_token(kind):
    network, facts = model(kind), KINDS[kind]
    found = featvis.attention_rollout(network, picture()).values[0]
    flow = torch.eye(15 + facts["before"] + facts["behind"])
    for weights in _attentions(network.module):
        flow = (weights + torch.eye(len(flow))) / 2 @ flow
    rows = {"before": flow[0], "behind": flow[-1]}  # of the class token
    row = next((rows[side] for side in rows if facts[side]), flow.mean(0))
    expected = row[facts["before"] : facts["before"] + 15].reshape(GRID)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def _attentions(module):
    """The attention (N, N) of both blocks, averaged over the heads, as torch itself returns it."""
    found = []

    def watch(layer, arguments, options):
        if not options.get("need_weights"):
            with torch.no_grad():
                found.append(
                    nn.MultiheadAttention.forward(layer, *arguments, need_weights=True)[1][0]
                )
        return

    handles = [
        part.register_forward_pre_hook(watch, with_kwargs=True)
        for part in module.modules()
        if isinstance(part, nn.MultiheadAttention)
    ]
    needs = [part for part in module.modules() if isinstance(part, Transformer)]
    before = needs[0].attention
    needs[0].attention = "fused" if before == "weights" else before
    with torch.enable_grad():  # the encoder's fused path would not call its parts
        needs[0]((picture() - 0.5).div(0.25).requires_grad_())
    needs[0].attention = before
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "0 before, 0 behind" in kind])
def test_averaged_tokens_have_an_exact_map(kind):
    heat = featvis.cam(model(kind), picture().repeat(3, 1, 1, 1).mul(torch.rand(3, 1, 1, 1)), 2)
    assert heat.values.shape == (3, *GRID)
    assert float(heat.residual.max()) <= 1e-6


class ChannelsLast(nn.Module):
    """A mixer of (B, H, W, D)."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.blocks = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.fc = nn.Linear(WIDTH, 5)

    def forward(self, x):
        return self.fc(self.blocks(self.patch(x).permute(0, 2, 3, 1)).mean((1, 2)))


def test_maps_with_channels_last_are_placed():
    torch.manual_seed(0)
    network = wrapped(ChannelsLast())
    assert network.layer("blocks").size == GRID
    changed = picture()
    changed[:, :, 8:16, 24:32] += 0.3
    maps = [featvis.record(network, image, "blocks")["blocks"] for image in (picture(), changed)]
    moved = (maps[1] - maps[0]).abs().sum(1)[0]
    assert (moved > 0).nonzero().tolist() == [[1, 3]]


@pytest.mark.parametrize(
    "kind", ["(B, L, D), 1 before, 0 behind, encoder", "(L, B, D), 0 before, 0 behind, fused"]
)
def test_every_method_runs_on_tokens(kind):
    network = model(kind)
    for name, method in featvis.METHODS.items():
        if method.missing(network):
            continue
        subject = {
            k: v for k, v in {"image": picture(), "target": 1}.items() if k in method.subject
        }
        if name in ("deepdream", "feature_maps", "inversion", "caricature"):
            subject = {"image": picture(), "layer": list(network.layers)[-1]}
        few = {"steps": 2, "samples": 2, "size": 40}
        result = method.run(
            network, **subject, **{p.name: few[p.name] for p in method.params if p.name in few}
        )
        result = list(result)[-1] if method.generator else result
        assert result.values.isfinite().all(), name


# --- pictures of another size -------------------------------------------------------------------


class Dynamic(Transformer):
    """Its patches are as many as the picture has."""


SIZES = {"larger": (32, 56), "smaller": (16, 24), "other sides": (40, 24), "as many": (40, 24)}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("before", [0, 1])
def test_pictures_of_another_size_have_maps_of_another_size(size, before):
    torch.manual_seed(0)
    network = wrapped(Dynamic(before=before))
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    grid = (size[0] // PATCH, size[1] // PATCH)
    last = list(network.layers)[-1]
    changed = image.clone()
    changed[:, :, -PATCH:, :PATCH] = 1 - changed[:, :, -PATCH:, :PATCH]
    maps = [featvis.record(network, one, last)[last] for one in (image, changed)]
    assert maps[0].shape == (1, WIDTH, *grid)
    moved = (maps[1] - maps[0]).norm(dim=1)[0]
    assert divmod(int(moved.argmax()), grid[1]) == (grid[0] - 1, 0)
    assert featvis.grad_cam(network, image, 1, last).values.shape == (1, *grid)
    assert featvis.attention_rollout(network, image).values.shape == (1, *grid)
    if not before:
        heat = featvis.cam(network, image, 1)
        assert heat.values.shape == (1, *grid)
        assert float(heat.residual) <= 1e-6
