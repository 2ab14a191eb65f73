"""Tocsin: notices what is wrong in metrics, says so once, and shows why."""

__version__ = "0.1.0"
