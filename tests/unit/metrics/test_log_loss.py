"""log_loss and normalized_entropy against scikit-learn and closed forms."""

import math

import numpy as np
import pytest
import sklearn.metrics

from tfmtl.metrics import log_loss, normalized_entropy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_equals_scikit_learn(dtype) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.beta(0.3, 3.0, 3000).astype(dtype)
    labels = (generator.random(3000) < probabilities).astype(float)
    assert log_loss(labels, probabilities) == pytest.approx(
        sklearn.metrics.log_loss(labels, probabilities.astype(np.float64)), rel=1e-6 if dtype is np.float32 else 1e-12
    )


@pytest.mark.parametrize(
    ("probabilities", "worst"),
    [
        (np.array([0.0]), -math.log(2.0**-52)),
        ([0.0], -math.log(2.0**-52)),
        (np.array([0.0], dtype=np.float32), -math.log(2.0**-23)),
        (np.array([0.0], dtype=np.float16), -math.log(2.0**-23)),
        ([0], -math.log(2.0**-52)),
    ],
    ids=["float64", "list", "float32", "float16", "list of int"],
)
def test_a_wrong_certainty_costs_what_its_precision_allows(probabilities, worst: float) -> None:
    assert log_loss([1], probabilities) == pytest.approx(worst)
    assert log_loss([0], 1 - np.asarray(probabilities)) == pytest.approx(worst)
    assert log_loss([0], probabilities) == pytest.approx(0.0, abs=2e-7)


def test_small_probabilities_keep_their_loss() -> None:
    assert log_loss([0], [1e-12]) == pytest.approx(
        1e-12, rel=1e-9, abs=0
    )  # log(1 - p) would be wrong from the fourth digit


def test_merging_is_by_the_number_of_rows() -> None:
    generator = np.random.default_rng(1)
    probabilities = generator.random(30)
    labels = (generator.random(30) < 0.5).astype(float)
    parts = 10 * log_loss(labels[:10], probabilities[:10]) + 20 * log_loss(labels[10:], probabilities[10:])
    assert log_loss(labels, probabilities) == pytest.approx(parts / 30, rel=1e-12)


def test_base_rate_has_normalized_entropy_one() -> None:
    labels = np.array([1.0] * 3 + [0.0] * 97)
    assert normalized_entropy(labels, np.full(100, 0.03)) == pytest.approx(1.0, rel=1e-12)
    assert normalized_entropy(labels, labels) == pytest.approx(0.0, abs=1e-12)
    assert normalized_entropy(labels, np.full(100, 0.5)) > 1.0


def test_normalized_entropy_is_the_ratio_of_he_et_al() -> None:
    labels = [1, 0, 0, 1, 0]
    probabilities = [0.7, 0.2, 0.4, 0.6, 0.1]
    loss = -(math.log(0.7) + math.log(0.8) + math.log(0.6) + math.log(0.6) + math.log(0.9)) / 5
    entropy = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    assert normalized_entropy(labels, probabilities) == pytest.approx(loss / entropy, rel=1e-12)


@pytest.mark.parametrize("metric", [log_loss, normalized_entropy])
def test_missing_labels_are_absent_rows(metric) -> None:
    labels = np.array([1, math.nan, 0, 1, math.nan])
    probabilities = np.array([0.7, math.nan, 0.2, 0.4, 7.0])
    present = ~np.isnan(labels)
    assert metric(labels, probabilities) == metric(labels[present], probabilities[present])


def test_undefined_values() -> None:
    assert math.isnan(log_loss([], []))
    assert math.isnan(normalized_entropy([], []))
    assert math.isnan(normalized_entropy([1, 1], [0.5, 0.5]))
    assert math.isnan(normalized_entropy([0, 0], [0.5, 0.5]))


@pytest.mark.parametrize("metric", [log_loss, normalized_entropy])
def test_errors(metric) -> None:
    with pytest.raises(
        ValueError, match=r"`probabilities` must lie in \[0, 1\]. Received: probabilities=-3.0 in row 1"
    ):
        metric([1, 0], [0.5, -3.0])
    with pytest.raises(ValueError, match=rf"{metric.__name__}: `labels` must be 0, 1 or NaN .* labels=0.5 in row 0"):
        metric([0.5, 0], [0.5, 0.5])
