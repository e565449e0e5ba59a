"""The command line: serve, models, show, run, derived from METHODS. Only serving imports Gradio.

Exit codes: 0 done, 1 failed, 2 a wrong request. An error is one line.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch

import featvis
import zoo_adapters
from featvis import METHODS, Method, VisionModel, WrongRequest, render
from featvis.types import Attribution, Box, Heatmap, Result

from .animation import FRAMES, ending, moving, small
from .cli_subject import FORMS, original, subject_of
from .pictures import framed

__all__ = ["main"]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> Any:
        """One line, exit code 2."""
        self.exit(2, f"featvis: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    try:
        options = _parser().parse_args(argv)
        options.command(options)
    except SystemExit as end:  # of the parser: help, or what it cannot read
        return int(end.code or 0)
    except WrongRequest as error:
        print(f"featvis: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        first = str(error).strip().partition("\n")[0] or "it gives no reason"
        print(f"featvis: failed, {type(error).__name__}: {first}", file=sys.stderr)
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


def _add_method(parser: argparse.ArgumentParser, method: Method) -> None:
    parser.add_argument("--model", required=True, metavar="ZOO:NAME")
    parser.add_argument("--random", action="store_true", help="random weights instead of trained")
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
    parser.add_argument("--out", metavar="PNG", help="picture to write")
    parser.add_argument("--npz", metavar="NPZ", help="arrays to write")
    if method.generator:
        parser.add_argument("--animation", metavar="GIF", help="how the picture came about, to "
                            "write as a moving .gif or .webp")  # fmt: skip
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
    _check_files(options)
    given = {k[2:]: v for k, v in vars(options).items() if k.startswith("p.") and v is not None}
    params = method.check(given)
    if getattr(options, "animation", None) and not params["frames"]:
        params["frames"] = FRAMES
    below = original(options.image) if options.image else None
    model = _model(options)
    if reason := method.missing(model):
        raise WrongRequest(reason)
    chosen = subject_of(method, model, options)
    image = zoo_adapters.read_image(below, model) if below else None
    if "image" in method.subject:
        chosen["image"] = image
    result = method.run(model, **chosen, **params)
    if method.generator:
        result = _last(result, options.animation)
    found = _box(result, image) if getattr(options, "box", False) and image else None
    if options.out:
        _write(options.out, _picture(result, image, below, found))
    if options.npz:
        from .arrays import packed

        _write(options.npz, packed({method.name: result}, {f"{method.name}.box": found}))
    if found is not None:
        print("box: top {:.0f}, left {:.0f}, bottom {:.0f}, right {:.0f}".format(*found))
    for note in result.notes:
        print(f"note: {note}")
    if getattr(result, "residual", None) is not None:
        print(f"residual: {float(result.residual.max()):.1e}")


def _last(steps: Iterator[Result], animation: str | None) -> Result:
    """The last of the results; those on the way are written as an animation, if it is asked for."""
    frames = []
    for result in steps:
        if animation:
            frames.append(small(result))
    if animation:
        _write(animation, moving(frames, ending(animation)))
    return result


def _check_files(options: argparse.Namespace) -> None:
    """Refuse before the work what could not be written after it."""
    animation = getattr(options, "animation", None)
    if not options.out and not options.npz and not animation:
        raise WrongRequest("nothing to write: give --out PICTURE.png, or --npz ARRAYS.npz")
    for path, kind in ((options.out, ".png"), (options.npz, ".npz"), (animation, "")):
        if path is None:
            continue
        if not kind:
            ending(path)
        elif not path.lower().endswith(kind):
            raise WrongRequest(f"{path}: what is written is a {kind} file; name it so")
        if not Path(path).absolute().parent.is_dir():
            raise WrongRequest(f"{path}: there is no folder {Path(path).absolute().parent}")


def _model(options: argparse.Namespace) -> VisionModel:
    def progress(done: int, total: int, what: str) -> None:
        share = f"{100 * done / total:.0f} %" if total else f"{done / 1e6:.1f} MB"
        end = "\n" if done == total else ""
        print(f"\r{what}: {share}", end=end, file=sys.stderr, flush=True)

    return zoo_adapters.load(options.model, pretrained=not options.random, progress=progress)


def _box(result: Result, image: featvis.Image) -> Box | None:
    from .trust import box

    return box(result, image) if isinstance(result, Heatmap | Attribution) else None


def _picture(
    result: Result,
    image: featvis.Image | None,
    original: PIL.Image.Image | None,
    box: Box | None,
) -> bytes:
    """The result as a PNG; heat maps lie over the original, with the box if there is one."""
    if image is not None and original is not None and isinstance(result, Heatmap | Attribution):
        below = torch.frombuffer(bytearray(original.tobytes()), dtype=torch.uint8)
        below = below.view(original.height, original.width, 3)
        made = render.compose(below, render.over(result, image)[0])
    else:
        made = render.render(result)
    picture = PIL.Image.fromarray(made.numpy())
    if box is not None and image is not None:
        picture = framed(picture, box, image.original)
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def _write(path: str, data: bytes) -> None:
    """Write a file completely or not at all."""
    part = Path(f"{path}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
