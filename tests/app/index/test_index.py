"""Indexes: what they answer, what they refuse, and what they skip."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from app.index import open_index, store
from featvis import WrongRequest
from tests.support import small


def test_hits_and_statistics_are_those_of_reading_the_pictures_one_by_one(index, folder):
    for layer in index.layers:
        maps = small.literal(folder, layer)
        assert index.count == len(maps) == 40
        for channel in range(index.channels(layer)):
            best = sorted(((-float(m[channel].max()), n) for n, m in maps.items()))[:9]
            hits = index.top(layer, channel)
            assert [hit.value for hit in hits] == pytest.approx([-v for v, _ in best], rel=1e-5)
            for hit in hits:
                there = maps[hit.image][channel]
                assert float(there[hit.position]) == pytest.approx(hit.value, rel=1e-5)
                assert float(there.max()) == pytest.approx(hit.value, rel=1e-5)
            low = min(float(m[channel].min()) for m in maps.values())
            assert index.bottom(layer, channel)[0].value == pytest.approx(low, rel=1e-5, abs=1e-6)
            every = np.concatenate([m[channel].flatten().numpy() for m in maps.values()])
            stats = index.stats(layer, channel)
            assert stats.mean == pytest.approx(every.mean(), rel=1e-4, abs=1e-6)
            assert stats.std == pytest.approx(every.std(), rel=1e-4)
            maxima = np.array([float(m[channel].max()) for m in maps.values()])
            counts, _ = np.histogram(maxima, stats.edges)
            assert counts.tolist() == stats.counts.tolist()
            assert index.percentile(layer, channel, hits[0].value) == 100
            middle = float(np.median(maxima))
            assert index.percentile(layer, channel, middle) == pytest.approx(50, abs=12)
            means = index.selectivity(layer, channel).means
            for label in ("class-0", "class-1", "class-2"):
                those = [float(m[channel].max()) for n, m in maps.items() if n.startswith(label)]
                assert means[label] == pytest.approx(np.mean(those), rel=1e-4, abs=1e-5)


def test_broken_pictures_are_skipped_counted_and_listed(index):
    broken = dict(index.manifest.broken)
    assert set(broken) == {"class-1/010.jpg", "class-2/cut.png"}
    assert all(broken.values())
    assert index.count == sum(index.manifest.per_class) == 40


def test_an_index_of_other_weights_is_refused(index):
    with pytest.raises(
        WrongRequest, match=r"other weights.*featvis index build --model mine:small"
    ):
        open_index(small.network(seed=1))
    with pytest.raises(WrongRequest, match="other weights"):
        open_index(replace(small.network(), size=(32, 32)))


def test_an_index_of_another_version_is_refused(index):
    told = json.loads((index.folder / "manifest.json").read_text())
    told["format"] = store.FORMAT + 1
    (index.folder / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(WrongRequest, match="is of format"):
        open_index(small.network())


def test_there_is_no_index_of_another_model_or_source(index):
    assert open_index(small.network(name="mine:other")) is None
    assert open_index(small.network(), "scenes:") is None
    assert open_index(small.network(), index.manifest.source).count == 40
