"""The machine: its limits, its threads, its stores and files; it knows no page and no HTML."""
