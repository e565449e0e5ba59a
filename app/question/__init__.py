"""What is asked: one frozen state, and all that reads or writes it."""
