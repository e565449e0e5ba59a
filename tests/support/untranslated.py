"""What a visitor can read that has no translation: found in what the window is made of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import zoo_adapters
from app.answers.prediction import logits_of
from app.machine.cache import model_of
from app.machine.errors import Cancelled
from app.pages import tabs, views
from app.pages.shown import Shown
from app.question.state import State
from app.question.tabs import DISPLAY
from app.words import translate as words
from featvis import METHODS
from tests.support.absent import skip_or_fail
from zoo_adapters.bundled.scenes import CLASSES, PARTS

__all__ = [
    "ROOT", "english", "in_html", "in_markdown", "in_state", "messages", "require_korean", "source",
]  # fmt: skip

ROOT = Path(__file__).parents[2]
REMEDY = (
    "these texts have no Korean. Put each, with its values as {name}, into a section of "
    "app/assets/words/ko.json:\n"
)
# What Koreans write in Latin letters, too; names of papers' methods that have no other name.
KEPT = {
    "CAM", "Grad", "IoU", "CKA", "RGB", "ReLU", "GMAC", "DeepDream", "SmoothGrad", "DeconvNet",
    "HiResCAM", "LayerCAM", "Eigen", "Score", "Guided", "Saliency", "Occlusion", "MACO", "PNG",
    "GIF", "Python", "JSON", "API", "featvis", "English", "timm", "torchvision", "transformers",
    "Bundled", "bundled", "px", "ms", "GB", "MB", "KB", "Apache", "apache", "NaN", "nan", "inf",
    "GPU", "CPU", "MCP", "Enter", "numpy", "npz", "conv", "nano",
}  # fmt: skip
NAMES = re.compile(  # a command, a model, an address, a layer, a size, a paper, a parameter
    r"featvis (?:run|index|show|models)\b[\w:./ -]*|"
    r"[a-z]+:[\w.:/-]+|https?:\S+|\w+\.\w[\w.]*|\w*[a-z]\d\w*|\d+x\d+|[A-Z]\w+ et al\.|`[^`]*`"
)
WORD = re.compile(r"[A-Za-z][A-Za-z]+")


def require_korean(missing: Iterable[str]) -> None:
    """Skip the test with the texts that have no Korean; .ci/run, where the data are, fails.

    A contributor who writes a sentence in English need not translate it.
    """
    if texts := sorted(set(missing)):
        skip_or_fail(REMEDY + "\n".join(texts))


def english(text: str, names: Iterable[str] = ()) -> list[str]:
    """The English words of a translated text that are no names."""
    text = NAMES.sub(" ", text)
    return [word for word in WORD.findall(text) if word not in KEPT and word not in set(names)]


def in_html(text: str, names: Iterable[str] = ()) -> Iterator[str]:
    """The sentences and attributes of HTML that have no Korean."""
    for sentence, tag in words.sentences(text):
        told = [unescape(value) for _, value in words.TOLD.findall(tag)]
        for piece in (sentence, *told):
            if english(re.sub("<[^>]*>", " ", words.html(piece, "ko")), names):
                yield unescape(piece.strip())


def in_state(state: State) -> list[str]:
    """What a tab shows of a state, and says on the way, that has no Korean."""
    said: list[str] = []
    shown: list[Shown] = []

    def say(words: str) -> None:
        said.append(words)
        if "Drawing the channels" in words:  # a bonus that takes long
            raise Cancelled

    shown.append(tabs.draw(state, say, shown.append))
    model = model_of(state.model)
    found = [piece.view + piece.grid for piece in shown[-2:]]
    found += [views.busy(f"{text} … 12 s") for text in said]
    found += [views.facts(model, zoo_adapters.describe(state.model))]
    found += [views.prediction(model, logits_of(state), None)]
    names = _names(state)
    return sorted({text for html in found for text in in_html(html, names)})


def _names(state: State) -> set[str]:
    """Words that are names where a state is shown: of networks, layers and operations."""
    made: set[str] = set()
    for name in (state.model, *state.others):
        model = model_of(name)
        kinds = {layer.kind for layer in model.layers.values()}
        texts = (name, *kinds, *(inner for inner, _ in model.module.named_modules()))
        made |= {part for text in texts for part in re.findall(r"\w+", text)}
    return made


def in_markdown(text: str) -> Iterator[str]:
    """The paragraphs of an explanation that have no Korean; papers are cited as they are."""
    for part in text.split("\n\n"):
        formula, paper = part.startswith("    "), part.startswith("*") and part.endswith("*")
        if formula or (paper and not part.startswith("**")) or part.strip() == "---":
            continue
        if not re.search("[가-힣]", words.markdown(part, "ko")):
            yield " ".join(part.split("\n"))


def messages(file: Path, call: str) -> Iterator[tuple[str, str]]:
    """What a file gives to a function, as it is written, and with something for each value."""
    for node in ast.walk(ast.parse(file.read_text("utf8"))):
        if isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func).rpartition(".")[2]
            if name == call and isinstance(node.args[0], ast.Constant | ast.JoinedStr):
                yield _written(node.args[0]), _example(node.args[0])


def _written(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_written(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "{" + ast.unparse(node.value) + "}"
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _example(node: ast.expr) -> str:
    """The values are numbers, which no sentence has by itself."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_example(part) for part in node.values)
    return _written(node) if isinstance(node, ast.Constant) else "71"


def source() -> str:
    """All that is written in the code and its assets, one text after the other."""
    made: list[str] = []
    for package in ("app", "featvis", "zoo_adapters"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    made.append(" ".join(node.value.split()) if "\n" in node.value else node.value)
    for asset in (ROOT / "app" / "assets").glob("*"):
        if asset.suffix in (".css", ".html", ".js"):
            made.append(asset.read_text("utf8"))
    return "\0".join([*made, *_derived()])


def _derived() -> list[str]:
    params: list[Any] = [p for method in METHODS.values() for p in method.params]
    labels = [p.name.replace("_", " ").capitalize() for p in [*params, *DISPLAY.values()]]
    return [*labels, *CLASSES, *PARTS, *(zoo.title for zoo in zoo_adapters.zoos())]
