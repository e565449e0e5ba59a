"""Indexes: what they answer, what they refuse, what they skip, and what a kill does to them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import featvis
import zoo_adapters
from app import disk
from app.index import build, by_channel, by_layer, open_index, pool, source_of, store
from app.index.build import shard_of
from app.index.neighbours import exact
from featvis import WrongRequest
from featvis.probe import embed, pooled, probe
from tests import small

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path / "indexes"))
    return tmp_path / "indexes"


@pytest.fixture
def folder(tmp_path):
    return small.pictures(tmp_path / "pictures")


@pytest.fixture
def index(folder):
    build(small.network(), source_of(f"folder:{folder}"), batch=4, shard=8)
    return open_index(small.network())


def literal(folder, layer):
    """Name of each readable picture -> its maps (C, h, w), read one by one."""
    model = small.network()
    names = [f"class-{i % 3}/{i:03}.png" for i in range(40)]
    return {
        name: featvis.record(model, zoo_adapters.read_image(folder / name, model), layer)[layer][0]
        for name in sorted(names)
    }


def test_hits_and_statistics_are_those_of_reading_the_pictures_one_by_one(index, folder):
    for layer in index.layers:
        maps = literal(folder, layer)
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


def test_a_picture_is_its_own_nearest_neighbour(index, folder):
    model = small.network()
    image = zoo_adapters.read_image(folder / "class-1/004.png", model)
    first, second = index.neighbours(embed(model, image), 2)
    assert first.image == "class-1/004.png"
    assert first.cosine == pytest.approx(1, abs=1e-3)
    every = torch.cat([
        embed(model, zoo_adapters.read_image(folder / name, model))
        for name in literal(folder, "0")
    ])  # fmt: skip
    cosines = torch.cosine_similarity(every, embed(model, image)).sort(descending=True).values
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


def test_the_batch_size_and_the_shards_change_no_hit(folder, tmp_path):
    source = source_of(f"folder:{folder}")
    places = [
        build(small.network(), source, batch=b, shard=s, folder=tmp_path / f"{b}-{s}")
        for b, s in ((4, 8), (5, 10), (42, 42), (1, 7))
    ]
    arrays = [store.load(p) for p in places]
    for other in arrays[1:]:
        assert arrays[0].keys() == other.keys()
        for key, array in arrays[0].items():
            if array.dtype.kind in "ui" and "alike" not in key:
                assert np.array_equal(array, other[key]), key
            else:
                np.testing.assert_allclose(array, other[key], rtol=2e-3, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("deaths", [(9, 21), (40,)])
def test_a_build_that_is_killed_goes_on_and_ends_with_the_same_bytes(deaths, folder, tmp_path):
    def run(last, where):
        env = {**os.environ, "FEATVIS_INDEXES": str(tmp_path / where), "OMP_NUM_THREADS": "1"}
        argv = [sys.executable, "-m", "tests.small", str(folder), str(last)]
        return subprocess.run(argv, cwd=ROOT, env=env, check=False).returncode

    assert run(0, "whole") == 0
    for last in deaths:
        assert run(last, "killed") == -9
        assert not list((tmp_path / "killed").glob("*/manifest.json"))
    assert run(0, "killed") == 0
    (whole,), (killed,) = ((tmp_path / name).iterdir() for name in ("whole", "killed"))
    assert small.bytes_of(whole) == small.bytes_of(killed)


def test_a_kill_while_the_index_is_put_in_its_place_harms_nothing(folder, monkeypatch):
    source, model = source_of(f"folder:{folder}"), small.network()
    whole = small.bytes_of(build(model, source, batch=4, shard=8))
    moved = Path.rename
    for fatal in ("whole", "mine-small"):

        def die(self, target, fatal=fatal):
            if self.name.startswith(fatal):
                raise KeyboardInterrupt
            return moved(self, target)

        monkeypatch.setattr(Path, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            build(model, source, batch=4, shard=8)
        monkeypatch.setattr(Path, "rename", moved)
        assert small.bytes_of(build(model, source, batch=4, shard=8)) == whole


def test_shards_that_a_cluster_did_out_of_order_are_not_done_twice(folder, tmp_path):
    model, source = small.network(), source_of(f"folder:{folder}")

    def others(plan, todo):
        for number in (3, 1):
            part = probe(model, plan.layers, k=plan.k, classes=len(source.classes))
            given = shard_of(plan, model, source, number, part)
            yield number, part, given
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(model, source, batch=4, shard=8, shards=others)
    mixed = small.bytes_of(build(model, source, batch=4, shard=8))
    assert mixed == small.bytes_of(build(model, source, batch=4, shard=8, folder=tmp_path / "a"))


def test_a_folder_of_which_nothing_can_be_read_is_refused(tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(WrongRequest, match=r"no picture of .* can be read"):
        build(small.network(), source_of(f"folder:{tmp_path / 'none'}"))


def test_a_state_of_another_plan_is_not_gone_on_with(folder):
    source = source_of(f"folder:{folder}")

    def stop(done, total):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(small.network(seed=1), source, batch=4, shard=8, progress=stop)
    place = build(small.network(), source, batch=4, shard=8)
    assert store.read(place).weights == store.weights(small.network())
    assert store.read(place).count == 40


def test_files_that_are_added_or_changed_make_another_source_and_a_copy_does_not(folder, tmp_path):
    before = source_of(f"folder:{folder}").digest
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert source_of(f"folder:{copy}").digest == before
    file = copy / "class-1" / "004.png"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1  # of the same size
    told = file.stat()
    file.write_bytes(data)
    os.utime(file, ns=(told.st_atime_ns, told.st_mtime_ns))  # and as old
    assert source_of(f"folder:{copy}").digest != before
    small.pictures(folder, 41)
    assert source_of(f"folder:{folder}").digest != before


def test_a_build_does_not_go_on_with_a_file_that_was_changed(folder):
    def stop(done, total):
        if done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(small.network(), source_of(f"folder:{folder}"), batch=4, shard=8, progress=stop)
    file = folder / "class-0" / "000.png"  # of the first shard, which is done
    PIL.Image.new("RGB", (30, 20), "white").save(file)
    resumed = small.bytes_of(
        build(small.network(), source_of(f"folder:{folder}"), batch=4, shard=8)
    )
    fresh = build(small.network(), source_of(f"folder:{folder}"), batch=4, shard=8)
    assert resumed == small.bytes_of(fresh)


def test_unknown_sources_are_refused(tmp_path):
    wrong = {
        "cats:": "scenes:",
        f"folder:{tmp_path}/no": "no folder",
        f"folder:{ROOT}/featvis": "no picture",
        "scenes:x": "number",
    }
    for spec, said in wrong.items():
        with pytest.raises(WrongRequest, match=said):
            source_of(spec)


def test_neighbours_by_a_layer_and_by_a_channel_are_those_of_a_literal_loop(index, folder):
    model = small.network()
    query = "class-1/004.png"
    for layer in index.layers:
        maps = {name: m.double().numpy() for name, m in literal(folder, layer).items()}
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
    monkeypatch.setattr(disk, "write", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    kept.unlink()
    assert torch.equal(pool(index, small.network(), layer, 10).seen.mean, whole)
