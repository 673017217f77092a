"""Tables grow with the vocabularies: known values keep their vectors, new ones begin where unseen ones stood."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import next_day, prepare, tiny_model, tiny_problem
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import raw_signature
from tfmtl.export.raw_batch import to_tensors
from tfmtl.models import MultiTaskModel, grow_tables

TABLES = ["user", "item", "topic", "tags"]  # those with a vocabulary


def _random_model(data: PreparedData, preset: str = "mmoe") -> MultiTaskModel:
    """All weights moved away from where they begin, the rows of unseen values above all."""
    model = tiny_model(data.inputs, preset)
    model.build()
    generator = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.1 * generator.normal(size=weight.shape))
    return model


def _rows(model: MultiTaskModel, feature: str) -> np.ndarray:
    place = model.embedding.plan.feature_rows(feature)
    return np.asarray(model.embedding.tables[str(place.width)])[place.start : place.start + place.count]


def _raw(data: PreparedData) -> dict[str, tf.Tensor]:
    requests = [request["features"] for request in data.requests()]
    return to_tensors(requests, raw_signature(data.problem))


def test_the_data_has_grown_in_every_vocabulary(tiny_data: PreparedData, grown_data: PreparedData) -> None:
    for table in TABLES:
        assert grown_data.inputs.table_rows[table] > tiny_data.inputs.table_rows[table]


@pytest.mark.parametrize("preset", ["mmoe", "dtrn", "dephn", "interaction"])
def test_a_grown_model_answers_as_before(tiny_data: PreparedData, grown_data: PreparedData, preset: str) -> None:
    """Bit for bit, for known values and for those that were unseen and have rows of their own now."""
    model = _random_model(tiny_data, preset)
    grown = grow_tables(model, grown_data)
    assert (grown.inputs, grown.name) == (grown_data.inputs, model.name)
    for requests in (_raw(tiny_data), _raw(grown_data)):
        before = model(tiny_data.transform()(requests))
        after = grown(grown_data.transform()(requests))
        for task, answers in before.items():
            assert answers.numpy().tobytes() == after[task].numpy().tobytes(), task
    assert np.any(tiny_data.transform()(_raw(grown_data))["user"] == 1)  # some were unseen
    assert not np.any(grown_data.transform()(_raw(grown_data))["user"] == 1)


def test_every_row_is_where_it_belongs(tiny_data: PreparedData, grown_data: PreparedData) -> None:
    model = _random_model(tiny_data)
    grown = grow_tables(model, grown_data)
    keys = [key for columns in model.embedding.plan.columns.values() for key in (column.key for column in columns)]
    assert {"device", "price", "clicked__gap", "previous_item"} <= set(keys)
    for key in keys:
        before, after = _rows(model, key), _rows(grown, key)
        np.testing.assert_array_equal(after[: len(before)], before)
        np.testing.assert_array_equal(after[len(before) :], np.tile(before[1], (len(after) - len(before), 1)))
    assert len(_rows(grown, "device")) == len(_rows(model, "device"))
    known = [id(weight) for weight in model.weights]
    assert not [weight for weight in grown.weights if id(weight) in known]  # the model stays as it is


def test_training_goes_on(tiny_data: PreparedData, grown_data: PreparedData) -> None:
    model = _random_model(tiny_data)
    grown = grow_tables(model, grown_data)
    grown.compile(keras.optimizers.Adam(0.01), embedding_optimizer=None)
    train = grown_data.train(64)
    before = grown.evaluate(train, verbose=0, return_dict=True)["loss"]
    grown.fit(train, epochs=3, verbose=0)
    assert grown.evaluate(train, verbose=0, return_dict=True)["loss"] < before
    old = len(_rows(model, "user"))
    new = _rows(grown, "user")[old:]
    assert len({row.tobytes() for row in new}) == len(new) > 3  # every new user has learnt something of its own


def test_data_fitted_anew_is_refused(tiny_data: PreparedData, tmp_path: Path) -> None:
    other = prepare(tmp_path / "other", log=next_day())
    text = r"grow_tables: `data` must have the transformation of the model's own data, .* differs in vocabularies or"
    with pytest.raises(ValueError, match=text):
        grow_tables(tiny_model(tiny_data.inputs), other)


def test_another_problem_is_refused(tiny_data: PreparedData, tmp_path: Path) -> None:
    problem = tiny_problem(sequences=tiny_problem().sequences[:1], name="other")
    with pytest.raises(ValueError, match=r"differs in name, sequences \(seen, bought\)\. Preproc"):
        grow_tables(tiny_model(tiny_data.inputs), prepare(tmp_path, problem))


def test_a_smaller_vocabulary_is_refused(grown_data: PreparedData, tiny_data: PreparedData) -> None:
    with pytest.raises(ValueError, match="differs in vocabularies or statistics that were fitted anew"):
        grow_tables(tiny_model(grown_data.inputs), tiny_data)
