"""The command line, derived from METHODS. Only serving imports Gradio.

Exit codes: 0 done, 1 failed, 2 a wrong request. An error is one line.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featvis import METHODS, Method, WrongRequest
from featvis.types import Attribution, FeatureMaps, Filters, Heatmap

from ..answers.animation import FRAMES, ending, moving, small
from ..files.cook import cook, differences
from ..machine.disk_store import write_whole
from ..machine.errors import log_requests
from ..question.code import python
from ..question.recipe import DRAWN, Call, Recipe
from ..question.tabs import DISPLAY
from ..web.ports import Unavailable, available
from ..web.signals import Stop, leave
from . import compare as cli_compare
from . import index, models, own_weights
from .files import animation_of, check_files, finish, finish_page, read
from .pictures import named
from .subject import FORMS, subject_of

SWITCHES = ("--random", "--box", "--help")  # options of `run` that take no value


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> Any:
        """One line, exit code 2."""
        self.exit(2, f"featvis: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    try:
        options = _parser().parse_args(_method_first(sys.argv[1:] if argv is None else argv))
        options.command(options)
    except SystemExit as end:  # of the parser: help, or what it cannot read
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _report(error)
    return 0


def _method_first(argv: Sequence[str]) -> list[str]:
    """The words of a command; those of `run` with its METHOD first, wherever among options it is.

    argparse gives what stands before a subcommand to the parser above it.
    """
    words = list(argv)
    if words[:1] != ["run"]:
        return words
    for at in range(1, len(words)):
        before = words[at - 1]
        is_value = before.startswith("--") and "=" not in before and before not in SWITCHES
        if words[at] in METHODS and not is_value:
            return ["run", words[at], *words[1:at], *words[at + 1 :]]
    return words


def _report(error: Exception) -> int:
    """Say in one line why a command failed; the exit code."""
    text = str(error).strip()
    if not isinstance(error, WrongRequest | Unavailable):
        first = text.partition("\n")[0] or "it gives no reason"
        text = f"failed, {type(error).__name__}: {first}"
    print(f"featvis: {text}", file=sys.stderr, flush=True)
    return 2 if isinstance(error, WrongRequest) else 1


def _parser() -> Parser:
    parser = Parser(prog="featvis", description="Shows what a vision network has learned.")
    parser.set_defaults(command=serve, host="127.0.0.1", port=None, open=False)
    parser.set_defaults(root_path="", mcp=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add = commands.add_parser("serve", help="open the window (the default)")
    add.add_argument("--host", default="127.0.0.1", help="address to listen on")
    add.add_argument("--port", type=int, help="port (7860, or the next free one; 0: any)")
    add.add_argument("--root-path", default="", metavar="PATH",
                     help="where a proxy shows it, as /featvis")  # fmt: skip
    add.add_argument("--open", action="store_true", help="open it in the browser")
    add.add_argument("--mcp", action="store_true", help="offer the API to agents, too (MCP; it "
                     "needs gradio[mcp])")  # fmt: skip
    add.set_defaults(command=serve)
    models.add(commands)
    add = commands.add_parser("show", help="what a model is, its layers, and what works on it")
    add.add_argument("model", metavar="MODEL")
    add.add_argument("--random", action="store_true", help="random weights: nothing is downloaded")
    own_weights.add(add)
    add.set_defaults(command=show)
    cli_compare.add(commands).set_defaults(command=compare)
    add = commands.add_parser("recipe", help="print what a picture was made of")
    add.add_argument("file", metavar="FILE", help="a PNG that featvis made, or a recipe's JSON")
    add.add_argument("--python", action="store_true", help="as Python code that makes the arrays")
    add.set_defaults(command=recipe)
    add = commands.add_parser("run", help="run a method, or a recipe, and write its picture")
    add.add_argument("--recipe", metavar="FILE", help="without METHOD: make what this JSON or PNG "
                     "says again")  # fmt: skip
    add.add_argument("--image", metavar="FILE", help="the recipe's picture, where it is not here "
                     "under its name")  # fmt: skip
    own_weights.add(add)
    _add_files(add)
    add.set_defaults(command=again)
    methods = add.add_subparsers(title="methods", metavar="METHOD")
    for method in METHODS.values():
        _add_method(
            methods.add_parser(method.name, help=method.help, description=method.help), method
        )
    index.add(commands)
    return parser


def _add_method(parser: argparse.ArgumentParser, method: Method) -> None:
    parser.add_argument("--model", required=True, metavar="ZOO:NAME")
    parser.add_argument("--random", action="store_true", help="random weights instead of trained")
    own_weights.add(parser)
    parser.add_argument("--image", required="image" in method.subject, metavar="FILE",
                        help="a picture, or scene-17 for a drawn one"
                        if "image" in method.subject else argparse.SUPPRESS)  # fmt: skip
    for name in method.subject:
        if name in FORMS:
            parser.add_argument(f"--{name}", required=name not in method.optional, **FORMS[name])
    if "target" in method.subject:
        parser.add_argument("--against", metavar="CLASS", help="explain CLASS rather than this one")
        parser.add_argument("--like", metavar="FILE", help="of a network without classes: explain "
                            "its likeness to this picture")  # fmt: skip
    for param in method.params:
        possible = ", ".join(param.choices) or (param.range and "{:g} to {:g}".format(*param.range))
        words = "; ".join(filter(None, (param.help, possible, f"default {param.default}")))
        parser.add_argument(f"--{param.name.replace('_', '-')}", dest=f"p.{param.name}",
                            metavar=param.type.__name__.upper(), help=words)  # fmt: skip
    if issubclass(method.result, Heatmap | Attribution):
        parser.add_argument("--box", action="store_true", help="draw and print the box round the "
                            "strongest evidence, over 20 %% of the maximum")  # fmt: skip
    if issubclass(method.result, Filters | FeatureMaps):
        parser.add_argument(
            "--scale", metavar="SCALE", help=f"{DISPLAY['scale'].help}: shared, own"
        )
    parser.add_argument("--recipe", metavar="JSON", dest="save_recipe", help="recipe to write")
    _add_files(parser)
    if method.generator:
        parser.add_argument("--animation", metavar="GIF", help="how the picture came about, to "
                            "write as a moving .gif or .webp")  # fmt: skip
    parser.set_defaults(command=run, method=method)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="PNG", help="picture to write; it carries its recipe")
    parser.add_argument("--npz", metavar="NPZ", help="arrays to write")


def serve(options: argparse.Namespace) -> None:
    """Open the window and stay until a signal ends it."""
    port = available(options.host, options.port)  # before anything is loaded
    stop = Stop()
    stop.install()
    print("featvis: starting ...", flush=True)
    from ..web.serve import launch  # and Gradio, which takes seconds

    log_requests()
    try:
        blocks, url = launch(
            self_test=True,
            server_name=options.host,
            server_port=port,
            root_path=options.root_path,
            inbrowser=options.open,
            mcp_server=options.mcp,
        )
    except WrongRequest:
        raise
    except Exception as error:  # threads compute by now, which the interpreter would abort
        leave(_report(error))
    print(f"featvis: {url}  (Ctrl+C ends it)", flush=True)
    if options.mcp:
        print(f"featvis: {url.rstrip('/')}/gradio_api/mcp/ for agents", flush=True)
    stop.wait(blocks)


def show(options: argparse.Namespace) -> None:
    """Facts, layers and methods of a model."""
    model = own_weights.load(options.model, options, pretrained=not options.random)
    h, w = model.size
    print(f"{model.name}: {model.parameters / 1e6:.2f} M parameters, input {h}x{w}, "
          f"{len(model.labels)} labels")  # fmt: skip
    for name, value in model.info.items():
        print(f"  {name}: {value}")
    print(f"  head: {model.head.kind if model.head else 'none'}; {model.head_reason}")
    if model.output.meaning:
        print(f"  output: {model.output.meaning}")
    print("methods")
    for method in METHODS.values():
        reason = method.missing(model)
        print(f"  {method.name:16} {'no: ' + reason if reason else method.help}")
    print(f"layers ({len(model.layers)})")
    for layer in model.layers.values():
        print(f"  {layer}  {layer.kind}")


def run(options: argparse.Namespace) -> None:
    """Run a method; write what was asked for."""
    method: Method = options.method
    check_files(options)
    given = {k[2:]: v for k, v in vars(options).items() if k.startswith("p.") and v is not None}
    params = method.check(given)
    if getattr(options, "animation", None) and not params["frames"]:
        params["frames"] = FRAMES
    original = named(options.image) if options.image else None
    model = own_weights.load(options.model, options, pretrained=not options.random)
    if reason := method.missing(model):
        raise WrongRequest(reason)
    call = Call(method.name, subject_of(method, model, options), params)
    display = {n: DISPLAY[n].check(v) for n in DRAWN if (v := getattr(options, n, None))}
    image = Path(options.image).name if options.image else None
    recipe = Recipe(options.model, image, (call,), not options.random, display)
    frames: list[Any] = []
    seen = (lambda step: frames.append(small(step))) if animation_of(options) else None
    cooked = cook(recipe, model, original, seen, named)
    if animation := animation_of(options):
        write_whole(Path(animation), moving(frames, ending(animation)))
    finish(cooked, options)


def again(options: argparse.Namespace) -> None:
    """Make what a recipe says, and say what is not as it was."""
    if not options.recipe:
        raise WrongRequest("name a method, as in `featvis run cam`, or give --recipe FILE")
    recipe = read(options.recipe)
    check_files(options)
    if recipe.page:
        finish_page(recipe, options)
        return
    name = options.image or recipe.image
    original = named(name) if name else None
    model = own_weights.load(recipe.model, options, pretrained=recipe.pretrained)
    cooked = cook(recipe, model, original, picture=named)
    for difference in differences(recipe, cooked.recipe.facts):
        print(f"note: {difference}")
    finish(cooked, options)


def compare(options: argparse.Namespace) -> None:
    """Ask several networks the same."""
    check_files(options)
    for path, data in cli_compare.sheet(options).items():
        write_whole(Path(path), data)


def recipe(options: argparse.Namespace) -> None:
    """Print what a picture was made of."""
    found = read(options.file)
    if options.python:
        model = own_weights.load(found.model, options, pretrained=found.pretrained)
        print(python(found, model), end="")
    else:
        print(found.to_json())
