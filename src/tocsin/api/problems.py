"""Every error as a problem document (RFC 9457), from one table of what each error means over HTTP."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

from tocsin.api.headers import SAFE_METHODS, SECURITY_HEADERS
from tocsin.api.paths import STREAM
from tocsin.api.reasons import fields_of
from tocsin.domain.errors import Conflict, Invalid, NotFound, SourceError, SourceFailure, StoreError

MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "POST", "PATCH", "DELETE")
SPOKEN_FIELDS = 5
"""Fields named in `detail`; `errors` names more."""


class FieldProblem(BaseModel):
    """One field and why it cannot be accepted."""

    field: str
    reason: str


class Problem(BaseModel):
    """A problem document; `detail` is always a sentence for people, `errors` names fields where there are any."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem before it is put into bytes."""

    status: int
    detail: str
    errors: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class TooLarge(HTTPException):
    """The body went over the limit while it came; `refusal` says so in full."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status, refusal.detail, dict(refusal.headers))
        self.refusal = refusal


def problem_response(refusal: Refusal) -> Response:
    """The response that says it; ASCII only, so that no text of a client can break its encoding."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "errors": [{"field": name, "reason": reason} for name, reason in refusal.errors],
    }
    headers = {**SECURITY_HEADERS, **refusal.headers}
    return Response(json.dumps(body).encode(), refusal.status, headers, MEDIA_TYPE)


async def on_error(request: Request, error: Exception) -> Response:
    """The exception handler of the application."""
    if isinstance(error, HTTPException) and error.detail == HTTPStatus(error.status_code).phrase:
        # Nobody here wrote these words: the router says that it found no route.
        return problem_response(_no_route(request.app.router.routes, request.scope, error))
    return problem_response(refusal_of(error, writing=request.method not in SAFE_METHODS))


def _no_route(routes: Sequence[BaseRoute], scope: Scope, error: HTTPException) -> Refusal:
    path = scope["path"]
    if error.status_code == 405:
        # The router names the methods of the first route of this path alone.
        known = [one for one in METHODS if any(_matches(route, scope, one, path) for route in routes)] or ["GET"]
        allowed = ", ".join([*known, "HEAD"] if "GET" in known and path != STREAM else known)
        return Refusal(405, f"this path does not know this method; it knows {allowed}", headers={"Allow": allowed})
    bare = path.rstrip("/")
    if bare != path and any(_matches(route, scope, one, bare) for route in routes for one in METHODS):
        return Refusal(404, "there is nothing at this path; leave out the slash at its end")
    return Refusal(404, "there is nothing at this path; /docs lists what there is")


def _matches(route: BaseRoute, scope: Scope, method: str, path: str) -> bool:
    asked = {"type": "http", "root_path": "", "method": method, "path": path, "headers": scope["headers"]}
    return not isinstance(route, Mount) and route.matches(asked)[0] is Match.FULL


def refusal_of(error: Exception, *, writing: bool) -> Refusal:
    """What `error` means over HTTP; `writing` says whether something was to be kept."""
    match error:
        case RequestValidationError():
            return unprocessable(fields_of(error.errors()))
        case Invalid():
            return unprocessable(error.problems)
        case NotFound():
            return Refusal(404, str(error))
        case Conflict():
            return Refusal(409, str(error))
        case SourceError():
            return _source_refusal(error)
        case StoreError():
            words = f"this was not kept: {error}" if writing else f"the store does not answer: {error}"
            return Refusal(503, words, headers={"Retry-After": "5"} if error.transient else {})
        case HTTPException():
            return _http_refusal(error)
    return Refusal(500, "an error of Tocsin itself; its log says more")


def unprocessable(fields: Sequence[tuple[str, str]]) -> Refusal:
    """422 with the fields named, the first few in `detail` too."""
    spoken = "; ".join(f"{name}: {reason}" for name, reason in fields[:SPOKEN_FIELDS])
    more = len(fields) - SPOKEN_FIELDS
    return Refusal(422, f"{spoken}; and {more} more" if more > 0 else spoken, fields)


def _source_refusal(error: SourceError) -> Refusal:
    words = str(error) if error.datasource is None else f"datasource {error.datasource!r}: {error}"
    match error.failure:
        case SourceFailure.TIMEOUT:
            return Refusal(504, words)
        case SourceFailure.BAD_QUERY:
            return Refusal(422, f"query: {error}", [("query", str(error))])
        case SourceFailure.LIMIT:
            return Refusal(422, words)
    return Refusal(502, words)


def _http_refusal(error: HTTPException) -> Refusal:
    headers = dict(error.headers or {})
    if isinstance(error, TooLarge):
        return error.refusal
    if error.status_code == 400:
        # FastAPI answers 400 for a body that Python's parser gives up on: too deep, not UTF-8, endless digits.
        return Refusal(422, "body: is not JSON that can be read", [("body", "is not JSON that can be read")], headers)
    return Refusal(error.status_code, str(error.detail), headers=headers)
