"""Names: what they mean, how wrong ones are refused, and the zoos of plug-ins."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from importlib.metadata import EntryPoint

import pytest

import zoo_adapters
from featvis.model import WrongRequest
from zoo_adapters import Facts, registry


def refused(name, **how):
    with pytest.raises(WrongRequest) as caught:
        zoo_adapters.load(name, **how)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_no_library_is_imported_before_it_is_needed():
    code = (
        "import sys, zoo_adapters; zoo_adapters.zoos()\n"
        "heavy = {'timm', 'torchvision', 'huggingface_hub', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_zoos_are_listed_in_order():
    assert [zoo.name for zoo in zoo_adapters.zoos()][:4] == [
        "bundled", "timm", "torchvision", "transformers",
    ]  # fmt: skip
    assert all(zoo.title and zoo.help and zoo.pip for zoo in zoo_adapters.zoos())


@pytest.mark.parametrize("zoo", ["timm", "torchvision"])
def test_all_names_are_spelled_as_load_takes_them(zoo):
    names = zoo_adapters.names(zoo)
    assert len(names) == len(set(names)) > 100
    assert all(name.startswith(f"{zoo}:") for name in names)
    assert all(zoo_adapters.describe(name).name == name for name in names)


@pytest.mark.parametrize("zoo", ["timm", "torchvision"])
def test_families_hold_every_name_once_and_begin_with_resnet(zoo):
    families = zoo_adapters.families(zoo)
    assert next(iter(families)) == "resnet"
    assert sorted(n for members in families.values() for n in members) == sorted(
        zoo_adapters.names(zoo)
    )
    for family, members in families.items():
        assert zoo_adapters.describe(members[0]).family == family


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50", "timm:resnet50 or torchvision:resnet50"),
        ("alexnet", "torchvision:alexnet"),
        ("resnet50.a1_in1k", "timm:resnet50.a1_in1k"),
        ("resnet5o", "timm:resnet50"),
        ("microsoft/resnet-50", "timm:hf-hub:microsoft/resnet-50"),
        ("hf-hub:timm/resnet18.a1_in1k", "timm:hf-hub:timm/resnet18.a1_in1k"),
        ("hf_hub:timm/resnet18.a1_in1k", "timm:hf-hub:timm/resnet18.a1_in1k"),
        ("timm:hf_hub:timm/resnet18.a1_in1k", "timm:hf-hub:timm/resnet18.a1_in1k"),
        ("https://huggingface.co/timm/resnet18.a1_in1k", "timm:hf-hub:timm/resnet18.a1_in1k"),
        ("huggingface.co/microsoft/resnet-50", "or transformers:microsoft/resnet-50"),
        ("https://huggingface.co/a/b/tree/v1", "timm:hf-hub:a/b@v1 or transformers:a/b@v1"),
        ("https://huggingface.co/a/b/blob/main/config.json", "timm:hf-hub:a/b or"),
        ("models/of/mine", "timm:local-dir:models/of/mine"),
        ("local-dir:models/mine", "timm:local-dir:models/mine"),
        ("hugging:a/b", "bundled:, timm:, torchvision:"),
        ("https://example.org/a/b", "bundled:, timm:, torchvision:"),
        ("tim:resnet50", "bundled:, timm:, torchvision:"),
        ("timm:", "featvis models timm"),
        ("", "timm:resnet50"),
        ("timm:resnt50", "timm:resnet50"),
        ("timm:resnet50.a1_in2k", "timm:resnet50.a1_in1k"),
        ("timm:microsoft/resnet-50", "timm:hf-hub:microsoft/resnet-50"),
        ("timm:hf-hub:resnet50", "organization/name"),
        ("torchvision:alexnett", "torchvision:alexnet"),
        ("torchvision:resnet50.IMAGENET1K_V9", "torchvision:resnet50.IMAGENET1K_V2"),
        ("torchvision:qqqqqqqqqqqq", "featvis models torchvision"),
    ],
)
def test_wrong_names_are_refused_with_right_ones(name, said):
    assert said in refused(name)


def test_a_folder_is_refused_with_its_spelling(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert f"timm:local-dir:{tmp_path}" in refused(str(tmp_path))


def test_unknown_zoos_are_listed():
    for ask in (zoo_adapters.names, zoo_adapters.families):
        with pytest.raises(WrongRequest, match="bundled, timm, torchvision, transformers"):
            ask("tensorflow")


def test_a_missing_library_is_told_with_its_pip_line(monkeypatch):
    def missing(path):
        raise ModuleNotFoundError("No module named 'timm'", name="timm")

    monkeypatch.setattr(importlib, "import_module", missing)
    assert "pip install timm" in refused("timm:resnet18")


def test_a_fault_of_our_own_is_not_taken_for_a_missing_library(monkeypatch):
    def missing(path):
        raise ModuleNotFoundError("No module named", name="zoo_adapters.nothing")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        zoo_adapters.load("timm:resnet18")


# --- plug-ins -------------------------------------------------------------------------------------


@pytest.fixture
def offer(monkeypatch):
    """Make entry points, as installed packages would: name -> module, or None for a broken one."""

    def offered(**modules):
        points = []
        for name, module in modules.items():
            if module is not None:
                monkeypatch.setitem(sys.modules, f"a_plug_in_{name}", module)
            points.append(EntryPoint(name, f"a_plug_in_{name}", "zoo_adapters"))
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        registry.plugins.cache_clear()

    yield offered
    registry.plugins.cache_clear()


def plug_in(**contents):
    module = types.ModuleType("a_plug_in", "Networks of a friend.\n\nAnd more.")
    vars(module).update(contents)
    return module


def test_a_plug_in_is_a_zoo_like_any_other(offer):
    loaded = []

    def load(name, *, pretrained=True, progress=None):
        loaded.append((name, pretrained, progress))
        return "a model"

    offer(friend=plug_in(names=lambda: ["one", "two"], load=load))
    assert zoo_adapters.zoos()[-1].name == "friend"
    assert zoo_adapters.zoos()[-1].help == "Networks of a friend."
    assert zoo_adapters.names("friend") == ["friend:one", "friend:two"]
    assert zoo_adapters.load("friend:one", pretrained=False) == "a model"
    assert loaded == [("one", False, None)]
    assert zoo_adapters.describe("friend:two") == Facts("friend:two", "friend", "two")
    assert zoo_adapters.families("friend") == {"friend": ("friend:one", "friend:two")}
    assert "friend:one" in refused("one")


def test_a_broken_plug_in_is_a_warning_that_names_it(offer):
    offer(broken=None, well=plug_in(names=list, load=print))
    with pytest.warns(UserWarning, match="broken"):
        assert [zoo.name for zoo in zoo_adapters.zoos()][4:] == ["well"]


def test_a_plug_in_without_load_is_a_warning(offer):
    offer(half=plug_in(names=list))
    with pytest.warns(UserWarning, match=r"half.*load\(\)"):
        assert len(zoo_adapters.zoos()) == 4


def test_a_plug_in_may_not_replace_a_built_in_zoo(offer):
    offer(timm=plug_in(names=lambda: ["mine"], load=print))
    with pytest.warns(UserWarning, match="timm"):
        assert len(zoo_adapters.zoos()) == 4
    assert "timm:mine" not in zoo_adapters.names("timm")
