"""roc_auc against scikit-learn, and the properties an AUC has."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tfmtl.metrics import roc_auc

checked = settings(deadline=None, derandomize=True, max_examples=60)


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels with both classes, and scores of which many are tied."""
    labels = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=40).filter(lambda x: len(set(x)) == 2))
    scores = draw(st.lists(st.integers(-5, 5), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(scores, dtype=float)


def count_pairs(labels: np.ndarray, scores: np.ndarray) -> float:
    """The definition: every positive against every negative."""
    differences = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


@pytest.mark.parametrize("decimals", [1, 2, 16])
@pytest.mark.parametrize("positive_rate", [0.003, 0.5])
def test_equals_scikit_learn(decimals: int, positive_rate: float) -> None:
    generator = np.random.default_rng(decimals)
    labels = (generator.random(5000) < positive_rate).astype(float)
    scores = (generator.random(5000) + 0.3 * labels).round(decimals)
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    weights = generator.exponential(size=5000)
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert roc_auc(labels, scores, weights) == pytest.approx(expected, abs=1e-9)
    assert abs(expected - roc_auc_score(labels, scores)) > 1e-6  # so the weights were seen


@checked
@given(rows())
def test_counts_every_pair(data: tuple[np.ndarray, np.ndarray]) -> None:
    assert roc_auc(*data) == pytest.approx(count_pairs(*data), abs=1e-12)


@checked
@given(rows(), st.randoms(use_true_random=False))
def test_order_of_rows_and_monotone_maps_change_nothing(data: tuple[np.ndarray, np.ndarray], random) -> None:
    labels, scores = data
    expected = roc_auc(labels, scores)
    order = list(range(len(labels)))
    random.shuffle(order)
    assert roc_auc(labels[order], scores[order]) == expected
    assert roc_auc(labels, 1 / (1 + np.exp(-scores))) == expected
    assert roc_auc(labels, scores**3 - 7) == expected


@checked
@given(rows())
def test_flipping_labels_or_scores_gives_the_complement(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    assert roc_auc(1 - labels, scores) == pytest.approx(1 - roc_auc(labels, scores), abs=1e-12)
    assert roc_auc(labels, -scores) == pytest.approx(1 - roc_auc(labels, scores), abs=1e-12)


@checked
@given(rows(), rows())
def test_weight_zero_and_missing_label_are_absent_rows(
    kept: tuple[np.ndarray, np.ndarray], dropped: tuple[np.ndarray, np.ndarray]
) -> None:
    expected = roc_auc(*kept)
    scores = np.concatenate([dropped[1], kept[1]])
    zero_then_one = np.repeat([0.0, 1.0], [len(dropped[0]), len(kept[0])])
    assert roc_auc(np.concatenate([dropped[0], kept[0]]), scores, zero_then_one) == pytest.approx(expected, abs=1e-12)
    missing = np.concatenate([np.full(len(dropped[0]), np.nan), kept[0]])
    assert roc_auc(missing, scores) == expected
    scores[: len(dropped[0])] = np.nan  # a score nobody can check is no error
    assert roc_auc(missing, scores) == expected


@checked
@given(rows(), st.data())
def test_whole_weights_repeat_rows(data: tuple[np.ndarray, np.ndarray], drawn: st.DataObject) -> None:
    labels, scores = data
    times = np.array(drawn.draw(st.lists(st.integers(1, 4), min_size=len(labels), max_size=len(labels))))
    repeated = roc_auc(np.repeat(labels, times), np.repeat(scores, times))
    assert roc_auc(labels, scores, times) == pytest.approx(repeated, abs=1e-12)


def test_bounds() -> None:
    assert roc_auc([0, 0, 1], [1, 2, 3]) == 1.0
    assert roc_auc([1, 0, 0], [1, 2, 3]) == 0.0
    assert roc_auc([1, 0, 0], [3, 3, 3]) == 0.5
    assert roc_auc([0, 1], [-math.inf, math.inf]) == 1.0
    assert roc_auc([True, False], np.float32([0.0, -0.0])) == 0.5


@pytest.mark.parametrize("labels", [[], [1, 1], [0, 0], [math.nan, math.nan], [1, math.nan]])
def test_one_class_is_undefined(labels: list[float]) -> None:
    assert math.isnan(roc_auc(labels, np.zeros(len(labels))))


def test_one_class_by_weight_is_undefined() -> None:
    assert math.isnan(roc_auc([0, 1], [0.1, 0.2], [1, 0]))


@pytest.mark.parametrize(
    ("labels", "scores", "weights", "error", "text"),
    [
        (
            [0, 1, 2],
            [0.1, 0.2, 0.3],
            None,
            ValueError,
            "roc_auc: `labels` must be 0, 1 or NaN (NaN: no label). Received: labels=2.0 in row 2 (1 such rows). Make",
        ),
        (
            [math.nan, 0, 1],
            [0.1, 0.2, math.nan],
            None,
            ValueError,
            "`scores` must not be NaN where there is a label. Received: scores=nan in row 2 (1 such rows). A model",
        ),
        (
            [0, 1],
            [[0.1], [0.2]],
            None,
            ValueError,
            "`scores.shape` must be (N,). Received: scores.shape=(2, 1). Pass the column of one task",
        ),
        (
            [0, 1],
            [0.1],
            None,
            ValueError,
            "`scores` must have as many rows as `labels`. Received: len(scores)=1, len(labels)=2.",
        ),
        (
            ["yes", "no"],
            [0.1, 0.2],
            None,
            TypeError,
            "`labels` must hold numbers. Received: labels of type list (could not convert string to float: 'yes').",
        ),
        (
            [0, 1],
            [0.1, 0.2],
            [1.0],
            ValueError,
            "`weights` must have as many rows as `labels`. Received: len(weights)=1",
        ),
        (
            [math.nan, 0, 1],
            [0.1, 0.2, 0.3],
            [-9, 1, -1],
            ValueError,
            "`weights` must be finite and at least 0. Received: weights=-1.0 in row 2 (1 such rows). Use 0",
        ),
        ([0, 1], [0.1, 0.2], [1, math.inf], ValueError, "Received: weights=inf in row 1"),
    ],
)
def test_errors(labels, scores, weights, error, text) -> None:
    with pytest.raises(error) as caught:
        roc_auc(labels, scores, weights)
    assert text in str(caught.value)
