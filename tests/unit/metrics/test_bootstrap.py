"""Intervals by resampling: against NumPy, and how often they hold what is true."""

import numpy as np
import pytest

from tfmtl.metrics.bootstrap import group_numbers, percentile_interval, resampled_rows
from tfmtl.metrics.directions import direction


def test_groups_are_drawn_whole() -> None:
    groups = np.array([3, 1, 3, 2, 1, 3, 9])
    sizes = {group: int(np.sum(groups == group)) for group in groups.tolist()}
    seen = set()
    for rows in resampled_rows(len(groups), groups, 50, seed=0):
        counts = np.bincount(rows, minlength=len(groups))
        for group in sizes:
            assert len(set(counts[groups == group].tolist())) == 1
        drawn = sum(counts[np.argmax(groups == group)] for group in sizes)
        assert drawn == len(sizes)
        seen.add(tuple(counts.tolist()))
    assert len(seen) > 10


def test_rows_follow_from_the_seed() -> None:
    for groups in (None, np.array([0, 0, 1, 2])):
        first, again, other = (list(map(tuple, resampled_rows(4, groups, 20, seed))) for seed in (1, 1, 2))
        assert first == again != other


def test_rows_without_a_group_stand_alone() -> None:
    numbers = group_numbers(np.array([b"u", b"", b"v", b"", b"u"], object))
    assert numbers[0] == numbers[4]
    assert len(set(numbers.tolist())) == 4


def test_the_interval_is_that_of_numpy_without_what_is_undefined() -> None:
    values = np.random.default_rng(0).normal(size=200)
    found = percentile_interval([*values.tolist(), None, float("nan")])
    assert found == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    assert percentile_interval([1.0, None, None]) is None
    assert percentile_interval([]) is None


@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_cover_the_mean_as_often_as_they_say(grouped: bool) -> None:
    """Rows of a group share half of their variance: drawn by themselves they would be trusted too much."""
    covered, alone = [], []
    for seed in range(300):
        generator = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 5)
        values = generator.normal(size=300) + (generator.normal(size=60)[groups] if grouped else 0.0)

        def covers(by: np.ndarray | None, values: np.ndarray = values, seed: int = seed) -> bool:
            means = [float(values[rows].mean()) for rows in resampled_rows(300, by, 120, seed)]
            interval = percentile_interval(means)
            assert interval is not None
            return bool(interval.low <= 0.0 <= interval.high)

        covered.append(covers(groups if grouped else None))
        alone.append(covers(None))
    assert 0.90 <= np.mean(covered) <= 0.98
    assert np.mean(alone) < 0.85 if grouped else alone == covered


def test_the_better_side_of_a_metric() -> None:
    names = ("gauc", "rmse", "harrell_churn", "brier_churn", "coverage", "gauc_groups")
    assert [direction(name) for name in names] == [1, -1, 1, -1, 0, 0]
