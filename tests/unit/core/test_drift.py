"""The population stability index and its bins, against plain formulas."""

import math

import numpy as np
import pytest

from tfmtl.core.drift import (
    chance_level,
    chance_limit,
    decile_bins,
    length_bins,
    length_names,
    population_stability_index,
    top_bins,
)


def _reference(expected: list[int], actual: list[int]) -> float:
    """Siddiqi's sum over the bins, with half a row more in each."""
    total = 0.0
    for p, q in zip(expected, actual, strict=True):
        p_share = (p + 0.5) / (sum(expected) + 0.5 * len(expected))
        q_share = (q + 0.5) / (sum(actual) + 0.5 * len(actual))
        total += (q_share - p_share) * math.log(q_share / p_share)
    return total


@pytest.mark.parametrize(
    ("expected", "actual"), [([10, 20, 70], [20, 20, 60]), ([5, 0, 3], [0, 9, 100]), ([1], [7]), ([0, 0, 4], [4, 0, 0])]
)
def test_index(expected: list[int], actual: list[int]) -> None:
    index = population_stability_index(np.array(expected), np.array(actual))
    assert index == pytest.approx(_reference(expected, actual), abs=1e-12)
    assert index >= 0.0
    swapped = population_stability_index(np.array(actual), np.array(expected))
    assert swapped == pytest.approx(index, abs=1e-12)  # symmetric


def test_a_textbook_value() -> None:
    """Shares .2/.8 against .4/.6: .2 ln 2 + .2 ln(4/3); the prior vanishes in many rows."""
    index = population_stability_index(np.array([2e8, 8e8]), np.array([4e8, 6e8]))
    assert index == pytest.approx(0.2 * math.log(2) + 0.2 * math.log(4 / 3), rel=1e-6)


def test_equal_shares_do_not_drift() -> None:
    assert population_stability_index(np.array([10, 30]), np.array([10, 30])) == 0.0
    assert population_stability_index(np.array([1000, 3000]), np.array([500, 1500])) < 1e-6


def test_no_rows_and_other_bins() -> None:
    assert math.isnan(population_stability_index(np.array([1, 2]), np.array([0, 0])))
    with pytest.raises(ValueError, match="must have the bins of `expected`"):
        population_stability_index(np.array([1, 2]), np.array([1, 2, 3]))


def test_chance_level_is_the_mean_without_drift() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    pairs = [(rng.multinomial(2000, shares), rng.multinomial(500, shares)) for _ in range(300)]
    measured = np.mean([population_stability_index(*pair) for pair in pairs])
    assert chance_level(*pairs[0]) == pytest.approx(3 * (1 / 2000 + 1 / 500))
    assert measured == pytest.approx(chance_level(*pairs[0]), rel=0.2)


@pytest.mark.parametrize("bins", [3, 12, 33])
def test_chance_limit_is_seldom_exceeded_without_drift(bins: int) -> None:
    rng = np.random.default_rng(1)
    shares = np.full(bins, 1.0 / bins)
    pairs = [(rng.multinomial(3000, shares), rng.multinomial(600, shares)) for _ in range(2000)]
    exceeding = np.mean([population_stability_index(*pair) > chance_limit(*pair) for pair in pairs])
    assert exceeding < 0.02
    shifted = np.where(np.arange(bins) % 2, 2.0, 1.0)
    moved = rng.multinomial(600, shifted / shifted.sum())
    assert population_stability_index(pairs[0][0], moved) > chance_limit(pairs[0][0], moved)
    assert chance_limit(np.array([5]), np.array([9])) == 0.0


def test_ids_fold_into_the_most_frequent_ones() -> None:
    expected = np.concatenate([[3, 1], np.arange(50)])
    actual = np.concatenate([[0, 9], np.ones(50, int)])
    left, right = top_bins(expected, actual)
    assert left.tolist() == [3, 1, *range(49, 19, -1), sum(range(20))]
    assert right.tolist() == [0, 9, *[1] * 30, 20]


def test_numbers_fall_into_the_deciles_of_the_first() -> None:
    numbers = np.arange(100.0)
    left, right = decile_bins(numbers, np.array([-5.0, 200.0, 50.0, np.nan]))
    assert left.tolist() == [10] * 10
    assert right.sum() == 3
    assert (right[0], right[-1]) == (1, 1)
    constant, other = decile_bins(np.zeros(10), np.array([0.0, 1.0]))
    assert len(constant) == len(other)
    assert decile_bins(np.full(3, np.nan), numbers)[0].sum() == 0


@pytest.mark.parametrize("most", range(1, 70))
def test_lengths_fold_into_doubling_ranges(most: int) -> None:
    names = length_names(most)
    counts = np.arange(most + 1) + 1
    folded = length_bins(counts)
    assert len(folded) == len(names)
    for name, count in zip(names, folded, strict=True):
        low, _, high = name.partition("-")
        assert count == sum(counts[int(low) : int(high or low) + 1])
