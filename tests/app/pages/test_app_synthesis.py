"""The tabs in which pictures are made: what is asked for, previews, stopping, and the way there."""

from __future__ import annotations

import io
import re
from types import MappingProxyType

import numpy as np
import PIL.Image
import pytest

import featvis
import zoo_adapters
from app.answers import baseline
from app.answers.ask import ask_of
from app.answers.prediction import logits_of
from app.answers.run import run
from app.answers.subject import layer_of, subject_of
from app.cli import commands
from app.files import save
from app.machine.cache import model_of
from app.machine.errors import Cancelled
from app.machine.jobs import Work
from app.pages import choices, tabs
from app.question.state import State
from app.window import changes

pytest.importorskip("gradio")
SHORT = MappingProxyType({"steps": "4"})


@pytest.fixture
def state():
    return State(tab="Synthesis", model="bundled:scenes-alexnet", params=SHORT)


def made(state):
    method = state.shown_methods[0]
    return run(ask_of(method.name, state)).result


def test_without_a_layer_it_is_the_predicted_or_the_chosen_class(state):
    labels = model_of(state.model).labels
    predicted = int(logits_of(state).argmax())
    assert made(state).subjects == (labels[predicted],)
    assert made(state.but(target="7")).subjects == (labels[7],)


def test_a_dream_is_of_a_layer_until_a_class_is_chosen(state):
    dream = state.but(tab="DeepDream").having(steps=1, octaves=1)
    layer = layer_of(dream, model_of(dream.model))
    assert made(dream).subjects == (layer,)
    assert layer in choices.layers(subject_of(dream))[0][0]
    assert made(dream.but(target="7")).subjects == (model_of(dream.model).labels[7],)


def test_a_channel_is_taken_along_from_the_feature_maps(state):
    maps = State(tab="Feature maps", model=state.model, channel=5, position=(1, 1))
    layer = layer_of(maps, model_of(maps.model))
    after = changes.set_tab(maps, "Synthesis")
    assert (after.layer, after.channel, after.position) == (layer, 5, None)
    assert made(after.having(steps=4)).subjects == (f"{layer}, channel 5",)


def test_a_channel_chosen_here_is_one_of_a_layer(state):
    after = changes.set_channel(state, 3)
    assert after.channel == 3
    assert made(after).subjects == (f"{after.layer}, channel 3",)
    assert changes.step_channel(1)(after).channel == 4
    of_class = changes.set_class(after, "7")
    assert made(of_class).subjects == (model_of(state.model).labels[7],)


def test_steps_of_one_tab_are_not_those_of_another(state):
    other = changes.set_tab(state.having(size=64), "DeepDream")
    assert "steps" not in other.params
    assert "steps" not in changes.set_tab(state, "Class evidence").params


def test_previews_are_shown_and_a_made_picture_is_kept(state, monkeypatch):
    monkeypatch.setattr("featvis.ascent.climb.PREVIEW", 0.0)
    shown = []
    state = state.having(steps=6).but(target="2")
    last = tabs.draw(state, show=shown.append)
    assert len(shown) >= 3
    assert "step 6" in last.view
    assert "fv-curve" in last.view
    shown.clear()
    assert "step 6" in tabs.draw(state, show=shown.append).view
    assert not shown


def test_a_stopped_ascent_is_shown_but_not_cached(state, monkeypatch):
    monkeypatch.setattr("featvis.ascent.climb.PREVIEW", 0.0)
    state = state.having(steps=300).but(target="3")

    def stopping(work):
        return tabs.draw(state, work.say, lambda _: work.cancel())

    shown = Work(stopping).result()
    assert "Stopped before its last step" in shown.view
    work = Work(lambda work: (work.cancel(), tabs.draw(state, work.say)))
    with pytest.raises(Cancelled):
        work.result()
    after = tabs.draw(state.having(steps=5))
    assert "Stopped" not in after.view


def test_the_command_line_makes_a_sheet_of_channels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    layer = list(zoo_adapters.load("bundled:scenes-alexnet").layers)[-1]
    argv = ["run", "maximize", "--model", "bundled:scenes-alexnet", "--layer", layer,
            "--channel", "3,17,40", "--steps", "2",
            "--out", "sheet.png", "--npz", "a.npz"]  # fmt: skip
    assert commands.main(argv) == 0
    with PIL.Image.open("sheet.png") as sheet, np.load("a.npz") as arrays:
        assert arrays["maximize.values"].shape[0] == 3
        assert sheet.width > 200
    assert commands.main([*argv[:6], "--channel", "3,x", "--out", "b.png"]) == 2
    assert "whole number" in capsys.readouterr().err
    wrong = ["run", "saliency", "--model", "bundled:scenes-alexnet", "--image", "scene-3",
             "--layer", layer, "--channel", "1,2", "--out", "c.png"]  # fmt: skip
    assert commands.main(wrong) == 2
    assert "one channel" in capsys.readouterr().err


def test_an_animation_is_written_and_begins_with_the_beginning(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    argv = ["run", "maximize", "--model", "bundled:scenes-alexnet", "--target", "3",
            "--steps", "6"]  # fmt: skip
    for name in ("a.gif", "a.webp"):
        assert commands.main([*argv, "--animation", name, "--out", "a.png"]) == 0
        with PIL.Image.open(name) as moving, PIL.Image.open("a.png") as end:
            assert moving.n_frames == 6
            first = np.asarray(moving.convert("RGB"), float)
            moving.seek(5)
            last, whole = (np.asarray(p.convert("RGB"), float) for p in (moving, end))
        assert abs(last - whole).mean() < 0.5 * abs(first - whole).mean()
    assert commands.main([*argv, "--animation", "a.avi"]) == 2
    assert ".gif or .webp" in capsys.readouterr().err


def test_the_window_gives_the_way_too(state):
    data, name = save.animation(state.but(target="5"))
    assert name.endswith("maximize.webp")
    with PIL.Image.open(io.BytesIO(data)) as moving:
        assert moving.n_frames == 4
    kept = run(ask_of("maximize", state.but(target="5")))
    again, _ = save.animation(state.but(target="5"))
    assert again == data
    assert run(ask_of("maximize", state.but(target="5"))).result is kept.result


def test_the_activation_is_held_against_scenes(state):
    state = state.but(layer="features.conv5", channel=3)
    model = model_of(state.model)
    result = made(state)
    found = baseline.places(ask_of("maximize", state), result)[0]
    values = [
        float(
            featvis.record(model, baseline._taken(model, baseline.FIRST + i), "features.conv5")[
                "features.conv5"
            ][0, 3]
            .clamp_min(0)
            .mean()
        )
        for i in range(baseline.SCENES)
    ]
    below = sum(value < float(result.activation[0]) for value in values)
    expected = f"above {below} of 48" if below < 48 else "above all 48"
    assert found.startswith(expected)
    assert found in tabs.draw(state).view


def test_all_channels_of_a_layer_are_a_sheet(state, tmp_path):
    state = state.but(layer="features.conv1").having(every=True, size=32, steps=1)
    shown = tabs.draw(state).view
    assert shown.count("<img") == 96
    assert 'title="features.conv1, channel 95' in shown
    pick = re.findall(r'data-pick="(made:\d+)"', shown)[95]
    alone = changes.set_shown(state, {"pick": pick})
    assert (alone.channel, alone.having(every=True).but(channel=None)) == (95, state)
    assert tabs.draw(alone).view.count("<img") == 1
    argv = ["run", "maximize", "--model", state.model, "--layer", "features.conv1", "--channel",
            "all", "--size", "32", "--steps", "1", "--npz", str(tmp_path / "a.npz")]  # fmt: skip
    assert commands.main(argv) == 0
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["maximize.values"].shape == (96, 3, 32, 32)


def test_what_a_layer_keeps_of_the_picture_stands_beside(state):
    state = state.but(methods=("inversion", "caricature"), layer="features.conv2")
    shown = tabs.draw(state).view
    assert shown.count("<b>what features.conv2 keeps</b>") == 1
    assert shown.count("<b>caricature by features.conv2</b>") == 1
    assert shown.index("Feature inversion") < shown.index("Caricature")
    assert shown.count("fv-title") == 2  # each once
