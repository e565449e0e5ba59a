"""Evidence: what is said in words and numbers of a map over the picture."""

from __future__ import annotations

from html import escape

from featvis.types import Attribution, Heatmap

from ..answers import trust
from ..answers.ask import Ask
from ..answers.run import Answer
from ..words import texts
from .panels import Panel


def panel(answer: Answer) -> Panel:
    """A map, what it explains, and what is known of its exactness."""
    ask, result = answer.ask, answer.result
    assert ask.state is not None
    assert isinstance(result, Heatmap | Attribution)
    choices = ask.state.choices
    lines = [f"<b>{escape(result.target)}</b>{score(result, ask)}"]
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
    if "seed" in ask.params:
        copies = f"{ask.params['samples']} noisy copies, " if "samples" in ask.params else ""
        lines.append(f"{copies}seed {ask.params['seed']}")
    box = None
    if ask.image is not None and (choices["box"] or choices["trust"]):
        box = trust.box(result, ask.image)
    if choices["trust"]:
        lines.append(trust.faith_words(trust.faith(answer)))
        if place := trust.place(answer):
            where = "on" if place.on_object else "beside"
            lines.append(f"its peak is {where} the object; box IoU {place.iou:.2f}")
    strip = trust.stages(answer) if choices["sanity"] else []
    if strip:
        lines.append(f"<b>{trust.verdict(strip)}</b>")
    lines += [escape(texts.sentence(note)) for note in result.notes]
    return Panel(ask.method.title, result, lines, answer.seconds, box=box, strip=strip)


def score(result: Heatmap | Attribution, ask: Ask) -> str:
    """The value of what is explained, with its name."""
    if isinstance(result, Heatmap) and int(result.classes[0]) < 0 and not result.signed:
        return ""  # of no class and no neuron: the number would mean nothing
    value = f"{float(result.score[0]):.3g}"
    if ask.state is not None and ask.state.of_neuron:
        return f": activation {value}"
    target = ask.origin.target if ask.origin is not None else None
    quantity = ask.model.output.quantity(target)
    return f": {quantity} {value}" if quantity else f": {value}"
