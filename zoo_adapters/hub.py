"""The hub: repositories found by words, and what is known of one before anything is loaded.

Asked through huggingface_hub, with the token of `hf auth login` or HF_TOKEN where there is one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from featvis.model import WrongRequest
from zoo_adapters import weights
from zoo_adapters.registry import repository
from zoo_adapters.weights import Progress, Unavailable

__all__ = ["Found", "configuration", "inspect", "licence_of", "search_hub", "unreachable"]

LONGEST = 1_000_000  # bytes of a page
PATIENCE = 8.0  # seconds that a search may take
KEPT = 600.0  # seconds that an answer is used again
KINDS = (  # libraries and tasks that can be loaded here
    ("timm",),
    ("transformers", "image-classification"),
    ("transformers", "image-feature-extraction"),
)
FIELDS: Any = ["downloads", "gated", "library_name", "safetensors", "tags", "private"]
T = TypeVar("T")


class Found(NamedTuple):
    """A repository of the hub, as a list shows it."""

    name: str  # as `load` takes it: "timm:hf-hub:org/name", "transformers:org/name"
    licence: str  # "apache-2.0", or "unknown"
    downloads: int  # in the last 30 days
    gated: bool  # it asks its users to accept a licence
    parameters: int | None  # None where it has no safetensors
    revision: str = ""  # the commit of its main branch, where it was asked for
    download: int | None = None  # bytes of its weights, likewise


_kept: dict[tuple[str, int], tuple[float, tuple[Found, ...]]] = {}


def search_hub(text: str, *, limit: int = 30) -> tuple[Found, ...]:
    """Repositories with all words of `text` in their names, the most downloaded ones first.

    Answers are kept for ten minutes. Without a connection it is refused within three seconds, at
    once where HF_HUB_OFFLINE is set.
    """
    words = " ".join(text.split())
    if not words:
        raise WrongRequest("a search of the hub needs a word of the name; as in: convnext tiny")
    asked, answer = _kept.get((words, limit), (0.0, ()))
    if asked and time.monotonic() - asked < KEPT:
        return answer
    found = {one.name: one for one in _patiently(lambda: list(_listed(words, limit)), words)}
    answer = tuple(sorted(found.values(), key=lambda one: -one.downloads)[:limit])
    _kept[words, limit] = time.monotonic(), answer
    return answer


def _listed(words: str, limit: int) -> Iterator[Found]:
    from huggingface_hub import HfApi

    for kind in KINDS:
        for told in HfApi().list_models(
            filter=list(kind), search=words, sort="downloads", limit=limit, expand=FIELDS
        ):
            yield _found(told, kind[0])


def _found(told: Any, library: str, revision: str = "", download: int | None = None) -> Found:
    name = f"timm:hf-hub:{told.id}" if library == "timm" else f"transformers:{told.id}"
    tags = told.tags or []
    licence = next((tag.partition(":")[2] for tag in tags if tag.startswith("license:")), "unknown")
    total = told.safetensors.total if told.safetensors else None
    return Found(name, licence, told.downloads or 0, bool(told.gated), total, revision, download)


def inspect(name: str) -> Found:
    """Licence, size, gate and commit of "timm:hf-hub:ORG/NAME[@REV]" or "transformers:ORG/NAME"."""
    from huggingface_hub import HfApi

    library, _, rest = name.partition(":")
    repo, revision = repository(rest.removeprefix("hf-hub:"), name)
    if library not in ("timm", "transformers"):
        raise WrongRequest(
            f"{name!r} is no repository of the hub; write timm:hf-hub:organization/name or "
            "transformers:organization/name"
        )
    told = _patiently(
        lambda: HfApi().model_info(repo, revision=revision, files_metadata=True), name
    )
    sizes = {file.rfilename: file.size for file in told.siblings or []}
    size = next((sizes[file] for file in weights.NAMES if sizes.get(file)), None)
    return _found(told, library, told.sha or "", size)


def unreachable() -> str | None:
    """Why the hub cannot be asked, in words, or None; asked now, which may take three seconds."""
    from huggingface_hub import constants, get_session

    if weights.offline():
        return "HF_HUB_OFFLINE forbids it"
    host = constants.ENDPOINT
    if weights.answers(lambda: get_session().head(host, timeout=weights.ANSWER)):
        return None
    return f"{host} does not answer"


def _patiently(call: Callable[[], T], what: str) -> T:
    """What `call` gives, if it gives it in time; every failure in one sentence."""
    from huggingface_hub import errors

    if weights.offline():
        raise Unavailable(
            f"the hub cannot be asked for {what!r} because HF_HUB_OFFLINE forbids it; unset it, or "
            "search what is listed offline: featvis models --search TEXT"
        )
    if reason := unreachable():
        raise Unavailable(
            f"the hub cannot be asked for {what!r}: {reason}; search what is listed "
            "offline: featvis models --search TEXT"
        )
    answers: list[T] = []
    failures: list[Exception] = []

    def asking() -> None:
        try:
            answers.append(call())
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=asking, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if answers:
        return answers[0]
    if not failures:
        raise Unavailable(f"the hub did not answer {what!r} in {PATIENCE:g} s; try again later")
    error = failures[0]
    if isinstance(error, errors.GatedRepoError | errors.RepositoryNotFoundError):
        raise weights.not_there(what, what.partition(":")[2], None, error) from error
    code = getattr(getattr(error, "response", None), "status_code", None)
    said = "it is asked too often from here" if code == 429 else str(error).strip().split("\n")[0]
    raise Unavailable(f"the hub cannot be asked for {what!r}: {said}; try again later") from error


def configuration(
    repo: str, *, model: str, revision: str | None = None, progress: Progress | None = None
) -> Path:
    """config.json of a repository; where it is not on disk, the page comes with it, if there is."""
    if path := weights.cached(repo, ["config.json"], revision):
        return path
    path = weights.hub_file(
        repo, ["config.json"], model=model, revision=revision, progress=progress
    )
    commit = weights.commit(path) or revision
    for other in ("README.md", "preprocessor_config.json"):
        weights.hub_file_or_none(repo, other, model=model, revision=commit)
    return path


def licence_of(folder: Path) -> str:
    """What the page of a repository, README.md in its folder, states; "unknown" without one."""
    from huggingface_hub import metadata_load

    page = folder / "README.md"
    try:
        metadata = metadata_load(page) if 0 < page.stat().st_size < LONGEST else None
    except Exception:  # a page may hold anything
        return "unknown"
    table = metadata if isinstance(metadata, dict) else {}
    licence = table.get("license")
    named = table.get("license_name") if licence == "other" else None
    first = licence[0] if isinstance(licence, list) and licence else licence
    word = named or first
    return word[:80] if isinstance(word, str) else "unknown"
