"""Requests of a stranger, drawn by hypothesis from the doors and routes of the running app."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from .doors import Door, places
from .lures import SHAPES, Lure

__all__ = ["JSON", "TEXT", "Request", "draw"]

# Texts that mean something to one of the programs that may read them.
WORDS = (
    "", " ", "\0", "a\0b", "../../../etc/passwd", "..\\..\\x", "C:\\Windows\\system.ini", "data:,x",
    "data:image/png;base64,AAAA", "nan", "inf", "1e999", "-1", "0x10", "1_000", "٣", "½", "9" * 400,
    "-0", "1e-320", "true", "null", "[]", "{}", "{" * 2000, "[" * 5000, "%s%n", "%00", "\u202egnp",
    "<script>alert(1)</script>", "'; DROP TABLE x; --", "${7*7}", "{{7*7}}", "🖼" * 50, "한글",
    "A" * 10_000, "\r\nSet-Cookie: x=1", "scene-", "scene-99999999999", "scene-1.5", "scene-24",
    "0123456789abcdef", "3-5-7", "5-5", "99999,99999", "-1,-1", ",", "timm:", ":", "bundled:",
    "bundled:../scenes-vit", "timm:hf-hub:a/../../b", "timm:local-dir:/etc", "mine:net",
    "timm:resnet18/../../x", "transformers:__import__('os')", "bundled:scenes-vit", "saliency",
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-5, 40), st.integers(), st.floats(),
    st.sampled_from([2**63, 10**30, -(10**9), 0.5, 1e308]),
)  # fmt: skip
TEXT = st.text(max_size=40) | st.sampled_from(WORDS)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
PART = re.compile(r"\{[^}]*\}")
KEYS = ("v", "tab", "m", "img", "cls", "layer", "ch", "pos", "method", "seed", "with", "lang",
        "p.steps", "p.samples", "p.explain", "p.trust", "p.columns", "p.by")  # fmt: skip


class Request(NamedTuple):
    """One request; which of its fields count depends on its kind."""

    kind: str  # "event", "endpoint", "function", "route", "link", "upload" or "body"
    door: Door | None = None
    values: dict[int, Any] | None = None  # place of an argument -> its value
    method: str = "GET"
    path: str = ""
    body: bytes = b""
    number: int = 0  # of a hostile picture, of which there are as many as numbers
    files: int = 1
    name: str = ""
    echo: tuple[str, ...] = ()  # lures that it holds, which the answer may repeat


@st.composite
def _through_a_door(draw: Any, known: Sequence[Door], lures: Sequence[Lure]) -> Request:
    door = draw(st.sampled_from(known))
    values, echo, own = {}, [], places(door)
    for place in draw(st.lists(st.sampled_from(own), max_size=3, unique=True)) if own else ():
        if draw(st.booleans()):
            lure, shape = draw(st.sampled_from(lures)), draw(st.sampled_from(sorted(SHAPES)))
            values[place] = SHAPES[shape](lure.value)
            echo += [lure.value, quote(lure.value)]
        else:
            values[place] = draw(JSON)
    kind = {"call": "endpoint"}.get(door.kind, door.kind)
    return Request(kind, door, values, echo=tuple(echo))


@st.composite
def _along_a_route(draw: Any, known: Sequence[tuple[str, str]], lures: Sequence[Lure]) -> Request:
    method, path = draw(st.sampled_from(known))
    method = draw(st.sampled_from([method, method, method, "POST", "PUT", "DELETE", "OPTIONS"]))
    parts = st.one_of(st.sampled_from([lure.value for lure in lures]), TEXT)
    texts = [draw(parts) for _ in PART.findall(path)]
    echo = [*texts, *map(_quoted, texts)]
    if draw(st.integers(0, 9)) == 0:
        path += f"/{_quoted(draw(TEXT))}"
    for text in texts:
        path = PART.sub(_quoted(text).replace("\\", "%5C"), path, count=1)
    query = "&".join(f"{draw(st.sampled_from(QUERIES))}={_quoted(draw(parts))}"
                     for _ in range(draw(st.integers(0, 2))))  # fmt: skip
    body = json.dumps(draw(JSON)).encode() if method in ("POST", "PUT") else b""
    return Request("route", None, None, method, f"{path}?{query}", body, echo=tuple(echo))


QUERIES = ("session_hash", "upload_id", "path", "url", "__theme", "view", "state", "x")


def _quoted(text: str) -> str:
    return quote(text.encode(errors="replace"), safe="/:")


def _links(lures: Sequence[Lure]) -> st.SearchStrategy[Request]:
    value = TEXT | st.sampled_from([lure.value for lure in lures])
    pairs = st.lists(st.tuples(st.sampled_from(KEYS), value), max_size=10)
    return pairs.map(
        lambda found: Request(
            "link",
            path="&".join(f"{key}={_quoted(text)}" for key, text in found),
            echo=tuple(words for _, text in found for words in (text, _quoted(text))),
        )
    )


NAMES = ("a.png", "a.html", "a.svg", "../../a.png", "a\0.png", "a" * 300, "")
UPLOADS = st.tuples(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(NAMES)).map(
    lambda upload: Request("upload", number=upload[0], files=upload[1], name=upload[2])
)
BODIES = st.tuples(
    st.sampled_from(["queue/join", "call/run", "upload", "component_server", "cancel"]),
    st.one_of(
        st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode()),
        st.sampled_from([b"{", b"[" * 50_000, b'{"data": ' + b"[" * 20_000, b"\xff\xfe", b"null",
                         b'{"data": [1e400], "fn_index": 99999}', b'{"fn_index": -1, "data": []}',
                         b'{"data": [' + b"9" * 5000 + b"]}"]),
    ),
).map(
    lambda pair: Request("body", method="POST", path=f"/gradio_api/{pair[0]}", body=pair[1])
)  # fmt: skip


def draw(
    count: int, number: int, known: Sequence[Door], paths: Sequence[tuple[str, str]],
    lures: Sequence[Lure],
) -> list[Request]:  # fmt: skip
    """So many requests; the same number draws the same ones."""
    door = _through_a_door(known, lures)
    kinds = [door] * 4 + [_along_a_route(paths, lures), _links(lures), UPLOADS, BODIES]
    strategy = st.sampled_from(range(len(kinds))).flatmap(lambda kind: kinds[kind])
    requests: list[Request] = []

    @seed(number)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def collect(request: Request) -> None:
        requests.append(request)

    while len(requests) < count:  # it ends early where it believes that it has seen all
        collect()
    return requests[:count]
