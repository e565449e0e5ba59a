"""Holding: a network that is somebody's own is put in eval mode, frozen, and given back as it was.

Around it may be wrappers that hide its modules, as `nn.DataParallel` and `torch.compile` do. They
are taken off while the network is held, also those of its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import MethodType
from typing import Any

from torch import Tensor, nn

__all__ = ["Call", "hold", "releasing", "unwrapped"]

# A network's own forward and pictures (B, 3, H, W) -> its raw output.
Call = Callable[[Callable[..., Any], Tensor], Any]
PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside `nn.DataParallel`, `torch.compile` and the like."""
    while (inner := _inner(module)) is not None:
        module = inner
    return module


def hold(module: nn.Module, call: Call | None = None) -> Callable[[], None]:
    """Put a network in eval mode and freeze it; the function that is returned gives it back."""
    undo = ExitStack()
    if call is not None:
        _run_by(module, call, undo)
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if (inner := unwrapped(child)) is not child:
                undo.callback(parent._modules.__setitem__, name, child)
                parent._modules[name] = inner
    for part in module.modules():
        if hasattr(part, "training"):  # a frozen script has no modes
            undo.callback(setattr, part, "training", part.training)
        if getattr(part, "_compiled_call_impl", None) is not None:  # by module.compile()
            undo.callback(setattr, part, "_compiled_call_impl", part._compiled_call_impl)
            part._compiled_call_impl = None
        _replace_inference_tensors(part, undo)
    for parameter in module.parameters():
        undo.callback(parameter.requires_grad_, parameter.requires_grad)
        parameter.requires_grad_(False)
    for part in module.modules():
        if hasattr(part, "training"):
            part.training = False
    return undo.close


def _run_by(module: nn.Module, call: Call, undo: ExitStack) -> None:
    """Let the module's forward be a call of the one that its class has."""
    own = type(module).forward

    def forward(self: nn.Module, pictures: Tensor) -> Any:
        return call(partial(own, self), pictures)

    undo.callback(vars(module).pop, "forward", None)
    module.forward = MethodType(forward, module)  # a copy of the module has it of its own


@contextmanager
def releasing(give_back: Callable[[], None]) -> Iterator[None]:
    """Give the network back if what is done within fails."""
    try:
        yield
    except BaseException:
        give_back()
        raise


def _inner(module: nn.Module) -> nn.Module | None:
    if isinstance(module, PARALLEL):
        inner: nn.Module = module.module
        return inner
    compiled: nn.Module | None = getattr(module, "_orig_mod", None)  # of what torch.compile returns
    return compiled


def _replace_inference_tensors(part: nn.Module, undo: ExitStack) -> None:
    """Put copies in place of weights that inference mode made: autograd cannot record those."""
    for name, weight in part._parameters.items():
        if weight is not None and weight.is_inference():
            undo.callback(part._parameters.__setitem__, name, weight)
            part._parameters[name] = nn.Parameter(weight.clone(), requires_grad=False)
    for name, buffer in part._buffers.items():
        if buffer is not None and buffer.is_inference():
            undo.callback(part._buffers.__setitem__, name, buffer)
            part._buffers[name] = buffer.clone()
