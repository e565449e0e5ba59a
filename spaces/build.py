"""A folder that is a Hugging Face Space, made from this checkout: it needs nothing beside it.

    python spaces/build.py OUT [--hardware cpu|zerogpu] [--upload USER/NAME]

OUT gets README.md with the Space's header, app.py, requirements.txt, LICENSE and the packages with
the bundled networks and their indexes. What the header and the requirements say is taken from
pyproject.toml, requirements.txt and the window's own texts.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.12"  # of the Space; ZeroGPU has 3.10 and 3.12
PACKAGES = {"featvis": "featvis", "zoo_adapters": "zoo_adapters", "app": "featvis_app"}
GIVEN = ("gradio", "spaces", "huggingface-hub")  # by the platform, of its own versions
WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"  # a tenth of those with CUDA
ZEROGPU = {"torch": "torch>=2.8,<2.12", "torchvision": "torchvision"}  # what its image may have
SUGGESTED = {"cpu": "cpu-basic", "zerogpu": "zero-a10g"}
TAGS = ("computer-vision", "interpretability", "explainability", "feature-visualization", "timm")
COLORS = ("green", "gray")
EMOJI = "🔬"


def main(arguments: list[str]) -> None:
    """Build, and upload if that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder to make; what is in it is replaced")
    parser.add_argument("--hardware", choices=tuple(SUGGESTED), default="cpu")
    parser.add_argument("--upload", metavar="USER/NAME", help="upload it as this Space")
    options = parser.parse_args(arguments)
    if options.upload is not None and options.upload.count("/") != 1:
        parser.error("a Space is named USER/NAME")
    build(options.out, options.hardware)
    print(f"{options.out}: {sum(1 for file in options.out.rglob('*') if file.is_file())} files")
    if options.upload:
        print(upload(options.out, options.upload))


def build(out: Path, hardware: str = "cpu") -> None:
    """Make the folder anew."""
    if out.exists():
        if any(out.iterdir()) and not (out / "featvis_app").is_dir():
            raise SystemExit(f"{out} is a folder with something else in it; name an empty one")
        shutil.rmtree(out)
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc", "*.pyi", "docs.py")
    for source, name in PACKAGES.items():
        shutil.copytree(ROOT / source, out / name, ignore=unwanted)
    shutil.copy(ROOT / "LICENSE", out / "LICENSE")
    shutil.copy(ROOT / "spaces" / f"{hardware}.py", out / "app.py")
    (out / "requirements.txt").write_text("\n".join(requirements(hardware)) + "\n", "utf8")
    (out / "README.md").write_text(readme(hardware), "utf8")


def upload(folder: Path, name: str) -> str:
    """Make the Space what the folder is, files that it has no more removed; its address."""
    from huggingface_hub import HfApi

    from featvis import __version__

    hub = HfApi()
    hub.create_repo(name, repo_type="space", space_sdk="gradio", exist_ok=True)
    hub.upload_folder(
        repo_id=name,
        repo_type="space",
        folder_path=folder,
        delete_patterns="*",
        ignore_patterns=["**/__pycache__/**", ".venv/**"],
        commit_message=f"featvis {__version__}",
    )
    return f"https://huggingface.co/spaces/{name}"


def requirements(hardware: str) -> list[str]:
    """What the Space installs: the tested versions; for a GPU the platform's own torch."""
    project, tested = _project(), _tested()
    wanted = [*project["dependencies"], *project["optional-dependencies"]["transformers"]]
    made = [WHEELS] if hardware == "cpu" else []
    for line in wanted:
        name = _plain(Requirement(line).name)
        if name in GIVEN:
            continue
        if hardware == "zerogpu":
            made.append(ZEROGPU.get(name, line))
        else:
            made.append(f"{name}=={tested[name]}")
    return made


def readme(hardware: str) -> str:
    """The header that configures the Space, and a page for its visitors."""
    sys.path.insert(0, str(ROOT))
    from app.question.tabs import TABS

    project = _project()
    header = {
        "title": project["name"],
        "emoji": EMOJI,
        "colorFrom": COLORS[0],
        "colorTo": COLORS[1],
        "sdk": "gradio",
        "sdk_version": _tested()["gradio"],
        "python_version": f'"{PYTHON}"',
        "app_file": "app.py",
        "short_description": project["description"],
        "license": project["license"].lower(),
        "suggested_hardware": SUGGESTED[hardware],
        "tags": f"[{', '.join(TAGS)}]",
    }
    lines = "\n".join(f"{key}: {value}" for key, value in header.items())
    tabs = "\n".join(f"| **{tab.name}** | {tab.lead} |" for tab in TABS.values())
    return (
        f"---\n{lines}\n---\n\n# {project['name']}\n\n{project['description']}.\n\n"
        f"| tab | what one sees |\n| --- | --- |\n{tabs}\n\n"
        "`/status` tells how this Space is, and what a visitor may ask of it. Pictures that are "
        "uploaded are kept for the links to them until the Space restarts.\n"
    )


def _project() -> dict[str, Any]:
    made: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    return made


def _tested() -> dict[str, str]:
    """Package -> the version that requirements.txt pins for the Space's Python."""
    python = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
    here = {**python, "sys_platform": "linux", "platform_machine": "x86_64"}
    pins: dict[str, str] = {}
    for line in (ROOT / "requirements.txt").read_text("utf8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate(here):
                pins[_plain(pin.name)] = next(iter(pin.specifier)).version
    return pins


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


if __name__ == "__main__":
    main(sys.argv[1:])
