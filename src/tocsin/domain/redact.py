"""Foreign text fit to be kept and shown: one bounded line without control characters, links and secrets. Pure."""

import re

HIDDEN = "***"
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
    re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\b(?:gh[pousr]|glpat|xox[abprs]|sk)[-_][A-Za-z0-9_-]{16,}"),
    re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"),
    re.compile(r"(?<!\d)\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}(?!\d)"),
)
_NAMED = re.compile(
    r"""((?:pass(?:word|wd)?|secret|token|api[_-]?key|access[_-]?key|credentials?|cookie|session(?:[_-]?id)?)["']?\s*[=:]\s*)"""
    r"""("[^"]*"?|'[^']*'?|[^\s,;&"']+)""",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"((?:authorization\s*[=:]\s*)?(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_LINK = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S+", re.IGNORECASE)


def clean(text: str, most: int) -> str:
    """At most `most` characters of a text that anybody may have written."""
    found = text[: 4 * most]
    for secret in _SECRETS:
        found = secret.sub(HIDDEN, found)
    found = _AUTHORIZATION.sub(rf"\1{HIDDEN}", found)
    found = _NAMED.sub(rf"\1{HIDDEN}", found)
    found = _LINK.sub("<link>", found)
    found = " ".join("".join(each if each.isprintable() else " " for each in found).split())
    return found if len(found) <= most else found[: most - 1] + "…"
