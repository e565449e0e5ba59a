"""Every method on every bundled network and on a dozen architectures: a picture or a reason."""

import pytest
import torch

import featvis
import zoo_adapters
from benchmarks.sweep.build import small
from benchmarks.sweep.row import CHEAP
from featvis import render
from tests.zoo_adapters.test_conformance import HEADS
from zoo_adapters.bundled.scenes import scene

pytestmark = pytest.mark.slow
BUNDLED = zoo_adapters.names("bundled")
METHODS = featvis.METHODS.values()


@pytest.fixture(scope="module", params=[*BUNDLED, *HEADS])
def model(request):
    """A bundled network, or an architecture at the smallest size that it takes."""
    if request.param in BUNDLED:
        return zoo_adapters.load(request.param)
    return small(request.param, zoo_adapters.describe(request.param).size)


@pytest.fixture(scope="module")
def image(model):
    import PIL.Image

    return zoo_adapters.read_image(PIL.Image.fromarray(scene(7, size=200).image), model)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_picture_or_a_reason(model, image, method):
    layer = list(model.layers)[len(model.layers) // 2]
    subject = {"model": model, "image": image, "layer": layer}
    given = {n: subject[n] for n in method.subject if n in subject and n not in method.optional}
    if reason := method.missing(model):
        assert model.name in reason
        with pytest.raises(featvis.WrongRequest):
            method.run(**given)
        return
    short = {"steps": 2} if method.generator else {}
    result = method.run(**given, **(short if model.name in BUNDLED else CHEAP.get(method.name, {})))
    if method.generator:
        *_, result = result
    assert isinstance(result, method.result)
    assert result.values.isfinite().all()
    picture = render.render(result)
    assert picture.dtype == torch.uint8
    assert picture.shape[2] == 3
    assert picture.float().std() > 0, "nothing is to be seen"


def test_every_layer_gives_its_declared_map(model, image):
    names = list(model.layers)
    for name in names[:: max(1, len(names) // 8)]:
        layer = model.layers[name]
        maps = featvis.feature_maps(model, image, name).values
        assert maps.shape == (1, layer.channels, *layer.size)


def test_a_neuron_of_any_layout_can_be_explained(model, image):
    name = list(model.layers)[len(model.layers) // 3]
    h, w = model.layers[name].size
    found = featvis.saliency(model, image, layer=name, channel=1, position=(h // 2, w // 2))
    assert found.values.isfinite().all()
    assert found.target == f"{name}, channel 1, position {h // 2},{w // 2}"
