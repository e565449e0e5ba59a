"""Makes docs/tutorial.ipynb, and the Korean one, from tutorial.md: python -m docs.notebook.

tutorial.md is text with code between fences; tutorial.ko.md has its text alone, with <!-- code -->
where a piece of code stands. The code is run once, and both notebooks show what it gives; where the
text alone has changed, `python -m docs.notebook --text` keeps the pictures.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import PIL.Image

FOLDER = Path(__file__).parent
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEW = {"STEPS": 2, "DREAM": 1, "SAMPLES": 2, "CANDIDATES": 12}  # for a run that shows nothing


def parts(text: str) -> list[str]:
    """Text and code in turn."""
    return [part.strip("\n") for part in FENCE.split(text)]


def translated(code: list[str]) -> list[str]:
    """The Korean text with the same code."""
    text = (FOLDER / "tutorial.ko.md").read_text("utf8").split("<!-- code -->")
    if len(text) != len(code) + 1:
        raise ValueError(f"tutorial.ko.md has {len(text) - 1} marks of code, not {len(code)}")
    both = [part for pair in zip(text, [*code, ""], strict=True) for part in pair]
    return [part.strip("\n") for part in both[:-1]]


def ran(code: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell; its outputs: what is printed, and its last value."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    said, value = io.StringIO(), None
    with redirect_stdout(said):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    made: list[dict[str, Any]] = []
    if said.getvalue():
        text = said.getvalue().splitlines(keepends=True)
        made.append({"output_type": "stream", "name": "stdout", "text": text})
    if isinstance(value, PIL.Image.Image):
        data = io.BytesIO()
        value.save(data, "JPEG", quality=88)
        shown = {"image/jpeg": base64.b64encode(data.getvalue()).decode()}
        made.append({"output_type": "display_data", "data": shown, "metadata": {}})
    return made


def few(code: str) -> str:
    """The same cell with as little work as possible."""
    for name, value in FEW.items():
        code = re.sub(rf"^{name} = \d+", f"{name} = {value}", code, flags=re.MULTILINE)
    return code


def notebook(pieces: list[str], outputs: list[list[dict[str, Any]]], language: str) -> str:
    """Text, code and outputs as the JSON of a notebook."""
    cells: list[dict[str, Any]] = []
    for i, piece in enumerate(pieces):
        kind = "code" if i % 2 else "markdown"
        source = piece.splitlines(keepends=True)
        cell = {"cell_type": kind, "id": f"cell-{i}", "metadata": {}, "source": source}
        if i % 2:
            cell |= {"execution_count": i // 2 + 1, "outputs": outputs[i // 2]}
        cells += [cell] if piece else []
    told = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "title": language,
    }
    made = {"cells": cells, "metadata": told, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def kept() -> list[list[dict[str, Any]]]:
    """What the cells of the notebook show."""
    cells = json.loads((FOLDER / "tutorial.ipynb").read_text("utf8"))["cells"]
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]


def main(options: Sequence[str]) -> None:
    """Run all cells, and write both notebooks; with --text the pictures stay as they are."""
    pieces = parts((FOLDER / "tutorial.md").read_text("utf8"))
    names: dict[str, Any] = {}
    outputs = kept() if "--text" in options else [ran(code, names) for code in pieces[1::2]]
    korean = translated(pieces[1::2])
    for name, made, language in (("tutorial", pieces, "en"), ("tutorial.ko", korean, "ko")):
        (FOLDER / f"{name}.ipynb").write_text(notebook(made, outputs, language), "utf8")


if __name__ == "__main__":
    main(sys.argv[1:])
