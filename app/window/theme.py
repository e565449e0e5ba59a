"""The look: colours, type and the styles of our own components, in light and dark."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

CSS = (Path(__file__).parent.parent / "assets" / "style.css").read_text(encoding="utf-8")


def theme() -> gr.themes.Base:
    """Calm paper and ink with one accent; the maps bring the colour."""
    return gr.themes.Base(
        primary_hue="teal",
        neutral_hue="stone",
        spacing_size="sm",
        radius_size="sm",
        font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "monospace"],
    ).set(
        body_background_fill="#faf9f7",
        body_background_fill_dark="#161514",
        block_border_width="0px",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_shadow="none",
        block_info_text_color="#6f6a63",
        block_info_text_color_dark="#a39d95",
        body_text_color_subdued="#6f6a63",
        body_text_color_subdued_dark="#a39d95",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="500",
        input_background_fill="white",
        input_background_fill_dark="#201f1d",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="#201f1d",
        button_secondary_border_color="#d9d5cf",
        button_secondary_border_color_dark="#3a3835",
    )
