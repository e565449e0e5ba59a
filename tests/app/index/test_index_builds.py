"""Builds of indexes: what batches, kills, broken states and changed sources do to their bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from app.index import build, source_of, store
from app.index.build import shard_of
from featvis import WrongRequest
from featvis.probe import probe
from tests.support import small

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("indexes")


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
def test_a_killed_build_resumes_and_ends_with_the_same_bytes(deaths, folder, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    builds = [f"{whole}:0", *(f"{killed}:{last}" for last in deaths), f"{killed}:0"]
    argv = [sys.executable, "-m", "tests.support.small", str(folder), *builds]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    lines = subprocess.check_output(argv, cwd=ROOT, env=env, text=True).splitlines()
    assert lines == ["0 1", *("-9 0" for _ in deaths), "0 1"]
    (place,), (resumed,) = whole.iterdir(), killed.iterdir()
    assert small.bytes_of(place) == small.bytes_of(resumed)


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


def test_a_source_changes_with_its_files_but_not_when_copied(folder, tmp_path):
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
