"""Every registered method leaves the network, the input and the random state as they were."""

import inspect

import pytest
import torch

import featvis
from tests.support import tiny

METHODS = featvis.METHODS.values()
NETS = ("GAP + MLP", "tokens, average behind a prefix", "channels last", "functional ReLU")


@pytest.fixture(scope="module")
def models():
    return {name: tiny.model(net) for name, net in tiny.nets().items() if name in NETS}


def state(model, image):
    """All that a method could change."""
    module = model.module
    return {
        "tensors": {k: (v.clone(), v._version) for k, v in module.state_dict().items()},
        "training": [child.training for child in module.modules()],
        "gradients": [(p.requires_grad, p.grad) for p in module.parameters()],
        "hooks": [
            (len(c._forward_hooks), len(c._forward_pre_hooks), len(c._backward_hooks))
            for c in module.modules()
        ],
        "names": [name for name, _ in module.named_modules()],
        "random": torch.get_rng_state(),
        "image": (image.clone(), image.requires_grad, image.grad),
        "grad mode": torch.is_grad_enabled(),
    }


def same(a, b):
    """Equality of nested containers of tensors."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def arguments(method, model, image):
    """A full subject for a method, as the window would have it."""
    chosen = {
        "model": model,
        "image": image,
        "target": 1,
        "layer": next(iter(model.layers)),
        "channel": 2,
        "position": None,
    }
    return {name: chosen[name] for name in method.subject}


def results(method, given):
    """The last result of a method, in few steps; none where the network lacks what it needs."""
    if method.missing(given["model"]):
        with pytest.raises(featvis.WrongRequest):
            method.run(**given)
        return []
    short = {"steps": 3} if method.generator else {}
    made = method.run(**given, **short)
    return list(made)[-1:] if inspect.isgenerator(made) else [made]


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_nothing_is_changed_and_the_same_call_gives_the_same_result(models, method, net):
    model, image = models[net], tiny.images(2)
    before = state(model, image)
    first = results(method, arguments(method, model, image))
    assert same(before, state(model, image))
    second = results(method, arguments(method, model, image))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.values, b.values)
        assert isinstance(a, method.result)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_nothing_is_changed_after_an_exception(models, method):
    model, image = models["GAP + MLP"], tiny.images(2)
    if method.missing(model):
        model = models["tokens, average behind a prefix"]

    def fail(*_):
        raise FloatingPointError

    first = next(m for m in model.module.modules() if isinstance(m, torch.nn.Conv2d))
    handle = first.register_forward_hook(fail)
    before = state(model, image)
    try:
        if "image" in method.subject:
            with pytest.raises(FloatingPointError):
                results(method, arguments(method, model, image))
        assert same(before, state(model, image))
    finally:
        handle.remove()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    "method", [m for m in METHODS if "image" in m.subject], ids=lambda m: m.name
)
def test_a_batch_of_two_equals_two_singles(models, method, net):
    model, image = models[net], tiny.images(2)
    if method.missing(model):
        model = models["tokens, average behind a prefix"]
    together = results(method, arguments(method, model, image))[-1]
    for i in range(2):
        alone = results(method, arguments(method, model, image[i : i + 1]))[-1]
        torch.testing.assert_close(together.values[i : i + 1], alone.values, rtol=0, atol=1e-12)


def test_threads_that_share_a_model_do_not_disturb_one_another(models):
    from concurrent.futures import ThreadPoolExecutor

    model = models["GAP + MLP"]
    pictures = [tiny.images(1, seed=seed) for seed in range(6)]
    calls = [
        (run, image)
        for image in pictures
        for run in (
            lambda x: featvis.cam(model, x, 1).values,
            lambda x: featvis.grad_cam(model, x, 1, "trunk.conv2").values,
            lambda x: featvis.feature_maps(model, x, "trunk.conv1").values,
            lambda x: featvis.saliency(model, x, layer="trunk.conv2", channel=1).values,
        )
    ]
    alone = [run(image) for run, image in calls]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            together = list(pool.map(lambda call: call[0](call[1]), calls))
            for a, b in zip(alone, together, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
