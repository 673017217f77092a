"""What a client's features are sent as."""

import numpy as np
import pytest

from serving.feature_arrays import cast_arrays, make_feature_arrays
from serving.signature import TensorSpec


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, 2], np.array([1.5, 2.0], np.float32)),
        ([1, 2], np.array([1, 2], np.int64)),
        ((True, False), np.array([True, False])),
        ([np.float64(1.5), np.int32(2)], np.array([1.5, 2.0], np.float32)),
        (np.array([1.5]), np.array([1.5])),
        (np.array([1], np.int32), np.array([1], np.int32)),
        (["ö", b"a\x00"], np.array(["ö".encode(), b"a\x00"], object)),
        (np.array(["ab", "c"]), np.array([b"ab", b"c"], object)),
        (np.array([["a"], ["b"]], object), np.array([[b"a"], [b"b"]], object)),
        ("text", np.array(b"text", object)),
        (3, np.array(3, np.int64)),
    ],
)
def test_dtypes_and_shapes(values, expected):
    array = make_feature_arrays({"x": values})["x"]
    assert array.dtype == expected.dtype and array.shape == expected.shape
    assert array.tolist() == expected.tolist()


@pytest.mark.parametrize("values", [[[1], [1, 2]], [["a"], "b"], [np.zeros(2), np.zeros(3)]])
def test_ragged_features_are_refused(values):
    with pytest.raises(ValueError, match=r"predict: feature 'tags' must hold lists of one length at each depth"):
        make_feature_arrays({"tags": values})


@pytest.mark.parametrize(
    ("values", "types"),
    [([1.0, None], "NoneType', 'float"), ([1, "a"], "int', 'str"), ([True, 1], "bool', 'int"), ([{}], "dict")],
)
def test_mixed_features_are_refused(values, types):
    with pytest.raises(TypeError, match=f"predict: feature 'age' must hold numbers.*Received: types \\['{types}'\\]"):
        make_feature_arrays({"age": values})


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([10], "float32", np.float32([10])),
        ([2**24], "float32", np.float32([2**24])),
        ([1.5], "float64", np.array([1.5])),
        (np.array([39.1]), "float32", np.float32([39.1])),
        (np.array([7], np.int32), "int64", np.array([7])),
        ([7], "int8", np.array([7], np.int8)),
        ([[]], "float32", np.empty((1, 0), np.float32)),
        ([[], []], "int64", np.empty((2, 0), np.int64)),
        (np.empty((0, 3)), "string", np.empty((0, 3), object)),
        ([[]], "string", np.empty((1, 0), object)),
    ],
)
def test_arrays_take_the_models_dtype(values, dtype, expected):
    array = cast_arrays(make_feature_arrays({"x": values}), {"x": TensorSpec(dtype, None)})["x"]
    assert array.dtype == expected.dtype and array.shape == expected.shape
    assert array.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1.5], "int64"),
        ([1.0], "int64"),
        ([2**24 + 1], "float32"),
        ([300], "int8"),
        ([-1], "uint8"),
        ([True], "float32"),
        (["1"], "float32"),
        ([1], "string"),
        ([1], "bfloat16"),
    ],
)
def test_what_would_change_is_left_to_the_servers_refusal(values, dtype):
    arrays = make_feature_arrays({"x": values})
    assert cast_arrays(arrays, {"x": TensorSpec(dtype, None)})["x"] is arrays["x"]
    assert cast_arrays(arrays, {})["x"] is arrays["x"]
