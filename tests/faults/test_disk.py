"""A full disk, damaged files and a hub that fails: said in a sentence, and nothing half is kept."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import PIL.Image
import pytest
import safetensors.torch
import timm
import torch

import zoo_adapters
from app.index import build, open_index, source_of
from app.index import store as indexes
from app.machine import cache, disk, disk_store, errors
from app.machine.jobs import Work
from app.question import pictures
from featvis import WrongRequest
from tests.support import hub, small

FULL = "the disk is full"


@pytest.fixture
def full(monkeypatch):
    """`full(after)`: a file takes so many bytes, then the disk is full; until what it gives is
    called."""

    opened = Path.open

    def fill(after: int = 10):

        def open_(path, mode="r", *args, **kwargs):
            file = opened(path, mode, *args, **kwargs)
            if "w" not in mode:
                return file
            write = file.write

            class Short:
                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

                def write(self, data):
                    write(data[:after])
                    raise OSError(errno.ENOSPC, "No space left on device")

                def __getattr__(self, name):
                    return getattr(file, name)

            return Short()

        monkeypatch.setattr(Path, "open", open_)
        return lambda: monkeypatch.setattr(Path, "open", opened)

    return fill


@pytest.fixture
def kept(tmp_path, monkeypatch):
    store = disk_store.Store(tmp_path / "kept", 0, 0)
    monkeypatch.setattr(disk, "uploads", lambda: store)
    return tmp_path / "kept"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def noise(side: int = 40) -> PIL.Image.Image:
    return PIL.Image.effect_noise((side, side), 60)


# --- a full disk ----------------------------------------------------------------------------------


def test_an_upload_on_a_full_disk_is_refused_and_nothing_half_stays(kept, full):
    full()
    with pytest.raises(WrongRequest, match=FULL):
        pictures.keep(noise())
    assert files(kept) == []


def test_a_picture_that_cannot_be_served_is_not_half_there(full, tmp_path, monkeypatch):
    store = disk_store.Store(tmp_path, 0, 0)
    monkeypatch.setattr(disk, "page_files", lambda: store)
    room = full()
    with pytest.raises(WrongRequest, match=FULL):
        disk.file_key(b"x" * 100, "a.png")
    assert files(tmp_path) == []
    assert not store.size
    room()
    again = disk.file_at(disk.file_key(b"x" * 100, "a.png"))
    assert again.read_bytes() == b"x" * 100


def test_a_build_that_fills_the_disk_goes_on_when_there_is_room(tmp_path, monkeypatch, full):
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path / "indexes"))
    source = f"folder:{small.pictures(tmp_path / 'photos', 12)}"
    room = full(1000)
    with pytest.raises(WrongRequest, match=FULL):
        build(small.network(), source_of(source), batch=4, shard=4)
    room()
    assert open_index(small.network()) is None
    assert not [name for name in files(tmp_path / "indexes") if name.endswith((".part", ".tmp"))]
    place = build(small.network(), source_of(source), batch=4, shard=4)
    alone = build(small.network(), source_of(source), batch=4, shard=4, folder=tmp_path / "alone")
    assert small.bytes_of(place) == small.bytes_of(alone)


def test_an_error_of_the_system_that_the_disk_is_full_is_said_as_such():
    def job(_):
        raise OSError(errno.ENOSPC, "No space left on device", "/home/someone/secret")

    with pytest.raises(WrongRequest) as said:
        Work(job).result()
    assert str(said.value) == disk_store.sentence()


def test_stores_stay_small_and_what_a_dead_process_left_goes(tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.webp").write_bytes(bytes(10))
        os.utime(tmp_path / f"{number}.webp", (10_000 + number,) * 2)
    for name, when in (("old.part", 100), ("new.part", 10_005)):
        (tmp_path / name).write_bytes(bytes(1))
        os.utime(tmp_path / name, (when,) * 2)
    disk.make_room(tmp_path, "*", 31, tmp_path / "0.webp")
    assert files(tmp_path) == ["0.webp", "3.webp", "4.webp", "5.webp", "new.part"]


def test_a_folder_whose_file_goes_goes_with_it(tmp_path):
    for number in range(3):
        file = tmp_path / f"hash{number}" / "map.webp"
        file.parent.mkdir()
        file.write_bytes(bytes(10))
        os.utime(file, (10_000 + number,) * 2)
    disk.make_room(tmp_path, "*/*", 20)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["hash1", "hash2"]
    disk.make_room(tmp_path, "*/*", 0, tmp_path / "hash1" / "map.webp")
    assert [folder.name for folder in tmp_path.iterdir()] == ["hash1"]


# --- damaged files --------------------------------------------------------------------------------


def test_a_kept_picture_that_is_damaged_is_gone_and_can_be_sent_again(kept):
    name = pictures.keep(noise())
    file = kept / f"{name}.webp"
    whole = file.read_bytes()
    for damaged in (b"", whole[:20], bytes(len(whole))):
        file.write_bytes(damaged)
        pictures._upload.cache_clear()
        with pytest.raises(WrongRequest, match="damaged here; send it again"):
            pictures.get(name)
        with pytest.raises(WrongRequest, match="no longer here"):
            pictures.get(name)
        assert pictures.keep(noise()) != ""
    again = pictures.keep(PIL.Image.open(io.BytesIO(whole)))
    assert pictures.get(again).size == (40, 40)


@pytest.mark.parametrize("name", ["../outside", "../../etc/passwd", "scene-x", "", "A" * 16, "a/b"])
def test_only_names_of_pictures_are_looked_for(kept, name):
    kept.mkdir()
    outside = kept.parent / "outside.webp"
    noise().save(outside)
    with pytest.raises(WrongRequest, match="no longer here"):
        pictures.get(name)
    assert outside.exists()


def strongest() -> None:
    index = open_index(small.network())
    if index is not None:
        index.top(index.layers[0], 0, 3)


def said_of(make) -> str:
    try:
        make()
    except Exception as error:
        return errors.sentence(error)
    return ""


@pytest.mark.parametrize("which", ["index.safetensors", "manifest.json", "names.txt"])
def test_an_index_that_is_damaged_is_refused_in_a_sentence(tmp_path, monkeypatch, which):
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path / "indexes"))
    source = source_of(f"folder:{small.pictures(tmp_path / 'photos', 8)}")
    place = build(small.network(), source, batch=4)
    whole = (place / which).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], bytes(len(whole)), b"{}", b'{"format": 1}'):
        (place / which).write_bytes(damaged)
        monkeypatch.setattr("app.index.opening.OPENED", {})
        assert "could not be computed" not in said_of(strongest), (which, damaged[:20])


def test_a_build_begins_anew_where_its_state_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path / "indexes"))
    source = source_of(f"folder:{small.pictures(tmp_path / 'photos', 8)}")
    making = indexes.folder_of("mine:small", source.spec)
    making = making.with_name(f"{making.name}.part")
    making.mkdir(parents=True)
    for damaged in (b"", b"x" * 50, bytes(200)):
        (making / "state.safetensors").write_bytes(damaged)
        place = build(small.network(), source, batch=4)
        assert open_index(small.network()).folder == place
        making.mkdir()


# --- the hub --------------------------------------------------------------------------------------

REPOSITORY = "me/net-tiny"
NAME = f"timm:hf-hub:{REPOSITORY}"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A network on a hub of this machine, and a cache of this test's own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("zoo_adapters.hub._kept", {})
    module = timm.create_model("test_resnet", num_classes=3).eval()
    made = hub.Repository({
        "config.json": json.dumps({"architecture": "test_resnet", "num_classes": 3}).encode(),
        "model.safetensors": safetensors.torch.save(module.state_dict()),
    })  # fmt: skip
    made.module = module
    with hub.served({REPOSITORY: made}) as address:
        hub.lead_to(monkeypatch, address)
        yield made
    cache.MODELS.drop(NAME)


def refused() -> str:
    with pytest.raises(WrongRequest) as caught:
        Work(lambda work: cache.model_of(NAME, work.progress)).result()
    assert "could not be computed" not in str(caught.value)
    return str(caught.value)


@pytest.mark.filterwarnings("ignore::ResourceWarning", hub.BROKEN)
def test_a_hub_that_goes_down_in_mid_download_is_said_and_tried_again(repository, tmp_path):
    repository.breaks, repository.lost = 100_000, True
    assert len(repository.files["model.safetensors"]) > repository.breaks
    said = refused()
    assert NAME in said
    assert "try again later" in said or "does not answer" in said
    assert NAME not in cache.MODELS
    repository.lost, repository.breaks = False, 0
    model = cache.model_of(NAME)
    weights = model.module.state_dict()
    assert all(torch.equal(v, weights[n]) for n, v in repository.module.state_dict().items())


def test_a_damaged_file_of_the_cache_is_said_and_mended_by_removing_it(repository, tmp_path):
    zoo_adapters.load(NAME)
    blob = next(p for p in (tmp_path / "hub").rglob("*.safetensors")).resolve()
    blob.write_bytes(blob.read_bytes()[:1000])
    assert "damaged" in refused()
    blob.unlink()
    assert cache.model_of(NAME).head is not None


def test_a_disk_that_is_full_in_mid_download_is_said(repository, monkeypatch):
    from huggingface_hub import file_download

    def no_room(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_download, "http_get", no_room)
    assert "No space left" in refused() or FULL in refused()
    assert NAME not in cache.MODELS
