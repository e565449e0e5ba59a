"""Gradients at the picture: averaged over samples, of a part of it, in less precision."""
