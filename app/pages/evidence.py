"""Evidence: what is said in words and numbers of a map over the picture."""

from __future__ import annotations

from html import escape

from featvis.types import Attribution, Heatmap

from ..answers import session, trust
from ..answers.session import Made
from ..question.state import State
from ..words import texts
from .panels import Panel

__all__ = ["panel", "score"]


def panel(made: Made, state: State) -> Panel:
    """A map, what it explains, and what is known of its exactness."""
    result = made.result
    assert isinstance(result, Heatmap | Attribution)
    lines = [f"<b>{escape(result.target)}</b>{score(result, state)}"]
    if isinstance(result, Heatmap):
        h, w = result.values.shape[1:]
        where = f"at {escape(result.layer)}, " if result.layer else ""
        lines.append(f"{where}{h}x{w} places")
        if result.residual is not None and result.bias is not None:
            lines.append(
                f"map {float(result.values[0].mean()):+.2f}, bias {float(result.bias[0]):+.2f}: "
                + texts.exactness(float(result.residual[0]))
            )
    elif result.gap is not None:
        lines.append(texts.completeness(float(result.gap[0])))
    params = session.params_of(made.method, state)
    if "seed" in params:
        copies = f"{params['samples']} noisy copies, " if "samples" in params else ""
        lines.append(f"{copies}seed {params['seed']}")
    with_box = state.display("box") or state.display("trust")
    found = trust.box(result, session.image_of(state)) if with_box else None
    if state.display("trust"):
        lines.append(trust.faith_words(trust.faith(made, state)))
        if place := trust.place(made, state):
            where = "on" if place.on_object else "beside"
            lines.append(f"its peak is {where} the object; box IoU {place.iou:.2f}")
    strip = trust.stages(made, state) if state.display("sanity") else []
    if strip:
        lines.append(f"<b>{trust.verdict(strip)}</b>")
    lines += [escape(texts.sentence(note)) for note in result.notes]
    title, seconds = made.method.title, made.seconds
    return Panel(title, result, lines, seconds, box=found, strip=strip)


def score(result: Heatmap | Attribution, state: State) -> str:
    """The value of what is explained, with its name."""
    if isinstance(result, Heatmap) and int(result.classes[0]) < 0 and not result.signed:
        return ""  # of no class and no neuron: the number would mean nothing
    value = f"{float(result.score[0]):.3g}"
    if state.of_neuron:
        return f": activation {value}"
    if session.model_of(state.model).embeds:
        return f": {value}"
    return f": logit difference {value}" if "-" in (state.target or "") else f": logit {value}"
