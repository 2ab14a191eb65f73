"""Paths that are treated in a way of their own."""

LIVE = "/health/live"
"""Needs no token."""

STREAM = "/monitoring/stream"
"""Has no end: there is no HEAD of it, and pages elsewhere must not hold it open."""

BACKTEST = "/monitoring/backtest"
"""May take long."""

COMPARE = "/compare"
"""How the path of what back-tests a proposal ends."""


def slow(path: str) -> bool:
    """Whether an answer may take long."""
    return path == BACKTEST or path.endswith(COMPARE)
