"""Series: what is read, fitted, encoded, proposed, and made of them in the model, against plain NumPy."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem
from tests.unit.models.random_batch import random_batch
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features import behavior_of
from tfmtl.features.feature_behavior import FittedState
from tfmtl.preprocessing.fitting.analyze import merge_counts
from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.feature_guess import guess_feature
from tfmtl.schema import ModelInputs, ProblemError, SequenceFeature, SeriesFeature

NAN, INF = float("nan"), float("inf")


def behavior(feature: SeriesFeature, values: np.ndarray | None = None) -> Any:
    made = behavior_of(feature, tiny_problem(features=(feature,), sequences=()))
    lists = pa.array([] if values is None else values.tolist(), pa.list_(pa.float32()))
    batch = pa.record_batch({feature.name: lists})
    state = made.fit({key: merge_counts([table]) for key, table in made.count(batch).items()})
    empty: dict[str, Any] = {}
    made.load(FittedState(TransformStatistics(*[empty] * 7, states=state.states), lambda table: None))  # type: ignore[arg-type, return-value]
    return made


# === Read ===


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1.0, None, 3.0], None),
        ([NAN, NAN, 3.0], None),
        ([1.0, 2.0], "column 's' is not 3 numbers long: 2"),
        ([1.0, 2.0, 3.0, 4.0], "column 's' is not 3 numbers long: 4"),
        ([1.0, INF, 3.0], "column 's' holds an infinity"),
    ],
)
def test_gaps_are_read_and_other_lengths_rejected(value: list[Any], reason: str | None) -> None:
    column = pa.array([[5.0, 6.0, 7.0], value, None, [NAN] * 3], pa.list_(pa.float64()))
    rejections = Rejections(4)
    feature = SeriesFeature("s", 3)
    made = behavior_of(feature, tiny_problem(features=(feature,), sequences=()))
    found = made.read(RawColumns(pa.record_batch({"s": column}), rejections))["s"].to_pylist()
    assert rejections.reasons == ([] if reason is None else [(1, reason)])
    assert [found[0], found[2], found[3]] == [[5.0, 6.0, 7.0], None, None]
    if reason is None:
        np.testing.assert_array_equal(found[1], np.array(value, np.float32))


@pytest.mark.parametrize("nested", [[[1.0, 2.0], [3.0, None]], [1.0, 2.0, 3.0, None]])
def test_channels_are_lists_of_lists_or_one_after_another(nested: list[Any]) -> None:
    feature = SeriesFeature("s", 2, channels=2)
    made = behavior_of(feature, tiny_problem(features=(feature,), sequences=()))
    rejections = Rejections(1)
    [found] = made.read(RawColumns(pa.record_batch({"s": pa.array([nested])}), rejections))["s"].to_pylist()
    assert rejections.reasons == []
    np.testing.assert_array_equal(found, np.array([1.0, 2.0, 3.0, NAN], np.float32))


@pytest.mark.parametrize(
    "nested",
    [
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],  # a list for every channel, not for every step
        [[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]],
        [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
    ],
)
def test_lists_of_lists_of_another_layout_are_rejected(nested: list[list[float]]) -> None:
    feature = SeriesFeature("s", 3, channels=2)
    made = behavior_of(feature, tiny_problem(features=(feature,), sequences=()))
    rejections = Rejections(2)
    made.read(RawColumns(pa.record_batch({"s": pa.array([[[1.0, 2.0]] * 3, nested])}), rejections))
    assert rejections.reasons == [(1, "column 's' is not 3 lists of 2 numbers")]


# === Encoded ===


@pytest.mark.parametrize("normalize", ["none", "z_score", "log_z_score"])
def test_numbers_are_scaled_by_channel_and_gaps_are_the_mean(normalize: str) -> None:
    generator = np.random.default_rng(0)
    values = (np.exp(generator.normal(size=(200, 4, 2))) * [1.0, 50.0]).astype(np.float32)
    values[generator.random(values.shape) < 0.2] = NAN
    values[7] = NAN
    made = behavior(SeriesFeature("s", 4, normalize, channels=2), values.reshape(200, 8))
    found = made.encode({"s": tf.constant(values.reshape(200, 8))})
    x = np.log1p(values.astype(np.float64)) if normalize == "log_z_score" else values.astype(np.float64)
    if normalize != "none":
        x = np.clip((x - np.nanmean(x, axis=(0, 1))) / np.nanstd(x, axis=(0, 1)), -10.0, 10.0)
    np.testing.assert_allclose(found["s"], np.nan_to_num(x), rtol=1e-3, atol=2e-4)
    np.testing.assert_array_equal(found["s__present"], ~np.isnan(values))
    assert found["s"].shape == (200, 4, 2)
    single = [made.encode({"s": tf.constant(row)})["s"].numpy() for row in values[:9].reshape(9, 8)]
    np.testing.assert_array_equal(np.stack(single), found["s"][:9])


def test_a_request_with_an_infinity_is_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Feature 's' must hold 2 finite numbers"):
        behavior(SeriesFeature("s", 2)).encode({"s": tf.constant([[1.0, NAN], [1.0, -INF]])})


# === Proposed ===


def _smooth(rows: int = 60) -> np.ndarray:
    return np.cumsum(np.random.default_rng(0).normal(size=(rows, 8)), axis=1)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (_smooth(), "series"),
        (np.random.default_rng(0).normal(size=(60, 8)), "vector"),
        (np.where(np.random.default_rng(1).random((60, 8)) < 0.1, NAN, _smooth()[:, ::-1]), "series"),
        (_smooth(5), "vector"),  # too few to say
    ],
    ids=["smooth", "embedding", "gaps", "few"],
)
def test_infer_tells_series_from_vectors(values: np.ndarray, kind: str) -> None:
    column = pa.chunked_array([pa.array(values.tolist(), pa.list_(pa.float64()))])
    entry = guess_feature(ColumnProfile("s", column, len(values)), "s", "context")
    assert entry.values["kind"] == kind
    if kind == "series":
        assert entry.values["length"] == 8
        assert "missing" in entry.why or "neighbors go together" in entry.why


# === In the model ===


@pytest.fixture(scope="module")
def inputs() -> ModelInputs:
    series = (
        SeriesFeature("a", 4, channels=2, side="item"),
        SeriesFeature("b", 5, encoder="convolution", dim=8),
        SeriesFeature("c", 3, encoder="flat", side="user"),
    )
    return tiny_inputs(tiny_problem(features=series, sequences=()))


@pytest.mark.parametrize("preset", ["shared_bottom", "stem"])
def test_gaps_are_seen_and_a_missing_series_is_a_learned_vector(inputs: ModelInputs, preset: str) -> None:
    model = tiny_model(inputs, preset)
    features, _ = random_batch(inputs)
    features |= {key: tf.ones_like(each) for key, each in features.items() if key.endswith("__present")}
    names = model.embedding.field_names
    before = model.embedding(features)["fields"].numpy()
    gone = {**features, "a": tf.zeros_like(features["a"]), "a__present": tf.zeros_like(features["a__present"])}
    after = model.embedding(gone)["fields"].numpy()
    np.testing.assert_array_equal(before[:, 1:], after[:, 1:])
    missing = model.embedding.field_layers["series"].missing["a"].numpy()
    np.testing.assert_allclose(after[:, 0], np.tile(missing, (16, 1)), rtol=1e-6)
    for place, name in enumerate(names):  # the mean is not a number that is missing
        zero = {**features, name: tf.zeros_like(features[name])}
        is_there = np.ones(features[f"{name}__present"].shape, "f4")
        is_there[:, 1] = 0.0
        gap = {**zero, f"{name}__present": tf.constant(is_there)}
        one, other = (model.embedding(each)["fields"].numpy()[:, place] for each in (zero, gap))
        assert np.abs(one - other).max() > 1e-5, name


# === The problem ===


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"length": 0}, "`length` must be an int of at least 1. Received: length=0."),
        ({"channels": 0}, "`channels` must be an int of at least 1"),
        ({"normalize": "l2"}, "`normalize` must be one of ['none', 'z_score', 'log_z_score']"),
        ({"encoder": "mean"}, "`encoder` must be one of ['gru', 'convolution', 'flat']. Received: encoder='mean'."),
        ({"separator": ""}, "`separator` must not be empty."),
    ],
)
def test_keys_are_checked(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        SeriesFeature(**{"name": "s", "length": 3, **changes})
    assert text in str(caught.value)


def test_a_series_is_no_event_and_records_do_not_grow_unasked() -> None:
    item = tiny_problem().features[1]
    with pytest.raises(ProblemError, match="which is a history of its own"):
        tiny_problem(
            features=(item, SeriesFeature("s", 3)), sequences=(SequenceFeature("seen", ("item", "s"), max_length=2),)
        )
    with pytest.raises(ProblemError, match="take 4,800 bytes of every example's record"):
        tiny_problem(features=(SeriesFeature("s", 600),), sequences=())
