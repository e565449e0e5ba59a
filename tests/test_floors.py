"""Imports go down only, never in a circle, and stand at the top of a file. The tables say where."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import featvis

ROOT = Path(__file__).parent.parent

# A package -> its floors, lower ones first: a folder imports from the floors below its own, and
# from no other folder of its floor. "." are the files that lie in the package itself.
FLOORS = {
    "featvis": (".", "network render", "gradients", "ascent measures probe", "methods"),
    "app": (
        "machine words", "question index", "answers", "files", "pages", "window", "web", "cli", ".",
    ),
    "zoo_adapters": (),  # no floors, but no circles either
}  # fmt: skip
# A package -> what may be imported inside a function: optional and slow libraries.
LATE = {
    "featvis": ["PIL"],
    "zoo_adapters": ["huggingface_hub"],
    "app/machine": ["PIL", "resource"],  # in a process of its own; not on every system
    "app/web": ["resource", "uvicorn"],
    "app/index": ["datasets", "faiss", "ray"],
    "app/cli": ["app.web"],  # and Gradio with it, which takes seconds
}


def wrong_imports(root: Path) -> Iterator[str]:
    """Every import of the packages under `root` that goes up, round, or is made late."""
    for package in FLOORS:
        arrows: dict[str, set[str]] = {}
        for path in sorted((root / package).rglob("*.py")):
            file, tree = path.relative_to(root).as_posix(), ast.parse(path.read_text("utf8"))
            yield from _upward(file, tree)
            yield from _late(file, tree)
            targets = {_file(root, name) for _, name in _imports(file, tree)}
            arrows[file] = {target for target in targets if target and target != file}
        yield from _circle(arrows)


def _upward(file: str, tree: ast.AST) -> Iterator[str]:
    """Imports of a folder that does not stand below the file's own."""
    package, *inner = file.split("/")
    levels = {room: n for n, rooms in enumerate(FLOORS[package]) for room in rooms.split()}
    own = inner[0] if len(inner) > 1 else "."
    if not levels or inner == ["__init__.py"]:
        return
    if own not in levels:
        yield f"{file} stands on no floor of {package}"
        return
    for line, name in _imports(file, tree):
        head, _, rest = name.partition(".")
        room = rest.partition(".")[0]
        room = room if room in levels else "."
        if head == package and room != own and levels[room] >= levels[own]:
            yield f"{file}:{line} imports {name}; {room} does not stand below {own}"


def _late(file: str, tree: ast.AST) -> Iterator[str]:
    """Imports inside a function of anything but an optional or slow library."""
    package, *inner = file.split("/")
    allowed = LATE.get(f"{package}/{inner[0]}") or LATE.get(package, [])
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for line, name in _imports(file, function):
                if not any(f"{name}.".startswith(f"{library}.") for library in allowed):
                    yield f"{file}:{line} imports {name} inside a function; allowed: {allowed}"


def _circle(arrows: dict[str, set[str]]) -> Iterator[str]:
    """One circle of files that import one another, if there is any."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        yield f"a circle of imports: {' -> '.join(reversed(error.args[1]))}"


def _imports(file: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full dotted name, "featvis.model.Layer", of all that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            folders = file.split("/")[: -node.level] if node.level else []
            module = ".".join([*folders, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _file(root: Path, name: str) -> str | None:
    """The file that a dotted name comes from: the module's, or the package's around it."""
    while name:
        path = name.replace(".", "/")
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if (root / file).is_file():
                return file
        name = name.rpartition(".")[0]
    return None


def _write(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


def test_imports_go_down_only():
    assert not list(wrong_imports(ROOT))


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("featvis/model.py", "from featvis.network.head import read_head"),
        ("featvis/model.py", "from featvis import network"),
        ("featvis/model.py", "import featvis.network"),
        ("featvis/network/a.py", "from ..methods import cam"),
        ("featvis/network/a.py", "from .. import methods"),
        ("featvis/ascent/a.py", "if 1:\n    import featvis.measures.sanity"),
        ("featvis/ascent/__init__.py", "from featvis.methods.cam import cam"),
        ("featvis/elsewhere/a.py", "x = 1"),
        ("featvis/methods/a.py", "def f():\n    from featvis.network.head import read_head"),
        ("featvis/a.py", "async def f():\n    import json"),
        ("featvis/a.py", "class A:\n    def f(self):\n        from . import model"),
        ("zoo_adapters/a.py", "def f():\n    import huggingface_hub_of_others"),
        ("app/machine/a.py", "from ..words import texts"),
        ("app/machine/a.py", "from ..question.state import State"),
        ("app/question/a.py", "from .. import index"),
        ("app/answers/a.py", "from ..files.encode import png"),
        ("app/pages/a.py", "from ..window import changes"),
        ("app/window/a.py", "if 1:\n    from ..web import serve"),
        ("app/cli/a.py", "from .. import docs"),
        ("app/a/b.py", "x = 1"),
        ("app/answers/a.py", "def f():\n    from ..machine import cache"),
        ("app/web/a.py", "def f():\n    from . import serve"),
        ("app/index/a.py", "def f():\n    import torch"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, file, line):
    _write(tmp_path, file, line)
    (problem,) = wrong_imports(tmp_path)
    assert problem.startswith(file)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("featvis/__init__.py", "from featvis.methods.cam import cam"),
        ("featvis/model.py", "import json, torch\nfrom featvis.types import Layout"),
        ("featvis/methods/a.py", "from featvis import model, network\nimport featvis.ascent.param"),
        ("featvis/probe/a.py", "from . import b\nfrom ..network import head"),
        ("featvis/render/__init__.py", "def f():\n    from PIL import Image"),
        ("zoo_adapters/a.py", "def f():\n    from huggingface_hub.errors import HTTPError"),
        ("zoo_adapters/bundled/a.py", "from zoo_adapters import registry"),
        ("app/docs.py", "from .pages.starts import page\nfrom .cli import main"),
        ("app/answers/a.py", "from . import run\nfrom ..machine.cache import RESULTS"),
        ("app/files/a.py", "from ..answers import run\nfrom ..index import Index"),
        ("app/index/a.py", "def f():\n    import ray"),
        ("app/cli/a.py", "def f():\n    from ..web.serve import launch"),
    ],
)
def test_a_right_import_is_not(tmp_path, file, line):
    _write(tmp_path, file, line)
    assert not list(wrong_imports(tmp_path))


@pytest.mark.parametrize("package", FLOORS)
@pytest.mark.parametrize(
    "lines",
    [
        ("from {0}.b import f", "from {0}.c import f", "import {0}.a"),
        ("from . import b", "from .c import f", "from .a import f"),
        ("from {0} import b", "from . import c", "from {0} import name_of_the_package"),
    ],
)
def test_a_circle_is_found(tmp_path, package, lines):
    _write(tmp_path, f"{package}/__init__.py", "from .a import name_of_the_package")
    for name, line in zip("abc", lines, strict=True):
        _write(tmp_path, f"{package}/{name}.py", line.format(package))
    (problem,) = wrong_imports(tmp_path)
    assert all(f"{package}/{name}.py -> " in problem for name in "abc")
    _write(tmp_path, f"{package}/c.py", "")
    assert not list(wrong_imports(tmp_path))


def test_the_methods_are_a_folder():
    """Each of its files declares a method, and no file elsewhere does."""
    declared = {m.run.__module__ for name, m in featvis.METHODS.items() if name in featvis.__all__}
    files = {path.stem for path in (ROOT / "featvis" / "methods").glob("*.py")} - {"__init__"}
    assert declared == {f"featvis.methods.{file}" for file in files}


def test_the_house_has_a_page_and_few_files_outside_its_rooms():
    """A room's every file stands on the page of the house, and nothing else does."""
    page = (ROOT / "app" / "README.md").read_text("utf8")
    rooms = [room for floor in FLOORS["app"] for room in floor.split() if room != "."]
    assert len(list((ROOT / "app").glob("*.*"))) <= 8
    for room in rooms:
        files = {file.stem for file in (ROOT / "app" / room).glob("*.py")} - {"__init__"}
        listed = page.partition(f"\n{room}/")[2].partition("\n\n")[0]
        assert set(re.findall(r"^  ([a-z_]+)\.py ", listed, re.MULTILINE)) == files, room
