"""The newest events of padded lists, against a plain loop."""

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.data.newest_events import NewestEvents


@pytest.mark.parametrize("inner", [(), (2,)])
@pytest.mark.parametrize("length", [0, 1, 9])
@pytest.mark.parametrize("limit", [1, 4, 12])
def test_they_are_those_of_a_loop(length: int, limit: int, inner: tuple[int, ...]) -> None:
    rng = np.random.default_rng(length)
    present = rng.random((20, length)) < 0.6
    values = rng.integers(1, 100, (20, length, *inner)).astype("int32")
    found = NewestEvents(tf.constant(present), limit).read(tf.constant(values))
    expected = np.zeros((20, limit, *inner), "int32")
    for row in range(20):
        newest = values[row][present[row]][-limit:]
        expected[row, : len(newest)] = newest
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == tf.int32


def test_the_width_is_known_where_the_requests_is_not() -> None:
    @tf.function(input_signature=[tf.TensorSpec((1, None), tf.bool), tf.TensorSpec((1, None), tf.float32)])
    def read(present: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        found = NewestEvents(present, 5).read(values)
        assert found.shape == (1, 5)
        return found

    assert read([[True, False, True]], [[1.0, 2.0, 3.0]]).numpy().tolist() == [[1.0, 3.0, 0.0, 0.0, 0.0]]
