"""Reading a network: its layers, its head, what each position sees, what a pass costs."""
