"""Small seeded networks in float64, one for each thing that a network can do to a method."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featvis.classes import Classes
from featvis.model import VisionModel
from featvis.network.survey import survey

SIZE = (24, 32)  # rows and columns differ, so that a swap is seen
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def model(module: nn.Module, *, size: tuple[int, int] = SIZE, seed: int = 0) -> VisionModel:
    """The record of a module with random weights in float64."""
    make = torch.Generator().manual_seed(seed)
    module = module.double().eval().requires_grad_(False)
    for parameter in module.parameters():
        scale = 0.5 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        parameter.copy_(torch.randn(parameter.shape, generator=make, dtype=torch.double) * scale)
    mean = torch.tensor(MEAN, dtype=torch.double)[:, None, None]
    std = torch.tensor(STD, dtype=torch.double)[:, None, None]
    facts = survey(module, size, mean=mean, std=std)
    output = Classes(tuple(f"thing {k}" for k in range(facts.classes)), network="tiny")
    return VisionModel(
        "tiny", module, mean, std, size, facts.layers, output, facts.head, facts.head_reason
    )


def images(count: int = 2, size: tuple[int, int] = SIZE, seed: int = 1) -> Tensor:
    """Noise pictures (count, 3, H, W) in [0, 1], float64."""
    make = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *size, generator=make, dtype=torch.double)


class Trunk(nn.Module):
    """Two convolutions with an in-place ReLU, stride 4: (B, 3, H, W) -> (B, 6, H/4, W/4)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 5, 3, 2, 1)
        self.conv2 = nn.Conv2d(5, 6, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)  # shared: it runs twice

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv2(self.relu(self.conv1(x))))


class Net(nn.Module):
    """A trunk, then what `head` makes of its map."""

    def __init__(self, *head: nn.Module) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = nn.Sequential(*head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x))


class Mean(nn.Module):
    """The average over both axes of a map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class RMSNorm(nn.Module):
    """Root mean square normalization, written out."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class RMSNorm2d(nn.Module):
    """The same over the channels of a pooled map that is still (B, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)


class Sum(nn.Module):
    """The sum over both axes of a map, divided: an average that is not called one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3)) / (x.shape[2] * x.shape[3])


class Sine(nn.Module):
    """Not affine, and not frozen by any rule."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


class Functional(nn.Module):
    """A functional ReLU after the last convolution, as torchvision's DenseNet has it."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 6, 4, 4)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x), inplace=True)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Gated(nn.Module):
    """A squeeze-excite gate in the trunk: a global average that is not the head's."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.squeeze, self.fc = Trunk(), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.trunk(x)
        x = x * self.squeeze(x.mean((2, 3))).sigmoid()[:, :, None, None]
        return self.fc(x.mean((2, 3)))


class Mix(nn.Module):
    """Attention over tokens, added to them."""

    def forward(self, x: Tensor) -> Tensor:
        return x + (x @ x.transpose(1, 2)).softmax(-1) @ x


class Tokens(nn.Module):
    """A transformer in miniature: `prefix` tokens before the grid, class token or average."""

    def __init__(self, prefix: int, pool: str) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 8, 8)
        self.prefix = nn.Parameter(torch.zeros(1, prefix, 6)) if prefix else None
        self.blocks = nn.Sequential(nn.Sequential(Mix()), nn.Sequential(Mix()))
        self.norm, self.fc, self.pool = nn.LayerNorm(6), nn.Linear(6, 4), pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        count = 0
        if self.prefix is not None:
            count = self.prefix.shape[1]
            x = torch.cat([self.prefix.expand(len(x), -1, -1), x], 1)
        x = self.norm(self.blocks(x))
        return self.fc(x[:, 0] if self.pool == "token" else x[:, count:].mean(1))


class States(nn.Module):
    """The averages of a map and of hidden states, mixtures of its positions, as EfficientViM has.

    There are as many states as places, 6 x 8, so that their number does not tell them apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.mix = Trunk(), nn.Conv1d(6, 48, 1)
        self.fc_states, self.fc = nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.trunk(x).flatten(2)
        states = maps @ self.mix(maps).softmax(-1).transpose(1, 2)
        return self.fc_states(states.mean(-1)) + self.fc(maps.relu().mean(-1))


class ChannelsLast(nn.Module):
    """Maps as (B, h, w, C), as Swin has them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 4, 4)
        self.mlp = nn.Sequential(nn.Linear(6, 6), nn.GELU())
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mlp(self.patch(x).permute(0, 2, 3, 1))
        return self.fc(x.mean((1, 2)))


def nets() -> dict[str, nn.Module]:
    """Networks by what is special about them."""
    torch.manual_seed(0)
    return {
        "GAP + FC": Net(Mean(), nn.Linear(6, 4)),
        "GAP + BN + FC": Net(Mean(), nn.BatchNorm1d(6), nn.Linear(6, 4)),
        "GAP + LayerNorm + FC": Net(Mean(), nn.LayerNorm(6), nn.Linear(6, 4)),
        "GAP + GroupNorm + FC": Net(
            nn.AdaptiveAvgPool2d(1), nn.GroupNorm(2, 6), nn.Flatten(), nn.Linear(6, 4)
        ),
        "GAP + RMSNorm + FC": Net(Mean(), RMSNorm(), nn.Linear(6, 4)),
        "GAP + RMSNorm of a point + FC": Net(
            nn.AdaptiveAvgPool2d(1), RMSNorm2d(), nn.Flatten(), nn.Linear(6, 4)
        ),
        "sum + FC": Net(Sum(), nn.Linear(6, 4)),
        "GAP + FC + Hardswish + FC": Net(
            Mean(), nn.Linear(6, 7), nn.Hardswish(inplace=True), nn.Linear(7, 4)
        ),
        "GAP + MLP": Net(
            Mean(),
            nn.LayerNorm(6),
            nn.Linear(6, 7),
            nn.GELU(),
            nn.Linear(7, 5),
            nn.Tanh(),
            nn.Linear(5, 4),
        ),
        "conv in head": Net(
            nn.Conv2d(6, 8, 1),
            nn.SiLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        ),
        "map of classes": Net(nn.Conv2d(6, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "functional ReLU": Functional(),
        "squeeze-excite": Gated(),
        "channels last": ChannelsLast(),
        "average beside hidden states": States(),
        "tokens, average": Tokens(0, "average"),
        "tokens, average behind a prefix": Tokens(5, "average"),
        "tokens, class token": Tokens(1, "token"),
        "flatten": Net(nn.Flatten(), nn.Linear(6 * 6 * 8, 4)),
        "maximum": Net(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 4)),
        "sine": Net(Mean(), Sine(), nn.Linear(6, 4)),
    }


def last(steps):
    """The last result of a generator."""
    *_, made = steps
    return made
