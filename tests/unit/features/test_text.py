"""Texts: what is read, fitted, encoded, proposed, and made of them in the model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem
from tests.unit.models.random_batch import random_batch
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features import behavior_of
from tfmtl.features.feature_behavior import TABLE, FittedState
from tfmtl.preprocessing.fitting.analyze import merge_counts
from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.feature_guess import guess_feature
from tfmtl.schema import CategoricalFeature, ModelInputs, Problem, ProblemError, TextFeature

SMALL = {"max_length": 4, "max_ngrams": 8, "buckets": 50, "min_count": 1}
TEXTS = ["the red shoe", "The red shoe!", None, "a b", "", "red", "?!"]


def small_problem(feature: TextFeature) -> Problem:
    return tiny_problem(features=(feature,), sequences=())


def counted(feature: TextFeature, texts: list[Any], parts: int = 1) -> dict[Any, pa.Table]:
    made = behavior_of(feature, small_problem(feature))
    batches = [pa.record_batch({"t": pa.array(list(part), pa.string())}) for part in np.array_split(texts, parts)]
    tables: dict[Any, list[pa.Table]] = {}
    for batch in batches:
        for key, table in made.count(batch).items():
            tables.setdefault(key, []).append(table)
    return {key: merge_counts(each) for key, each in tables.items()}


def behavior(feature: TextFeature, texts: list[Any] = TEXTS) -> Any:
    made = behavior_of(feature, small_problem(feature))
    state = made.fit(counted(feature, texts))
    empty: dict[str, Any] = {}
    statistics = TransformStatistics(
        state.vocabularies, state.vocabulary_counts, empty, empty, empty, empty, empty, states=state.states
    )

    def vocabulary(table: str) -> tf.lookup.StaticHashTable:
        words = state.vocabularies[table]
        initializer = tf.lookup.KeyValueTensorInitializer(list(words), list(range(len(words))), tf.string, tf.int64)
        return tf.lookup.StaticHashTable(initializer, -1)

    made.load(FittedState(statistics, vocabulary))
    return made


# === Read ===


def test_what_is_not_utf8_is_rejected_with_its_reason() -> None:
    column = pa.array([b"fine", b"caf\xe9", None, "caf\u00e9".encode()], pa.binary())
    rejections = Rejections(4)
    raw = RawColumns(pa.record_batch({"t": column}), rejections)
    feature = TextFeature("t", **SMALL)
    found = behavior_of(feature, small_problem(feature)).read(raw)
    assert found["t"].to_pylist() == ["fine", None, None, "café"]
    assert rejections.reasons == [(1, "column 't' is not UTF-8 text")]


@pytest.mark.parametrize("bad", [b"caf\xe9", b"\xff", b"\xed\xa0\x80"])
def test_a_request_that_is_not_utf8_is_refused(bad: bytes) -> None:
    made = behavior(TextFeature("t", **SMALL))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Feature 't' must hold text in UTF-8"):
        made.encode({"t": tf.constant([b"fine", bad])})


# === Fitted ===


def test_words_are_counted_as_often_as_they_are_read() -> None:
    feature = TextFeature("t", **SMALL)
    [(key, table)] = counted(feature, ["a b a", "a b a", None, "one two three four five"], parts=2).items()
    assert key == (TABLE, "t")
    found = dict(zip(table["value"].to_pylist(), table["count"].to_pylist(), strict=True))
    assert found == {"a": 4, "b": 2, "one": 1, "two": 1, "three": 1, "four": 1}, "the fifth word is never read"


def test_the_vocabulary_is_cut_and_another_day_appends() -> None:
    feature = TextFeature("t", **{**SMALL, "min_count": 2, "max_size": 3, "max_length": 9})
    made = behavior_of(feature, small_problem(feature))
    state = made.fit(counted(feature, ["b b a a a", "c", "z z"]))
    assert state.vocabularies == {"t": ("a", "b", "z")}
    assert state.vocabulary_counts == {"t": (3, 2, 2)}
    assert not state.notes
    assert made.fit({}).notes == ("no word of text 't' occurs 2 times (`min_count`) in the training rows.",)
    short = made.fit(counted(feature, ["b b", "c"]))
    after = made.extend(short, counted(feature, ["new new", "newer newer", "newest newest", "b b", "c"]))
    assert after.vocabularies == {"t": ("b", "new", "newer")}


def test_runs_alone_need_no_fit() -> None:
    made = behavior(TextFeature("t", "ngrams", **SMALL))
    assert made.count(pa.record_batch({"t": ["a"]})) == {}
    assert made.table_rows(None) == {"t__ngrams": 52}
    [(key, ids)] = made.encode({"t": tf.constant(["shoe", ""])}).items()
    assert key == "t__ngrams"
    assert np.count_nonzero(ids, axis=1).tolist() == [8, 0]


# === Encoded ===


def test_ids_of_words_and_runs() -> None:
    made = behavior(TextFeature("t", **SMALL))
    words = ["red", "shoe", "the", "a", "b"]
    found = made.encode({"t": tf.constant([text or "" for text in TEXTS] + ["RED unknown"])})
    ids = {word: number for number, word in enumerate(words, 2)}
    the = [ids["the"], ids["red"], ids["shoe"], 0]
    assert found["t"].numpy().tolist() == [
        the, the, [0] * 4, [ids["a"], ids["b"], 0, 0], [0] * 4, [ids["red"], 0, 0, 0], [0] * 4, [ids["red"], 1, 0, 0],
    ]  # fmt: skip
    runs = found["t__ngrams"].numpy()
    assert runs.shape == (8, 8)
    assert runs.max() < 52
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.count_nonzero(runs, axis=1).tolist() == [8, 8, 0, 2, 0, 6, 0, 8]  # <r re ed ... and so on, to 8


def test_a_text_is_encoded_alike_wherever_it_stands() -> None:
    made = behavior(TextFeature("t", **SMALL))
    texts = [text or "" for text in TEXTS[:6]]
    whole = made.encode({"t": tf.constant(texts)})
    folded = made.encode({"t": tf.reshape(tf.constant(texts), (2, 3))})
    single = [made.encode({"t": tf.constant(text)}) for text in texts]
    graph = tf.function(made.encode, input_signature=[{"t": tf.TensorSpec((None,), tf.string)}])
    for key, values in whole.items():
        np.testing.assert_array_equal(tf.reshape(folded[key], (6, -1)), values)
        np.testing.assert_array_equal(np.stack([each[key] for each in single]), values)
        np.testing.assert_array_equal(graph({"t": tf.constant(texts)})[key], values)
        assert graph.get_concrete_function().structured_outputs[key].shape[1:] == values.shape[1:]


# === Proposed ===


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"What {n} people said about the old shoe" for n in range(50)], "text"),
        ([f"What {n % 5} people said about the old shoe" for n in range(50)], "categorical"),
        ([f"shoe{n}" for n in range(50)], "categorical"),
        ([f"What {n % 1000} people said about the old shoe" for n in range(4000)], "text"),
    ],
)
def test_infer_proposes_text_for_many_sentences(values: list[str], kind: str) -> None:
    entry = guess_feature(ColumnProfile("t", pa.chunked_array([values]), len(values)), "t", "context")
    assert entry.values["kind"] == kind
    assert kind != "text" or "free text" in entry.why


# === In the model ===


@pytest.fixture(scope="module")
def inputs() -> ModelInputs:
    made = {"max_length": 5, "max_ngrams": 6, "buckets": 9}
    texts = (
        TextFeature("a", **made, side="item"),
        TextFeature("b", "words", "convolution", **made, side="user", dim=8),
        TextFeature("c", "ngrams", "gru", **made),
        TextFeature("d", "both", "transformer", **made, table="shared"),
        TextFeature("e", "both", "mean", **made, table="shared"),
    )
    return tiny_inputs(tiny_problem(features=(CategoricalFeature("user"), *texts), sequences=()))


def fields(model: Any, features: Any) -> dict[str, np.ndarray]:
    found = np.asarray(model.embedding(features)["fields"])
    return {name: found[:, place] for place, name in enumerate(model.embedding.field_names)}


def missing(features: Any, *names: str) -> dict[str, tf.Tensor]:
    gone = [key for key in features if key.split("__")[0] in names]
    return {**features, **{key: tf.zeros_like(features[key]) for key in gone}}


@pytest.mark.parametrize("preset", ["mmoe", "stem"])
def test_a_missing_text_is_a_learned_vector_and_others_do_not_move(inputs: ModelInputs, preset: str) -> None:
    model = tiny_model(inputs, preset)
    features, _ = random_batch(inputs)
    before, after = fields(model, features), fields(model, missing(features, "a", "c", "d"))
    layer = model.embedding.field_layers["text"]
    for name, vector in layer.missing.items():
        if name in "acd":
            np.testing.assert_allclose(after[name], np.tile(vector.numpy(), (16, 1)), rtol=1e-6)
            assert np.abs(before[name] - after[name]).max() > 1e-4
        else:
            np.testing.assert_array_equal(before[name], after[name])


def test_copies_of_embeddings_do_not_mix(inputs: ModelInputs) -> None:
    model = tiny_model(inputs, "stem")
    features, _ = random_batch(inputs)
    copies = model.embedding.copies
    assert copies > 1
    before = fields(model, features)
    width = model.embedding.plan.dim // copies
    for table in model.embedding.tables.values():
        values = table.numpy()
        own = values.shape[1] // copies
        values[:, :own] += 1.0  # the first copy alone
        table.assign(values)
    for name, after in fields(model, features).items():
        np.testing.assert_array_equal(before[name][:, width:], after[:, width:], err_msg=name)
        assert np.abs(before[name][:, :width] - after[:, :width]).max() > 1e-3, name


def test_a_mean_does_not_see_the_order(inputs: ModelInputs) -> None:
    model = tiny_model(inputs)
    features, _ = random_batch(inputs)
    turned = {key: ids[:, ::-1] if ids.shape.rank == 2 else ids for key, ids in features.items()}
    before, after = fields(model, features), fields(model, turned)
    for name in "ae":
        np.testing.assert_allclose(before[name], after[name], rtol=1e-5, atol=1e-6)


# === The problem ===


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tokens": "bytes"}, "`tokens` must be one of ['words', 'ngrams', 'both']. Received: tokens='bytes'."),
        ({"encoder": "lstm"}, "`encoder` must be one of"),
        ({"max_length": 0}, "`max_length` must be an int of at least 1. Received: max_length=0."),
        ({"ngrams": (5, 3)}, "`ngrams` must be a shortest and a longest length, at least 1. Received: ngrams=[5, 3]."),
        ({"ngrams": (3,)}, "`ngrams` must be"),
        ({"dropout": 1.0}, "`dropout` must lie in [0, 1)"),
        ({"vectors": "w.txt", "tokens": "ngrams"}, "`vectors` must stand beside words. Received: tokens='ngrams'."),
        ({"train_vectors": False}, "`train_vectors: false` must stand beside `vectors`"),
    ],
)
def test_keys_are_checked(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        TextFeature(**{"name": "t", **changes})
    assert text in str(caught.value)


def test_texts_that_share_a_table_agree() -> None:
    one = TextFeature("one", table="words")
    with pytest.raises(ProblemError, match="share table 'words' but differ in `min_count`: 2 and 9"):
        tiny_problem(features=(one, replace(one, name="two", min_count=9)), sequences=())
    with pytest.raises(ProblemError, match="table 'one' is used by"):
        tiny_problem(features=(TextFeature("one"), CategoricalFeature("two", table="one")), sequences=())
