"""What lines are made from: templates, found by drain3 (the optional extra `logs`), kept as JSON of our own.

Lines are cleaned of secrets and masked of numbers before they are looked at, so nothing else is ever kept of them. A
template keeps the words by which it was first called, however general it becomes: its series keeps its name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from tocsin.detect import BrokenExtra, importing
from tocsin.domain.redact import clean
from tocsin.domain.words import many

if TYPE_CHECKING:
    from drain3.drain import Drain

VERSION = 1
MAX_TEMPLATES = 200
"""Templates of one query; for another one the longest unseen is forgotten, so many of them in one answer: further lines
are counted in `OTHER`.
"""

MAX_OWN = 50
"""Templates that have a series of their own; the rest is counted in `OTHER`."""

MAX_LINE_CHARACTERS = 1000
MAX_WORDS = 60
MAX_NAME_CHARACTERS = 200
MAX_EXAMPLE_CHARACTERS = 300
FORGOTTEN_NS = 7 * 86400 * 10**9
"""How long after its last line a template is known."""

NEW_NS = 3600 * 10**9
"""How long a template is new."""

NEW, OTHER = "(new)", "(other)"
SIMILAR = 0.5
"""The share of words that a line must have in common with its template."""

_SPOKEN = ("message", "msg", "log", "event", "error")
_LEVELS = ("level", "severity", "lvl")
_VARIABLE = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b0x[0-9a-fA-F]+|\b[0-9a-fA-F]{16,}\b|\d+(?:[.:,]\d+)*"
)


class Template(msgspec.Struct):
    """One template. Times are unix nanoseconds; `new_until` is 0 for one that was there at first. `name` is empty until
    the first answer that it is part of is whole, `words` while drain3 knows them.
    """

    first: int
    last: int
    new_until: int
    name: str = ""
    own: bool = False
    example: str = ""
    words: list[str] = []


class State(msgspec.Struct):
    """What is kept of one query."""

    version: int
    query: str
    asked: int
    seeded: bool
    templates: list[Template]


def missing() -> str | None:
    """What to install for templates, or why what is installed cannot be used; None where all is well."""
    if not find_spec("drain3"):
        return "needs drain3 for templates, which is not installed: pip install 'tocsin[logs]'"
    try:
        _drain()
    except BrokenExtra as error:
        return str(error)
    return None


class Miner:
    """The templates of one query. `asked` is the end of the newest window (unix ns), `seeded` whether the beginning is
    over: templates found before that are not new.
    """

    def __init__(self, query: str) -> None:
        self.query, self.asked, self.seeded = query, 0, False
        self.changed = False
        self._forgotten = 0
        self._drain = _drain()
        self._known: dict[int, Template] = {}

    @classmethod
    def of(cls, text: str) -> Miner | None:
        """What was kept, or None when it is none of ours or of another version."""
        try:
            state = msgspec.json.decode(text, type=State)
        except msgspec.MsgspecError:
            return None
        if state.version != VERSION or len(state.templates) > MAX_TEMPLATES:
            return None
        return cls._made(state)

    def text(self) -> str:
        """All of it as JSON."""
        return msgspec.json.encode(self._state()).decode()

    def copy(self) -> Miner:
        """Another one that knows the same; what it learns stays with it."""
        return self._made(self._state())

    @classmethod
    def _made(cls, state: State) -> Miner:
        miner = cls(state.query)
        miner.asked, miner.seeded = state.asked, state.seeded
        miner._plant(state.templates)
        return miner

    def _state(self) -> State:
        return State(VERSION, self.query, self.asked, self.seeded, self._worded())

    def _worded(self) -> list[Template]:
        """The templates with their words, apart from those that go on to change."""
        return [msgspec.structs.replace(each, words=self._words(key)) for key, each in self._known.items()]

    def mine(self, lines: Iterable[tuple[int, str]]) -> list[int]:
        """The template of each line (unix ns, text); 0 for one that fits none of as many as there may be."""
        return [self._one(at, text) for at, text in lines]

    def settle(self, counts: Counter[int]) -> int:
        """Name the templates that an answer has brought, those with most lines first; forget the long unseen. How many
        had to be forgotten for lack of room.
        """
        fresh = sorted((key for key, each in self._known.items() if not each.name), key=lambda key: -counts[key])
        newest = max((each.last for each in self._known.values()), default=0)
        for key in [key for key, each in self._known.items() if each.last < newest - FORGOTTEN_NS]:
            self._forget(key)
        room = MAX_OWN - len({each.name for each in self._known.values() if each.own})
        for key in fresh:
            if key in self._known:
                each = self._known[key]
                each.name = _called(" ".join(self._words(key)))
                each.own, room = room > 0, room - 1
                self.changed = True
        forgotten, self._forgotten = self._forgotten, 0
        if forgotten:
            self._replant()
        return forgotten

    def names(self) -> list[str]:
        """The series that there are: of templates with one of their own, of new ones, of all others."""
        own = dict.fromkeys(each.name for each in self._known.values() if each.own and each.name)
        return [*own, NEW, OTHER]

    def name(self, key: int) -> str:
        """The series that counts a template."""
        each = self._known.get(key)
        return each.name if each is not None and each.own else OTHER

    def new_until(self, name: str) -> int:
        """How long (unix ns) what a series counts is news, told by the series of new ones; 0 where it is none."""
        return min((each.new_until for each in self._known.values() if each.own and each.name == name), default=0)

    def is_new(self, key: int, at: int) -> bool:
        """Whether a line of a template is that of a new one."""
        each = self._known.get(key)
        return each is not None and at < each.new_until

    def says(self, name: str, at: int, most: int) -> tuple[str, ...]:
        """Examples of a series at an instant (unix ns), as lines; what they quote is cleaned."""
        # A copy at once: lines may be mined in a thread meanwhile.
        known = list(self._known.values())
        if name == NEW:
            new = [each for each in known if each.first <= at < each.new_until + NEW_NS and each.name]
            new.sort(key=lambda each: -each.last)
            more = [f"and {many(len(new) - most, 'more new template')}"] if len(new) > most else []
            return (
                *(f"never seen before: {_quoted(each.name)}, as in: {_quoted(each.example)}" for each in new[:most]),
                *more,
            )
        found = [each for each in known if each.name == name]
        return tuple(f"a line of it: {_quoted(each.example)}" for each in found[:1])

    def _one(self, at: int, text: str) -> int:
        shown = clean(_spoken(text), MAX_LINE_CHARACTERS)
        words = _VARIABLE.sub("<*>", shown).split()[:MAX_WORDS]
        drain = self._drain
        if len(self._known) >= MAX_TEMPLATES and drain.tree_search(drain.root_node, words, SIMILAR, False) is None:  # noqa: FBT003 drain3's own
            if self._forgotten >= MAX_TEMPLATES:
                return 0
            self._forget(min(self._known, key=lambda key: self._known[key].last))
            self._forgotten += 1
        cluster, _ = drain.add_log_message(" ".join(words))
        key = int(cluster.cluster_id)
        known = self._known.get(key)
        if known is None:
            new_until = at + NEW_NS if self.seeded else 0
            known = self._known[key] = Template(at, at, new_until)
            self.changed = True
        known.first = min(known.first, at)
        if at >= known.last:
            known.last, known.example = at, shown[:MAX_EXAMPLE_CHARACTERS]
        return key

    def _forget(self, key: int) -> None:
        del self._known[key], self._drain.id_to_cluster[key]
        self.changed = True

    def _replant(self) -> None:
        """A tree of what is known alone: that of drain3 keeps the branches of what was forgotten."""
        known = self._worded()
        self._drain, self._known = _drain(), {}
        self._plant(known)

    def _plant(self, templates: Iterable[Template]) -> None:
        """Know templates as if their lines had just been read."""
        # Not imported before it is needed: only this kind of target does.
        from drain3.drain import LogCluster  # noqa: PLC0415

        drain = self._drain
        for each in templates:
            drain.clusters_counter += 1
            key = int(drain.clusters_counter)
            cluster = LogCluster(each.words, key)
            drain.id_to_cluster[key] = cluster
            drain.add_seq_to_prefix_tree(drain.root_node, cluster)
            self._known[key], each.words = each, []

    def _words(self, key: int) -> list[str]:
        return [str(each) for each in self._drain.id_to_cluster[key].log_template_tokens]


def _called(words: str) -> str:
    """The name of a template's series; none is called like those that count others."""
    name = clean(words, MAX_NAME_CHARACTERS) or "(empty)"
    return f"[{name}]" if name in (NEW, OTHER) else name


def _drain() -> Drain:
    with importing("templates", "drain3"):
        from drain3.drain import Drain as Made  # noqa: PLC0415

    return Made(sim_th=SIMILAR, max_children=100)


def _spoken(text: str) -> str:
    """What a line says: of a JSON object its level and message, of anything else all of it."""
    if not text.startswith("{") or len(text) > 64 * 1024:
        return text
    try:
        fields = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        # Anybody may have written it, so deep that no decoder follows.
        return text
    level = next((fields[name] for name in _LEVELS if isinstance(fields.get(name), str)), "")
    said = next((fields[name] for name in _SPOKEN if isinstance(fields.get(name), str)), None)
    return text if said is None else f"{level} {said}".strip()


def _quoted(text: str) -> str:
    """In quotes, unless it has some of its own: doubled they would be read as one."""
    return text if '"' in text else f'"{text}"'
