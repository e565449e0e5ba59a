"""The components of Gradio, and what happens when one is used."""
