"""Deployments, alert rules, on-call and incidents of a Grafana: an implementation of `OperationsSource`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from tocsin.domain.errors import LimitExceeded
from tocsin.domain.labels import Labels
from tocsin.domain.operations import AlertRule, Annotation, IncidentsFound, OnCall, OpenIncident
from tocsin.sources.grafana_errors import tool_error
from tocsin.sources.grafana_link import GrafanaLink
from tocsin.sources.grafana_tools import Argument
from tocsin.sources.wire_errors import bad_answer, said

MAX_ANNOTATIONS = 1000
MAX_RULES = 1000
MAX_SCHEDULES = 20
MAX_INCIDENTS = 50

T = TypeVar("T")


class _Annotation(msgspec.Struct):
    id: int
    time: int
    time_end: int = msgspec.field(name="timeEnd", default=0)
    text: str = ""
    tags: list[str] | None = None


class _Annotations(msgspec.Struct):
    payload: list[_Annotation] = msgspec.field(name="Payload")


class _Rule(msgspec.Struct):
    title: str
    rule_group: str = ""
    state: str = ""
    health: str = ""
    query: str = ""
    labels: dict[str, str] | None = None


class _Schedule(msgspec.Struct):
    id: str
    name: str


class _User(msgspec.Struct):
    username: str


class _OnCall(msgspec.Struct):
    name: str = msgspec.field(name="scheduleName")
    users: list[_User]


class _Incident(msgspec.Struct):
    id: str = msgspec.field(name="incidentId")
    title: str
    status: str
    severity: str = ""


class _Incidents(msgspec.Struct):
    incidents: list[_Incident]
    has_more: bool = msgspec.field(name="hasMore")


class GrafanaOperations:
    """Asks through the connection that the datasources of this Grafana share."""

    def __init__(self, link: GrafanaLink) -> None:
        self._link = link

    async def annotations(self, start: datetime, end: datetime, tags: Sequence[str] = ()) -> tuple[Annotation, ...]:
        """What people and systems noted in Grafana; the changes of state of its own alerts are left out."""
        asked: dict[str, Argument] = {
            "from": _milliseconds(start),
            "to": _milliseconds(end),
            "limit": MAX_ANNOTATIONS,
            "type": "annotation",
        }
        if tags:
            asked |= {"tags": list(tags), "matchAny": True}
        found = (await self._ask("get_annotations", asked, _Annotations)).payload
        if len(found) >= MAX_ANNOTATIONS:
            raise LimitExceeded(
                f"Grafana has {MAX_ANNOTATIONS:,} annotations or more in that time; ask for less of it, or for tags"
            )
        made = (
            Annotation(
                each.id, _instant(each.time), _instant(each.time_end or each.time), said(each.text), _words(each.tags)
            )
            for each in found
        )
        return tuple(sorted(made, key=lambda each: each.at))

    async def alert_rules(self) -> tuple[AlertRule, ...]:
        """The rules that Grafana manages."""
        asked: dict[str, Argument] = {"operation": "list", "rule_limit": MAX_RULES}
        text = await answered(self._link, "alerting_rules_read", asked)
        # Where there is none it writes null.
        found = [] if text == "null" else _decoded("alerting_rules_read", text, list[_Rule])
        if len(found) >= MAX_RULES:
            raise LimitExceeded(f"Grafana has {MAX_RULES:,} alert rules or more, which is the limit")
        return tuple(
            AlertRule(
                said(each.title),
                said(each.rule_group),
                said(each.state),
                said(each.health),
                Labels(each.labels or {}),
                each.query,
            )
            for each in found
        )

    async def on_call(self) -> tuple[OnCall, ...]:
        """Who is on call, of the first page of schedules."""
        schedules = await self._ask("list_oncall_schedules", {}, list[_Schedule])
        if len(schedules) > MAX_SCHEDULES:
            raise LimitExceeded(f"Grafana has {len(schedules)} on-call schedules, more than {MAX_SCHEDULES}")
        found = []
        for each in schedules:
            now = await self._ask("get_current_oncall_users", {"scheduleId": each.id}, _OnCall)
            found.append(OnCall(said(now.name), tuple(said(user.username) for user in now.users)))
        return tuple(found)

    async def incidents(self) -> IncidentsFound:
        """Active incidents. mcp-grafana answers an empty list also where Grafana has no Incident (HTTP 404)."""
        answer = await self._ask("list_incidents", {"status": "active", "limit": MAX_INCIDENTS}, _Incidents)
        items = (
            OpenIncident(said(each.id), said(each.title), said(each.status), said(each.severity))
            for each in answer.incidents
        )
        return IncidentsFound(tuple(items), answer.has_more)

    async def _ask(self, tool: str, arguments: Mapping[str, Argument], shape: type[T]) -> T:
        return _decoded(tool, await answered(self._link, tool, arguments), shape)


async def answered(
    link: GrafanaLink, tool: str, arguments: Mapping[str, Argument], *, timeout_s: float | None = None
) -> str:
    """The text of a tool that succeeded; raises SourceError with what a tool that failed says."""
    answer = await link.call(tool, arguments, timeout_s=timeout_s)
    if answer.failed:
        raise tool_error(link.settings.redact(answer.text))
    return answer.text


def _decoded(tool: str, text: str, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.MsgspecError:
        raise bad_answer(f"it is not that of {tool}: {said(text[:200])}") from None


def _words(tags: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(said(each) for each in tags or ())


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _instant(milliseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise bad_answer("an annotation is at no time that can be") from None
