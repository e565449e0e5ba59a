"""The sweep: every architecture of the zoos, loaded, proved and shown, one row each."""
