"""Arrays to JSON and back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmtl.serving.protocol.signature import Signature, TensorSpec
from tfmtl.serving.protocol.tensor_json import (
    array_to_json,
    arrays_to_columns,
    arrays_to_rows,
    columns_to_arrays,
    json_to_array,
    rows_to_arrays,
)
from tfmtl.serving.protocol.tensor_proto import dtype_name
from tfmtl.serving.serving_error import ServingError

ARRAYS = [
    np.array([[0.1, -0.0], [1e-45, 3.4028235e38]], np.float32),
    np.array([0.1, 65504.0], np.float16),
    np.array([0.1, 1e300]),
    np.array([np.nan, np.inf, -np.inf], np.float32),
    np.array([-128, 127], np.int8),
    np.array([-(2**63), 2**63 - 1]),
    np.array([2**64 - 1], np.uint64),
    np.array([[True], [False]]),
    np.array([["ö".encode(), b""]], object),
    np.array(2.5, np.float32),
    np.array(b"text", object),
    np.zeros((0,), np.float32),
    np.zeros((2, 0), object),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_there_and_back_through_text(array):
    text = json.dumps(array_to_json("x", array))
    back = json_to_array(
        "x", json.loads(text), TensorSpec("string" if array.dtype == object else str(array.dtype), None)
    )
    assert back.dtype == array.dtype and back.shape == array.shape
    np.testing.assert_array_equal(back, array)


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False))
def test_float32_is_written_short_and_read_back_exactly(value):
    written = array_to_json("x", np.array([value], np.float32))
    assert repr(written[0]) == repr(float(str(np.float32(value))))
    assert np.float32(written[0]) == np.float32(value)


@pytest.mark.parametrize(
    ("dtype", "largest", "beyond"),
    [("float16", 65519.9, 65520.0), ("float32", 3.4028235677973362e38, 3.4028235677973366e38)],
)
def test_floats_are_refused_exactly_where_they_would_become_infinite(dtype, largest, beyond):
    with np.errstate(over="ignore"):
        assert np.isfinite(np.array(largest).astype(dtype)) and np.isinf(np.array(beyond).astype(dtype))
    assert np.isfinite(json_to_array("x", -largest, TensorSpec(dtype, ())))
    with pytest.raises(ServingError, match=r"Input 'x' must have dtype .* beyond the range"):
        json_to_array("x", -beyond, TensorSpec(dtype, ()))


@pytest.mark.parametrize(("dtype", "exact"), [("float16", 2047), ("float32", 2**24 - 1), ("float64", 2**53 - 1)])
def test_integers_are_refused_where_floats_cannot_tell_them_apart(dtype, exact):
    assert int(json_to_array("x", -exact, TensorSpec(dtype, ()))) == -exact
    with pytest.raises(ServingError, match="cannot hold without loss of precision"):
        json_to_array("x", exact + 1, TensorSpec(dtype, ()))


def test_names_that_end_in_bytes_are_answered_in_base64():
    array = np.array([b"\xff"], object)
    assert array_to_json("x_bytes", array) == [{"b64": "/w=="}]
    with pytest.raises(ServingError, match="FAILED_PRECONDITION: Output 'x' holds bytes that are not UTF-8"):
        array_to_json("x", array)


def test_dtypes_json_does_not_carry_are_named():
    with pytest.raises(ServingError, match="UNIMPLEMENTED: Output 'x' has dtype complex64"):
        array_to_json("x", np.zeros(1, np.complex64))
    with pytest.raises(ServingError, match="UNIMPLEMENTED: Input 'x' has dtype bfloat16"):
        json_to_array("x", [1.0], TensorSpec("bfloat16", (None,)))


def test_rows_and_columns_of_one_and_of_two_outputs():
    one = {"a": np.array([[1, 2], [3, 4]])}
    two = {**one, "b": np.array([True, False])}
    assert arrays_to_rows(one) == arrays_to_columns(one) == [[1, 2], [3, 4]]
    assert arrays_to_rows(two) == [{"a": [1, 2], "b": True}, {"a": [3, 4], "b": False}]
    assert arrays_to_columns(two) == {"a": [[1, 2], [3, 4]], "b": [True, False]}


@pytest.mark.parametrize("odd", [np.zeros(3), np.zeros(())])
def test_rows_need_one_batch_dimension(odd):
    with pytest.raises(ServingError, match="INVALID_ARGUMENT: Outputs must share a batch dimension"):
        arrays_to_rows({"a": np.zeros(2), "b": odd})


SIGNATURE = Signature(
    "fuzzed",
    inputs={
        "a": TensorSpec("float32", (None,)),
        "b": TensorSpec("string", (None, None)),
        "c": TensorSpec("int8", None),
    },
    outputs={},
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just({"b64": "YQ=="})
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abcd"), inner))
NAMED = st.fixed_dictionaries({"a": VALUES, "b": VALUES, "c": VALUES})


@settings(deadline=None)
@given(VALUES | NAMED | st.lists(NAMED))
def test_any_json_becomes_arrays_of_the_right_dtype_or_a_serving_error(value):
    for read in (rows_to_arrays, columns_to_arrays):
        try:
            arrays = read(value, SIGNATURE)
        except ServingError as error:
            assert error.code == "INVALID_ARGUMENT"
        else:
            assert {name: dtype_name(array) for name, array in arrays.items()} == {
                "a": "float32",
                "b": "string",
                "c": "int8",
            }
