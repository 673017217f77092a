"""Vectors: how columns are read, what is fitted, what the model reads and makes of it, against plain NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.support.tiny_problem import tiny_problem
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features import behavior_of
from tfmtl.features.feature_behavior import FEATURE, FittedState
from tfmtl.features.vector_fields import VectorFields
from tfmtl.features.vector_moments import count_mantissas, moments_of
from tfmtl.preprocessing.fitting.analyze import merge_counts
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.preprocessing.reading.vector_columns import read_vectors
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.feature_guess import guess_feature
from tfmtl.schema import ProblemError, SequenceFeature, VectorFeature
from tfmtl.values.plain_arrow import plain

NAN, INF = float("nan"), float("inf")

# === Columns ===

GOOD = [[1.0, 2.0], None, [], [NAN, NAN], [-0.5, 3e38]]
READ = [[1.0, 2.0], None, None, None, [-0.5, float(np.float32(3e38))]]


def read(column: pa.Array, separator: str = "|") -> tuple[list[Any], list[tuple[int, str]]]:
    rejections = Rejections(len(column))
    found = read_vectors("v", plain(column), 2, separator, rejections)
    assert found.type == pa.list_(pa.float32())
    return found.to_pylist(), rejections.reasons


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: pa.array(rows, pa.list_(pa.float64())),
        lambda rows: pa.array(rows, pa.large_list(pa.float32())),
        lambda rows: pa.array(rows, pa.list_view(pa.float64())),
        lambda rows: pa.array([row or None for row in rows], pa.list_(pa.float64(), 2)),
        lambda rows: pa.array([row and [str(x) for x in row] for row in rows], pa.list_(pa.string())),
        lambda rows: pa.array(["|".join(map(str, row or [])) for row in rows], pa.string()),
        lambda rows: pa.array([str(row or []).replace(", ", "|") for row in rows], pa.string()),
    ],
    ids=["list", "large_list", "list_view", "fixed_size", "texts", "joined", "brackets"],
)
def test_every_type_of_column_is_read_alike(make: Callable[[list[Any]], pa.Array]) -> None:
    found, reasons = read(make(GOOD))
    assert found == READ
    assert reasons == []


@pytest.mark.parametrize("size", [-1, 2])
def test_slices_are_read_from_where_they_begin(size: int) -> None:
    column = pa.array([[9.0, 9.0], *(row or None for row in GOOD)], pa.list_(pa.float64(), size))
    assert read(column.slice(1))[0] == READ


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1.0], "column 'v' is not 2 numbers long: 1"),
        ([1.0, 2.0, 3.0], "column 'v' is not 2 numbers long: 3"),
        ([1.0, NAN], "column 'v' holds NaN or an infinity"),
        ([1.0, None], "column 'v' holds NaN or an infinity"),
        ([INF, 1.0], "column 'v' holds NaN or an infinity"),
        ([1e39, 1.0], "column 'v' holds NaN or an infinity"),  # beyond float32, in which requests carry it
    ],
)
def test_a_row_that_is_no_vector_is_rejected_with_the_reason(value: list[Any], reason: str) -> None:
    found, reasons = read(pa.array([[1.0, 2.0], value, [3.0, 4.0]], pa.list_(pa.float64())))
    assert reasons == [(1, reason)]
    assert found == [[1.0, 2.0], None, [3.0, 4.0]]


def test_text_that_is_no_number_is_rejected() -> None:
    assert read(pa.array(["1|2", "1|x", "1 | 2"]))[1] == [(1, "column 'v' holds something that is no number")]


# === Moments ===

_numbers = st.floats(-(2.0**60), 2.0**60, width=32) | st.sampled_from([0.0, -0.0, 1e-45, -1e-38, 3.4e38, -3.4e38])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    vectors=arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=_numbers), seed=st.integers(0, 999)
)
def test_moments_do_not_depend_on_order_or_cuts(vectors: np.ndarray, seed: int) -> None:
    generator = np.random.default_rng(seed)
    expected = moments_of(count_mantissas(vectors), 3)
    shuffled = vectors[generator.permutation(len(vectors))]
    cuts = np.sort(generator.integers(0, len(vectors), 3))
    parts = [count_mantissas(part) for part in np.split(shuffled, cuts)]
    order = generator.permutation(len(parts)).tolist()
    merged = merge_counts([merge_counts([parts[i] for i in order[:2]]), *(parts[i] for i in order[2:])])
    assert moments_of(merged, 3) == expected


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_moments_are_those_of_numpy(offset: float) -> None:
    vectors = (np.random.default_rng(1).normal(size=(5000, 4)) * [1.0, 3.0, 100.0, 0.0] + offset).astype(np.float32)
    mean, deviation = moments_of(count_mantissas(vectors), 4)
    rounding = np.abs(vectors).max(axis=0) * 2.0**-17
    assert (np.abs(np.array(mean) - vectors.mean(axis=0, dtype=np.float64)) <= rounding).all()
    assert (np.abs(np.array(deviation) - vectors.std(axis=0, dtype=np.float64)) <= rounding).all()


def test_without_vectors_the_moments_change_nothing() -> None:
    assert moments_of(None, 2) == ([0.0, 0.0], [1.0, 1.0])


# === Encoding ===


def behavior(feature: VectorFeature, vectors: np.ndarray | None = None) -> Any:
    made = behavior_of(feature, tiny_problem(features=(feature,), sequences=()))
    counts = {} if vectors is None else {(FEATURE, feature.name): count_mantissas(vectors)}
    states = made.fit(counts).states
    statistics = TransformStatistics({}, {}, {}, {}, {}, {}, {}, states=states)
    made.load(FittedState(statistics, lambda table: None))  # type: ignore[arg-type,return-value]
    return made


@pytest.mark.parametrize("normalize", ["none", "z_score", "l2"])
def test_vectors_are_normalized_as_said(normalize: str) -> None:
    vectors = np.random.default_rng(0).normal(2.0, 3.0, (200, 3)).astype(np.float32)
    made = behavior(VectorFeature("v", 3, normalize), vectors)
    given_rows = np.concatenate([vectors, [[NAN] * 3], [[0.0] * 3]]).astype(np.float32)
    found = made.encode({"v": tf.constant(given_rows)})
    exact = vectors.astype(np.float64)
    if normalize == "z_score":
        exact = np.clip((exact - exact.mean(axis=0)) / exact.std(axis=0), -10.0, 10.0)
    elif normalize == "l2":
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(found["v"][:-2], exact, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found["v__missing"], [0.0] * 200 + [1.0, 0.0])
    assert not found["v"][-2].numpy().any()
    assert np.isfinite(found["v"]).all()


@pytest.mark.parametrize("normalize", ["z_score", "l2"])
def test_a_value_is_encoded_alike_wherever_it_stands(normalize: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(37, 301)).astype(np.float32)
    made = behavior(VectorFeature("v", 301, normalize, large=True), vectors)
    whole = made.encode({"v": tf.constant(vectors)})["v"].numpy()
    one_by_one = np.stack([made.encode({"v": tf.constant(row)})["v"].numpy() for row in vectors])
    np.testing.assert_array_equal(whole, one_by_one)
    folded = made.encode({"v": tf.constant(vectors[:36].reshape(4, 9, 301))})["v"].numpy()
    np.testing.assert_array_equal(folded.reshape(36, 301), whole[:36])


@pytest.mark.parametrize("bad", [[1.0, NAN], [INF, 1.0], [NAN, -INF]])
def test_a_request_with_half_a_vector_is_refused(bad: list[float]) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="'v'"):
        behavior(VectorFeature("v", 2)).encode({"v": tf.constant([[1.0, 2.0], bad])})


def test_a_constant_component_is_not_divided_by_nothing() -> None:
    made = behavior(VectorFeature("v", 1, "z_score"), np.full((9, 1), 4.0, np.float32))
    assert made.encode({"v": tf.constant([[4.0], [5.0]])})["v"].numpy().tolist() == [[0.0], [1.0]]


# === Proposed ===


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([[1, 2, 3], None, [4, 5, 6]], pa.list_(pa.int32(), 3)), {"kind": "vector", "name": "v", "size": 3}),
        (pa.array([[0.5, 2.0], [], [4.0, 5.0]]), {"kind": "vector", "name": "v", "size": 2}),
        (pa.array([[0.5, 2.0], [1.0], [4.0, 5.0]]), None),
        (pa.array([["a", "b"], ["b", "c"]], pa.list_(pa.string(), 2)), None),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int64())), None),  # ids, as likely as not
        (pa.array([0.5, 1.5]), None),
    ],
)
def test_infer_proposes_vectors_for_lists_of_one_length(column: pa.Array, values: dict[str, Any] | None) -> None:
    entry = guess_feature(ColumnProfile("v", pa.chunked_array([column]), len(column)), "v", "context")
    assert (dict(entry.values) if entry.values["kind"] == "vector" else None) == values


# === In the model ===


def test_fields_are_a_product_and_a_vector_for_what_is_missing() -> None:
    records = (VectorFeature("a", 3), VectorFeature("b", 2, "l2"))
    layer = VectorFields(records, 4)
    layer.build()
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(5, 3)).astype("f4"), generator.normal(size=(5, 2)).astype("f4")
    missing = np.array([0.0, 1.0, 0.0, 0.0, 1.0], "f4")
    a[missing > 0] = 0.0
    given_arrays = {"a": a, "a__missing": missing, "b": b, "b__missing": 0.0 * missing}
    found = layer({}, {}, {name: tf.constant(values) for name, values in given_arrays.items()})
    assert list(found) == ["a", "b"]
    (w, v), (one, other) = [k.numpy() for k in layer.kernels], [k.numpy() for k in layer.biases]
    np.testing.assert_allclose(found["a"], a @ w + one[0] + missing[:, np.newaxis] * one[1], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["b"], b @ v + other[0], rtol=1e-5, atol=1e-7)
    assert len({float(np.abs(weight).max()) for weight in (w, v, one, other)}) == 4  # drawn apart


# === The problem ===


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"size": 0}, "`size` must be an int of at least 1. Received: size=0."),
        (
            {"normalize": "zscore"},
            "`normalize` must be one of ['none', 'z_score', 'l2']. Received: normalize='zscore'.",
        ),
        ({"separator": ""}, "`separator` must not be empty."),
    ],
)
def test_keys_are_checked(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        VectorFeature(**{"name": "v", "size": 3, **changes})
    assert text in str(caught.value)


def test_records_do_not_grow_unasked() -> None:
    with pytest.raises(ProblemError, match="take 4,100 bytes of every example's record"):
        tiny_problem(features=(VectorFeature("v", 1024),), sequences=())
    large = tiny_problem(features=(VectorFeature("v", 1024, large=True),), sequences=())
    assert large.feature("v").size == 1024


def test_a_vector_is_no_event_alone() -> None:
    with pytest.raises(ProblemError, match="must have one id per event"):
        tiny_problem(features=(VectorFeature("v", 2),), sequences=(SequenceFeature("seen", ("v",)),))
