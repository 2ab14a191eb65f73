"""Tocsin's detection library: arrays in, arrays out; it knows no label, no alert, no clock and no network."""

from tocsin.detect.auto import VOICES, AutoState, Outlook, outlook
from tocsin.detect.base import (
    AHEAD,
    AUTO,
    AWAY,
    METHODS,
    MIN_LEARN,
    MORE,
    RETURNED,
    SETTLED,
    STATES,
    Direction,
    Scores,
    choose,
    joined,
    resolve_methods,
    wants_auto,
)
from tocsin.detect.baseline import Baseline, fit
from tocsin.detect.calibrate import ANOMALOUS, Severity, calibrated_confidence, confidence_of, sigma_of_tail, tail_of
from tocsin.detect.dial import AUTO_CEILING, LEAST_WEEKS, Dial, Reviews, Seen, Tolerance, advance_dial
from tocsin.detect.dial import LEVELS as DIAL_LEVELS
from tocsin.detect.explain import Ground, agreeing, distance, explain, needed_words, number
from tocsin.detect.follow import Followed, Learnt, follow
from tocsin.detect.found import Detection, Detections, detect
from tocsin.detect.history import Backtest, backtest
from tocsin.detect.judge import REASONS, Judgement, Policy, anomalies, floor, judge, possible, raised, shifted, slack
from tocsin.detect.more import BrokenExtra, Context, history_of, importing, is_slow, missing_extra, told_at
from tocsin.detect.patterns import Pattern, patterns
from tocsin.detect.replay import Replay, relearns_after, replay, sure_after
from tocsin.detect.retrospective import sigmas

__all__ = [
    "AHEAD",
    "ANOMALOUS",
    "AUTO",
    "AUTO_CEILING",
    "AWAY",
    "DIAL_LEVELS",
    "LEAST_WEEKS",
    "METHODS",
    "MIN_LEARN",
    "MORE",
    "REASONS",
    "RETURNED",
    "SETTLED",
    "STATES",
    "VOICES",
    "AutoState",
    "Backtest",
    "Baseline",
    "BrokenExtra",
    "Context",
    "Detection",
    "Detections",
    "Dial",
    "Direction",
    "Followed",
    "Ground",
    "Judgement",
    "Learnt",
    "Outlook",
    "Pattern",
    "Policy",
    "Replay",
    "Reviews",
    "Scores",
    "Seen",
    "Severity",
    "Tolerance",
    "advance_dial",
    "agreeing",
    "anomalies",
    "backtest",
    "calibrated_confidence",
    "choose",
    "confidence_of",
    "detect",
    "distance",
    "explain",
    "fit",
    "floor",
    "follow",
    "history_of",
    "importing",
    "is_slow",
    "joined",
    "judge",
    "missing_extra",
    "needed_words",
    "number",
    "outlook",
    "patterns",
    "possible",
    "raised",
    "relearns_after",
    "replay",
    "resolve_methods",
    "shifted",
    "sigma_of_tail",
    "sigmas",
    "slack",
    "sure_after",
    "tail_of",
    "told_at",
    "wants_auto",
]
