"""The command line: serve, models, show, run. Derived from METHODS; Gradio is imported to serve only.

Exit codes: 0 done, 1 failed, 2 a wrong request. An error is one line.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import featvis
import zoo_adapters
from featvis import METHODS, Method, VisionModel, WrongRequest

__all__ = ["main"]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> Any:
        """One line, exit code 2."""
        self.exit(2, f"featvis: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    options = _parser().parse_args(argv)
    try:
        options.command(options)
    except WrongRequest as error:
        print(f"featvis: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        print(f"featvis: {type(error).__name__}: {first}", file=sys.stderr)
        return 1
    return 0


def _parser() -> Parser:
    parser = Parser(prog="featvis", description="Shows what a vision network has learned.")
    parser.set_defaults(command=serve, host="127.0.0.1", port=None, open=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add = commands.add_parser("serve", help="open the window (the default)")
    add.add_argument("--host", default="127.0.0.1", help="address to listen on")
    add.add_argument("--port", type=int, help="port (7860, or the next free one)")
    add.add_argument("--open", action="store_true", help="open it in the browser")
    add.set_defaults(command=serve)
    add = commands.add_parser("models", help="list the models of the zoos")
    add.add_argument("zoo", nargs="?", help="one zoo: bundled, timm, torchvision")
    add.add_argument("--search", default="", metavar="TEXT", help="names with all these words")
    add.set_defaults(command=models)
    add = commands.add_parser("show", help="what a model is, its layers, and what works on it")
    add.add_argument("model", metavar="MODEL")
    add.add_argument("--random", action="store_true", help="random weights: nothing is downloaded")
    add.set_defaults(command=show)
    add = commands.add_parser("run", help="run a method and write its picture")
    methods = add.add_subparsers(title="methods", metavar="METHOD", required=True)
    for method in METHODS.values():
        _add_method(
            methods.add_parser(method.name, help=method.help, description=method.help), method
        )
    return parser


FORMS: dict[str, dict[str, Any]] = {
    "target": {"metavar": "CLASS", "help": "class number or label (default: the predicted one)"},
    "layer": {"metavar": "NAME", "help": "a layer, as `featvis show MODEL` lists them"},
    "channel": {"type": int, "metavar": "N", "help": "a channel of the layer"},
    "position": {"metavar": "R,C", "help": "row and column in the layer's map"},
}


def _add_method(parser: argparse.ArgumentParser, method: Method) -> None:
    parser.add_argument("--model", required=True, metavar="ZOO:NAME")
    parser.add_argument("--random", action="store_true", help="random weights instead of trained")
    parser.add_argument("--image", required="image" in method.subject, metavar="FILE",
                        help=None if "image" in method.subject else argparse.SUPPRESS)  # fmt: skip
    for name in method.subject:
        if name in FORMS:
            parser.add_argument(f"--{name}", required=name not in method.optional, **FORMS[name])
    for param in method.params:
        possible = ", ".join(param.choices) or (param.range and "{:g} to {:g}".format(*param.range))
        words = "; ".join(filter(None, (param.help, possible, f"default {param.default}")))
        parser.add_argument(f"--{param.name.replace('_', '-')}", dest=f"p.{param.name}",
                            metavar=param.type.__name__.upper(), help=words)  # fmt: skip
    parser.add_argument("--out", metavar="PNG", help="picture to write")
    parser.add_argument("--npz", metavar="NPZ", help="arrays to write")
    parser.set_defaults(command=run, method=method)


def serve(options: argparse.Namespace) -> None:
    """Open the window and stay until it is interrupted."""
    from .serve import launch

    print("featvis: starting ...", flush=True)
    blocks, url = launch(server_name=options.host, server_port=options.port, inbrowser=options.open)
    print(f"featvis: {url}  (Ctrl+C ends it)", flush=True)
    try:
        blocks.block_thread()
    finally:
        blocks.close()


def models(options: argparse.Namespace) -> None:
    """Names, one a line, so that they can be piped."""
    zoos = [options.zoo] if options.zoo else [zoo.name for zoo in zoo_adapters.zoos()]
    words = options.search.lower().split()
    found = [
        n for zoo in zoos for n in zoo_adapters.names(zoo) if all(w in n.lower() for w in words)
    ]
    if not found:
        raise WrongRequest(f"no model of {', '.join(zoos)} has {options.search!r} in its name")
    print("\n".join(found))


def show(options: argparse.Namespace) -> None:
    """Facts, layers and methods of a model."""
    model = _model(options)
    h, w = model.size
    print(f"{model.name}: {model.parameters / 1e6:.2f} M parameters, input {h}x{w}, "
          f"{len(model.labels)} labels")  # fmt: skip
    for name, value in model.info.items():
        print(f"  {name}: {value}")
    print(f"  head: {model.head.kind if model.head else 'none'}; {model.head_reason}")
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
    if not options.out and not options.npz:
        raise WrongRequest("nothing to write: give --out PICTURE.png, or --npz ARRAYS.npz")
    for path in filter(None, (options.out, options.npz)):
        if not Path(path).absolute().parent.is_dir():
            raise WrongRequest(f"{path}: there is no folder {Path(path).absolute().parent}")
    given = {k[2:]: v for k, v in vars(options).items() if k.startswith("p.") and v is not None}
    params = method.check(given)
    model = _model(options)
    if reason := method.missing(model):
        raise WrongRequest(reason)
    image = zoo_adapters.read_image(options.image, model) if options.image else None
    chosen = _subject(method, model, options)
    if "image" in method.subject:
        chosen["image"] = image
    result = method.run(model, **chosen, **params)
    for last in result if method.generator else (result,):
        result = last
    if options.out:
        _write(options.out, lambda file: _picture(result, image, options.image).save(file, "PNG"))
    if options.npz:
        import numpy as np

        _write(options.npz, lambda file: np.savez_compressed(file, values=result.values.numpy()))
    for note in result.notes:
        print(f"note: {note}")
    if getattr(result, "residual", None) is not None:
        print(f"residual: {float(result.residual.max()):.1e}")


def _model(options: argparse.Namespace) -> VisionModel:
    def progress(done: int, total: int, what: str) -> None:
        share = f"{100 * done / total:.0f} %" if total else f"{done / 1e6:.1f} MB"
        print(f"\r{what}: {share}", end="", file=sys.stderr, flush=True)

    return zoo_adapters.load(options.model, pretrained=not options.random, progress=progress)


def _subject(method: Method, model: VisionModel, options: argparse.Namespace) -> dict[str, Any]:
    """The subject from the options, as the method takes it."""
    chosen = {n: getattr(options, n) for n in method.subject if n in FORMS}
    if isinstance(chosen.get("target"), str):
        from .labels import class_named

        chosen["target"] = class_named(model, chosen["target"])
    if isinstance(chosen.get("position"), str):
        parts = chosen["position"].split(",")
        if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
            raise WrongRequest(f"a position is ROW,COLUMN as in 3,4, not {chosen['position']!r}")
        chosen["position"] = (int(parts[0]), int(parts[1]))
    return chosen


def _picture(result: Any, image: featvis.Image | None, path: str | None) -> Any:
    """The result as a picture; heat maps lie over the original."""
    import numpy as np
    import PIL.Image
    import torch

    from featvis import render
    from zoo_adapters.pictures import upright

    if image is not None and isinstance(result, featvis.types.Heatmap | featvis.types.Attribution):
        below = torch.from_numpy(np.array(upright(path)))
        made = torch.stack([render.compose(below, layer) for layer in render.over(result, image)])
        return PIL.Image.fromarray(render.sheet(made, gap=0).numpy())
    return PIL.Image.fromarray(render.render(result).numpy())


def _write(path: str, save: Callable[[Any], object]) -> None:
    """Write a file completely or not at all."""
    target = Path(path).absolute()
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            save(file)
        Path(part).chmod(0o644)
        Path(part).replace(target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
