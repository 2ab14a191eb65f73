"""How soon a Grafana that comes back is seen."""

from tocsin.monitor.connections import LOOK_EVERY
from tocsin.sources.grafana_discovery import FIRST_RETRY_S
from tocsin.sources.grafana_link import FIRST_DELAY_S, pause_s


def test_one_that_comes_back_is_seen_within_fifteen_seconds_however_long_it_was_away():
    for first_s in (FIRST_DELAY_S, FIRST_RETRY_S):
        longest = max(pause_s(failures, first_s, 1.0) for failures in range(1, 100_000))
        assert longest + LOOK_EVERY.total_seconds() <= 15


def test_the_pauses_grow_so_that_one_that_is_away_is_not_asked_all_the_time():
    pauses = [pause_s(failures, 0.5, 0.5) for failures in range(1, 7)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert {pause_s(1, 0.5, chance) for chance in (0.0, 1.0)} == {0.25, 0.75}
