"""Plug-ins as people install them: real packages, in a folder of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "plugin.md").read_text("utf8")
PROJECT, ADAPTER = re.findall(r"^```(?:toml|python)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def installed(folder: Path, name: str, adapter: str, zoo: str = "mine") -> Path:
    """A package, built and installed by pip without a connection; where it is."""
    source, target = folder / f"{name}-source", folder / "site"
    source.mkdir()
    project = PROJECT.replace("myzoo", name).replace("mine =", f"{zoo} =")
    (source / "pyproject.toml").write_text(project)
    (source / f"{name}.py").write_text(adapter)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    pip += ["--no-build-isolation", "--disable-pip-version-check", "--no-warn-conflicts"]
    pip += ["--target", str(target), "--upgrade", str(source)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def ran(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(site)])
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment,
                          cwd=ROOT)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documented plug-in, one that is broken, one that is half, one that is impertinent."""
    folder = tmp_path_factory.mktemp("plugins")
    installed(folder, "myzoo", ADAPTER)
    installed(folder, "broken_zoo", "import a_module_that_is_not_there\n", zoo="broken")
    installed(folder, "half_zoo", "def names():\n    return []\n", zoo="half")
    return installed(folder, "impostor", ADAPTER, zoo="timm")


def test_the_documented_plug_in_is_short():
    lines = [line for line in (PROJECT + ADAPTER).splitlines() if line.strip()]
    assert len(lines) < 30


USE = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import featvis, torch, zoo_adapters
    from zoo_adapters.checks import check_model, check_zoo
    zoos = {zoo.name: zoo for zoo in zoo_adapters.zoos()}
said = sorted(str(w.message) for w in caught if "left out" in str(w.message))
assert [s.split("'")[1] for s in said] == ["broken", "half", "timm"], said
assert list(zoos)[:4] == ["bundled", "timm", "torchvision", "transformers"], zoos
assert list(zoos)[4:] == ["mine"], zoos
assert zoos["mine"].help == "The networks of my laboratory."
assert zoo_adapters.names("timm")[0] != "timm:small"
check_zoo("mine")
model = zoo_adapters.load("mine:small")
assert check_model(model) == [], check_model(model)
assert [facts.name for facts in zoo_adapters.find("small", zoo="mine")] == ["mine:small"]
for method in featvis.METHODS.values():
    if method.missing(model) or method.generator:
        continue
    given = {"model": model, "image": torch.rand(1, 3, 64, 64), "layer": model.last_layer}
    needs = [n for n in method.subject if n in given and n not in method.optional]
    assert method.run(**{n: given[n] for n in needs}).values.isfinite().all(), method.name
"""


def test_a_plug_in_is_a_zoo_like_any_other_and_broken_ones_are_warnings(site):
    done = ran(site, "-c", USE)
    assert done.returncode == 0, done.stderr


def test_the_command_line_knows_the_plug_in(site):
    done = ran(site, "-W", "ignore", "-m", "app", "show", "mine:small")
    assert done.returncode == 0, done.stderr
    assert "head: exact" in done.stdout


REGISTERED = """
import timm, torch, zoo_adapters
from timm.models import register_model

@register_model
def my_own_net(pretrained=False, **_):
    net = timm.models.resnet.ResNet(timm.models.resnet.BasicBlock, (1, 1, 1, 1))
    net.pretrained_cfg = {"input_size": (3, 64, 64), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    return net

model = zoo_adapters.load("timm:my_own_net", pretrained=False)
assert model.name == "timm:my_own_net"
assert model.size == (64, 64)
assert model.head.kind == "exact"
"""


def test_an_architecture_of_ones_own_is_loaded_once_it_is_registered(tmp_path):
    done = ran(tmp_path, "-W", "ignore", "-c", REGISTERED)
    assert done.returncode == 0, done.stderr
