"""What a server that speaks the Prometheus API says when it does not answer, as a `SourceError` with its reason."""

import re
from datetime import UTC, datetime

import msgspec

from tocsin.domain.errors import SourceError, SourceFailure

MAX_SAID_CHARACTERS = 500
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")

_STATUS: dict[int, tuple[SourceFailure, bool, str]] = {
    401: (SourceFailure.UNAUTHORIZED, False, "the credentials are missing or refused"),
    403: (SourceFailure.UNAUTHORIZED, False, "the credentials do not allow this"),
    404: (SourceFailure.NOT_FOUND, False, "there is no Prometheus API at this URL; is its path prefix right?"),
    405: (SourceFailure.NOT_FOUND, False, "the server refuses this method; is this a Prometheus API?"),
    408: (SourceFailure.TIMEOUT, True, "the server waited too long"),
    413: (SourceFailure.BAD_QUERY, False, "the query is too long for the server"),
    414: (SourceFailure.BAD_QUERY, False, "the query is too long for the server"),
    429: (SourceFailure.RATE_LIMITED, True, "the server is asked too often"),
    504: (SourceFailure.TIMEOUT, True, "a gateway waited too long for the server"),
}
_TYPES: dict[str, tuple[SourceFailure, bool]] = {
    "bad_data": (SourceFailure.BAD_QUERY, False),
    "execution": (SourceFailure.BAD_QUERY, False),
    "timeout": (SourceFailure.TIMEOUT, True),
    "canceled": (SourceFailure.SERVER_ERROR, True),
    "unavailable": (SourceFailure.SERVER_ERROR, True),
    "internal": (SourceFailure.SERVER_ERROR, True),
    "not_found": (SourceFailure.NOT_FOUND, False),
    "too_many_requests": (SourceFailure.RATE_LIMITED, True),
}
_LIMITS = (
    "too many samples",
    "maximum resolution",
    "maxUniqueTimeseries",
    "maxSamplesPerQuery",
    "maxPointsPerTimeseries",
)
_TIMEOUTS = ("timed out", "timeout exceeded", "deadline exceeded")


class _Said(msgspec.Struct):
    status: str = ""
    error_type: str = msgspec.field(name="errorType", default="")
    error: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Typed(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType", default="")


def bad_answer(why: str, *, transient: bool = False) -> SourceError:
    """The answer came whole but is not what was asked for."""
    return SourceError(f"bad answer: {why}", failure=SourceFailure.BAD_ANSWER, transient=transient)


def said(text: str) -> str:
    """A foreign text fit to be stored and shown: one line, bounded, without control characters and userinfo in URLs."""
    flat = "".join(each if each.isprintable() else " " for each in text[: 4 * MAX_SAID_CHARACTERS])
    flat = " ".join(_USERINFO.sub("", flat).split())
    return flat if len(flat) <= MAX_SAID_CHARACTERS else flat[: MAX_SAID_CHARACTERS - 1] + "…"


def when(at: float) -> str:
    """An instant of a server's, unix seconds, as people write it; any number that cannot be one as it came."""
    try:
        found = datetime.fromtimestamp(float(at), UTC)
    except (ValueError, OverflowError, OSError):
        return f"{at:g}"
    return f"{found.isoformat(sep=' ', timespec='milliseconds').removesuffix('+00:00')} UTC"


def decode_error(status: int, content_type: str, body: bytes | bytearray) -> SourceError:
    """Why an answer is none. For a 200 too: JSON that says `error`, is cut, or has another result type; HTML."""
    try:
        spoken = msgspec.json.decode(body, type=_Said)
    except (msgspec.ValidationError, UnicodeDecodeError):
        spoken = _Said()
        readable = True
    except msgspec.DecodeError:
        spoken, readable = _Said(), False
    else:
        readable = True
        if spoken.status == "error" or spoken.error:
            return _spoken(status, spoken)
    if status == 200:
        return _not_a_matrix(spoken, content_type, body, readable=readable)
    return _by_status(status, _excerpt(content_type, body))


def spoken_error(error_type: str, text: str) -> SourceError:
    """What the API's own `errorType` and words mean, where they came without an HTTP status."""
    return _spoken(200, _Said(status="error", error_type=error_type, error=text))


def _spoken(status: int, spoken: _Said) -> SourceError:
    """The server's own words: `errorType` decides, as VictoriaMetrics puts the status there, the status does else."""
    text = said(spoken.error) or "it gave no reason"
    known = _TYPES.get(spoken.error_type)
    lowered = text.lower()
    if spoken.error_type not in ("bad_data", "timeout") and any(word in lowered for word in _TIMEOUTS):
        known = (SourceFailure.TIMEOUT, True)
    elif any(word.lower() in lowered for word in _LIMITS):
        known = (SourceFailure.LIMIT, False)
    if known is None and status in (200, 400, 422):
        known = (SourceFailure.BAD_QUERY, False)
    if known is None:
        return _by_status(status, text)
    failure, transient = known
    verb = "refuses the query" if failure is SourceFailure.BAD_QUERY else "could not answer"
    return SourceError(f"the server {verb}: {text}", failure=failure, transient=transient)


def _by_status(status: int, text: str) -> SourceError:
    # VictoriaMetrics says so with a 400.
    known = _STATUS[404] if "unsupported path requested" in text else _STATUS.get(status)
    if known is not None:
        failure, transient, why = known
    elif status >= 500:
        failure, transient, why = SourceFailure.SERVER_ERROR, True, "the server failed"
    elif status in (400, 422):
        failure, transient, why = SourceFailure.BAD_QUERY, False, "the server refuses the query"
    else:
        failure, transient, why = SourceFailure.BAD_ANSWER, False, "this is no answer to a query"
    tail = f": {text}" if text else ""
    return SourceError(f"HTTP {status}, {why}{tail}", failure=failure, transient=transient)


def _not_a_matrix(spoken: _Said, content_type: str, body: bytes | bytearray, *, readable: bool) -> SourceError:
    start = bytes(body[:256]).lstrip()
    if start.startswith(b"<") or "html" in content_type.lower():
        return bad_answer("HTML instead of JSON; is this a login page, or the URL of something else?")
    if not start:
        return bad_answer("it is empty", transient=True)
    if not readable:
        if start.startswith(b"{"):
            return bad_answer("its JSON is cut or damaged", transient=True)
        return bad_answer(f"it is no JSON: {_excerpt(content_type, body)}")
    try:
        kind = msgspec.json.decode(spoken.data, type=_Typed).result_type
    except msgspec.MsgspecError:
        kind = ""
    if kind == "streams":
        return bad_answer("log streams instead of series; is this Loki?")
    if kind and kind != "matrix":
        return bad_answer(f"a {said(kind)} where the series of a range (matrix) were asked for")
    return bad_answer("its JSON is not that of a range query")


def _excerpt(content_type: str, body: bytes | bytearray) -> str:
    """The beginning of a plain text; nothing of HTML, whose words are markup."""
    text = bytes(body[:2000]).decode("utf-8", "replace")
    if "html" in content_type.lower() or text.lstrip().startswith("<"):
        return ""
    return said(text)[:200]
