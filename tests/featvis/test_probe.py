"""The probe against literal loops: over pictures, channels and positions, in every layout."""

from __future__ import annotations

import math
import sys
from itertools import product

import pytest
import torch

import featvis
from featvis.probe import (
    Batch,
    alike,
    class_means,
    combined,
    embed,
    moments,
    probe,
    scan,
    strongest,
)
from featvis.probe.best import EMPTY, enter, strongest_of
from featvis.probe.exact import BINS, edges
from featvis.probe.tally import drawn, empty
from tests.support import tiny

COUNT, K, CLASSES = 11, 4, 3
NETS = tiny.nets()
LAYOUTS = {
    "NCHW": "GAP + FC",
    "NHWC": "channels last",
    "NLC": "tokens, average behind a prefix",
    "gated": "squeeze-excite",
}


def batches(size, images=None, order=None):
    """Noise pictures in batches of `size`, in an order."""
    pixels = tiny.images(COUNT)
    numbers = torch.arange(COUNT) * 3 + 1 if images is None else images  # numbers have gaps
    order = torch.arange(COUNT) if order is None else order
    for part in order.split(size):
        yield Batch(pixels[part], numbers[part], numbers[part] % (CLASSES + 1) - 1)


def scanned(model, *args, **options):
    state = probe(model, k=K, classes=CLASSES, sample=5)
    made = list(scan(model, batches(*args, **options), into=state))
    return state, made


def literal(model, name):
    """Per channel all maps (N, h, w) of all pictures, one picture at a time."""
    pixels = tiny.images(COUNT)
    rows = [featvis.record(model, pixels[i : i + 1], name)[name][0] for i in range(COUNT)]
    return torch.stack(rows)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_everything_is_what_a_literal_loop_finds(kind):
    model = tiny.model(NETS[LAYOUTS[kind]])
    state, _ = scanned(model, 4)
    numbers = (torch.arange(COUNT) * 3 + 1).tolist()
    for name, layer in model.layers.items():
        tally, maps = state.tally(name), literal(model, name)
        h, w = layer.size
        moment = moments(tally, state.pictures)
        means = class_means(tally, state.per_class)
        for c in range(layer.channels):
            best, worst, total, square, positive = [], [], 0.0, 0.0, 0
            sums = {k: [] for k in range(CLASSES)}
            for n in range(COUNT):
                places = list(product(range(h), range(w)))
                values = [float(maps[n, c, y, x]) for y, x in places]
                order = rank(numbers[n]), numbers[n]
                best.append((-max(values), *order, values.index(max(values))))
                worst.append((min(values), *order, values.index(min(values))))
                total += math.fsum(values)
                square += math.fsum(v * v for v in values)
                positive += max(values) > 0
                sums.setdefault(numbers[n] % (CLASSES + 1) - 1, []).append(max(values))
            for found, expected, sign in ((tally.top, best, -1), (tally.bottom, worst, -1)):
                rows = strongest(found, c)
                first = sorted(expected)[:K]
                assert [row[0] for row in rows] == [row[2] for row in first]
                assert [row[2] for row in rows] == [row[3] for row in first]
                tied = sum(row[0] == first[-1][0] for row in expected)
                assert int(found.ties[c]) == tied
                wanted = [sign * row[0] for row in first]
                assert [row[1] for row in rows] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
            count = COUNT * h * w
            assert float(moment.mean[c]) == pytest.approx(total / count, rel=1e-9, abs=1e-12)
            spread = math.sqrt(max(square / count - (total / count) ** 2, 0))
            assert float(moment.std[c]) == pytest.approx(spread, rel=1e-6, abs=1e-8)
            assert float(moment.active[c]) == pytest.approx(positive / COUNT)
            for k in range(CLASSES):
                assert float(means[k, c]) == pytest.approx(sum(sums[k]) / len(sums[k]), rel=1e-9)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_counts_are_those_of_a_literal_loop(kind):
    model = tiny.model(NETS[LAYOUTS[kind]])
    state, _ = scanned(model, 4)
    ends = edges().tolist()
    for name, layer in model.layers.items():
        maps = literal(model, name).flatten(2).float()
        at = drawn(torch.arange(COUNT) * 3 + 1, layer.size[0] * layer.size[1])
        for c in range(layer.channels):
            maxima, values = [0] * BINS, [0] * BINS
            for n in range(COUNT):
                for counts, found in (
                    (maxima, [maps[n, c].max()]),
                    (values, [maps[n, c, p] for p in at[n].tolist()]),
                ):
                    for value in found:
                        counts[sum(end <= float(value) for end in ends) - 1] += 1
            assert state.tally(name).maxima[c].tolist() == maxima
            assert state.tally(name).values[c].tolist() == values


def rank(number):
    """Of equal values the picture with the smaller one comes first: splitmix64, by hand."""
    word = 2**64
    x = (number + 12 * 0x632BE59B) * 0x9E3779B97F4A7C15 % word
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % word
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % word
    return (x ^ (x >> 31)) % 2**62


def same(a, b):
    """Are two probes equal, bit for bit?"""
    assert (a.pictures, a.same, a.per_class.tolist()) == (b.pictures, b.same, b.per_class.tolist())
    assert torch.equal(a.sampled, b.sampled)
    for name in a.tallies:
        x, y = a.tallies[name], b.tallies[name]
        for key in ("sums", "maxima", "values", "classes", "sample"):
            assert torch.equal(getattr(x, key), getattr(y, key)), (name, key)
        for key, part in product(("top", "bottom"), ("values", "images", "positions", "ties")):
            one, other = getattr(getattr(x, key), part), getattr(getattr(y, key), part)
            assert torch.equal(one, other), (name, key, part)


def rounded(model):
    """The same network on a grid of numbers: no batch and no order changes its last digits."""
    for parameter in model.module.parameters():
        parameter.copy_((parameter * 8).round() / 8)
    model.mean.zero_(), model.std.fill_(1)
    return model


def test_batches_and_order_change_nothing(monkeypatch):
    model = rounded(tiny.model(NETS["GAP + FC"]))
    pixels = (tiny.images(COUNT) * 4).round() / 4  # many equal values: ties are met
    monkeypatch.setattr(tiny, "images", lambda count: pixels)
    whole, _ = scanned(model, COUNT)
    for size in (1, 3, 5):
        same(scanned(model, size)[0], whole)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))
    same(scanned(model, 4, order=order)[0], whole)


def test_probes_of_parts_merge_into_the_probe_of_all(monkeypatch):
    model = rounded(tiny.model(NETS["GAP + FC"]))
    pixels = (tiny.images(COUNT) * 4).round() / 4
    monkeypatch.setattr(tiny, "images", lambda count: pixels)
    whole, _ = scanned(model, 2)
    parts = [
        scanned(model, 2, order=part)[0]
        for part in (torch.arange(6, 11), torch.arange(0, 2), torch.arange(2, 6))
    ]
    a, b, c = parts
    same(combined(combined(a, b), c), whole)
    same(combined(b, combined(c, a)), whole)
    same(combined(combined(c, b), probe(model, k=K, classes=CLASSES, sample=5)), combined(c, b))


def test_layers_that_are_counted_together_or_alone_give_the_same(monkeypatch):
    model = rounded(tiny.model(NETS["GAP + FC"]))
    whole, _ = scanned(model, 2)
    assert len(whole.tallies) == 3
    several = sys.modules["featvis.probe.scan"]
    monkeypatch.setattr(several, "TOGETHER", 1)
    same(scanned(model, 2)[0], whole)
    state = probe(model, k=K, classes=CLASSES, sample=5)
    for i, batch in enumerate(batches(2)):
        monkeypatch.setattr(several, "TOGETHER", (1, 10**9, 12)[i % 3])
        list(scan(model, [batch], into=state))
    same(state, whole)


def test_ties_are_counted_and_show_a_sample_of_the_pictures():
    model = tiny.model(NETS["GAP + FC"])
    pixels = tiny.images(1).expand(COUNT, -1, -1, -1)
    order = [7, 3, 9, 1, 4, 0, 2, 10, 5, 6, 8]
    state = probe(model, k=K)
    parts = [Batch(pixels[:1], torch.tensor([n]), torch.tensor([-1])) for n in order]
    list(scan(model, parts, into=state))
    for best in (state.tally("trunk").top, state.tally("trunk").bottom):
        assert best.images.tolist() == [sorted(order, key=rank)[:K]] * 6
        assert best.ties.tolist() == [COUNT] * 6
    shown = sorted(range(2000), key=rank)[:9]
    assert min(shown) > 20
    assert 600 < sum(shown) / 9 < 1400


def test_ties_of_the_last_place_are_counted_however_they_come():
    """Three values among pictures that come in batches of random sizes, or in merged halves."""
    make = torch.Generator().manual_seed(0)
    for _ in range(40):
        count, channels, k = int(torch.randint(1, 30, (), generator=make)), 5, 4
        values = torch.randint(0, 3, (count, channels), generator=make).float()
        numbers = torch.randperm(100, generator=make)[:count]
        states = []
        for part in torch.arange(count).tensor_split(2):
            state = empty(channels, k=k, classes=0, sample=0, like=values).top
            for few in part.split(3):
                if len(few):
                    enter(state, values[few], torch.zeros(len(few), channels).long(), numbers[few])
            states.append(state)
        found = strongest_of(*states)
        for c in range(channels):
            pairs = zip(values[:, c].tolist(), numbers.tolist(), strict=True)
            rows = sorted((-value, rank(number), number) for value, number in pairs)
            kept = [n for n in found.images[c].tolist() if n != EMPTY]
            assert kept == [n for _, _, n in rows[:k]]
            last = rows[k - 1][0] if count >= k else None
            assert int(found.ties[c]) == sum(row[0] == last for row in rows)


def test_fewer_pictures_than_k_leave_places_empty():
    model = tiny.model(NETS["GAP + FC"])
    state = probe(model, k=K)
    batch = Batch(tiny.images(2), torch.tensor([5, 2]), torch.tensor([-1, -1]))
    list(scan(model, [batch], into=state))
    assert sorted(row[0] for row in strongest(state.tally("trunk").top, 0)) == [2, 5]


def test_a_container_that_returns_its_last_child_is_counted_once():
    model = tiny.model(NETS["channels last"])
    state, _ = scanned(model, 4)
    assert set(state.tallies) | set(state.same) == set(model.layers)
    inplace = tiny.model(NETS["GAP + FC"])
    state, _ = scanned(inplace, 4)
    assert state.tally("trunk.conv2") is not state.tally("trunk")  # rectified in place after it


def test_alike_are_the_channels_whose_maxima_correlate():
    model = tiny.model(NETS["GAP + FC"])
    state = probe(model)
    list(scan(model, batches(4), into=state))
    maxima = literal(model, "trunk").flatten(2).amax(2).T.numpy()  # (C, N)
    import numpy as np

    wanted = np.corrcoef(maxima)
    channels, found = alike(state.tally("trunk"), state.sampled, 3)
    for c in range(6):
        others = sorted((k for k in range(6) if k != c), key=lambda k: -wanted[c, k])[:3]
        assert channels[c].tolist() == others
        assert found[c].tolist() == pytest.approx([wanted[c, k] for k in others])


@pytest.mark.parametrize("kind", ["GAP + FC", "tokens, class token", "flatten", "channels last"])
def test_the_embedding_is_what_the_classifier_takes(kind):
    model = tiny.model(NETS[kind])
    pixels = tiny.images(3)
    taken = embed(model, pixels)
    linear = next(
        m for m in reversed(list(model.module.modules())) if isinstance(m, torch.nn.Linear)
    )
    assert torch.allclose(linear(taken), model(pixels), rtol=1e-12)
    state = probe(model)
    batch = Batch(pixels, torch.arange(3), torch.full((3,), -1))
    (made,) = scan(model, [batch], into=state)
    assert torch.allclose(made.values, taken, rtol=1e-12)
