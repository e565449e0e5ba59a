"""Layers, filters and feature maps against literal re-derivations."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import featvis
from featvis.record import record
from tests.support import tiny


def test_layers_are_listed_in_execution_order_with_measured_facts(models):
    layers = list(models["GAP + FC"].layers.values())
    assert [layer.name for layer in layers] == ["trunk.conv1", "trunk.conv2", "trunk"]
    assert [layer.channels for layer in layers] == [5, 6, 6]
    assert [layer.size for layer in layers] == [(12, 16), (6, 8), (6, 8)]
    assert [layer.depth for layer in layers] == [0, 0.5, 1]
    assert layers[0].kernel == (3, 3)
    assert layers[1].stride == (4, 4)


def test_recording_is_not_overwritten_by_a_following_in_place_activation(models):
    model, image = models["GAP + FC"], tiny.images(2)
    maps = record(model, image, "trunk.conv1", "trunk.conv2")
    first = model.module.trunk.conv1(model.normalize(image))
    second = model.module.trunk.conv2(first.relu())
    torch.testing.assert_close(maps["trunk.conv1"], first)
    torch.testing.assert_close(maps["trunk.conv2"], second)
    assert first.min() < 0
    assert second.min() < 0


def test_recording_stops_at_the_layer(models):
    model = models["GAP + FC"]
    ran = []
    handle = model.module.head[0].register_forward_hook(lambda *_: ran.append(1))
    record(model, tiny.images(), "trunk.conv2")
    handle.remove()
    assert not ran


def test_channels_last_and_tokens_become_maps(models):
    image = tiny.images(2)
    model = models["channels last"]
    raw = model.module.mlp(model.module.patch(model.normalize(image)).permute(0, 2, 3, 1))
    found = featvis.feature_maps(model, image, "mlp").values
    torch.testing.assert_close(found, raw.permute(0, 3, 1, 2))

    model = models["tokens, average behind a prefix"]
    patches = model.module.patch(model.normalize(image))
    tokens = patches.flatten(2).transpose(1, 2)
    tokens = torch.cat([model.module.prefix.expand(2, -1, -1), tokens], 1)
    found = featvis.feature_maps(model, image, "blocks.0").values
    expected = model.module.blocks[0](tokens)[:, 5:].transpose(1, 2).reshape(2, 6, 3, 4)
    torch.testing.assert_close(found, expected)


def test_as_many_channels_as_rows_are_no_places():
    class Square(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch, self.mlp = nn.Conv2d(3, 8, 4, 4), nn.Sequential(nn.Linear(8, 8), nn.GELU())
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            return self.fc(self.mlp(self.patch(x).permute(0, 2, 3, 1)).mean((1, 2)))

    model = tiny.model(Square(), size=(32, 32))
    assert model.layers["mlp"].layout.kind == "NHWC"
    seen = featvis.receptive_field(model, "mlp", (2, 5))
    assert seen.values.nonzero().min(0).values.tolist() == [8, 20]


def test_sorting_by_activation_puts_the_strongest_channel_first(models):
    found = featvis.feature_maps(models["GAP + FC"], tiny.images(2), "trunk", sort="strength")
    for picture in range(2):
        peaks = found.values[picture][found.order[picture]].amax((1, 2))
        assert torch.equal(peaks, peaks.sort(descending=True).values)


def test_components_are_the_directions_of_largest_variance(models):
    found = featvis.feature_maps(models["GAP + FC"], tiny.images(1), "trunk.conv2")
    points = found.values[0].flatten(1).T
    variances = torch.linalg.eigvalsh(points.T.cov()).flip(0)[:3]
    made = found.components[0].flatten(1)
    torch.testing.assert_close(made.var(1), variances)
    torch.testing.assert_close(made.cov(), torch.diag(variances), atol=1e-10, rtol=0)


def test_first_layer_filters_are_in_pixel_space(models):
    model = models["GAP + FC"]
    found = featvis.filters(model)
    std = torch.tensor(tiny.STD, dtype=torch.double)[:, None, None]
    assert (found.layer, found.rgb) == ("trunk.conv1", True)
    torch.testing.assert_close(found.values, model.module.trunk.conv1.weight / std)
    shown = featvis.filters(model, sort="strength")
    norms = shown.norms[shown.order]
    assert torch.equal(norms, norms.sort(descending=True).values)


def test_deeper_filters_are_the_kernels_of_one_channel(models):
    model = models["GAP + FC"]
    found = featvis.filters(model, "trunk.conv2", 4)
    torch.testing.assert_close(found.values[:, 0], model.module.trunk.conv2.weight[4])
    assert not found.rgb
    assert "channel 4" in found.notes[0]


class Standardized(nn.Conv2d):
    """A convolution that standardizes its weight before it is applied."""

    def forward(self, x):
        weight = self.weight
        weight = (weight - weight.mean((1, 2, 3), keepdim=True)) / weight.std(
            (1, 2, 3), keepdim=True
        )
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class Stem(nn.Module):
    """A re-parameterized stem: a 1x1 branch runs before the 3x3 one."""

    def __init__(self):
        super().__init__()
        self.scale, self.kernel = nn.Conv2d(3, 4, 1, 2), Standardized(3, 4, 3, 2, 1)
        self.deep, self.point = nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.point(self.deep(self.scale(x) + self.kernel(x))).mean((2, 3))


def test_the_applied_weights_of_the_larger_kernel_are_shown():
    model = tiny.model(Stem())
    found = featvis.filters(model)
    stored = model.module.kernel.weight
    applied = (stored - stored.mean((1, 2, 3), keepdim=True)) / stored.std((1, 2, 3), keepdim=True)
    std = torch.tensor(tiny.STD, dtype=torch.double)[:, None, None]
    assert found.layer == "kernel"
    torch.testing.assert_close(found.values, applied / std)
    assert "standardizes" in found.notes[0]
    assert "depthwise" in featvis.filters(model, "deep").notes[0]
    assert "1x1" in featvis.filters(model, "point").notes[0]


def test_a_block_has_no_filters_and_says_which_of_its_layers_have(models):
    with pytest.raises(featvis.WrongRequest, match=r"not a convolution.*trunk\.conv1"):
        featvis.filters(models["GAP + FC"], "trunk")


def test_layers_of_merged_patches_have_even_centres():
    class Merge(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 4, 4, 4)
            self.merge = nn.Sequential(nn.Sequential(nn.PixelUnshuffle(2)), nn.Conv2d(16, 4, 1))

        def forward(self, x):
            return self.merge(self.patch(x)).mean((2, 3))

    place = tiny.model(Merge(), size=(64, 64)).layers["merge"].place
    assert place == ((4.0, 4.0), (8.0, 8.0))


class Aside(nn.Module):
    """A branch before the trunk and one after it, neither of which leads to the logits."""

    def __init__(self):
        super().__init__()
        self.before, self.trunk = nn.Conv2d(3, 4, 3, 2, 1), tiny.Trunk()
        self.after, self.fc = nn.Conv2d(6, 4, 1), nn.Linear(6, 4)

    def forward(self, x):
        self.before(x)
        x = self.trunk(x)
        self.after(x)
        return self.fc(x.mean((2, 3)))


def test_the_last_layer_leads_to_the_logits():
    model = tiny.model(Aside())
    assert list(model.layers) == ["before", "trunk.conv1", "trunk.conv2", "trunk"]
    assert model.last_layer == "trunk"


def test_a_layer_that_does_not_lead_to_the_logits_has_no_evidence_and_says_so():
    model, image = tiny.model(Aside()), tiny.images(2)
    heat = featvis.grad_cam(model, image, 1, "before")
    assert float(heat.values.abs().max()) == 0
    assert any("does not depend" in note for note in heat.notes)


def test_tokens_on_their_way_through_a_pool_of_two_axes_are_a_map():
    tokens = torch.arange(2 * 3 * 6.0).view(2, 3, 6)
    layout = featvis.types.Layout("NCL")
    expected = layout.to_maps(tokens, (2, 3))
    assert torch.equal(layout.to_maps(tokens[:, :, None], (2, 3)), expected)
