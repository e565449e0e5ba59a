"""Grad-CAM and saliency against finite differences, loops and identities."""

import pytest
import torch
from torch import nn

import featvis
from featvis.record import record
from tests.support import oracles, tiny

CNN = ("GAP + FC", "GAP + MLP", "functional ReLU", "squeeze-excite", "flatten", "maximum")


@pytest.mark.parametrize("name", ["GAP + MLP", "flatten"])
def test_grad_cam_is_the_papers_two_equations(models, name):
    model, image = models[name], tiny.images(1)
    maps = record(model, image, "trunk.conv2")["trunk.conv2"]

    def logit(at):
        return model.module.head(at.relu())[0, 2]  # the trunk's ReLU follows conv2

    gradient = oracles.slope(logit, maps)
    found = featvis.grad_cam(model, image, 2, "trunk.conv2").values[0]
    torch.testing.assert_close(found, oracles.grad_cam(maps[0], gradient[0]), rtol=0, atol=1e-7)


def test_grad_cam_at_the_last_map_of_a_linear_head_is_the_positive_part_of_cam(models):
    model, image = models["GAP + FC"], tiny.images(2)
    exact = featvis.cam(model, image, 1).values
    found = featvis.grad_cam(model, image, 1, "trunk").values
    positions = exact[0].numel()
    torch.testing.assert_close(found, exact.relu() / positions, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", CNN)
def test_saliency_of_a_class_is_the_largest_slope_over_colours(models, name):
    model, image = models[name], tiny.images(1, (24, 32))
    small = image[:, :, :, :]
    found = featvis.saliency(model, small, 1)
    row, column = 7, 11
    for color in range(3):

        def logit(value, color=color):
            changed = small.clone()
            changed[0, color, row, column] = value
            return model(changed)[0, 1]

        expected = oracles.slope(logit, small[0, color, row, column].reshape(1))
        torch.testing.assert_close(
            found.values[0, color, row, column], expected[0], atol=1e-7, rtol=0
        )
    torch.testing.assert_close(found.map, found.values.abs().amax(1))


def test_saliency_of_a_linear_network_is_its_weights():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 6, 5))
    model = tiny.model(linear, size=(4, 6))
    found = featvis.saliency(model, tiny.images(1, (4, 6)), 3)
    std = torch.tensor(tiny.STD, dtype=torch.double)[:, None, None]
    torch.testing.assert_close(found.values[0], linear[1].weight[3].reshape(3, 4, 6) / std)


def test_saliency_of_a_neuron_stays_inside_its_receptive_field(models):
    model, image = models["GAP + FC"], tiny.images(1)
    found = featvis.saliency(model, image, layer="trunk.conv2", channel=3, position=(2, 5))
    box = featvis.receptive_field(model, "trunk.conv2", (2, 5)).box
    outside = found.map.clone()
    outside[:, int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = 0
    assert found.map.max() > 0
    assert outside.max() == 0

    def activation(at):
        return record(model, at, "trunk.conv2")["trunk.conv2"][0, 3, 2, 5]

    leaf = image.clone().requires_grad_()
    expected = torch.autograd.grad(activation(leaf), leaf)[0]
    torch.testing.assert_close(found.values, expected)


def test_without_a_target_each_picture_gets_its_predicted_class(models):
    model, image = models["GAP + FC"], tiny.images(4)
    predicted = model(image).argmax(1)
    assert torch.equal(featvis.cam(model, image).classes, predicted)
    assert torch.equal(featvis.grad_cam(model, image).classes, predicted)


def test_behind_a_class_token_grad_cam_takes_the_last_layer_that_has_a_gradient(models):
    model, image = models["tokens, class token"], tiny.images(1)
    last = featvis.grad_cam(model, image, 1, "blocks.1")
    assert last.values.max() == 0
    assert "gradient is zero" in last.notes[0]
    found = featvis.grad_cam(model, image, 1)
    assert found.layer.startswith("blocks.0")
    assert found.values.max() > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"target": 4}, "classes go from 0 to 3"),
        ({"target": -1}, "classes go from 0 to 3"),
        ({"target": 10**30}, "classes go from 0 to 3"),
        ({"target": [0, -(10**30)]}, "classes go from 0 to 3"),
        ({"target": [0, 1, 2]}, "3 classes for 2 pictures"),
        ({"layer": "trunk.conv3"}, "nearest are trunk.conv"),
        ({"layer": "trunk.conv2", "channel": 6}, "channels go from 0 to 5"),
        ({"layer": "trunk.conv2", "channel": 0, "position": (6, 0)}, "rows go from 0 to 5"),
    ],
)
def test_a_wrong_request_is_one_sentence_with_what_is_possible(models, arguments, sentence):
    run = featvis.grad_cam if set(arguments) == {"layer"} else featvis.saliency
    with pytest.raises(featvis.WrongRequest, match=sentence):
        run(models["GAP + FC"], tiny.images(2), **arguments)


def test_an_image_of_the_wrong_form_is_refused(models):
    with pytest.raises(featvis.WrongRequest, match=r"\(B, 3, H, W\)"):
        featvis.cam(models["GAP + FC"], torch.rand(24, 32))
    with pytest.raises(featvis.WrongRequest, match="divide it by 255"):
        featvis.cam(models["GAP + FC"], torch.zeros(1, 3, 24, 32, dtype=torch.uint8))
