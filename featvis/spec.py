"""A method is declared once: its signature is its form, its docstring its help.

Positional arguments are the subject, from the closed vocabulary SUBJECT; keyword-only ones are the
parameters, `Annotated[type, Range(...) or Literal, "help"] = default`. The window, the command
line, the endpoints, the README and the tests are derived from METHODS.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from numbers import Integral, Real
from types import MappingProxyType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from featvis.autograd import in_own_mode
from featvis.model import VisionModel, WrongRequest, brief
from featvis.request import Request, read_request

__all__ = ["METHODS", "SUBJECT", "Method", "Param", "Range", "Tuning", "method"]

SUBJECT = ("model", "image", "target", "layer", "channel", "position")
LONGEST = 300  # characters of a parameter that is text
METHODS: dict[str, Method] = {}

F = TypeVar("F", bound=Callable[..., Any])
Cost = Callable[[VisionModel, Mapping[str, Any]], float]


class Range(NamedTuple):
    """Bounds of a number, both included."""

    low: float
    high: float


class Tuning(NamedTuple):
    """Help of a parameter that the window has no place for; the command line and Python do."""

    help: str


@dataclass(frozen=True)
class Param:
    """A keyword-only argument of a method: what can be tuned."""

    name: str
    type: type  # bool, int, float or str
    default: bool | int | float | str
    help: str
    range: Range | None = None
    choices: tuple[str, ...] = ()
    tuning: bool = False  # not in the window: it changes how, or which of the random numbers

    def check(self, value: Any) -> bool | int | float | str:
        """`value` (also as text) in this parameter's type; a wrong one is refused in a sentence."""
        try:
            read = READINGS[self.type](value)
        except (TypeError, ValueError, OverflowError):
            raise WrongRequest(self._refusal(value)) from None
        if self.choices and read not in self.choices:
            raise WrongRequest(self._refusal(value))
        if self.range and not self.range.low <= read <= self.range.high:
            raise WrongRequest(self._refusal(value))
        return read

    def _refusal(self, value: Any) -> str:
        possible = {bool: "true or false", int: "a whole number", float: "a number"}.get(
            self.type, f"text of at most {LONGEST} characters"
        )
        if self.choices:
            possible = "one of " + ", ".join(self.choices)
        elif self.range:
            possible += f" from {self.range.low:g} to {self.range.high:g}"
        return f"{self.name} is {possible}, not {brief(value)}"


@dataclass(frozen=True)
class Method:
    """What the rest of the project knows of a method."""

    name: str
    title: str
    family: str
    paper: str
    run: Callable[..., Any]
    help: str  # first line of the docstring
    explanation: str  # its body: formula, how to read it, what not to conclude
    subject: tuple[str, ...]  # arguments from SUBJECT, in order
    optional: tuple[str, ...]  # those of them that may be left out
    params: tuple[Param, ...]
    requires: tuple[str, ...]  # fields of VisionModel that must not be None
    result: type
    generator: bool
    first: bool  # shown until others are chosen
    cost: Cost  # forward passes, of the model and all arguments; a backward pass counts as two

    def missing(self, model: VisionModel) -> str | None:
        """Why this method cannot be used on `model`, in one sentence, or None."""
        for need in self.requires:
            if getattr(model, need) is None:
                return f"{self.title} cannot be shown for {model.name}: " + str(
                    getattr(model, f"{need}_reason")
                )
        return None

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with their values: given ones checked, the others at their defaults."""
        known = {param.name: param for param in self.params}
        for name in params:
            if name not in known:
                possible = ", ".join(known) or "none"
                raise WrongRequest(
                    f"{self.name} has no parameter {brief(name)}; it has: {possible}"
                )
        return {n: p.check(params[n]) if n in params else p.default for n, p in known.items()}


def method(
    title: str,
    *,
    family: str,
    paper: str = "",
    requires: tuple[str, ...] = (),
    cost: float | Cost = 1,
    first: bool = False,
) -> Callable[[F], F]:
    """Declare a plain function as a method, listed in METHODS, which runs in `own_mode`.

    `cost`: the forward passes it takes, a backward pass counted as two; or how they are found.
    `first`: it is among those that the window shows until others are chosen.
    """
    passes: Cost = cost if callable(cost) else lambda model, arguments: float(cost)

    def declare(run: F) -> F:
        record = _method(run, title, family, paper, requires, passes, first)
        own = in_own_mode(_reading(run, record.params))
        METHODS[record.name] = replace(record, run=own)
        return own

    return declare


def _reading(run: F, declared: Sequence[Param]) -> F:
    """The method with its arguments read and its parameters checked first."""
    signature = inspect.signature(run)
    params = {param.name: param for param in declared}

    def read(args: Any, kwargs: Any) -> Request:
        request = read_request(signature, args, kwargs)
        for name, value in request.arguments.items():
            if name in params:
                request.arguments[name] = params[name].check(value)
        return request

    def noted(result: Any, request: Request) -> Any:
        rgb = request.arguments["model"].rgb
        if not request.notes and rgb == result.bands:
            return result
        return replace(result, notes=(*request.notes, *result.notes), bands=rgb)

    @wraps(run)
    def call(*args: Any, **kwargs: Any) -> Any:
        request = read(args, kwargs)
        return noted(run(**request.arguments), request)

    @wraps(run)
    def iterate(*args: Any, **kwargs: Any) -> Any:
        request = read(args, kwargs)
        for step in run(**request.arguments):
            yield noted(step, request)

    return cast("F", iterate if inspect.isgeneratorfunction(run) else call)


def _method(
    run: Callable[..., Any],
    title: str,
    family: str,
    paper: str,
    requires: tuple[str, ...],
    cost: Cost,
    first: bool,
) -> Method:
    signature, hints = inspect.signature(run), get_type_hints(run, include_extras=True)
    subject, params = [], []
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(f"{run.__name__}: no *args or **kwargs, the signature is the form")
        if parameter.kind is parameter.KEYWORD_ONLY:
            params.append(_param(name, hints[name], parameter.default))
        elif name in SUBJECT:
            subject.append(parameter)
        else:
            raise ValueError(f"{run.__name__}: {name!r} is not a subject; those are {SUBJECT}")
    help_, _, explanation = inspect.cleandoc(run.__doc__ or "").partition("\n")
    returns = hints["return"]
    generator = inspect.isgeneratorfunction(run)
    return Method(
        name=run.__name__,
        title=title,
        family=family,
        paper=paper,
        run=run,
        help=help_,
        explanation=explanation.strip(),
        subject=tuple(p.name for p in subject),
        optional=tuple(p.name for p in subject if p.default is not inspect.Parameter.empty),
        params=tuple(params),
        requires=requires,
        result=get_args(returns)[0] if generator else returns,
        generator=generator,
        first=first,
        cost=cost,
    )


def _param(name: str, hint: Any, default: Any) -> Param:
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    told = next((note for note in notes if isinstance(note, str | Tuning)), "")
    help_, tuning = (told.help, True) if isinstance(told, Tuning) else (told, False)
    bounds = next((note for note in notes if isinstance(note, Range)), None)
    if get_origin(kind) is Literal:
        return Param(name, str, default, help_, None, get_args(kind), tuning)
    if kind not in (bool, int, float, str):
        raise ValueError(f"parameter {name}: {kind} has no form; use bool, int, float, Literal")
    return Param(name, kind, default, help_, bounds, tuning=tuning)


def _truth(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    text = "" if not isinstance(value, str | Integral) else str(value).lower()
    if text not in words:
        raise ValueError
    return words[text]


def _whole(value: Any) -> int:
    """2.0 is a whole number, as pages send it; 2.5 is none, and true is no number."""
    number = int(value) if isinstance(value, str) else _number(value)
    if number != int(number):
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if not isinstance(value, str | Real) or isinstance(value, bool):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise ValueError
    return value


READINGS: Mapping[type, Callable[[Any], Any]] = MappingProxyType(
    {bool: _truth, int: _whole, float: _number, str: _text}
)
