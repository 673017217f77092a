"""The layer of a kind of feature: rows and arrays go in, fields come out, in training, ranking and export."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import ROWS, prepare, tiny_inputs, tiny_log, tiny_model, tiny_problem, whole_split
from tests.support.toy_words import WordFields, WordsFeature
from tests.unit.models.random_batch import random_batch
from tfmtl.balancing import BALANCERS
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import candidate_features, encoded_signature
from tfmtl.export import export
from tfmtl.export.replay import replay
from tfmtl.models import PRESETS, load
from tfmtl.models.growth import grow_tables
from tfmtl.schema import ModelInputs, Problem, SequenceFeature, VectorFeature
from tfmtl.sharpness import SAM

OWN = (
    VectorFeature("picture", 4, "l2", side="item", dim=8),
    WordsFeature("title", side="item"),
    WordsFeature("search", side="user"),
    VectorFeature("taste", 3, side="user", dim=8),
)


def problem() -> Problem:
    plain = tiny_problem()
    looked = SequenceFeature("looked", ("item", "picture", "title"), max_length=3, time_gap_buckets=0)
    return tiny_problem(
        features=(*OWN[:2], *plain.features, *OWN[2:]),
        sequences=(*plain.sequences, looked),
        plugins=("tests.support.toy_words",),
    )


def log() -> pa.Table:
    generator = np.random.default_rng(0)
    words = np.array(["red shoe", "old red shoe", "shoe", "", "blue"])
    columns = {
        "picture": pa.array(generator.normal(size=(ROWS, 4)).tolist()),
        "taste": pa.array(generator.normal(size=(ROWS, 3)).tolist()),
        "title": pa.array(words[generator.integers(0, 5, ROWS)]),
        "search": pa.array(words[generator.integers(0, 5, ROWS)]),
    }
    found = tiny_log()
    for name, values in columns.items():
        found = found.append_column(name, values)
    return found


@pytest.fixture(scope="module")
def inputs() -> ModelInputs:
    return tiny_inputs(problem())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(tmp_path_factory.mktemp("own"), problem(), log=log())


def dense(model: Any) -> list[keras.Variable]:
    return [weight for layer in model.embedding.field_layers.values() for weight in layer.trainable_weights]


# === Fields ===


def test_fields_of_a_kind_come_last_and_are_what_its_layer_says(inputs: ModelInputs) -> None:
    embedding = tiny_model(inputs).embedding
    assert embedding.field_names[-4:] == ("picture", "taste", "title", "search")
    assert list(embedding.field_layers) == ["vector", "toy_words"]  # one of each kind
    features, _ = random_batch(inputs)
    fields = embedding(features)["fields"]
    assert fields.shape[1:] == (len(embedding.field_names), 8)
    table = embedding.tables["8"].numpy()
    start = embedding.plan.tables["title"].start
    ids = features["title"].numpy()
    ends = table[start + ids] * (ids != 0)[..., np.newaxis]
    kernel = embedding.field_layers["toy_words"].kernel.numpy()[0]
    length = features["title__length"].numpy()[:, np.newaxis]
    expected = ends[:, 0] * kernel[0] + ends[:, 1] * kernel[1] + 0.1 * length * kernel[2]
    np.testing.assert_allclose(fields[:, -2], expected, rtol=1e-5, atol=1e-6)


def test_a_problem_of_vectors_alone_is_a_model() -> None:
    model = tiny_model(tiny_inputs(tiny_problem(features=(VectorFeature("v", 3),), sequences=())), "shared_bottom")
    _check_step(model, model.inputs, balancing=BALANCERS["pcgrad"](), balance_at="representation")


# === Training ===


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_learns_what_is_below(inputs: ModelInputs, preset: str) -> None:
    _check_step(tiny_model(inputs, preset), inputs)


@pytest.mark.parametrize("balancing", sorted(BALANCERS))
def test_every_balancer_reaches_the_layers(inputs: ModelInputs, balancing: str) -> None:
    _check_step(tiny_model(inputs), inputs, balancing=BALANCERS[balancing]())


@pytest.mark.parametrize(
    "arguments",
    [
        {"sharpness": SAM()},
        {"sharpness": SAM(decomposed=True), "balancing": BALANCERS["pcgrad"]()},
        {"balancing": BALANCERS["cagrad"](), "balance_at": "representation"},
        {"jit_compile": True, "run_eagerly": False},
    ],
    ids=["sam", "decomposed", "representation", "xla"],
)
def test_every_step_reaches_the_layers(inputs: ModelInputs, arguments: dict[str, Any]) -> None:
    _check_step(tiny_model(inputs, "shared_bottom"), inputs, **arguments)


def test_mixed_precision_keeps_float32_weights(inputs: ModelInputs) -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny_model(inputs)
    finally:
        keras.config.set_dtype_policy(policy)
    _check_step(model, inputs)
    assert {weight.dtype for weight in dense(model)} == {"float32"}
    features, _ = random_batch(inputs)
    assert model.embedding(features)["fields"].dtype == tf.bfloat16


def _check_step(model: Any, inputs: ModelInputs, **arguments: Any) -> None:
    features, labels = random_batch(inputs)
    model.compile(keras.optimizers.SGD(0.1), **{"run_eagerly": True, **arguments})
    before = [weight.numpy() for weight in dense(model)]
    assert before
    model.train_on_batch(features, labels)
    for old, weight in zip(before, dense(model), strict=True):
        assert np.isfinite(weight.numpy()).all()
        assert np.abs(weight.numpy() - old).max() > 0.0, weight.path


def test_a_kind_that_changes_ids_does_it_once_a_step(inputs: ModelInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WordFields, "drop", 0.5)
    model = tiny_model(inputs)
    model.compile(keras.optimizers.SGD(0.1), sharpness=SAM(), run_eagerly=True)
    layer = model.embedding.field_layers["toy_words"]
    seen: list[np.ndarray] = []
    original = WordFields.call

    def spy(self: Any, rows: Any, masks: Any, *rest: Any, **named: Any) -> Any:
        if "search" in masks:  # of the examples, not of their events
            seen.append(masks["title"].numpy())
        return original(self, rows, masks, *rest, **named)

    monkeypatch.setattr(WordFields, "call", spy)
    features, labels = random_batch(inputs)
    model.train_on_batch(features, labels)
    assert layer.augmented == 1
    assert len(seen) == 2  # the second pass of SAM
    np.testing.assert_array_equal(seen[0], seen[1])
    assert seen[0].sum() < np.count_nonzero(features["title"])
    seen.clear()
    model(features, training=False)
    assert seen[0].sum() == np.count_nonzero(features["title"])


# === Ranking ===


def test_what_is_the_users_enters_a_layer_in_one_row(inputs: ModelInputs) -> None:
    model = tiny_model(inputs)
    randomize_weights(model)
    generator = np.random.default_rng(3)
    candidates = {each.key for each in inputs.problem.tensors if each.side == "item"}
    assert {"picture", "picture__missing", "title", "title__length"} <= candidates
    assert "picture" in candidate_features(inputs.problem)
    features = {}
    for name, spec in encoded_signature(inputs.problem).items():
        shape = (5 if name in candidates else 1, *spec.shape[1:])
        values = generator.normal(size=shape) if spec.dtype == tf.float32 else generator.integers(1, 4, shape)
        features[name] = tf.constant(values, spec.dtype)
    layers = model.embedding.field_layers
    entered: list[dict[str, int]] = []
    original = type(layers["vector"]).call

    def spy(self: Any, rows: Any, masks: Any, arrays: Any, training: bool = False) -> Any:
        entered.append({name: int(values.shape[0]) for name, values in arrays.items()})
        return original(self, rows, masks, arrays, training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(layers["vector"]), "call", spy)
        found = model(features)
    events = inputs.problem.sequences[-1].max_length
    assert entered == [
        {"picture": 5, "picture__missing": 5, "taste": 1, "taste__missing": 1},
        {"picture": events, "picture__missing": events},  # of one user
    ]
    assert layers["toy_words"].entered[-2:] == [
        {"title": 5, "search": 1, "title__length": 5, "search__length": 1},
        {"title": events, "title__length": events},
    ]
    repeated = {name: tf.repeat(v, 5, axis=0) if len(v) == 1 else v for name, v in features.items()}
    for task, values in model(repeated).items():
        np.testing.assert_allclose(found[task], values, rtol=1e-5)


# === Kept ===


def test_records_requests_and_files_agree(data: PreparedData, tmp_path: Path) -> None:
    model = tiny_model(data.inputs)
    randomize_weights(model)
    model.save(tmp_path / "model.keras")
    features, _ = whole_split(data, "test")
    expected = model(features)
    loaded = load(tmp_path / "model.keras")
    for name, values in loaded(features).items():
        np.testing.assert_array_equal(values, expected[name])
    result = replay(export(loaded, data, tmp_path / "export" / "tiny"))
    assert {"serving_default", "serve_examples", "rank"} <= set(result.differences)
    assert result.largest < 1e-5
    for name, values in grow_tables(loaded, data)(features).items():
        np.testing.assert_array_equal(values, expected[name])
