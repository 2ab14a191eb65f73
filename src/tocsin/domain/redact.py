"""Foreign text fit to be kept and shown: one bounded line without control characters, links and secrets. Pure."""

import re

HIDDEN = "***"
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
    re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\b(?:gh[pousr]|glpat|glsa|glc|xox[abprs]|sk)[-_][A-Za-z0-9_-]{16,}"),
    re.compile(r"(?<![^\s:@/=\"'])[^\s:@/=\"']{1,64}:[^\s@/]{1,64}@[A-Za-z0-9.-]{1,253}"),
    re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"),
    re.compile(r"(?<!\d)\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}(?!\d)"),
)
_NAME = (
    r"[A-Za-z0-9_-]{0,40}?(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?|auth|sid"
    r"|(?:api|access|private|secret|signing)[_-]?key|signature|session(?:[_-]?id)?)"
)
_VALUE = r"""(?:\\+"[^"]*"?|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|\{[^}]*\}?|[^\s,;&"'}]+)"""
# The rest of the line: what follows these names has parts of its own.
_WHOLE = re.compile(
    r"""((?:authorization|cookie)\\*["']?\s*[=:]\s*)(?:\\+"[^"]*"?|"(?:\\.|[^"\\])*"?|'[^']*'?|[^\r\n]*)""",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"""(?<![\w-])({_NAME}\\*["']?(?:\s*(?:[=:]|%3[ad])\s*|\s+is\s+))(?!\*\*\*){_VALUE}""", re.IGNORECASE
)
_OPTION = re.compile(rf"(--?{_NAME}\s+)(?!-)\S+", re.IGNORECASE)
_SCHEME = re.compile(r"\b((?:bearer|basic|digest)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_SIGNED = re.compile(r"([?&]sig=)[^&\s]+", re.IGNORECASE)
_LINK = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S+", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """The same text without what looks like a token, a key or a password: what a server says of itself, a title."""
    for secret in _SECRETS[:3]:
        text = secret.sub(HIDDEN, text)
    for pattern in (_WHOLE, _SCHEME, _NAMED, _OPTION, _SIGNED):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def clean(text: str, most: int) -> str:
    """At most `most` characters of a text that anybody may have written."""
    # What does not print is gone before anything is looked for: it must not stand between a name and its value.
    found = "".join(each if each.isprintable() else " " * each.isspace() for each in text[: 4 * most])
    found = _LINK.sub("<link>", found)
    for secret in _SECRETS:
        found = secret.sub(HIDDEN, found)
    for pattern in (_WHOLE, _SCHEME, _NAMED, _OPTION):
        found = pattern.sub(rf"\1{HIDDEN}", found)
    found = " ".join(found.split())
    return found if len(found) <= most else found[: most - 1] + "…"
