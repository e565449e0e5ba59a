"""Ray: pieces of work, the shards of a build among them, computed by the workers of a cluster.

A shard goes to whoever is free; a worker that dies is replaced, and its shard done again. Every
shard is computed from nothing and merged in the order of arrival, which makes no difference: the
index has the same bytes as that of one process, at the same number of threads on alike processors.
The workers load the network by its name and read the source by its own, so both must be there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import torch

import zoo_adapters
from featvis import VisionModel, WrongRequest
from featvis.probe import Probe, probe

from . import store
from .build import Shards, shard_of
from .plan import Plan, Shard
from .scenes import Scenes
from .source import Source
from .sources import same, source_of
from .state import packed, unpacked

AHEAD = 2  # pieces per processor that are handed out at a time
Load = Callable[[], VisionModel]


def on_ray(
    address: str | None = None,
    *,
    pretrained: bool = True,
    count: int | None = None,
    load: Load | None = None,
    workers: int | None = None,
) -> Shards:
    """Who computes the shards of a plan: a running cluster, or one begun on this machine.

    `load` gives the network where its name is of no zoo; `workers` of a cluster begun here.
    """
    _ray()

    def shards(plan: Plan, todo: Sequence[int]) -> Iterator[tuple[int, Probe, Shard]]:
        if plan.shards is None:
            raise WrongRequest(
                f"{plan.source} has no known number of pictures, so it cannot be shared out; "
                "give --count N"
            )
        how = load or partial(zoo_adapters.load, plan.model, pretrained=pretrained)
        threads = torch.get_num_threads()
        calls = [(plan, number, how, count, threads) for number in todo]
        for number, tensors, rest, given in spread(_computed, calls, address, workers=workers):
            yield number, unpacked(_copied(tensors), rest, "cpu"), given

    return shards


def spread(
    work: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    address: str | None = None,
    *,
    workers: int | None = None,
    together: int = 0,
    lost: Callable[..., Any] | None = None,
) -> Iterator[Any]:
    """`work(*call)` of every call, in the order of arrival, by a cluster that runs or is begun.

    A worker is replaced after `together` calls, if that is not 0. A call whose worker dies is made
    again, or, where there is `lost`, once more only: then `lost(*call)` stands for it.
    """
    ray = _ray()
    begun = not ray.is_initialized()
    if begun:
        _begin(ray, address, workers)
    try:
        how = {"max_retries": 1 if lost else -1, "num_cpus": 1, "max_calls": together}
        yield from _handed_out(ray, ray.remote(**how)(work), list(calls), lost)
    finally:
        if begun:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise WrongRequest(
            "--engine ray needs the package ray, which is not installed; install it with: "
            "pip install 'featvis[scale]'"
        ) from error
    return ray


def _begin(ray: Any, address: str | None, workers: int | None) -> None:
    with warnings.catch_warnings():  # of Ray, about itself
        warnings.simplefilter("ignore")
        if address:
            ray.init(address=address, log_to_driver=False)
        else:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)


def _handed_out(
    ray: Any, remote: Any, left: list[tuple[Any, ...]], lost: Callable[..., Any] | None
) -> Iterator[Any]:
    room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting: dict[Any, tuple[Any, ...]] = {}
    while left or waiting:
        while left and len(waiting) < room:
            call = left.pop(0)
            waiting[remote.remote(*call)] = call
        (ready,), _ = ray.wait([*waiting], num_returns=1)
        call = waiting.pop(ready)
        try:
            yield ray.get(ready)
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
            if lost is None:
                raise
            yield lost(*call)


def _copied(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What lies in Ray's store can only be read; a tally is added to."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _computed(plan: Plan, number: int, load: Load, count: int | None, threads: int) -> Any:
    """One shard, from nothing."""
    torch.set_num_threads(threads)
    model, source = _ready(plan, load, count)
    into = probe(model, plan.layers, k=plan.k, classes=len(source.classes))
    given = shard_of(plan, model, source, number, into)
    return (number, *packed(into), given)


READY: dict[str, tuple[VisionModel, Source]] = {}  # of a worker


def _ready(plan: Plan, load: Load, count: int | None) -> tuple[VisionModel, Source]:
    if plan.key not in READY:
        model, source = load(), _source(plan.source, count)
        if store.weights(model) != plan.weights or not same(source, plan.digest):
            raise WrongRequest(
                f"a worker has other weights of {plan.model} or other pictures of {plan.source} "
                "than the machine that asks; give all machines the same"
            )
        READY.clear()
        READY[plan.key] = model, source
    return READY[plan.key]


@lru_cache(maxsize=1)
def _source(spec: str, count: int | None) -> Source:
    source = source_of(spec, count)
    return Scenes(source.count, workers=1) if isinstance(source, Scenes) else source
