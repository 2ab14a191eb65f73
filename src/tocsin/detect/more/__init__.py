"""Methods beside ``auto`` and the classic four: each goes through time, has a bounded state, and is called by name."""

from tocsin.detect.more.common import Columns, Context, Said
from tocsin.detect.more.engine import MoreState, go_on, strongest
from tocsin.detect.more.extras import BrokenExtra, importing
from tocsin.detect.more.registry import BY_NAME, history_of, is_slow, missing_extra, series_of
from tocsin.detect.more.words import told_at

__all__ = [
    "BY_NAME",
    "BrokenExtra",
    "Columns",
    "Context",
    "MoreState",
    "Said",
    "go_on",
    "history_of",
    "importing",
    "is_slow",
    "missing_extra",
    "series_of",
    "strongest",
    "told_at",
]
