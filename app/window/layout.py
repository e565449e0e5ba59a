"""The layout: the components of the window, and where they stand. events.py wires them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

import zoo_adapters
from featvis import Param

from ..machine.limits import limits
from ..pages import choices, starts, tries, views
from ..pages.picker import FILTERS
from ..question import tabs
from ..question.state import start
from ..words import texts
from .lists import save
from .widgets import Picture, widget

ASSETS = Path(__file__).parent.parent / "assets"


def _script(*names: str) -> str:
    return "\n".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in names)


class Tab:
    """The components of one tab."""

    def __init__(self, record: tabs.Tab) -> None:
        self.grid = self.methods = self.others = None
        self.controls: dict[str, Any] = {}
        with gr.Tab(record.name, id=record.name, render_children=True) as self.tab:
            self.lead = gr.HTML(
                f'<p class="fv-lead">{record.lead}</p>{tries.offered(record.name)}',
                js_on_load=_script("try"),
            )
            params = record.params.values()
            if len(record.methods) > 1:
                self.methods = gr.CheckboxGroup(
                    [(m.title, m.name) for m in record.methods],
                    value=[m.name for m in record.first_methods],
                    label="Methods",
                    show_label=False,
                    elem_classes="fv-chips",
                )
            if record.others_label:
                self.others = gr.Dropdown(
                    choices.comparable(),
                    multiselect=True,
                    allow_custom_value=True,
                    label=record.others_label,
                    info=record.others,
                    elem_classes="fv-others",
                )
            if record.page:  # a page is long: what changes it stands above it
                self._controls(params)
            self.view = gr.HTML(js_on_load=_script("pick", "point", "tell"), elem_classes="fv-view")
            if not record.page:
                self._controls(params)
            if record.has_grid:
                self.grid = gr.HTML(js_on_load=_script("pick"))
            with gr.Accordion("How to read this", open=False, elem_classes="fv-how"):
                gr.Markdown(record.explanation or texts.explanation(record.methods))

    def _controls(self, params: Collection[Param]) -> None:
        if params:
            with gr.Row(elem_classes="fv-params"):
                self.controls = {param.name: widget(param) for param in params}

    @property
    def shown(self) -> list[Any]:
        """All components that show something of the state."""
        made = [self.view, self.grid, self.methods, self.others, *self.controls.values()]
        return [component for component in made if component is not None]


class Window:
    """All components; `wire` is called with them while the page may still be changed."""

    def __init__(self, wire: Callable[[Window], None] = lambda window: None) -> None:
        age = int(3600 * (limits().page_hours or 1e6))  # of what visitors sent
        with gr.Blocks(
            title="featvis", analytics_enabled=False, fill_width=True, delete_cache=(3600, age)
        ) as self.blocks:
            gr.HTML(
                '<a class="fv-skip" href="?">Skip to the results</a>'
                '<header class="fv-brand"><h1>featvis</h1><p>See what a pretrained vision network '
                "has learned: its filters, its feature maps, its evidence.</p>"
                f"{views.languages()}</header>"
            )
            self.notice = gr.HTML(
                views.busy("Loading the network and a first picture"),
                js_on_load=_script("notice", "hand"),
                elem_classes="fv-top",
            )
            with gr.Accordion("Start from one of these", open=False, elem_classes="fv-more"):
                gr.HTML(starts.view())
            with gr.Row(equal_height=False, elem_classes="fv-main"):
                with gr.Column(scale=0, min_width=300, elem_classes="fv-side"):
                    self._model()
                    self._picture()
                    self._target()
                    self._layer()
                with gr.Column(scale=1, min_width=320, elem_id="fv-stage", elem_classes="fv-stage"):
                    with gr.Tabs(selected=start().tab, elem_classes="fv-tabs") as self.tabs:
                        self.parts = {name: Tab(tab) for name, tab in tabs.TABS.items()}
                    self.link = gr.HTML(
                        "",
                        html_template=(ASSETS / "link.html")
                        .read_text(encoding="utf-8")
                        .replace("SPACE", escape(os.environ.get("SPACE_ID", ""))),
                        js_on_load=_script("link"),
                        server_functions=[save],
                    )
            self.touched = gr.Checkbox(visible=False)
            wire(self)

    def _model(self) -> None:
        with gr.Group(elem_classes="fv-card"):
            gr.HTML('<h2 class="fv-label">Network</h2>')
            zoos = [(zoo.title, zoo.name) for zoo in zoo_adapters.zoos()]
            with gr.Row():
                self.zoo = gr.Dropdown(zoos, value=None, label="Zoo", min_width=110)
                self.family = gr.Dropdown([], label="Family", min_width=110)
            self.model = gr.Dropdown([], label="Model")
            self.facts = gr.HTML()
            with gr.Accordion(
                "Find any network", open=False, elem_classes="fv-more"
            ) as self.search:
                self.name = gr.Textbox(
                    label="Words of the name, or all of it",
                    show_label=False,
                    placeholder="conv nano, or timm:hf-hub:org/name",
                    submit_btn="Find",
                    max_lines=1,
                )
                with gr.Row(elem_classes="fv-filters"):
                    self.filters = [
                        gr.Dropdown(choices, value=choices[0][1], label=label, min_width=80)
                        for label, choices in FILTERS.items()
                    ]
                self.found = gr.HTML(js_on_load=_script("pick"))

    def _picture(self) -> None:
        with gr.Group(elem_classes="fv-card"):
            gr.HTML('<h2 class="fv-label">Picture</h2>')
            self.picture = Picture(
                type="filepath",
                sources=["upload", "clipboard", "webcam"],
                label="Your picture",
                alt_text="The picture that the network looks at",
                show_label=False,
                height=220,
                buttons=[],
                format="webp",
                elem_id="fv-picture",
            )
            self.upload = gr.HTML(
                choices.upload(""), js_on_load=_script("delete"), elem_id="fv-upload"
            )
            self.examples = gr.HTML(js_on_load=_script("pick"), elem_id="fv-examples")

    def _target(self) -> None:
        with gr.Group(elem_classes="fv-card"):
            gr.HTML('<h2 class="fv-label">Prediction <span>click a class to explain it</span></h2>')
            self.prediction = gr.HTML(js_on_load=_script("pick"), elem_id="fv-prediction")
            self.target = gr.Dropdown([], label="Another class", elem_id="fv-target")
            self.against = gr.Dropdown([], label="rather than", elem_id="fv-against")

    def _layer(self) -> None:
        with gr.Group(elem_classes="fv-card"):
            gr.HTML('<h2 class="fv-label">Layer and channel</h2>')
            self.layer = gr.Dropdown([], label="Layer", elem_id="fv-layer")
            with gr.Row(elem_classes="fv-steps", visible=False) as self.steps:
                self.channel = gr.Number(
                    label="Channel", precision=0, minimum=0, min_width=90, elem_id="fv-channel"
                )
                self.back = gr.Button("Previous channel", min_width=36, elem_id="fv-back")
                self.next = gr.Button("Next channel", min_width=36, elem_id="fv-next")
                self.any = gr.Button("Random", min_width=70, elem_id="fv-any")
