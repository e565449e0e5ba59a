"""An index of a real network over photographs: patches hold what excites, neighbours are akin."""

import math

import pytest
import torch

import featvis
import zoo_adapters
from app.index import build, open_index, source_of
from featvis.probe import embed, patch

pytestmark = pytest.mark.real
PRIMATES = ("monkey", "marmoset", "titi", "capuchin", "indri", "orangutan", "patas", "gorilla")


@pytest.fixture(scope="module")
def mobilenet(real_data):
    folder = real_data / "weights" / "mobilenetv2_100.coral_qat_in1k"
    return zoo_adapters.load(f"timm:local-dir:{folder}")


@pytest.fixture(scope="module")
def index(real_data, mobilenet, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FEATVIS_INDEXES", str(tmp_path_factory.mktemp("indexes")))
        build(mobilenet, source_of(f"folder:{real_data / 'images'}"))
        yield open_index(mobilenet)


def picks(index, layers):
    """Two channels of each layer, and their strongest pictures."""
    for layer in layers:
        for channel in (1, index.channels(layer) // 2):
            yield layer, channel, index.top(layer, channel)


def test_all_layers_are_there_and_hits_are_where_the_network_has_them(index, mobilenet, real_data):
    assert index.layers == tuple(mobilenet.layers)
    assert (index.count, index.manifest.broken) == (200, ())
    for layer, channel, hits in picks(index, list(index.layers)[::16]):
        for hit in hits[:2]:
            image = zoo_adapters.read_image(real_data / "images" / hit.image, mobilenet)
            maps = featvis.record_units(mobilenet, image, layer)[layer][0, channel]
            assert float(maps.max()) == pytest.approx(hit.value, rel=1e-3, abs=1e-3)
            assert float(maps[hit.position]) == pytest.approx(hit.value, rel=1e-3, abs=1e-3)


def test_what_lies_outside_a_patch_does_not_matter(index, mobilenet, real_data):
    layers = [n for n, x in mobilenet.layers.items() if x.field[0] < 150][::6]
    assert len(layers) >= 5
    for layer, channel, hits in picks(index, layers):
        image = zoo_adapters.read_image(real_data / "images" / hits[0].image, mobilenet).values
        box = patch(mobilenet, layer, hits[0].position).box
        assert box.height < 224
        rows = slice(math.floor(box.top), math.ceil(box.bottom))
        columns = slice(math.floor(box.left), math.ceil(box.right))
        other = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
        other[:, :, rows, columns] = image[:, :, rows, columns]
        maps = featvis.record_units(mobilenet, other, layer)[layer][0, channel]
        found = float(maps[hits[0].position])
        assert found == pytest.approx(hits[0].value, rel=1e-3, abs=1e-3), layer


def test_the_pictures_nearest_to_a_monkey_are_monkeys(index):
    query = next(name for name in index.names if "capuchin" in name)
    found = [n.image for n in index.neighbours(index.embedding(query), 6)]
    assert found[0] == query
    assert sum(any(word in name for word in PRIMATES) for name in found[1:]) >= 3


def test_a_picture_of_another_size_finds_itself(index, mobilenet):
    name = index.names[17]
    picture = index.picture(name)
    double = picture.resize((2 * picture.width, 2 * picture.height))
    near = index.neighbours(embed(mobilenet, zoo_adapters.read_image(double, mobilenet)), 2)
    assert near[0].image == name
    assert near[0].cosine > 0.95
