"""What a Loki has: the streams of the last hour, and how many lines each of their services wrote."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.labels import Labels
from tocsin.domain.log_services import SERVICE, LogCatalogue, Services, plain_label, services_of
from tocsin.domain.log_signal import LEVEL
from tocsin.domain.logql import duration
from tocsin.domain.words import many
from tocsin.sources.http import HttpClient
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.log_pages import nanoseconds
from tocsin.sources.loki_http import body_of
from tocsin.sources.loki_wire import decode_counts, decode_names, decode_series

MAX_STREAMS = 10_000
"""Streams that are looked at, those that name a service first; how many are not is said."""

MAX_LABELS = 30
"""Labels by which streams are asked for, one question each; those that name a service first."""

RECENT = timedelta(hours=1)

_COSTS_ONE = frozenset(
    {SourceFailure.BAD_QUERY, SourceFailure.LIMIT, SourceFailure.TIMEOUT, SourceFailure.SERVER_ERROR}
)
"""Failures of the one question for lines, which reads them, that leave the rest as good as it was."""

_NO_LEVEL = ("", "unknown")


class LokiCatalogue:
    """Reads over the HTTP API; makes its connections with the first question."""

    def __init__(self, http: HttpSettings) -> None:
        self._client = HttpClient(http)

    async def read(self, at: datetime, progress: Callable[[float], None]) -> LogCatalogue:
        """The streams of the hour before `at`, and the lines of their services; raises SourceError."""
        window = {"start": str(nanoseconds(at - RECENT)), "end": str(nanoseconds(at))}
        names = decode_names(await body_of(self._client, "loki/api/v1/labels", window))
        plain = {name for name in names if plain_label(name)}
        order = [name for name in SERVICE if name in plain] + sorted(plain - set(SERVICE))
        notes = []
        odd = sum(not plain_label(name) and not name.startswith("__") for name in names)
        if odd:
            notes.append(f"{many(odd, 'label')} not looked at: LogQL cannot name them")
        if len(order) > MAX_LABELS:
            notes.append(f"{many(len(order) - MAX_LABELS, 'label')} not looked at: {MAX_LABELS} are the limit")
        found = await self._streams(order[:MAX_LABELS], window, notes, lambda done: progress(0.8 * done))
        streams, total = tuple(found[:MAX_STREAMS]), len(found)
        if total > len(streams):
            notes.append(f"{many(total - len(streams), 'stream')} not looked at: {MAX_STREAMS:,} are the limit")
        services, lines, levels = services_of(streams), None, False
        if services is not None:
            try:
                lines, levels = await self._lines(services, at)
            except SourceError as error:
                if error.failure not in _COSTS_ONE:
                    raise
                notes.append(f"how many lines there are was not answered: {error}; no share of errors and no templates")
        progress(1.0)
        return LogCatalogue(streams, total, services, lines, levels, tuple(notes))

    async def close(self) -> None:
        """Give back the connections; idempotent."""
        await self._client.close()

    async def _streams(
        self, order: list[str], window: Mapping[str, str], notes: list[str], progress: Callable[[float], None]
    ) -> list[Labels]:
        """Loki wants a label that is there: one question for each, without the streams that were found before."""
        found: list[Labels] = []
        before, refused = "", None
        for number, name in enumerate(order):
            asked = {"match[]": f'{{{name}=~".+"{before}}}', **window}
            try:
                found += map(Labels, decode_series(await body_of(self._client, "loki/api/v1/series", asked)))
            except SourceError as error:
                # A word of LogQL's own may name a label, and cannot stand in a query.
                if error.failure is not SourceFailure.BAD_QUERY:
                    raise
                notes.append(f"streams that have the label {name} may be missing: {error}")
                refused = error
            else:
                before += f',{name}=""'
            progress((number + 1) / len(order))
            if len(found) > MAX_STREAMS:
                notes.append(f"streams without the labels {', '.join(order[: number + 1])} were not looked for")
                break
        if refused is not None and not found:
            raise refused
        return found

    async def _lines(self, services: Services, at: datetime) -> tuple[dict[str, float], bool]:
        """Lines a minute of each service, and whether lines have levels."""
        by = ", ".join([*([services.label] if services.label else []), LEVEL])
        within = duration(RECENT.total_seconds())
        query = f"sum by ({by}) (count_over_time({services.selector} [{within}]))"
        body = await body_of(self._client, "loki/api/v1/query", {"query": query, "time": str(nanoseconds(at))})
        lines: dict[str, float] = {}
        levels = False
        for labels, count in decode_counts(body):
            service = labels.get(services.label or "", "")
            lines[service] = lines.get(service, 0.0) + count / (RECENT / timedelta(minutes=1))
            levels = levels or labels.get(LEVEL, "") not in _NO_LEVEL
        return lines, levels
