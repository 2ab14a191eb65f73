"""Measured as it is served: numeric libraries compute in one thread."""

from tocsin.cli.threads import compute_in_one

compute_in_one()
