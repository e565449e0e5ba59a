"""Autograd modes: a method computes the same in whatever mode it is called.

Evaluation loops run within `torch.no_grad()`, `torch.inference_mode()` or autocast. A method that
takes gradients there would find none, or other numbers; it therefore brings a mode of its own, and
the caller's is as before whenever the caller has the turn again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import is_dataclass, replace
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

__all__ = ["differentiable", "in_own_mode", "own_mode"]

F = TypeVar("F", bound=Callable[..., Any])
AUTOCAST = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def own_mode() -> Iterator[None]:
    """Within: gradients are recorded, and every number keeps its precision."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        for device in AUTOCAST:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


def in_own_mode(run: F) -> F:
    """Decorate a function so that it runs in `own_mode`; a generator does so step by step."""

    @wraps(run)
    def call(*args: Any, **kwargs: Any) -> Any:
        with own_mode():
            args, kwargs = _differentiable(args), _differentiable(kwargs)
            return run(*args, **kwargs)

    @wraps(run)
    def iterate(*args: Any, **kwargs: Any) -> Any:
        with own_mode():
            args, kwargs = _differentiable(args), _differentiable(kwargs)
            steps = run(*args, **kwargs)
        try:
            while True:
                with own_mode():
                    try:
                        step = next(steps)
                    except StopIteration as end:
                        return end.value
                yield step
        finally:
            steps.close()

    return cast("F", iterate if inspect.isgeneratorfunction(run) else call)


def differentiable(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of one that inference mode made and autograd cannot record."""
    return tensor.clone() if tensor.is_inference() else tensor


def _differentiable(value: Any) -> Any:
    """The same arguments, with copies of the tensors in them that inference mode made."""
    if isinstance(value, Tensor):
        return differentiable(value)
    if isinstance(value, dict):
        return {key: _differentiable(part) for key, part in value.items()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_differentiable(part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        tensors = {n: v for n, v in vars(value).items() if isinstance(v, Tensor)}
        changed = {n: v.clone() for n, v in tensors.items() if v.is_inference()}
        return replace(value, **changed) if changed else value
    return value
