"""Faithfulness, localization and the sanity check, against literal ways to compute them."""

from __future__ import annotations

import copy
import math
import statistics
from dataclasses import replace

import pytest
import torch
from torch import nn

import featvis
from featvis import Aim, Contrast, WrongRequest
from featvis.gradients.statistics import mean_interval, rank_correlation
from featvis.measures.faithfulness import ranks
from featvis.measures.localization import iou, largest_region, peaks, surrounding
from featvis.measures.sanity import Stage, weighted_modules
from featvis.progress import watched
from featvis.types import Attribution, Heatmap, Place, Rectangle
from tests.support import tiny

H, W = tiny.SIZE


@pytest.fixture(scope="module")
def model():
    return tiny.model(tiny.nets()["GAP + MLP"])


def maps(count: int = 2, seed: int = 3) -> torch.Tensor:
    """Noise maps (count, H, W), so that no two cells tie."""
    make = torch.Generator().manual_seed(seed)
    return torch.rand(count, H, W, generator=make, dtype=torch.double)


def heat(values: torch.Tensor, place: Place) -> Heatmap:
    """A heat map of nothing in particular."""
    none = torch.full((len(values),), -1)
    return Heatmap(values, "", place, "something", values.amax((1, 2)), none)


def literal(model, image, evidence, target, steps, kind):
    """The curve of one picture and one map, pixel by pixel, as the paper words it."""
    order = sorted(range(H * W), key=lambda i: -float(evidence.flatten()[i]))
    empty = torch.zeros_like(image) + model.mean
    if kind == "insertion":
        empty = featvis.gradients.samples.blurred(image)
    found = []
    for step in range(steps + 1):
        changed = order[: math.ceil(step / steps * H * W)]
        picture = (empty if kind == "insertion" else image).clone().flatten(2)
        source = (image if kind == "insertion" else empty).flatten(2)
        picture[:, :, changed] = source[:, :, changed]
        found.append(model(picture.unflatten(2, (H, W))).softmax(1)[0, target])
    return torch.stack(found)


@pytest.mark.parametrize("kind", ["insertion", "deletion"])
def test_a_curve_ranked_by_pixels_is_the_literal_one(model, kind):
    image, evidence = tiny.images(2), maps(2)
    curve = getattr(featvis, kind)(
        Aim(model, torch.tensor([1, 3])), image, evidence, steps=8, cells=H, batch=3
    )
    for i, target in enumerate((1, 3)):
        wanted = literal(model, image[i : i + 1], evidence[i], target, 8, kind)
        torch.testing.assert_close(curve.answers[i], wanted, rtol=0, atol=1e-12)
        assert float(curve.auc[i]) == pytest.approx(float(torch.trapezoid(wanted, dx=1 / 8)))


def test_many_maps_of_one_picture_are_each_map_alone(model):
    image, evidence, aim = tiny.images(1), maps(3), Aim(model, 2)
    together = featvis.insertion(aim, image, evidence, steps=4, cells=6)
    for i in range(3):
        alone = featvis.insertion(aim, image, evidence[i : i + 1], steps=4, cells=6, batch=1)
        torch.testing.assert_close(together.auc[i], alone.auc[0], rtol=0, atol=1e-12)


def test_a_cell_is_changed_as_a_whole_and_shares_are_of_cells():
    rank = ranks(maps(1), 4)  # 24x32 pixels: 4x5 cells
    cell = rank[0, :6, :7]
    assert cell.unique().numel() == 1
    assert rank.unique().tolist() == pytest.approx([i / 20 for i in range(20)])
    strongest = torch.zeros(1, H, W)
    strongest[0, 20, 30] = 1
    assert float(ranks(strongest, 4)[0, 23, 31]) == 0


def test_a_contrast_is_measured_by_the_probability_of_one_of_the_two(model):
    image = tiny.images(1)
    curve = featvis.deletion(Aim(model, Contrast(1, 3)), image, maps(1), steps=2)
    of, against = model(image)[0, [1, 3]]
    wanted = torch.stack([of, against]).softmax(0)[0]
    assert float(curve.answers[0, 0]) == pytest.approx(float(wanted))


@pytest.mark.parametrize("kind", ["insertion", "deletion"])
def test_a_neuron_is_measured_from_0_to_1(model, kind):
    aim = Aim(model, None, "trunk.conv2", 1)
    curve = getattr(featvis, kind)(aim, tiny.images(2), maps(2), steps=4)
    ends = (0.0, 1.0) if kind == "insertion" else (1.0, 0.0)
    assert curve.answers[:, 0].tolist() == pytest.approx([ends[0]] * 2)
    assert curve.answers[:, -1].tolist() == pytest.approx([ends[1]] * 2)


def test_the_best_map_of_a_linear_network_beats_a_random_one(model):
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 4, 4)
            self.fc = nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(self.conv(x).mean((2, 3)))

    linear, image = tiny.model(Linear()), tiny.images(2)
    evidence = featvis.gradient_x_input(linear, image, 1)
    aim = Aim(linear, 1)
    assert (
        featvis.deletion(aim, image, evidence).auc < featvis.deletion(aim, image, maps(2)).auc
    ).all()


def test_maps_of_other_pictures_are_refused(model):
    with pytest.raises(featvis.WrongRequest, match="are not of pictures"):
        featvis.insertion(Aim(model, 1), tiny.images(2), maps(3))
    with pytest.raises(featvis.WrongRequest, match="are not of pictures"):
        featvis.insertion(Aim(model, 1), tiny.images(1), maps(1)[:, :-1])


def regions(mask: torch.Tensor) -> list[set[tuple[int, int]]]:
    """All connected regions of a mask, by walking."""
    left, found = {tuple(at) for at in mask.nonzero().tolist()}, []
    while left:
        region, todo = set(), [next(iter(left))]
        while todo:
            r, c = todo.pop()
            if (r, c) in left:
                left.discard((r, c))
                region.add((r, c))
                todo += [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        found.append(region)
    return found


def test_the_largest_region_is_the_one_found_by_walking():
    make = torch.Generator().manual_seed(0)
    masks = torch.rand(40, 13, 17, generator=make) < torch.linspace(0.05, 0.6, 40)[:, None, None]
    for mask, made in zip(masks, largest_region(masks), strict=True):
        walked = regions(mask)
        assert set(map(tuple, made.nonzero().tolist())) in walked
        assert int(made.sum()) == max(map(len, walked))


def test_a_box_lies_round_what_exceeds_a_fifth_of_the_maximum():
    values = torch.zeros(3, H, W, dtype=torch.double)
    values[0, 3:9, 5:20] = 0.21
    values[0, 20, 30] = 1  # alone: the maximum, not the largest region
    values[1] = -1
    result = Attribution(values, "x", values.amax((1, 2)), values)
    found = featvis.boxes(result, (H, W))
    assert found[0] == Rectangle(3, 5, 9, 20)
    assert found[1:] == [None, None]
    assert featvis.boxes(result, (H, W), share=0.3)[0] == Rectangle(20, 30, 21, 31)


def test_overlap_of_boxes():
    assert iou(Rectangle(0, 0, 2, 2), Rectangle(0, 0, 2, 2)) == 1
    assert iou(Rectangle(0, 0, 2, 2), Rectangle(0, 1, 2, 3)) == pytest.approx(1 / 3)
    assert iou(Rectangle(0, 0, 2, 2), Rectangle(5, 5, 6, 6)) == 0
    assert surrounding(torch.zeros(3, 3, dtype=torch.bool)) is None


def test_the_peak_is_the_centre_of_the_strongest_position():
    values = torch.zeros(1, 3, 4)
    values[0, 2, 1] = 1
    result = heat(values, Place((3.5, 4.0), (8.0, 8.0)))
    assert peaks(result).tolist() == [[19.5, 12.0]]
    mask = torch.zeros(1, H, W)
    mask[0, 19, 12] = 1
    assert featvis.pointing(result, mask).tolist() == [True]
    assert featvis.pointing(result, 1 - mask).tolist() == [False]


def test_rank_correlation_with_ties():
    a = torch.tensor([[1.0, 2, 2, 3]])
    b = torch.tensor([[10.0, 20, 20, 90]])
    assert float(rank_correlation(a, b)) == pytest.approx(1)
    assert float(rank_correlation(a, -b)) == pytest.approx(-1)
    # ranks 1 2.5 2.5 4 and 1 2 3 4: 4.5 / sqrt(4.5 x 5)
    c = torch.tensor([[1.0, 2, 3, 4]])
    assert float(rank_correlation(a, c)) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert float(rank_correlation(a, torch.ones(1, 4))) == 0


NETS = ("GAP + BN + FC", "GAP + MLP", "tokens, class token", "squeeze-excite", "channels last")


@pytest.mark.parametrize("net", NETS)
def test_weights_are_drawn_anew_from_the_head_down_on_a_copy(net):
    model, image = tiny.model(tiny.nets()[net]), tiny.images(1)
    kept, seen = copy.deepcopy(model.module.state_dict()), []

    def explain(network):
        seen.append(copy.deepcopy(network.module.state_dict()))
        return featvis.saliency(network, image, 1)

    found = featvis.sanity(explain, model, stages=3)
    names = weighted_modules(model)
    assert [stage.down_to for stage in found] == [
        names[-1], names[len(names) - 1 - round((len(names) - 1) / 2)], names[0]
    ]  # fmt: skip
    assert all(torch.equal(model.module.state_dict()[k], v) for k, v in kept.items())
    assert all(torch.equal(seen[0][k], v) for k, v in kept.items())
    matrices = [k for k, p in model.module.named_parameters() if p.ndim > 1 and p.std() > 0]
    changed = [[k for k in matrices if not torch.equal(s[k], kept[k])] for s in seen[1:]]
    assert changed[0] == [k for k in matrices if k.startswith(f"{names[-1]}.")]
    assert changed[2] == matrices


def test_the_same_seed_draws_the_same_weights_and_no_other_random_number(model):
    image, before = tiny.images(1), torch.get_rng_state()

    def explain(network):
        return featvis.cam(network, image, 1)

    runs = [featvis.sanity(explain, model, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(before, torch.get_rng_state())
    last = [run[-1].result.values for run in runs]
    assert torch.equal(last[0], last[1])
    assert not torch.equal(last[0], last[2])


def test_sanity_finds_a_map_that_ignores_the_network(model):
    image = tiny.images(2)

    def edges(network):
        values = image.mean(1)
        return replace(heat(values, Place((0.5, 0.5), (1.0, 1.0))))

    for stage in featvis.sanity(edges, model):
        assert stage.correlation.flatten().tolist() == pytest.approx(
            [1.0] * stage.correlation.numel()
        )
    assert stage.verdict.correlation == pytest.approx((1, 0))
    assert stage.verdict.fails
    last = featvis.sanity(lambda m: featvis.saliency(m, image, 1), model)[-1]
    assert (last.correlation.abs() < 0.9).all()
    assert not last.verdict.fails


def mean_ranks(values):
    """By comparing each value with each."""
    flat = values.flatten()
    above, equal = (flat[:, None] > flat).sum(1), (flat[:, None] == flat).sum(1)
    return above.double() + equal.double() / 2


def test_each_draw_of_all_weights_is_another_and_counts(model):
    image, maps = tiny.images(2), []

    def explain(network):
        maps.append(featvis.saliency(network, image, 1).map)
        return featvis.saliency(network, image, 1)

    last = featvis.sanity(explain, model, stages=2, draws=5)[-1]
    assert last.correlation.shape == (5, 2)
    drawn = [maps[2], *maps[3:]]  # after the network as it is, and that with its head drawn
    for row, found in zip(last.correlation, drawn, strict=True):
        for i in range(2):
            both = torch.stack([mean_ranks(maps[0][i]), mean_ranks(found[i])])
            assert float(row[i]) == pytest.approx(float(torch.corrcoef(both)[0, 1]), abs=1e-6)
    assert len({tuple(row.tolist()) for row in last.correlation}) == 5


@pytest.mark.parametrize(
    ("count", "quantile"), [(4, 3.182446), (5, 2.776445), (8, 2.364624), (20, 2.093024)]
)
def test_the_interval_is_that_of_students_t(count, quantile):
    values = torch.randn(count, generator=torch.Generator().manual_seed(count)).tolist()
    found = mean_interval(torch.tensor(values))
    assert found.mean == pytest.approx(statistics.mean(values), abs=1e-6)
    error = statistics.stdev(values) / math.sqrt(count)
    assert found.half == pytest.approx(quantile * error, rel=0.01)


CASES = {  # correlations of the draws -> what can be said
    "surely the same": ([0.9, 0.8, 0.85, 0.95], "fails"),
    "surely another": ([0.1, -0.1, 0.0, 0.2], "passes"),
    "the opposite is another": ([-0.8, -0.7, -0.78, -0.9], "passes"),
    "one high draw of a coarse map": ([0.78, -0.3, 0.4, -0.5, 0.1, 0.2, -0.6, 0.3], "passes"),
    "too much spread": ([0.9, 0.2, 0.8, 0.1], ""),
    "about the limit": ([0.52, 0.5, 0.48, 0.51], ""),
}


@pytest.mark.parametrize(("values", "said"), CASES.values(), ids=CASES.keys())
def test_a_verdict_needs_an_interval_on_one_side(values, said):
    stage = Stage(
        "conv", heat(torch.rand(1, 4, 4), Place((0.5, 0.5), (1, 1))), torch.tensor(values)[:, None]
    )
    found = stage.verdict
    assert (found.fails, found.passes) == (said == "fails", said == "passes")


@pytest.mark.parametrize("asked", [{"draws": 3}, {"stages": 1}, {"draws": 0}])
def test_too_few_draws_or_stages_are_refused(model, asked):
    with pytest.raises(WrongRequest, match="2 stages and 4 draws at least"):
        featvis.sanity(lambda m: featvis.cam(m, tiny.images(1), 1), model, **asked)


def test_it_can_be_stopped_between_stages(model):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watched(stop):
        featvis.sanity(lambda m: featvis.cam(m, tiny.images(1), 1), model)
