"""Fields that a layer of their kind makes are dropped like all others: a vector reads as missing, a lookup as empty."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem
from tests.support.toy_words import WordsFeature
from tests.unit.models.random_batch import random_batch
from tfmtl.features.vector_fields import VectorFields
from tfmtl.models.feature_dropout import FeatureDropout
from tfmtl.schema import ModelInputs, ProblemError, SequenceFeature, VectorFeature
from tfmtl.sharpness import SAM

ROWS, RATE = 400, 0.3


@pytest.fixture(scope="module")
def inputs() -> ModelInputs:
    own = (VectorFeature("picture", 4, "z_score", side="item"), WordsFeature("title", side="item"))
    seen = SequenceFeature("seen", ("item", "picture"), max_length=3, time_gap_buckets=0)
    features = (*tiny_problem().features[:2], *own)
    return tiny_inputs(tiny_problem(features=features, sequences=(seen,), plugins=("tests.support.toy_words",)))


@pytest.fixture(scope="module")
def batch(inputs: ModelInputs) -> tuple[dict[str, Any], dict[str, Any]]:
    features, labels = random_batch(inputs, ROWS)
    for key in ("picture__missing", "seen__picture__missing"):
        features[key] = tf.zeros_like(features[key])
    return features, labels


def test_a_dropped_vector_reads_as_missing(inputs: ModelInputs, batch: Any) -> None:
    features, _ = batch
    after = {key: np.asarray(v) for key, v in FeatureDropout(inputs, field_rate=RATE)(features, tf.constant(0)).items()}
    is_dropped = after["picture__missing"] == 1.0
    assert np.mean(is_dropped) == pytest.approx(RATE, abs=0.1)
    assert not after["picture"][is_dropped].any()
    np.testing.assert_array_equal(after["picture"][~is_dropped], features["picture"][~is_dropped])
    is_empty = ~after["title"].any(axis=1) & (after["title__length"] == 0.0)
    assert np.mean(is_empty) == pytest.approx(RATE, abs=0.1), "the looked up rows and the array go together"
    np.testing.assert_array_equal(after["title__length"][~is_empty], features["title__length"][~is_empty])
    for key in features:
        if key.startswith("seen"):
            np.testing.assert_array_equal(after[key], features[key], err_msg=f"{key}: sequences stay")


def test_its_field_is_that_of_a_missing_vector(inputs: ModelInputs, batch: Any) -> None:
    features, _ = batch
    model = tiny_model(inputs)
    dropped = FeatureDropout(inputs, field_rate=RATE)(features, tf.constant(0))
    place = model.embedding.field_names.index("picture")
    fields = np.asarray(model.embedding(dropped)["fields"])[:, place]
    [bias] = model.embedding.field_layers["vector"].biases
    is_dropped = np.asarray(dropped["picture__missing"]) == 1.0
    np.testing.assert_allclose(fields[is_dropped], np.tile(bias[0] + bias[1], (is_dropped.sum(), 1)), rtol=1e-5)


def test_both_passes_of_sam_see_the_same_drop(inputs: ModelInputs, batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    original = VectorFields.call

    def spy(self: Any, rows: Any, masks: Any, arrays: Any, training: bool = False) -> Any:
        if len(arrays["picture"]) == ROWS:  # of the examples, not of their events
            seen.append(np.asarray(arrays["picture__missing"]))
        return original(self, rows, masks, arrays, training)

    model = tiny_model(inputs)
    model.feature_dropout = FeatureDropout(inputs, field_rate=RATE)
    model.compile(keras.optimizers.SGD(0.1), sharpness=SAM(), run_eagerly=True)
    monkeypatch.setattr(VectorFields, "call", spy)
    model.train_on_batch(*batch)
    assert len(seen) == 2, "the two passes"
    np.testing.assert_array_equal(seen[0], seen[1])
    assert np.mean(seen[0]) == pytest.approx(RATE, abs=0.1)
    seen.clear()
    model(batch[0], training=False)
    assert not seen[0].any()


# === A feature's own dropout ===


@pytest.fixture(scope="module")
def own_dropout(inputs: ModelInputs) -> ModelInputs:
    features = [replace(each, dropout=RATE) if each.name == "picture" else each for each in inputs.problem.features]
    return tiny_inputs(replace(inputs.problem, features=tuple(features)))


def test_a_feature_with_dropout_of_its_own_is_dropped_and_no_other(own_dropout: ModelInputs, batch: Any) -> None:
    features, _ = batch
    dropout = FeatureDropout(own_dropout)
    assert dropout.drops
    after = {key: np.asarray(v) for key, v in dropout(features, tf.constant(0)).items()}
    is_dropped = after["picture__missing"] == 1.0
    assert np.mean(is_dropped) == pytest.approx(RATE, abs=0.1)
    assert not after["picture"][is_dropped].any(), "all its tensors go at once"
    np.testing.assert_array_equal(after["picture"][~is_dropped], features["picture"][~is_dropped])
    for key in set(features) - {"picture", "picture__missing"}:
        np.testing.assert_array_equal(after[key], features[key])


def test_a_model_drops_what_its_problem_says_without_being_told(own_dropout: ModelInputs, inputs: ModelInputs) -> None:
    dropout = tiny_model(own_dropout).feature_dropout
    assert dropout is not None and dropout.drops
    assert tiny_model(inputs).feature_dropout is None


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_of_rows_lies_below_one(share: float) -> None:
    with pytest.raises(ProblemError, match=r"VectorFeature 'v': `dropout` must lie in \[0, 1\)"):
        VectorFeature("v", 3, dropout=share)
