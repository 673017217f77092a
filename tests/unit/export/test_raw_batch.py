"""Requests as tensors and as serialized examples."""

import numpy as np
import tensorflow as tf

from tests.support.tiny_problem import tiny_problem
from tfmtl.data.example_spec import parse_raw_examples, raw_signature
from tfmtl.export.raw_batch import to_examples, to_tensors

SIGNATURE = {
    "user": tf.TensorSpec((None,), tf.string),
    "age": tf.TensorSpec((None,), tf.float32),
    "time": tf.TensorSpec((None,), tf.int64),
    "seen": tf.TensorSpec((None, None), tf.string),
    "seen_time": tf.TensorSpec((None, None), tf.int64),
}
REQUESTS = [
    {"user": "ü", "age": 3.5, "time": 2**40, "seen": ["a", "", "c"], "seen_time": [1, 2, 3]},
    {"user": "", "age": float("nan"), "time": 0, "seen": [], "seen_time": []},
]


def test_tensors_are_filled_up() -> None:
    tensors = to_tensors(REQUESTS, SIGNATURE)
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {
        name: spec.dtype for name, spec in SIGNATURE.items()
    }
    assert tensors["user"].numpy().tolist() == ["ü".encode(), b""]
    np.testing.assert_array_equal(tensors["age"], np.float32([3.5, np.nan]))
    assert tensors["time"].numpy().tolist() == [2**40, 0]
    assert tensors["seen"].numpy().tolist() == [[b"a", b"", b"c"], [b"", b"", b""]]
    assert tensors["seen_time"].numpy().tolist() == [[1, 2, 3], [0, 0, 0]]


def test_lists_that_are_all_empty_keep_their_rank() -> None:
    tensors = to_tensors(REQUESTS[1:], SIGNATURE)
    assert (tensors["seen"].shape, tensors["seen_time"].shape) == ((1, 0), (1, 0))
    assert {tuple(tensor.shape) for tensor in to_tensors([], SIGNATURE).values()} == {(0,), (0, 0)}


def test_examples_leave_out_what_is_missing() -> None:
    full, empty = (tf.train.Example.FromString(text).features.feature for text in to_examples(REQUESTS, SIGNATURE))
    assert set(full) == set(SIGNATURE)
    assert full["seen"].bytes_list.value == [b"a", b"", b"c"]
    assert full["age"].float_list.value == [3.5]
    assert full["seen_time"].int64_list.value == [1, 2, 3]
    assert set(empty) == {"time"}, "a time of 0 is a time"


def test_examples_parse_to_the_tensors() -> None:
    problem = tiny_problem()
    signature = raw_signature(problem)
    values = {tf.string: "x", tf.float32: 2.5, tf.int64: 7}
    requests = [
        {
            name: values[spec.dtype] if spec.shape.rank == 1 else [values[spec.dtype]] * length
            for name, spec in signature.items()
        }
        for length in (0, 3, 1)
    ]
    parsed = parse_raw_examples(problem, tf.constant(to_examples(requests, signature)))
    for name, tensor in to_tensors(requests, signature).items():
        np.testing.assert_array_equal(parsed[name], tensor)
