"""Kinship of networks, against literal definitions and where the truth is known."""

from __future__ import annotations

import pytest
import torch

import featvis
import zoo_adapters
from featvis.measures.kinship import Pair, cka, counterparts, neighbour_overlap, on_grid
from zoo_adapters.bundled.scenes import scene


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def literal_hsic(k, l):  # noqa: E741
    """Song et al. 2012, equation 5, with matrices as they are written there."""
    n = len(k)
    one = torch.ones(n, 1, dtype=torch.double)
    k, l = k - torch.diag(k.diagonal()), l - torch.diag(l.diagonal())  # noqa: E741
    value = torch.trace(k @ l)
    value = value + (one.T @ k @ one) * (one.T @ l @ one) / ((n - 1) * (n - 2))
    value = value - 2 / (n - 2) * (one.T @ k @ l @ one)
    return float(value / (n * (n - 3)))


def test_cka_is_the_definition_over_batches():
    batches = [(noise(9, 3, 2, 2, seed=s), noise(9, 5, 1, 1, seed=s + 50)) for s in range(3)]
    _, _, found = cka(Pair({"x": x}, {"y": y}) for x, y in batches)
    cross = own = others = 0.0
    for x, y in batches:
        kernels = [m.flatten(1) - m.flatten(1).mean(0) for m in (x, y)]
        kernels = [m / m.norm() for m in kernels]
        k, l = (m @ m.T for m in kernels)  # noqa: E741
        cross += literal_hsic(k, l)
        own += literal_hsic(k, k)
        others += literal_hsic(l, l)
    assert float(found) == pytest.approx(cross / (own * others) ** 0.5, rel=1e-9)


def test_cka_knows_no_rotation_and_no_scale():
    x = noise(40, 6, 1, 1)
    turn, _ = torch.linalg.qr(noise(6, 6, seed=2))
    y = 7 * (x[:, :, 0, 0] @ turn)[..., None, None] + 3
    *_, found = cka([Pair({"x": x}, {"y": y, "x": x})])
    assert found.tolist() == [[pytest.approx(1), pytest.approx(1)]]


def test_cka_of_unrelated_features_is_about_0():
    pairs = [
        Pair({"x": noise(64, 8, 1, 1, seed=s)}, {"y": noise(64, 8, 1, 1, seed=s + 99)})
        for s in range(20)
    ]
    assert abs(float(cka(pairs)[2])) < 0.05


def test_batches_that_are_too_small_are_left_out():
    x = noise(3, 2, 1, 1)
    with pytest.raises(ValueError, match="4 pictures"):
        cka([Pair({"x": x}, {"y": x})])


def test_a_counterpart_is_found_in_any_layer_by_its_correlation():
    x = noise(6, 4, 8, 8)
    other = {"far": noise(6, 5, 8, 8, seed=4), "near": noise(6, 3, 8, 8, seed=5)}
    other["near"][:, 1] = 5 * x[:, 2] + 0.1 * noise(6, 8, 8, seed=6)
    halves = [
        Pair({"l": x[i : i + 3]}, {n: m[i : i + 3] for n, m in other.items()}) for i in (0, 3)
    ]
    found = counterparts(halves, "l", 2, k=3)
    assert found[0][:2] == ("near", 1)
    a, b = x[:, 2].flatten(), other["near"][:, 1].flatten()
    assert found[0].correlation == pytest.approx(float(torch.corrcoef(torch.stack([a, b]))[0, 1]))
    assert found[1].correlation < 0.3


def test_maps_of_different_sizes_are_compared_by_places():
    fine = torch.zeros(1, 1, 16, 16)
    fine[..., :4, 8:12] = 1  # the top row of cells 0 and 1, columns 4 and 5
    coarse = on_grid(fine)
    assert coarse.shape == (1, 1, 8, 8)
    assert coarse[0, 0, :2, 4:6].min() == 1
    assert coarse.sum() == 4
    assert on_grid(torch.ones(1, 1, 4, 4)).shape == (1, 1, 8, 8)


def test_a_channel_that_never_changes_has_no_counterpart():
    x = noise(4, 1, 8, 8)
    found = counterparts([Pair({"l": x}, {"m": torch.ones(4, 2, 8, 8)})], "l", 0)
    assert [one.correlation for one in found] == [0, 0]


def test_a_network_is_its_own_best_kin():
    """The diagonal of CKA with itself is 1 and the maximum; a channel's counterpart is itself."""
    model = zoo_adapters.load("bundled:scenes-resnet")
    drawn = [torch.from_numpy(scene(100_000 + i).image).permute(2, 0, 1) / 255 for i in range(24)]
    names = ("conv1", "layer1", "layer2", "layer3", "layer4")
    with torch.no_grad():
        maps = featvis.record(model, torch.stack(drawn), *names)
    one, other, found = cka([Pair(maps, maps)])
    assert one == other == list(names)
    assert torch.allclose(found.diagonal(), torch.ones(5, dtype=torch.double))
    assert found.argmax(1).tolist() == [0, 1, 2, 3, 4]
    best = counterparts([Pair(maps, maps)], "layer3", 7)[0]
    assert (best.layer, best.channel) == ("layer3", 7)
    assert best.correlation == pytest.approx(1)


# --- neighbours -----------------------------------------------------------------------------------


def test_overlap_of_neighbours_is_its_definition():
    make = torch.Generator().manual_seed(3)
    one, other = torch.randn(30, 6, generator=make), torch.randn(30, 4, generator=make)
    found = neighbour_overlap(one, other, 4)
    for n in range(30):
        near, cosines = [], []
        for x in (one.double(), other.double()):
            of = [float(x[n] @ x[m] / x[n].norm() / x[m].norm()) for m in range(30)]
            near.append(sorted((m for m in range(30) if m != n), key=lambda m: -of[m])[:4])
            cosines.append(of)
        assert found.one[n].tolist() == near[0]
        assert found.other[n].tolist() == near[1]
        assert float(found.share[n]) == pytest.approx(len({*near[0]} & {*near[1]}) / 4)
        apart = [
            sum(of[m] for m in own) / 4 - sum(of[m] for m in foreign) / 4
            for of, own, foreign in zip(cosines, near, near[::-1], strict=True)
        ]
        assert float(found.apart[n]) == pytest.approx(sum(apart) / 2, abs=1e-5)


def test_neighbours_survive_a_rotation_but_not_a_shuffle():
    make = torch.Generator().manual_seed(4)
    one = torch.randn(1500, 16, generator=make)  # more than one chunk
    turn = torch.linalg.qr(torch.randn(16, 16, generator=make)).Q
    same = neighbour_overlap(one, 3 * one @ turn)
    assert float(same.share.mean()) > 0.999
    assert float(same.apart.abs().max()) < 1e-5
    shuffled = neighbour_overlap(one, one[torch.randperm(1500, generator=make)])
    assert float(shuffled.share.mean()) == pytest.approx(10 / 1499, abs=0.003)
    with pytest.raises(ValueError, match="in common"):
        neighbour_overlap(one, one[:9])
