"""Makes docs/tutorial.ipynb, and the Korean one, from tutorial.md: python -m docs.notebook.

tutorial.md is a notebook in jupytext's Markdown; tutorial.ko.md has its text alone, with
<!-- code --> where a piece of code stands. The code is run once, and both notebooks show what it
gives; where the text alone has changed, `python -m docs.notebook --text` keeps the pictures.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat
import PIL.Image
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
FENCE = re.compile(r"^```python\n.*?^```$", re.MULTILINE | re.DOTALL)
MARK = "<!-- code -->"
FEW = {"STEPS": 2, "DREAM": 1, "SAMPLES": 2, "CANDIDATES": 12}  # for a run that shows nothing


def notebook(language: str) -> NotebookNode:
    """The tutorial in "en" or "ko", without outputs."""
    text = (FOLDER / "tutorial.md").read_text("utf8")
    if language == "ko":
        text = _translated(FENCE.findall(text))
    book: NotebookNode = jupytext.reads(text, fmt="md")
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "title": language}
    return book


def _translated(code: list[str]) -> str:
    """The Korean text with the same code."""
    text = (FOLDER / "tutorial.ko.md").read_text("utf8")
    if text.count(MARK) != len(code):
        raise ValueError(f"tutorial.ko.md has {text.count(MARK)} marks of code, not {len(code)}")
    pieces = iter(code)
    return re.sub(MARK, lambda _: next(pieces), text)


def cells_of_code(book: NotebookNode) -> list[NotebookNode]:
    """The cells that can be run."""
    return [cell for cell in book.cells if cell.cell_type == "code"]


def shorten(book: NotebookNode) -> None:
    """Let a notebook do as little work as possible."""
    for cell in cells_of_code(book):
        for name, value in FEW.items():
            cell.source = re.sub(rf"^{name} = \d+", f"{name} = {value}", cell.source, flags=re.M)


def run(book: NotebookNode) -> None:
    """Run all cells; each keeps what it prints, and its last value as a picture."""
    resources = {"metadata": {"path": str(FOLDER)}}
    client = NotebookClient(book, timeout=None, resources=resources, coalesce_streams=True)
    # tqdm misses widgets in a kernel, which no reader of the notebook does
    client.execute(env={**os.environ, "PYTHONWARNINGS": "ignore:IProgress not found"})
    for number, cell in enumerate(cells_of_code(book), 1):
        cell.execution_count, cell.metadata = number, {}
        cell.outputs = [_small(output) for output in cell.outputs]


def _small(output: NotebookNode) -> NotebookNode:
    """An output with its picture as a JPEG alone: a tenth of the PNG that Jupyter takes."""
    if "image/png" not in output.get("data", {}):
        return output
    data = io.BytesIO()
    with PIL.Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as picture:
        picture.save(data, "JPEG", quality=88)
    text = base64.b64encode(data.getvalue()).decode()
    return nbformat.v4.new_output("display_data", data={"image/jpeg": text})


def main(options: Sequence[str]) -> None:
    """Run all cells, and write both notebooks; with --text the pictures stay as they are."""
    first = notebook("en")
    if "--text" in options:
        source = nbformat.read(FOLDER / "tutorial.ipynb", as_version=4)
    else:
        source = first
        run(first)
    for name, book in (("tutorial", first), ("tutorial.ko", notebook("ko"))):
        for cell, done in zip(cells_of_code(book), cells_of_code(source), strict=True):
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
        nbformat.write(book, FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
