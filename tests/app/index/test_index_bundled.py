"""The indexes that come with featvis: they answer at once, and what they say is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import featvis
import zoo_adapters
from app.index import open_index
from app.index.build import BATCH, plan_of, shard_of
from app.index.scenes import COUNT, FIRST, Scenes
from featvis.probe import embed, patch, probe, strongest
from zoo_adapters import bundled
from zoo_adapters.bundled.scenes import CLASSES, PARTS, scene

pytestmark = pytest.mark.slow
NAMES = zoo_adapters.names("bundled")


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path))


def test_together_they_have_at_most_six_megabytes():
    files = [f for f in bundled.indexes().rglob("*") if f.is_file() and ".part" not in str(f)]
    assert {f.parent.name for f in files} == {name.partition(":")[2] for name in NAMES}
    assert sum(f.stat().st_size for f in files) <= 6_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_hit_is_where_the_network_has_its_value(name):
    model = zoo_adapters.load(name)
    index = open_index(model)
    assert index.layers == tuple(model.layers)
    assert index.count == 5000
    for layer in (index.layers[len(index.layers) // 3], index.layers[-1]):
        channel = index.channels(layer) // 2
        for hit in (*index.top(layer, channel)[:2], *index.bottom(layer, channel)[:1]):
            image = zoo_adapters.read_image(index.picture(hit.image), model)
            maps = featvis.record(model, image, layer)[layer][0, channel]
            edge = maps.min() if hit in index.bottom(layer, channel) else maps.max()
            assert float(maps[hit.position]) == pytest.approx(float(edge), rel=1e-3, abs=1e-3)
            assert hit.value == pytest.approx(float(edge), rel=2e-3, abs=2e-3)
            assert index.label(hit.image) == CLASSES[scene(int(hit.image[6:])).label]
        assert [h.value for h in index.top(layer, channel)] == sorted(
            (h.value for h in index.top(layer, channel)), reverse=True
        )


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_are_those_of_whole_embeddings(name):
    """Few directions and 8 bits keep the order of neighbours, and nearly their cosines."""
    model = zoo_adapters.load(name)
    index = open_index(model)
    names = [f"scene-{FIRST + i}" for i in range(40)]
    whole = torch.cat(
        [embed(model, zoo_adapters.read_image(picture, model)) for picture in index.pictures(names)]
    )
    kept = torch.stack([index.embedding(name) for name in names])
    exact = torch.nn.functional.normalize(whole, dim=1)
    assert float((kept @ kept.T - exact @ exact.T).abs().max()) < 0.03
    for row in range(3):
        found = index.neighbours(whole[row : row + 1], 3)
        assert found[0].image == names[row]
        assert found[0].cosine > 0.98


def test_a_patch_lies_where_the_whole_picture_says():
    model = zoo_adapters.load("bundled:scenes-resnet")
    index = open_index(model)
    for hit in index.top("layer2", 9, k=2):
        image = zoo_adapters.read_image(index.picture(hit.image), model)
        found = index.patch(model, "layer2", hit.position, hit.image)
        assert found == patch(model, "layer2", hit.position, image)


def detectors(index):
    """(IoU, part, layer, channel) of the best part of every channel, each tensor once."""
    seen = set()
    for layer in index.layers:
        if index.manifest.layers[layer] not in seen:
            seen.add(index.manifest.layers[layer])
            for channel in range(index.channels(layer)):
                best = index.parts(layer, channel)[0]
                yield best.iou, best.name, layer, channel


def test_scenes_resnet_has_part_detectors():
    found = list(detectors(open_index(zoo_adapters.load("bundled:scenes-resnet"))))
    assert len([d for d in found if d[0] >= 0.25]) >= 20
    for part in ("wheel", "eye", "window"):
        assert max(d[0] for d in found if d[1] == part) >= 0.2, part


@pytest.mark.parametrize("part", ["wheel", "eye", "window"])
def test_the_best_detector_of_a_part_fires_on_that_part_in_scenes_it_never_met(part):
    """On new scenes that show the part, the strongest position of its channel lies on it."""
    model = zoo_adapters.load("bundled:scenes-resnet")
    index = open_index(model)
    _, _, layer, channel = max(d for d in detectors(index) if d[1] == part)
    place = model.layer(layer).place
    on, chance, seen = 0, 0.0, 0
    for seed in range(FIRST + 500_000, FIRST + 500_400):
        made = scene(seed)
        mask = made.parts.get(part, np.zeros(1, bool))
        if mask.mean() < 0.004:
            continue
        image = torch.from_numpy(made.image).permute(2, 0, 1)[None] / 255
        maps = featvis.record(model, image, layer)[layer][0, channel]
        row, column = divmod(int(maps.argmax()), maps.shape[1])
        y, x = (int(min(max(v, 0), 127)) for v in place.center((row, column)))
        on += bool(mask[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5].any())
        chance += float(mask.mean())
        seen += 1
        if seen == 25:
            break
    assert seen >= 10
    assert on / seen >= 0.5, (layer, channel, on, seen)
    assert on / seen >= 4 * chance / seen


def test_parts_are_those_that_scenes_have():
    assert open_index(zoo_adapters.load("bundled:scenes-resnet")).manifest.parts == PARTS


def test_a_part_that_is_looked_at_again_gives_what_is_shipped():
    """The first batches again, as a build cuts them: each shipped hit in them is found again.

    The same numbers on a like processor, whatever the torch; another processor may round a float32
    otherwise, and so the 16 bits of a value, or choose another one of two positions that are nearly
    equal.
    """
    model = zoo_adapters.load("bundled:scenes-resnet")
    index, source = open_index(model), Scenes(COUNT, workers=1)
    state, few = probe(model, k=9, classes=len(CLASSES)), 2 * BATCH
    plan = plan_of(model, source, packed=True)
    shard_of(replace(plan, shard=few), model, source, 0, state)
    equal = same = total = 0
    for layer in index.layers:
        best = state.tally(layer).top
        for channel in range(index.channels(layer)):
            again = {f"scene-{FIRST + n}": (v, p) for n, v, p in strongest(best, channel)}
            for hit in index.top(layer, channel):
                if int(hit.image[6:]) >= FIRST + few:
                    continue
                value, position = again[hit.image]
                assert hit.value == pytest.approx(value, rel=2e-3, abs=1e-3)
                width = index.manifest.sizes[layer][1]
                total += 1
                equal += hit.value == float(np.float16(value))
                same += divmod(position, width) == hit.position
    assert total > 200
    assert min(equal, same) >= 0.99 * total
    assert (plan.source, plan.digest) == (index.manifest.source, index.manifest.digest)
    assert plan.weights == index.manifest.weights
