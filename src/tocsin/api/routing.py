"""What all routes share: how they reach their services, and how they document their problems."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel

from tocsin.api.models_common import printable
from tocsin.api.problems import Problem
from tocsin.api.services import Services
from tocsin.api.stream import Slots


@dataclass(frozen=True, slots=True)
class Doors:
    """The services and the bounded places of one application."""

    services: Services
    streams: Slots
    analyses: CapacityLimiter


def _doors(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


Through = Annotated[Doors, Depends(_doors)]

_PLAIN = AfterValidator(printable)
"""A database may not be able to look for a NUL."""

TargetName = Annotated[str, Path(description="Name of a target.", max_length=128), _PLAIN]
AlertId = Annotated[str, Path(description="Id of an alert, like alert:0123456789abcdef.", max_length=128), _PLAIN]
DatasourceUid = Annotated[str, Path(description="Uid of a datasource.", max_length=128), _PLAIN]
WindowId = Annotated[str, Path(description="Id of a marked window.", max_length=128), _PLAIN]
EventId = Annotated[str, Path(description="Id of an event.", max_length=128), _PLAIN]
AcceptanceId = Annotated[str, Path(description="Id of an acceptance.", max_length=128), _PLAIN]
ProposalId = Annotated[str, Path(description="Id of a proposal.", max_length=128), _PLAIN]
AlertOrTarget = Annotated[
    str, Path(description="Id of an alert, or name of a target: all its active ones.", max_length=128), _PLAIN
]


def _bare(request: Request) -> None:
    """Refuse parameters where there are none, in the words of routes that have some."""
    unknown = [{"type": "extra_forbidden", "loc": ("query", name), "msg": ""} for name in request.query_params]
    if unknown:
        raise RequestValidationError(unknown)


BARE = (Depends(_bare),)
"""The dependencies of a route that takes no query parameters."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documentation of the problems a route may answer with."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}


COMMON_PROBLEMS = problems(400, 401, 403, 404, 405, 408, 413, 415, 421, 422, 429, 500, 503)
"""Those that the guard, the parsers and the store may answer with anywhere."""


async def json_beside_the_loop(limiter: CapacityLimiter, make: Callable[[], BaseModel]) -> Response:
    """Compute and encode an answer in a thread, so that the event loop goes on; it runs to its end once begun."""

    def work() -> bytes:
        return make().model_dump_json().encode()

    return Response(await anyio.to_thread.run_sync(work, limiter=limiter), media_type="application/json")
