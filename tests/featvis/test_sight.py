"""The ascent's economy: folded copies, small pictures first, groups, memory. Nothing may change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import featvis
from featvis.ascent import memory, objectives, param
from featvis.ascent.fused_copy import folded
from featvis.ascent.viewer import Sight, settled
from featvis.methods.maximize import PRESETS
from tests.support import tiny


def last(steps):
    """The last result of a generator."""
    *_, made = steps
    return made


class Normed(nn.Module):
    """Norms that can be folded, one behind a ReLU, and one whose convolution is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 5, 3, 2, 1, bias=False), nn.BatchNorm2d(5)
        self.conv2, self.bn2 = nn.Conv2d(5, 6, 3, 2, 1), nn.BatchNorm2d(6)
        self.twice = nn.Conv2d(6, 6, 1)
        self.bn3, self.fc = nn.BatchNorm2d(6), nn.Linear(6, 4)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        x = self.bn2(self.conv2(x).relu())
        x = self.bn3(self.twice(self.twice(x)))
        return self.fc(x.mean((2, 3)))


class Simple(nn.Module):
    """Two norms, each right behind its convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 5, 3, 2, 1, bias=False), nn.BatchNorm2d(5)
        self.conv2, self.bn2 = nn.Conv2d(5, 6, 3, 2, 1), nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        return self.fc(self.bn2(self.conv2(x)).relu().mean((2, 3)))


def drawn(module):
    """The record of a network whose norms have statistics."""
    make = torch.Generator().manual_seed(3)
    model = tiny.model(module)
    for child in model.module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.running_mean.copy_(torch.randn(child.num_features, generator=make))
            child.running_var.copy_(torch.rand(child.num_features, generator=make) + 0.5)
    return model


def norms(model):
    return sum(isinstance(child, nn.BatchNorm2d) for child in model.module.modules())


def test_a_folded_copy_gives_the_same_and_has_no_norms():
    model, images = drawn(Simple()), tiny.images(2)
    copy = folded(model, images, ())
    assert (norms(model), norms(copy)) == (2, 0)
    torch.testing.assert_close(copy(images), model(images), rtol=0, atol=1e-12)
    assert copy.module is not model.module
    asked = folded(model, images, ["conv1"])
    assert norms(asked) == 1, "the map that is asked for must stay what it is"
    found = featvis.record(asked, images, "conv1")["conv1"]
    torch.testing.assert_close(found, featvis.record(model, images, "conv1")["conv1"])


def test_a_network_whose_copy_would_fill_the_memory_is_not_folded(monkeypatch):
    model = drawn(Simple())
    monkeypatch.setattr(featvis.ascent.fused_copy, "MOST", model.parameters)
    assert folded(model, tiny.images(1), ()) is not model
    monkeypatch.setattr(featvis.ascent.fused_copy, "MOST", model.parameters - 1)
    assert folded(model, tiny.images(1), ()) is model


class Volume(Simple):
    """Simple, with weights that have five axes, as those of lambda layers."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Conv3d(1, 1, 1)

    def forward(self, x):
        return super().forward(self.deep(x[:, None])[:, 0])


def test_weights_of_five_axes_are_left_as_they_are():
    model, images = drawn(Volume()), tiny.images(2)
    copy = folded(model, images, ())
    assert norms(copy) == 0
    torch.testing.assert_close(copy(images), model(images), rtol=0, atol=1e-12)
    assert copy.module.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.module.conv1.weight.is_contiguous()


def test_a_norm_that_belongs_to_no_convolution_alone_is_left(caplog):
    model, images = drawn(Normed()), tiny.images(2)
    copy = folded(model, images, ())
    torch.testing.assert_close(copy(images), model(images), rtol=0, atol=1e-12)
    assert copy.module is model.module, "bn2 is behind a ReLU: the fold is wrong, and seen to be"


def test_a_small_picture_is_the_low_frequencies_of_the_large_one():
    like = torch.zeros(1, dtype=torch.double)
    for size, other in (((24, 32), (12, 16)), ((25, 33), (13, 16)), ((24, 32), (15, 21))):
        canvas = param.fourier(size, [0, 1], like)
        z = torch.zeros_like(canvas.start)
        z[:, :, 0, 0, 0], z[:, :, 2, 3, 0], z[:, :, -3, 1, 1] = 3.0, 2.0, -1.0  # below both limits
        large, small = canvas.paint(z).logit(), canvas.small(z, other).logit()
        assert small.shape == (2, 3, *other)
        for row in range(other[0]):  # where the grids meet, the waves are the same
            for column in range(other[1]):
                y, x = row * size[0] / other[0], column * size[1] / other[1]
                if y == int(y) and x == int(x):
                    torch.testing.assert_close(
                        small[..., row, column], large[..., int(y), int(x)], rtol=0, atol=1e-9
                    )
        grey = canvas.small(torch.zeros_like(canvas.start), other)
        assert torch.equal(grey, torch.full_like(grey, 0.5))


def test_small_pictures_come_first_where_the_network_takes_them(models, monkeypatch):
    seen = []
    model = models["GAP + MLP"]
    monkeypatch.setattr("featvis.ascent.climb.LEAST", 8)
    hook = model.module.register_forward_hook(lambda _, args, out: seen.append(args[0].shape[2:]))
    try:
        made = last(featvis.maximize(model, 1, steps=20))
        sizes = [tuple(size) for size in dict.fromkeys(seen)]
        assert sizes == [(24, 32), (12, 16), (17, 23)]
        assert made.values.shape[2:] == (24, 32)
        seen.clear()
        fixed = replace(model, input=replace(model.input, fixed_size=True))
        last(featvis.maximize(fixed, 1, steps=20))
        assert {tuple(size) for size in seen} == {(24, 32)}
    finally:
        hook.remove()


def test_bfloat16_is_used_only_where_the_gradients_agree(models, monkeypatch):
    model = models["GAP + MLP"]
    objective = objectives.logit([1, 2])
    single = replace(model, module=model.module.float(), mean=model.mean.float())
    images = tiny.images(2).float()
    monkeypatch.setattr("featvis.gradients.precision.native", lambda device: True)
    try:
        sight = Sight(single, objective)
        assert settled(sight, images, "auto").half
        assert not settled(sight, images, "float32").half
        made = last(featvis.maximize(single, [1, 2], steps=2))
        assert made.notes[-1].startswith("computed in bfloat16")
        exact = single(made.values)[[0, 1], [1, 2]]
        torch.testing.assert_close(made.activation, exact, rtol=1e-5, atol=1e-5)
        monkeypatch.setattr("featvis.ascent.viewer.ENOUGH", 1.1)
        assert not settled(sight, images, "auto").half
    finally:
        model.module.double()
    assert not settled(Sight(model, objective), tiny.images(2), "auto").half, "float64 stays"


@pytest.mark.parametrize("preset", PRESETS)
def test_many_channels_in_groups_are_each_as_alone(models, preset, monkeypatch):
    model = models["GAP + MLP"]
    monkeypatch.setattr("featvis.ascent.groups.AT_ONCE", 4)
    arguments = {"layer": "trunk.conv2", "steps": 4, "preset": preset}
    made = last(featvis.maximize(model, every=True, copies=2, **arguments))
    assert made.subjects == tuple(f"trunk.conv2, channel {n}" for n in range(6) for _ in "ab")
    for channel in (0, 3, 5):
        alone = last(featvis.maximize(model, channel=channel, copies=2, **arguments))
        rows = slice(2 * channel, 2 * channel + 2)
        torch.testing.assert_close(made.values[rows], alone.values, rtol=0, atol=1e-9)
        torch.testing.assert_close(made.curve[rows], alone.curve, rtol=0, atol=1e-9)
    with pytest.raises(featvis.WrongRequest, match="of which layer"):
        last(featvis.maximize(model, every=True))


def test_the_same_request_gives_the_same_bytes():
    model = featvis_model()
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for run in (
        lambda **more: featvis.maximize(model, layer="layer3", channel=[3, 8], steps=6, **more),
        lambda **more: featvis.maximize(model, 3, steps=4, preset="MACO", seed=7, **more),
        lambda **more: featvis.deepdream(model, image, steps=2, octaves=2, **more),
        lambda **more: featvis.caricature(model, image, steps=4, **more),
        lambda **more: featvis.inversion(model, image, steps=4, **more),
    ):
        one, again, watched = last(run()), last(run()), last(run(frames=3))
        for other in (again, watched):
            assert one.values.numpy().tobytes() == other.values.numpy().tobytes()
            assert one.curve.numpy().tobytes() == other.curve.numpy().tobytes()


def featvis_model():
    import zoo_adapters

    return zoo_adapters.load("timm:test_resnet", pretrained=False) if not (
        zoo_adapters.names("bundled")
    ) else zoo_adapters.load("bundled:scenes-resnet")  # fmt: skip


def test_frames_are_evenly_spaced(models, monkeypatch):
    monkeypatch.setattr("featvis.ascent.climb.PREVIEW", 1e9)
    monkeypatch.setattr("featvis.methods.dream.PREVIEW", 1e9)
    made = [one.step for one in featvis.maximize(models["GAP + MLP"], 1, steps=20, frames=5)]
    assert made == [4, 8, 12, 16, 20]
    image = tiny.images(1)
    dreamt = featvis.deepdream(models["GAP + MLP"], image, steps=5, octaves=2, frames=5)
    assert [one.step for one in dreamt] == [2, 4, 6, 8, 10]


def test_a_neuron_of_a_larger_picture_is_at_the_same_place(models):
    model = models["GAP + MLP"]
    objective = objectives.neuron("trunk.conv2", 2, (3, 5), (6, 8))
    images = tiny.images(1, (48, 64))
    maps = featvis.record(model, images, "trunk.conv2")["trunk.conv2"]
    found = objective(objectives.watch(model, images, objective))
    assert torch.equal(found, maps[:, 2, 6, 10])
    made = last(
        featvis.maximize(model, layer="trunk.conv2", channel=2, position=(5, 7), size=16, steps=2)
    )
    assert made.values.shape == (1, 3, 12, 16)


# what does not fit


def test_what_does_not_fit_is_refused_with_the_size_that_does(models, monkeypatch):
    model = models["GAP + MLP"]
    sight = Sight(model, objectives.logit(0))
    kept = memory.kept_bytes(sight, tiny.images(1))
    free = memory.MORE * kept * 16 * 4 / memory.SPARE  # 4 pictures of 4 times the sides
    monkeypatch.setattr("featvis.ascent.memory.available", lambda like: int(free * 1.01))
    memory.check_memory(sight, tiny.images(1), (96, 128), 4)
    with pytest.raises(
        featvis.WrongRequest, match=r"at once need about .* a size of (6[3-5]) fits"
    ):
        memory.check_memory(sight, tiny.images(1), (96, 128), 16)
    with pytest.raises(featvis.WrongRequest, match="GB are free"):
        last(featvis.maximize(model, 1, size=1024, steps=1))
    monkeypatch.setattr("featvis.ascent.memory.available", lambda like: None)
    memory.check_memory(sight, tiny.images(1), (96, 128), 10**6)


def test_what_is_kept_is_counted_once():
    model = tiny.model(nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1), nn.ReLU(), nn.Flatten(),
                                     nn.Linear(5 * 12 * 16, 4)))  # fmt: skip
    objective = objectives.logit(1)
    found = memory.kept_bytes(Sight(model, objective), tiny.images(1))
    pixels, maps = 3 * 24 * 32 * 8, 5 * 12 * 16 * 8
    assert pixels + maps <= found <= 2 * (pixels + maps)
    free = memory.available(torch.zeros(1))
    assert free is None or 1e7 < free < 1e14


# echoes


def test_an_inversion_nears_the_maps_and_a_caricature_exaggerates_them(models):
    model, image = models["GAP + MLP"], tiny.images(2)
    maps = featvis.record(model, image, "trunk.conv1")["trunk.conv1"]
    inverted = last(featvis.inversion(model, image, "trunk.conv1", steps=150))
    own = featvis.record(model, inverted.values, "trunk.conv1")["trunk.conv1"]
    left = (own - maps).square().sum((1, 2, 3)) / maps.square().sum((1, 2, 3))
    torch.testing.assert_close(inverted.activation, -left, rtol=0, atol=1e-10)
    assert float(left.max()) < 0.5 * float(-inverted.curve[:, 0].max())
    drawn_ = last(featvis.caricature(model, image, "trunk.conv1", steps=60))
    found = featvis.record(model, drawn_.values, "trunk.conv1")["trunk.conv1"]
    cosine = torch.cosine_similarity(found.flatten(1), maps.flatten(1))
    expected = (found * maps).mean((1, 2, 3)) * cosine
    torch.testing.assert_close(drawn_.activation, expected, rtol=0, atol=1e-10)
    assert bool((drawn_.activation > drawn_.curve[:, 0]).all())


def test_a_picture_like_another_is_made_without_classes(models):
    model = replace(models["GAP + MLP"], output=featvis.Embedding(4))
    target = featvis.Likeness(model(tiny.images(1))[0], "it")
    made = last(featvis.maximize(model, target, steps=60))
    found = torch.cosine_similarity(model(made.values), target.embedding[None])
    torch.testing.assert_close(made.activation, found, rtol=0, atol=1e-10)
    assert made.subjects == ("like it",)
    assert float(found[0]) > 0.9
