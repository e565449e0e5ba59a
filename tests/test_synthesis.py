"""Parametrizations, transforms, objectives and the ascent, in float64 on tiny networks."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import tiny
import torch
from torch import nn

import featvis
from featvis import objectives, param, regularize, transform
from featvis.ascent import Plan, adam, ascend, normalized
from featvis.leak import Leak
from featvis.maximize import PRESETS
from featvis.progress import watched

LIKE = torch.zeros(1, dtype=torch.double)
SIZES = [(24, 32), (15, 21), (16, 9)]


@pytest.fixture(scope="module")
def models():
    return {name: tiny.model(net) for name, net in tiny.nets().items()}


def last(steps):
    """The last result of a generator."""
    *_, made = steps
    return made


# parametrizations


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [param.pixels, param.fourier])
def test_zeros_are_grey(make, size):
    canvas = make(size, [0, 1], LIKE)
    grey = canvas.paint(torch.zeros_like(canvas.start))
    assert grey.shape == (2, 3, *size)
    assert torch.equal(grey, torch.full_like(grey, 0.5))


@pytest.mark.parametrize("make", [param.pixels, param.fourier, param.maco])
def test_a_start_is_its_seeds_alone(make):
    before = torch.get_rng_state()
    two, one = make((24, 32), [5, 9], LIKE), make((24, 32), [9], LIKE)
    assert torch.equal(two.start[1:], one.start)
    assert not torch.allclose(two.start[0], two.start[1])
    assert torch.equal(torch.get_rng_state(), before)
    repeated = two.repeated(3).start
    assert torch.equal(repeated, torch.cat([two.start] * 3))


def test_colours_are_recovered_from_their_components():
    image = tiny.images(2)
    torch.testing.assert_close(param.to_rgb(param.to_components(image)), image, rtol=0, atol=1e-12)
    matrix = param.color_matrix(LIKE)
    gram = matrix.T @ matrix
    expected = torch.tensor(param.SPREADS, dtype=torch.double).square().diag()
    torch.testing.assert_close(gram, expected, rtol=0, atol=1e-12)


def test_a_frequency_is_painted_as_its_wave():
    size = (24, 32)
    canvas = param.fourier(size, [0], LIKE, decay=1.0)
    z = torch.zeros_like(canvas.start)
    z[0, 0, 3, 4, 0] = 1.0
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    rows, columns = rows.double(), columns.double()
    f = math.hypot(3 / 24, 4 / 32)
    wave = 2 / (24 * 32) * torch.cos(2 * math.pi * (3 * rows / 24 + 4 * columns / 32))
    expected = (wave / f * math.sqrt(24 * 32) / 4 / math.sqrt(3)).sigmoid()
    made = canvas.paint(z)[0]
    for plane in made:
        torch.testing.assert_close(plane, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_macos_pictures_have_the_magnitudes_asked_for(size):
    canvas = param.maco(size, [3], LIKE)
    logits = canvas.paint(canvas.start).logit()
    found = torch.fft.rfft2(param.to_components(logits)).abs()
    wanted = param.spectrum(size).expand_as(found)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-8)
    spread = param.to_components(logits)[0].std((1, 2), unbiased=False)
    torch.testing.assert_close(spread, torch.full_like(spread, param.CONTRAST), rtol=0, atol=1e-9)


# transforms


def drawn(draw, count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([draw(generator) for _ in range(count)])


@pytest.mark.parametrize("size", [(24, 32), (40, 28)])
def test_views_have_the_size_asked_for_and_are_differentiable(size):
    images = tiny.images(2).requires_grad_()
    seen = transform.warp(images, drawn(transform.robust(24)), size)
    assert seen.shape == (6, 3, *size)
    assert 0 <= float(seen.detach().min()) <= float(seen.detach().max()) <= 1
    gradient = torch.autograd.grad(seen.sum(), images)[0]
    assert float(gradient.abs().sum()) > 0
    assert torch.autograd.gradcheck(
        lambda x: transform.warp(x, drawn(transform.robust(8), 1), (7, 6)),
        (tiny.images(1, (6, 5)).requires_grad_(),),
    )


def test_a_jitter_is_a_move_by_whole_pixels():
    images = tiny.images(1)
    matrix = torch.eye(3, dtype=torch.double)
    matrix[:2, 2] = torch.tensor([2.0, -3.0])
    seen = transform.warp(images, matrix[None], tiny.SIZE)
    torch.testing.assert_close(seen[..., 3:, :-2], images[..., :-3, 2:], rtol=0, atol=1e-12)
    moves = drawn(transform.jitter(3), 100)[:, :2, 2]
    assert sorted(moves.unique().tolist()) == list(range(-3, 4))


def test_without_a_change_of_view_the_picture_is_itself():
    images = tiny.images(2)
    assert torch.equal(transform.warp(images, drawn(transform.still), tiny.SIZE)[2:4], images)
    tiny_turn = transform.compose(transform.rotate(1e-9), transform.scale(1, 1))
    seen = transform.warp(images, drawn(tiny_turn, 1), tiny.SIZE)
    torch.testing.assert_close(seen, images, rtol=0, atol=1e-6)


def test_a_zoom_enlarges_and_a_turn_turns():
    rows, columns = torch.meshgrid(torch.arange(31.0), torch.arange(31.0), indexing="ij")
    ramp = (columns - 15).double().expand(1, 3, 31, 31) / 40 + 0.5
    zoomed = transform.warp(ramp, drawn(transform.scale(2, 2), 1), (31, 31))
    torch.testing.assert_close(zoomed - 0.5, (ramp - 0.5) / 2, rtol=0, atol=1e-12)
    matrix = drawn(transform.rotate(90), 1)
    matrix[0, :2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    turned = transform.warp(ramp, matrix, (31, 31))
    expected = (15 - rows).double().expand_as(ramp) / 40 + 0.5
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)


def test_a_crop_lies_within_the_picture():
    for matrix in drawn(transform.crop(0.2, 0.7, (24, 32)), 50):
        corners = matrix @ torch.tensor([[-16.0, 16], [-12, 12], [1, 1]]).double()
        assert float(corners[0].abs().max()) <= 16 + 1e-9
        assert float(corners[1].abs().max()) <= 12 + 1e-9


# objectives


@pytest.mark.parametrize(
    "net", ["GAP + MLP", "channels last", "tokens, average behind a prefix", "functional ReLU"]
)
def test_objectives_are_what_they_say_on_every_layout(models, net):
    model, images = models[net], tiny.images(2)
    name = list(model.layers)[-1]
    maps = featvis.record(model, images, name)[name]
    h, w = maps.shape[2:]
    vector = torch.linspace(-1, 1, maps.shape[1]).double()
    other = maps.flip(0) + 0.1
    cosine = torch.cosine_similarity(maps.flatten(1), other.flatten(1))
    expected = {
        objectives.channel(name, 2): maps[:, 2].mean((1, 2)),
        objectives.channel(name, [2, 1]): torch.stack([maps[0, 2].mean(), maps[1, 1].mean()]),
        objectives.excitation(name, 2): maps[:, 2].clamp_min(0).mean((1, 2)),
        objectives.neuron(name, 2): maps[:, 2, h // 2, w // 2],
        objectives.neuron(name, 2, (1, 0)): maps[:, 2, 1, 0],
        objectives.layer(name): maps.square().mean((1, 2, 3)),
        objectives.direction(name, vector): (maps * vector[:, None, None]).sum(1).mean((1, 2)),
        objectives.logit([1, 0]): model(images)[[0, 1], [1, 0]],
        objectives.likeness(vector[:4]): torch.cosine_similarity(model(images), vector[None, :4]),
        objectives.inversion(name, other): -(maps - other).square().sum((1, 2, 3))
        / other.square().sum((1, 2, 3)),
        objectives.caricature(name, other): (maps * other).mean((1, 2, 3)) * cosine.clamp_min(0.1),
        objectives.l2(): (images - 0.5).square().mean((1, 2, 3)),
        2 * objectives.channel(name, 2) - objectives.logit(1) * 0.5: 2 * maps[:, 2].mean((1, 2))
        - model(images)[:, 1] / 2,
    }
    for objective, value in expected.items():
        found = objective(objectives.watch(model, images, objective))
        torch.testing.assert_close(found, value, rtol=0, atol=1e-10)


def test_diversity_is_minus_the_mean_likeness_of_styles(models):
    model, images = models["GAP + MLP"], tiny.images(6)
    objective = objectives.diversity("trunk.conv2", 3)
    found = objective(objectives.watch(model, images, objective))
    maps = featvis.record(model, images, "trunk.conv2")["trunk.conv2"].flatten(2)
    styles = [(m @ m.T).flatten() for m in maps]
    for i in range(6):
        others = [j for j in range(i // 3 * 3, i // 3 * 3 + 3) if j != i]
        likeness = [torch.cosine_similarity(styles[i], styles[j], dim=0) for j in others]
        assert abs(float(found[i] + sum(likeness) / 2)) < 1e-12


def test_total_variation_is_the_mean_step_between_neighbours():
    images = tiny.images(1, (3, 4))
    x = images[0]
    down = sum(float((x[:, i + 1] - x[:, i]).abs().sum()) for i in range(2)) / (3 * 2 * 4)
    right = sum(float((x[:, :, j + 1] - x[:, :, j]).abs().sum()) for j in range(3)) / (3 * 3 * 3)
    found = objectives.total_variation()(objectives.Seen(images, {}, None))
    assert abs(float(found) - down - right) < 1e-12


# regularizers and steps


def test_regularizers_do_what_they_say():
    x, g = tiny.images(2) - 0.5, tiny.images(2, seed=7) - 0.5
    assert torch.equal(regularize.decay(0.25)(x, g, 0), x * 0.75)
    blurred = regularize.blur(1.0, every=4)
    assert torch.equal(blurred(x, g, 2), x)
    assert float(blurred(x, g, 3).diff(dim=3).abs().mean()) < 0.5 * float(
        x.diff(dim=3).abs().mean()
    )
    for made, worth in (
        (regularize.clip_norm(25)(x, g, 0), x.norm(dim=1)),
        (regularize.clip_contribution(25)(x, g, 0), (x * g).sum(1).abs()),
    ):
        for i in range(2):
            gone = (made[i] == 0).all(0)
            assert int(gone.sum()) == 24 * 32 // 4
            assert float(worth[i][gone].max()) < float(worth[i][~gone].min())
            assert torch.equal(made[i][:, ~gone], x[i][:, ~gone])


def test_adam_is_torchs_adam():
    x = torch.nn.Parameter(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)).double())
    y, step = x.detach().clone(), adam(0.1)()
    other = torch.optim.Adam([x], lr=0.1, maximize=True)
    for count in range(20):
        other.zero_grad()
        x.grad = torch.autograd.grad((-(x**4) + x).sum(), x)[0]
        other.step()
        leaf = y.clone().requires_grad_()
        y = y + step(torch.autograd.grad((-(leaf**4) + leaf).sum(), leaf)[0], count)
    torch.testing.assert_close(x.detach(), y, rtol=0, atol=1e-6)


def test_a_normalized_step_has_its_length():
    made = normalized(0.3)()(tiny.images(2) * 1e-5, 0)
    size = made.square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(size, torch.full_like(size, 0.3), rtol=0, atol=1e-12)


# the ascent


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("net", ["GAP + MLP", "channels last", "tokens, average behind a prefix"])
def test_every_preset_climbs_and_follows_its_seed(models, net, preset):
    model = models[net]
    name = list(model.layers)[-1]
    arguments = {"layer": name, "channel": 1, "preset": preset, "steps": 60}
    one, again, other = (
        last(featvis.maximize(model, **arguments, seed=seed)) for seed in (0, 0, 1)
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
    together = last(featvis.maximize(model, channel=[3, 0, 4], **arguments))
    for row, channel in enumerate([3, 0, 4]):
        alone = last(featvis.maximize(model, channel=channel, **arguments))
        torch.testing.assert_close(together.values[row], alone.values[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(together.curve[row], alone.curve[0], rtol=0, atol=1e-9)


def test_copies_differ_and_diversity_parts_them(models):
    model = models["GAP + MLP"]
    arguments = {"layer": "trunk.conv2", "channel": [1, 3], "copies": 3, "steps": 15}
    alike = last(featvis.maximize(model, **arguments))
    apart = last(featvis.maximize(model, **arguments, diversity=100.0))
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
    made = last(featvis.maximize(dead, layer="stage", channel=[1, 2], steps=60))
    assert float(made.curve[0, 0]) <= 0, "the start is to be dead"
    assert float(made.activation[0]) > 0.05
    assert float(made.values[0].std()) > 0.05
    assert float(made.activation[1]) <= 0
    assert len(made.notes) == 1
    assert made.notes[0].startswith("stage, channel 2 could not be excited")


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
    free = last(featvis.maximize(model, **arguments))
    values = model.module.conv(model.normalize(free.values))[:, 0].mean((1, 2))
    row = int(values.argmax())
    start = last(featvis.maximize(model, **{**arguments, "steps": 1})).values
    begin = float(model.module.conv(model.normalize(start))[row, 0].mean())
    model.module.limit = (begin + float(values[row])) / 2
    assert float(values[1 - row]) < model.module.limit
    made = last(featvis.maximize(model, **arguments))
    assert made.values.isfinite().all()
    assert made.activation.isfinite().all()
    assert bool(model(made.values)[row].isfinite().all()), "the picture kept is a good one"
    assert float(made.curve[row].isfinite().sum()) < 40
    assert len(made.notes) == 1
    assert "no longer a number" in made.notes[0]
    assert torch.equal(made.values[1 - row], free.values[1 - row])
    model.module.limit = -math.inf
    assert last(featvis.maximize(model, **arguments)).step < 40, "it stops when none goes on"


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
            last(run())
        # where a step takes long, it is heard in its middle too
        assert [*dict.fromkeys(seen)] == [(0, 50), (1, 50), (2, 50), (3, 50)]


@pytest.mark.parametrize("way", ["maximize", "deepdream"])
def test_a_slow_step_can_be_stopped_in_its_middle(models, monkeypatch, way):
    for module in ("ascent", "dream"):
        monkeypatch.setattr(f"featvis.{module}.SLOW", -1.0)
    model, image, seen = models["GAP + MLP"], tiny.images(1), []

    class Cancelled(Exception):
        pass

    def run():
        if way == "maximize":
            return last(featvis.maximize(model, steps=3))
        return last(featvis.deepdream(model, image, steps=3, octaves=1))

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
    monkeypatch.setattr("featvis.memory.available", lambda like: 100_000)
    with pytest.raises(featvis.WrongRequest, match="are free; a size of"):
        last(featvis.deepdream(models["GAP + MLP"], tiny.images(1), size=480, steps=1))


def test_previews_are_results_and_only_the_last_one_is_finished(models, monkeypatch):
    monkeypatch.setattr("featvis.ascent.PREVIEW", 0.0)
    made = list(featvis.maximize(models["GAP + MLP"], steps=5))
    assert [one.step for one in made] == [1, 2, 3, 4, 5]
    assert all(one.values.shape == (1, 3, *tiny.SIZE) for one in made)


def test_a_network_of_a_fixed_size_sees_its_own_size(models):
    model = models["flatten"]
    fixed = replace(model, input=replace(model.input, fixed_size=True))
    made = last(featvis.maximize(fixed, 1, size=48, steps=4))
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
        last(featvis.maximize(models["GAP + MLP"], **arguments))


def test_inversion_finds_the_pictures_maps_again(models):
    model, image = models["GAP + MLP"], tiny.images(1)
    maps = featvis.record(model, image, "trunk.conv1")["trunk.conv1"]
    objective = objectives.inversion("trunk.conv1", maps)
    canvas = param.pixels(tiny.SIZE, [0], image)
    plan = Plan(adam(0.05))
    made = last(ascend(model, objective, canvas, plan, steps=150, seed=0, subjects=["it"]))
    assert float(made.activation) > -0.02 > float(made.curve[0, 0])


# DeepDream


def test_a_dream_has_more_of_what_the_layer_saw(models):
    model, image = models["GAP + MLP"], tiny.images(2)
    made = last(featvis.deepdream(model, image, layer="trunk.conv2", steps=5))
    objective = objectives.layer("trunk.conv2")
    before, after = (objective(objectives.watch(model, x, objective)) for x in (image, made.values))
    assert made.values.shape == image.shape
    assert bool((after > before).all())
    change = (made.values - image).abs().mean((1, 2, 3))
    assert bool((change > 0.006).all())
    assert bool((change < 4 * 5 * 0.006).all())


def test_a_dream_of_no_steps_length_is_the_picture(models):
    image = tiny.images(1)
    made = last(featvis.deepdream(models["GAP + MLP"], image, rate=0.0, steps=1))
    torch.testing.assert_close(made.values, image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("subject", [{"target": 2}, {"layer": "trunk.conv1", "channel": 3}, {}])
def test_a_fixed_network_dreams_in_tiles(models, subject):
    model, image = models["flatten"], tiny.images(1)
    fixed = replace(model, input=replace(model.input, fixed_size=True))
    made = last(featvis.deepdream(fixed, image, **subject, size=80, steps=2, start="noise"))
    assert made.values.shape == (1, 3, 60, 80)
    assert made.curve.shape == (1, 8)
    again = last(featvis.deepdream(fixed, image, **subject, size=80, steps=2, start="noise"))
    assert torch.equal(made.values, again.values)
