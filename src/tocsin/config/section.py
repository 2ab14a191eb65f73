"""A mapping read by its schema: every question names a key and a type, and what was never asked for is unknown."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from tocsin.config.document import Document, Entry
from tocsin.config.duration import parse_duration
from tocsin.config.secret import Secret

T = TypeVar("T")
MAX_SECRET_BYTES = 65_536
_WORDS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


class Section:
    """The members of one mapping. Every reader answers None (or its default) after a complaint or when absent."""

    def __init__(self, entry: Entry, members: dict[str, Entry]) -> None:
        self.entry = entry
        self._members = members
        self._asked: dict[str, None] = {}

    @classmethod
    def of(cls, entry: Entry) -> "Section | None":
        """The section at a place; None after a complaint that it is no mapping."""
        members = entry.mapping()
        return None if members is None else cls(entry, members)

    @property
    def document(self) -> Document:
        """The document this section stands in."""
        return self.entry.document

    def get(self, key: str) -> Entry | None:
        """The member of that name, None when it is absent or empty; from now on the key is known."""
        self._asked[key] = None
        entry = self._members.get(key)
        return None if entry is None or entry.empty else entry

    def place(self, key: str) -> Entry:
        """Where to complain about a key: its value, or the section when it is absent."""
        known = self._members.get(key)
        if known is not None:
            return known
        return Entry(self.document, f"{self.entry.name}.{key}".lstrip("."), self.entry.node)

    def finish(self, *, ignore: str = "\0") -> None:
        """Complain about every key that nothing asked for, with the nearest that something did.

        Keys that begin with `ignore` are left alone.
        """
        for key, entry in self._members.items():
            if key in self._asked or key.startswith(ignore):
                continue
            near = get_close_matches(key, self._asked, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(self._asked)}"
            entry.complain(f"is unknown; {hint}")

    def read(self, key: str, parse: Callable[[str], T], *, quiet: bool = False) -> T | None:
        """What `parse` makes of the member's text; its ValueError becomes the complaint.

        The complaint repeats what is written, unless it is `quiet` (the text may hold a secret).
        """
        entry = self.get(key)
        text = None if entry is None else entry.text()
        if entry is None or text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            said = "" if quiet or entry.expanded else f", not {_shown(entry.written)}"
            entry.complain(f"{error}{said}")
            return None

    def text(self, key: str) -> str | None:
        """A text of at least one character."""
        return self.read(key, _some_text)

    def required(self, key: str) -> str | None:
        """A text that has to be there."""
        if self.get(key) is None:
            self.place(key).complain("is missing")
            return None
        return self.text(key)

    def boolean(self, key: str, default: bool) -> bool:  # noqa: FBT001
        """True or false."""
        value = self.read(key, _boolean)
        return default if value is None else value

    def number(self, key: str, default: T) -> float | T:
        """A finite number."""
        value = self.read(key, _number)
        return default if value is None else value

    def integer(self, key: str, default: T, *, least: int, most: int) -> int | T:
        """A whole number between two bounds, both included."""
        value = self.read(key, lambda text: _integer(text, least, most))
        return default if value is None else value

    def duration(self, key: str, default: timedelta) -> timedelta:
        """A duration: seconds or `5m`."""
        value = self.read(key, parse_duration)
        return default if value is None else value

    def choice(self, key: str, choices: Sequence[str]) -> str | None:
        """One of a few words."""
        return self.read(key, lambda text: _choice(text, choices))

    def path(self, key: str) -> Path | None:
        """A file that exists; relative to the folder of the settings."""
        value = self.text(key)
        if value is None:
            return None
        path = self.document.folder / Path(value).expanduser()
        if not path.is_file():
            self.place(key).complain("names a folder" if path.is_dir() else "names a file that does not exist")
            return None
        return path

    def secret(self, key: str) -> Secret | None:
        """A secret from `key`, or from the file that `key_file` names; not both."""
        plain, file = self.get(key), self.get(f"{key}_file")
        if plain is not None and file is not None:
            file.complain(f"cannot stand beside {key}: give one of them")
            return None
        if plain is not None:
            value = self.text(key)
            if value is not None and not value.isprintable():
                plain.complain("has characters that no header may have, or a line break")
                return None
            return None if value is None else Secret(value)
        path = self.path(f"{key}_file")
        if path is None:
            return None
        self.document.secret_files.append(path)
        try:
            return read_secret(path)
        except ValueError as error:
            self.place(f"{key}_file").complain(str(error))
            return None

    def texts(self, key: str, *, alone: bool = True) -> tuple[str, ...] | None:
        """A list of texts; a single one may stand without a list, unless not `alone`."""
        entry = self.get(key)
        if entry is None:
            return None
        if entry.written:
            value = self.text(key)
            if value is not None and not alone:
                entry.complain("must be a list of texts, such as [deploy, release]")
                return None
            return None if value is None else (value,)
        found: list[str] = []
        for member in entry.entries() or []:
            value = member.text()
            if value:
                found.append(value)
            elif value is not None:
                member.complain("must not be empty")
        return tuple(found)

    def pairs(self, key: str) -> dict[str, tuple[str, Entry]]:
        """A mapping of texts, each with its place; empty when it is absent."""
        entry = self.get(key)
        members = None if entry is None else entry.mapping()
        texts = {name: (member.text(), member) for name, member in (members or {}).items()}
        return {name: (text, member) for name, (text, member) in texts.items() if text is not None}

    def section(self, key: str) -> "Section | None":
        """A mapping inside this one; None when it is absent or no mapping."""
        entry = self.get(key)
        return None if entry is None else Section.of(entry)

    def sections(self, key: str) -> list["Section"]:
        """A list of mappings; empty when it is absent."""
        entry = self.get(key)
        found = [Section.of(member) for member in (entry.entries() or [])] if entry is not None else []
        return [section for section in found if section is not None]


def read_secret(path: Path) -> Secret:
    """The secret in a file, without the line break at its end; raises ValueError that never quotes it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
        value = data.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError("names a file that is not UTF-8 text") from error
    if not value or len(data) > MAX_SECRET_BYTES:
        raise ValueError("names a file that is empty" if not value else f"is larger than {MAX_SECRET_BYTES:,} bytes")
    if not value.isprintable():
        lines = "more than one line" if "\n" in value or "\r" in value else "characters that no header may have"
        raise ValueError(f"names a file with {lines}")
    return Secret(value)


def _shown(written: str) -> str:
    return repr(written if len(written) <= 60 else written[:57] + "...")


def _some_text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _WORDS:
        raise ValueError("must be true or false")
    return _WORDS[word]


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -float("inf") < value < float("inf"):
        raise ValueError("must be a finite number")
    return value


def _integer(text: str, least: int, most: int) -> int:
    digits = text.strip().replace("_", "")
    if not re.fullmatch(r"-?[0-9]{1,19}", digits) or not least <= int(digits) <= most:
        raise ValueError(f"must be a whole number between {least:,} and {most:,}")
    return int(digits)


def _choice(text: str, choices: Sequence[str]) -> str:
    if text not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    return text
