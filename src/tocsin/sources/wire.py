"""The Prometheus wire format: the bytes of an answer to a `Frame`, or to the error that says what is wrong with it.

Numbers dominate an answer, so they never become Python objects one by one: the brackets and quotes of
`[[1700000000,"0.5"],…]` are deleted, what remains is a list of doubles, and it goes into the array in batches.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.domain.errors import LimitExceeded
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.sources.wire_errors import bad_answer, decode_error, said, when

Buffer = bytes | bytearray

BATCH_BYTES = 64 * 1024
"""So much text is turned into numbers at once: enough that numpy's fixed costs vanish, little beside the array."""
GRID_TOLERANCE_S = 1e-3
MAX_NOTES = 20
PARTIAL = "the server says that not all of its storage has answered"
_OF_THE_QUERY = "PromQL "
"""So begin annotations of Prometheus, which speak of the query; any other warning is about data that it could not read
(Thanos, Mimir, remote reads).
"""
MAX_SERIES = 20_000
MAX_SAMPLES = 20_000_000


class WireSeries(msgspec.Struct):
    """One series as a server writes it: a label object, and samples `[[seconds, "number"], …]`, not looked at yet."""

    metric: msgspec.Raw
    values: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    histograms: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Matrix(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType")
    result: list[WireSeries]


class _Answer(msgspec.Struct):
    status: str
    data: _Matrix
    warnings: list[str] | None = None
    infos: list[str] | None = None
    is_partial: bool = msgspec.field(name="isPartial", default=False)


_ANSWER = msgspec.json.Decoder(_Answer)
_NUMBERS = msgspec.json.Decoder(list[float])
_NUMBERS_WITH_GAPS = msgspec.json.Decoder(list[float | None])
_METRIC = msgspec.json.Decoder(dict[str, str])
_ODD = ((b"NaN", "nan"), (b"-Inf", "-inf"), (b"+Inf", "+inf"), (b"Inf", "+inf"))


_Batch = tuple[NDArray[np.int64], NDArray[np.int64], bytes]


class LabelCache:
    """`Labels` by the bytes they were decoded from, so that a series seen before costs one look-up.

    Two generations of at most `capacity` each: what was not used for a whole generation is forgotten.
    """

    def __init__(self, capacity: int = 2 * MAX_SERIES) -> None:
        self._capacity = capacity
        self._young: dict[bytes, Labels] = {}
        self._old: dict[bytes, Labels] = {}

    def labels(self, metric: bytes) -> Labels:
        """The labels of a raw JSON object; raises SourceError when it is none of strings."""
        found = self._young.get(metric)
        if found is not None:
            return found
        found = self._old.get(metric) or _labels(metric)
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[metric] = found
        return found


def decode_matrix(
    body: Buffer,
    window: Window,
    *,
    cache: LabelCache | None = None,
    max_series: int = MAX_SERIES,
    max_samples: int = MAX_SAMPLES,
) -> Frame:
    """The answer to a range query as a frame on the window's grid, series in the server's order.

    NaN and infinities become gaps, counted in `dropped`. Raises SourceError for anything that is not such an answer
    (a sample off the grid by more than 1 ms, twice, or out of order; a label set twice; native histograms), and
    LimitExceeded for more than `max_series` series or `max_samples` values (series times instants).
    """
    try:
        answer = _ANSWER.decode(body)
    except msgspec.MsgspecError:
        raise decode_error(200, "application/json", body) from None
    if answer.status != "success" or answer.data.result_type != "matrix":
        raise decode_error(200, "application/json", body)
    notes = (*(answer.warnings or ()), *(answer.infos or ()))
    return matrix_frame(
        answer.data.result,
        window,
        notes=(PARTIAL,) if answer.is_partial and not notes else notes,
        partial=answer.is_partial or lacks_data(answer.warnings or ()),
        size_bytes=len(body),
        cache=cache,
        max_series=max_series,
        max_samples=max_samples,
    )


def matrix_frame(
    series: Sequence[WireSeries],
    window: Window,
    *,
    notes: Sequence[str] = (),
    partial: bool = False,
    size_bytes: int = 0,
    cache: LabelCache | None = None,
    max_series: int = MAX_SERIES,
    max_samples: int = MAX_SAMPLES,
) -> Frame:
    """Series as `decode_matrix` finds them in an answer, as a frame; `notes` is what the server said beside them."""
    grid = window.grid()
    if len(series) > max_series:
        raise LimitExceeded(
            f"the query gives {len(series):,} series, more than {max_series:,}; aggregate it, or raise max_series"
        )
    if len(series) * len(grid) > max_samples:
        raise LimitExceeded(
            f"the query gives {len(series):,} series of {len(grid):,} instants, more than {max_samples:,} samples; "
            "aggregate it, ask for a shorter window or a longer step, or raise max_samples"
        )
    labels = _all_labels(series, cache or LabelCache())
    values: Floats = np.full((len(series), len(grid)), np.nan)
    dropped = dict.fromkeys(("nan", "+inf", "-inf"), 0)
    placed = _Placement(values, labels, window, grid)
    for rows, counts, text in _batches(series, labels):
        placed.put(rows, counts, _numbers(text, dropped))
    told = tuple(said(note) for note in notes[:MAX_NOTES])
    counted = {kind: count for kind, count in dropped.items() if count}
    return Frame(grid, values, labels, told, counted, size_bytes=size_bytes, partial=partial)


def lacks_data(warnings: Sequence[str]) -> bool:
    """Whether the warnings of a server say that there were data which it could not read."""
    return any(not each.startswith(_OF_THE_QUERY) for each in warnings)


def _labels(metric: bytes) -> Labels:
    try:
        return Labels(_METRIC.decode(metric))
    except msgspec.MsgspecError:
        raise bad_answer("a series has labels that are not text") from None


def _all_labels(series: Sequence[WireSeries], cache: LabelCache) -> tuple[Labels, ...]:
    look_up = cache.labels
    labels = tuple([look_up(bytes(each.metric)) for each in series])
    if len(set(labels)) != len(labels):
        seen: set[Labels] = set()
        twice = next(each for each in labels if each in seen or seen.add(each))  # type: ignore[func-returns-value]
        raise bad_answer(f"the series {said(str(twice))} comes twice")
    return labels


def _batches(series: Sequence[WireSeries], labels: Sequence[Labels]) -> Iterator[_Batch]:
    """Rows, how many samples each has, and their bare numbers `[t,v,t,v,…]` as JSON."""
    rows: list[int] = []
    counts: list[int] = []
    parts: list[bytes] = []
    size = 0
    for row, each in enumerate(series):
        if each.histograms is not msgspec.UNSET:
            raise bad_answer(
                f"the series {said(str(labels[row]))} is a native histogram; take a number from it, "
                "as with histogram_quantile() or histogram_count()"
            )
        if each.values is msgspec.UNSET:
            raise bad_answer(f"the series {said(str(labels[row]))} has no values")
        count, bare = _bare(bytes(each.values))
        if not count:
            continue
        rows.append(row)
        counts.append(count)
        parts.append(bare)
        size += len(bare)
        if size >= BATCH_BYTES:
            yield np.array(rows), np.array(counts), b"[%b]" % b",".join(parts)
            rows, counts, parts, size = [], [], [], 0
    if rows:
        yield np.array(rows), np.array(counts), b"[%b]" % b",".join(parts)


def _bare(values: bytes) -> tuple[int, bytes]:
    """How many samples `[[t,"v"],…]` has, and its text without brackets and quotes.

    Four bytes a sample and two more are deleted from it, so their number tells the samples. As it is JSON already, and
    the numbers must be twice as many and the instants ascend on the grid (both checked where the numbers are), no
    other shape passes.
    """
    bare = values.translate(None, b'[]"')
    count, rest = divmod(len(values) - len(bare) - 2, 4)
    if rest == 0 and b" " not in bare:
        return count, bare
    # Spaces, as a proxy may add, are the only other way to write it; anything else is refused after that.
    try:
        tight = bytes(msgspec.json.format(values, indent=-1))
    except msgspec.MsgspecError:
        raise bad_answer("the values are no JSON") from None
    bare = tight.translate(None, b'[]"')
    count, rest = divmod(len(tight) - len(bare) - 2, 4)
    if rest or b" " in bare:
        raise bad_answer('the values are not pairs [seconds, "number"]')
    return count, bare


def _numbers(text: bytes, dropped: dict[str, int]) -> Floats:
    try:
        numbers = _NUMBERS.decode(text)
        return np.fromiter(numbers, np.float64, len(numbers))
    except msgspec.MsgspecError:
        pass
    # The rarer answer: some values are NaN or infinite, which JSON has no number for.
    for word, kind in _ODD:
        dropped[kind] += text.count(word)
        text = text.replace(word, b"null")
    try:
        return np.array(_NUMBERS_WITH_GAPS.decode(text), dtype=np.float64)
    except msgspec.MsgspecError:
        raise bad_answer("a value is no number") from None


class _Placement:
    """Puts samples at their place on the grid, and refuses those that have none."""

    def __init__(self, values: Floats, labels: Sequence[Labels], window: Window, grid: Floats) -> None:
        self._values, self._flat = values, values.reshape(-1)
        self._grid, self._instants = grid, values.shape[1]
        self._labels = labels
        self._start, self._step = window.start.timestamp(), window.step_s

    def put(self, rows: NDArray[np.int64], counts: NDArray[np.int64], numbers: Floats) -> None:
        """Samples of several series: `numbers` (2N,) are instants and values in turn, `counts` sums to N."""
        if len(numbers) != 2 * int(counts.sum()):
            raise bad_answer('the values are not pairs [seconds, "number"]')
        at = numbers[0::2]
        if len(at) == len(rows) * self._instants and bool((at.reshape(len(rows), -1) == self._grid).all()):
            # Most series of most answers: a sample at every instant.
            self._values[rows] = numbers[1::2].reshape(len(rows), -1)
            return
        row = np.repeat(rows, counts)
        index = np.rint((at - self._start) / self._step)
        fits = (np.abs(index * self._step + self._start - at) <= GRID_TOLERANCE_S) & (index >= 0)
        fits &= index < self._instants
        if not fits.all():
            wrong = int(np.argmin(fits))
            raise bad_answer(
                f"the series {self._name(row[wrong])} has a sample at {when(at[wrong])}, which is not on the grid "
                f"of {self._step:g} s from {when(self._start)}"
            )
        place = row * self._instants + index.astype(np.int64)
        back = np.diff(place) <= 0
        if back.any():
            wrong = int(np.argmax(back)) + 1
            how = "twice" if place[wrong] == place[wrong - 1] else "out of order"
            raise bad_answer(f"the series {self._name(row[wrong])} has the sample at {when(at[wrong])} {how}")
        self._flat[place] = numbers[1::2]

    def _name(self, row: int) -> str:
        return said(str(self._labels[int(row)]))
