"""Targets suggested for the lines of a log store: which label names a service, and what is made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.detect import Direction
from tocsin.domain.labels import Labels
from tocsin.domain.log_services import UNKNOWN, LogCatalogue, plain_label, services_of
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.logql import check_lines, check_metric
from tocsin.domain.logql_tree import Matcher
from tocsin.domain.suggest import MAX_GROUPS, MOST_VALUES
from tocsin.domain.suggest_logs import (
    MAX_TEMPLATE_LINES,
    MAX_TEMPLATE_SERVICES,
    MAX_VALUE_CHARACTERS,
    quoted,
    suggest_logs,
)
from tocsin.domain.target import NAME, QueryType, Target

MANY = range(MOST_VALUES + 1)


def streams(*each):
    return tuple(map(Labels, each))


def catalogue(*each, lines=None, levels=True):
    found = streams(*each)
    return LogCatalogue(found, len(found), services_of(found), lines, levels)


def named(*values, label="app", **lines):
    return catalogue(*({label: value} for value in values), lines=lines or dict.fromkeys(values, 6.0))


def plan(found, lacking=None):
    made = suggest_logs(found, lacking)
    return {one.name: one for one in made.suggestions}, made.notes


def target(one):
    return Target(
        one.name, one.query, "loki", QueryType.LOKI, log_signal=one.log_signal, unit=one.unit, description=one.why
    ).validated()


@pytest.mark.parametrize(
    ("each", "label", "by"),
    [
        ([{"service_name": "a", "app": "x"}, {"service_name": "b", "app": "y"}], "service_name", ("service_name",)),
        ([{"app": "x", "job": "j"}, {"app": "y", "job": "j"}], "app", ("app",)),
        ([{"service_name": UNKNOWN, "job": "a"}, {"service_name": UNKNOWN, "job": "b"}], "job", ("job",)),
        # One that tells none apart gives way to one that does, and is taken where there is none.
        ([{"service_name": "all", "namespace": "a"}, {"service_name": "all", "namespace": "b"}], "namespace", None),
        ([{"service_name": "all", "pod": "1"}, {"service_name": "all", "pod": "2"}], "service_name", None),
        # What few streams have names no service of the others.
        ([{"app": "x", "job": "a"}, {"job": "b"}, {"job": "c"}], "job", ("job",)),
        (
            [{"app": app, "namespace": where, "pod": app + where} for app in "xy" for where in "ab"],
            "app",
            ("app", "namespace"),
        ),
        ([{"app": "x", "namespace": "a"}, {"app": "y", "namespace": "a"}], "app", ("app",)),
        ([{"service_name": str(n), "namespace": "ab"[n % 2]} for n in MANY], "namespace", ("namespace",)),
    ],
)
def test_the_label_that_names_services(each, label, by):
    found = services_of(streams(*each))
    assert (found.label, found.by) == (label, by or (label,))
    assert found.selector == f'{{{label}=~".+"}}'


def test_too_many_services_are_added_up_and_it_is_said():
    found = catalogue(*({"service_name": str(n)} for n in MANY), lines={"": 600.0})
    offered, notes = plan(found)
    assert set(offered) == {"log_error_ratio", "log_lines"}
    assert offered["log_lines"].query == 'sum (count_over_time({service_name=~".+"} [1m]))'
    assert notes == ("service_name has 21 values, more than 20: all lines are added up",)


def test_without_a_label_of_services_everything_is_added_up_and_it_is_said():
    offered, notes = plan(catalogue({"host": "a", "file": "x"}, {"host": "b"}, {"file": "y", "host": "c"}, lines={}))
    assert offered["log_lines"].query == 'sum (count_over_time({host=~".+"} [1m]))'
    assert ["no label names the services" in note for note in notes] == [True]


def test_what_no_target_covers_is_said():
    _, notes = plan(catalogue({"app": "a"}, {"app": "b"}, {"file": "x"}, lines={}))
    assert notes == ("1 of 3 streams have no label app: their lines are not covered",)


def test_where_nothing_is_there_nothing_is_suggested():
    assert plan(catalogue()) == ({}, ("there are no streams: nothing is suggested",))
    assert services_of(()) is None
    assert services_of(streams({"__stream_shard__": "1"})) is None


def test_lines_and_errors_of_each_service_and_templates_of_each():
    offered, notes = plan(named("web", "db", web=60.0, db=0.2))
    assert list(offered) == ["log_error_ratio", "log_lines", "log_templates_web", "log_templates_db"]
    assert notes == ()
    each = 'sum by (app) (count_over_time({app=~".+"} [5m]))'
    bad = 'sum by (app) (count_over_time({app=~".+"} | detected_level=~"error|critical|fatal" [5m]))'
    ratio, rate, web = (offered[name] for name in ("log_error_ratio", "log_lines", "log_templates_web"))
    assert ratio.query == f"({bad} or {each} * 0) / {each}"
    assert (ratio.direction, ratio.unit) == (Direction.ABOVE, "ratio")
    assert (ratio.denominator, ratio.min_denominator) == (each, 10.0)
    assert (rate.query, rate.direction) == ('sum by (app) (count_over_time({app=~".+"} [1m]))', Direction.BOTH)
    assert (web.query, web.log_signal) == ('{app="web"}', LogSignal.TEMPLATES)
    assert web.why.endswith("each line is read, about 60 a minute")
    assert offered["log_templates_db"].why.endswith("each line is read, fewer than one a minute")
    for one in offered.values():
        assert target(one).name == one.name
    for query in (ratio.query, ratio.denominator, rate.query):
        check_metric(query)


def test_without_levels_there_is_no_share_of_errors():
    offered, notes = plan(catalogue({"app": "a"}, lines={"a": 1.0}, levels=False))
    assert list(offered) == ["log_lines", "log_templates_a"]
    assert ["no line has a level" in note for note in notes] == [True]


def test_where_lines_were_not_counted_only_their_rate_is_suggested():
    offered, notes = plan(catalogue({"app": "a"}, lines=None, levels=False))
    assert (list(offered), notes) == (["log_lines"], ())


def test_templates_need_their_extra():
    offered, notes = plan(named("a", "b"), lacking="needs drain3")
    assert list(offered) == ["log_error_ratio", "log_lines"]
    assert notes == ("templates are not suggested: this needs drain3",)


def test_templates_are_for_few_services_that_write_little_and_have_a_name():
    busy, silent, long, odd = "busy", "silent", "n" * (MAX_VALUE_CHARACTERS + 1), "a\nb"
    some = [f"s{n}" for n in range(MAX_TEMPLATE_SERVICES + 2)]
    lines = {busy: MAX_TEMPLATE_LINES + 1, silent: 0.0, long: 2.0, odd: 2.0, some[3]: MAX_TEMPLATE_LINES}
    offered, notes = plan(named(*{**dict.fromkeys(some, 1.0), **lines}, **{**dict.fromkeys(some, 1.0), **lines}))
    templates = [one.query for one in offered.values() if one.log_signal]
    assert templates == [f'{{app="{name}"}}' for name in ("s3", "s0", "s1", "s2", "s4")]
    assert [note.split(" are not")[0] for note in notes] == [
        "templates of 1 busy service",
        "templates of 2 further services",
        "templates of 2 services",
    ]


HOSTILE = ['a"} |= "b', "a\\", "`", "${HOME}", "a b/ü😀", "} or vector(1) #", "</b>[red]", "-", " lead"]


@pytest.mark.parametrize("value", HOSTILE)
def test_the_name_of_a_service_is_data(value):
    offered, _ = plan(named("x", value))
    (one,) = [each for each in offered.values() if each.log_signal and each.query != '{app="x"}']
    found = check_lines(one.query)
    assert (found.matchers, found.pipeline) == ((Matcher("app", "=", value),), "")
    assert target(one).asked.startswith("templates(")


@given(st.lists(st.text(min_size=1, max_size=130), min_size=1, max_size=8, unique=True))
def test_no_name_of_a_service_makes_another_query_or_two_targets_of_one_name(values):
    made = suggest_logs(named(*values), None)
    names = [one.name for one in made.suggestions]
    assert len(set(names)) == len(names)
    for one in made.suggestions:
        assert NAME.fullmatch(target(one).name)
        if one.log_signal:
            (matcher,) = check_lines(one.query).matchers
            assert matcher.value in values
        else:
            check_metric(one.query)
        assert one.why.isprintable()


def test_services_that_differ_in_what_no_name_can_hold():
    made, _ = plan(named("a__2", "a!", "a?", "a_", **{"a__2": 9.0, "a!": 6.0, "a?": 6.0, "a_": 6.0}))
    assert [name for name, one in made.items() if one.log_signal] == [
        "log_templates_a__2",
        "log_templates_a_",
        "log_templates_a__3",
        "log_templates_a__4",
    ]


@given(st.text(max_size=40))
def test_a_quoted_text_is_that_text(text):
    (matcher,) = check_lines(f"{{a={quoted('x' + text)}}}").matchers
    assert matcher.value == f"x{text}"


@given(st.text(max_size=12))
def test_no_query_is_made_of_a_label_that_logql_cannot_name(name):
    assert plain_label(name) is (name.isascii() and name.isidentifier() and not name.startswith("__"))
    found = services_of(streams({name: "a"}))
    if found is not None:
        check_lines(found.selector)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["app", "env", "namespace", "cluster"]), st.sampled_from("abcdefgh")),
        max_size=60,
    )
)
def test_what_is_kept_never_makes_too_many_series(each):
    found = services_of(streams(*each))
    if found is not None and found.label is not None:
        covered = [one for one in each if found.label in one]
        assert found.by[0] == found.label
        assert len({tuple(one.get(name) for name in found.by) for one in covered}) <= MAX_GROUPS
