"""What the values of a query are and what is possible: by the conventions of metric names, only where that is sure."""

from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite

from tocsin.domain.log_signal import LogSignal
from tocsin.domain.promql import Binary, Call, Negative, Node, Number, Selector, parse

UNITS = ("percent", "ratio", "bytes", "seconds", "count")
"""What a target's `unit` may say; or `none`: infer nothing."""

_OF_UNIT = {"percent": (0.0, 100.0), "ratio": (0.0, 1.0)}


@dataclass(frozen=True, slots=True)
class Nature:
    """The unit of the values (one of `UNITS`, `bytes/s` or ""), what is possible, and what that was read off."""

    unit: str = ""
    lower_bound: float | None = None
    upper_bound: float | None = None
    origin: str | None = None
    """`unit`: the target says so; `query`: its metric names do; None: nothing is known."""


@dataclass(frozen=True, slots=True)
class _Range:
    """An interval of possible values with their unit."""

    unit: str = ""
    low: float = -inf
    high: float = inf


_ANYTHING, _POSITIVE = _Range(), _Range("", 0.0)

_SUFFIXES: tuple[tuple[str, _Range], ...] = (
    ("_ratio", _Range("ratio", 0.0, 1.0)),
    ("_percent", _Range("percent", 0.0, 100.0)),
    ("_percentage", _Range("percent", 0.0, 100.0)),
    ("_timestamp_seconds", _POSITIVE),
    ("_bytes_per_second", _Range("bytes/s", 0.0)),
    ("_per_second", _POSITIVE),
    *((f"_bytes{end}", _Range("bytes", 0.0)) for end in ("", "_total", "_sum", "_bucket")),
    *((f"_seconds{end}", _Range("seconds", 0.0)) for end in ("", "_total", "_sum", "_bucket")),
    ("_total", _Range("count", 0.0)),
    ("_count", _Range("count", 0.0)),
    ("_bucket", _Range("count", 0.0)),
)
"""The conventions of Prometheus: https://prometheus.io/docs/practices/naming/."""

_NAMES = {
    "up": _Range("", 0.0, 1.0),
    "host_load1": _POSITIVE,
    "host_load1_per_core": _POSITIVE,
    "host_process_cpu_cores": _POSITIVE,
}
_SIGNED = ("offset", "skew", "drift", "delta", "diff", "change", "remaining", "until", "adjust", "correction")
"""A name with such a word may well be negative, whatever its unit."""

_KEPT = frozenset(
    (
        *("avg", "min", "max", "topk", "bottomk", "limitk", "limit_ratio", "quantile"),
        *("avg_over_time", "min_over_time", "max_over_time", "last_over_time", "quantile_over_time"),
        *("sort", "sort_desc", "sort_by_label", "scalar", "vector"),
    )
)
"""Functions whose values are among those of their argument."""

_COUNTS = frozenset(("count", "count_over_time", "changes", "resets", "group"))


@lru_cache(maxsize=8192)
def nature_of(query: str, unit: str = "") -> Nature:
    """What is known of the values of a query; `unit` is what its target says, "" when it says nothing."""
    if unit == "none":
        return Nature()
    if unit in UNITS:
        known = _OF_UNIT.get(unit)
        return Nature(unit, 0.0, None, "unit") if known is None else Nature(unit, *known, "unit")
    node = parse(query)
    found = _ANYTHING if node is None else _range_of(node)
    shown = found.unit if found.unit in (*UNITS, "bytes/s") else ""
    lower, upper = (bound if isfinite(bound) else None for bound in (found.low, found.high))
    something = bool(shown) or lower is not None or upper is not None
    return Nature(shown, lower, upper, "query" if something else None)


def nature_of_signal(signal: LogSignal, unit: str = "") -> Nature:
    """What is known of what is watched of a log query."""
    if unit:
        return nature_of("", unit)
    if signal is LogSignal.ERROR_RATIO:
        return Nature("ratio", 0.0, 1.0, "query")
    return Nature("count", 0.0, None, "query")


def _range_of(node: Node) -> _Range:
    if isinstance(node, Number):
        return _Range("", node.value, node.value)
    if isinstance(node, Selector):
        return _of_name(node.name)
    if isinstance(node, Negative):
        inner = _range_of(node.inner)
        return _Range(inner.unit, -inner.high, -inner.low)
    if isinstance(node, Call):
        return _of_call(node)
    return _of_binary(node) if isinstance(node, Binary) else _ANYTHING


def _of_name(name: str) -> _Range:
    if name in _NAMES:
        return _NAMES[name]
    for suffix, found in _SUFFIXES:
        if name.endswith(suffix):
            counted = suffix.endswith(("_total", "_count", "_bucket"))
            doubtful = not counted and any(word in name.split("_") for word in _SIGNED)
            return _Range(found.unit) if doubtful else found
    return _ANYTHING


def _of_call(node: Call) -> _Range:
    name, arguments = node.function, [_range_of(each) for each in node.arguments]
    subject = arguments[-1] if arguments else _ANYTHING
    if name in ("rate", "irate"):
        return _Range(f"{subject.unit}/s", 0.0)
    if name == "increase":
        return _Range(subject.unit, 0.0)
    if name == "histogram_quantile":
        bucket = _bucket(node.arguments[-1]) if node.arguments else _ANYTHING
        return bucket if bucket.unit in ("seconds", "bytes") else _ANYTHING
    if name in ("sum", "sum_over_time"):
        return _Range("" if subject.unit in ("ratio", "percent") else subject.unit, 0.0 if subject.low >= 0 else -inf)
    if name in ("label_replace", "label_join"):
        return arguments[0] if arguments else _ANYTHING
    if name in _KEPT:
        return subject
    if name in _COUNTS:
        return _Range("count", 0.0)
    if name in ("stddev", "stddev_over_time"):
        return _Range(subject.unit, 0.0)
    if name == "abs":
        return _Range(subject.unit, max(0.0, subject.low), max(abs(subject.low), abs(subject.high)))
    return _clamped(name, arguments)


def _clamped(name: str, arguments: list[_Range]) -> _Range:
    if name in ("round", "ceil", "floor") and arguments:
        return arguments[0] if arguments[0].high in (1.0, 100.0, inf) else _Range(arguments[0].unit, arguments[0].low)
    if name == "clamp_min" and len(arguments) == 2:
        return _Range(arguments[0].unit, max(arguments[0].low, arguments[1].low), arguments[0].high)
    if name == "clamp_max" and len(arguments) == 2:
        return _Range(arguments[0].unit, arguments[0].low, min(arguments[0].high, arguments[1].high))
    if name == "clamp" and len(arguments) == 3:
        return _Range(arguments[0].unit, arguments[1].low, arguments[2].high)
    return _ANYTHING


def _bucket(node: Node) -> _Range:
    """What the buckets under a histogram's quantile count: the unit in the name of the metric."""
    while isinstance(node, Call) and node.arguments:
        node = node.arguments[-1]
    return _of_name(node.name) if isinstance(node, Selector) else _ANYTHING


def _of_binary(node: Binary) -> _Range:
    left, right = _range_of(node.left), _range_of(node.right)
    if node.operator in ("==", "!=", "<", ">", "<=", ">="):
        return _Range("", 0.0, 1.0) if "bool" in node.matching.split() else left
    if node.operator in ("and", "unless"):
        return left
    if node.operator == "or":
        unit = left.unit if left.unit == right.unit or right.low == right.high == 0 else ""
        return _Range(unit, min(left.low, right.low), max(left.high, right.high))
    if node.operator == "/":
        return _quotient(node, left, right)
    if node.operator == "+":
        return _Range(_common(left, right), left.low + right.low, left.high + right.high)
    if node.operator == "-":
        return _Range(_common(left, right), left.low - right.high, left.high - right.low)
    return _times(left, right) if node.operator == "*" else _ANYTHING


def _quotient(node: Binary, left: _Range, right: _Range) -> _Range:
    if is_share(node):
        return _Range("ratio", 0.0, 1.0)
    product = node.left
    if isinstance(product, Binary) and product.operator == "*" and isinstance(product.left, Number):
        # 100 * a / b is read from the left: (100 * a) / b.
        inner = Binary(node.text, "/", product.right, node.right, node.matching)
        return _times(_range_of(product.left), _range_of(inner))
    return _by(left, right)


def _common(left: _Range, right: _Range) -> str:
    """The unit of a sum or difference: a plain number takes that of the other side."""
    if left.low == left.high:
        return right.unit
    return left.unit if right.low == right.high or left.unit == right.unit else ""


def _times(left: _Range, right: _Range) -> _Range:
    if right.low != right.high:
        left, right = right, left
    if right.low == right.high:
        factor = right.low
        if factor == 0:
            return _Range(left.unit, 0.0, 0.0)
        ends = sorted((left.low * factor, left.high * factor))
        unit = left.unit if factor == 1 else "percent" if (left.unit, factor) == ("ratio", 100.0) else ""
        return _Range(unit, ends[0], ends[1])
    return _POSITIVE if left.low >= 0 and right.low >= 0 else _ANYTHING


def _by(left: _Range, right: _Range) -> _Range:
    if right.low == right.high != 0:
        if (left.unit, right.low) == ("percent", 100.0):
            return _Range("ratio", left.low / 100.0, left.high / 100.0)
        return _times(left, _Range("", 1.0 / right.low, 1.0 / right.low)) if right.low != 1 else left
    unit = left.unit.removesuffix("/s") if right.unit in ("count/s", "/s") and left.unit.endswith("/s") else ""
    unit = left.unit if right.unit == "count" and left.unit in ("seconds", "bytes") else unit
    unit = "" if unit == "count" else unit
    return _Range(unit, 0.0) if left.low >= 0 and right.low >= 0 else _ANYTHING


def is_share(node: Binary) -> bool:
    """Whether it divides a part of some events by all of them: the same counter, on the left with more matchers."""
    part, whole = counted(node.left), counted(node.right)
    if part is None or whole is None or not part.same_but_matchers(whole):
        return False
    return part.counter.matchers >= whole.counter.matchers


@dataclass(frozen=True, slots=True)
class Counted:
    """`sum by (…) (rate(counter[5m]))`, or the same without the sum; `text` is how it was written."""

    aggregation: str
    grouping: str
    function: str
    counter: Selector
    window_s: float
    text: str

    def same_but_matchers(self, other: "Counted") -> bool:
        """Whether both count events of one counter over one window in one grouping."""
        mine = (self.aggregation, self.grouping, self.function, self.counter.name, self.window_s)
        theirs = (other.aggregation, other.grouping, other.function, other.counter.name, other.window_s)
        return mine == theirs and bool(self.counter.name)


def counted(node: Node | None) -> Counted | None:
    """What the part of a query counts; None for another form.

    What a comparison filters and what `or 0 * …` fills in stay what they are.
    """
    while isinstance(node, Binary):
        filled = node.operator == "or" and _is_zero(node.right)
        filters = node.operator in ("<", ">", "<=", ">=", "!=") and "bool" not in node.matching.split()
        if not filled and not filters:
            return None
        node = node.left
    if node is None:
        return None
    text, outer, grouping = node.text, "", ""
    if isinstance(node, Call) and node.function == "sum" and len(node.arguments) == 1:
        outer, grouping, node = "sum", node.grouping, node.arguments[0]
    if not isinstance(node, Call) or node.function not in ("rate", "increase") or len(node.arguments) != 1:
        return None
    inner = node.arguments[0]
    if not isinstance(inner, Selector) or inner.range_s is None:
        return None
    return Counted(outer, grouping, node.function, inner, inner.range_s, text)


def _is_zero(node: Node) -> bool:
    found = _range_of(node)
    return found.low == found.high == 0
