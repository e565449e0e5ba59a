"""The sweep: at which size a network is tried, and in which numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.sweep import build, published
from tests.support import tiny

NAME = "timm:test_resnet"  # any that is described


@pytest.fixture
def built(monkeypatch):
    """Have `small` build another network than the one of that name."""

    def put(make):
        monkeypatch.setitem(build.BUILDERS, "timm", lambda name, side, native: make())

    return put


def trunk(*rest):
    return nn.Sequential(nn.Conv2d(3, 8, 8, 32), *rest)


def test_a_map_that_is_a_point_at_a_small_size_is_tried_larger(built):
    """As SelecSLS and SHViT: at 64 pixels the last convolution covers all that is left."""
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    built(lambda: trunk(nn.Conv2d(8, 8, 3, 2, 1), *end))
    model = build.small(NAME, (160, 160))
    assert model.size == (96, 96)
    assert model.head is not None
    assert model.head.kind == "exact"


def test_a_map_that_is_flattened_at_every_size_is_so_at_its_own(built):
    built(lambda: trunk(nn.Conv2d(8, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5)))
    model = build.small(NAME, (160, 160))
    assert model.size == (160, 160)
    assert model.head is None
    assert "convolution over all of it" in model.head_reason


def test_the_published_table_has_the_rows_again(tmp_path):
    cells = {"cam": "1 passes", "saliency": "12 passes, in float64", "filters": "it has none"}
    rows = {"timm:a": {"error": "", **cells}, "timm:b": {"error": "FAILED it"},
            "timm:c": {"error": "", **cells, "cam": "FAILED 3 passes, none right"}}  # fmt: skip
    heads = {"timm:a": {"reason": "another"}, "timm:d": {"reason": "it has none"}}
    names = ["timm:c", "timm:a", "timm:b", "timm:d"]
    published.write(names, rows, heads, tmp_path / "t.csv")
    found = published.read(tmp_path / "t.csv")
    assert list(found) == ["timm:c", "timm:a", "timm:d"]
    assert all(found[name] == rows[name] for name in ("timm:c", "timm:a"))
    assert found["timm:d"] == {"error": "", "cam": "it has none"}
    assert published.read(tmp_path / "none.csv") == {}


def test_attention_before_a_map_that_is_a_point_is_no_attention_pool(built):
    """As LeViT: of a single position nothing is pooled, and what is met next is attention."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch, self.mix, self.fc = nn.Conv2d(3, 8, 64, 64), tiny.Mix(), nn.Linear(8, 5)

        def forward(self, x):
            return self.fc(self.mix(self.patch(x).flatten(2).transpose(1, 2)).mean(1))

    built(Tokens)
    model = build.small(NAME, (160, 160))
    assert model.size == (128, 128)
    assert model.head is not None


class Growing(nn.Module):
    """Two hundred blocks that each multiply what they get."""

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(8, 1, 1)) for _ in range(200)])

    def forward(self, x):
        for scale in self.scales:
            x = x * (1 + scale)
        return x


def test_random_weights_beyond_float32_are_tried_in_float64(built):
    built(lambda: trunk(Growing(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)))
    model = build.small(NAME, (160, 160))
    assert model.like.dtype == torch.float64
    assert model.head is not None
    assert model.head.residual < 1e-12
    # one tensor for all of one shape
    assert len({scale.data_ptr() for scale in model.module[1].scales}) == 1


def test_a_sweep_goes_on_from_what_is_published():
    stages = published.stages()
    assert stages["facts"].keys() >= stages["head"].keys() >= stages["methods"].keys()
    assert all((row["head"] == "none") == bool(row["reason"]) for row in stages["head"].values())
    assert int(stages["facts"]["timm:resnet50"]["parameters"]) == 25_557_032
    assert stages["head"]["timm:resnet50"] == {"error": "", "head": "exact", "reason": ""}
    assert "class token" in stages["head"]["timm:vit_tiny_patch16_224"]["reason"]
