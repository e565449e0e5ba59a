"""What networks have in common: the window, the command and the API say the same numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

import zoo_adapters
from app.answers import indexed, kinship
from app.answers.comparison import compared, told
from app.cli import commands
from app.machine.cache import MODELS
from app.pages import likeness, tabs
from app.question import trainings
from app.question.state import State, from_query, to_query
from app.web import api
from app.window import changes
from featvis import WrongRequest

ONE, TWO = "bundled:scenes-resnet", "bundled:scenes-alexnet"


def quiet(_):
    return None


@pytest.fixture
def state():
    return State(tab="Compare", model=ONE, others=(TWO,), methods=("cam",))


def test_networks_share_more_neighbours_than_chance(state):
    same = kinship.neighbourhoods_of(state, ONE, quiet)
    assert same.mean == 1
    found = kinship.neighbourhoods_of(state, TWO, quiet)
    assert found.chance == pytest.approx(kinship.NEAR / 4999)
    assert 20 * found.chance < found.mean < 1
    shares = [float(found.overlap.share[n]) for n in found.apart]
    assert shares == sorted(shares)


def test_its_neighbours_are_those_of_the_index(state):
    """As the index finds them for the stored embedding of the picture, which comes first itself."""
    found, index = kinship.neighbourhoods_of(state, TWO, quiet), indexed.index_of(state)
    for n in found.apart[:3]:
        name = found.images[n]
        near = index.neighbours(index.embedding(name), kinship.NEAR + 1)
        assert [one.image for one in near if one.image != name] == [
            found.images[int(m)] for m in found.overlap.one[n]
        ]


def test_indexes_over_different_pictures_are_not_compared(state, monkeypatch):
    index = indexed.index_of(state.but(model=TWO))
    monkeypatch.setitem(index.manifest.__dict__, "digest", "other")
    with pytest.raises(WrongRequest, match="different pictures"):
        kinship.neighbourhoods_of(state, TWO, quiet)
    assert "different pictures" in likeness.neighbourhoods(state, TWO, quiet)


def test_the_window_the_command_and_the_api_say_the_same(state, capsys, tmp_path):
    asked = state.having(layers=True, neighbours=True)
    view = tabs.draw(asked).view
    near = kinship.neighbourhoods_of(state, TWO, quiet)
    assert f"{100 * near.mean:.1f} % are the same" in view
    assert all(f"picture:{near.images[n]}" in view for n in near.apart[: likeness.APART])
    made = api.compare([ONE, TWO], methods="cam", layers=True, neighbours=True)
    one, two, cka = kinship.likeness_of_layers(state, TWO, quiet)
    assert made["layers"][TWO]["cka"] == cka.tolist()
    assert (made["layers"][TWO]["rows"], made["layers"][TWO]["columns"]) == (one, two)
    assert made["neighbours"][TWO]["overlap"] == near.mean
    out = tmp_path / "a.npz"
    argv = ["compare", "--models", f"{ONE},{TWO}", "--image", "scene-24", "--methods", "cam"]
    assert commands.main([*argv, "--layers", "--neighbours", "--npz", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"share {near.mean:.3f} of {kinship.NEAR} over 5000 pictures" in printed
    assert "0.312 GMAC" in printed
    with np.load(out) as arrays:
        assert np.array_equal(arrays[f"layers.{TWO}.cka"], cka.numpy())
        assert arrays[f"neighbours.{TWO}.apart"][0] == near.images[near.apart[0]]


def test_a_cell_of_the_table_goes_to_both_layers_and_its_link_too(state):
    asked = state.having(layers=True)
    picks = re.findall(r'data-pick="(pair:[^"]+)"', tabs.draw(asked).view)
    one, two, found = kinship.likeness_of_layers(state, TWO, quiet)
    assert len(picks) == len(one) * len(two)
    after = changes.set_shown(asked, {"pick": picks[1]})
    assert (after.layer, after.params["pair"]) == (one[0], f"{TWO}|{one[0]}|{two[1]}")
    assert from_query(to_query(after)) == after
    view = tabs.draw(after).view
    assert f"CKA {float(found[0, 1]):.3f}" in view
    assert f"scenes-alexnet: {two[1]}" in view
    for wrong in ("", "|", f"{TWO}|no|no", "a|b|c"):  # a link may say anything
        assert "principal components.</p>" not in tabs.draw(asked.having(pair=wrong)).view
    assert changes.set_shown(asked, {"pick": "pair:timm:other|a|b"}) == asked
    with pytest.raises(WrongRequest, match="no layer"):
        changes.set_shown(asked, {"pick": f"pair:{TWO}|{one[0]}|no"})


def test_each_row_tells_what_the_network_is(state):
    *_, rows = compared(state)
    for row in rows:
        known, facts = told(row), zoo_adapters.describe(row.state.model)
        assert (known["parameters"], known["gmacs"]) == (facts.parameters, facts.gmacs)
        assert known["licence"] == "apache-2.0"
        assert known["training"] == "drawn scenes"
        assert known["cells"][0]["seconds"] > 0
    view = tabs.draw(state).view
    for words in ("1.0 M weights", "0.312 GMAC", "128x128 px", "drawn scenes", "apache-2.0"):
        assert f"<span>{words}</span>" in view


# --- other trainings ------------------------------------------------------------------------------


def test_other_trainings_are_the_tags_of_the_architecture_one_of_each_kind_first():
    name = "timm:vit_base_patch16_224.augreg_in21k_ft_in1k"
    found = trainings.trainings(name)
    listed = [n for n in zoo_adapters.names("timm") if n.startswith("timm:vit_base_patch16_224.")]
    assert set(listed) <= set(found)
    assert found[0] == name
    assert len(found) == len(set(found))
    chosen = trainings.lined_up(name)
    assert len(chosen) == 5
    assert {"CLIP", "MAE", "DINO"} < {trainings.kind(one) for one in chosen}
    assert trainings.trainings(ONE) == ()
    assert trainings.trainings("timm:hf-hub:org/name.tag") == ()
    assert trainings.trainings("timm:no_such_network.tag") == ()
    assert trainings.words(ONE) == ""


def test_one_click_compares_trainings_and_says_the_download_first(monkeypatch):
    name = "timm:resnet18.a1_in1k"
    monkeypatch.setitem(MODELS, name, zoo_adapters.load(name, pretrained=False))
    loaded = []
    monkeypatch.setattr(zoo_adapters, "load", lambda *a, **k: loaded.append(a))
    state = State(tab="Compare", model=name, methods=("cam",))
    view = tabs.draw(state).view
    assert 'data-pick="trainings:"' in view
    after = changes.set_shown(state, {"pick": "trainings:"})
    assert after.others == trainings.lined_up(name)
    assert all(other.startswith("timm:resnet18.") for other in after.others)
    away = [other for other in after.others if trainings.cost(other)]
    view = tabs.draw(after).view
    for other in away:
        assert f"{other} is not on disk: about 47 MB to download; choose Download" in view
    assert not loaded
    assert 'data-pick="trainings:"' not in view
