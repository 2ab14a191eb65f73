"""As much of LogQL as it takes to refuse what no server can take, and to see where a window without lines is zero."""

from dataclasses import dataclass
from functools import lru_cache

from tocsin.domain.errors import Invalid
from tocsin.domain.logql_tree import Binary, Call, Lines, LinesWithin, Node, Number, read

COUNTS = frozenset(("rate", "count_over_time", "bytes_rate", "bytes_over_time"))
"""Range aggregations that are zero where there is no line."""

_UNWRAPPED = frozenset(("quantile_over_time", "avg_over_time", "sum_over_time", "stddev_over_time", "stdvar_over_time"))
_KEEP_ZERO = frozenset(("sum", "avg", "min", "max"))
_AGGREGATIONS = _KEEP_ZERO | {"count", "stddev", "stdvar", "topk", "bottomk", "sort", "sort_desc", "approx_topk"}


@dataclass(frozen=True, slots=True)
class Counting:
    """A query whose values are numbers of lines: of which streams, over which window. `whole`: in one series."""

    selector: str
    range_s: float
    offset: str
    whole: bool


@lru_cache(maxsize=4096)
def parse(query: str) -> Node:
    """The query as a tree; raises `Invalid("query", why)` for what no server can take."""
    node = read(query)
    _check(node)
    return node


def check_metric(query: str) -> None:
    """Raise `Invalid("query", why)` unless it is a query whose answer is numbers."""
    if isinstance(parse(query), Lines):
        raise Invalid(
            "query",
            "is a log query, whose answer is lines: say with log_signal what of them is watched (volume, error_ratio, "
            "templates), or count them, as in sum(count_over_time({…}[1m]))",
        )


def check_lines(query: str) -> Lines:
    """The query as a log query; raises `Invalid("query", why)` when its answer is not lines."""
    node = parse(query)
    if not isinstance(node, Lines):
        raise Invalid(
            "query",
            "must be a log query such as {app=…} |= …, whose answer is lines, not numbers: log_signal watches lines",
        )
    return node


@lru_cache(maxsize=4096)
def counting(query: str) -> Counting | None:
    """What the query counts, where no line means zero; None for every other query."""
    node, outermost = parse(query), None
    while True:
        if isinstance(node, Binary):
            inner = _scaled(node)
        elif isinstance(node, Call) and node.function in _KEEP_ZERO:
            outermost = outermost or node
            inner = node.arguments[-1]
        else:
            break
        if inner is None:
            return None
        node = inner
    if not isinstance(node, Call) or node.function not in COUNTS:
        return None
    within = node.arguments[-1]
    if not isinstance(within, LinesWithin) or within.unwrapped:
        return None
    whole = outermost is not None and not outermost.by and not outermost.without
    return Counting(within.lines.selector, within.range_s, within.offset, whole)


def lines_within(query: str, range_s: float) -> str:
    """How many lines of a log query there are in a window before each instant; raises `Invalid` for other queries."""
    return f"sum(count_over_time({check_lines(query).text} [{duration(range_s)}]))"


def duration(seconds: float) -> str:
    """Seconds as LogQL writes them, to the microsecond."""
    micros = round(seconds * 1e6)
    for unit, size in (("s", 1_000_000), ("ms", 1000), ("us", 1)):
        if micros % size == 0:
            return f"{micros // size}{unit}"
    raise AssertionError("every whole number is a multiple of one")


def _scaled(node: Binary) -> Node | None:
    """What a query multiplies by a number; zero stays zero."""
    if node.operator in ("*", "/") and isinstance(node.right, Number) and node.right.value:
        return node.left
    return node.right if node.operator == "*" and isinstance(node.left, Number) else None


def _check(node: Node, inside: str = "") -> None:
    """What the grammar does not tell: lines where numbers must be, and the other way round."""
    if isinstance(node, Binary):
        _check(node.left, node.operator)
        _check(node.right, node.operator)
    elif isinstance(node, Call):
        for argument in node.arguments:
            _check_argument(node, argument)
    elif isinstance(node, LinesWithin) or (isinstance(node, Lines) and inside):
        what = f"{inside} needs numbers" if inside else "a range needs a function"
        raise Invalid("query", f"{what}, not lines: count them, as in count_over_time({{…}}[1m])")


def _check_argument(call: Call, argument: Node) -> None:
    if isinstance(argument, Lines):
        if call.function in _AGGREGATIONS:
            _check(argument, call.function)
        raise Invalid("query", f"{call.function} needs a range behind its log query, such as [1m]")
    if not isinstance(argument, LinesWithin) or call.function in _AGGREGATIONS:
        _check(argument, call.function)
    elif call.function in _UNWRAPPED and not argument.unwrapped:
        raise Invalid("query", f"{call.function} needs a number out of each line: … | unwrap label [1m]")
