"""Code: a recipe as the Python that makes the same arrays from the package."""

from __future__ import annotations

import torch

from featvis import METHODS, Likeness, VisionModel, WrongRequest
from featvis.target import Target

from .recipe import Call, Recipe


def python(recipe: Recipe, model: VisionModel) -> str:
    """A script that leaves each result under the name of its method."""
    if recipe.page:
        raise WrongRequest(
            "a page is made of many calls: its recipe makes it again (featvis run --recipe), and "
            "its arrays are in the npz file"
        )
    uses_image = any("image" in METHODS[call.method].subject for call in recipe.calls)
    scenes = uses_image and _is_scene(recipe.image)
    like = next((c.subject["target"] for c in recipe.calls if _like(c, model)), None)
    lines = ["import PIL.Image"] if scenes or like else []
    lines += ["import featvis", "import zoo_adapters"]
    if scenes or like:
        lines.append("from zoo_adapters.bundled.scenes import scene")
    random = "" if recipe.pretrained else ", pretrained=False"
    lines += ["", f"model = zoo_adapters.load({recipe.model!r}{random})"]
    if uses_image:
        lines += [f"image = zoo_adapters.read_image({_picture(recipe.image)}, model)"]
    if like:
        lines += [f"other = zoo_adapters.read_image({_picture(like)}, model)"]
    return "\n".join([*lines, "", *(_call(call, model) for call in recipe.calls)]) + "\n"


def _call(call: Call, model: VisionModel) -> str:
    method = METHODS[call.method]
    given = [name for name in ("model", "image") if name in method.subject]
    for name, value in call.subject.items():
        given.append(f"{name}={_target(value, model) if name == 'target' else repr(value)}")
    defaults = {param.name: param.default for param in method.params}
    given += [f"{n}={value!r}" for n, value in call.params.items() if value != defaults[n]]
    made = f"featvis.{call.method}({', '.join(given)})"
    return f"*_, {call.method} = {made}" if method.generator else f"{call.method} = {made}"


def _target(text: str, model: VisionModel) -> str:
    target = _read(text, model)
    if isinstance(target, Likeness):
        return f"featvis.Likeness(model(other)[0].detach(), {text!r})"
    return repr(target) if isinstance(target, int) else f"featvis.{target!r}"


def _like(call: Call, model: VisionModel) -> bool:
    return "target" in call.subject and isinstance(_read(call.subject["target"], model), Likeness)


def _read(text: str, model: VisionModel) -> Target:
    """A target for its kind alone: the picture that it may name is not opened."""
    return model.output.parse(text, lambda name: torch.empty(0))


def _is_scene(name: str | None) -> bool:
    return str(name).startswith("scene-")


def _picture(name: str | None) -> str:
    """The expression for a picture: a drawn scene, or a file."""
    if not _is_scene(name):
        return repr(name)
    return f"PIL.Image.fromarray(scene({str(name)[6:]}, size=512).image)"
