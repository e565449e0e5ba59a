"""Limits: the one place for what a visitor may ask of this server, and how large it may be.

Each has a value for a server of one's own and one for a public server: on a Space (SPACE_ID is
set), or with FEATVIS_PUBLIC=1. An environment variable FEATVIS_NAME sets each of them alone.
A limit with the name of a method's parameter bounds that parameter, wherever a value comes from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import zoo_adapters
from featvis import Method, Param, Range, VisionModel, WrongRequest
from zoo_adapters.registry import adapter, unknown

from . import values

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # no decoder runs a program
SURE = 3  # times the seconds of a job: what is thought to take longer is not begun


class Public(NamedTuple):
    """A limit on a public server, and what is limited."""

    value: bool | int | float | str
    help: str


@dataclass(frozen=True)
class Limits:
    """The defaults are those of a server of one's own; 0 or nothing is no limit."""

    upload_mb: Annotated[float, Public(5, "MB of an uploaded file")] = 8
    upload_mpx: Annotated[float, Public(24, "million pixels of an uploaded picture")] = 24
    scans: Annotated[int, Public(100, "scans of an uploaded JPEG")] = 500
    metadata_mb: Annotated[float, Public(4, "MB of text and profile that a PNG unpacks")] = 16
    decode_seconds: Annotated[float, Public(5, "seconds of decoding an upload")] = 20
    decodes: Annotated[int, Public(32, "uploads that may wait to be decoded")] = 100
    stored_mb: Annotated[float, Public(500, "MB of all uploads kept on disk")] = 500
    stored_each_mb: Annotated[float, Public(50, "MB of one visitor's uploads kept on disk")] = 0
    stored_days: Annotated[
        float, Public(30, "days that an upload is kept after it was last used")
    ] = 0
    served_mb: Annotated[float, Public(2000, "MB of pictures made, kept on disk")] = 2000
    served_each_mb: Annotated[float, Public(200, "MB of pictures made for one visitor")] = 0
    steps: Annotated[int, Public(512, "steps of an ascent, a dream or a path")] = 4096
    size: Annotated[int, Public(512, "longer side of a picture that is made, pixels")] = 2048
    samples: Annotated[int, Public(100, "noisy copies of a picture")] = 500
    batch: Annotated[int, Public(64, "pictures computed at once")] = 1024
    pictures: Annotated[int, Public(64, "pictures made at once: channels x copies")] = 4096
    page_hours: Annotated[float, Public(6, "hours that files of the page itself are kept")] = 24
    zoos: Annotated[
        str, Public("bundled,timm,torchvision,transformers", "zoos that may be used")
    ] = ""
    listed: Annotated[bool, Public(True, "only networks that a zoo lists may be loaded")] = False
    safetensors: Annotated[bool, Public(True, "of the hub only safetensors files are read")] = False
    parameters: Annotated[float, Public(400, "million weights of a network")] = 0
    download_limit: Annotated[float, Public(1.7, "GB of a download")] = 2
    downloads_gb: Annotated[float, Public(20, "GB of downloaded weights kept on disk")] = 0
    model_memory: Annotated[float, Public(4, "GB of the networks that are kept loaded")] = 4
    models: Annotated[int, Public(12, "networks that are kept loaded")] = 12
    requests: Annotated[int, Public(120, "requests of one visitor in a minute")] = 0
    at_once: Annotated[int, Public(12, "jobs of one visitor that run or wait")] = 0
    running: Annotated[int, Public(2, "jobs of one visitor that run at the same time")] = 0
    looks: Annotated[int, Public(1500, "files and pages that one visitor asks for in a minute")] = 0
    under_way: Annotated[int, Public(64, "requests of one visitor at the same time")] = 0
    sessions_each: Annotated[int, Public(12, "open pages of one visitor that are kept")] = 0
    sessions: Annotated[int, Public(150, "open pages that are kept, of all visitors")] = 2000
    fetch: Annotated[
        bool, Public(False, "pictures are fetched from addresses; never on a public server")
    ] = False
    queue: Annotated[int, Public(100, "requests that may wait at the same time")] = 100
    long_jobs: Annotated[int, Public(1, "long jobs that run at the same time")] = 1
    waiting: Annotated[int, Public(32, "long jobs that may wait for their turn")] = 32
    waiting_each: Annotated[int, Public(4, "long jobs of one visitor that may wait or run")] = 0
    job_seconds: Annotated[float, Public(120, "seconds of one job")] = 0
    header_seconds: Annotated[float, Public(10, "seconds until a request's head is complete")] = 30
    body_seconds: Annotated[
        float, Public(30, "seconds of a request's body, and one more for each 16 KB of it")
    ] = 60
    read_seconds: Annotated[
        float, Public(30, "seconds in which a visitor reads nothing of an answer")
    ] = 120
    connections: Annotated[int, Public(100, "open connections of one address")] = 0
    connections_all: Annotated[int, Public(1000, "open connections in all")] = 1000


def public() -> bool:
    """Is this a server for strangers?"""
    return bool(os.environ.get("SPACE_ID")) or _truth(os.environ.get("FEATVIS_PUBLIC", ""))


@lru_cache(maxsize=1)
def limits() -> Limits:
    """The limits of this server; read once."""
    made: dict[str, Any] = {name: told.value for name, told in _told() if public()}
    kinds = get_type_hints(Limits)
    for name in (field.name for field in fields(Limits)):
        if text := os.environ.get(_variable(name), "").strip():
            made[name] = _value(kinds[name], name, text)
    return Limits(**made)


def rows() -> Iterator[tuple[str, ...]]:
    """Variable, what is limited, its local, its public and its present value: of each limit."""
    for name, told in _told():
        values = getattr(Limits(), name), told.value, getattr(limits(), name)
        yield (f"`{_variable(name)}`", told.help, *map(_shown, values))


def hand_on() -> None:
    """Tell the zoos, which read the environment, what they may download and read."""
    here = limits()
    os.environ["FEATVIS_DOWNLOAD_LIMIT"] = f"{here.download_limit or 1e6:g}"
    os.environ["FEATVIS_SAFETENSORS"] = str(int(here.safetensors))


def allowed_params(methods: Iterable[Method]) -> dict[str, tuple[Param, ...]]:
    """Method -> its parameters with the ranges, and where need be the defaults, allowed here."""
    return {method.name: tuple(map(_bounded, method.params)) for method in methods}


def _bounded(param: Param) -> Param:
    most = getattr(limits(), param.name, 0)
    if not param.range or not most or most >= param.range.high:
        return param
    high = max(most, param.range.low)
    return replace(param, range=Range(param.range.low, high), default=min(param.default, high))


def check_job(
    method: Method, model: VisionModel, arguments: Mapping[str, Any], seconds: float
) -> None:
    """Refuse what is more than one job may be, before it is begun; `seconds` are an estimate."""
    here, channels = limits(), 1
    if arguments.get("every") and arguments.get("layer"):
        channels = model.layer(arguments["layer"]).channels
    count = channels * arguments.get("copies", 1)
    if count > here.pictures > 0:
        raise WrongRequest(
            f"{count} pictures at once are too many: at most {here.pictures} are made here; choose "
            "one channel or fewer copies"
        )
    if seconds > SURE * here.job_seconds > 0:
        raise WrongRequest(
            f"{method.title} would take about {seconds:.0f} s, and a job may take "
            f"{here.job_seconds:g} s here; choose fewer steps or samples, or a smaller network"
        )


def check_model(name: str) -> None:
    """Refuse a network that may not be loaded here, before anything is asked or downloaded."""
    here, (zoo, _, rest) = limits(), values.name("model", name).partition(":")
    allowed = [word.strip() for word in here.zoos.split(",") if word.strip()]
    if allowed and zoo not in allowed:
        known = ", ".join(f"{word}:" for word in allowed)
        raise WrongRequest(f"{name!r} cannot be loaded here: names begin with {known}")
    if here.listed and not zoo_adapters.is_listed(name):
        if not set(":/\\") & set(rest):  # no folder and no repository: a slip
            unknown(zoo, rest, adapter(zoo).names())
        raise WrongRequest(
            f"{name!r} is in no list, and this server loads listed networks only; featvis on a "
            "machine of yours loads it"
        )
    if not here.parameters:
        return
    count = zoo_adapters.describe(name).about or 0
    if count > 1e6 * here.parameters:
        raise WrongRequest(
            f"{name} has {count / 1e6:.0f} million weights, and networks of at most "
            f"{here.parameters:g} million are loaded here; choose a smaller variant"
        )


def _told() -> list[tuple[str, Public]]:
    hints = get_type_hints(Limits, include_extras=True)
    return [(field.name, get_args(hints[field.name])[1]) for field in fields(Limits)]


def _variable(name: str) -> str:
    return f"FEATVIS_{name.upper()}"


def _value(kind: type, name: str, text: str) -> bool | int | float | str:
    try:
        made = _truth(text) if kind is bool else kind(text)
        if kind in (int, float) and not 0 <= made < 1e12:
            raise ValueError(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise WrongRequest(f"{_variable(name)} is {what} from 0, not {text!r}") from None
    return made


def _truth(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


def _shown(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value.replace(",", ", ") or "all"
    return f"{value:,g}" if value else "no limit"
