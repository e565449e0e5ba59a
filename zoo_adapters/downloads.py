"""Downloads: the weights that were fetched and lie on disk, and room for others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

__all__ = ["make_room"]


class Download(NamedTuple):
    """One repository of the hub's cache, or one file of torch's."""

    used: float  # seconds since the epoch
    size: int  # bytes
    delete: Callable[[], object]


def make_room(most: float) -> int:
    """Delete the downloads used longest ago, until the rest has at most `most` bytes.

    The one used last stays, whatever its size. Returns the bytes that were deleted.
    """
    downloads = sorted([*_repositories(), *_checkpoints()], key=lambda one: one.used)
    total, deleted = sum(one.size for one in downloads), 0
    for one in downloads[:-1]:
        if total - deleted <= most:
            break
        with suppress(OSError):  # another process deleted it
            one.delete()
            deleted += one.size
    return deleted


def _repositories() -> list[Download]:
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        cache = scan_cache_dir(constants.HF_HUB_CACHE)
    except (CacheNotFound, OSError):
        return []
    downloads = []
    for repo in cache.repos:
        revisions = [revision.commit_hash for revision in repo.revisions]
        delete = cache.delete_revisions(*revisions).execute
        downloads.append(Download(repo.last_accessed, repo.size_on_disk, delete))
    return downloads


def _checkpoints() -> list[Download]:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    downloads = []
    for file in folder.glob("*") if folder.is_dir() else ():
        with suppress(OSError):
            info = file.stat()
            used = max(info.st_atime, info.st_mtime)
            downloads.append(Download(used, info.st_size, file.unlink))
    return downloads
