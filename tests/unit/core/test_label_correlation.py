"""Correlation of labels from sums: NumPy's values, missing labels, merging, rounding, degenerate columns."""

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.core.label_correlation import label_correlation, label_moments

ROWS, TASKS = 200, 4


def binary_labels() -> np.ndarray:
    """Correlated binary labels, common and rare."""
    scores = np.random.default_rng(0).normal(size=(ROWS, TASKS))
    scores[:, 1:] += 0.8 * scores[:, :1]
    return (scores > [0.0, 0.5, -0.5, 1.8]).astype("float32")


def with_missing(labels: np.ndarray) -> np.ndarray:
    missing = np.random.default_rng(1).random(labels.shape) < [0.0, 0.2, 0.5, 0.7]
    return np.where(missing, np.nan, labels).astype("float32")


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    return abs(np.corrcoef(x, y)[0, 1])


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return abs(x @ y) / (np.linalg.norm(x) * np.linalg.norm(y))


def reference(labels: np.ndarray, measure) -> np.ndarray:
    result = np.zeros((labels.shape[1], labels.shape[1]))
    for i, j in np.ndindex(result.shape):
        rows = np.asarray(labels[~np.isnan(labels[:, i]) & ~np.isnan(labels[:, j])], np.float64)
        result[i, j] = measure(rows[:, i], rows[:, j])
    return result


@pytest.mark.parametrize(("name", "measure"), [("pearson", pearson), ("cosine", cosine)])
@pytest.mark.parametrize(
    "labels",
    [
        binary_labels(),
        with_missing(binary_labels()),
        with_missing(np.random.default_rng(2).normal(-1.0, 3.0, size=(ROWS, TASKS))),
    ],
    ids=["binary", "binary with missing", "real with missing"],
)
def test_correlation_is_that_of_the_common_rows(labels: np.ndarray, name: str, measure) -> None:
    result = label_correlation(label_moments(labels), name)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(result, reference(labels, measure), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(result, np.transpose(result))


def test_moments_are_counts_and_sums_over_common_rows() -> None:
    labels = np.array([[2.0, 1.0], [3.0, np.nan], [np.nan, 5.0], [-4.0, 7.0]], "float32")
    count, total, square, product = label_moments(labels).numpy()
    np.testing.assert_array_equal(count, [[3, 2], [2, 3]])
    np.testing.assert_array_equal(total, [[1, -2], [8, 13]])
    np.testing.assert_array_equal(square, [[29, 20], [50, 75]])
    np.testing.assert_array_equal(product, [[29, -26], [-26, 75]])


def test_moments_of_the_parts_add_up_to_those_of_the_whole() -> None:
    labels = with_missing(binary_labels())
    parts = [label_moments(part) for part in (labels[:30], labels[30:30], labels[30:])]
    # Counts of binary labels are exact in float32.
    np.testing.assert_array_equal(tf.add_n(parts), label_moments(labels))
    real, shift = labels * 1.7 + 1e4, np.full(TASKS, 1e4)
    merged = label_moments(real[:30], shift) + label_moments(real[30:], shift)
    whole = label_correlation(label_moments(real, shift))
    np.testing.assert_allclose(label_correlation(merged), whole, rtol=1e-5, atol=1e-6)


def test_pearson_sees_neither_scale_nor_shift_nor_sign() -> None:
    labels = with_missing(binary_labels())
    expected = label_correlation(label_moments(labels))
    other = label_correlation(label_moments(labels * np.array([1.0, -2.0, 30.0, 0.01], "float32") + 3.0, np.arange(4)))
    # The last column's spread is a hundredth of a label rounded at 3.
    np.testing.assert_allclose(other, expected, atol=1e-4)


def test_shift_keeps_the_digits_of_labels_far_from_zero() -> None:
    generator = np.random.default_rng(3)
    common = generator.normal(size=(5000, 1))
    labels = (1e6 + common + 0.5 * generator.normal(size=(5000, 3))).astype("float32")
    expected = reference(labels, pearson)
    assert 0.7 < expected[0, 1] < 0.9
    result = label_correlation(label_moments(labels, shift=np.array([1e6 + 0.3, 1e6, 1e6 - 2.0])))
    np.testing.assert_allclose(result, expected, atol=1e-5)
    # Without it there is nothing left to see, and rounding is not taken for a correlation.
    np.testing.assert_array_equal(label_correlation(label_moments(labels)), np.zeros((3, 3)))


@pytest.mark.parametrize("rows", [1, 2, 3, 1000, 300_000])
@pytest.mark.parametrize("constant", [0.0, 1.0, -1.0, 0.1, 123.456, 1e8])
def test_constant_labels_have_no_pearson_correlation(rows: int, constant: float) -> None:
    labels = np.full((rows, 2), constant, "float32")
    labels[:, 1] = np.arange(rows) % 2
    for shift in (None, [0.7, 0.5]):
        result = label_correlation(label_moments(labels, shift)).numpy()
        np.testing.assert_array_equal(result[0], 0.0)
        np.testing.assert_array_equal(result[:, 0], 0.0)
        assert result[1, 1] == pytest.approx(float(rows > 1))


def test_a_label_constant_in_the_common_rows_alone_has_no_correlation_there() -> None:
    labels = np.array([[1, np.nan, 0], [1, np.nan, 1], [0, 1, 1], [0, 0, 0]], "float32")
    result = label_correlation(label_moments(labels)).numpy()
    assert result[0, 1] == result[1, 0] == 0.0
    assert result[1, 2] == pytest.approx(1.0)


@pytest.mark.parametrize("measure", ["pearson", "cosine"])
def test_no_common_rows_no_rows_and_zeros_give_zero(measure: str) -> None:
    nothing = np.full((3, 2), np.nan, "float32")
    apart = np.array([[1, np.nan], [0, np.nan], [np.nan, 1], [np.nan, 0]], "float32")
    assert label_correlation(label_moments(apart), measure).numpy()[0, 1] == 0.0
    for labels in (nothing, nothing[:0], np.zeros((3, 2), "float32")):
        np.testing.assert_array_equal(label_correlation(label_moments(labels), measure), np.zeros((2, 2)))


@pytest.mark.parametrize("measure", ["pearson", "cosine"])
@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e15])
def test_correlations_lie_between_0_and_1_at_every_scale(measure: str, scale: float) -> None:
    column = np.random.default_rng(4).normal(size=(300, 1)).astype("float32")
    # Multiples of one column are where rounding would exceed 1.
    labels = scale * np.concatenate([column * np.linspace(-3.0, 5.0, 20), np.abs(column)], axis=1)
    result = label_correlation(label_moments(labels.astype("float32")), measure).numpy()
    assert np.all(result >= 0.0)
    assert np.all(result <= 1.0)
    np.testing.assert_allclose(result[:20, :20], 1.0, rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_of_unknown_batch_and_xla_compute_the_same(jit_compile: bool) -> None:
    labels = with_missing(binary_labels())
    specification = tf.TensorSpec((None, TASKS), "float32")

    @tf.function(input_signature=[specification], jit_compile=jit_compile)
    def correlate(values: tf.Tensor) -> tf.Tensor:
        return label_correlation(label_moments(values))

    np.testing.assert_allclose(correlate(labels), label_correlation(label_moments(labels)), rtol=1e-6)
    assert correlate.get_concrete_function().structured_outputs.shape == (TASKS, TASKS)


def test_unknown_measures_are_refused() -> None:
    text = r"label_correlation: `measure` must be one of .*Received: measure='person'.*Did you mean 'pearson'\?"
    with pytest.raises(ValueError, match=text):
        label_correlation(label_moments(binary_labels()), "person")
