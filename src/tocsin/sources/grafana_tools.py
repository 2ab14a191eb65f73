"""The tools of mcp-grafana that are called, no others, and the schemas by which they are known. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from tocsin.domain.errors import SourceError, SourceFailure

PINNED = "2.1.1"
"""The version of mcp-grafana whose schemas these are."""

Argument = str | int | bool | list[str]

KNOWN: Mapping[str, str] = {
    "alerting_rules_read": "e0be19211fc1c974",
    "get_annotations": "bb451c132b05cdd9",
    "get_current_oncall_users": "397db6ec2479878d",
    "list_datasources": "3ac0193c983c07c7",
    "list_incidents": "cb02421e5587da9b",
    "list_loki_label_names": "554675a2f42c07e0",
    "list_oncall_schedules": "0d3a316c9e0365dd",
    "query_loki_logs": "47a27ee62352e6a6",
    "query_prometheus": "7bd9191db91193bf",
}
"""Each tool with the hash of its schema."""

_Schema = dict[str, object]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as a server lists it: `schema` is the JSON of its arguments, `reads` what it says of itself."""

    name: str
    schema: bytes
    reads: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The text a tool answered; `failed` where it is the text of an error."""

    text: str
    failed: bool


def schema_hash(schema: bytes) -> str:
    """The hash of a schema without its prose: names, types, defaults, what is required."""
    bare = _bare(msgspec.json.decode(schema))
    return sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()[:16]


def refused(tools: Iterable[Tool]) -> Mapping[str, str]:
    """Those of the known tools that cannot be called on this server, each with the reason."""
    listed = {tool.name: tool for tool in tools}
    wrong: dict[str, str] = {}
    for name, known in KNOWN.items():
        tool = listed.get(name)
        if tool is None:
            wrong[name] = f"the tool {name} is not there: it is switched off, or renamed since mcp-grafana {PINNED}"
        elif not tool.reads:
            wrong[name] = f"the tool {name} no longer says that it only reads"
        elif schema_hash(tool.schema) != known:
            wrong[name] = f"the tool {name} takes other arguments than in mcp-grafana {PINNED}"
    return wrong


def not_callable(why: str) -> SourceError:
    """The error of a call to a tool that is refused."""
    return SourceError(
        f"{why}. Tocsin calls only tools whose form it knows: use mcp-grafana {PINNED}",
        failure=SourceFailure.BAD_ANSWER,
        transient=False,
    )


def _bare(value: object) -> object:
    if isinstance(value, dict):
        return {key: _bare_property(key, inner) for key, inner in value.items() if key not in ("description", "title")}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_bare(inner) for inner in value]
    return value


def _bare_property(key: str, inner: object) -> object:
    # The names of arguments are data: one may be called "description".
    if key == "properties" and isinstance(inner, dict):
        return {name: _bare(each) for name, each in inner.items()}
    return _bare(inner)
