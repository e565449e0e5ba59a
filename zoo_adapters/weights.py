"""Weights: the name of a file on the hub, or its address, in; a path on disk out.

What is on disk is used without asking the network. What is not is downloaded once, into the cache
that Hugging Face or torch would use, and only after the host was seen to answer: no retries.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import torch

from featvis.model import WrongRequest

__all__ = [
    "COPIES",
    "Progress",
    "Unavailable",
    "answers",
    "cached",
    "commit",
    "hub_file",
    "hub_file_or_none",
    "memory",
    "offline",
    "url_file",
    "url_path",
]

Progress = Callable[[int, int, str], None]  # bytes done, bytes in all (0: unknown), of what
ANSWER = 2.5  # seconds a host has to answer before a download is begun
NAMES = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin")
LIMIT = 2.0  # GB that are downloaded at most, unless FEATVIS_DOWNLOAD_LIMIT says another number
COPIES = 2.2  # times its size that a file takes in memory while it is loaded
COMMIT = re.compile(r"[0-9a-f]{40}")


class Unavailable(WrongRequest):
    """Weights that cannot be had here and now: no connection, or the host refuses."""


def offline() -> bool:
    """Is the network forbidden (HF_HUB_OFFLINE)?"""
    hub = sys.modules.get("huggingface_hub.constants")
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return bool(getattr(hub, "HF_HUB_OFFLINE", False)) or said.upper() in ("1", "ON", "YES", "TRUE")


def cached(repo: str, files: Sequence[str], revision: str | None = None) -> Path | None:
    """The first of `files` of a hub repository that is on disk, or None."""
    from huggingface_hub import try_to_load_from_cache

    for file in _readable(files):
        path = try_to_load_from_cache(repo, file, revision=revision)
        if isinstance(path, str):
            return Path(path)
    return None


def _readable(files: Sequence[str]) -> list[str]:
    """Those of `files` that are read here: FEATVIS_SAFETENSORS=1 leaves pickled weights out."""
    only = os.environ.get("FEATVIS_SAFETENSORS", "") not in ("", "0")
    return [file for file in files if not (only and file.endswith(".bin"))]


def commit(path: Path) -> str:
    """The commit of a repository that a file of the cache is from, or ""."""
    return path.parent.name if COMMIT.fullmatch(path.parent.name) else ""


def memory() -> int | None:
    """Bytes of memory that are free for a network, where the system tells."""
    try:
        return int(psutil.virtual_memory().available)
    except (OSError, psutil.Error):
        return None


def refuse_large(size: int, model: str) -> None:
    """Refuse a download over the limit, or of more than fits into memory, before it is begun."""
    limit = float(os.environ.get("FEATVIS_DOWNLOAD_LIMIT") or LIMIT)
    if size > limit * 1e9:
        raise WrongRequest(
            f"the weights of {model} are {size / 1e9:.1f} GB, and at most {limit:g} GB are "
            "downloaded; choose a smaller variant, or set FEATVIS_DOWNLOAD_LIMIT to more GB"
        )
    refuse_unfit(size // 4, model)


def refuse_unfit(parameters: int, model: str) -> None:
    """Refuse a network of more weights than fit into memory, before they are made."""
    need, free = 4 * COPIES * parameters, memory()
    if free is not None and need > free:
        raise WrongRequest(
            f"{model} needs about {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB "
            "are free; choose a smaller variant"
        )


def hub_file(
    repo: str,
    files: Sequence[str],
    *,
    model: str,
    revision: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """The first of `files` that a hub repository has, from disk or downloaded for `model`."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    files = _readable(files)
    if path := cached(repo, files, revision):
        return path
    url = hf_hub_url(repo, files[0], revision=revision)
    may_download(urlsplit(url).netloc, model, lambda: get_hf_file_metadata(url, timeout=ANSWER))
    for file in files:
        if path := _from_hub(repo, file, revision, model, progress):
            return path
    raise WrongRequest(
        f"{model}: the repository {repo} has none of {', '.join(files)}; "
        "it does not hold the weights of a network for this zoo"
    )


def hub_file_or_none(repo: str, file: str, *, model: str, revision: str | None) -> Path | None:
    """A file that a hub repository may lack, from disk or downloaded for `model`."""
    path = cached(repo, [file], revision)
    return path or (None if offline() else _from_hub(repo, file, revision, model, None))


def _from_hub(
    repo: str, file: str, revision: str | None, model: str, progress: Progress | None
) -> Path | None:
    """One file, downloaded; None where the repository does not have it."""
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_download, hf_hub_url

    bar = _bar(progress, file) if progress else None
    try:
        url = hf_hub_url(repo, file, revision=revision)
        refuse_large(get_hf_file_metadata(url, timeout=4 * ANSWER).size or 0, model)
        return Path(hf_hub_download(repo, file, revision=revision, tqdm_class=bar))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise not_there(model, repo, revision, error) from error
    except errors.EntryNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise _unavailable(model, error) from error
        return None
    except Exception as error:
        if isinstance(error, WrongRequest):
            raise
        if isinstance(error, OSError) or type(error).__module__.startswith(("httpx", "hugg")):
            raise _unavailable(model, error) from error
        raise  # what `progress` raised, to end the download


def not_there(model: str, repo: str, revision: str | None, error: Exception) -> WrongRequest:
    """The refusal of a repository that is gated, private or not there."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return Unavailable(
            f"{model}: {repo} asks its users to accept a licence; accept it on the page of the "
            "repository, then say who you are with: hf auth login"
        )
    return WrongRequest(
        f"{model}: the hub has no repository {repo}{f' at {revision}' if revision else ''}, "
        "or a private one; check the spelling, or log in with: hf auth login"
    )


def url_path(url: str) -> Path:
    """Where torch keeps the file of an address."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name


def url_file(url: str, *, model: str, progress: Progress | None = None) -> Path:
    """The file of an address, from torch's folder or downloaded into it for `model`."""
    path = url_path(url)
    if path.exists():
        return path
    request = urllib.request.Request(url, method="HEAD")
    may_download(
        urlsplit(url).netloc, model, lambda: urllib.request.urlopen(request, timeout=ANSWER).close()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        digest = _download(url, part, model, progress)
        promised = re.search(r"-([0-9a-f]{8,})\.", path.name)
        if promised and not digest.startswith(promised[1]):
            raise OSError("the file arrived damaged (its hash is not the promised one)")
        part.replace(path)
    except (OSError, HTTPException) as error:
        raise _unavailable(model, error) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _download(url: str, path: Path, model: str, progress: Progress | None) -> str:
    """Write an address to a file; its SHA-256."""
    digest, done = hashlib.sha256(), 0
    with urllib.request.urlopen(url, timeout=30) as answer, path.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        refuse_large(total, model)
        while block := answer.read(1 << 18):
            file.write(block)
            digest.update(block)
            done += len(block)
            if progress:
                progress(done, total, Path(urlsplit(url).path).name)
    if done < total:
        raise OSError(f"the connection broke after {done} of {total} bytes")
    return digest.hexdigest()


def may_download(host: str, model: str, ask: Callable[[], object]) -> None:
    """Refuse at once where the network is forbidden or `host` does not answer when asked."""
    elsewhere = "download them once where there is a connection, choose a bundled model, or load "
    elsewhere += "it with pretrained=False (random weights)"
    if offline():
        raise Unavailable(
            f"the weights of {model} are not on disk and HF_HUB_OFFLINE forbids downloads; "
            f"unset it, {elsewhere}"
        )
    if not answers(ask):
        raise Unavailable(
            f"the weights of {model} are not on disk and {host} does not answer; {elsewhere}"
        )


def answers(ask: Callable[[], object]) -> bool:
    """Does `ask` come back in time? A refusal is an answer, a failure of the server is none."""
    answers: list[bool] = []

    def asking() -> None:
        try:
            ask()
            answers.append(True)
        except Exception as error:
            response = getattr(error, "response", error)
            code = getattr(response, "status_code", None) or getattr(response, "code", None)
            answers.append(isinstance(code, int) and code < 500)

    thread = threading.Thread(target=asking, daemon=True)  # a name server may hang for minutes
    thread.start()
    thread.join(ANSWER)
    return answers == [True]


def _unavailable(model: str, error: Exception) -> Unavailable:
    cause = error.__cause__ or error
    said = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
    return Unavailable(f"the weights of {model} could not be downloaded: {said}; try again later")


def _bar(progress: Progress, what: str) -> Any:
    """A class that huggingface_hub takes for tqdm: it tells `progress` instead of the terminal."""

    class Bar:
        def __init__(self, *_: Any, total: int | None = None, initial: int = 0, **__: Any) -> None:
            self.total, self.n = total, initial

        def update(self, count: int = 1) -> None:
            self.n += count
            progress(self.n, self.total or 0, what)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: Any) -> None:
            pass

        def nothing(self, *_: Any, **__: Any) -> None:
            pass

        close = refresh = reset = set_description = set_postfix_str = nothing
        update_transfer = set_transfer_postfix_str = nothing

    return Bar
