"""The zoos: built-in ones by name, those of plug-ins by entry point; and what a name means.

An adapter is a module with two functions, `names()` and `load(name, *, pretrained, progress)`;
names are those within its zoo, the records it gives carry the full one, "zoo:name". It may add
`describe(name) -> Facts` and `families() -> dict`. A package offers one like this:

    [project.entry-points."zoo_adapters"]
    myzoo = "my_package.adapter"
"""

from __future__ import annotations

import difflib
import importlib
import re
import warnings
from collections.abc import Collection
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import NamedTuple, NoReturn

from featvis.model import WrongRequest, brief

__all__ = [
    "Zoo",
    "adapter",
    "elsewhere",
    "is_listed",
    "plugins",
    "repository",
    "split",
    "unknown",
    "zoos",
]


class Zoo(NamedTuple):
    """A library of networks."""

    name: str  # before the colon: "timm"
    title: str
    help: str
    pip: str  # what to install for it


BUILTIN = {
    Zoo(
        "bundled",
        "Bundled",
        "Small networks that come with featvis: they need no download",
        "timm",
    ): "zoo_adapters.bundled.zoo",
    Zoo(
        "timm",
        "timm",
        "PyTorch Image Models: nearly every architecture, hub repositories and local folders",
        "timm",
    ): "zoo_adapters.timm",
    Zoo(
        "torchvision",
        "torchvision",
        "The classifiers of torchvision, and the backbones of its detectors and segmenters",
        "torchvision",
    ): "zoo_adapters.torchvision",
    Zoo(
        "transformers",
        "transformers",
        "Image classifiers and vision towers of the hub: CLIP, SigLIP, DINOv2, Swin, Hiera",
        "transformers",
    ): "zoo_adapters.transformers",
}


WEIGHTS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")  # how files of weights end
LONGEST = 1000  # characters of a name, which may be the path of a folder
# One on the hub, and a branch, tag or commit: no path leads out of the folder that is named so.
ORGANIZED = re.compile(r"\w(?:[\w.-]{0,94}\w)?/\w(?:[\w.-]{0,94}\w)?", re.ASCII)
REVISION = re.compile(r"\w(?:[\w./-]{0,198}\w)?", re.ASCII)
OUTWARD = re.compile(r"\.\.|--|//")
# A repository as it is written outside of here: by its page's address, or as timm names it.
REPOSITORY = re.compile(
    r"(?P<page>(?:https?://)?(?:www\.)?huggingface\.co/)?(?P<timm>hf[-_]hub:)?"
    r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>\S+)|/(?:tree|blob)/(?P<branch>[^/\s]+)\S*)?/?"
)


def zoos() -> tuple[Zoo, ...]:
    """All zoos: the built-in ones, then those of plug-ins."""
    return (*BUILTIN, *(zoo for zoo, _ in plugins().values()))


def adapter(name: str) -> ModuleType:
    """The adapter of a zoo, imported now; a missing library is refused with its pip line."""
    if isinstance(name, str):
        for zoo, path in BUILTIN.items():
            if zoo.name == name:
                return _imported(zoo, path)
        if name in plugins():
            return plugins()[name][1]
    known = ", ".join(zoo.name for zoo in zoos())
    raise WrongRequest(f"there is no zoo {brief(name)}; the zoos are {known}")


def _imported(zoo: Zoo, path: str) -> ModuleType:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("zoo_adapters"):
            raise
        raise WrongRequest(
            f"the zoo {zoo.name} needs the package {error.name}, which is not installed; "
            f"install it with: pip install {zoo.pip}"
        ) from error


@lru_cache(maxsize=1)
def plugins() -> dict[str, tuple[Zoo, ModuleType]]:
    """The zoos that installed packages offer; a broken one is a warning, not an end."""
    found: dict[str, tuple[Zoo, ModuleType]] = {}
    taken = {zoo.name for zoo in BUILTIN}
    for point in entry_points(group="zoo_adapters"):
        try:
            if point.name in taken:
                raise ValueError(f"there is a zoo {point.name!r} already")
            found[point.name] = _plugin(point)
            taken.add(point.name)
        except Exception as error:  # a plug-in may fail in any way
            warnings.warn(
                f"the zoo {point.name!r} of {point.value!r} is left out: {error}", stacklevel=2
            )
    return found


def _plugin(point: EntryPoint) -> tuple[Zoo, ModuleType]:
    module: ModuleType = point.load()
    missing = [f"{need}()" for need in ("names", "load") if not callable(getattr(module, need, 0))]
    if missing:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    first = (module.__doc__ or "").strip().partition("\n")[0]
    package = point.dist.name if point.dist else point.module.partition(".")[0]
    return Zoo(point.name, point.name, first or f"From the package {package}", package), module


def split(name: str) -> tuple[str, str]:
    """Zoo and name within it; a name without a zoo is refused with the corrected spellings."""
    if not isinstance(name, str):
        raise WrongRequest(f"a network is named as in timm:resnet50, not {brief(name)}")
    if len(name) > LONGEST or not name.isprintable():
        raise WrongRequest(
            f"{brief(name)} names no model: a name is a line of at most {LONGEST:,} characters"
        )
    zoo, colon, rest = name.partition(":")
    known_zoo = colon and zoo in {known.name for known in zoos()}
    if name.endswith(WEIGHTS) and (not known_zoo or rest.startswith("local-dir:")):
        raise WrongRequest(
            f"{name!r} is a file of weights, which does not say its architecture; name that, and "
            "give the file as its checkpoint: --model timm:resnet50 --checkpoint FILE, or "
            "zoo_adapters.load('timm:resnet50', checkpoint=FILE)"
        )
    if known_zoo and rest:
        return zoo, rest
    if zoo == "local-dir" and rest:
        raise WrongRequest(f"{name!r} names no zoo; write timm:{name}")
    elsewhere(name)
    if known_zoo:
        raise WrongRequest(f"{name!r} names no model; see them with: featvis models {zoo}")
    if colon:
        known = ", ".join(f"{zoo.name}:" for zoo in zoos())
        raise WrongRequest(f"{name!r} begins with no known zoo; names begin with {known}")
    raise WrongRequest(
        f"{name!r} names no zoo; write {_spellings(name)}; a folder is timm:local-dir:FOLDER"
    )


def is_listed(name: str) -> bool:
    """Is it in the list of its zoo, with or without the tag of its weights? Nothing is opened."""
    zoo, rest = split(name)
    known = adapter(zoo).names()
    return rest in known or ("/" not in rest and any(k.partition(".")[0] == rest for k in known))


def repository(text: str, name: str) -> tuple[str, str | None]:
    """Repository and revision of "organization/name[@revision]"; a path is none."""
    repo, _, revision = text.partition("@")
    if not ORGANIZED.fullmatch(repo) or OUTWARD.search(repo):
        raise WrongRequest(
            f"{name}: a repository is named organization/name, a folder local-dir:PATH; write it so"
        )
    if revision and (not REVISION.fullmatch(revision) or OUTWARD.search(revision)):
        raise WrongRequest(f"{name}: after the @ stands a branch, a tag or a commit")
    return repo, revision or None


def elsewhere(name: str) -> None:
    """Refuse a repository or folder as other libraries and the hub's pages write it."""
    found = REPOSITORY.fullmatch(name.strip())
    if found is None:
        if "/" in name and ":" not in name:
            raise WrongRequest(
                f"{name!r} names no model; write timm:local-dir:{name} for a folder, or "
                "timm:hf-hub:organization/name for a repository of the hub"
            )
        return
    repo, revision = found["name"], found["revision"] or found["branch"]
    repo += f"@{revision}" if revision and revision != "main" else ""
    if found["timm"] or repo.startswith("timm/"):
        raise WrongRequest(f"{name!r} is a repository of the hub; write timm:hf-hub:{repo}")
    folder = "" if found["page"] else f", or timm:local-dir:{name} for a folder"
    raise WrongRequest(
        f"{name!r} is a repository of the hub; write timm:hf-hub:{repo} or transformers:{repo}, "
        f"whichever library its page names{folder}"
    )


def _spellings(name: str) -> str:
    """The full names that a name without its zoo may have meant."""
    exact: list[str] = []
    near: list[str] = []
    for zoo in zoos():
        try:
            known = adapter(zoo.name).names()
        except WrongRequest:  # not installed
            continue
        if name in known or any(k.partition(".")[0] == name for k in known):
            exact.append(f"{zoo.name}:{name}")
        near.extend(f"{zoo.name}:{k}" for k in difflib.get_close_matches(name, known, n=1))
    return " or ".join(exact or near) or "a zoo and a colon before it, as in timm:resnet50"


def unknown(zoo: str, name: str, known: Collection[str]) -> NoReturn:
    """Refuse a name that a zoo does not have, with the nearest ones."""
    stem = name.partition(".")[0]
    stems = {k.partition(".")[0] for k in known}
    near = [k for k in known if k.partition(".")[0] == stem]  # only the weights are unknown
    near = near or difflib.get_close_matches(stem, stems, n=3)
    near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)[:3]
    raise WrongRequest(
        f"{zoo} has no model {name!r}; the nearest are "
        f"{', '.join(f'{zoo}:{n}' for n in near[:6])}. "
        f"See all {len(known)} with: featvis models {zoo}"
    )
