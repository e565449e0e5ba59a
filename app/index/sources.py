"""Sources of pictures: `scenes:`, `folder:PATH`, `hf:NAME`. A number per picture, a name for each.

A source gives its pictures by their numbers, in order, as a network takes them. A picture that
cannot be read is given without pixels, with the reason: it is skipped, never the end of a scan.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import PIL.Image

from featvis import VisionModel, WrongRequest
from zoo_adapters.pictures import upright

from .hub import hub
from .scenes import scenes
from .source import Shot, Source, ahead, shot_of

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")


def source_of(spec: str, count: int | None = None) -> Source:
    """The source of a name; `count`: only its first pictures."""
    kind, colon, rest = spec.partition(":")
    if colon and kind == "scenes":
        return scenes(rest, count)
    if colon and kind == "folder" and rest:
        return folder(rest, count)
    if colon and kind == "hf" and rest:
        return hub(rest, count)
    raise WrongRequest(
        f"there is no source {spec!r}; the sources are scenes: (drawn), folder:PATH (a tree of "
        "pictures, a class per folder) and hf:NAME (a data set of the hub)"
    )


@dataclass(frozen=True)
class Folder:
    """A tree of pictures; the class of each is the folder it lies in."""

    root: Path
    names: tuple[str, ...]  # relative, sorted
    classes: tuple[str, ...]
    listing: str  # a hash of the names and sizes of all files
    known: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def spec(self) -> str:
        """As it is named."""
        return f"folder:{self.root}"

    @cached_property
    def digest(self) -> str:
        """Of the names and all bytes, so that a copy has the same; the files are read for it."""
        whole = hashlib.sha256()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for one in ahead(pool, lambda name: _hash(self.root / name), self.names):
                whole.update(one)
        return f"{self.listing}-{whole.hexdigest()}"

    @property
    def count(self) -> int:
        """Number of files that may be pictures."""
        return len(self.names)

    def shots(self, model: VisionModel, numbers: range) -> Iterator[Shot]:
        """Read by as many threads as there are processors."""

        def shot(number: int) -> Shot:
            name = self.names[number]
            label = self.known.get(str(Path(name).parent.as_posix()), -1)
            return shot_of(number, name, label, self.root / name, model)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from ahead(pool, shot, (n for n in numbers if n < len(self.names)))

    def picture(self, name: str) -> PIL.Image.Image:
        """The file, upright."""
        return upright(self.root / name)

    def pictures(self, names: Sequence[str], size: int = 0) -> Iterator[PIL.Image.Image]:
        """The files, read by threads."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from ahead(pool, self.picture, names)


def folder(path: str, count: int | None = None) -> Folder:
    """The tree below a folder."""
    root = Path(path).expanduser().absolute()
    if not root.is_dir():
        raise WrongRequest(f"there is no folder {root}; give folder:PATH of a tree of pictures")
    files = sorted(
        (Path(top) / name).relative_to(root).as_posix()
        for top, _, names in os.walk(root)
        for name in names
        if name.lower().endswith(ENDINGS)
    )[:count]
    if not files:
        raise WrongRequest(f"{root} holds no picture ({', '.join(ENDINGS)}); give another folder")
    listing = hashlib.sha256()
    for name in files:
        listing.update(
            f"{name}\0{(root / name).stat().st_size}\n".encode("utf8", "surrogateescape")
        )
    classes = tuple(sorted({p for n in files if (p := Path(n).parent.as_posix()) != "."}))
    known = {name: i for i, name in enumerate(classes)}
    return Folder(root, tuple(files), classes, listing.hexdigest()[:16], known)


def _hash(file: Path) -> bytes:
    """Of a file's bytes; b"" where it cannot be read, as a scan skips it."""
    try:
        return hashlib.blake2b(file.read_bytes()).digest()
    except OSError:
        return b""


def same(source: Source, digest: str) -> bool:
    """Is a digest that of the same pictures? Of a folder names and sizes are compared only."""
    known = source.listing if isinstance(source, Folder) else source.digest
    return digest == known or digest.startswith(f"{known}-")
