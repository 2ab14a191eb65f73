"""What `tocsin suggest` says of how little there was to try targets on."""

from datetime import timedelta

import pytest

from tocsin.cli.suggest import how_young
from tocsin.monitor.trial import Trials

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("covered", "past", "said"),
    [
        (5 * MINUTE, DAY, "There are 5 minutes of data in the last 24 hours: what has not moved in them is left out."),
        (
            2 * MINUTE,
            HOUR,
            "There are 2 minutes of data in the last 60 minutes: what has not moved in them is left out.",
        ),
        (14 * MINUTE, 15 * MINUTE, "Only 15 minutes were tried: with --days 0.5 or more,"),
    ],
)
def test_minutes_are_said_with_what_to_do(covered, past, said):
    lines = how_young(Trials((), (), covered=covered), past)
    assert lines[0].startswith(said)
    assert ("Run it again when there are 12 hours of data or more." in lines) is said.startswith("There")


@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1", "31"])
def test_a_past_that_is_none_is_said_with_what_it_may_be(run, value):
    result = run("suggest", "--prometheus", "http://127.0.0.1:9", f"--days={value}")
    assert result.exit_code == 2
    assert f"--days: must be a number from 0.01 to 30, not {value}" in result.output


@pytest.mark.parametrize("covered", [timedelta(0), 12 * HOUR, DAY])
def test_nothing_is_said_of_a_past_that_is_long_enough_or_empty(covered):
    assert how_young(Trials((), (), covered=covered), DAY) == ()
