"""The reliability table and its error against plain Python, and their properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from tfmtl.metrics import expected_calibration_error, reliability_table

checked = settings(deadline=None, derandomize=True, max_examples=60)
row = st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 0.03, 0.1, 0.25, 0.5, 0.5001, 0.7, 1.0]))
some_rows = st.lists(row, min_size=1, max_size=40)
bins = st.integers(1, 12)
strategies = st.sampled_from(["quantile", "uniform"])


def quantile(ordered: list[float], fraction: float) -> float:
    position = fraction * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def slow_error(labels: list[float], probabilities: list[float], num_bins: int, strategy: str) -> float:
    """Row by row: find the first bin whose upper edge is not below the probability."""
    ordered = sorted(probabilities)
    fractions = [i / num_bins for i in range(1, num_bins)]
    edges = fractions if strategy == "uniform" else [quantile(ordered, fraction) for fraction in fractions]
    members: dict[int, list[tuple[float, float]]] = {}
    for label, probability in zip(labels, probabilities, strict=True):
        index = sum(1 for edge in edges if edge < probability)
        members.setdefault(index, []).append((label, probability))
    total = 0.0
    for rows in members.values():
        total += abs(sum(label for label, _ in rows) - sum(probability for _, probability in rows))
    return total / len(labels)


@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
@pytest.mark.parametrize("num_bins", [1, 7, 10, 16])
def test_equals_plain_python(strategy: str, num_bins: int) -> None:
    generator = np.random.default_rng(num_bins)
    probabilities = generator.beta(0.5, 5.0, 2000)
    labels = (generator.random(2000) < probabilities**1.3).astype(float)
    actual = expected_calibration_error(labels, probabilities, num_bins, strategy)
    assert actual == pytest.approx(slow_error(labels.tolist(), probabilities.tolist(), num_bins, strategy), abs=1e-12)
    assert actual > 0.005


@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
def test_table_equals_scikit_learn(strategy: str) -> None:
    generator = np.random.default_rng(1)
    probabilities = generator.beta(1.0, 3.0, 3000)
    labels = (generator.random(3000) < probabilities).astype(float)
    table = reliability_table(labels, probabilities, 8, strategy)
    observed, predicted = calibration_curve(labels, probabilities, n_bins=8, strategy=strategy)
    np.testing.assert_allclose([b.mean_observed for b in table], observed, atol=1e-12)
    np.testing.assert_allclose([b.mean_predicted for b in table], predicted, atol=1e-12)


@checked
@given(some_rows, bins, strategies)
def test_table_accounts_for_every_row(rows, num_bins: int, strategy: str) -> None:
    labels, probabilities = map(list, zip(*rows, strict=True))
    table = reliability_table(labels, probabilities, num_bins, strategy)
    assert 1 <= len(table) <= num_bins
    assert sum(b.count for b in table) == len(rows)
    assert sum(b.count * b.mean_observed for b in table) == pytest.approx(sum(labels))
    assert sum(b.count * b.mean_predicted for b in table) == pytest.approx(sum(probabilities))
    for b in table:
        assert b.count >= 1
        assert b.lower - 1e-12 <= b.mean_predicted <= b.upper + 1e-12
    assert [b.lower for b in table] == sorted(b.lower for b in table)


@checked
@given(some_rows, bins, strategies, st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(rows, num_bins: int, strategy: str, random) -> None:
    expected = expected_calibration_error(*map(list, zip(*rows, strict=True)), num_bins, strategy)
    random.shuffle(rows)
    actual = expected_calibration_error(*map(list, zip(*rows, strict=True)), num_bins, strategy)
    assert actual == pytest.approx(expected, abs=1e-12)


@checked
@given(some_rows, bins, strategies)
def test_bounds(rows, num_bins: int, strategy: str) -> None:
    labels, probabilities = map(list, zip(*rows, strict=True))
    overall = abs(np.mean(labels) - np.mean(probabilities))
    assert overall - 1e-12 <= expected_calibration_error(labels, probabilities, num_bins, strategy) <= 1 + 1e-12
    one_bin = expected_calibration_error(labels, probabilities, 1, strategy)
    assert one_bin == pytest.approx(overall, abs=1e-12)


def test_rates_met_exactly_have_no_error() -> None:
    labels = [0, 0, 0, 1, 0, 1, 1, 1]
    assert expected_calibration_error(labels, [0.25] * 4 + [0.75] * 4) == 0.0
    assert expected_calibration_error(labels, [0.75] * 4 + [0.25] * 4) == 0.5
    assert expected_calibration_error([1, 1], [0.0, 0.0]) == 1.0


def test_a_tie_is_never_split_over_quantile_bins() -> None:
    table = reliability_table([0] * 9 + [1], [0.1] * 9 + [0.9], num_bins=5)
    assert [(b.count, b.mean_observed) for b in table] == [(9, 0.0), (1, 1.0)]


def test_uniform_bins_are_open_below_and_closed_above() -> None:
    table = reliability_table([0, 0, 0, 0], [0.0, 0.5, 0.5001, 1.0], num_bins=2, strategy="uniform")
    assert [(b.lower, b.upper, b.count) for b in table] == [(0.0, 0.5, 2), (0.5, 1.0, 2)]


def test_missing_labels_are_absent_rows() -> None:
    generator = np.random.default_rng(2)
    probabilities = generator.random(200)
    labels = (generator.random(200) < 0.5).astype(float)
    missing = generator.random(200) < 0.3
    masked = np.where(missing, np.nan, labels)
    for strategy in ("quantile", "uniform"):
        expected = expected_calibration_error(labels[~missing], probabilities[~missing], 5, strategy)
        assert expected_calibration_error(masked, probabilities, 5, strategy) == expected


def test_without_labels_it_is_undefined() -> None:
    assert math.isnan(expected_calibration_error([math.nan], [0.5]))
    assert reliability_table([math.nan], [0.5]) == ()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([0, 1], [0.5, 1.5]), ValueError, "`probabilities` must lie in [0, 1]. Received: probabilities=1.5 in row 1"),
        (([0, 1], [-0.1, 0.5]), ValueError, "Received: probabilities=-0.1 in row 0 (1 such rows). Apply the sigmoid"),
        (([0, 1], [0.5, 0.5], 0), ValueError, "`num_bins` must be a positive int. Received: num_bins=0."),
        (([0, 1], [0.5, 0.5], 2.5), TypeError, "`num_bins` must be a positive int. Received: num_bins=2.5 (float)."),
        (
            ([0, 1], [0.5, 0.5], 10, "quantiles"),
            ValueError,
            "`strategy` must be one of ['quantile', 'uniform']. Received: strategy='quantiles'.",
        ),
    ],
)
def test_errors_name_the_function_called(arguments, error, text) -> None:
    for function in (expected_calibration_error, reliability_table):
        with pytest.raises(error) as caught:
            function(*arguments)
        assert text in str(caught.value)
        assert str(caught.value).startswith(f"{function.__name__}: ")
