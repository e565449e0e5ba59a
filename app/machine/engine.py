"""Engine: where a method is computed: in this process, or by an entry that a Space declares.

On ZeroGPU one decorated function may use the GPU, in a process of its own. It is given names and
arrays, loads the network there, and gives back results on the CPU; the weights are on disk by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

import zoo_adapters
from featvis import METHODS, Method, VisionModel
from featvis.types import Result

from .cache import Kept

Entry = Callable[[str, str, dict[str, Any]], Iterator[Result]]
LONG = 1.0  # seconds; what takes less is computed here, as a GPU is waited for
LOADED = Kept(2)  # networks in the process of the GPU
_entry: list[Entry] = []


def use(entry: Entry) -> None:
    """Let `entry` compute what takes long."""
    _entry[:] = [entry]


def results(
    method: Method, model: VisionModel, arguments: Mapping[str, Any], seconds: float
) -> Iterator[Result]:
    """What a method gives: one result, or those on the way to the last one."""
    if _entry and seconds > LONG:
        yield from _entry[0](model.name, method.name, _moved(dict(arguments), "cpu"))
    else:
        yield from _run(method, model, arguments)


def compute(name: str, method: str, arguments: dict[str, Any]) -> Iterator[Result]:
    """The same in another process, on its GPU if it has one; in and out go names and CPU data."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = LOADED.get_or((name, device), lambda: _loaded(name, device))
    for result in _run(METHODS[method], model, _moved(arguments, device)):
        yield _moved(result, "cpu")


def _run(method: Method, model: VisionModel, arguments: Mapping[str, Any]) -> Iterator[Result]:
    made = method.run(model, **arguments)
    yield from made if method.generator else (made,)


def _loaded(name: str, device: str) -> VisionModel:
    model = zoo_adapters.load(name)
    model.module.to(device)
    return model


def _moved(value: Any, device: str) -> Any:
    """The same with all its tensors on a device."""
    if isinstance(value, Tensor):
        return value.detach().to(device)
    if isinstance(value, dict):
        return {key: _moved(one, device) for key, one in value.items()}
    if isinstance(value, tuple):
        parts = [_moved(one, device) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if is_dataclass(value) and not isinstance(value, type):
        made = object.__new__(type(value))  # of a frozen record, its checks done before
        for field in fields(value):
            object.__setattr__(made, field.name, _moved(getattr(value, field.name), device))
        return made
    return value
