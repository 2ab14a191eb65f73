"""What people accepted, what was proposed and what happened, each as one versioned JSON document."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from tocsin.domain.events import Event
from tocsin.domain.feedback import Acceptance
from tocsin.domain.labels import Labels
from tocsin.domain.proposal import Proposal
from tocsin.store.codec import Unreadable
from tocsin.store.columns import escape, unescape

FORMAT: Final = 1
"""The newest form: the fields of the domain by their names. A field is added with a default; one that changes its
meaning gets a new name."""

T = TypeVar("T", Acceptance, Proposal, Event)


def document(value: Acceptance | Proposal | Event) -> str:
    """The value as JSON text in the form `FORMAT`."""
    plain = msgspec.to_builtins(value, enc_hook=_plain)
    return msgspec.json.encode(_mapped(plain, escape)).decode()


def read(kind: type[T], name: str, form: int, text: str) -> T:
    """The value of a row; raises `Unreadable`, also for a form that is newer than this code."""
    what = f"{kind.__name__.lower()} {name!r}"
    if form != FORMAT:
        raise Unreadable(what, ValueError(f"it has the form {form}, this version knows {FORMAT}"))
    try:
        return msgspec.convert(_mapped(msgspec.json.decode(text), unescape), kind, dec_hook=_rich)
    except (ValueError, msgspec.MsgspecError) as error:
        raise Unreadable(what, error) from error


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The same JSON value with every text changed, names of members too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_mapped(key, change): _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(inner, change) for inner in value]
    return value


def _plain(value: object) -> object:
    if isinstance(value, Labels):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no part of a document")


def _rich(kind: type, value: Any) -> object:
    if kind is Labels:
        return Labels(value)
    raise TypeError(f"{kind.__name__} is no part of a document")
