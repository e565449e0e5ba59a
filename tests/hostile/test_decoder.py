"""Hostile pictures: each is answered or refused in a sentence, and the server is as it was."""

from __future__ import annotations

import gc
import io
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from app.machine import decoder, disk, disk_store, headers, limits, resources
from app.machine.decoder_process import TRIES
from app.machine.turns import EACH, Busy, Turns
from app.question import pictures
from benchmarks.leaks import leak
from featvis import WrongRequest
from tests.support.bombs import BOMBS, chunk, encoded, noise, packed, png, progressive
from zoo_adapters import raster
from zoo_adapters.pictures import upright

LINUX = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals")
SLOW = progressive(95, 4800)  # a second or more


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """A public server with stores of its own."""
    monkeypatch.setenv("FEATVIS_PUBLIC", "1")
    limits.limits.cache_clear()
    store = disk_store.Store(tmp_path, 0, 0)
    monkeypatch.setattr(disk, "uploads", lambda: store)
    yield store
    limits.limits.cache_clear()


@pytest.fixture
def bound(monkeypatch):
    """`bound(SCANS=3)` sets limits."""

    def set_(**values: float) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"FEATVIS_{name}", str(value))
        limits.limits.cache_clear()

    return set_


def outcome(data: bytes) -> str:
    """The size of the picture that is kept, or the sentence that refuses it."""
    try:
        picture = pictures.get(pictures.keep(data))
    except WrongRequest as error:
        return str(error)
    assert max(picture.size) <= pictures.LARGEST
    return str(picture.size)


def processes() -> list[int]:
    return [p.popen.pid for p in decoder.PROCESSES if p.popen and p.popen.poll() is None]


# --- bombs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_answered_or_refused_within_its_bounds(name, bound):
    data = BOMBS[name]()
    bound(UPLOAD_MB=6)
    assert len(data) < 6e6
    outcome(encoded(noise(), "PNG"))  # the process is warm
    begin = time.monotonic()
    said = outcome(data)
    assert time.monotonic() - begin < 3 * limits.limits().decode_seconds  # where others compute
    assert not leak(said)
    assert outcome(encoded(noise(), "JPEG")) == "(64, 48)"


ANSWERED = {
    "GIF of 10,000 frames": "(64, 64)",
    "APNG of 10,000 frames": "(4, 3)",
    "WebP of 1,000 frames": "(64, 48)",
    "WebP with a profile of 4 MB": "(64, 48)",
    "JPEG with XMP of 3 MB": "(64, 48)",
    "JPEG with EXIF of many entries": "(64, 48)",
    "TIFF whose next directory is its first": "(4, 3)",
    "TIFF whose EXIF directory is its first": "(4, 3)",
}
REFUSED = {
    "progressive JPEG of 1,000 scans": "has 1000 scans, and at most 100",
    "PNG with a profile of 200 MB": "more than 4 MB of text or color profile",
    "PNG with a text of 200 MB": "more than 4 MB of text or color profile",
    "PNG with an international text of 200 MB": "more than 4 MB of text or color profile",
    "PNG with 400 texts of 900 kB": "more than 4 MB of text or color profile",
    "BMP of 2 GB": "2147483647 x 1 pixels",
    "JPEG of 65,500 x 65,500": "65500 x 65500 pixels",
    "GIF whose frame is larger than it": "at most 24 million pixels",
    "TIFF of one row that is all of it": "is damaged",
    "AVIF that ends": "not a picture that can be read",
}


@pytest.mark.parametrize(("name", "said"), [*ANSWERED.items(), *REFUSED.items()])
def test_what_becomes_of_a_bomb(name, said):
    assert said in outcome(BOMBS[name]())


@LINUX
def test_bombs_leave_the_server_as_large_as_it_was(bound):
    bound(UPLOAD_MB=6)
    bombs = [make() for make in BOMBS.values()]
    for data in (encoded(noise(), "PNG"), bombs[0]):
        outcome(data)
    gc.collect()
    before = resources.memory_mb()["used"]
    for data in bombs:
        outcome(data)
    pictures._upload.cache_clear()
    assert resources.memory_mb()["used"] - before < 20


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_half_a_file_is_refused_and_each_format_is_read(format):
    data = encoded(noise(200, 150), format)
    assert outcome(data) == "(200, 150)"
    for end in (3, 12, 30, len(data) // 2):
        assert "damaged" in outcome(data[:end]) or "not a picture" in outcome(data[:end])


@pytest.mark.parametrize("data", [b"%!PS-Adobe-3.0 EPSF-3.0\n", encoded(noise(), "PPM"),
                                  encoded(noise(), "TGA"), encoded(noise(), "PCX"),
                                  encoded(noise(), "ICO"), b"<svg/>", b"", bytes(999)],
                         ids=range(8))  # fmt: skip
def test_no_other_format_reaches_a_decoder(data, monkeypatch):
    monkeypatch.setattr(decoder.TURNS, "one", None)
    assert "not a picture that can be read" in outcome(data)


# --- the same pixels ------------------------------------------------------------------------------


def modes() -> dict[str, PIL.Image.Image]:
    """A picture of each mode that a file may have."""
    color = noise(50, 30)
    gray = color.convert("L")
    levels = np.linspace(-300, 70_000, 1500).reshape(30, 50)
    lab, srgb = PIL.ImageCms.createProfile("LAB"), PIL.ImageCms.createProfile("sRGB")
    clear = color.convert("RGBA")
    clear.putalpha(gray)
    return {
        "1 PNG": color.convert("1"), "L JPEG": gray, "RGB PNG": color, "RGBA PNG": clear,
        "RGBA WEBP": clear, "RGBA AVIF": clear, "LA PNG": clear.convert("LA"),
        "P GIF": color.quantize(20), "P PNG": color.quantize(200), "PA TIFF": clear.convert("PA"),
        "CMYK JPEG": color.convert("CMYK"), "CMYK TIFF": color.convert("CMYK"),
        "RGB BMP": color,
        "LAB TIFF": PIL.ImageCms.profileToProfile(color, srgb, lab, outputMode="LAB"),
        "I;16 PNG": PIL.Image.fromarray(levels.clip(0, 65535).astype(np.uint16)),
        "I;16 TIFF": PIL.Image.fromarray(levels.clip(0, 65535).astype(np.uint16)),
        "I TIFF": PIL.Image.fromarray(levels.astype(np.int32)),
        "F TIFF": PIL.Image.fromarray(levels.astype(np.float32)),
    }  # fmt: skip


@pytest.mark.parametrize("name", modes())
def test_an_upload_has_the_pixels_of_the_picture_read_here(name):
    mode, format = name.split()
    picture = modes()[name]
    orientation = PIL.Image.Exif()
    orientation[0x0112] = 6
    turned = {"exif": orientation} if format in ("JPEG", "PNG", "WEBP") else {}
    if mode == "PA":  # no format writes it
        data = encoded(picture.convert("RGBA"), format)
    else:
        data = encoded(picture, format, **turned)
    expected = raster.webp(upright(data))
    assert decoder.decode(data, pictures.LARGEST) == expected
    assert upright(data).size == ((30, 50) if turned else (50, 30))


def test_a_large_jpeg_is_decoded_small_and_looks_the_same():
    picture = noise(60, 40).resize((6000, 4000), PIL.Image.Resampling.BICUBIC)
    data = encoded(picture, "JPEG", quality=90)
    with PIL.Image.open(io.BytesIO(decoder.decode(data, 1024))) as reduced:
        assert reduced.size == (1024, 683)
        picture.thumbnail((1024, 1024))
        apart = np.asarray(reduced.convert("RGB"), float) - np.asarray(picture)
    assert abs(apart).mean() < 3


def test_nothing_but_the_pixels_is_kept(store):
    exif = PIL.Image.Exif()
    exif[0x010E] = "a secret place"
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    for format in ("JPEG", "PNG", "WEBP"):
        name = pictures.keep(encoded(noise(), format, exif=exif, icc_profile=profile))
        data = store.read(f"{name}.webp")
        assert b"secret" in encoded(noise(), format, exif=exif)
        assert data[12:16] == b"VP8 "  # the plain kind, which has no place for anything else
    texts = png(chunk(b"tEXt", b"Comment\0a secret place"))
    assert b"secret" not in store.read(f"{pictures.keep(texts)}.webp")


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"progressive": True}])
def test_a_header_tells_the_size(format, options):
    found = headers.read(encoded(noise(300, 200), format, **options), 1000)
    assert (found.format, found.width, found.height) == (format, 300, 200)


def test_a_header_of_an_animation_tells_the_size():
    data = encoded(noise(), "WEBP", save_all=True, append_images=[noise()])
    assert headers.read(data, 1000)[:3] == ("WEBP", 64, 48)


@pytest.mark.parametrize("scans", [10, 37])
def test_scans_are_counted(scans):
    assert headers.read(progressive(scans, 64), 1000).scans == scans


def test_metadata_is_counted_as_it_unpacks():
    texts = [chunk(b"zTXt", b"a\0\0" + packed(1)), chunk(b"tEXt", b"a\0" + bytes(98))]
    assert headers.read(png(*texts), 2_000_000).metadata == 1_000_100
    assert headers.read(png(*texts), 500_000).metadata == 500_001


# --- the process ----------------------------------------------------------------------------------


@LINUX
def test_the_process_has_no_torch_and_no_secrets(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    decoder.close()
    outcome(encoded(noise(), "PNG"))
    for pid in processes():
        assert "torch" not in Path(f"/proc/{pid}/maps").read_text()
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        bounds = Path(f"/proc/{pid}/limits").read_text()
        assert "Max file size             0" in bounds


def test_a_picture_that_takes_too_long_is_refused_and_the_next_is_read(bound):
    outcome(encoded(noise(), "PNG"))
    bound(DECODE_SECONDS=0.2)
    assert "takes more than 0.2 s to decode" in outcome(SLOW)
    bound(DECODE_SECONDS=20)
    assert outcome(encoded(noise(), "PNG")) == "(64, 48)"


@LINUX
def test_a_picture_that_takes_too_much_memory_is_refused(monkeypatch):
    monkeypatch.setattr(decoder, "FIXED", 60_000_000)
    monkeypatch.setattr(decoder, "PER_PIXEL", 1)
    assert "takes more memory to decode" in outcome(png(size=(3000, 2500)))
    monkeypatch.undo()
    assert outcome(encoded(noise(), "PNG")) == "(64, 48)"


@POSIX
def test_a_process_that_is_killed_loses_nobodys_picture(bound):
    outcome(encoded(noise(), "PNG"))
    files = [encoded(noise(40 + n, 30), "PNG") for n in range(12)]

    def kill() -> None:
        for _ in range(TRIES - 1):  # no picture meets more of them
            time.sleep(0.4)
            for pid in processes():
                os.kill(pid, signal.SIGKILL)

    bound(DECODE_SECONDS=60)
    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(4) as pool:
        sizes = [*pool.map(outcome, [SLOW, *files])]
    killer.join()
    assert sizes == ["(1024, 1024)", *(f"({40 + n}, 30)" for n in range(12))]


def test_where_no_process_starts_a_sentence_says_so(monkeypatch, caplog):
    decoder.close()
    monkeypatch.setattr("app.machine.decoder_process.sys.executable", "/nowhere/python")
    assert "pictures cannot be decoded here now" in outcome(encoded(noise(), "PNG"))
    assert "cannot be decoded" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr("app.machine.decoder_process.decoder_program.__file__", "/nowhere.py")
    assert "pictures cannot be decoded here now" in outcome(encoded(noise(), "PNG"))
    monkeypatch.undo()
    assert outcome(encoded(noise(), "PNG")) == "(64, 48)"


# --- turns ----------------------------------------------------------------------------------------


def hold(turns: Turns[str], owner: str, order: list[str], go: threading.Event) -> threading.Thread:
    """A thread that takes a turn and keeps it until `go`."""

    def take() -> None:
        with turns.one(owner, 100):
            order.append(owner)
            go.wait(20)

    before = len(turns.turns)
    thread = threading.Thread(target=take)
    thread.start()
    while len(turns.turns) == before:
        time.sleep(0.001)
    return thread


def test_one_visitor_uses_one_process_and_the_other_is_free():
    turns, order, go = Turns(["a", "b"]), [], threading.Event()
    threads = [hold(turns, "greedy", order, go) for _ in range(1 + EACH)]
    with pytest.raises(Busy), turns.one("greedy", 100):
        pass
    with turns.one("other", 100) as thing:
        assert thing in ("a", "b")
        assert order == ["greedy"]
    go.set()
    for thread in threads:
        thread.join()
    assert order == ["greedy"] * (1 + EACH)
    assert not turns.turns
    assert sorted(turns.free) == ["a", "b"]


def test_turns_come_in_order_and_no_more_wait_than_may():
    turns, order, go = Turns(["a"]), [], threading.Event()
    threads = [hold(turns, owner, order, go) for owner in ("one", "two", "three")]
    with pytest.raises(Busy), turns.one("four", 2):
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert order == ["one", "two", "three"]


def test_who_waits_too_long_is_refused(monkeypatch):
    monkeypatch.setattr("app.machine.turns.PATIENCE", 0.05)
    turns, go = Turns(["a"]), threading.Event()
    thread = hold(turns, "one", [], go)
    with pytest.raises(Busy), turns.one("two", 9):
        pass
    assert len(turns.turns) == 1
    go.set()
    thread.join()


def test_a_full_queue_is_told_in_a_sentence(bound, monkeypatch):
    bound(DECODES=1)
    turns, go = Turns([*decoder.PROCESSES[:1]]), threading.Event()
    monkeypatch.setattr(decoder, "TURNS", turns)
    threads = [hold(turns, owner, [], go) for owner in ("one", "two")]
    assert "many pictures are being decoded" in outcome(encoded(noise(), "PNG"))
    go.set()
    for thread in threads:
        thread.join()
    assert outcome(encoded(noise(), "PNG")) == "(64, 48)"
