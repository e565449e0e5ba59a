"""A small network whose ending is the test's own, and the same one without it."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

import zoo_adapters

MEAN, STD, SIZE = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), (24, 40)


class Net(nn.Module):
    """Two convolutions, then `ending` of the map m, its average e, and two heads z and a of it."""

    def __init__(self, ending, classes=4):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.trunk = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU()
            )
            self.head, self.other = nn.Linear(12, classes), nn.Linear(12, classes)
            for linear in (self.head, self.other):
                nn.init.normal_(linear.weight, std=2)
            if classes == 1:  # so that its score is positive for some pictures, negative for others
                nn.init.constant_(self.head.bias, -2.0)
        self.ending = ending

    def forward(self, x):
        m = self.trunk(x)
        e = m.mean((2, 3))
        return self.ending(SimpleNamespace(m=m, e=e, z=self.head(e), a=self.other(e)))


def own(ending, classes=4, **how):
    given = {"name": "mine", "mean": MEAN, "std": STD, "size": SIZE, **how}
    return zoo_adapters.wrap(Net(ending, classes), **given)


def plain(part="z", classes=4):
    """The same network, which gives one of its parts as it is."""
    return own(lambda parts: getattr(parts, part), classes)


def pictures(count=3):
    """Noise (count, 3, H, W) in [0, 1], from dark to bright."""
    noise = torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(5))
    return noise * torch.linspace(0.1, 1, count)[:, None, None, None]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
