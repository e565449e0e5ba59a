"""The ascent: presets, batches, dead starts, what goes wrong, in float64 on tiny networks."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import featvis
from featvis.ascent import climb, objectives, param
from featvis.ascent.climb import Plan, adam, ascend
from featvis.ascent.dead_relu import Leak
from featvis.methods.maximize import PRESETS
from featvis.progress import watched
from tests.support import tiny


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("net", ["GAP + MLP", "channels last", "tokens, average behind a prefix"])
def test_every_preset_climbs_and_follows_its_seed(models, net, preset):
    model = models[net]
    name = list(model.layers)[-1]
    arguments = {"layer": name, "channel": 1, "preset": preset, "steps": 60}
    one, again, other = (
        tiny.last(featvis.maximize(model, **arguments, seed=seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one.values, again.values)
    assert torch.equal(one.curve, again.curve)
    assert not torch.allclose(one.values, other.values)
    assert one.step == one.curve.shape[1] == 60
    assert not one.notes, "it says so where the end is no better than the start"
    found = objectives.excitation(name, 1)
    value = found(objectives.watch(model, one.values, found))
    torch.testing.assert_close(value, one.activation, rtol=0, atol=1e-10)
    assert one.subjects == (f"{name}, channel 1",)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_batch_of_channels_equals_each_alone(models, preset):
    model = models["GAP + MLP"]
    arguments = {"layer": "trunk.conv2", "preset": preset, "steps": 6}
    together = tiny.last(featvis.maximize(model, channel=[3, 0, 4], **arguments))
    for row, channel in enumerate([3, 0, 4]):
        alone = tiny.last(featvis.maximize(model, channel=channel, **arguments))
        torch.testing.assert_close(together.values[row], alone.values[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(together.curve[row], alone.curve[0], rtol=0, atol=1e-9)


def test_copies_differ_and_diversity_parts_them(models):
    model = models["GAP + MLP"]
    arguments = {"layer": "trunk.conv2", "channel": [1, 3], "copies": 3, "steps": 15}
    alike = tiny.last(featvis.maximize(model, **arguments))
    apart = tiny.last(featvis.maximize(model, **arguments, diversity=100.0))
    assert alike.subjects == ("trunk.conv2, channel 1",) * 3 + ("trunk.conv2, channel 3",) * 3
    objective = objectives.diversity("trunk.conv2", 3)
    spread = [
        float(objective(objectives.watch(model, made.values, objective)).mean())
        for made in (alike, apart)
    ]
    assert spread[0] < spread[1]


class Dead(nn.Module):
    """Channels behind a ReLU that grey noise does not excite; channel 2 nothing can excite."""

    def __init__(self, rectifier: nn.Module) -> None:
        super().__init__()
        self.stage = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), rectifier)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(self.stage(x).mean((2, 3)))


@pytest.fixture(params=[nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()], ids=str)
def dead(request):
    model = tiny.model(Dead(request.param))
    model.module.stage[0].weight.abs_()  # white excites it, grey does not
    model.module.stage[0].bias.fill_(-3.3)
    model.module.stage[0].bias[2] = -1e6
    return model


def test_a_channel_that_nothing_excites_at_first_is_woken(dead):
    made = tiny.last(featvis.maximize(dead, layer="stage", channel=[1, 2], steps=60))
    assert float(made.curve[0, 0]) <= 0, "the start is to be dead"
    assert float(made.activation[0]) > 0.05
    assert float(made.values[0].std()) > 0.05
    assert float(made.activation[1]) <= 0
    assert len(made.notes) == 1
    name = "stage before ReLU6" if "ReLU6" in str(dead.module) else "stage"
    assert made.notes[0].startswith(f"{name}, channel 2 could not be excited")


def test_a_gradient_that_gets_through_by_itself_is_left_alone(models):
    images = tiny.images(2).requires_grad_()
    plain, leaking = (
        torch.autograd.grad(models["GAP + MLP"](images)[:, 1].sum(), images)[0] for _ in range(2)
    )
    with Leak():
        leaking = torch.autograd.grad(models["GAP + MLP"](images)[:, 1].sum(), images)[0]
    assert torch.equal(plain, leaking)


class Fragile(nn.Module):
    """Not a number as soon as the mean of what it sees passes a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4, 4)
        self.limit = math.inf

    def forward(self, x):
        maps = self.conv(x)
        maps = torch.where(maps[:, :1].mean((2, 3), keepdim=True) > self.limit, torch.nan, maps)
        return self.fc(maps.mean((2, 3)))


def test_what_is_no_longer_a_number_keeps_the_last_good_picture():
    model = tiny.model(Fragile())
    arguments = {"target": [0, 1], "preset": "raw gradient", "steps": 40}
    free = tiny.last(featvis.maximize(model, **arguments))
    values = model.module.conv(model.normalize(free.values))[:, 0].mean((1, 2))
    row = int(values.argmax())
    start = tiny.last(featvis.maximize(model, **{**arguments, "steps": 1})).values
    begin = float(model.module.conv(model.normalize(start))[row, 0].mean())
    model.module.limit = (begin + float(values[row])) / 2
    assert float(values[1 - row]) < model.module.limit
    made = tiny.last(featvis.maximize(model, **arguments))
    assert made.values.isfinite().all()
    assert made.activation.isfinite().all()
    assert bool(model(made.values)[row].isfinite().all()), "the picture kept is a good one"
    assert float(made.curve[row].isfinite().sum()) < 40
    assert len(made.notes) == 1
    assert "no longer a number" in made.notes[0]
    assert torch.equal(made.values[1 - row], free.values[1 - row])
    model.module.limit = -math.inf
    assert tiny.last(featvis.maximize(model, **arguments)).step < 40, "it stops when none goes on"


def test_cancelling_stops_at_the_next_step(models):
    model, seen = models["GAP + MLP"], []

    class Cancelled(Exception):
        pass

    def watch(done, total):
        seen.append((done, total))
        if done == 3:
            raise Cancelled

    image = tiny.images(1)
    for run in (
        lambda: featvis.maximize(model, steps=50),
        lambda: featvis.deepdream(model, image, steps=50, octaves=1),
    ):
        seen.clear()
        with watched(watch), pytest.raises(Cancelled):
            tiny.last(run())
        # where a step takes long, it is heard in its middle too
        assert [*dict.fromkeys(seen)] == [(0, 50), (1, 50), (2, 50), (3, 50)]


@pytest.mark.parametrize("way", ["maximize", "deepdream"])
def test_a_slow_step_can_be_stopped_in_its_middle(models, monkeypatch, way):
    for module in ("ascent.climb", "methods.dream"):
        monkeypatch.setattr(f"featvis.{module}.SLOW", -1.0)
    model, image, seen = models["GAP + MLP"], tiny.images(1), []

    class Cancelled(Exception):
        pass

    def run():
        if way == "maximize":
            return tiny.last(featvis.maximize(model, steps=3))
        return tiny.last(featvis.deepdream(model, image, steps=3, octaves=1))

    with watched(lambda done, total: seen.append(done)):
        made = run()
    within = [at for at in range(len(seen)) if seen[at] == 1][1:]
    # the six parts that run in a pass, forward and back
    assert len(within) >= 8

    for stop in (within[0], within[-1]):  # on the way forward, and on the way back
        calls = iter(range(stop + 1))

        def watch(done, total, calls=calls, stop=stop):
            if next(calls, None) == stop:
                raise Cancelled

        with watched(watch), pytest.raises(Cancelled):
            run()
    assert torch.equal(run().values, made.values)
    assert not any(child._forward_hooks for child in model.module.modules())


def test_a_dream_too_large_for_the_memory_is_refused(models, monkeypatch):
    monkeypatch.setattr("featvis.ascent.memory.available", lambda like: 100_000)
    with pytest.raises(featvis.WrongRequest, match="are free; a size of"):
        tiny.last(featvis.deepdream(models["GAP + MLP"], tiny.images(1), size=480, steps=1))


def test_previews_are_results_and_only_the_last_one_is_finished(models, monkeypatch):
    monkeypatch.setattr("featvis.ascent.climb.PREVIEW", 0.0)
    made = list(featvis.maximize(models["GAP + MLP"], steps=5))
    assert [one.step for one in made] == [1, 2, 3, 4, 5]
    assert all(one.values.shape == (1, 3, *tiny.SIZE) for one in made)


def test_a_network_of_a_fixed_size_sees_its_own_size(models):
    model = models["flatten"]
    fixed = replace(model, input=replace(model.input, fixed_size=True))
    made = tiny.last(featvis.maximize(fixed, 1, size=48, steps=4))
    assert made.values.shape == (1, 3, 36, 48)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"layer": "trunk.conv3"}, "no layer 'trunk.conv3'; the nearest are trunk.conv"),
        ({"layer": "trunk.conv2", "channel": 6}, "its channels go from 0 to 5"),
        ({"layer": "trunk.conv2", "channel": 1, "position": (6, 0)}, "rows go from 0 to 5"),
        ({"target": 4}, "classes go from 0 to 3"),
    ],
)
def test_a_wrong_request_says_what_is_possible(models, arguments, sentence):
    with pytest.raises(featvis.WrongRequest, match=sentence):
        tiny.last(featvis.maximize(models["GAP + MLP"], **arguments))


def test_inversion_finds_the_pictures_maps_again(models):
    model, image = models["GAP + MLP"], tiny.images(1)
    maps = featvis.record(model, image, "trunk.conv1")["trunk.conv1"]
    objective = objectives.inversion("trunk.conv1", maps)
    canvas = param.pixels(tiny.SIZE, [0], image)
    plan = Plan(adam(0.05))
    made = tiny.last(ascend(model, objective, canvas, plan, steps=150, seed=0, subjects=["it"]))
    assert float(made.activation) > -0.02 > float(made.curve[0, 0])


def test_small_pictures_come_first_for_a_thing_and_not_for_a_pattern(models, monkeypatch):
    sizes = []
    before = climb.Climb.resize

    def resized(climb, done):
        before(climb, done)
        sizes.append(climb.size)

    monkeypatch.setattr(climb.Climb, "resize", resized)
    monkeypatch.setattr(climb, "LEAST", 8)
    model = models["GAP + MLP"]
    tiny.last(featvis.maximize(model, 1, steps=10))
    assert sizes[0] == (model.size[0] // 2, model.size[1] // 2)
    assert sizes[-1] == model.size
    sizes.clear()
    tiny.last(featvis.maximize(model, layer="trunk.conv2", channel=1, steps=10))
    assert set(sizes) == {model.size}, "its field is small"
