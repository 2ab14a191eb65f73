"""The default detector: many looks at a series, each on its own history's scale, one verdict."""

from tocsin.detect.auto.engine import Opinions, advance, look_back, ready_from
from tocsin.detect.auto.outlook import Outlook, outlook
from tocsin.detect.auto.settle import settled
from tocsin.detect.auto.state import DAY_S, LEAD, SPEAKERS, VOICES, AutoState

__all__ = [
    "DAY_S",
    "LEAD",
    "SPEAKERS",
    "VOICES",
    "AutoState",
    "Opinions",
    "Outlook",
    "advance",
    "look_back",
    "outlook",
    "ready_from",
    "settled",
]
