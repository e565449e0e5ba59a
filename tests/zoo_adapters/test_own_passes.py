"""Networks as people hold them: wrapped, compiled, scripted, checkpointed, with other token orders.

Each is compared with the same network held plainly, by the same numbers or by plain autograd.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import featvis
import zoo_adapters
from featvis import METHODS, WrongRequest

SIZE = (32, 40)


def wrapped(module, **how):
    return zoo_adapters.wrap(
        module, name="mine", mean=(0.5,) * 3, std=(0.25,) * 3, size=SIZE, **how
    )


def picture(count=1):
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """Two convolutions with batch normalization, a global average, a classifier with dropout."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        self.drop, self.fc = nn.Dropout(0.5), nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.drop(self.block(self.stem(x)).mean((2, 3))))


def net():
    torch.manual_seed(0)
    return Net()


class Checkpointed(Net):
    reentrant = True

    def forward(self, x):
        maps = checkpoint(self.stem, x, use_reentrant=self.reentrant)
        maps = checkpoint(self.block, maps, use_reentrant=self.reentrant)
        return self.fc(self.drop(maps.mean((2, 3))))


class NotReentrant(Checkpointed):
    reentrant = False


class PartlyCompiled(Net):
    def __init__(self):
        super().__init__()
        self.block = torch.compile(self.block)


class Low(nn.Module):
    """A linear layer beside which a low-rank one was trained."""

    def __init__(self, base):
        super().__init__()
        self.base_layer = base
        self.lora_A = nn.Linear(base.in_features, 2, bias=False)
        self.lora_B = nn.Linear(2, base.out_features, bias=False)

    def forward(self, x):
        return self.base_layer(x) + self.lora_B(self.lora_A(x))


def seeded(make):
    torch.manual_seed(0)
    return make()


def low_rank():
    module = net()
    module.fc = Low(module.fc)
    nn.init.zeros_(module.fc.lora_B.weight)
    return module


def in_place():
    module = net()
    module.compile()
    return module


def spectral(norm):
    module = net()
    norm(module.block[0])
    return module.eval()


HELD = {
    "DataParallel": lambda: nn.DataParallel(net()),
    "torch.compile": lambda: torch.compile(net()),
    "module.compile": in_place,
    "a compiled part": lambda: seeded(PartlyCompiled),
    "DataParallel of a compiled one": lambda: nn.DataParallel(torch.compile(net())),
    "reentrant checkpoints": lambda: seeded(Checkpointed),
    "checkpoints": lambda: seeded(NotReentrant),
    "a low-rank adapter": low_rank,
    "weight normalization": lambda: spectral(nn.utils.parametrizations.weight_norm),
    "a copy": lambda: copy.deepcopy(net()),
}
HEAT = [name for name in METHODS if "target" in METHODS[name].subject]


def quick(name, model):
    method = METHODS[name]
    subject = {k: v for k, v in {"image": picture(), "target": 1}.items() if k in method.subject}
    if name == "deepdream":
        subject = {"image": picture(), "layer": next(reversed(model.layers), "0")}
    few = {"steps": 4, "samples": 4, "size": 48}
    result = method.run(
        model, **subject, **{p.name: few[p.name] for p in method.params if p.name in few}
    )
    return list(result)[-1] if method.generator else result


@pytest.fixture(scope="module")
def plain():
    model = wrapped(net())
    return {name: quick(name, model).values for name in HEAT}


@pytest.mark.parametrize("kind", HELD)
def test_a_network_is_explained_as_if_it_were_held_plainly(plain, kind):
    model = wrapped(HELD[kind]())
    assert model.head.kind == "exact"
    assert model.layers
    for name in HEAT:
        torch.testing.assert_close(
            quick(name, model).values, plain[name], atol=2e-4, rtol=1e-3, msg=f"{kind}: {name}"
        )


def test_a_network_that_fx_traced_has_the_layers_that_it_still_calls(plain):
    model = wrapped(torch.fx.symbolic_trace(net().eval()))
    assert list(model.layers) == ["stem.0", "block.0"]
    for name in ("cam", "saliency", "guided_backprop", "integrated_gradients"):
        torch.testing.assert_close(quick(name, model).values, plain[name])


@pytest.mark.parametrize(
    "kind", ["DataParallel", "torch.compile", "DataParallel of a compiled one"]
)
def test_layers_have_the_names_of_the_network_inside(kind):
    assert list(wrapped(HELD[kind]()).layers) == list(wrapped(net()).layers)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["traced", "scripted", "frozen"])
def test_a_scripted_network_does_what_it_can_and_refuses_the_rest(plain, kind):
    module = net().eval()
    scripts = {
        "traced": lambda: torch.jit.trace(module, picture(2)),
        "scripted": lambda: torch.jit.script(module),
        "frozen": lambda: torch.jit.freeze(torch.jit.script(module)),
    }
    model = wrapped(scripts[kind]())
    for name in ("cam", "saliency", "integrated_gradients", "guided_backprop", "occlusion"):
        torch.testing.assert_close(quick(name, model).values, plain[name], atol=2e-4, rtol=1e-3)
    for name in ("grad_cam", "eigen_cam", "guided_grad_cam"):
        with pytest.raises(WrongRequest, match="no layer whose output is a map"):
            quick(name, model)


FLAT = {
    "a perceptron": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 32 * 40, 8), nn.ReLU(), nn.Linear(8, 5)
    ),
    "a linear classifier": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 40, 5)),
    "statistics alone": lambda: nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5)
    ),
}


@pytest.mark.parametrize("kind", FLAT)
@pytest.mark.parametrize("name", METHODS)
def test_a_network_without_a_map_is_explained_or_refused_in_a_sentence(kind, name):
    model = wrapped(seeded(FLAT[kind]))
    answer = result_or_refusal(name, model)
    if isinstance(answer, str):
        assert len(answer) < 300
        assert name not in ("saliency", "occlusion", "smoothgrad", "maximize")
    else:
        assert answer.values.isfinite().all()


def result_or_refusal(name, model):
    try:
        if name == "feature_maps":
            return featvis.feature_maps(model, picture(), "0")
        return quick(name, model)
    except WrongRequest as refusal:
        return str(refusal)


def test_a_flattened_map_fixes_the_size_at_which_pictures_are_made():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 38, 5))
    model = wrapped(module)
    *_, made = featvis.maximize(model, 1, steps=2, size=64)
    assert made.values.isfinite().all()


GRADIENTS = ("saliency", "grad_cam", "integrated_gradients", "guided_backprop", "maximize")
NOT_DIFFERENTIABLE = {
    "quantized": lambda: torch.ao.quantization.quantize_dynamic(
        net(), {nn.Linear}, dtype=torch.qint8
    ),
    "detached": lambda: nn.Sequential(net(), Detached()),
    "rounded": lambda: nn.Sequential(net(), ByNumpy()),
}


class Detached(nn.Module):
    def forward(self, x):
        return x.detach() * 2


class ByNumpy(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.detach().numpy() * 2)


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:quantized.*autograd kernel:UserWarning")
@pytest.mark.parametrize("kind", NOT_DIFFERENTIABLE)
def test_a_network_without_gradients_is_run_forward_only(kind):
    model = wrapped(NOT_DIFFERENTIABLE[kind]())
    for name in GRADIENTS:
        with pytest.raises(WrongRequest, match="no gradient reaches the picture"):
            quick(name, model)
    for name in ("occlusion", "score_cam", "eigen_cam"):
        assert quick(name, model).values.isfinite().all()


# --- train mode -----------------------------------------------------------------------------------


def training():
    """A network in the middle of its training, a part of it frozen and one in eval mode."""
    module = net().train()
    module.stem[1].eval()
    module.block[0].weight.requires_grad_(False)
    return module


def state(module):
    modes = [part.training for part in module.modules()]
    weights = [(p.requires_grad, p.detach().clone()) for p in module.parameters()]
    return modes, weights, [b.clone() for b in module.buffers()], module.__dict__.keys()


def assert_same(one, other):
    assert one[0] == other[0]
    assert [flag for flag, _ in one[1]] == [flag for flag, _ in other[1]]
    torch.testing.assert_close([w for _, w in one[1]], [w for _, w in other[1]], atol=0, rtol=0)
    torch.testing.assert_close(one[2], other[2], atol=0, rtol=0)
    assert one[3] == other[3]


RETURNS = {
    "release": lambda module: wrapped(module).release(),
    "twice": lambda module: [model := wrapped(module), model.release(), model.release()],
    "with": lambda module: _within(module),
    "an error within": lambda module: _fails_within(module),
    "nested": lambda module: [
        one := wrapped(module),
        two := wrapped(module),
        two.release(),
        one.release(),
    ],
    "a refusal": lambda module: _refused(module),
    "with a call": lambda module: wrapped(module, call=lambda run, x: run(x)).release(),
}


def _within(module):
    with wrapped(module) as model:
        featvis.saliency(model, picture(), 1)
        featvis.grad_cam(model, picture(), 1)
        list(featvis.maximize(model, 1, steps=2, size=48))


def _fails_within(module):
    with pytest.raises(ZeroDivisionError), wrapped(module):
        raise ZeroDivisionError


def _refused(module):
    with pytest.raises(WrongRequest):
        wrapped(module, labels=("too", "few"))


@pytest.mark.parametrize("way", RETURNS)
def test_the_network_is_given_back_as_it_was(way):
    module = training()
    before = state(module)
    RETURNS[way](module)
    assert_same(state(module), before)


@pytest.mark.parametrize("kind", ["torch.compile", "a compiled part", "module.compile"])
def test_a_compiled_network_is_given_back_compiled(kind):
    module = HELD[kind]()
    before = [type(part).__name__ for part in module.modules()]
    impl = module._compiled_call_impl
    wrapped(module).release()
    assert [type(part).__name__ for part in module.modules()] == before
    assert module._compiled_call_impl is impl


def test_a_network_in_training_answers_as_in_eval_mode():
    expected = net().eval()((picture() - 0.5) / 0.25)
    with wrapped(training()) as model:
        torch.testing.assert_close(model(picture()), expected)


def test_a_network_that_was_put_back_into_training_is_refused():
    module = net()
    model = wrapped(module)
    module.train()
    with pytest.raises(WrongRequest, match="in train mode again"):
        featvis.saliency(model, picture(), 1)


# --- more than a picture --------------------------------------------------------------------------


class Siamese(Net):
    def forward(self, x, other):
        return super().forward(x) - super().forward(other)


class Keywords(Net):
    def forward(self, *, pixel_values, scale=1.0):
        return scale * super().forward(pixel_values)


class Optional(Net):
    def forward(self, x, mask=None, labels=None):
        return super().forward(x)


CALLS = {
    "siamese": (Siamese, lambda run, x: run(x, torch.zeros_like(x)), 1.0),
    "keywords": (Keywords, lambda run, x: run(pixel_values=x, scale=2.0), 2.0),
    "one that needs none": (Net, lambda run, x: run(x), 1.0),
}


@pytest.mark.parametrize("kind", CALLS)
def test_a_network_with_more_arguments_is_run_by_a_call(kind):
    make, call, scale = CALLS[kind]
    model = wrapped(seeded(make), call=call)
    leaf = picture().requires_grad_()
    logit = net().eval()((leaf - 0.5) / 0.25)[0, 1] * scale
    expected = torch.autograd.grad(logit, leaf)[0]
    torch.testing.assert_close(featvis.saliency(model, picture(), 1).values, expected)
    assert float(featvis.cam(model, picture(), 1).residual) <= 1e-6
    stages = featvis.sanity(lambda m: featvis.saliency(m, picture(), 1), model, stages=2, draws=4)
    assert float(stages[-1].correlation.abs().max()) < 0.9, "a copy runs its own weights"


@pytest.mark.parametrize("make", [Siamese, Keywords])
def test_a_missing_argument_is_refused_with_the_remedy(make):
    with pytest.raises(WrongRequest, match=r"call=lambda run, pictures: run\(pictures, \.\.\.\)"):
        wrapped(seeded(make))


def test_optional_arguments_are_left_out():
    torch.testing.assert_close(
        wrapped(seeded(Optional))(picture()), net().eval()((picture() - 0.5) / 0.25)
    )
