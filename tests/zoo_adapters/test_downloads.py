"""Downloaded weights have a bound on disk: those used longest ago make room."""

from __future__ import annotations

import os

import pytest
import torch

from zoo_adapters.downloads import make_room


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the hub with three repositories, and one of torch with two files."""
    from huggingface_hub import constants

    hub = tmp_path / "hub"
    for number, name in enumerate(("old", "middle", "new")):
        repo = hub / f"models--me--{name}"
        commit = f"{number}" * 40
        for folder in ("blobs", f"snapshots/{commit}", "refs"):
            (repo / folder).mkdir(parents=True)
        blob = repo / "blobs" / name
        blob.write_bytes(bytes(1000))
        os.utime(blob, (10_000 + number,) * 2)
        (repo / f"snapshots/{commit}/model.safetensors").symlink_to(f"../../blobs/{name}")
        (repo / "refs/main").write_text(commit)
    checkpoints = tmp_path / "torch" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for number, name in enumerate(("oldest.pth", "newest.pth")):
        (checkpoints / name).write_bytes(bytes(1000))
        os.utime(checkpoints / name, (9_000 + 5_000 * number,) * 2)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path


def names(cache):
    repos = [path.name.removeprefix("models--me--") for path in (cache / "hub").glob("models--*")]
    return {*repos, *(path.name for path in (cache / "torch/checkpoints").iterdir())}


@pytest.mark.parametrize(
    ("most", "left"),
    [
        (5000, {"old", "middle", "new", "oldest.pth", "newest.pth"}),
        (4500, {"old", "middle", "new", "newest.pth"}),
        (2100, {"new", "newest.pth"}),
        (0, {"newest.pth"}),
    ],
)
def test_the_downloads_used_longest_ago_make_room(cache, most, left):
    deleted = make_room(most)
    assert names(cache) == left
    assert deleted == 1000 * (5 - len(left))


def test_without_any_download_nothing_is_deleted(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "none"))
    assert make_room(0) == 0
