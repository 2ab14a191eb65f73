"""What two back-tests say of a change: only one that keeps a marked alert away is one."""

from dataclasses import replace
from types import SimpleNamespace

from tests.monitor.scene import MINUTE, START
from tests.store.builders import alert
from tocsin.domain.feedback import Mark, MarkedAlert, Verdict
from tocsin.domain.frame import Window
from tocsin.domain.proposal import Change, ProposalKind
from tocsin.monitor.weighing import Weighing


def back_test(*alerts):
    return SimpleNamespace(
        reckoning=None, alerts=alerts, alerts_total=len(alerts), window=Window(START, START + 60 * MINUTE, MINUTE)
    )


def tried(kind, before, after, seen):
    marked = [MarkedAlert(one, Mark(one.id, Verdict.EXPECTED, "ann", "", START)) for one in seen]
    proposal = SimpleNamespace(evidence=tuple(one.id for one in seen))
    return Weighing(proposal, back_test(*before), marked, START, START).of(Change(kind, 3.0), back_test(*after))


def test_more_alerts_of_other_series_are_no_effect_on_those_that_were_marked():
    mine = alert()
    others = [replace(mine, id=f"alert:{n}", labels=type(mine.labels)({"n": str(n)})) for n in range(4)]
    worse = tried(ProposalKind.FLOOR, [mine], [mine, *others], [mine])
    assert (worse.effective, worse.seen, worse.difference.expected_removed) == (False, True, 0)
    better = tried(ProposalKind.FLOOR, [mine], others[:1], [mine])
    assert (better.effective, better.difference.expected_removed) == (True, 1)


def test_where_the_marked_alerts_are_not_found_again_the_number_of_alerts_decides():
    mine = alert()
    elsewhere = replace(mine, id="alert:other", labels=type(mine.labels)({"n": "other"}))
    assert not tried(ProposalKind.FLOOR, [mine], [mine], [elsewhere]).effective
    assert tried(ProposalKind.FLOOR, [mine], [], [elsewhere]).effective
