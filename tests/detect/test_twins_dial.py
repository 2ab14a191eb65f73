"""The dial against a plain twin that keeps every alert and reckons each hour anew from all of them."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect import DIAL_LEVELS, Dial, Reviews, Seen, Tolerance, advance_dial
from tocsin.detect.dial import common_level

DAY = 24
STEP_S = 3600.0
LEVELS = DIAL_LEVELS.tolist()


def likely_wrong(sigma, *, auto):
    """One less the confidence: a logistic curve of sigma and step for auto, of sigma's logarithm for named methods."""
    if auto:
        odds = 1.85 + 1.1 * (sigma - 3) - 1.4 * math.log(min(STEP_S, 300) / 60)
        return 1 / (1 + math.exp(odds)) if sigma >= 3 else 1.0
    return 1 / (1 + math.exp(-3.9 + 2.3 * math.log(max(sigma, 3) / 3)))


def level_of(sigma):
    return max([n for n, level in enumerate(LEVELS) if level <= sigma], default=0)


def alerts_of(sigma, odd, auto, merge, start, until):
    """Of one series until a column: what each alert counts as, at its highest sample: (day of that, level, wrong)."""
    found, last = [], None
    for column in range(start, until):
        if not odd[column]:
            continue
        size = abs(sigma[column])
        one = (column // DAY, level_of(size), likely_wrong(size, auto=auto[column]), size)
        if last is None or column - last > merge:
            found.append(one)
        elif size > found[-1][3]:
            found[-1] = one
        last = column
    return [one[:3] for one in found]


def weeks_of(looked, day):
    return sum(columns / DAY / 7 * math.exp(-(day - before) / 28) for before, columns in enumerate(looked))


def rates_of(alerts, looked, said, day, usual):
    """False alerts a week at each level and above, as counted when ``day`` begins, a day e times less in four weeks;
    what is missing of a first week is as ``usual``.
    """
    counted = [0.0] * len(LEVELS)
    for begun, level, wrong in alerts:
        counted[level] += wrong * math.exp(-(day - begun) / 28)
    for sigma, auto, begun, false in said:
        if begun < day:
            counted[level_of(sigma)] += (false - likely_wrong(sigma, auto=auto)) * math.exp(-(day - begun) / 28)
    weeks = weeks_of(looked[:day], day)
    missing = max(1.0 - weeks, 0.0) if any(looked) else 0.0
    above = [sum(max(one, 0.0) for one in counted[n:]) for n in range(len(LEVELS))]
    return [(one + missing * more) / max(weeks, 1.0) for one, more in zip(above, usual, strict=True)]


def usual_of(series, day, merge):
    """False alerts a week of the series that ``auto`` took over in their first week, on a day before this one."""
    counted, weeks = [0.0] * len(LEVELS), 0.0
    for one in series:
        end = one.taken_over
        if end is None or end // DAY >= day or weeks_of(one.before()[:-1], end // DAY) >= 1.0:
            continue
        weeks += weeks_of(one.before(), day)
        for begun, level, wrong in alerts_of(one.sigma, one.odd, one.auto, merge, 0, end):
            counted[level] += wrong * math.exp(-(day - begun) / 28)
    return [sum(counted[n:]) / max(weeks, 1 / 7) for n in range(len(LEVELS))]


def chosen(rates, tolerance):
    """The lowest level of each series that keeps to its share, raised together until all keep to the total."""
    own = []
    for row in rates:
        fits = [n for n, rate in enumerate(row) if rate <= tolerance.per_series + 1e-9]
        own.append(fits[0] if fits else len(LEVELS) - 1)
    for floor in range(len(LEVELS)):
        levels = [max(one, floor) for one in own]
        if sum(row[n] for row, n in zip(rates, levels, strict=True)) <= tolerance.total + 1e-9:
            return [LEVELS[n] for n in levels]
    return [LEVELS[-1]] * len(rates)


class Series:
    """What came of one, and what people ``said``; of what came before ``auto`` took it over nothing counts after."""

    def __init__(self, sigma, odd, auto, said):
        self.sigma, self.odd, self.auto, self.said = sigma.tolist(), odd, auto, said
        self.taken_over = int(auto.argmax()) if auto.any() else None

    def start(self, column):
        return 0 if self.taken_over is None or column <= self.taken_over else self.taken_over

    def alerts(self, column, merge):
        return alerts_of(self.sigma, self.odd, self.auto, merge, self.start(column), column)

    def looked(self, column):
        seen = [0] * (column // DAY + 1)
        for at in range(self.start(column), column):
            seen[at // DAY] += not math.isnan(self.sigma[at])
        return seen

    def before(self):
        """Columns looked at on each day until ``auto`` took over, that of it included."""
        seen = [0] * (self.taken_over // DAY + 1)
        for at in range(self.taken_over):
            seen[at // DAY] += not math.isnan(self.sigma[at])
        return seen

    def rates(self, column, merge, usual):
        said = self.said
        if self.taken_over is not None and column > self.taken_over:
            said = [one for one in said if one[1] or one[2] > self.taken_over // DAY]
        # Nothing is dropped here, so that of young series that ``auto`` judges nothing is known.
        auto = self.taken_over is not None and column > self.taken_over
        like = [0.0] * len(LEVELS) if auto else usual
        return rates_of(self.alerts(column, merge), self.looked(column), said, column // DAY, like)


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.02, 3.0),
    st.floats(0.1, 8.0),
    st.integers(1, 30),
    st.sampled_from([0.0, 3.5, 9.0]),
)
def test_the_thresholds_are_those_of_the_plain_twin(seed, per_series, total, merge, least):
    rng = np.random.default_rng(seed)
    days, rows = 9, 3
    sigma = np.clip(rng.standard_t(rng.integers(1, 4), (rows, days * DAY)), -38, 38)
    sigma[rng.random(sigma.shape) < 0.1] = np.nan
    sigma[:, int(rng.integers(0, 6)) * DAY :][:, : 3 * DAY] = np.nan
    sigma[0, rng.integers(0, days * DAY, 5)] = rng.choice([3.0, 3.25, 38.0, -38.0, 6.0], 5)
    odd = (np.abs(np.nan_to_num(sigma)) >= 3) & (rng.random(sigma.shape) < 0.9)
    auto = rng.random(sigma.shape) < 0.7
    auto &= np.arange(days * DAY) >= rng.integers(0, rng.choice([3, 2 * DAY, days * DAY]), (rows, 1))
    tolerance = Tolerance(per_series, total, merge, least)
    many = int(rng.integers(0, 6))
    reviews = Reviews(
        rng.integers(0, rows, many),
        rng.uniform(3, 8, many),
        rng.random(many) < 0.5,
        rng.integers(0, days, many),
        rng.random(many) < 0.5,
    )
    said = list(zip(*(part.tolist() for part in reviews), strict=True))
    _, entry = advance_dial(
        Dial.fresh(rows, STEP_S), np.arange(days * DAY) * STEP_S, Seen(sigma, odd, auto), tolerance, reviews
    )
    series = [
        Series(sigma[row], odd[row], auto[row], [one[1:] for one in said if one[0] == row]) for row in range(rows)
    ]
    want = [0.0] * rows
    for column in range(days * DAY):
        most = tolerance if column % DAY == 0 else tolerance._replace(per_series=max(1.0, per_series))
        usual = usual_of(series, column // DAY, merge)
        levels = chosen([one.rates(column, merge, usual) for one in series], most)
        first = next((n for n, rate in enumerate(usual) if rate <= max(1.0, per_series) + 1e-9), len(LEVELS) - 1)
        for row, one in enumerate(series):
            young = not any(one.looked(column)[: column // DAY]) and one.alerts(column, merge)
            if column and (column % DAY == 0 or young):
                want[row] = levels[row]
            begun = one.taken_over is not None and column >= one.taken_over
            if column == one.taken_over or (column and not any(one.looked(column)) and begun):
                want[row] = 0.0
            elif not any(one.looked(column)):
                want[row] = LEVELS[first] if first else 0.0
        assert entry[:, column].tolist() == [max(one, least) for one in want], column


def test_an_alert_that_rises_after_midnight_counts_once_at_its_highest_level():
    sigma = np.zeros((1, 4 * DAY))
    sigma[0, DAY - 2 : DAY + 2] = 3.1, 3.2, 4.1, 3.3
    dial, _ = advance_dial(
        Dial.fresh(1, STEP_S),
        np.arange(4 * DAY) * STEP_S,
        Seen(sigma, np.abs(sigma) >= 3, np.ones(sigma.shape, bool)),
        Tolerance(0.35, 100.0, 2),
    )
    want = np.zeros(len(LEVELS))
    want[LEVELS.index(4.0)] = likely_wrong(4.1, auto=True) * math.exp(-2 / 28)
    assert np.allclose(dial.false[0], want, rtol=1e-12, atol=1e-15)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.floats(0.0, 20.0))
def test_the_common_level_is_the_first_that_keeps_to_the_total(seed, rows, total):
    rng = np.random.default_rng(seed)
    rates = np.sort(rng.random((rows, len(LEVELS))) * 3, axis=1)[:, ::-1]
    own = rng.integers(0, len(LEVELS), rows)
    floor = common_level(rates, own, total)
    sums = [sum(rates[row, max(int(own[row]), n)] for row in range(rows)) for n in range(len(LEVELS))]
    assert all(one > total for one in sums[:floor])
    assert sums[floor] <= total + 1e-9 or floor == len(LEVELS) - 1
