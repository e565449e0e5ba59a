"""Neighbours: by the embedding, by a layer and by a channel, against literal loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import zoo_adapters
from app.index import by_channel, by_layer, pool, store
from app.index.neighbours import exact
from app.machine import disk_store
from featvis import WrongRequest
from featvis.probe import embed, pooled
from tests.support import small


def test_a_picture_is_its_own_nearest_neighbour(index, folder):
    model = small.network()
    image = zoo_adapters.read_image(folder / "class-1/004.png", model)
    first, second = index.neighbours(embed(model, image), 2)
    assert first.image == "class-1/004.png"
    assert first.cosine == pytest.approx(1, abs=1e-3)
    every = torch.cat([
        embed(model, zoo_adapters.read_image(folder / name, model))
        for name in small.literal(folder, "0")
    ])  # fmt: skip
    every = torch.nn.functional.normalize(every)
    mine = torch.nn.functional.normalize(embed(model, image)) - every.mean(0)
    cosines = torch.cosine_similarity(every - every.mean(0), mine).sort(descending=True).values
    assert second.cosine == pytest.approx(float(cosines[1]), abs=1e-3)
    assert index.label(first.image) == "class-1"
    assert index.picture(first.image).size == (30, 24)


def test_exact_search_puts_the_smaller_row_first():
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 1, 1, 2]]
    rows, cosines = exact(vectors)(np.array([0, 1, 0, 0], np.float32), 2)
    assert rows.tolist() == [1, 2]
    assert cosines.tolist() == [1, 1]


def test_faiss_finds_what_torch_finds():
    faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    assert faiss
    from app.index.neighbours import faiss_flat, faiss_graph

    random = np.random.default_rng(0)
    vectors = random.normal(size=(3000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for query in random.normal(size=(5, 32)).astype(np.float32):
        rows, cosines = exact(vectors)(query, 10)
        flat, same = faiss_flat(vectors)(query, 10)
        assert flat.tolist() == rows.tolist()
        assert same.tolist() == pytest.approx(cosines.tolist(), abs=1e-5)
        graph, _ = faiss_graph(vectors)(query, 10)
        assert len(set(graph.tolist()) & set(rows.tolist())) >= 9


def test_neighbours_by_a_layer_and_by_a_channel_are_those_of_a_literal_loop(index, folder):
    model = small.network()
    query = "class-1/004.png"
    for layer in index.layers:
        maps = {name: m.double().numpy() for name, m in small.literal(folder, layer).items()}
        found = pool(index, model, layer)
        assert sorted(found.images) == sorted(maps)
        image = zoo_adapters.read_image(folder / query, model)
        seen = pooled(model, image, [layer])[layer]
        middle = np.mean([m.mean((1, 2)) for m in maps.values()], 0)
        rows = {name: m.mean((1, 2)) - middle for name, m in maps.items()}
        own = rows[query]
        cosines = {n: r @ own / np.linalg.norm(r) / np.linalg.norm(own) for n, r in rows.items()}
        near = by_layer(found, seen, 5)
        assert near[0].image == query
        assert [n.image for n in near] == sorted(cosines, key=lambda n: -cosines[n])[:5]
        assert [n.cosine for n in near] == pytest.approx([cosines[n.image] for n in near], abs=1e-5)
        for channel in range(index.channels(layer)):
            values = {name: m[channel].max() for name, m in maps.items()}
            apart = sorted(abs(v - values[query]) for v in values.values())[:5]
            near = by_channel(found, seen, channel, 5)
            assert [abs(n.value - values[query]) for n in near] == pytest.approx(apart, abs=1e-5)
            assert [n.value for n in near] == pytest.approx([values[n.image] for n in near])
        with pytest.raises(WrongRequest, match="channels go from"):
            by_channel(found, seen, index.channels(layer), 5)


def test_pictures_are_looked_at_once_and_some_are_spread_over_all(index, monkeypatch):
    told = []
    for layer in index.layers:  # the first makes those of all layers
        found = pool(index, small.network(), layer, 10, lambda *done: told.append(done))
        assert list(found.images) == [index.names[n] for n in index.arrays["images"][::4]]
    assert told == [(0, 10), (10, 10)]
    (kept,) = (store.root() / "pooled").iterdir()
    whole = found.seen.mean
    kept.write_bytes(kept.read_bytes()[:100])  # damaged: it is made again
    assert torch.equal(pool(index, small.network(), layer, 10).seen.mean, whole)
    monkeypatch.setattr(
        disk_store, "write", lambda *_, **__: (_ for _ in ()).throw(OSError("full"))
    )
    kept.unlink()
    assert torch.equal(pool(index, small.network(), layer, 10).seen.mean, whole)
