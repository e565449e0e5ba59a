"""docs/own-networks.md is true: each of its lines runs on a network of that kind."""

from __future__ import annotations

import re
from pathlib import Path

import PIL.Image
import pytest
import timm
import torch
import transformers
from torch import nn

import featvis
import zoo_adapters
from featvis import VisionModel
from featvis.types import Result

PAGE = (Path(__file__).parent.parent / "docs" / "own-networks.md").read_text("utf8")
LINES = dict(re.findall(r"^\| (?!---|my |I )(.+?) \| `(.+)` \|$", PAGE, re.MULTILINE))


class Net(nn.Module):
    """A small classifier; its parts take what a kind of network changes."""

    def __init__(self, *, classes=3, bands=3, ending=None):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(bands, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()
        )
        self.fc, self.ending = nn.Linear(8, classes), ending

    def forward(self, x):
        maps = self.body(x)
        scores = self.fc(maps.mean((2, 3)))
        return scores if self.ending is None else self.ending(scores, maps)


class Tokens(nn.Module):
    """Patches in the order (L, B, D)."""

    def __init__(self):
        super().__init__()
        self.patch, self.fc = nn.Conv2d(3, 16, 16, 16), nn.Linear(16, 3)
        self.blocks = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 16), 2, enable_nested_tensor=False
        )

    def forward(self, x):
        return self.fc(self.blocks(self.patch(x).flatten(2).permute(2, 0, 1)).mean(0))


class Siamese(Net):
    def forward(self, x, other):
        return super().forward(x) - super().forward(other)


def scripted():
    return torch.jit.trace(Net().eval(), torch.rand(2, 3, 64, 64))


def quantized():
    return torch.ao.quantization.quantize_dynamic(Net(), {nn.Linear}, dtype=torch.qint8)


def transformer():
    config = transformers.ResNetConfig(
        depths=[1, 1], hidden_sizes=[8, 8], embedding_size=8, id2label={0: "ant", 1: "bee"}
    )
    return transformers.ResNetForImageClassification(config)


NETWORKS = {
    "net": Net,
    "timm_net": lambda: timm.create_model("test_resnet"),
    "transformers_net": transformer,
    "sigmoid_net": lambda: Net(ending=lambda s, m: s.sigmoid()),
    "binary_net": lambda: Net(classes=1),
    "dict_net": lambda: Net(ending=lambda s, m: {"maps": m, "logits": s}),
    "tuple_net": lambda: Net(ending=lambda s, m: (m.mean((2, 3)), s)),
    "map_net": lambda: Net(ending=lambda s, m: s[:, :, None, None].expand(-1, -1, 4, 4)),
    "gray_net": lambda: Net(bands=1),
    "six_band_net": lambda: Net(bands=6),
    "siamese_net": Siamese,
    "half_net": lambda: Net().half(),
    "parallel_net": lambda: nn.DataParallel(Net()),
    "compiled_net": lambda: torch.compile(Net()),
    "scripted_net": scripted,
    "quantized_net": quantized,
    "token_net": Tokens,
    "flat_net": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 3)),
}


def test_the_page_has_a_line_for_each_kind():
    assert len(LINES) >= 25
    used = " ".join(LINES.values())
    assert all(re.search(rf"\b{name}\b", used) for name in NETWORKS)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:quantized.*autograd kernel:UserWarning")
@pytest.mark.parametrize("kind", LINES)
def test_each_line_runs_on_a_network_of_its_kind(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    PIL.Image.new("RGB", (90, 70), (120, 40, 200)).save("picture.png")
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), "best.pth")
    line = LINES[kind]
    facts = {"mean": 0.5, "std": 0.25, "size": 64}
    known = {name: make() for name, make in NETWORKS.items() if re.search(rf"\b{name}\b", line)}
    known |= {
        "featvis": featvis,
        "zoo_adapters": zoo_adapters,
        "facts": facts,
        "pictures": torch.rand(1, 3, 64, 64),
        "reference": torch.zeros(2, 3, 64, 64)[:1],
    }
    if re.search(r"\bmodel\b", line) and not line.startswith("with "):
        known.setdefault("net", Net())
        known["model"] = zoo_adapters.wrap(known["net"], labels=["cat", "dog", "owl"], **facts)
    if line.startswith("with "):
        exec(line, known)
        assert known["net"].training
        return
    with torch.no_grad() if "no_grad" in kind else torch.enable_grad():
        result = eval(line, known)
    if isinstance(result, VisionModel):
        shape = (1, result.bands, *result.size)
        assert featvis.saliency(result, torch.rand(shape)).values.isfinite().all()
    else:
        values = result.values if isinstance(result, Result) else result
        assert values.isfinite().all()


def test_the_first_line_of_the_page_runs():
    (line,) = re.findall(r"^```python\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL)
    known = {"zoo_adapters": zoo_adapters, "net": Net()}
    exec(line, known)
    assert known["model"].size == (224, 224)
