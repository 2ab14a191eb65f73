"""What the alerts about datasources and connections say while they go on, and when they begin."""

from datetime import timedelta

from tests.monitor.connecting import REFUSED, SECOND, Brought, Connecting, Counting
from tests.monitor.scene import MINUTE, Scene, noise, target
from tocsin.domain.alert import AlertState, Reason
from tocsin.domain.errors import SourceError, SourceFailure, same_words

UNAUTHORIZED = SourceError("HTTP 401, the token is refused", failure=SourceFailure.UNAUTHORIZED, transient=False)


def late(after_s: float, size_bytes: int) -> SourceError:
    text = f"no answer within {after_s:g} s, after {size_bytes:,} bytes"
    return SourceError(text, failure=SourceFailure.TIMEOUT, transient=True)


async def test_the_alert_of_a_datasource_says_what_is_wrong_now():
    scene = Scene(target("one"), store=Counting())
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.source.fail(REFUSED)
    await scene.run_for(2 * MINUTE)
    (begun,) = await scene.alerts(states=(AlertState.FIRING,))
    assert begun.summary == "🔥 datasource prom does not answer: connection refused"
    scene.source.fail(UNAUTHORIZED)
    await scene.run_for(2 * MINUTE)
    (alert,) = await scene.alerts(states=(AlertState.FIRING,))
    assert (alert.id, alert.starts_at, alert.active_at) == (begun.id, begun.starts_at, begun.active_at)
    assert alert.summary == "🔥 datasource prom does not answer: HTTP 401, the token is refused"
    assert alert.explanation.endswith("frozen as they were: HTTP 401, the token is refused")
    scene.source.fail(late(30, 12))
    await scene.run_for(2 * MINUTE)
    (alert,) = await scene.alerts(states=(AlertState.FIRING,))
    assert alert.summary == "🔥 datasource prom does not answer: no answer within 30 s, after 12 bytes"
    # Another process goes on with it, and knows what is wrong as soon as it has asked.
    scene.source.fail(UNAUTHORIZED)
    monitor = await scene.restart()
    await scene.run_for(2 * MINUTE)
    (alert,) = await scene.alerts(states=(AlertState.FIRING,))
    assert (alert.id, "HTTP 401" in alert.summary) == (begun.id, True)
    assert [one.reason for one in await scene.transitions()] == [Reason.SOURCE_FAILING], "it is no change of its state"
    scene.source.recover()
    await scene.run_for(2 * MINUTE)
    assert await scene.alerts(states=(AlertState.FIRING,)) == []
    await monitor.close()


async def test_what_differs_each_time_is_not_written_each_time():
    scene = Scene(target("one"), store=Counting())
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    for n in range(60):
        scene.source.fail(late(30.0 + n / 10, 1000 * n))
        await scene.run_for(MINUTE)
    assert scene.store.written == 1
    await monitor.close()


async def test_kinds_that_take_turns_are_written_from_time_to_time():
    words = ("HTML, no JSON", "it is empty", "its JSON is cut", "no matrix")
    scene = Scene(*(target(f"t{n}", query=f"q{n}", check_interval=5 * SECOND) for n in range(4)), store=Counting())
    for n, why in enumerate(words):
        error = SourceError(f"bad answer: {why}", failure=SourceFailure.BAD_ANSWER, transient=False)
        scene.source.fail(error, query=f"q{n}")
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    assert 2 < scene.store.written <= 10 * MINUTE / timedelta(seconds=15) + 1
    await monitor.close()


async def test_one_that_comes_and_goes_does_so_with_other_words_too():
    scene = Scene(target("one"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    for error in (REFUSED, UNAUTHORIZED):
        scene.source.fail(REFUSED)
        await scene.run_for(4 * MINUTE)
        scene.source.fail(error)
        await scene.run_for(6 * MINUTE)
        scene.source.recover()
        await scene.run_for(2 * MINUTE)
    (alert,) = await scene.alerts(states=(AlertState.FIRING,))
    assert alert.summary == (
        "🔥 the datasource prom comes and goes, and answers now; it failed with: HTTP 401, the token is refused"
    ), "it stays until there were answers for five minutes"
    scene.source.fail(REFUSED)
    await scene.run_for(2 * MINUTE)
    (again,) = await scene.alerts(states=(AlertState.FIRING,))
    assert (again.id, again.summary) == (alert.id, "🔥 datasource prom does not answer: connection refused")
    await monitor.close()


async def test_a_connection_that_comes_and_goes_says_so_while_it_answers():
    scene = Connecting(target("one"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    for _ in range(2):
        scene.fail()
        await scene.run_for(2 * MINUTE)
        scene.recover()
        await scene.run_for(MINUTE)
    (alert,) = await scene.firing()
    assert alert.summary == (
        "🔥 the connection grafana (a script) comes and goes, and answers now; it failed with: HTTP 503, Grafana "
        "failed: away"
    )
    await scene.run_for(6 * MINUTE)
    assert await scene.firing() == []
    await monitor.close()


async def test_a_restart_does_not_write_the_same_again():
    scene = Scene(target("one"), store=Counting())
    scene.source.fail(REFUSED)
    await scene.open()
    await scene.run_for(2 * MINUTE)
    monitor = await scene.restart()
    await scene.run_for(10 * MINUTE)
    assert scene.store.written == 1
    await monitor.close()


def test_the_status_of_http_is_a_difference_and_a_number_of_bytes_is_none():
    assert same_words("HTTP 401, refused after 3 s by 10.0.0.1:9") == same_words("HTTP 401, refused after 42 s by a1")
    assert same_words("HTTP 401, refused") != same_words("HTTP 403, refused")
    assert same_words("connection refused") != same_words("no such host")


async def test_the_alert_of_a_connection_says_what_is_wrong_now():
    scene = Brought(target("one"), more=3, store=Counting())
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.fail()
    scene.connection.fail("HTTP 503, Grafana failed: away since 30 s")
    await scene.run_for(2 * MINUTE)
    (begun,) = await scene.firing()
    for n in range(10):
        scene.connection.fail(f"HTTP 503, Grafana failed: away since {n} s")
        await scene.run_for(MINUTE)
    assert scene.store.written == 1
    scene.connection.fail("HTTP 401, Grafana refuses the token")
    await scene.run_for(MINUTE)
    (alert,) = await scene.firing()
    assert (alert.id, alert.starts_at) == (begun.id, begun.starts_at)
    assert alert.summary == (
        "🔥 the connection grafana (a script) fails, and 4 datasources with it: HTTP 401, Grafana refuses the token"
    )
    # In another process nobody has found its datasources.
    scene.connection.datasources = ()
    scene.connection.fail("no connection to mcp-grafana: it ended")
    monitor = await scene.restart()
    await scene.run_for(MINUTE)
    (alert,) = await scene.firing()
    assert alert.id == begun.id
    assert alert.summary == "🔥 the connection grafana (a script) fails: no connection to mcp-grafana: it ended"
    assert [one.reason for one in await scene.transitions()] == [Reason.SOURCE_FAILING]
    await monitor.close()


async def test_datasources_that_begin_to_answer_are_not_taken_along_any_more():
    scene = Connecting(target("one"), target("two", datasource_uid="ds0"), more=1)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.fail()
    await scene.run_for(2 * MINUTE)
    (alert,) = await scene.firing()
    assert "and 2 datasources with it" in alert.summary
    scene.others[0].recover()
    await scene.run_for(2 * MINUTE)
    (alert,) = await scene.firing()
    assert ("and 1 datasource with it" in alert.summary, "(prom)" in alert.explanation) == (True, True)
    await monitor.close()


async def test_one_that_broke_before_its_connection_keeps_its_alert_which_says_so():
    scene = Connecting(target("one"), target("two", datasource_uid="ds0"), more=1)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.source.fail(REFUSED)
    await scene.run_for(10 * MINUTE)
    (own,) = await scene.firing()
    scene.fail()
    scene.source.fail(SourceError("HTTP 503, away", failure=SourceFailure.SERVER_ERROR, transient=True))
    await scene.run_for(5 * MINUTE)
    by_name = {one.target_name: one for one in await scene.firing()}
    assert set(by_name) == {"datasource:prom", "datasource:grafana"}
    assert "and 2 datasources with it: HTTP 503" in by_name["datasource:grafana"].summary
    behind = by_name["datasource:prom"]
    assert (behind.id, behind.starts_at) == (own.id, own.starts_at)
    assert behind.summary == (
        "🔥 datasource prom did not answer before the connection grafana failed too (connection refused)"
    )
    assert "which the alert datasource:grafana tells" in behind.explanation
    # The connection is back, the datasource is not.
    scene.recover()
    scene.source.fail(UNAUTHORIZED)
    await scene.run_for(5 * MINUTE)
    (alert,) = await scene.firing()
    assert (alert.id, alert.summary) == (own.id, "🔥 datasource prom does not answer: HTTP 401, the token is refused")
    scene.source.recover()
    await scene.run_for(2 * MINUTE)
    assert await scene.firing() == []
    reasons = [(one.alert_id == own.id, one.reason) for one in await scene.transitions()]
    assert reasons == [
        (True, Reason.SOURCE_FAILING),
        (False, Reason.SOURCE_FAILING),
        (False, Reason.SOURCE_ANSWERS),
        (True, Reason.SOURCE_ANSWERS),
    ]
    await monitor.close()


async def test_one_that_breaks_behind_its_connection_has_an_alert_once_that_works():
    scene = Connecting(target("one"), target("two", datasource_uid="ds0"), more=1)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.fail()
    await scene.run_for(10 * MINUTE)
    assert [one.target_name for one in await scene.firing()] == ["datasource:grafana"]
    scene.recover()
    scene.source.fail(UNAUTHORIZED)
    await scene.run_for(5 * MINUTE)
    (alert,) = await scene.firing()
    assert (alert.target_name, "HTTP 401" in alert.summary) == ("datasource:prom", True)
    await monitor.close()


async def test_no_alert_begins_of_a_connection_that_works_by_then():
    scene = Connecting(target("one"), more=1)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.connection.fail("HTTP 503, Grafana failed: away")
    await scene.run_for(5 * SECOND)
    # It does not know yet.
    scene.connection.recover(hidden=True)
    await scene.run_for(5 * MINUTE)
    assert scene.connection.asked == 1
    assert [one.reason for one in await scene.transitions()] == []
    await monitor.close()


async def test_a_connection_is_asked_as_soon_as_a_datasource_answers_through_it():
    scene = Connecting(target("one", check_interval=5 * SECOND), more=1)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.fail()
    await scene.run_for(10 * MINUTE)
    assert len(await scene.firing()) == 1
    # It would not look again for long.
    scene.connection.recover(hidden=True)
    await scene.run_for(5 * MINUTE)
    assert (len(await scene.firing()), scene.connection.asked) == (1, 1), "not while nothing answers"
    scene.source.recover()
    await scene.run_for(MINUTE)
    assert (await scene.firing(), scene.connection.asked) == ([], 2)
    await monitor.close()


async def test_a_connection_that_fails_while_a_datasource_answers_is_not_asked_all_the_time():
    scene = Connecting(target("one", check_interval=5 * SECOND), more=1)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.fail()
    await scene.run_for(10 * MINUTE)
    scene.source.recover()
    await scene.run_for(60 * MINUTE)
    assert scene.connection.asked == 2
    await monitor.close()


async def test_many_targets_of_a_broken_datasource_ask_its_connection_once():
    scene = Connecting(*(target(f"t{n}") for n in range(30)))
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    # It takes its time to answer: meanwhile all of them fail.
    scene.connection.hang()
    scene.source.fail(REFUSED)
    await scene.run_for(3 * MINUTE)
    scene.connection.recover()
    await scene.run_for(MINUTE)
    assert [one.target_name for one in await scene.firing()] == ["datasource:prom"]
    assert scene.connection.asked == 1
    await monitor.close()


async def test_one_that_takes_long_to_answer_is_told_all_the_same():
    scene = Connecting(target("one"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.connection.fail("no answer within 30 s")
    scene.connection.hang()
    await scene.run_for(20 * SECOND)
    (alert,) = await scene.firing()
    assert alert.target_name == "datasource:grafana"
    await monitor.close()


async def test_a_connection_is_told_when_its_datasources_would_be():
    scene = Connecting(target("one", check_interval=5 * SECOND), more=7)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    died_at = scene.clock.now()
    scene.fail(hidden=True)
    await scene.run_for(MINUTE)
    (alert,) = await scene.firing()
    assert alert.starts_at - died_at <= 25 * SECOND, "not ten seconds for the datasource and ten more for it"
    assert "and 8 datasources with it" in alert.summary, "all of them, though one was asked"
    await monitor.close()
