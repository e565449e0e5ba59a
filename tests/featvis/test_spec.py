"""A method's declaration: what is derived from a signature, and what is refused."""

from typing import Annotated, Literal

import pytest
import torch

import featvis
from featvis.spec import METHODS, Param, Range, method
from featvis.types import Heatmap
from tests.support import tiny


@pytest.fixture
def declared():
    """A throw-away method."""

    @method("Blur", family="Class evidence", paper="nobody 1900", requires=("head",))
    def blur(
        model: featvis.VisionModel,
        image: torch.Tensor,
        target: int | None = None,
        *,
        samples: Annotated[int, Range(1, 200), "how many"] = 25,
        noise: Annotated[float, Range(0, 1), "how strong"] = 0.15,
        kind: Literal["box", "gauss"] = "gauss",
        absolute: bool = False,
    ) -> Heatmap:
        """Blur it.

        Body of the explanation.
        """
        raise NotImplementedError

    yield METHODS["blur"]
    del METHODS["blur"]


def test_everything_is_read_off_the_signature(declared):
    assert declared.subject == ("model", "image", "target")
    assert declared.optional == ("target",)
    assert declared.params[0] == Param("samples", int, 25, "how many", Range(1, 200))
    assert declared.params[2] == Param("kind", str, "gauss", "", None, ("box", "gauss"))
    assert (declared.help, declared.explanation) == ("Blur it.", "Body of the explanation.")
    assert declared.result is Heatmap
    assert not declared.generator


def test_parameters_are_checked_and_filled_up(declared):
    checked = declared.check({"samples": "3", "absolute": "yes"})
    assert checked == {"samples": 3, "noise": 0.15, "kind": "gauss", "absolute": True}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"samples": 0}, "samples is a whole number from 1 to 200, not 0"),
        ({"samples": "many"}, "samples is a whole number from 1 to 200, not 'many'"),
        ({"noise": float("nan")}, "noise is a number from 0 to 1, not nan"),
        ({"noise": float("inf")}, "noise is a number from 0 to 1, not inf"),
        ({"kind": "square"}, "kind is one of box, gauss, not 'square'"),
        ({"absolute": 7}, "absolute is true or false, not 7"),
        ({"sigma": 1}, "blur has no parameter 'sigma'; it has: samples, noise, kind, absolute"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(declared, given, sentence):
    with pytest.raises(featvis.WrongRequest) as error:
        declared.check(given)
    assert str(error.value) == sentence


def test_a_method_that_needs_a_head_says_why_there_is_none(declared):
    model = tiny.model(tiny.nets()["flatten"])
    assert "Blur cannot be shown for tiny: its classifier reads the flattened" in declared.missing(
        model
    )
    assert declared.missing(tiny.model(tiny.nets()["GAP + FC"])) is None


def test_what_cannot_become_a_form_is_refused():
    def stars(model: featvis.VisionModel, *, _: int = 0, **rest: int) -> Heatmap: ...
    def stranger(model: featvis.VisionModel, picture: int) -> Heatmap: ...
    def formless(model: featvis.VisionModel, *, words: list = ()) -> Heatmap: ...

    for run, sentence in ((stars, "kwargs"), (stranger, "not a subject"), (formless, "no form")):
        with pytest.raises(ValueError, match=sentence):
            method("X", family="Filters")(run)
    assert not {"stars", "stranger", "formless"} & set(METHODS)


def test_a_parameter_of_several_methods_of_a_tab_is_one_parameter():
    seen = {}
    for record in METHODS.values():
        for param in record.params:
            if not param.tuning:
                declared = (param.type, param.default, param.range, param.choices)
                assert seen.setdefault((record.family, param.name), declared) == declared, (
                    param.name
                )


def test_every_cost_is_a_number_of_passes():
    model = tiny.model(tiny.nets()["GAP + FC"])
    for record in METHODS.values():
        arguments = {"layer": None, **record.check({})}
        assert 1 <= record.cost(model, arguments) < 1000, record.name


def test_every_method_explains_itself():
    for record in METHODS.values():
        assert record.help.endswith(".")
        assert len(record.help) <= 100
        assert record.explanation
        assert record.paper
