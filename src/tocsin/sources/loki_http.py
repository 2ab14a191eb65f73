"""Asking a Loki: the body of an answer, or why there is none."""

from collections.abc import Mapping

from tocsin.sources.http import HttpClient
from tocsin.sources.loki_wire import decode_loki_error
from tocsin.sources.wire import Buffer


async def body_of(client: HttpClient, path: str, form: Mapping[str, str]) -> Buffer:
    """What it answers to a question; raises SourceError, fit to be shown, also for an answer that is none."""
    answer = await client.ask(path, form)
    if answer.status != 200:
        error = decode_loki_error(answer.status, answer.content_type, answer.body)
        raise client.redacted(error, answer.retry_after_s)
    return answer.body
