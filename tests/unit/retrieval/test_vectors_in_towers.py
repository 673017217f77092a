"""Both towers read vectors, and an index that was trained with them answers from raw ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.support.tiny_problem import ROWS, prepare, tiny_inputs, tiny_log, tiny_problem
from tests.support.toy_words import WordsFeature
from tests.unit.models.random_batch import random_batch
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import user_signature
from tfmtl.export.raw_batch import to_tensors
from tfmtl.retrieval import RetrievalOptions, fit_retrieval, training_items
from tfmtl.schema import Problem, RateFeature, SequenceFeature, VectorFeature

PICTURE, TASTE = VectorFeature("picture", 4, "z_score", side="item"), VectorFeature("taste", 3, side="user")


def _problem(*features: Any, **changes: Any) -> Problem:
    columns = ("item", "picture", *(each.name for each in features))
    seen = SequenceFeature("seen", columns, max_length=3, time_gap_buckets=0)
    rate = RateFeature("item", "click")  # of the item alone, so that its tower reads it
    of_item = (*tiny_problem().features[:2], PICTURE, TASTE, rate, *features)
    return tiny_problem(features=of_item, sequences=(seen,), **changes)


def _moves(tower: Any, features: dict[str, Any], key: str) -> np.ndarray:
    """Rows whose vector another value of a tensor changes."""
    values = features[key]
    other = {**features, key: values % 5 + 1 if values.dtype == tf.int32 else values + 1.0}
    return np.any(tower(other).numpy() != tower(features).numpy(), axis=1)


def test_every_tensor_of_a_side_is_read() -> None:
    """In Keras 2, as retrieval trains them."""
    from tfmtl.retrieval.tower import EmbeddingTables, Tower

    words = WordsFeature("title", side="item")
    inputs = tiny_inputs(_problem(words, plugins=("tests.support.toy_words",)))
    problem = inputs.problem
    features, _ = random_batch(inputs)
    tables = EmbeddingTables(inputs, 8)
    item = Tower("item", inputs, tables, (PICTURE, words), (), (16, 4))
    user = Tower("user", inputs, tables, (TASTE,), problem.sequences, (16, 4))
    for tower, read in (
        (item, ("picture", "picture__missing", "title", "title__length")),
        (user, ("taste", "taste__missing", *(key for key in features if key.startswith("seen__")))),
    ):
        assert set(read) <= set(features)
        vectors = tower(features).numpy()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
        for key, values in features.items():
            assert bool(_moves(tower, features, key).any()) == (key in read), (tower.name, key, values.shape)


def test_no_two_tables_begin_with_the_same_values() -> None:
    from tfmtl.retrieval.tower import EmbeddingTables

    rows = np.concatenate([table.numpy()[:2] for table in EmbeddingTables(tiny_inputs(), 8).weights])
    assert len(np.unique(rows, axis=0)) == len(rows) >= 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """A log with a picture of the item, which is sometimes missing, and a taste of the user."""
    generator = np.random.default_rng(0)
    log = tiny_log()
    pictures: list[Any] = generator.normal(3.0, 2.0, (ROWS, 4)).tolist()
    pictures[::7] = [None] * len(pictures[::7])
    log = log.append_column("picture", pa.array(pictures, pa.list_(pa.float32())))
    log = log.append_column("taste", pa.array(generator.normal(size=(ROWS, 3)).tolist()))
    return prepare(tmp_path_factory.mktemp("pictures"), _problem(), log=log)


@pytest.mark.slow
def test_an_index_trained_with_vectors_answers_from_raw_ones(data: PreparedData, tmp_path: Path) -> None:
    items = training_items(data)
    options = RetrievalOptions(epochs=1, hidden_units=(8,), dim=4)
    version = fit_retrieval(data, items, tmp_path / "retrieval", options)
    signatures = tf.saved_model.load(str(version)).signatures
    signature = user_signature(data.problem)
    request = {name: value for name, value in data.requests()[0]["features"].items() if name in signature}
    user = to_tensors([request, {**request, "taste": [9.0, -9.0, 9.0]}], signature)
    found = signatures["retrieve"](**user, k=tf.constant(5))
    assert found["picture"].shape == (2, 5, 4), "the items' vectors come along"
    vectors = signatures["embed_user"](**user)["embedding"].numpy()
    assert np.any(vectors[0] != vectors[1])
    of_items = {name: found[name][0] for name in ("item", "picture")}
    own = signatures["embed_item"](**of_items)["embedding"].numpy()
    np.testing.assert_allclose(found["retrieval"][0], own @ vectors[0], rtol=1e-4, atol=1e-4)
    without = signatures["embed_item"](**{**of_items, "picture": tf.fill((5, 4), np.float32(np.nan))})["embedding"]
    assert np.all(np.isfinite(without))
    assert np.any(without.numpy() != own)
