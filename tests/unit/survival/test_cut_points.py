"""Intervals of discrete survival models."""

import numpy as np
import pytest

from tests.unit.survival.test_estimates import random_rows
from tfmtl.survival import equal_cuts, given_cuts, kaplan_meier, quantile_cuts, survival_quantile_cuts


@pytest.mark.parametrize("seed", range(10))
def test_counts_of_events_and_rows_at_risk_by_hand(seed: int) -> None:
    times, events, entries = random_rows(seed)
    times[:2], entries[:2] = 0.0, 0.0  # time 0 belongs to the first interval
    cuts = given_cuts([2, 5, 9], times, events, entries=entries)
    for number, (left, right) in enumerate([(-1, 2), (2, 5), (5, 9)]):
        assert cuts.events[number] == (events & (times > left) & (times <= right)).sum()
        assert cuts.at_risk[number] == ((times > left) & (entries < right)).sum()


def test_survival_quantiles_are_equal_steps_of_the_curve() -> None:
    generator = np.random.default_rng(0)
    times, events = generator.exponential(10, 2000), generator.random(2000) < 0.5
    cuts = survival_quantile_cuts(10, times, events)
    curve = kaplan_meier(times, events)
    steps = -np.diff(curve.at(cuts.edges), prepend=1.0)
    np.testing.assert_allclose(steps, (1 - curve.values[-1]) / 10, atol=0.02)
    assert cuts.edges[-1] == times[events].max()


def test_quantiles_hold_equally_many_events() -> None:
    generator = np.random.default_rng(1)
    times, events = generator.exponential(10, 1000), generator.random(1000) < 0.5
    counts = quantile_cuts(8, times, events).events
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == events.sum()


@pytest.mark.parametrize("cut", [equal_cuts, quantile_cuts, survival_quantile_cuts])
def test_counted_rows_are_repeated_rows(cut) -> None:
    times, events, _ = random_rows(2)
    weights = np.random.default_rng(2).integers(0, 5, len(times))
    assert cut(4, times, events, weights=weights) == cut(4, np.repeat(times, weights), np.repeat(events, weights))


def test_equal_times_make_fewer_intervals_and_say_so() -> None:
    cuts = quantile_cuts(10, [1, 1, 1, 2], [1, 1, 1, 1])
    assert (cuts.edges, cuts.asked) == ((1.0, 2.0), 10)


def test_intervals_without_an_event_are_named() -> None:
    assert given_cuts([1, 2, 3], [0.5, 2.5, 9], [1, 1, 0]).empty == (1,)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: given_cuts([3, 2], [5], [1]), "`edges` must ascend from above 0"),
        (lambda: given_cuts([0, 2], [5], [1]), "`edges` must ascend from above 0"),
        (lambda: given_cuts([3, 9], [5], [1]), "`edges` must end at most at the longest training time, 5"),
        (lambda: quantile_cuts(3, [5, 0], [0, 1]), "`events` must hold an event at a time above 0"),
        (lambda: equal_cuts(0, [5], [1]), "`number` must be a positive int"),
    ],
)
def test_errors(call, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
