"""A LogQL query as a tree: its grammar, as far as it decides what is refused."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from tocsin.domain.errors import Invalid
from tocsin.domain.query_words import Meaningless, duration_s, words

T = TypeVar("T")

MAX_DEPTH = 60
"""Parentheses within each other."""

_LEVELS = (("or",), ("and", "unless"), ("==", "!=", "<=", ">=", "<", ">"), ("+", "-"), ("*", "/", "%"))
_STAGES = frozenset(("|", "|=", "|~", "!=", "!~", "|>", "!>"))
_MATCHES = frozenset(("=", "!=", "=~", "!~"))
_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)
      |(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
      |(?P<number>(?:\d|\.\d)[\w.µ]*)
      |(?P<name>[A-Za-z_]\w*)
      |(?P<sign>\|=|\|~|\|>|!=|!~|!>|=~|==|>=|<=|[-+*/%^=<>(){}\[\],|])""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a stream selector; `value` without its quotes."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Lines:
    """A log query: `selector` as written, with its braces, `pipeline` what follows it, "" where nothing does."""

    selector: str
    matchers: tuple[Matcher, ...]
    pipeline: str

    @property
    def text(self) -> str:
        """The whole, as a server takes it."""
        return f"{self.selector} {self.pipeline}".strip()


@dataclass(frozen=True, slots=True)
class LinesWithin:
    """The lines of a window before each instant; `offset` as written, "" where there is none."""

    lines: Lines
    range_s: float
    offset: str

    @property
    def unwrapped(self) -> bool:
        """Whether a number is taken out of each line."""
        return "unwrap" in [text for kind, text, _, _ in _tokens(self.lines.pipeline) if kind == "name"]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string among the arguments of a function."""

    value: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an aggregation. `by` are the labels of its grouping; None where it has none; `without` turns it."""

    function: str
    arguments: tuple["Node", ...]
    by: tuple[str, ...] | None = None
    without: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """Two sides with an operator."""

    operator: str
    left: "Node"
    right: "Node"


Node = Lines | LinesWithin | Number | Text | Call | Binary


def read(query: str) -> Node:
    """The query as a tree; raises `Invalid("query", why)` where the grammar is not kept."""
    return _Reader(query).whole()


def _tokens(query: str) -> list[tuple[str, str, int, int]]:
    try:
        return list(words(query, _TOKEN))
    except Meaningless as error:
        begun = query[error.at]
        what = "an unfinished string" if begun in "\"`'" else f"the character {begun!r} has no meaning here"
        raise Invalid("query", f"{what} (at character {error.at + 1})") from None


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    with suppress(ValueError):
        return str(json.loads(text))
    return text[1:-1]


class _Reader:
    """Recursive descent by the precedence of operators."""

    def __init__(self, query: str) -> None:
        self._query, self._tokens, self._at, self._depth = query, _tokens(query), 0, 0

    def whole(self) -> Node:
        if not self._tokens:
            raise Invalid("query", "must not be empty")
        node = self._binary(0)
        if self._at != len(self._tokens):
            self._wrong(f"{self._peek()!r} has no meaning here")
        return node

    def _wrong(self, why: str) -> NoReturn:
        ended = self._at >= len(self._tokens)
        place = "at the end" if ended else f"at character {self._tokens[self._at][2] + 1}"
        raise Invalid("query", f"{why} ({place})")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str | None = None) -> str:
        if self._at >= len(self._tokens) or (wanted is not None and self._peek() != wanted):
            self._wrong(f"{wanted or 'something'} is missing")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _take_kind(self, kind: str, words: str) -> str:
        if self._kind() != kind:
            self._wrong(f"{words} is missing")
        return self._take()

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._signed()
        left = self._binary(level + 1)
        while self._peek().lower() in _LEVELS[level]:
            operator = self._take().lower()
            while self._peek().lower() in ("bool", "on", "ignoring", "group_left", "group_right"):
                if self._take().lower() != "bool" and self._peek() == "(":
                    self._labels()
            left = Binary(operator, left, self._binary(level + 1))
        return left

    def _signed(self) -> Node:
        if self._peek() in ("-", "+"):
            sign = -1.0 if self._take() == "-" else 1.0
            return Number(sign * self._number())
        base = self._primary()
        if self._peek() == "^":
            self._take()
            return Binary("^", base, self._signed())
        return base

    def _number(self) -> float:
        at, text = self._at, self._take_kind("number", "a number")
        try:
            return float(text)
        except ValueError:
            self._at = at
            self._wrong(f"{text!r} is no number")

    def _primary(self) -> Node:
        if self._kind() == "number":
            return Number(self._number())
        if self._kind() == "string":
            return Text(_unquoted(self._take()))
        if self._peek() == "{":
            return self._ranged(self._lines())
        if self._peek() == "(":
            inner = self._deeper(lambda: self._binary(0))
            return self._ranged(inner) if isinstance(inner, Lines) else inner
        if self._kind() == "name":
            return self._call()
        return self._wrong("a query or a stream selector {…} is missing")

    def _deeper(self, read: Callable[[], T]) -> T:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._wrong(f"more than {MAX_DEPTH} parentheses within each other")
        self._take("(")
        inner = read()
        self._take(")")
        self._depth -= 1
        return inner

    def _call(self) -> Node:
        function, grouping = self._take(), self._grouping()
        if self._peek() != "(":
            self._wrong(f"{function!r} is no function here: a stream selector stands in braces, as {{{function}=…}}")
        arguments = self._deeper(self._arguments)
        without, by = grouping or self._grouping() or (False, None)
        return Call(function, arguments, by, without=without)

    def _arguments(self) -> tuple[Node, ...]:
        arguments: list[Node] = []
        while self._peek() != ")":
            arguments.append(self._binary(0))
            if self._peek() == ",":
                self._take()
            elif self._peek() != ")":
                self._wrong(") is missing")
        if not arguments:
            self._wrong("an argument is missing")
        return tuple(arguments)

    def _grouping(self) -> tuple[bool, tuple[str, ...]] | None:
        if self._peek().lower() not in ("by", "without"):
            return None
        without = self._take().lower() == "without"
        return without, self._labels()

    def _labels(self) -> tuple[str, ...]:
        self._take("(")
        names = []
        while self._peek() != ")":
            names.append(self._take_kind("name", "the name of a label"))
            if self._peek() not in (")", ","):
                self._wrong(f"{',' if self._kind() == 'name' else ')'} is missing")
            if self._peek() == ",":
                self._take()
        self._take(")")
        return tuple(names)

    def _lines(self) -> Lines:
        start, matchers = self._at, []
        self._take("{")
        while self._peek() != "}":
            label = self._take_kind("name", "the name of a label or a closing brace")
            if self._peek() not in _MATCHES:
                self._wrong("one of = != =~ !~ is missing")
            matchers.append(Matcher(label, self._take(), _unquoted(self._take_kind("string", "a value in quotes"))))
            if self._peek() not in ("}", ","):
                # Whether another matcher follows, or the selector has no end.
                self._wrong(f"{',' if self._kind() == 'name' else '}'} is missing")
            if self._peek() == ",":
                self._take()
        self._take("}")
        if not any(map(_selects, matchers)):
            raise Invalid(
                "query", 'needs at least one matcher that an absent label does not fulfil: app=~".+", not app=~".*"'
            )
        return Lines(self._since(start), tuple(matchers), self._pipeline())

    def _pipeline(self) -> str:
        start, depth = self._at, 0
        if self._peek() not in _STAGES:
            return ""
        while self._at < len(self._tokens) and (depth or self._peek() not in ("[", ")")):
            depth += {"(": 1, ")": -1}.get(self._peek(), 0)
            self._take()
        if depth:
            self._wrong(") is missing")
        return self._since(start)

    def _ranged(self, lines: Lines) -> Node:
        """The lines, or those within a range when one follows."""
        if self._peek() != "[":
            return lines
        self._take()
        seconds = self._duration()
        self._take("]")
        offset = ""
        if self._peek().lower() == "offset":
            start = self._at
            self._take()
            if self._peek() == "-":
                self._take()
            self._duration()
            offset = self._since(start)
        pipeline = f"{lines.pipeline} {self._pipeline()}".strip()
        return LinesWithin(Lines(lines.selector, lines.matchers, pipeline), seconds, offset)

    def _duration(self) -> float:
        at, text = self._at, self._take()
        seconds = duration_s(text)
        if not seconds:
            self._at = at
            self._wrong(f"{text!r} is no duration such as 5m")
        return seconds

    def _since(self, start: int) -> str:
        return self._query[self._tokens[start][2] : self._tokens[self._at - 1][3]]


def _selects(matcher: Matcher) -> bool:
    """Whether the matcher rules out that the label is absent, as a server wants it of one at least."""
    if matcher.operator in ("=", "!="):
        return (matcher.operator == "=") is bool(matcher.value)
    try:
        empty = re.fullmatch(matcher.value, "") is not None
    except re.error:
        # Go's regular expressions are others; the server will tell.
        return True
    return empty is (matcher.operator == "!~")
