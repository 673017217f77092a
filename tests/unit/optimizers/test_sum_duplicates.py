"""Each id once, with the sum of its rows."""

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.optimizers import sum_duplicates


def reference(ids: np.ndarray, values: np.ndarray) -> dict[int, np.ndarray]:
    """Sums by a plain loop, in float64."""
    sums: dict[int, np.ndarray] = {}
    for key, value in zip(ids.tolist(), values.astype("float64"), strict=True):
        sums[key] = sums.get(key, 0.0) + value
    return sums


@pytest.mark.parametrize("id_type", ["int32", "int64"])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3)], ids=str)
def test_against_a_loop(id_type: str, shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 20, 60).astype(id_type)
    values = generator.normal(size=(60, *shape)).astype("float32")
    found_ids, found = sum_duplicates(tf.IndexedSlices(tf.constant(values), tf.constant(ids)))
    expected = reference(ids, values)
    assert found_ids.numpy().tolist() == list(expected), "each id once, in order of first appearance"
    assert found_ids.dtype == id_type
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, np.stack(list(expected.values())), rtol=1e-6, atol=1e-6)


def test_distinct_ids_keep_their_values_to_the_last_bit() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    ids, summed = sum_duplicates(tf.IndexedSlices(tf.constant(values), tf.range(50)[::-1]))
    np.testing.assert_array_equal(ids, np.arange(50)[::-1])
    np.testing.assert_array_equal(summed, values)


def test_a_row_that_is_not_finite_spoils_no_other() -> None:
    values = tf.constant([[np.nan], [1.0], [np.inf], [2.0]])
    _, summed = sum_duplicates(tf.IndexedSlices(values, tf.constant([4, 5, 6, 5])))
    np.testing.assert_array_equal(summed, [[np.nan], [3.0], [np.inf]])


def test_no_rows() -> None:
    ids, summed = sum_duplicates(tf.IndexedSlices(tf.zeros((0, 4)), tf.zeros((0,), tf.int64)))
    assert (ids.shape, summed.shape) == ((0,), (0, 4))


def test_in_a_graph_of_unknown_length() -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, 2)), tf.TensorSpec((None,), tf.int64)])
    def summed(values: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        result = sum_duplicates(tf.IndexedSlices(values, ids))[1]
        assert result.shape[1:] == (2,), "the width stays known"
        return result

    np.testing.assert_array_equal(summed(tf.ones((3, 2)), tf.constant([1, 0, 1], tf.int64)), [[2, 2], [1, 1]])
