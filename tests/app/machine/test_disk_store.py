"""Stores: bounded in all, per owner and in days; deleted where asked; in folders that are ours."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import PIL.Image
import pytest

from app.machine import disk, disk_store, limits
from app.machine.disk import GROUP
from app.machine.disk_store import BLOCK, DAY, FRESH, OWNER, Store
from app.question import pictures
from featvis import WrongRequest

POSIX = pytest.mark.skipif(os.name != "posix", reason="owners and modes")
SHA = "0" * 64


@contextmanager
def asked_by(owner: str) -> Iterator[None]:
    token = OWNER.set(owner)
    try:
        yield
    finally:
        OWNER.reset(token)


def put(store: Store, owner: str, *keys: str, size: int = 1000) -> None:
    with asked_by(owner):
        for key in keys:
            store.put(key, bytes(size))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """Uploads and served files of this test, without bounds."""
    uploads, served = Store(tmp_path / "uploads", 0, 0), Store(tmp_path / "served", 0, 0)
    monkeypatch.setattr(disk, "uploads", lambda: uploads)
    monkeypatch.setattr(disk, "page_files", lambda: served)
    monkeypatch.setattr(disk, "DELETED", type(disk.DELETED)())
    return uploads, served


def noise(amount: float = 60) -> PIL.Image.Image:
    return PIL.Image.effect_noise((40, 40), amount)


# --- bounds ---------------------------------------------------------------------------------------


def test_an_owner_over_its_share_loses_its_own_oldest_files(tmp_path):
    store = Store(tmp_path, 0, 3 * (1000 + BLOCK))
    put(store, "a", "a1", "a2", "a3")
    put(store, "b", "b1")
    store.read("a1")  # used: a2 is the oldest now
    put(store, "a", "a4")
    assert files(tmp_path) == {"a1", "a3", "a4", "b1"}
    put(store, "", *(f"n{i}" for i in range(9)))  # nobody in particular has no share
    assert len(files(tmp_path)) == 13


def test_over_the_total_the_owner_with_the_most_bytes_loses(tmp_path):
    store = Store(tmp_path, 5 * (1000 + BLOCK), 0)
    put(store, "small", "s1")
    put(store, "large", "l1", "l2", "l3", "l4")
    put(store, "other", "o1", "o2")
    assert files(tmp_path) == {"s1", "l3", "l4", "o1", "o2"}
    assert store.size == 5 * (1000 + BLOCK)
    put(store, "huge", "h1", size=10**6)  # a file alone is never refused
    assert files(tmp_path) == {"h1"}


def test_many_small_files_count_as_what_they_take(tmp_path):
    store = Store(tmp_path, 0, 100 * BLOCK)
    put(store, "a", *(f"f{i}" for i in range(300)), size=1)
    assert 90 < len(files(tmp_path)) < 100


def test_a_file_of_several_owners_goes_with_the_last_of_them(tmp_path):
    store = Store(tmp_path, 0, 2 * (1000 + BLOCK))
    for owner in ("a", "b"):
        put(store, owner, "both")
    put(store, "a", "a1", "a2")
    assert files(tmp_path) == {"both", "a1", "a2"}
    put(store, "b", "b1", "b2")
    assert files(tmp_path) == {"a1", "a2", "b1", "b2"}
    assert store.size == sum(store.owned.values()) == 4 * (1000 + BLOCK)


def test_files_go_after_their_days(tmp_path):
    store = Store(tmp_path, 0, 0, days=30)
    put(store, "a", "old", "used", "new")
    for key, days in (("old", 31), ("used", 29)):
        when = time.time() - days * DAY
        os.utime(tmp_path / key, (when, when))
        store.files[key].used = when
    assert store.read("old") is None
    assert store.read("used") == bytes(1000)  # which is a use
    store.sweep()
    assert files(tmp_path) == {"used", "new"}
    assert time.time() - (tmp_path / "used").stat().st_mtime < FRESH


def test_a_second_store_knows_the_files_and_bounds_them(tmp_path):
    first = Store(tmp_path, 0, 0)
    put(first, "a", "g/x/1", "g/x/2", "3")
    for n, key in enumerate(("g/x/2", "3", "g/x/1")):
        os.utime(tmp_path / key, (1e9 + n,) * 2)
    (tmp_path / "half.part").write_bytes(b"1")
    os.utime(tmp_path / "half.part", (1e9,) * 2)
    (tmp_path / "now.part").write_bytes(b"1")
    second = Store(tmp_path, 2 * (1000 + BLOCK), 0)
    assert files(tmp_path) == {"3", "g/x/1", "now.part"}
    put(first, "a", "late")
    assert second.read("late") == bytes(1000)
    second.sweep()
    first.sweep()
    assert first.files.keys() == second.files.keys() == {"late", "g/x/1"}


def test_a_file_that_lost_its_end_is_written_again(tmp_path):
    store = Store(tmp_path, 0, 0)
    path = store.put("a", b"whole")
    path.write_bytes(b"")
    assert store.put("a", b"whole").read_bytes() == b"whole"
    path.unlink()
    assert store.read("a") is None
    assert not store.files
    assert store.put("a", b"whole").read_bytes() == b"whole"
    assert store.size == 5 + BLOCK


def test_a_folder_that_somebody_removes_is_made_again(tmp_path):
    store = Store(tmp_path / "x", 0, 0)
    for _ in range(2):
        assert store.put("a/b/c", b"1").exists()
        assert store.drop("a/")
        assert files(tmp_path) == set()
        (tmp_path / "x").rmdir()


@pytest.mark.parametrize("remove", [lambda store: store.drop("1/"), Store.sweep])
def test_a_file_that_is_being_written_is_not_removed(tmp_path, monkeypatch, remove):
    """Another thread removes all that it belongs with between its writing and its entry."""
    store = Store(tmp_path, 0, 0)
    put(store, "a", "1/x/a")

    def write_and_remove(path, data):
        write(path, data)
        remove(store)

    write = disk_store.write
    monkeypatch.setattr(disk_store, "write", write_and_remove)
    put(store, "a", "1/x/b")
    assert "1/x/b" in files(tmp_path)
    assert files(tmp_path) == set(store.files)


def test_many_threads_that_change_all_the_time_leave_an_index_that_is_true(tmp_path):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        test_many_threads_leave_an_index_that_is_true(tmp_path)
    finally:
        sys.setswitchinterval(interval)


def test_many_threads_leave_an_index_that_is_true(tmp_path):
    store = Store(tmp_path, 40 * (1000 + BLOCK), 15 * (1000 + BLOCK))

    def work(owner: str) -> None:
        for n in range(60):
            put(store, owner, f"{n % 7}/x/{owner}{n % 23}")
            store.read(f"{n % 5}/x/b{n % 23}")
            if n % 9 == 0:
                store.drop(f"{n % 7}/")

    threads = [threading.Thread(target=work, args=(owner,)) for owner in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files(tmp_path) == set(store.files)
    assert store.size == len(store.files) * (1000 + BLOCK) <= store.total
    assert all(0 < count <= store.each for count in store.owned.values())


@pytest.mark.parametrize("key", ["../a", "/etc/passwd", "a/../b", "", ".", "..", "a//b", "a/b/c/d",
                                 "a\0", "a\\b", ".hidden", "a/.b", "C:a", "a b", "é"])  # fmt: skip
def test_only_keys_lead_to_files(tmp_path, key):
    store = Store(tmp_path / "x", 0, 0)
    for use in (store.read, store.find, store.drop, lambda key: store.put(key, b"1")):
        with pytest.raises(ValueError, match="is not a key"):
            use(key)
    assert not files(tmp_path)


def test_a_link_in_a_store_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("secret")
    store = Store(tmp_path / "x", 0, 0)
    put(store, "", "a")
    (tmp_path / "x" / "link").symlink_to(tmp_path / "secret")
    assert store.read("link") is None


# --- served files ---------------------------------------------------------------------------------


def test_a_served_file_has_an_address_that_leads_to_it_alone(stores):
    url = disk.file_url(b"data", "a map: 1.png")
    group, sha, name = url.removeprefix("gradio_api/file=").split("/")
    assert (group, len(sha), name) == ("-", 64, "a_map__1.png")
    assert disk.file_at(f"{group}/{sha}/{name}").read_bytes() == b"data"
    assert disk.file_url(b"data", "a map: 1.png") == url
    long = disk.file_key(b"data", f"{'method-' * 60}x.webp")
    assert disk.file_at(long).suffix == ".webp"
    assert disk.file_at(disk.file_key(b"data", "../.x")).name == "_.x"


@pytest.mark.parametrize("key", [
    "", "a", f"-/{SHA}", f"-/{SHA}/", f"-/{SHA}/..", f"-/{SHA}/../../x", f"/-/{SHA}/a.png",
    f"-/{SHA}/a/b", f"--/{SHA}/a", f"-/{SHA[1:]}/a", f"-/{SHA}/a\n", f"0123456789ABCDEF/{SHA}/a",
    f"-/{SHA}/nothing.png", f"-\\{SHA}\\a", "/etc/passwd", "file:///etc/passwd", f"-/{SHA}/.a",
])  # fmt: skip
def test_other_keys_lead_to_nothing(stores, key):
    disk.file_url(b"data", "a.png")
    assert disk.file_at(key) is None


# --- deletion -------------------------------------------------------------------------------------


def test_an_upload_is_deleted_with_all_that_was_made_from_it(stores, monkeypatch):
    uploads, served = stores
    names, told = [pictures.keep(noise(n)) for n in (30, 60)], []
    monkeypatch.setattr(pictures, "ON_DELETE", [told.append])
    for name in names:
        pictures.get(name)
        token = GROUP.set(pictures.group(name))
        disk.file_url(b"map of " + name.encode(), "map.png")
        disk.file_url(b"more of " + name.encode(), "map.png")
        GROUP.reset(token)
    disk.file_url(b"of a scene", "map.png")
    pictures.delete(names[0])
    assert told == [names[0]]
    with pytest.raises(WrongRequest, match="no longer here"):
        pictures.get(names[0])
    assert pictures._upload.cache_info().currsize == 0
    assert files(uploads.folder) == {f"{names[1]}.webp"}
    assert {key.split("/")[0] for key in files(served.folder)} == {names[1], "-"}
    assert pictures.get(names[1]).size == (40, 40)


def test_a_job_under_way_does_not_bring_back_what_is_deleted(stores):
    picture, served = noise(), stores[1]
    name = pictures.keep(picture)
    token = GROUP.set(name)
    pictures.delete(name)
    with pytest.raises(WrongRequest, match="no longer here"):
        disk.file_url(b"late", "map.png")
    assert files(served.folder) == set()
    assert pictures.keep(picture) == name  # sent again, it is one like any other
    assert disk.file_at(disk.file_key(b"late", "map.png")) is not None
    GROUP.reset(token)


@pytest.mark.parametrize("name", ["scene-3", "-", "", "../x", "A" * 16, "0" * 15, "0" * 17])
def test_only_uploads_are_deleted(stores, name):
    with pytest.raises(WrongRequest, match="only a picture that was uploaded"):
        pictures.delete(name)


def test_what_cannot_be_deleted_is_told(stores, monkeypatch):
    name = pictures.keep(noise())
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError()))
    with pytest.raises(WrongRequest, match="could not be deleted"):
        pictures.delete(name)


# --- the system's errors --------------------------------------------------------------------------


@POSIX
def test_too_many_open_files_lose_no_upload(stores, caplog):
    import resource

    uploads, _ = stores
    name = pictures.keep(noise())
    pictures._upload.cache_clear()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (uploads.folder / f"{name}.webp").open() as free:
        lowest = free.fileno()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        with pytest.raises(WrongRequest, match="cannot be read now") as read:
            pictures.get(name)
        with pytest.raises(WrongRequest, match="cannot be kept now"):
            pictures.keep(noise(90))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert read.value.__cause__.errno == errno.EMFILE
    assert files(uploads.folder) == {f"{name}.webp"}
    assert pictures.get(name).size == (40, 40)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENFILE, errno.ESTALE])
def test_an_error_of_the_disk_loses_no_upload(stores, monkeypatch, number):
    name = pictures.keep(noise())
    pictures._upload.cache_clear()

    def fails(*_, **__):
        raise OSError(number, "the disk says so")

    monkeypatch.setattr(Path, "read_bytes", fails)
    with pytest.raises(WrongRequest, match="cannot be read now"):
        pictures.get(name)
    monkeypatch.undo()
    assert (stores[0].folder / f"{name}.webp").exists()


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def private(tmp_path, monkeypatch):
    """`private(folder)` as a new server would take it, with a temp folder of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(disk, "_problems", [])
    return disk._private_folder


@POSIX
def test_folders_are_private(private, tmp_path):
    (tmp_path / "old").mkdir(mode=0o755)
    for name in ("new", "old"):
        assert private(tmp_path / name, "uploads") == tmp_path / name
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
    store = Store(tmp_path / "new", 0, 0)
    assert stat.S_IMODE(store.put("a/b/c", b"").parent.stat().st_mode) == 0o700
    assert disk.problems() == []


def foreign(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)


def linked(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder.parent / "target").mkdir()
    folder.symlink_to(folder.parent / "target")


def file(folder: Path, _: pytest.MonkeyPatch) -> None:
    folder.write_text("")


def read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    whole = tempfile.TemporaryFile

    def open_(*args, dir=None, **options):
        if dir == folder:
            raise OSError(errno.EROFS, "Read-only file system")
        return whole(*args, dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", open_)


@POSIX
@pytest.mark.parametrize(
    ("spoil", "said"),
    [(foreign, "belongs to another user"), (linked, "is a link or a file"),
     (file, "cannot be written"), (read_only, "cannot be written")],
)  # fmt: skip
def test_a_folder_that_is_not_ours_is_replaced_and_told(
    private, tmp_path, monkeypatch, caplog, spoil, said
):
    spoil(tmp_path / "uploads", monkeypatch)
    folder = private(tmp_path / "uploads", "uploads")
    assert folder.parent == tmp_path / "temp"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [said in problem for problem in disk.problems()] == [True]
    assert str(tmp_path) not in disk.problems()[0]
    assert str(folder) in caplog.text
    assert Store(folder, 0, 0).put("a", b"1").read_bytes() == b"1"


def test_the_stores_lie_where_the_environment_says(private, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    limits.limits.cache_clear()
    for store in (disk.uploads, disk.page_files):
        store.cache_clear()
    assert disk.uploads().folder == tmp_path / "temp" / "featvis-pictures"
    assert disk.page_files().folder == tmp_path / "gradio" / "featvis"
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    disk.page_files.cache_clear()
    assert disk.page_files().folder == tmp_path / "temp" / "gradio" / "featvis"
    for store in (disk.uploads, disk.page_files):
        store.cache_clear()


def test_a_put_does_not_read_the_folder(tmp_path, monkeypatch):
    store = Store(tmp_path, 10**6, 10**6)
    monkeypatch.setattr(disk_store.os, "walk", None)
    put(store, "a", *(f"f{i}" for i in range(300)))
    assert store.size <= 10**6
