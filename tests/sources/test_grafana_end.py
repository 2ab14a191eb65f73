"""The end of a Grafana's connection."""

import asyncio

from tests.sources.grafana_parts import until
from tocsin.sources.grafana_discovery import Grafana
from tocsin.sources.grafana_settings import GrafanaSettings


async def test_closing_ends_also_in_the_moment_in_which_the_connection_changes() -> None:
    async def found(_sources: object) -> tuple[str, ...]:
        return ()

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
