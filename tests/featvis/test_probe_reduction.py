"""What is taken of each map, in every order of memory, against literal loops."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from featvis.probe import reduction
from featvis.probe.reduction import reduced

COUNT, CHANNELS, HEIGHT, WIDTH, K = 5, 6, 4, 3, 2


def plain(maps):
    return maps.contiguous()


def channels_last(maps):
    return maps.contiguous(memory_format=torch.channels_last)


def after_a_class_token(maps):
    """As tokens (B, 1 + h * w, C) hold it."""
    tokens = maps.new_full((COUNT, 1 + HEIGHT * WIDTH, CHANNELS), 99.0)
    tokens[:, 1:] = maps.flatten(2).transpose(1, 2)
    return tokens[:, 1:].transpose(1, 2).unflatten(2, (HEIGHT, WIDTH))


def every_second_column(maps):
    wide = maps.new_full((COUNT, CHANNELS, HEIGHT, 2 * WIDTH), 99.0)
    wide[..., ::2] = maps
    return wide[..., ::2]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("part", [1, 100, 10_000])
@pytest.mark.parametrize("kind", [torch.float, torch.double])
@pytest.mark.parametrize(
    "laid",
    [plain, channels_last, after_a_class_token, every_second_column],
    ids=lambda f: f.__name__,
)
def test_maps_are_reduced_as_loops_do(monkeypatch, laid, kind, part, known):
    """With equal values in a map, a map with a value that is no number, and one of infinities."""
    monkeypatch.setattr(reduction, "CACHED", part)
    make = torch.Generator().manual_seed(3)
    maps = torch.randint(-9, 10, (COUNT, CHANNELS, HEIGHT, WIDTH), generator=make).to(kind) / 2
    maps[1, 2, 3, 1] = math.nan
    maps[2, 3] = -math.inf
    at = torch.randint(0, HEIGHT * WIDTH, (COUNT, 4), generator=make)
    given = laid(maps)
    assert torch.equal(given.nan_to_num(7), maps.nan_to_num(7))
    best = maps.new_full((2, CHANNELS, K), -math.inf)
    best[0, 0] = 100  # a channel in which nothing enters
    made = reduced(given, at, best if known else None, K)
    assert made.ends.dtype == made.values.dtype == kind
    assert made.sums.dtype == torch.double
    assert made.first.shape == made.ends.shape == (COUNT, 2, CHANNELS)
    for n, c in product(range(COUNT), range(CHANNELS)):
        values = [float(maps[n, c, y, x]) for y, x in product(range(HEIGHT), range(WIDTH))]
        assert made.values[n, c].tolist() == pytest.approx([values[i] for i in at[n]], nan_ok=True)
        if any(map(math.isnan, values)):
            assert made.ends[n, :, c].tolist() == [-math.inf] * 2
            continue
        high, low = max(values), min(values)
        assert made.ends[n, :, c].tolist() == [high, -low]
        for end, value in enumerate((high, -low)):
            strong = value >= made.ends[:, end, c].topk(K).values[-1] and value > -math.inf
            if strong and not (known and (end, c) == (0, 0)):
                assert made.first[n, end, c] == values.index((high, low)[end])
        if math.isfinite(high):
            assert float(made.sums[0, n, c]) == pytest.approx(sum(values) / len(values))
            assert float(made.sums[1, n, c]) == pytest.approx(sum(v * v for v in values) / 12)
