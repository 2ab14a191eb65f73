"""`${NAME}` in a text becomes the environment variable of that name; `$$` becomes one `$`."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<broken>\{[^}]*\}?))")


class Unexpandable(ValueError):
    """A reference that leads nowhere; the message says which."""


def expand(text: str, env: Mapping[str, str]) -> str:
    """The text with its references filled in; a lone `$` stays. Raises `Unexpandable`."""

    def fill(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["name"]
        if name is None:
            raise Unexpandable(f"{match[0]} is not a reference: write ${{NAME}}, or $$ for a dollar sign")
        if name not in env:
            raise Unexpandable(f"environment variable {name} is not set (write $${{{name}}} for the text itself)")
        return env[name]

    return _REFERENCE.sub(fill, text)


def escape(text: str) -> str:
    """The text that `expand` turns back into `text`."""
    return text.replace("$", "$$")
