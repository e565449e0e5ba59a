"""The question: one frozen state, and all that reads or writes it."""
