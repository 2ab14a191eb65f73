"""What a Prometheus has: names and types of its metrics, and the series of those that may matter."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from tocsin.domain.catalogue import Catalogue, Metric, MetricKind
from tocsin.domain.errors import LimitExceeded
from tocsin.domain.labels import Labels
from tocsin.domain.suggest import plain
from tocsin.domain.words import many
from tocsin.sources.http import HttpClient
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.wire_errors import bad_answer, decode_error

MAX_METRICS = 500
"""Metrics whose series are read; names beyond that are not looked at, which is said."""

MAX_CATALOGUE_SERIES = 2_000
"""Series read of one metric; one with more is left out, which is said: it would have to be aggregated by hand."""

RECENT = timedelta(minutes=10)

T = TypeVar("T")
Wanted = Callable[[str, MetricKind, str], bool]
"""Whether the series of a metric are read: by its name, type and unit."""

_KINDS = frozenset(kind.value for kind in MetricKind)


class _Names(msgspec.Struct):
    data: list[str]


class _Meta(msgspec.Struct):
    type: str = ""
    unit: str = ""


class _Metadata(msgspec.Struct):
    data: dict[str, list[_Meta]]


class _Series(msgspec.Struct):
    data: list[dict[str, str]]


class PrometheusCatalogue:
    """Reads over the HTTP API; makes its connections with the first question."""

    def __init__(self, http: HttpSettings) -> None:
        self._client = HttpClient(http)

    async def read(self, wanted: Wanted, at: datetime, progress: Callable[[float], None]) -> Catalogue:
        """The metrics that are `wanted`, with their series of the last minutes; raises SourceError."""
        names = (await self._ask("api/v1/label/__name__/values", {}, _Names)).data
        kinds = (await self._ask("api/v1/metadata", {}, _Metadata)).data
        chosen = sorted(name for name in names if wanted(name, *_declared(name, kinds)))
        notes = []
        odd = sum(not plain(name) for name in names)
        if odd:
            notes.append(f"{many(odd, 'metric')} not looked at: the name would have to be quoted")
        if len(chosen) > MAX_METRICS:
            notes.append(f"{many(len(chosen) - MAX_METRICS, 'metric')} not looked at: {MAX_METRICS} are the limit")
        metrics = []
        for number, name in enumerate(chosen[:MAX_METRICS]):
            asked = {
                "match[]": f'{{__name__="{name}"}}',
                "start": f"{(at - RECENT).timestamp():.3f}",
                "end": f"{at.timestamp():.3f}",
                "limit": str(MAX_CATALOGUE_SERIES + 1),
            }
            try:
                found = (await self._ask("api/v1/series", asked, _Series)).data
            except LimitExceeded as error:
                # Servers before 2.50 know no limit: an answer too large is one metric's, not the datasource's.
                notes.append(f"{name} is left out: {error}")
                continue
            finally:
                progress((number + 1) / min(len(chosen), MAX_METRICS))
            if len(found) > MAX_CATALOGUE_SERIES:
                notes.append(f"{name} has more than {MAX_CATALOGUE_SERIES:,} series and is left out")
                continue
            series = tuple(Labels(one).without("__name__") for one in found)
            kind, unit = _declared(name, kinds)
            metrics.append(Metric(name, kind, series, unit))
        return Catalogue(tuple(metrics), len(names), tuple(notes))

    async def close(self) -> None:
        """Give back the connections; idempotent."""
        await self._client.close()

    async def _ask(self, path: str, parameters: dict[str, str], shape: type[T]) -> T:
        answer = await self._client.get(path, parameters)
        if answer.status != 200:
            raise self._client.redacted(decode_error(answer.status, answer.content_type, answer.body))
        try:
            return msgspec.json.decode(answer.body, type=shape)
        except msgspec.MsgspecError:
            raise bad_answer(f"it is not that of {path}") from None


def _declared(name: str, kinds: dict[str, list[_Meta]]) -> tuple[MetricKind, str]:
    """The declared type and unit; series of a histogram or summary carry names of their own."""
    for known in (name, *(name.removesuffix(suffix) for suffix in ("_bucket", "_count", "_sum", "_total"))):
        for each in kinds.get(known, []):
            if each.type in _KINDS:
                return MetricKind(each.type), each.unit
    return MetricKind.UNKNOWN, ""
