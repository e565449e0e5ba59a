"""Limits hold at every door: the window, links and the API; and what fails says so and no more."""

from __future__ import annotations

import io
import json
import logging
import struct
import time
import zlib
from contextlib import suppress

import PIL.Image
import PIL.ImageFile
import pytest

import zoo_adapters
from app.answers.ask import ask_of
from app.answers.prediction import SECONDS, logits_of
from app.answers.run import run
from app.cli.pictures import named
from app.files import save
from app.machine import cache, errors, jobs, limits
from app.machine.cache import Kept, holding, model_of
from app.question import pictures
from app.question.state import State, from_query
from app.web import api, gate, visitors
from app.window import changes
from featvis import WrongRequest
from featvis.progress import tick
from tests.support.loops import awaited

SECRET = "/home/someone/.cache/hub/model.bin of hf_abcdefghijk"


def bomb(side: int) -> bytes:
    """A PNG of side x side black pixels, a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_each_limit_has_a_variable_and_public_ones_are_no_looser(set_limits):
    local = limits.limits()
    set_limits(SPACE_ID="someone/featvis")
    public = limits.limits()
    told = {row[0].strip("`"): row for row in limits.rows()}
    for name in vars(local):
        assert f"FEATVIS_{name.upper()}" in told
        mine, theirs = getattr(local, name), getattr(public, name)
        if isinstance(mine, int | float) and not isinstance(mine, bool):
            assert 0 < theirs <= (mine or float("inf")), name
    set_limits(FEATVIS_STEPS="7", FEATVIS_LISTED="no")
    assert limits.limits().steps == 7
    assert limits.limits().listed is False


@pytest.mark.parametrize("wrong", ["many", "-1", "1e300", "nan"])
def test_a_wrong_variable_is_one_sentence(set_limits, wrong):
    set_limits(FEATVIS_STEPS=wrong)
    with pytest.raises(WrongRequest, match=r"FEATVIS_STEPS is a whole number"):
        limits.limits()


def test_a_value_over_the_limit_is_refused_at_every_door(set_limits):
    set_limits(FEATVIS_STEPS="9")
    said = "steps is a whole number from 1 to 9, not '10'"
    link = from_query("?tab=Synthesis&p.steps=10")
    with pytest.raises(WrongRequest, match=said):
        run(ask_of("maximize", link))
    with pytest.raises(WrongRequest, match=said):
        api.run("maximize", parameters='{"steps": 10}')
    with pytest.raises(WrongRequest, match=said):
        save.recipe(changes.set_param("steps")(link, 10))
    assert ask_of("maximize", State()).params["steps"] == 9  # the default is 256


def test_too_many_pictures_and_too_long_jobs_are_not_begun(set_limits, monkeypatch):
    set_limits(FEATVIS_PICTURES="8", FEATVIS_JOB_SECONDS="1")
    state = State(tab="Synthesis", layer=model_of(State().model).last_layer)
    with pytest.raises(WrongRequest, match="at most 8 are made"):
        run(ask_of("maximize", state.having(every=True, steps=1)))
    monkeypatch.setitem(SECONDS, state.model, 1.0)
    with pytest.raises(WrongRequest, match="would take about 153 s"):
        run(ask_of("maximize", state.having(steps=73)))  # 3 x 0.7 x 73


@pytest.mark.parametrize("name", ["timm:hf-hub:someone/thing", "timm:local-dir:/etc", "mine:net"])
def test_a_public_server_loads_what_is_listed(set_limits, name):
    set_limits(FEATVIS_PUBLIC="1")
    for door in (cache.model_of, lambda n: changes.set_others(State(), [n]), api.layers):
        with pytest.raises(WrongRequest, match=r"cannot be loaded here|is in no list"):
            door(name)
    assert cache.model_of(State().model).name == State().model
    with suppress(zoo_adapters.Unavailable):
        limits.check_model("timm:resnet18")


def test_large_networks_are_refused_by_the_tables(set_limits):
    set_limits(FEATVIS_PARAMETERS="5")
    with pytest.raises(WrongRequest, match=r"timm:resnet50\.a1_in1k has 26 million weights"):
        limits.check_model("timm:resnet50.a1_in1k")


def test_pickled_weights_are_left_out_where_they_are_forbidden(set_limits, monkeypatch):
    from zoo_adapters import weights

    monkeypatch.setenv("FEATVIS_SAFETENSORS", "0")
    monkeypatch.setenv("FEATVIS_DOWNLOAD_LIMIT", "")
    assert weights._readable(weights.NAMES) == list(weights.NAMES)
    set_limits(FEATVIS_PUBLIC="1")
    monkeypatch.setenv("FEATVIS_SAFETENSORS", "1")
    limits.hand_on()
    assert weights._readable(weights.NAMES) == list(weights.NAMES[:2])


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch, tmp_path):
    def decoded(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", decoded)
    data = bomb(12_000)
    assert len(data) < 20_000
    (tmp_path / "bomb.png").write_bytes(data)
    for read in (pictures.keep, named):
        with pytest.raises(WrongRequest, match=r"12000 x 12000|24 million"):
            read(data if read is pictures.keep else tmp_path / "bomb.png")


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0\n", bytes(1000)])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(WrongRequest, match="PNG, JPEG"):
        pictures.keep(data)


def test_a_large_file_is_refused(set_limits):
    set_limits(FEATVIS_UPLOAD_MB="0.01")
    with pytest.raises(WrongRequest, match=r"0\.0 MB, and at most 0\.01"):
        pictures.keep(bytes(20_000))


def test_a_job_ends_after_its_time(set_limits):
    set_limits(FEATVIS_JOB_SECONDS="0.05")
    done: list[int] = []

    def long(_):
        for step in range(10_000):
            tick(step, 10_000)
            done.append(step)
            time.sleep(0.01)

    with pytest.raises(WrongRequest, match=r"longer than the 0\.05 s"):
        jobs.Work(long).result()
    assert len(done) < 10_000


def test_a_network_in_use_is_kept_until_the_job_is_done():
    kept = Kept(10, lambda made: made, 10)
    with holding():
        for size in (6, 5, 4):
            kept.get_or(size, lambda size=size: size)
        assert list(kept) == [6, 5, 4]
    assert list(kept) == [5, 4] or list(kept) == [4]
    assert sum(kept) <= 10
    kept.get_or(7, lambda: 7)
    assert list(kept) == [7]
    kept.free()
    assert not kept


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate "
                     "memory: you tried to allocate 96 bytes."),
    ],
)  # fmt: skip
def test_memory_that_runs_out_is_freed_and_said(error):
    used, unused = State().model, "bundled:scenes-alexnet"
    cache.model_of(unused)

    def hungry(_):
        raise error

    with holding():
        cache.model_of(used)
        with pytest.raises(WrongRequest, match=r"not enough memory.*has been freed"):
            jobs.Work(hungry).result()
        assert unused not in cache.MODELS
        assert used in cache.MODELS  # as a job is using it
    assert logits_of(State()).ndim == 1  # and it goes on


def test_nothing_of_the_inside_is_said_and_the_log_has_its_number(caplog):
    def broken(_):
        raise OSError(SECRET)

    task = jobs.Work(broken)
    with caplog.at_level(logging.ERROR, "featvis"), pytest.raises(WrongRequest) as told:
        task.result()
    assert not set(SECRET.split()) - {"of"} & set(str(told.value).split())
    assert task.request in str(told.value)
    assert SECRET in str(caplog.records[0].exc_info)


def test_a_public_server_masks_paths_and_tokens_of_refusals(set_limits):
    error = WrongRequest(f"timm:hf-hub:org/name: {SECRET}; see https://example.org/a/b")
    assert errors.sentence(error) == str(error)
    set_limits(FEATVIS_PUBLIC="1")
    assert errors.sentence(error) == (
        "timm:hf-hub:org/name: a file of this server of hf_...; see https://example.org/a/b"
    )


def test_a_bucket_gives_a_minute_its_requests():
    buckets, now, taken = visitors.Buckets(), 0.0, []
    for _ in range(600):  # one asks twice a second for five minutes
        if not buckets.wait("one", now, 30):
            taken.append(now)
        now += 0.5
    assert taken[:30] == [at / 2 for at in range(30)]
    assert len(taken) == pytest.approx(30 + 5 * 30, abs=1)
    assert buckets.wait("another", now, 30) == 0
    wait = next(w for _ in range(40) if (w := buckets.wait("one", now, 30)))
    assert buckets.wait("one", now + wait + 1e-6, 30) == 0


def asked(path="/gradio_api/queue/join", forwarded="", client="192.0.2.1", length=2):
    headers = [(b"content-length", b"%d" % length), (b"content-type", b"application/json")]
    headers += [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    return {"type": "http", "method": "POST", "path": path, "headers": headers,
            "client": (client, 1)}  # fmt: skip


def test_what_a_proxy_says_is_believed_where_there_is_one(monkeypatch):
    scope = asked(forwarded="198.51.100.9, 203.0.113.5")
    assert visitors.address(scope) == "192.0.2.1"
    monkeypatch.setenv("FEATVIS_TRUST_PROXY", "1")
    assert visitors.address(scope) == "203.0.113.5"
    monkeypatch.setenv("FEATVIS_TRUST_PROXY", "2")
    assert visitors.address(scope) == "198.51.100.9"
    monkeypatch.delenv("FEATVIS_TRUST_PROXY")
    monkeypatch.setenv("SPACE_ID", "someone/featvis")
    assert visitors.address(scope) == "198.51.100.9"
    near = (visitors.address(asked(forwarded=f"2001:db8:1:2::{i}")) for i in (1, 2))
    assert len(set(near)) == 1


def test_who_asks_too_often_or_too_much_at_once_is_told(set_limits):
    set_limits(FEATVIS_REQUESTS="2", FEATVIS_UNDER_WAY="1")

    async def app(scope, receive, send):
        body = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body["body"]})

    door = gate.Gate(app, None)

    def ask(body=b"{}", **how):
        sent = []

        async def receive():
            return {"type": "http.request", "body": body}

        async def send(message):
            sent.append(message)

        awaited(door(asked(**how), receive, send))
        return sent[0]["status"], sent[1]["body"]

    reset = "/gradio_api/reset"  # costs nothing; the other has no functions here
    assert ask(path=reset)[0] == 200
    assert [ask()[0] for _ in range(4)] == [400, 400, 429, 429]
    assert "at most 2 requests a minute" in json.loads(ask()[1])["detail"]
    assert ask(client="192.0.2.2")[0] == 400
    with door.requests.one("192.0.2.1", 1):
        assert "at the same time" in json.loads(ask(path=reset)[1])["detail"]
        assert ask(path=reset, client="192.0.2.2")[0] == 200


def test_uploads_that_fit_are_kept():
    data = io.BytesIO()
    PIL.Image.effect_noise((64, 48), 60).save(data, "PNG")
    assert pictures.get(pictures.keep(data.getvalue())).size == (64, 48)
