"""JSON that a server sent, read by name: what is absent or of another type reads as nothing, never as a crash."""

from collections.abc import Iterator

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Answer:
    """One JSON value."""

    __slots__ = ("json",)

    def __init__(self, json: Json) -> None:
        self.json = json

    def __getitem__(self, name: str) -> "Answer":
        """The member of that name; nothing when there is none."""
        return Answer(self.json.get(name)) if isinstance(self.json, dict) else Answer(None)

    def __iter__(self) -> Iterator["Answer"]:
        """The items of a list; none for anything else."""
        return iter([Answer(item) for item in self.json] if isinstance(self.json, list) else [])

    def __bool__(self) -> bool:
        """Whether there is anything: null, false, empty texts, lists and mappings are nothing."""
        return self.json is not None and self.json is not False and self.json not in ("", [], {})

    def members(self) -> Iterator[tuple[str, "Answer"]]:
        """The members of an object; none for anything else."""
        pairs = self.json.items() if isinstance(self.json, dict) else ()
        return iter([(name, Answer(value)) for name, value in pairs])

    def text(self, default: str = "") -> str:
        """The value as a text: words as they are, numbers and booleans as JSON writes them."""
        if isinstance(self.json, bool):
            return "yes" if self.json else "no"
        return str(self.json) if isinstance(self.json, str | int | float) else default

    def number(self) -> float | None:
        """The number; None when it is none."""
        return None if isinstance(self.json, bool) or not isinstance(self.json, int | float) else float(self.json)

    def count(self) -> int:
        """The number as a whole one, zero when it is none."""
        return int(self.number() or 0)

    def words(self) -> list[str]:
        """A list of texts."""
        return [item.text() for item in self]
