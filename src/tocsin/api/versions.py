"""Versions over HTTP: an `ETag` goes out, `If-Match` comes back, and who edits a stale copy is told."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Header, Response
from starlette.exceptions import HTTPException

from tocsin.api.services import MonitorPort
from tocsin.domain.errors import Conflict
from tocsin.domain.target import Owner, Target
from tocsin.monitor.status import TargetView

ATTEMPTS = 5

IfMatch = Annotated[
    str | None, Header(description='The ETag that was read, like "3": the change is made only if it still holds.')
]


def etag(target: Target) -> str:
    """The version as an entity tag."""
    return f'"{target.version}"'


def tagged(response: Response, target: Target) -> None:
    """Put the version on an answer."""
    response.headers["ETag"] = etag(target)


def must_match(target: Target, if_match: str | None) -> None:
    """Refuse with 412 what was meant for another version; nothing when the client named none."""
    if if_match is None:
        return
    tags = [tag.strip().removeprefix("W/") for tag in if_match.split(",")]
    if "*" not in tags and etag(target) not in tags:
        raise HTTPException(412, f"If-Match: target {target.name!r} is at version {etag(target)} by now; read it again")


def must_be_ours(target: Target) -> None:
    """Raise `Conflict` when a file owns the target."""
    if target.owner is Owner.FILE:
        raise Conflict(f"target {target.name!r} belongs to the configuration file: change it there")


async def edited(
    monitor: MonitorPort, name: str, change: Callable[[Target], Target], if_match: str | None
) -> TargetView:
    """Save `change` of a target as it is now. When another change comes in between, this one is made again on top of
    it, so that neither is lost, unless `If-Match` asks to be told.
    """
    for _ in range(ATTEMPTS):
        target = monitor.view(name).target
        must_be_ours(target)
        must_match(target, if_match)
        try:
            return await monitor.update_target(change(target), target.version)
        except Conflict:
            if monitor.view(name).target.version == target.version:
                raise
    raise Conflict(f"target {name!r} is being changed by others again and again; try again")
