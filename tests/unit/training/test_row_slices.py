"""Slices of a split: the rows of the log that they stand for."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_log
from tfmtl.data import PreparedData
from tfmtl.features.decoded import UNKNOWN, decode_buckets, decode_fixed, decode_texts, rounded
from tfmtl.features.fixed_scales import count_twice, share_twice, signed_twice
from tfmtl.schema.problem_error import ProblemError
from tfmtl.training.row_slices import RowSlice, check_slices, slice_rows

TEST = slice(480, None)  # the last fifth by time, which is the log's order


def test_names_and_conditions_are_told_apart() -> None:
    read = {
        text: (found.name, found.column, found.condition and found.condition.text)
        for text in ("country", "`Unit price`", "price < 5", "new users: viewed_count < 5", "a == 'x:y'")
        for found in [RowSlice.read(text)]
    }
    assert read == {
        "country": ("country", "country", None),
        "`Unit price`": ("Unit price", "Unit price", None),
        "price < 5": ("price < 5", None, "price < 5"),
        "new users: viewed_count < 5": ("new users", None, "viewed_count < 5"),
        "a == 'x:y'": ("a == 'x:y'", None, "a == 'x:y'"),
    }
    with pytest.raises(ProblemError, match="cannot read"):
        RowSlice.read("new users: __import__('os').remove")


def test_slices_hold_the_rows_of_the_log(tiny_data: PreparedData) -> None:
    log = tiny_log().to_pandas().iloc[TEST]
    price = tiny_data.statistics.boundaries["price"][1]
    expected: dict[str, Any] = {
        "topic == 't1'": log.topic == "t1",
        f"topic in ('t0', 't2') and not price >= {price!r}": log.topic.isin(["t0", "t2"]) & (log.price < price),
        "views >= 27": log.views >= 27,
        "views == 3 or views == 243": log.views.isin([3, 243]),
        f"price < {price!r}": log.price < price,
        "age < 30 and age != 25": (log.age.fillna(log.age.mean()) < 30) & (log.age != 25),
    }
    found = slice_rows(tiny_data, "test", [RowSlice.read(text) for text in expected])
    labels = tiny_data.split("test", 200)
    clicks = np.concatenate([batch["click"].numpy() for _, batch, _ in labels])
    for text, rows in expected.items():
        [mask] = found[text].values()
        known = log.click[rows]
        if text.startswith("age"):  # of a missing age records hold the mean of the training split
            assert abs(mask.sum() - rows.sum()) <= log.age.isna().sum()
            continue
        assert mask.sum() == rows.sum(), text
        assert np.nansum(clicks[mask]) == np.nansum(known), text


def test_a_column_is_cut_into_its_values(tiny_data: PreparedData) -> None:
    log = tiny_log().to_pandas().iloc[TEST]
    found = slice_rows(tiny_data, "test", [RowSlice.read(text) for text in ("topic", "user", "age", "item")])
    topics = {part: int(rows.sum()) for part, rows in found["topic"].items()}
    assert topics == {**log.topic.value_counts().to_dict(), "missing": int(log.topic.isna().sum())}
    assert len(found["user"]) == 11 and "all others" in found["user"]
    assert sum(name.startswith(("below", "from")) or " to below " in name for name in found["age"]) == 4
    assert len(found["item"]) == 11
    for parts in found.values():
        np.testing.assert_array_equal(np.sum(list(parts.values()), axis=0), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contry", "must name columns of the problem. Received: 'contry'."),
        ("topik == 't1'", "Did you mean 'topic'?"),
        ("device == 'd1'", "'device', which is hashed or a list"),
        ("tags", "'tags', which is hashed or a list"),
    ],
)
def test_columns_that_are_not_there(tiny_data: PreparedData, text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_slices(tiny_data, [RowSlice.read(text)])
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("price < 2.25", "by < or >= with a boundary of them. Received: 'price < 2.25'. Boundaries near it: ["),
        ("price == 3", "by < or >="),
        ("topic == 't9'", "must compare 'topic' with values of its vocabulary. Received: 't9'."),
        ("age == 'old'", "must compare 'age', a number, with numbers"),
    ],
)
def test_what_records_do_not_tell(tiny_data: PreparedData, text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        slice_rows(tiny_data, "test", [RowSlice.read(text)])
    assert message in str(caught.value)


def test_a_name_twice_is_refused(tiny_data: PreparedData) -> None:
    with pytest.raises(ValueError, match="must give every name once"):
        check_slices(tiny_data, [RowSlice.read("a: age < 3"), RowSlice.read("a: age < 4")])


def test_derived_numbers_are_read_back() -> None:
    counts = np.array([0, 1, 4, 5, 1000, 86_400 * 365])
    none = counts == 0
    encoded = {key: value.numpy() for key, value in count_twice("n", tf.constant(counts), tf.constant(none)).items()}
    assert decode_fixed(encoded, "n", "count").values.to_pylist()[:5] == [None, 1.0, 4.0, 5.0, 1000.0]
    with_zero = decode_fixed(encoded, "n", "count", zero_if_none=True).values.to_numpy()
    np.testing.assert_allclose(with_zero, counts, rtol=1e-5)
    values = np.array([-3.5, 0.0, 0.1, 12345.0, np.nan])
    encoded = {key: value.numpy() for key, value in signed_twice("n", tf.constant(values)).items()}
    found = decode_fixed(encoded, "n", "signed").values
    assert found.to_pylist()[-1] is None
    np.testing.assert_allclose(found.to_pylist()[:-1], values[:-1], rtol=1e-5, atol=1e-6)
    encoded = {key: value.numpy() for key, value in share_twice("n", tf.constant([1]), tf.constant([3])).items()}
    assert decode_fixed(encoded, "n", "share").values.to_pylist() == [0.333333]


def test_texts_and_buckets_are_read_back() -> None:
    ids = np.array([0, 1, 2, 3], np.int32)
    assert decode_texts(ids, ("a", "b")).values.to_pylist() == [None, UNKNOWN, "a", "b"]
    assert decode_buckets(ids, (1.5,)).values.to_pylist() == [None, -np.inf, -np.inf, 1.5]
    assert rounded(np.array([np.float32(0.1), 0.0, -1234567.0])).tolist() == [0.1, 0.0, -1234570.0]
