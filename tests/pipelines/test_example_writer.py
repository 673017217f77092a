"""Records written byte by byte are what TensorFlow reads."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmtl.preprocessing.writing.example_writer import (
    bytes_column,
    float_column,
    int_column,
    join_columns,
    list_column,
    pack_ints,
    value_column,
)

_SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)
_INTS = st.integers(0, 2**40) | st.sampled_from([0, 1, 127, 128, 16383, 16384, 2**21, 2**28, 2**35, 2**40])
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_ROWS = st.lists(
    st.tuples(_INTS, st.floats(width=32), st.none() | _TEXTS, st.lists(_INTS, max_size=30)), min_size=1, max_size=12
)


def _write(rows: list[tuple], keys: tuple[str, str, str, str] = ("i", "f", "b", "l")) -> list[bytes]:
    ints, floats, texts, lists = zip(*rows, strict=True)
    offsets = np.concatenate([[0], np.cumsum([len(values) for values in lists])]).astype(np.int64)
    flat = np.array([value for values in lists for value in values], np.int64)
    return join_columns(
        [
            int_column(keys[0], np.array(ints, np.int64)),
            float_column(keys[1], np.array(floats, np.float32)),
            bytes_column(keys[2], pa.array(texts, pa.string())),
            list_column(keys[3], pack_ints(flat), offsets[:-1], offsets[1:]),
        ]
    ).to_pylist()


def _check(rows: list[tuple], keys: tuple[str, str, str, str] = ("i", "f", "b", "l")) -> None:
    for (number, real, text, values), record in zip(rows, _write(rows, keys), strict=True):
        feature = tf.train.Example.FromString(record).features.feature
        absent = {keys[1]} if np.isnan(real) else set()
        absent |= {keys[2]} if text is None else set()
        assert set(feature) == set(keys) - absent
        assert list(feature[keys[0]].int64_list.value) == [number]
        assert list(feature[keys[3]].int64_list.value) == values
        if keys[1] not in absent:
            assert np.array(feature[keys[1]].float_list.value, np.float32).tobytes() == np.float32(real).tobytes()
        if keys[2] not in absent:
            assert list(feature[keys[2]].bytes_list.value) == [text.encode()]


@_SETTINGS
@given(rows=_ROWS)
def test_values_come_back(rows: list[tuple]) -> None:
    _check(rows)


@settings(_SETTINGS, max_examples=40)
@given(rows=_ROWS, keys=st.lists(_TEXTS, min_size=4, max_size=4, unique=True).map(tuple))
def test_any_key_is_possible(rows: list[tuple], keys: tuple[str, str, str, str]) -> None:
    _check(rows, keys)


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 129, 16_383, 16_384, 20_000])
def test_lengths_around_the_steps_of_a_varint(length: int) -> None:
    _check([(length, 0.5, "x" * length, list(range(length))), (0, -0.0, "", [])])


def test_a_missing_number_is_left_out() -> None:
    columns = [float_column("f", np.array([np.nan], np.float32)), bytes_column("b", pa.array([None], pa.string()))]
    [record] = join_columns(columns).to_pylist()
    assert not tf.train.Example.FromString(record).features.feature


def test_ranges_may_overlap_repeat_and_be_empty() -> None:
    values = np.array([1, 300, 70_000, 0, 2**40], np.int64)
    starts, stops = np.array([0, 1, 0, 2, 5, 4]), np.array([3, 3, 5, 2, 5, 5])
    records = join_columns([list_column("l", pack_ints(values), starts, stops)]).to_pylist()
    read = [list(tf.train.Example.FromString(r).features.feature["l"].int64_list.value) for r in records]
    assert read == [values[a:b].tolist() for a, b in zip(starts, stops, strict=True)]


def test_a_part_of_a_text_column() -> None:
    """Arrow arrays may begin in the middle of their buffers."""
    texts = pa.array(["zero", "one", None, "three"], pa.string())[1:]
    records = join_columns([bytes_column("b", texts)]).to_pylist()
    read = [tf.train.Example.FromString(record).features.feature["b"].bytes_list.value[:] for record in records]
    assert read == [[b"one"], [], [b"three"]]


def test_the_same_values_give_the_same_bytes_wherever_they_stand() -> None:
    rows = [(3, 1.5, "a", [1, 2**40]), (2**33, float("inf"), None, []), (3, 1.5, "a", [1, 2**40])]
    first = _write(rows)
    assert first == _write(rows)
    assert first[::-1] == _write(rows[::-1])
    assert first[0] == first[2] == _write(rows[:1])[0]


def test_no_rows() -> None:
    none = np.array([], np.int64)
    columns = [
        int_column("i", none),
        float_column("f", np.array([], np.float32)),
        bytes_column("b", pa.array([], pa.string())),
        list_column("l", pack_ints(none), none, none),
    ]
    assert join_columns(columns).to_pylist() == []


def test_columns_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="must have equal numbers of rows"):
        join_columns([int_column("a", np.array([1, 2])), int_column("b", np.array([1]))])


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_pixels_are_one_text_of_bytes(rows: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (rows, 2, 3, 1), dtype=np.uint8)
    records = join_columns([value_column("p", pixels)]).to_pylist()
    found = [tf.train.Example.FromString(record).features.feature["p"].bytes_list.value for record in records]
    assert found == [[each.tobytes()] for each in pixels]
