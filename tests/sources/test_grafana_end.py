"""The end of a Grafana's connection."""

import asyncio

import pytest

from tests.sources.grafana_parts import until
from tocsin.sources.grafana_discovery import Grafana
from tocsin.sources.grafana_process import how_it_ended
from tocsin.sources.grafana_settings import GrafanaSettings


async def test_closing_ends_also_in_the_moment_in_which_the_connection_changes() -> None:
    async def found(_sources: object) -> dict[str, str]:
        return {}

    async def deployed(_annotations: object) -> None:
        return None

    for ticks in range(4):
        settings = GrafanaSettings("g", grafana_url="http://127.0.0.1:1", command="/nowhere/mcp-grafana", timeout_s=0.1)
        one = Grafana(settings, found, deployed)
        first = one._failure
        one.start()
        await until(lambda one=one, first=first: one._failure != first, "it has looked once")
        one.link.changed.set()
        for _ in range(ticks):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await one.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "ended"),
        (0, "ended with code 0"),
        (3, "ended with code 3"),
        (-9, "was killed by signal 9 (SIGKILL)"),
        (-15, "was killed by signal 15 (SIGTERM)"),
        (-99, "was killed by signal 99"),
    ],
)
def test_a_process_that_a_signal_killed_is_said_to_be(code: int | None, words: str) -> None:
    assert how_it_ended(code) == words
