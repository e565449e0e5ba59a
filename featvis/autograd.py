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
from threading import Lock
from typing import Any, TypeVar, cast

import torch
import torch.utils.checkpoint
from torch import Tensor

from featvis.types import WrongRequest

__all__ = ["differentiable", "gradient_at", "in_own_mode", "no_gradient", "own_mode"]

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
        stack.enter_context(_direct_checkpoints())
        yield


class _Direct:
    """Stands in for reentrant checkpoints: the block runs as if there were none."""

    @staticmethod
    def apply(run: Callable[..., Any], _: bool, *args: Any) -> Any:
        return run(*args)


class _Stand:
    """How many threads need the stand-in at the moment, and what it stands in for."""

    lock = Lock()
    users = 0
    original = torch.utils.checkpoint.CheckpointFunction


@contextmanager
def _direct_checkpoints() -> Iterator[None]:
    """Within: reentrant checkpoints keep what they compute; `torch.autograd.grad` refuses them.

    Another thread that trains meanwhile gets the same gradients, and needs more memory.
    """
    with _Stand.lock:
        _Stand.users += 1
        torch.utils.checkpoint.CheckpointFunction = _Direct  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        with _Stand.lock:
            _Stand.users -= 1
            if not _Stand.users:
                torch.utils.checkpoint.CheckpointFunction = _Stand.original  # type: ignore[misc]


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


def gradient_at(score: Tensor, leaf: Tensor, *, retain_graph: bool = False) -> Tensor:
    """The gradient of the sum of a score at a leaf; without a way back to it a WrongRequest."""
    if score.requires_grad:
        slopes = torch.autograd.grad(
            score.sum(), leaf, retain_graph=retain_graph, allow_unused=True
        )
        if slopes[0] is not None:
            return slopes[0]
    raise no_gradient()


def no_gradient() -> WrongRequest:
    """That the network cannot be differentiated, and what can be done."""
    return WrongRequest(
        "no gradient reaches the picture: the network has operations that cannot be "
        "differentiated, as quantized ones; methods that only run it forward work, such as "
        "occlusion and feature maps"
    )
