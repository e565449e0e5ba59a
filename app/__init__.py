"""The window and the command line: everything in them is derived from METHODS and the adapters."""
