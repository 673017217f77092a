"""Arrays to tensor messages and back, against TensorFlow's own conversion."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2

from tfmtl.serving.protocol.messages import MESSAGES
from tfmtl.serving.protocol.tensor_proto import array_to_tensor, tensor_to_array

NUMBERS = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
ARRAYS = [
    *(np.array([[0, 1, 2], [3, 100, 7]], dtype) for dtype in NUMBERS),
    np.array([-1.5, np.nan, np.inf, 1e-7], np.float16),
    np.array([-(2**63), 2**63 - 1]),
    np.array([2**64 - 1], np.uint64),
    np.array([True, False]),
    np.array([[b"a\x00", b""], ["ö".encode(), b"\xff"]], object),
    np.float32(2.5).reshape(()),
    np.zeros((0, 3), np.float32),
    np.zeros((2, 0), object),
]


def random_tensor_bytes(dtype, sizes, tail):
    """A well-formed head, so that random bytes reach the reading of values."""
    tensor = tensor_pb2.TensorProto(dtype=dtype)
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    return tensor.SerializeToString() + tail


@pytest.mark.parametrize("message", [tensor_pb2.TensorProto, MESSAGES["TensorProto"]], ids=["stock", "own"])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_there_and_back(array, message):
    tensor = message()
    array_to_tensor(array, tensor)
    back = tensor_to_array(tensor)
    assert back.dtype == array.dtype and back.shape == array.shape and back.flags.writeable
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_tensorflow_reads_what_is_written_and_writes_what_is_read(array):
    written = tensor_pb2.TensorProto()
    array_to_tensor(array, written)
    np.testing.assert_array_equal(tf.make_ndarray(written), array)
    np.testing.assert_array_equal(tensor_to_array(tf.make_tensor_proto(array)), array)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"dtype": 1, "float_val": [1.0, 2.0]}, [1.0, 2.0, 2.0, 2.0]),
        ({"dtype": 9}, [0, 0, 0, 0]),
        ({"dtype": 10}, [False] * 4),
        ({"dtype": 7, "string_val": [b"a"]}, [b"a"] * 4),
        ({"dtype": 7, "string_val": [b"\x00"]}, [b"\x00"] * 4),
        ({"dtype": 7}, [b""] * 4),
    ],
)
def test_the_last_value_is_repeated_as_tensorflow_does(fields, expected):
    tensor = tensor_pb2.TensorProto(tensor_shape=tf.TensorShape([4]).as_proto(), **fields)
    assert tensor_to_array(tensor).tolist() == expected
    assert tf.io.parse_tensor(tensor.SerializeToString(), tensor.dtype).numpy().tolist() == expected


@pytest.mark.parametrize(
    ("fields", "sizes", "message"),
    [
        ({"dtype": 0}, [1], r"dtype DataType\(0\) is not supported"),
        ({"dtype": 14, "half_val": [1]}, [1], "dtype bfloat16 is not supported"),
        ({"dtype": 99}, [1], r"dtype DataType\(99\) is not supported"),
        ({"dtype": 1, "float_val": [1]}, [-1], "tensor_shape must be fully known"),
        ({"dtype": 1, "float_val": [1, 2, 3]}, [2], r"values do not fit dtype float32 and shape \[2\]"),
        ({"dtype": 1, "float_val": [1]}, [1 << 24, 2], "would be repeated to more than 67108864 bytes"),
        ({"dtype": 7, "string_val": [b"x" * 1024]}, [1 << 17], "would be repeated to more than 67108864 bytes"),
        ({"dtype": 1, "tensor_content": b"12345"}, [1], "buffer size must be a multiple of element size"),
        ({"dtype": 1, "tensor_content": b"1234"}, [2], r"values do not fit dtype float32 and shape \[2\]"),
        ({"dtype": 7, "tensor_content": b"12345"}, [1], "strings travel in string_val"),
        ({"dtype": 4, "int_val": [256]}, [1], "values do not fit dtype uint8"),
        ({"dtype": 1, "float_val": [1]}, [1] * 100, "must not have more than 32 dimensions; it has 100"),
    ],
)
def test_malformed_tensors_are_refused(fields, sizes, message):
    tensor = tensor_pb2.TensorProto(**fields)
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError, match=message):
        tensor_to_array(tensor)


def test_unknown_rank_is_refused():
    tensor = tensor_pb2.TensorProto(dtype=1, float_val=[1.0])
    tensor.tensor_shape.unknown_rank = True
    with pytest.raises(ValueError, match="tensor_shape must be fully known"):
        tensor_to_array(tensor)


def test_arrays_that_do_not_travel_are_refused():
    with pytest.raises(ValueError, match=r"array_to_tensor: `array` must have a dtype of .* Received: dtype=complex64"):
        array_to_tensor(np.zeros(2, np.complex64), tensor_pb2.TensorProto())


@settings(deadline=None)
@given(st.binary() | st.builds(random_tensor_bytes, st.integers(0, 25), st.lists(st.integers(-1, 5)), st.binary()))
def test_any_bytes_are_a_tensor_or_a_value_error(data):
    try:
        tensor = tensor_pb2.TensorProto.FromString(data)
    except DecodeError:
        return
    try:
        array = tensor_to_array(tensor)
    except ValueError:
        return
    assert array.shape == tuple(dim.size for dim in tensor.tensor_shape.dim)
