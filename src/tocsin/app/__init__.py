"""The composition root: makes everything out of a `Config`, and decides nothing."""

from tocsin.app.serve import serve

__all__ = ["serve"]
