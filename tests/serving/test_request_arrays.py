"""What a client's rows, columns, frames and Arrow tables are sent as, and what is refused before it is sent."""

import decimal
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tfmtl.serving.client.request_arrays import predict_arrays, rank_arrays
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.protocol.signature import Signature, TensorSpec
from tfmtl.serving.serving_error import ServingError
from tfmtl.values.feature_arrays import RequestError, make_array

NAN = float("nan")
SPECS = {
    "item": TensorSpec("string", (None,)),
    "price": TensorSpec("float32", (None,)),
    "tags": TensorSpec("string", (None, None)),
    "viewed__item": TensorSpec("string", (None, None)),
    "viewed__time": TensorSpec("int64", (None, None)),
    "time": TensorSpec("int64", (None,)),
}
SIGNATURE = Signature("serving_default", SPECS, {})
ROWS = [
    {"item": "i1", "price": 2, "tags": [], "viewed__item": ["i2", "i3"], "viewed__time": [5, 7], "time": 9},
    {"item": "ö", "price": NAN, "tags": ["a", "b"], "viewed__item": ["i4"], "viewed__time": [3], "time": 2**40},
]
COLUMNS: dict[str, Any] = {name: [row[name] for row in ROWS] for name in SPECS}
EXPECTED = {
    "item": np.array([b"i1", "ö".encode()], object),
    "price": np.array([2.0, NAN], np.float32),
    "tags": np.array([[b"", b""], [b"a", b"b"]], object),
    "viewed__item": np.array([[b"i2", b"i3"], [b"i4", b""]], object),
    "viewed__time": np.array([[5, 7], [3, 0]], np.int64),
    "time": np.array([9, 2**40], np.int64),
}


def changed(row: int, **features: Any) -> list[dict[str, Any]]:
    """The rows with one of them changed; a value of `...` takes the feature out."""
    rows = [dict(each) for each in ROWS]
    rows[row] = {name: value for name, value in {**rows[row], **features}.items() if value is not ...}
    return rows


EXTRA_ROWS: list[dict[str, Any]] = [{**ROWS[0], "label": {"any": "thing"}}, {**ROWS[1], "user": b"u1"}]


@pytest.mark.parametrize(
    "features",
    [
        EXTRA_ROWS,
        {**COLUMNS, "label": object()},
        pd.DataFrame(ROWS).assign(label=1, user="u"),
        pa.Table.from_pylist(ROWS).append_column("label", pa.nulls(2)),
    ],
    ids=["rows", "columns", "pandas", "arrow"],
)
def test_what_the_model_does_not_know_is_left_out_where_asked(features: Any) -> None:
    arrays = predict_arrays(features, SIGNATURE, ignore_extra=True)
    assert list(arrays) == list(SPECS)
    for name, expected in EXPECTED.items():
        np.testing.assert_array_equal(arrays[name], expected)
    with pytest.raises(FeatureError, match="'label' is not an input"):
        predict_arrays(features, SIGNATURE)


def test_a_misspelled_name_is_a_missing_one_where_others_are_left_out() -> None:
    with pytest.raises(FeatureError, match="input 'price' is missing") as caught:
        predict_arrays(changed(1, price=..., prise=2.0), SIGNATURE, ignore_extra=True)
    assert caught.value.row == 1


@pytest.mark.parametrize(
    "features",
    [
        ROWS,
        tuple(ROWS),
        COLUMNS,
        {**COLUMNS, "price": np.array([2.0, NAN]), "time": np.array(COLUMNS["time"]), "item": np.array(["i1", "ö"])},
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS).astype({"item": "string", "time": "Int64"}),
        pd.DataFrame(ROWS).astype({"item": "category"}).set_index(pd.Index([7, 7])),
        dict(pd.DataFrame(ROWS).items()),
        pa.Table.from_pylist(ROWS),
        pa.RecordBatch.from_pylist(ROWS),
        pa.concat_tables(map(pa.Table.from_pylist, (ROWS[:1], ROWS[1:])), promote_options="permissive"),
        {name: pa.array(values) for name, values in COLUMNS.items()},
    ],
    ids="rows tuple columns arrays pandas pandas_extension pandas_index series table batch chunks arrow".split(),
)
def test_every_form_becomes_the_same_arrays(features: Any) -> None:
    arrays = predict_arrays(features, SIGNATURE)
    assert set(arrays) == set(EXPECTED)
    for name, expected in EXPECTED.items():
        assert (arrays[name].dtype, arrays[name].shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(arrays[name], expected)


@pytest.mark.parametrize(
    ("features", "feature", "row", "message"),
    [
        (changed(1, price=...), "price", 1, "row 1: Signature 'serving_default': input 'price' is missing. Expected: "
         "dtype float32, shape (?)."),
        (changed(1, prise=1.0), "prise", 1, "row 1: Signature 'serving_default': 'prise' is not an input."),
        (changed(0, prise=1.0), "prise", 0, "Did you mean 'price'?"),
        ({**COLUMNS, "user_id": ["u"]}, "user_id", None, "'user_id' is not an input."),
        (changed(1, price="12"), "price", 1, "row 1: feature 'price' must be a number, NaN where it is missing "
         "(float32). Received: '12' (str)."),
        (changed(1, price=None), "price", 1, "Received: None (NoneType). A null is not sent: fill it in."),
        (changed(1, price=True), "price", 1, "Received: True (bool)."),
        (changed(1, price=[1.0]), "price", 1, "Received: [1.0] (list)."),
        (changed(0, price=2**24 + 1), "price", 0, "Received: 16777217 (int). It does not fit without loss: give it as "
         "a float, to have it rounded."),
        (changed(0, price=1e39), "price", 0, "Received: 1e+39 (float)."),
        (changed(0, price=10**400), "price", 0, "feature 'price' must be a number"),
        (changed(1, item=NAN), "item", 1, 'Received: nan (float). Fill it in with "".'),
        (changed(1, item="\ud800"), "item", 1, "feature 'item' must be text"),
        (changed(1, time=NAN), "time", 1, "row 1: feature 'time' must be a whole number (int64). Received: nan (float)."
         " NaN is for features of floats: fill it in."),
        (changed(1, time=2.0), "time", 1, "Received: 2.0 (float). Cast it, if it is whole."),
        (changed(1, time=2**63), "time", 1, "Received: 9223372036854775808 (int)."),
        (changed(1, tags="red"), "tags", 1, "must be a list of text, [] where it is missing (string). Received: 'red' "
         "(str)."),
        (changed(0, tags=None), "tags", 0, "row 0: feature 'tags' must be a list of text"),
        (changed(1, tags=["a", None]), "tags", 1, "must hold text, \"\" where it is missing (string). Received: None"),
        (changed(1, tags=["a", ["b"]]), "tags", 1, "Received: ['b'] (list)."),
        (changed(0, viewed__time=[5]), "viewed__time", 0, "row 0: feature 'viewed__time' must have a value for each of "
         "the 2 events of 'viewed__item'. Received: 1 values."),
        ({**COLUMNS, "time": [1]}, "time", None, "Received: 1 rows of 'time', 2 of ['item'"),
        ({**COLUMNS, "time": 1}, "time", None, "must be a list with a whole number a row. Received: int."),
        ({**COLUMNS, "item": "i1"}, "item", None, "must be a list with text a row. Received: str."),
        ({**COLUMNS, "time": np.array([1.0, NAN])}, "time", 1, "Received: nan (float). NaN is for features of floats"),
        ({**COLUMNS, "time": np.array([1.0, 2.0])}, "time", 0, "Received: 1.0 (float). Cast it, if it is whole."),
        ({**COLUMNS, "price": np.array([1, 2**24 + 1])}, "price", 1, "Received: 16777217 (int)."),
        ({**COLUMNS, "price": np.array([1.0, 1e300])}, "price", 1, "Received: 1e+300 (float)."),
        ({**COLUMNS, "price": np.array([True, False])}, "price", 0, "Received: True (bool)."),
        ({**COLUMNS, "item": np.array([1.0, NAN])}, "item", 1, "(string). Received: nan (float)."),
        ({**COLUMNS, "price": np.zeros((2, 2))}, "price", None, "must have shape (?). Received: shape (2, 2)."),
        ({**COLUMNS, "time": np.zeros(2, "M8[s]")}, "time", None, "Received: datetime64[s]."),
        (pd.DataFrame(changed(1, item=None)), "item", 1, "Received: None (NoneType)."),
        (pd.DataFrame(ROWS).astype({"item": "string"}).replace("i1", pd.NA), "item", 0, "Received: <NA> (NAType)."),
        (pd.DataFrame(changed(1, time=None)), "time", 1, "Received: nan (float)."),
        (pd.DataFrame([[1, 2]], columns=["time", "time"]), "time", None, "must be one column. Received: several"),
        (pa.Table.from_pylist(changed(1, price=None)), "price", 1, "Received: None (NoneType)."),
        (pa.Table.from_pylist(changed(0, time=None)), "time", 0, "Received: None (NoneType)."),
        (pa.Table.from_pylist(ROWS).drop_columns(["time"]), "time", None, "input 'time' is missing."),
    ],
)  # fmt: skip
def test_refused(features: Any, feature: str, row: int | None, message: str) -> None:
    with pytest.raises(FeatureError) as caught:
        predict_arrays(features, SIGNATURE)
    assert message in caught.value.message
    assert (caught.value.feature, caught.value.row, caught.value.code) == (feature, row, "INVALID_ARGUMENT")
    assert isinstance(caught.value, ServingError) and isinstance(caught.value, ValueError)


def test_no_rows_and_no_features() -> None:
    with pytest.raises(ServingError, match=r"there must be at least one row. Received: an empty list"):
        predict_arrays([], SIGNATURE)
    with pytest.raises(ServingError, match=r"row 1: a row must be a dict of features. Received: str"):
        predict_arrays([ROWS[0], "x"], SIGNATURE)
    with pytest.raises(TypeError, match=r"`features` must be a list of dicts.*Received: str"):
        predict_arrays("x", SIGNATURE)


# === One user's candidates ===

RANK = Signature(
    "rank",
    {name: spec if name in ("item", "price") else TensorSpec(spec.dtype, (1, *spec.shape[1:]))
     for name, spec in SPECS.items() if spec.shape is not None},
    {},
)  # fmt: skip
USER = {name: value for name, value in ROWS[0].items() if name not in ("item", "price")}
ITEMS = [{"item": f"i{number}", "price": float(number)} for number in range(3)]


@pytest.mark.parametrize("items", [ITEMS, pd.DataFrame(ITEMS), pa.Table.from_pylist(ITEMS)])
def test_rank(items: Any) -> None:
    arrays = rank_arrays(USER, items, RANK)
    assert {name: array.shape for name, array in arrays.items()} == {
        "item": (3,), "price": (3,), "tags": (1, 0), "viewed__item": (1, 2), "viewed__time": (1, 2), "time": (1,),
    }  # fmt: skip
    assert arrays["item"].tolist() == [b"i0", b"i1", b"i2"]
    assert arrays["viewed__time"].tolist() == [[5, 7]]
    assert arrays["tags"].dtype == object


def test_rank_leaves_out_what_the_model_does_not_know_but_not_the_other_side() -> None:
    arrays = rank_arrays({**USER, "label": 1}, [{**item, "place": 3} for item in ITEMS], RANK, ignore_extra=True)
    expected = rank_arrays(USER, ITEMS, RANK)
    assert {name: array.tolist() for name, array in arrays.items()} == {n: a.tolist() for n, a in expected.items()}
    with pytest.raises(FeatureError, match="must be given with the candidates"):
        rank_arrays({**USER, "price": 1.0}, ITEMS, RANK, ignore_extra=True)


@pytest.mark.parametrize(
    ("user", "items", "feature", "row", "message"),
    [
        ({**USER, "price": 1.0}, ITEMS, "price", None, "user: feature 'price' must be given with the candidates"),
        (USER, [{**ITEMS[0], "time": 3}], "time", 0, "candidate 0: feature 'time' must be given with the user"),
        ({**USER, "tim": 1}, ITEMS, "tim", None, "user: Signature 'rank': 'tim' is not an input."),
        ({k: v for k, v in USER.items() if k != "time"}, ITEMS, "time", None, "user: Signature 'rank': input 'time'"),
        ({**USER, "time": NAN}, ITEMS, "time", 0, "user: feature 'time' must be a whole number"),
        ({**USER, "viewed__time": [1]}, ITEMS, "viewed__time", 0, "user: feature 'viewed__time' must have a value for"),
        (USER, [ITEMS[0], {"item": "i1", "price": "3"}], "price", 1, "candidate 1: feature 'price' must be a number"),
        (USER, [ITEMS[0], {"item": "i1"}], "price", 1, "candidate 1: Signature 'rank': input 'price' is missing."),
    ],
)
def test_rank_refused(user: Any, items: Any, feature: str, row: int | None, message: str) -> None:
    with pytest.raises(FeatureError) as caught:
        rank_arrays(user, items, RANK)
    assert caught.value.message.startswith(message)
    assert (caught.value.feature, caught.value.row) == (feature, row)


def test_arrow_columns_of_every_type() -> None:
    coded = pa.array(["i1", "ö"]).dictionary_encode()
    views = pa.array([["i2", "i3"], ["i4"]], pa.list_(pa.string_view()))
    frame = pa.table(
        {
            **pa.Table.from_pylist(ROWS).to_pydict(),
            "item": pa.chunked_array([coded[:1], coded[1:]]),
            "price": pa.array([2.0, NAN], pa.float16()),
            "tags": pa.array([[], ["a", "b"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
            "viewed__item": views,
        }
    )
    for features in (frame, frame.combine_chunks().to_batches()[0]):
        arrays = predict_arrays(features, SIGNATURE)
        for name, expected in EXPECTED.items():
            np.testing.assert_array_equal(arrays[name], expected)
    decimals = pa.table({"x": pa.array([decimal.Decimal("101.00"), decimal.Decimal("2.50")])})
    signature = Signature("serving_default", {"x": TensorSpec("string", (None,))}, {})
    assert predict_arrays(decimals, signature)["x"].tolist() == [b"101", b"2.5"]


# === Any dtype and shape ===


@pytest.mark.parametrize(
    ("values", "dtype", "shape", "expected"),
    [
        ([1.5, 2], "float32", (None,), np.array([1.5, 2.0], np.float32)),
        ([10, 2**24], "float32", (None,), np.float32([10, 2**24])),
        ([16777217.0], "float32", (None,), np.float32([16777216])),
        ([np.float64(1.5), np.int32(2)], "float64", (None,), np.array([1.5, 2.0])),
        ([math.inf, -math.inf], "float16", (None,), np.array([math.inf, -math.inf], np.float16)),
        (np.array([39.1]), "float32", (None,), np.float32([39.1])),
        (np.array([7], np.int32), "int64", (None,), np.array([7])),
        ([7], "int8", (None,), np.array([7], np.int8)),
        ([2**64 - 1], "uint64", (None,), np.array([2**64 - 1], np.uint64)),
        ((True, np.False_), "bool", (None,), np.array([True, False])),
        ([[]], "float32", (None, None), np.empty((1, 0), np.float32)),
        ([[], [1.5]], "float32", (None, None), np.array([[NAN], [1.5]], np.float32)),
        (np.empty((0, 3)), "string", (None, 3), np.empty((0, 3), object)),
        ([[1, 2], [3, 4]], "int64", (None, 2), np.array([[1, 2], [3, 4]])),
        ([np.array([1]), np.array([2, 3])], "int64", (None, None), np.array([[1, 0], [2, 3]])),
        ([[[1], []], [[2, 3]]], "int64", (None, None, None), np.array([[[1, 0], [0, 0]], [[2, 3], [0, 0]]])),
        ("text", "string", (), np.array(b"text", object)),
        (3, "int64", (), np.array(3)),
        ([7, 7.0, 2.5, True, np.float32(0.1)], "string", (None,), np.array([b"7", b"7", b"2.5", b"1", b"0.1"], object)),
        (np.array([1e10 + 1, 2.5]), "string", (None,), np.array([b"10000000001", b"2.5"], object)),
        (np.array([[True, False]]), "string", (None, None), np.array([[b"1", b"0"]], object)),
        (["a", b"a\x00"], "string", None, np.array([b"a", b"a\x00"], object)),
        ([[1.0], [2.0]], "float32", None, np.float32([[1.0], [2.0]])),
    ],
)  # fmt: skip
def test_arrays_take_the_models_dtype(values: Any, dtype: str, shape: Any, expected: np.ndarray) -> None:
    array = make_array("x", values, TensorSpec(dtype, shape))
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("values", "dtype", "shape", "message"),
    [
        ([300], "int8", (None,), "row 0: feature 'x' must be a whole number (int8). Received: 300 (int)."),
        (np.array([1, -1]), "uint64", (None,), "row 1: feature 'x' must be a whole number (uint64). Received: -1"),
        (np.array([2**63], np.uint64), "int64", (None,), "Received: 9223372036854775808 (int)."),
        ([1], "bool", (None,), "row 0: feature 'x' must be True or False (bool). Received: 1 (int)."),
        ([[True], [True, False]], "bool", (None, None), "row 0: feature 'x' must hold 2 values, as other rows do. "
         "Received: 1."),
        ([[1, 2], [3]], "int64", (None, 2), "row 1: feature 'x' must hold 2 values. Received: 1."),
        ([[1], [2]], "int64", (1, None), "row 0: feature 'x' must hold 1 rows. Received: 2."),
        ([1], "bfloat16", (None,), "predict: feature 'x' has dtype bfloat16, which cannot be sent."),
    ],
)  # fmt: skip
def test_what_would_change_is_refused(values: Any, dtype: str, shape: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        make_array("x", values, TensorSpec(dtype, shape))
    assert message in str(caught.value)
