"""Kaplan-Meier and its relatives against the definitions, row by row, and against lifelines."""

import lifelines
import numpy as np
import pytest

from tfmtl.survival import breslow_baseline, censoring_curve, kaplan_meier, median_follow_up, nelson_aalen


def random_rows(seed: int, size: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole times, so that many are tied, 60 % events, and entries below the time."""
    generator = np.random.default_rng(seed)
    times = generator.integers(1, 12, size).astype(float)
    return times, generator.random(size) < 0.6, np.floor(generator.random(size) * times * 0.7)


def at_risk(times: np.ndarray, entries: np.ndarray, t: float) -> np.ndarray:
    return (times >= t) & ((entries < t) | (entries <= 0))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("truncated", [False, True])
def test_product_limit_and_cumulative_hazard_by_hand(seed: int, truncated: bool) -> None:
    times, events, entries = random_rows(seed)
    entries = entries if truncated else np.zeros_like(times)
    for asked in (0.5, 3.0, 7.5, 20.0):
        survival, hazard = 1.0, 0.0
        for t in np.unique(times[events & (times <= asked)]):
            share = (events & (times == t)).sum() / at_risk(times, entries, t).sum()
            survival, hazard = survival * (1 - share), hazard + share
        assert kaplan_meier(times, events, entries=entries).at(asked) == pytest.approx(survival, abs=1e-12)
        assert nelson_aalen(times, events, entries=entries).at(asked) == pytest.approx(hazard, abs=1e-12)


def test_equals_lifelines_also_of_late_entries() -> None:
    times, events, entries = random_rows(3, 400)
    theirs = lifelines.KaplanMeierFitter().fit(times, events, entry=entries)
    asked = np.arange(1, 12) + 0.5
    ours = kaplan_meier(times, events, entries=entries).at(asked)
    np.testing.assert_allclose(ours, theirs.predict(asked).to_numpy(), atol=1e-12)


def test_a_row_that_ends_at_the_time_of_a_censoring_ends_first() -> None:
    # At time 2 one of two ends and one is censored: of the censored alone, all are censored.
    curve = censoring_curve([1, 2, 2], [1, 1, 0])
    assert curve.at(2) == 0.0
    assert curve.before(2) == 1.0


def test_weights_are_repeated_rows() -> None:
    times, events, _ = random_rows(5)
    weights = np.random.default_rng(5).integers(0, 4, len(times))
    repeated = kaplan_meier(np.repeat(times, weights), np.repeat(events, weights))
    weighted = kaplan_meier(times, events, weights=weights)
    np.testing.assert_allclose(weighted.at(np.arange(12)), repeated.at(np.arange(12)), atol=1e-12)


def test_rows_without_a_label_are_absent() -> None:
    assert kaplan_meier([1, np.nan, 2], [1, np.nan, 1]).values.tolist() == kaplan_meier([1, 2], [1, 1]).values.tolist()


def test_median_follow_up_is_unknown_while_most_are_not_censored() -> None:
    assert np.isnan(median_follow_up([1, 2, 3], [1, 1, 1]))


@pytest.mark.parametrize("truncated", [False, True])
def test_breslow_of_equal_risks_is_nelson_aalen(truncated: bool) -> None:
    times, events, entries = random_rows(7)
    entries = entries if truncated else None
    ours = breslow_baseline(times, events, np.zeros(len(times)), entries=entries)
    np.testing.assert_allclose(ours.values, nelson_aalen(times, events, entries=entries).values, rtol=1e-12)


def test_breslow_by_hand() -> None:
    times, events, entries = random_rows(9)
    risks = np.random.default_rng(9).normal(size=len(times))
    hazard = 0.0
    for t in np.unique(times[events & (times <= 7)]):
        hazard += (events & (times == t)).sum() / np.exp(risks[at_risk(times, entries, t)]).sum()
    assert breslow_baseline(times, events, risks, entries=entries).at(7) == pytest.approx(hazard, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([-1.0], [1]), "`times` must be at least 0 or NaN.*Received: times=-1.0"),
        (([1.0], [2]), "`events` must be 0 or 1.*Received: events=2.0"),
        (([1.0, 2.0], [1]), r"`events.shape` must be \(2,\)"),
    ],
)
def test_errors(arguments: tuple, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        kaplan_meier(*arguments)


def test_an_entry_after_the_end_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"`entries` must lie below the row's time\. Received: entries=3.0"):
        kaplan_meier([2.0], [1], entries=[3.0])
