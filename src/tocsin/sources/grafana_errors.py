"""What mcp-grafana says when a tool failed: text of Grafana's, Prometheus' or Loki's, as a `SourceError`. Pure."""

import re

from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.sources.wire_errors import bad_answer, decode_error, said, spoken_error

_PROMETHEUS = re.compile(r"querying Prometheus (?:range|instant): (\w+): (.*)", re.DOTALL)
_CLIENT_STATUS = re.compile(r"(?:client|server) error: (\d{3}): ?(.*)", re.DOTALL)
_LOKI_STATUS = re.compile(r"[Ll]oki API returned status code (\d{3}):? ?(.*)", re.DOTALL)
_GRAFANA_STATUS = re.compile(r"\[[A-Z]+ [^\]]*\]\[(\d{3})\]")
_ANY_STATUS = re.compile(r"(?:status|HTTP)\b[^\d\n]{0,40}?(\d{3})\b")
_LATE = ("deadline exceeded", "client.timeout", "i/o timeout", "timed out")
_AWAY = ("connection refused", "no such host", "connection reset", "dial tcp", ": eof", "tls:", "x509")
_HTML = "invalid character '<'"
_GRAFANA: dict[int, tuple[SourceFailure, bool, str]] = {
    401: (SourceFailure.UNAUTHORIZED, False, "Grafana refuses the token"),
    403: (SourceFailure.UNAUTHORIZED, False, "the token does not allow this in Grafana"),
    404: (SourceFailure.NOT_FOUND, False, "Grafana does not have this"),
    429: (SourceFailure.RATE_LIMITED, True, "Grafana is asked too often"),
    504: (SourceFailure.TIMEOUT, True, "a gateway waited too long for Grafana"),
}


def tool_error(text: str) -> SourceError:
    """Why a tool failed. `text` is without secrets already."""
    if (found := _PROMETHEUS.match(text)) is not None:
        kind, rest = found.groups()
        if (status := _CLIENT_STATUS.match(rest)) is not None:
            return decode_error(int(status[1]), "text/plain", status[2].encode())
        return _late_or_away(text) or (_no_json(rest) if kind == "bad_response" else spoken_error(kind, rest))
    if (found := _LOKI_STATUS.search(text)) is not None:
        return decode_error(int(found[1]), "text/plain", found[2].encode())
    if "datasource with UID" in text and "not found" in text:
        return SourceError(said(text), failure=SourceFailure.NOT_FOUND, transient=False)
    if (found := _GRAFANA_STATUS.search(text) or _ANY_STATUS.search(text)) is not None:
        return _of_grafana(int(found[1]), said(text))
    if (known := _late_or_away(text)) is not None:
        return known
    if "unsupported value: NaN" in text or "unsupported value: +Inf" in text or "unsupported value: -Inf" in text:
        return SourceError(
            f"mcp-grafana cannot pass on a value of this query: {said(text)}",
            failure=SourceFailure.BAD_ANSWER,
            transient=False,
        )
    if "unknown argument" in text or "is required" in text or "must be provided" in text:
        return SourceError(
            f"mcp-grafana takes other arguments than it said: {said(text)}",
            failure=SourceFailure.BAD_ANSWER,
            transient=False,
        )
    if _HTML in text:
        return _no_json(text)
    return SourceError(f"Grafana could not answer: {said(text)}", failure=SourceFailure.SERVER_ERROR, transient=True)


def _no_json(text: str) -> SourceError:
    """An answer that mcp-grafana could not read, in the words of one that is read here."""
    if _HTML in text:
        return bad_answer(f"HTML instead of JSON; is this a login page, or the URL of something else? ({said(text)})")
    if "unexpected end of JSON" in text or "unexpected EOF" in text:
        return bad_answer(f"its JSON is cut or damaged ({said(text)})", transient=True)
    return bad_answer(said(text))


def _late_or_away(text: str) -> SourceError | None:
    lowered = text.lower()
    if any(word in lowered for word in _LATE):
        return SourceError(
            f"Grafana did not answer in time: {said(text)}", failure=SourceFailure.TIMEOUT, transient=True
        )
    if any(word in lowered for word in _AWAY):
        return SourceError(f"Grafana is not reached: {said(text)}", failure=SourceFailure.UNREACHABLE, transient=True)
    return None


def _of_grafana(status: int, text: str) -> SourceError:
    known = _GRAFANA.get(status)
    if 300 <= status < 400:
        known = (SourceFailure.BAD_ANSWER, False, "Grafana leads elsewhere; is this its own URL, or that of a login?")
    if known is None:
        failed = status >= 500
        failure = SourceFailure.SERVER_ERROR if failed else SourceFailure.BAD_ANSWER
        known = (failure, failed, "Grafana failed" if failed else "Grafana refuses this")
    failure, transient, why = known
    return SourceError(f"HTTP {status}, {why}: {text}", failure=failure, transient=transient)
