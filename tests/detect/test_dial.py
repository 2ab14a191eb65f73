"""The dial: what is tolerated is kept to, nothing of it depends on the parts in which samples come."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect import DIAL_LEVELS, Dial, Reviews, Seen, Tolerance, advance_dial
from tocsin.detect.calibrate import calibrated_confidence, likely_real
from tocsin.detect.dial import thresholds

DAY = 24
STEP_S = 3600.0


def walk(
    sigma: np.ndarray, tolerance: Tolerance, parts: list[int] | None = None, auto: np.ndarray | None = None
) -> tuple[Dial, np.ndarray]:
    times = np.arange(sigma.shape[1]) * STEP_S
    seen = Seen(sigma, np.abs(np.nan_to_num(sigma)) >= 3, np.ones(sigma.shape, bool) if auto is None else auto)
    dial, entries = Dial.fresh(len(sigma), STEP_S), []
    for start, stop in pairwise([0, *(parts or []), sigma.shape[1]]):
        here = Seen(*(part[:, start:stop] for part in seen))
        dial, entry = advance_dial(dial, times[start:stop], here, tolerance)
        entries.append(entry)
    return dial, np.concatenate(entries, axis=1)


def bursts(days: int, sigma: float, every: int = 1) -> np.ndarray:
    values = np.zeros((1, days * DAY))
    values[0, 5 :: every * DAY] = sigma
    return values


def test_a_series_that_cries_every_day_is_told_from_higher_up() -> None:
    tolerance = Tolerance(per_series=0.35, total=100.0, merge=2)
    dial, entry = walk(bursts(21, 3.1), tolerance)
    assert entry[0, 0] == 0.0, "nothing is known on the first day"
    # 7 alerts a week that are real with 42 %: 4 false ones.
    assert dial.rates()[0, 0] == pytest.approx(7 * (1 - calibrated_confidence(3.1, STEP_S)), rel=0.1)
    assert entry[0, -1] == 3.25, "just above what it cries with"


def test_alerts_that_are_surely_real_do_not_raise_it() -> None:
    dial, entry = walk(bursts(28, 9.0, every=7), Tolerance(0.35, 100.0, 2))
    assert entry.max() <= DIAL_LEVELS[0]
    assert dial.rates()[0, 0] < 0.02


def test_named_methods_count_as_the_poor_witnesses_they_are() -> None:
    assert likely_real(4.0, 60.0, auto=False) < 0.05 < 0.8 < likely_real(4.0, 60.0, auto=True)
    assert likely_real(38.0, 60.0, auto=False) == pytest.approx(0.87, abs=0.01)


def test_an_alert_is_less_likely_real_where_one_sample_may_speak_alone() -> None:
    chances = [calibrated_confidence(3.5, step_s) for step_s in (1.0, 60.0, 120.0, 300.0, STEP_S)]
    assert chances[0] == chances[1] > chances[2] > chances[3] == chances[4] > 0.5
    assert calibrated_confidence(2.9, 60.0) == 0.0


def test_anomalies_near_each_other_are_one_alert_at_its_peak() -> None:
    values = np.zeros((1, 2 * DAY))
    values[0, [3, 4, 6]] = 3.1, 4.1, 3.5
    dial, _ = walk(values, Tolerance(0.35, 100.0, merge=2))
    fading = np.exp(-1 / 28)
    assert dial.false.sum() == pytest.approx((1 - calibrated_confidence(4.1, STEP_S)) * fading)
    assert dial.false[0, np.searchsorted(DIAL_LEVELS, 4.1) - 1] > 0
    apart, _ = walk(values, Tolerance(0.35, 100.0, merge=1))
    assert apart.false.sum() == pytest.approx(
        (2 - calibrated_confidence(4.1, STEP_S) - calibrated_confidence(3.5, STEP_S)) * fading
    )


def test_a_total_raises_all_series_together_and_only_as_far_as_it_takes() -> None:
    rates = np.zeros((10, len(DIAL_LEVELS)))
    rates[:, :2] = 0.3
    rates[:, 2:4] = 0.1
    own = thresholds(rates, Tolerance(per_series=0.35, total=100.0, merge=1))
    assert (own == DIAL_LEVELS[0]).all()
    together = thresholds(rates, Tolerance(per_series=0.35, total=1.0, merge=1))
    assert (together == DIAL_LEVELS[2]).all()
    assert rates[:, 2].sum() <= 1.0 < rates[:, 1].sum()


def test_where_no_threshold_is_high_enough_the_highest_is_taken() -> None:
    rates = np.ones((1, len(DIAL_LEVELS)))
    assert thresholds(rates, Tolerance(0.35, 100.0, 1))[0] == DIAL_LEVELS[-1]


def test_old_alerts_fade_and_the_threshold_comes_down() -> None:
    noisy = bursts(14, 3.1)
    quiet = np.zeros((1, 90 * DAY))
    _, entry = walk(np.concatenate([noisy, quiet], axis=1), Tolerance(0.35, 100.0, 2))
    assert entry[0, 14 * DAY] > 3.0
    assert entry[0, -1] == 3.0


def test_a_gap_is_no_time_in_which_it_was_quiet() -> None:
    noisy = bursts(7, 3.1)
    gap = np.full((1, 7 * DAY), np.nan)
    dial, _ = walk(np.concatenate([noisy, gap, np.zeros((1, DAY))], axis=1), Tolerance(0.35, 100.0, 2))
    calm, _ = walk(np.concatenate([noisy, np.zeros((1, 8 * DAY))], axis=1), Tolerance(0.35, 100.0, 2))
    assert dial.weeks[0] < calm.weeks[0]
    assert dial.rates()[0, 0] > calm.rates()[0, 0]


def taken_over(values: np.ndarray, at: int, parts: list[int]) -> tuple[Dial, np.ndarray]:
    auto = np.broadcast_to(np.arange(values.shape[1]) >= at, values.shape)
    return walk(values, Tolerance(0.35, 100.0, 1), parts, auto)


def test_what_the_named_methods_told_of_a_new_series_says_nothing_of_auto() -> None:
    values = np.zeros((1, 10 * DAY))
    values[0, 2:14:3] = 7.0
    dial, entry = taken_over(values, 16, [])
    assert entry[0, 15] > 7.0
    assert (entry[0, 16:] <= 3.0).all()
    assert dial.false.sum() == 0.0
    again, other = taken_over(values, 16, [1, 9, 15, 20, 21])
    assert np.array_equal(entry, other)
    assert np.array_equal(dial.weeks, again.weeks)
    named = taken_over(values, 10 * DAY, [])[0]
    assert named.false.sum() > 2.0, "they go on where auto does not"


def test_a_series_not_yet_a_day_old_does_not_tell_the_same_all_day() -> None:
    values = np.zeros((2, DAY))
    values[0, 2:20:3] = 7.0
    entry = taken_over(values, DAY, [])[1]
    told = np.abs(values[0]) >= np.maximum(entry[0], 3.0)
    assert told.sum() == 2, "of six: one false one is borne on a first day, and each counts as 0.88 of one"
    assert (entry[1] == 0.0).all(), "the other has told nothing"


def said(sigma: list[float], days: list[int], *, false: bool) -> Reviews:
    size = len(sigma)
    auto, wrong = np.ones(size, bool), np.full(size, false)
    return Reviews(np.zeros(size, np.intp), np.array(sigma), auto, np.array(days, np.int64), wrong)


def told(values: np.ndarray, words: Reviews | None) -> np.ndarray:
    times = np.arange(values.shape[1]) * STEP_S
    seen = Seen(values, np.abs(values) >= 3, np.ones(values.shape, bool))
    return advance_dial(Dial.fresh(1, STEP_S), times, seen, Tolerance(0.35, 100.0, 2), words)[1]


def test_alerts_that_a_person_called_real_raise_nothing() -> None:
    noisy = bursts(21, 3.1)
    assert told(noisy, None)[0, -1] == 3.25
    assert told(noisy, said([3.1] * 21, list(range(21)), false=False))[0, -1] == 3.0
    assert told(noisy, said([3.1] * 10, list(range(10)), false=False))[0, -1] == 3.25, "not those that came since"


def test_an_alert_that_a_person_called_false_counts_whole() -> None:
    strong = bursts(14, 5.0, every=14)
    assert told(strong, None)[0, -1] == 3.0
    assert told(strong, said([5.0], [0], false=True))[0, -1] == 5.25
    days = told(strong, said([5.0], [10], false=True))[0].reshape(-1, DAY)[:, 0]
    assert (days[:11] <= 3.0).all(), "what is not over yet has no say"


def test_what_people_said_of_the_named_methods_before_auto_took_over_is_not_said_of_auto() -> None:
    values = np.zeros((1, 5 * DAY))
    values[0, 2] = 30.0
    auto = np.broadcast_to(np.arange(5 * DAY) >= 12, values.shape)
    seen = Seen(values, np.abs(values) >= 3, auto)
    words = said([30.0], [0], false=True)
    for by_auto, wanted in ((False, 3.0), (True, 38.0)):
        reviews = words._replace(auto=np.array([by_auto]))
        entry = advance_dial(
            Dial.fresh(1, STEP_S), np.arange(5 * DAY) * STEP_S, seen, Tolerance(0.35, 100.0, 2), reviews
        )[1]
        assert entry[0, -1] == wanted, by_auto


def test_a_new_series_begins_with_nothing_and_the_others_keep_theirs() -> None:
    dial, _ = walk(np.concatenate([bursts(21, 3.1), bursts(21, 4.0)]), Tolerance(0.35, 100.0, 2))
    chosen = dial.select([1, -1, 0])
    assert np.array_equal(chosen.false[[0, 2]], dial.false[[1, 0]])
    assert chosen.false[1].sum() == 0
    assert chosen.entry[1] == 0.0


@settings(max_examples=60)
@given(st.data())
def test_in_whatever_parts_the_samples_come(data: st.DataObject) -> None:
    columns = 6 * DAY
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sigma = random.standard_t(2, (3, columns))
    sigma[random.random(sigma.shape) < 0.1] = np.nan
    parts = sorted(data.draw(st.sets(st.integers(1, columns - 1), max_size=8)))
    tolerance = Tolerance(0.35, 1.0, data.draw(st.integers(1, 10)))
    auto = np.arange(columns) >= random.integers(0, columns, (3, 1))
    whole, entry = walk(sigma, tolerance, auto=auto)
    again, other = walk(sigma, tolerance, parts, auto)
    assert np.array_equal(entry, other)
    for name in ("false", "weeks", "today", "quiet", "peak", "wrong", "entry", "since"):
        assert np.array_equal(getattr(whole, name), getattr(again, name)), name
    order = random.permutation(3)
    turned, moved = walk(sigma[order], tolerance, auto=auto[order])
    assert np.array_equal(moved, entry[order])
    assert np.array_equal(turned.false, whole.false[order])


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 5.0))
def test_what_it_promises_of_the_past_it_keeps(seed: int, tolerated: float) -> None:
    """With the threshold chosen at the end, the alerts of the past would have been no more than tolerated."""
    sigma = np.random.default_rng(seed).standard_t(3, (2, 20 * DAY))
    dial, _ = walk(sigma, Tolerance(tolerated, 1e9, 1))
    rates = dial.rates()
    chosen = np.searchsorted(DIAL_LEVELS, thresholds(rates, Tolerance(tolerated, 1e9, 1)))
    last = len(DIAL_LEVELS) - 1
    for row, level in enumerate(chosen):
        assert rates[row, level] <= tolerated + 1e-9 or level == last
        assert level == 0 or rates[row, level - 1] > tolerated


def young(sigma: float, rows: int = 3) -> np.ndarray:
    """A day in which each of some series told six times."""
    values = np.zeros((rows, DAY))
    values[:, 1::4] = sigma
    return values


def next_day(dial: Dial, auto: bool, day: int = 1) -> float:
    """From how many sigma a series is told that comes on a day, in its first hour."""
    nothing = np.zeros((1, 1))
    seen = Seen(nothing, nothing > 0, np.full((1, 1), auto))
    return float(advance_dial(dial, np.array([day * DAY * STEP_S]), seen, Tolerance(0.35, 100.0, 2))[1][0, 0])


@pytest.mark.parametrize("auto", [False, True])
def test_a_series_that_is_new_begins_as_those_that_came_and_went(auto: bool) -> None:
    spoke = np.full((3, DAY), auto)
    dial, _ = walk(young(4.6), Tolerance(0.35, 100.0, 2), auto=spoke)
    gone = dial.select([]).select([-1])
    assert next_day(gone, auto=auto) == 4.75, "above what those told"
    assert next_day(gone, auto=not auto) == 0.0, "what the named methods told says nothing of auto, nor the other way"
    assert next_day(dial.select([0, 1, 2, -1]).select([3]), auto=auto) == 4.75, "whenever they go"


def test_series_that_were_known_for_a_week_tell_nothing_of_new_ones() -> None:
    values = np.tile(young(4.6), (1, 11))
    dial, _ = walk(values, Tolerance(0.35, 100.0, 2), auto=np.zeros(values.shape, bool))
    assert (dial.weeks >= 1.0).all()
    assert next_day(dial.select([-1]), auto=False, day=11) == 0.0


def test_how_young_series_were_is_forgotten_as_everything_is() -> None:
    dial, _ = walk(young(4.6, rows=1), Tolerance(0.35, 100.0, 2), auto=np.zeros((1, DAY), bool))
    none = np.zeros((1, 1), bool)
    later, tolerance = np.array([60.0 * DAY * STEP_S]), Tolerance(0.35, 100.0, 2)
    dial, _ = advance_dial(dial.select([-1]), later, Seen(np.zeros((1, 1)), none, none), tolerance)
    assert dial.youth.weeks[0] < 0.2 / 7
