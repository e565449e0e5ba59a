"""Real ImageNet weights on real photographs: the maps are exact, and they point at the evidence."""

import pytest
import torch

import featvis
import zoo_adapters

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def mobilenet(real_data):
    folder = real_data / "weights" / "mobilenetv2_100.coral_qat_in1k"
    return zoo_adapters.load(f"timm:local-dir:{folder}")


@pytest.fixture(scope="module")
def photographs(real_data, mobilenet):
    """Photographs that the network recognizes: (image, class)."""
    found = []
    for path in sorted((real_data / "images").glob("*.jpg"))[::6]:
        image, target = zoo_adapters.read_image(path, mobilenet), int(path.name[:4])
        if int(mobilenet(image).argmax()) == target:
            found.append((image, target))
    assert len(found) >= 25
    return found


def test_cam_adds_up_to_the_logit_on_photographs(mobilenet, photographs):
    assert mobilenet.head.kind == "exact"
    residuals = [float(featvis.cam(mobilenet, image, t).residual) for image, t in photographs]
    assert max(residuals) <= 1e-4
    assert max(residuals) < 1e-6, "float32 rounding is expected"


@pytest.mark.parametrize("method", ["cam", "grad_cam"])
def test_hiding_the_evidence_lowers_the_logit_more_than_hiding_the_rest(
    mobilenet, photographs, method
):
    right = 0
    for image, target in photographs:
        heat = featvis.METHODS[method].run(mobilenet, image, target)
        at = torch.stack(torch.meshgrid(*[torch.arange(224) + 0.5] * 2, indexing="ij"), -1)
        placed = featvis.render.sample(heat.values, heat.place, at)[0]
        order = placed.flatten().argsort()
        quarter = len(order) // 4
        grey = image.values.mean((2, 3), keepdim=True)
        logits = []
        for hidden in (order[-quarter:], order[:quarter]):
            mask = torch.zeros(224 * 224).index_fill_(0, hidden, 1.0).reshape(224, 224)
            logits.append(mobilenet(image.values * (1 - mask) + grey * mask)[0, target])
        right += bool(logits[0] < logits[1])
    assert right >= 0.9 * len(photographs)


def test_the_sanity_verdict_passes_an_exact_cam(mobilenet, photographs):
    for image, target in photographs[:4]:
        last = featvis.sanity(lambda m, i=image, t=target: featvis.cam(m, i, t), mobilenet)[-1]
        verdict = last.verdict
        assert verdict.passes
        single = last.correlation[:, 0].abs()
        assert abs(verdict.correlation.mean) < float(single.max()), "one draw says less"


def test_first_layer_filters_are_edges_and_colours_not_noise(mobilenet):
    weights = featvis.filters(mobilenet).values
    assert weights.shape == (32, 3, 3, 3)
    noise = torch.randn(weights.shape, generator=torch.Generator().manual_seed(0))
    assert _carried_by_five(weights) > 0.8 > 0.6 > _carried_by_five(noise)


def _carried_by_five(filters):
    """The share of the filters' energy that five shapes carry; 5 / 27 of infinitely many random."""
    energy = torch.linalg.svdvals(filters.flatten(1)).square()
    return float(energy[:5].sum() / energy.sum())


def test_measured_centres_of_this_network_are_off_the_proportional_ones(mobilenet):
    # its convolutions pad at the right and the bottom only: positions lie half a stride further
    assert mobilenet.head.place.start == (31.5, 31.5)
    assert mobilenet.head.place.step == (32, 32)


def test_pictures_made_of_classes_are_recognized(mobilenet):
    classes = [130, 949, 340]  # flamingo, strawberry, zebra
    *_, made = featvis.maximize(mobilenet, classes, steps=80, size=160)
    seen = torch.nn.functional.interpolate(made.values, mobilenet.size, mode="bicubic").clamp(0, 1)
    assert float(mobilenet(seen).softmax(1)[range(3), classes].min()) >= 0.9
    assert not made.notes
