"""Word vectors of the user's own: read from files, checked, and kept or trained."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem
from tests.unit.models.random_batch import random_batch
from tfmtl.features.word_vectors import read_word_vectors
from tfmtl.optimizers import LazyAdam
from tfmtl.schema import TextFeature
from tfmtl.training import TrainOptions
from tfmtl.training.initial_weights import check_trained_tables

WORDS = ("red", "shoe", "blue")
VECTORS = {"shoe": [1.0, -2.5], "red": [0.25, 3.0], "other": [9.0, 9.0]}


def write(path: Path, form: str) -> str:
    lines = [f"{word} {' '.join(map(str, vector))}" for word, vector in VECTORS.items()]
    if form == "npz":
        np.savez(path / "v.npz", words=np.array(list(VECTORS)), vectors=np.array(list(VECTORS.values())))
        return str(path / "v.npz")
    header = [f"{len(lines)} 2"] if form == "word2vec" else []
    (path / "v.txt").write_text("\n".join([*header, *lines, "red 7 7", ""]))
    return str(path / "v.txt")


@pytest.mark.parametrize("form", ["glove", "word2vec", "npz"])
def test_every_format_is_read_alike(tmp_path: Path, form: str) -> None:
    found = read_word_vectors(write(tmp_path, form), 2, WORDS)
    np.testing.assert_array_equal(found, np.array([[0.25, 3.0], [1.0, -2.5], [np.nan, np.nan]], "f4"))


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("2 3\nred 1 2 3\n", "hold vectors of 2 numbers (`dim`), not 3"),
        ("red 1\n", "have 2 numbers (`dim`) behind the word of line 1"),
        ("red 1 x\n", "have numbers behind the word of line 1"),
        ("red 1 nan\n", "hold finite numbers; those of 'red' are not"),
        ("Red 1 2\n", "hold vectors for some of the vocabulary's 3 words"),
        ("", "hold vectors for some"),
        (f"red 1 2\n{'x' * 9000}", "have 2 numbers (`dim`) behind the word of line 2"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str, rule: str) -> None:
    (tmp_path / "v.txt").write_text(content)
    with pytest.raises(ValueError) as caught:
        read_word_vectors(str(tmp_path / "v.txt"), 2, WORDS)
    assert f"TextFeature: `vectors` must {rule}" in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "rule"),
    [
        ({"words": np.array(["red"])}, "hold the arrays `words` and `vectors`"),
        ({"words": np.array(["red"]), "vectors": np.ones((1, 3))}, "and `vectors` (n, 2)"),
        ({"words": np.array([1]), "vectors": np.ones((1, 2))}, "hold `words`, texts (n,)"),
    ],
)
def test_a_wrong_archive_is_refused(tmp_path: Path, arrays: dict[str, Any], rule: str) -> None:
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(ValueError) as caught:
        read_word_vectors(str(tmp_path / "v.npz"), 2, WORDS)
    assert rule in str(caught.value)


def test_what_is_no_archive_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(ValueError, match="must be a NumPy archive"):
        read_word_vectors(str(tmp_path / "v.npz"), 2, WORDS)
    with pytest.raises(ValueError, match="must name a file of word vectors"):
        read_word_vectors(str(tmp_path / "none.txt"), 2, WORDS)


@pytest.mark.parametrize("tables", [None, "lazy"])
def test_kept_vectors_never_move_and_what_is_above_them_learns(tables: str | None) -> None:
    texts = (
        TextFeature("kept", "words", max_length=4, dim=4, vectors="v.txt", train_vectors=False),
        TextFeature("moved", "words", max_length=4, dim=4),
    )
    inputs = tiny_inputs(tiny_problem(features=texts, sequences=()))
    model = tiny_model(inputs, "shared_bottom")
    features, labels = random_batch(inputs)
    model.compile(keras.optimizers.Adam(0.1), LazyAdam(0.1) if tables else None, run_eagerly=True)
    plan = model.embedding.plan.tables
    before = model.embedding.tables["4"].numpy()
    model.train_on_batch(features, labels)
    model.train_on_batch(features, labels)
    changed = np.abs(model.embedding.tables["4"].numpy() - before).max(axis=1) > 0.0
    kept, moved = (changed[plan[name].start : plan[name].start + plan[name].count] for name in ("kept", "moved"))
    assert not kept.any()
    assert moved[1:6].all()


def test_shrinking_rows_that_are_kept_is_refused() -> None:
    kept = TextFeature("kept", "words", vectors="v.txt", train_vectors=False)
    data: Any = SimpleNamespace(problem=tiny_problem(features=(kept,), sequences=()))
    check_trained_tables(data, TrainOptions())
    with pytest.raises(ValueError, match="fit: `embedding_l2` must be 0 where rows of a table"):
        check_trained_tables(data, TrainOptions(embedding_l2=1e-3))
