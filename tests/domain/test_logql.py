"""LogQL as far as it is understood: what is refused and where, and what counts lines."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tocsin.domain.denominator import OFF, guard_of
from tocsin.domain.errors import Invalid
from tocsin.domain.log_signal import LogSignal, asked, templates_of
from tocsin.domain.logql import Counting, check_lines, check_metric, counting, duration
from tocsin.domain.logql_tree import duration_s
from tocsin.domain.nature import Nature
from tocsin.domain.target import QueryType, Target

WEB = '{app="web"}'


@pytest.mark.parametrize(
    "query",
    [
        'sum by (app) (rate({env="lab"}[5m]))',
        'sum(count_over_time({app="web"} |= "level=error" [5m]))',
        'quantile_over_time(0.95, {app="web"} | logfmt | unwrap duration(duration) [10m]) by (app)',
        'topk(5, sum without (pod) (bytes_rate({a="b", c!~"d.*"} != `x{y` | json x="a.b", z="q" | keep x, z [1h30m])))',
        'rate(({a="b"} |= "x" or "y")[5m] offset 1h) # a comment',
        'label_replace(rate({a="b"}[1m]), "x", "$1", "a", "(.*)") > bool 5',
        '(sum(rate({a=~".+"}[5m])) or vector(0)) / on () group_left () sum(rate({a!=""}[5m])) ^ -2',
        'absent_over_time({app="x"} | (a >= 5 or b = "c") and ip("1.0.0.0/8") [5m])',
        'new_function_of_tomorrow({a="b"}[5m])',
    ],
)
def test_metric_queries_are_taken(query: str) -> None:
    check_metric(query)
    with pytest.raises(Invalid, match="log query"):
        check_lines(query)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "empty"),
        ("up", "stream selector stands in braces"),
        ("{}", "at least one matcher"),
        ('{app=~".*"}', "at least one matcher"),
        ('{app=""}', "at least one matcher"),
        ('{app!="x"}', "at least one matcher"),
        ('{app="web"', "query: } is missing .at the end"),
        ('sum(rate({app="web"[5m]))', "query: } is missing .at character 20"),
        ('{app="web",', "the name of a label or a closing brace is missing .at the end"),
        ('sum by (a b) (rate({app="web"}[5m]))', "query: , is missing"),
        ('sum by (a (rate({app="web"}[5m]))', r"query: \) is missing"),
        ('{app="web" env="x"}', "missing .at character 12"),
        ("{app=web}", "quotes is missing .at character 6"),
        ('{app="web', "unfinished string .at character 6"),
        ('{app="web"} ; drop', "';' has no meaning here .at character 13"),
        ('sum({app="web"})', "sum needs numbers"),
        ('rate({app="web"})', "needs a range"),
        ('{app="web"}[5m]', "needs a function"),
        ('sum(rate({app="web"}[5z]))', "no duration"),
        ('quantile_over_time(0.9, {app="web"}[1m])', "unwrap"),
        ('{app="web"} == 1', "at character|meaning|numbers"),
        ('sum(rate({app="web"}[5m])))', "no meaning here"),
        ("(" * 100 + "1" + ")" * 100, "parentheses"),
        ("rate()", "argument is missing"),
        ("1.2.3", "no number"),
    ],
)
def test_what_no_server_can_take_says_where(query: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        check_metric(query)
    assert caught.value.field == "query"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sum(count_over_time(%s[5m]))", Counting(WEB, 300.0, "", whole=True)),
        ("rate(%s[5m])", Counting(WEB, 300.0, "", whole=False)),
        ("60 * sum by (app) (rate(%s | json [1m] offset 1h)) / 2", Counting(WEB, 60.0, "offset 1h", whole=False)),
        ("max(sum by (app) (bytes_rate(%s[1m])))", Counting(WEB, 60.0, "", whole=True)),
        ("sum without (a) (count_over_time(%s[1m]))", Counting(WEB, 60.0, "", whole=False)),
        ("sum(rate(%s[1m])) > 5", None),
        ("sum(rate(%s[1m])) + 5", None),
        ("1 / sum(rate(%s[1m]))", None),
        ("sum(rate(%s[1m])) / 0", None),
        ("topk(3, rate(%s[1m]))", None),
        ("rate(%s | unwrap bytes [1m])", None),
        ("absent_over_time(%s[1m])", None),
        ("sum(rate(%s[1m])) / sum(rate(%s[1m]))", None),
    ],
)
def test_where_no_line_is_zero(query: str, found: Counting | None) -> None:
    assert counting(query.replace("%s", WEB)) == found


def test_unwrap_in_a_string_is_a_word() -> None:
    assert counting('rate({app="web"} |= "unwrap" [1m])') is not None


def test_durations() -> None:
    assert [duration(each) for each in (60, 0.5, 1e-6, 90.25)] == ["60s", "500ms", "1us", "90250ms"]
    assert [duration_s(each) for each in ("1h30m", "500ms", "5", "m5")] == [5400.0, 0.5, None, None]


def test_what_is_watched_of_lines() -> None:
    query = '{app="web"} |= "x"'
    assert asked(query, LogSignal.VOLUME, 60) == ('sum by (detected_level) (count_over_time({app="web"} |= "x" [60s]))')
    ratio = asked(query, LogSignal.ERROR_RATIO, 60)
    assert ratio.count('{app="web"} |= "x"') == 3
    check_metric(ratio)
    with pytest.raises(Invalid, match="log query"):
        asked("vector(1)", LogSignal.VOLUME, 60)


def test_templates_are_asked_in_a_form_of_our_own() -> None:
    query = '{app="web"} |= "x)"  # why'
    made = asked(query, LogSignal.TEMPLATES, 60)
    assert made == 'templates({app="web"} |= "x)" [60s])'
    assert templates_of(made) == '{app="web"} |= "x)"'
    for other in ('{app="web"}', "templates(", "templates(vector(1))", "templates({a='b'}[1m]) / 2", "templates"):
        assert templates_of(other) is None


TARGET = Target("logs", WEB, "loki", QueryType.LOKI, log_signal=LogSignal.ERROR_RATIO)


def test_a_target_of_lines() -> None:
    target = TARGET.validated()
    assert target.asked != target.query
    assert target.nature == Nature("ratio", 0.0, 1.0, "query")
    volume = replace(target, log_signal=LogSignal.VOLUME)
    assert volume.nature == Nature("count", 0.0, None, "query")
    assert replace(target, unit="none").nature == Nature()
    assert replace(target, log_signal=None, query="vector(1)").asked == "vector(1)"
    guard = guard_of(target)
    assert guard is not None
    assert (guard.query, guard.least) == ('sum(count_over_time({app="web"} [60s]))', 10.0)
    assert guard_of(replace(target, denominator=OFF)) is None
    assert guard_of(volume) is None
    longer = guard_of(replace(target, step=timedelta(minutes=5), min_denominator=3.0))
    assert longer is not None
    assert (longer.query, longer.least) == ('sum(count_over_time({app="web"} [300s]))', 3.0)


def test_a_target_of_templates() -> None:
    target = replace(TARGET, log_signal=LogSignal.TEMPLATES).validated()
    assert target.nature == Nature("count", 0.0, None, "query")
    assert guard_of(target) is None
    assert target.reads_back == timedelta(0), "each line of it would have to be read"
    assert target.policy.min_effect == 5.0
    assert replace(target, min_effect=20.0).policy.min_effect == 20.0
    assert replace(target, log_signal=LogSignal.VOLUME).policy.min_effect == 5.0, "a line more or two is nothing"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"query_type": QueryType.PROMETHEUS}, "log_signal"),
        ({"query": "vector(1)"}, "query"),
        ({"query": 'templates({app="web"} [60s])', "log_signal": None}, "query"),
        ({"denominator": 'templates({app="web"} [60s])'}, "denominator"),
        ({"query": "{"}, "query"),
    ],
)
def test_a_signal_needs_lines(change: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        replace(TARGET, **change).validated()  # type: ignore[arg-type]
    assert caught.value.field == field
