"""What stands where an mcp-grafana should be and is none, in words for whoever wrote the settings."""

import pytest

from tests.grafana import TOKEN
from tests.servers import free_port
from tests.sources.grafana_parts import Book, running, until
from tocsin.sources.grafana_settings import GrafanaSettings


@pytest.mark.parametrize(
    ("script", "wrote"),
    [
        (f"echo 'Welcome! The token is {TOKEN}.'", "'Welcome! The token is ***"),
        ("exec cat", '\'{"jsonrpc":"2.0",'),
        (r"printf '\033[31mred\007 {\n'", "'[31mred {'"),
        ("head -c 2000 /dev/zero; echo", "bytes that are no text"),
        ("printf 'Password: '", "'Password:'"),
    ],
    ids=["text", "what it is sent", "control characters", "zeros", "a prompt"],
)
async def test_a_program_that_speaks_no_mcp_is_said_with_what_it_wrote(tmp_path, script, wrote) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\nexec sleep 60\n")
    program.chmod(0o755)
    async with running(GrafanaSettings("g", grafana_url="http://x", token=TOKEN, command=str(program)), Book()) as link:
        await until(lambda: "MCP" in (link.standing().failure or ""), f"it is said: {link.standing()}")
        failure = link.standing().failure or ""
    assert f"mcp-grafana ({program}) does not speak MCP: it wrote {wrote}" in failure
    assert "pydantic" not in failure
    assert failure.isprintable()


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
async def test_one_that_is_not_there_is_said_with_its_address_alone(path) -> None:
    port = free_port()
    settings = GrafanaSettings("g", url=f"http://me:hunter2@127.0.0.1:{port}{path}", token="caller-token")
    async with running(settings, Book()) as link:
        await until(lambda: "reached" in (link.standing().failure or ""), f"it is said: {link.standing()}")
        failure = link.standing().failure or ""
    assert failure.endswith(f"mcp-grafana at 127.0.0.1:{port} is not reached: connection refused")
