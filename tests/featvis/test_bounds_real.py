"""A real network with ReLU6 over photographs: its last channels are told apart."""

from __future__ import annotations

import pytest
import torch

import featvis
import zoo_adapters
from app.index import build, open_index, source_of

pytestmark = pytest.mark.real
LAST, EARLIER = "bn2", "blocks.3.2.bn2"


@pytest.fixture(scope="module")
def mobilenet(real_data):
    folder = real_data / "weights" / "mobilenetv2_100.coral_qat_in1k"
    return zoo_adapters.load(f"timm:local-dir:{folder}")


@pytest.fixture(scope="module")
def index(real_data, mobilenet, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FEATVIS_INDEXES", str(tmp_path_factory.mktemp("indexes")))
        source = source_of(f"folder:{real_data / 'images'}")
        build(mobilenet, source, layers=[EARLIER, LAST])
        yield open_index(mobilenet)


@pytest.fixture(scope="module")
def maxima(index, mobilenet, real_data):
    """Per layer the maxima (200, C) of what its ReLU6 takes, one photograph at a time."""
    found: dict[str, list[torch.Tensor]] = {EARLIER: [], LAST: []}
    handles = [
        mobilenet.module.get_submodule(f"{name}.act").register_forward_pre_hook(
            lambda _, taken, name=name: found[name].append(taken[0].amax((2, 3))[0])
        )
        for name in found
    ]
    for name in index.names:
        with torch.no_grad():
            mobilenet(zoo_adapters.read_image(real_data / "images" / name, mobilenet))
    for handle in handles:
        handle.remove()
    return {name: torch.stack(rows) for name, rows in found.items()}


def test_layers_behind_a_relu6_are_found(mobilenet):
    bounded = [layer for layer in mobilenet.layers.values() if layer.bound]
    assert {str(layer.bound) for layer in bounded} == {"ReLU6"}
    assert len(bounded) == 35  # of its 35 blocks' ReLU6, each ends one layer
    assert mobilenet.layer(LAST).bound


@pytest.mark.parametrize("layer", [EARLIER, LAST])
def test_lists_are_those_of_a_literal_loop(index, maxima, layer):
    rows, cut, tied = maxima[layer], 0, 0
    at = {name: row for row, name in enumerate(index.names)}
    for channel in range(rows.shape[1]):
        order = rows[:, channel].argsort(descending=True, stable=True)[:9]
        hits = index.top(layer, channel, 9)
        wanted = pytest.approx(rows[order, channel].tolist(), rel=1e-4)
        assert [hit.value for hit in hits] == wanted
        # pictures whose values are equal up to the rounding of a batch may change places
        assert rows[[at[hit.image] for hit in hits], channel].tolist() == wanted
        cut += hits[-1].value > 6
        # a channel whose inputs are all 0 somewhere gives its bias there, in many pictures
        last = rows[order[-1], channel]
        equal = [int((some == last).sum()) for some in (rows[:, channel], rows[order, channel])]
        ties = index.ties(layer, channel)
        assert (ties.count if ties else equal[1]) == equal[0]
        tied += ties is not None
    if layer == LAST:
        assert tied == 0
        assert cut > 0.9 * rows.shape[1], "all nine were 6.0"


def test_guided_strokes_of_saturated_neurons_are_not_blank(index, mobilenet, real_data):
    for channel in range(0, 1280, 160):
        for hit in index.top(LAST, channel, 3):
            image = zoo_adapters.read_image(real_data / "images" / hit.image, mobilenet)
            ways = {"layer": LAST, "channel": channel, "position": hit.position}
            for method in (featvis.guided_backprop, featvis.saliency, featvis.gradient_x_input):
                found = method(mobilenet, image, **ways)
                assert float(found.values.abs().max()) > 0, (channel, hit, method)
                assert float(found.score) == pytest.approx(hit.value, rel=1e-3)


def test_class_maps_stay_exact(index, mobilenet, real_data):
    for name in index.names[::50]:
        image = zoo_adapters.read_image(real_data / "images" / name, mobilenet)
        assert float(featvis.cam(mobilenet, image).residual) <= 1e-6
        maps = featvis.feature_maps(mobilenet, image, LAST)
        assert float(maps.values.max()) == 6
        assert float(maps.units.max()) > 6
