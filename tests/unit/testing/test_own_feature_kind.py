"""`check_feature_kind` passes every kind of the package, and finds kinds that are wrong in one thing each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tensorflow as tf

from tests.support.pictures import jpeg, png
from tests.support.toy_words import WordsBehavior, WordsFeature
from tfmtl.features import FeatureState
from tfmtl.features.categorical import CategoricalBehavior
from tfmtl.features.feature_behavior import FEATURE, TABLE, Column, RawColumns
from tfmtl.features.numeric import NumericBehavior
from tfmtl.features.vector import VectorBehavior
from tfmtl.features.vocabulary import vocabulary_state
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    HistoryFeature,
    ImageFeature,
    Keys,
    MatchFeature,
    NumericFeature,
    Problem,
    SequenceFeature,
    SeriesFeature,
    Split,
    TextFeature,
    TimePartFeature,
    VectorFeature,
)
from tfmtl.schema.registry import FEATURES
from tfmtl.testing import check_feature_kind

PICTURES = [png(9, 5), jpeg(4, 3), None, png(4, 3, channels=1)]
NAMES = ("item", "tags", "device", "price", "age", "picture", "title")
PROBLEM = Problem(
    "shop",
    keys=Keys("user", "time"),
    features=(
        CategoricalFeature("item", side="item", min_count=2),
        CategoricalFeature("tags", multi_valued=True, max_values=2),
        CategoricalFeature("device", hash_buckets=7, side="user"),
        NumericFeature("price", "both", buckets=4, side="item"),
        NumericFeature("age", "log_z_score", side="user"),
        VectorFeature("picture", 3, "z_score", side="item"),
        ImageFeature("photo", 4, 3, filters=(8,), side="item"),
        WordsFeature("title", dim=16, side="item"),
        SeriesFeature("ranks", 3, "log_z_score", channels=2, side="item"),
        TextFeature("about", encoder="gru", max_length=4, min_count=1, max_ngrams=9, buckets=11, side="item"),
        HistoryFeature("seen"),
        MatchFeature("seen", ("item",)),
        TimePartFeature(("hour",), "Europe/Berlin"),
    ),
    sequences=(SequenceFeature("seen", ("item", "picture"), max_length=3),),
    tasks=(BinaryTask("buy", known_at_event=True),),
    split=Split(by="row"),
    plugins=("tests.support.toy_words",),
)


def log() -> pa.Table:
    generator = np.random.default_rng(0)
    rows = 40
    pictures: list[Any] = generator.normal(size=(rows, 3)).tolist()
    pictures[3] = None
    numbers: list[Any] = np.round(np.exp(generator.normal(size=rows) * 3.0), 3).tolist()
    numbers[5] = None
    texts = ["a", "b", "Red shoe", "ä", "", None, "a b c", "x"]
    return pa.table(
        {
            "user": [f"u{n % 3}" for n in range(rows)],
            "time": np.arange(rows) * 500,
            "item": [texts[n] for n in generator.integers(0, 8, rows)],
            "tags": [["a", "b", "c"][: n % 4] for n in range(rows)],
            "device": [texts[n] for n in generator.integers(0, 8, rows)],
            "price": numbers,
            "age": numbers[::-1],
            "picture": pa.array(pictures, pa.list_(pa.float32())),
            "photo": pa.array(PICTURES * 10, pa.binary()),
            "title": [texts[n] for n in generator.integers(0, 8, rows)],
            "about": ["the red shoe", "Red shoes!", "ÄÖ 日本語 🦊", "!?", "", None, "a b c d e f", "x"] * 5,
            "ranks": [[1.0, None, 3.0, 4.0, 5.0, 6.0], None, [0.0] * 6, [-1e3, 2.0, None, None, 1e9, 0.5]] * 10,
            "buy": generator.integers(0, 2, rows),
        }
    )


@pytest.mark.parametrize("name", [each.name for each in PROBLEM.features])
def test_every_kind_of_the_package_passes(name: str) -> None:
    check_feature_kind(_small(name), name, log(), fresh_process=False)  # the page does


def test_no_kind_is_left_out() -> None:
    # A rate is made of labels: in training a row's record is not what its request gives.
    assert set(FEATURES.names) - {"toy_words", "rate"} <= {each.kind for each in PROBLEM.features}


# === Wrong ones ===


class Centered(NumericBehavior):
    """A value depends on the others of its batch."""

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values = raw[self.name]
        return super().encode({self.name: values - tf.reduce_max(tf.where(tf.math.is_nan(values), 0.0, values))})


class FirstAxis(VectorBehavior):
    """Takes the second axis for the components, whatever leads."""

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        found = super().encode(raw)
        if len(raw[self.name].shape) > 2:
            found[self.name] = tf.reverse(found[self.name], axis=[1])
        return found


class AsSeen(CategoricalBehavior):
    """Ids in the order in which values were met."""

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        values = tuple(counts[TABLE, self.record.table_name]["value"].to_pylist())
        table = self.record.table_name
        return FeatureState(vocabularies={table: values}, vocabulary_counts={table: (1,) * len(values)})


class FloatSums(NumericBehavior):
    """A mean from sums of floats."""

    def count(self, rows: pa.RecordBatch) -> dict[Column, pa.Table]:
        values = rows.column(self.name).drop_null().to_numpy(zero_copy_only=False).astype(np.float32)
        return {(FEATURE, self.name): pa.table({"count": [len(values)], "sum_x": [np.float32(values.sum())]})}

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        [table] = counts.values() if len(counts) == 1 else [counts[FEATURE, self.name]]
        mean = table["sum_x"][0].as_py() / table["count"][0].as_py()
        return FeatureState(means={self.name: mean}, deviations={self.name: 1.0})


class Respelled(CategoricalBehavior):
    """Text is respelled in the log alone."""

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        [[key, values]] = super().read(raw).items()
        return {key: pc.utf8_lower(values)}


class Served(CategoricalBehavior):
    """Text is respelled in the graph alone."""

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values = raw[self.name]
        return super().encode({self.name: values if tf.executing_eagerly() else tf.strings.lower(values)})


class NoNumber(NumericBehavior):
    """NaN goes through."""

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        found = super().encode(raw)
        return {key: tf.where(tf.math.is_nan(raw[self.name]), np.nan, values) for key, values in found.items()}


class Undeclared(VectorBehavior):
    """A missing vector says what the record does not."""

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        found = super().encode(raw)
        return {**found, self.record.missing_key: -found[self.record.missing_key]}


class Anew(CategoricalBehavior):
    """Another day's vocabulary takes the place of the first."""

    def extend(self, statistics: Any, counts: Mapping[Column, pa.Table]) -> FeatureState:
        return vocabulary_state(self.record.table_name, self._ranked(counts)[::-1])


class NoRows(WordsBehavior):
    """Views of other rows."""

    def views(self, encoded: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {name: type(view)(view.form, view.values[:1]) for name, view in super().views(encoded).items()}


@pytest.mark.parametrize(
    ("name", "wrong", "text"),
    [
        ("age", Centered, "what `encode` makes of a value in 'age' depends on the other values"),
        ("picture", FirstAxis, "or on the shape that they stand in"),
        ("item", AsSeen, "depends on the order or the batches in which rows were counted"),
        ("age", FloatSums, "depends on the order or the batches in which rows were counted"),
        ("item", Respelled, "'item' differs where a client sends what the log holds"),
        ("item", Served, "'item' of a record differs from that of a request"),
        ("age", NoNumber, "'age' of a missing value is not finite"),
        ("picture", Undeclared, "'picture__missing' of a missing value is not 1"),
        ("item", Anew, "`extend` changes ids in 'item'"),
        ("title", NoRows, "view 'title' must have a row for each example"),
    ],
)
def test_a_wrong_kind_is_found(monkeypatch: pytest.MonkeyPatch, name: str, wrong: type[Any], text: str) -> None:
    right = FEATURES.behavior
    kind = PROBLEM.feature(name).kind
    monkeypatch.setattr(FEATURES, "behavior", lambda each: wrong if each == kind else right(each))
    with pytest.raises(AssertionError) as caught:
        check_feature_kind(_small(name), name, log(), fresh_process=False)
    assert str(caught.value).startswith(f"{wrong.__name__}: ")
    assert text in str(caught.value)


def _small(name: str) -> Problem:
    """The problem with one feature, and a history of two where it is about one."""
    feature = PROBLEM.feature(name)
    if feature.needs_time(PROBLEM) or name == "picture":
        others = [each for each in (PROBLEM.feature("item"), PROBLEM.feature("picture")) if each != feature]
        return replace(PROBLEM, features=(*others, feature))
    return replace(PROBLEM, features=(feature,), sequences=())
