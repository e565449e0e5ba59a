"""Every line has one room: the file that owns the word in it. The tables say which; edit them."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import featvis

ROOT = Path(__file__).parent.parent
LONGEST = 300  # lines of a file; see that it is still one noun before you cut it in two
MODES = [f"featvis/network/{name}.py" for name in ("cost", "graph", "head")]
MODES += [f"featvis/methods/{name}.py" for name in ("attention", "guided")]
MODES += [
    "featvis/bounds.py",
    "featvis/final.py",
    "featvis/ascent/dead_relu.py",
    "benchmarks/sweep/*",
]
SEEDED = ["zoo_adapters/timm.py", "zoo_adapters/torchvision.py", "zoo_adapters/transformers.py"]
TERMINAL = ["app/cli/*", "benchmarks/*", "zoo_adapters/bundled/train.py"]

# Who opens files: each has its reason, and no name of a picture from a visitor leads there.
ASSETS = [
    "app/docs.py", "app/pages/starts.py", "app/web/health_page.py", "app/web/preview.py",
    "app/window/layout.py", "app/window/theme.py", "app/words/translate.py",
]  # of the package itself  # fmt: skip
OPENERS = [
    *ASSETS,
    "app/cli/*",  # whoever types a path there owns the machine
    "app/index/*",  # folders that the owner of the server configures
    "app/machine/disk_store.py",  # by keys that are checked, in folders that are the server's alone
    "featvis/ascent/memory.py",  # /proc and the limits of a container: featvis has torch alone
    "zoo_adapters/*", "benchmarks/*", "spaces/*",
]  # fmt: skip
DECODERS = [
    "app/question/pictures.py",  # WebP that the server itself wrote, by its hash
    "app/machine/decoder_program.py",  # bytes of uploads, in a process of its own
    "app/web/mcp_pictures.py",  # PNG that the server itself wrote, by its hash
    "app/cli/*", "app/index/*", "zoo_adapters/*", "benchmarks/*", "spaces/*",
]  # fmt: skip
FETCHERS = [
    "app/web/ports.py",  # it asks whether a port is free, and sends nothing
    "app/question/incoming.py",  # a picture's address, on a private server started to do so
    "zoo_adapters/*", "benchmarks/*", "spaces/*",
]  # fmt: skip

# A name (a pattern, with dots where the code has them) -> the only files that may use it.
# Called on an object that is not known by name, as in `x.backward()`, it is "*.backward".
NAMES = {
    "*.register_*_hook": ["featvis/hooks.py"],
    "*.register_hook": ["featvis/hooks.py"],
    "*TorchFunctionMode": MODES,
    "*TorchDispatchMode": MODES,
    "*autograd.Function": [
        "featvis/ascent/packed_conv.py",
        "featvis/ascent/fast_stem.py",
    ],  # the same gradient at less cost, never another one
    "*.backward": ["zoo_adapters/bundled/train.py", "zoo_adapters/bundled/canvas.py"],
    "*.default_rng": ["zoo_adapters/bundled/*", "benchmarks/*"],
    "np.random.seed": [],
    "random.seed": [],
    "torch.manual_seed": [
        *SEEDED,
        "zoo_adapters/bundled/train.py",
    ],  # inside fork_rng, or a command
    "print": [*TERMINAL, "spaces/*.py", "zoo_adapters/bundled/evaluate.py"],
    "sys.argv": [*TERMINAL, "spaces/*.py", "app/docs.py", "app/machine/decoder_program.py"],
    "open": OPENERS,
    "io.open": OPENERS,
    "os.open": OPENERS,
    "os.fdopen": ["app/machine/decoder_program.py"],  # its own pipe
    "*.read_bytes": OPENERS,
    "*.read_text": OPENERS,
    "*.open": [*OPENERS, *DECODERS],
    "*Image.open": DECODERS,
    "zoo_adapters.pictures.upright": ["app/cli/pictures.py", "app/index/*", "zoo_adapters/*"],
    "cli.pictures*": ["app/cli/*"],  # it opens whatever is named
    "*urlopen": FETCHERS,
    "*urlretrieve": FETCHERS,
}
# A module -> the only files that may import it (a module covers those below it).
IMPORTS = {
    "urllib.request": FETCHERS,
    "http.client": FETCHERS,
    "httpx": FETCHERS,
    "requests": FETCHERS,
    "aiohttp": [],
    "socket": FETCHERS,
    "uvicorn": ["app/web/connections.py"],  # its protocol, given deadlines
    "gradio": [
        "app/window/*",
        "app/web/endpoints.py",
        "app/web/serve.py",
        "benchmarks/routes.py",  # which lists the routes of the Gradio at hand
    ],
    "spaces": ["spaces/*"],
    "timm": ["zoo_adapters/timm.py", "zoo_adapters/bundled/*", "benchmarks/*"],
    "torchvision": ["zoo_adapters/torchvision*.py", "benchmarks/*"],
    "transformers": ["zoo_adapters/transformers*.py", "benchmarks/*"],
    "captum": ["benchmarks/*"],
    "faiss": ["app/index/neighbours.py"],
    "datasets": ["app/index/hub.py"],
    "ray": ["app/index/cluster.py"],
    "zoo_adapters": ["zoo_adapters/*", "app/*", "benchmarks/*", "spaces/*"],
    "app": ["spaces/*", "benchmarks/*"],  # within app/ imports are relative
    "benchmarks": ["benchmarks/*"],
    "tests": [],
}
# Files -> all that they may import besides the standard library and their own package.
ALLOWED = {
    "featvis/render.py": ["torch", "PIL"],
    "featvis/*": ["torch"],
    "zoo_adapters/checks.py": ["featvis", "torch", "PIL"],
    "zoo_adapters/bundled/evaluate.py": ["featvis", "numpy", "torch"],  # it measures a method
    "zoo_adapters/bundled/train.py": [
        "featvis.network.cost", "featvis.network.survey", "numpy", "safetensors", "timm", "torch",
    ],
    "zoo_adapters/bundled/*": ["featvis.model", "numpy", "PIL", "safetensors", "timm", "torch"],
    "zoo_adapters/*": [
        "featvis.classes", "featvis.embedding", "featvis.model", "featvis.network.survey",
        "featvis.output", "huggingface_hub", "numpy", "PIL", "psutil", "safetensors", "timm",
        "torch", "torchvision", "transformers",
    ],
}  # fmt: skip


def wrong_lines(root: Path) -> Iterator[str]:
    """Every line of the packages under `root` that is not in its room."""
    for package in ("featvis", "zoo_adapters", "app", "spaces", "benchmarks"):
        for path in sorted((root / package).rglob("*.py")):
            file, text = path.relative_to(root).as_posix(), path.read_text("utf8")
            if (lines := text.count("\n")) > LONGEST:
                yield f"{file} has {lines} lines, more than {LONGEST}"
            for node in ast.walk(ast.parse(text)):
                for problem in _problems(file, node):
                    yield f"{file}:{node.lineno} {problem}"  # type: ignore[attr-defined]


def _problems(file: str, node: ast.AST) -> Iterator[str]:
    for module in _imported(node):
        for name, rooms in IMPORTS.items():
            if _below(module, name) and not _in(file, rooms):
                yield f"imports {module}; its rooms: {rooms}"
        allowed = next((a for files, a in ALLOWED.items() if fnmatch(file, files)), None)
        if allowed is not None and not _may(file, module, allowed):
            yield f"imports {module}; allowed there: {allowed}"
    for used in _used(node):
        for name, rooms in NAMES.items():
            if fnmatch(used, name) and not _in(file, rooms):
                yield f"uses {used}; its rooms: {rooms or 'none'}"


def _imported(node: ast.AST) -> list[str]:
    """Modules of an import; `from featvis import a` may be a name or the module featvis.a."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        if node.module in ("featvis", "zoo_adapters"):
            return [f"{node.module}.{alias.name}" for alias in node.names]
        return [str(node.module)]
    return []


def _used(node: ast.AST) -> list[str]:
    """`torch.manual_seed` of that expression, `*.backward` of any other object's attribute."""
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Attribute):
        return [ast.unparse(node)]
    if isinstance(node, ast.Name):
        return [node.id]
    return []


def _may(file: str, module: str, allowed: list[str]) -> bool:
    own = file.partition("/")[0]
    known = {own, "__future__", *sys.stdlib_module_names}
    return module.partition(".")[0] in known or any(_below(module, name) for name in allowed)


def _below(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def _in(file: str, rooms: list[str]) -> bool:
    return any(fnmatch(file, room) for room in rooms)


def test_every_line_is_in_its_room():
    assert not list(wrong_lines(ROOT))


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("featvis/a.py", "import numpy"),
        ("featvis/a.py", "from zoo_adapters import load"),
        ("featvis/a.py", "module.register_forward_hook(f)"),
        ("featvis/a.py", "from torch.overrides import TorchFunctionMode"),
        ("featvis/a.py", "class A(torch.autograd.Function): pass"),
        ("featvis/a.py", "f(x).sum().backward()"),
        ("featvis/a.py", "torch.manual_seed(0)"),
        ("featvis/a.py", "if 1:\n    print(1)"),
        ("featvis/a.py", "x = 1\n" * 301),
        ("featvis/color.py", "import PIL"),
        ("zoo_adapters/a.py", "import timm.data"),
        ("zoo_adapters/a.py", "from featvis import cam"),
        ("zoo_adapters/a.py", "def f():\n    from featvis.cam import cam"),
        ("app/answers/run.py", "import gradio as gr"),
        ("app/answers/run.py", "open('x')"),
        ("app/web/api.py", "file.open('rb')"),
        ("app/web/api.py", "Path(name).read_bytes()"),
        ("app/web/api.py", "Path(name).read_text('utf8')"),
        ("app/web/api.py", "PIL.Image.open(name)"),
        ("app/web/api.py", "from zoo_adapters.pictures import upright"),
        ("app/question/text.py", "from ..cli.pictures import named"),
        ("app/window/changes.py", "import urllib.request"),
        ("app/window/changes.py", "from urllib.request import urlopen"),
        ("app/window/changes.py", "import httpx"),
        ("app/answers/run.py", "from torchvision import models"),
    ],
)
def test_a_line_in_the_wrong_room_is_found(tmp_path, file, line):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(line)
    found = list(wrong_lines(tmp_path))
    assert found
    assert all(problem.startswith(file) for problem in found)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("featvis/a.py", "from featvis.model import Layer\nimport torch.nn, math"),
        ("featvis/a.py", "torch.Generator().manual_seed(0)\ntorch.autograd.grad(y, x)"),
        ("featvis/hooks.py", "module.register_forward_hook(f)"),
        ("featvis/render.py", "def f():\n    from PIL import Image"),
        ("zoo_adapters/timm.py", "from timm import data\nfrom featvis.model import Layer"),
        ("app/cli/x.py", "PIL.Image.open(path)\nfrom .pictures import named"),
        ("app/answers/run.py", "from urllib.parse import quote"),
        ("app/window/tabs.py", "from . import run\nimport gradio, featvis, zoo_adapters"),
    ],
)
def test_a_line_in_its_room_is_not(tmp_path, file, line):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(line)
    assert not list(wrong_lines(tmp_path))


def test_every_room_of_the_tables_is_there():
    rooms = {room for table in (NAMES, IMPORTS) for rooms in table.values() for room in rooms}
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/**/*.py")]
    assert not [room for room in (rooms | set(ALLOWED)) if not any(_in(f, [room]) for f in files)]


@pytest.mark.parametrize("name", ["featvis", "zoo_adapters"])
def test_public_names_are_sorted_and_true(name):
    module = importlib.import_module(name)
    names = module.__all__
    own = [public for public in names if module is not featvis or public not in featvis.METHODS]
    assert own == sorted(own, key=_constants_classes_functions)
    assert all(hasattr(module, public) for public in names)
    tree = ast.parse(Path(str(module.__file__)).read_text("utf8"))
    bound = {
        a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names
    }
    bound |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    public = {name for name in bound if not name.startswith("_") and name != "annotations"}
    inner = (
        {"COPIES", "VisionModel", "WrongRequest", "adapter", "memory", "split", "table"}
        if name == "zoo_adapters"
        else set()
    )
    assert public - inner == set(names)


def _constants_classes_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_every_folder_is_packaged():
    text = (ROOT / "pyproject.toml").read_text("utf8")
    for package in ("featvis", "zoo_adapters", "app"):
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            name = ".".join(folder.relative_to(ROOT).parts)
            name = f"featvis_{name}" if package == "app" else name
            assert f'"{name}"' in text, f"{folder} is not in the packages of pyproject.toml"
