"""A state becomes results, as values: no HTML and no Gradio."""
