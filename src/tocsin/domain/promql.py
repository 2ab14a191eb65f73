"""As much of PromQL as it takes to see what a query computes; what is not understood is said to be, never guessed."""

import re
from dataclasses import dataclass

from tocsin.domain.query_words import Meaningless, duration_s, words

MOST_CHARACTERS = 20_000
"""A longer query is not looked into."""

MAX_DEPTH = 60
"""Nor is one whose parentheses are deeper."""

AGGREGATIONS = frozenset(
    (
        *("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group", "topk", "bottomk", "quantile"),
        *("count_values", "limitk", "limit_ratio"),
    )
)
_LEVELS = (("or",), ("and", "unless"), ("==", "!=", "<=", ">=", "<", ">"), ("+", "-"), ("*", "/", "%", "atan2"))
_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)
      |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
      |(?P<range>\[[^\[\]]*\])
      |(?P<sign>==|!=|>=|<=|=~|!~|[-+*/%^=<>(){},@])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a query; `text` is how it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Selector(Node):
    """`name{matchers}[range]`; `range_s` is None for an instant vector and for a subquery."""

    name: str
    matchers: frozenset[str]
    range_s: float | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function or an aggregation; `grouping` is its `by (…)` or `without (…)`, labels sorted."""

    function: str
    arguments: tuple[Node, ...]
    grouping: str = ""


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Two sides with an operator; `matching` are its words such as `bool` or `on (a)`."""

    operator: str
    left: Node
    right: Node
    matching: str = ""


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """A minus before something."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Opaque(Node):
    """A string, or whatever stands in its place."""


class _Unknown(Exception):
    """This is not understood."""


def parse(query: str) -> Node | None:
    """The query as a tree, or None when it is not understood."""
    if len(query) > MOST_CHARACTERS:
        return None
    try:
        return _Reader(query).whole()
    except (_Unknown, Meaningless):
        return None


class _Reader:
    """Recursive descent by the precedence of operators."""

    def __init__(self, query: str) -> None:
        self._query, self._tokens, self._at, self._depth = query, list(words(query, _TOKEN)), 0, 0

    def whole(self) -> Node:
        node = self._binary(0)
        if self._at != len(self._tokens):
            raise _Unknown
        return node

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str | None = None) -> str:
        if self._at >= len(self._tokens) or (wanted is not None and self._peek() != wanted):
            raise _Unknown
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _since(self, start: int) -> str:
        return self._query[self._tokens[start][2] : self._tokens[self._at - 1][3]]

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._signed()
        start, left = self._at, self._binary(level + 1)
        while self._peek().lower() in _LEVELS[level]:
            operator = self._take().lower()
            matching = self._matching()
            right = self._binary(level + 1)
            left = Binary(self._since(start), operator, left, right, matching)
        return left

    def _matching(self) -> str:
        words = []
        while self._peek().lower() in ("bool", "on", "ignoring", "group_left", "group_right"):
            word = self._take().lower()
            words.append(word + (self._labels() if word != "bool" and self._peek() == "(" else ""))
        return " ".join(words)

    def _labels(self) -> str:
        self._take("(")
        names = []
        while self._peek() != ")":
            names.append(self._take())
        self._take(")")
        return f"({','.join(sorted(name for name in names if name != ','))})"

    def _signed(self) -> Node:
        start = self._at
        if self._peek() in ("-", "+"):
            negative = self._take() == "-"
            inner = self._signed()
            return Negative(self._since(start), inner) if negative else inner
        base = self._postfix()
        if self._peek() == "^":
            self._take()
            return Binary(self._since(start), "^", base, self._signed())
        return base

    def _postfix(self) -> Node:
        start, node = self._at, self._primary()
        while True:
            if self._kind() == "range":
                text = self._take()[1:-1]
                if isinstance(node, Selector) and ":" not in text:
                    node = Selector(self._since(start), node.name, node.matchers, duration_s(text))
            elif self._peek().lower() == "offset":
                self._take()
                if self._peek() == "-":
                    self._take()
                self._take()
                if self._kind() == "name" and self._peek()[0] in "smhdwy":
                    self._take()
            elif self._peek() == "@":
                # What a query says at a fixed instant is no live series.
                raise _Unknown
            else:
                return node

    def _primary(self) -> Node:
        start, kind, text = self._at, self._kind(), self._peek()
        if kind == "number":
            self._take()
            value = float(int(text, 16)) if text.lower().startswith("0x") else float(text)
            return Number(text, value)
        if kind == "string":
            self._take()
            return Opaque(text)
        if text == "(":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise _Unknown
            self._take()
            inner = self._binary(0)
            self._take(")")
            self._depth -= 1
            return inner
        if text == "{":
            return self._selector(start, "")
        if kind != "name":
            raise _Unknown
        self._take()
        if text in AGGREGATIONS and self._peek().lower() in ("by", "without"):
            grouping = self._take().lower() + self._labels()
            return self._call(start, text, grouping)
        if self._peek() == "(":
            return self._call(start, text, "")
        return self._selector(start, text)

    def _call(self, start: int, function: str, grouping: str) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Unknown
        self._take("(")
        arguments = []
        while self._peek() != ")":
            arguments.append(self._binary(0))
            if self._peek() == ",":
                self._take()
            elif self._peek() != ")":
                raise _Unknown
        self._take(")")
        self._depth -= 1
        if function in AGGREGATIONS and not grouping and self._peek().lower() in ("by", "without"):
            grouping = self._take().lower() + self._labels()
        return Call(self._since(start), function, tuple(arguments), grouping)

    def _selector(self, start: int, name: str) -> Node:
        matchers = set()
        if self._peek() == "{":
            self._take()
            while self._peek() != "}":
                label = self._take()
                if self._peek() == ",":
                    raise _Unknown
                matchers.add(label + self._take() + self._take())
                if self._peek() == ",":
                    self._take()
            self._take("}")
        return Selector(self._since(start), name, frozenset(matchers))
