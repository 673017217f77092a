"""Ranking gives what the examples one by one give, and does the user's part once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import keyless_problem, tiny_inputs, tiny_model, tiny_problem
from tfmtl.core.rows import parts_of_equal_rows, with_equal_rows
from tfmtl.data.example_spec import candidate_features, encoded_signature, rank_signature
from tfmtl.export.raw_batch import to_rank_tensors, to_tensors
from tfmtl.export.serving_module import signature_specs
from tfmtl.models import PRESETS, MultiTaskModel
from tfmtl.models.shared_rows import products_of_shared_rows
from tfmtl.schema import CategoricalFeature, ModelInputs

CANDIDATES = 5


def encoded_user_and_items(inputs: ModelInputs) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Random encoded features: the user's in one row, the candidates' in several; some values are missing."""
    generator = np.random.default_rng(7)
    candidates = candidate_features(inputs.problem)
    user, items = {}, {}
    for name, spec in encoded_signature(inputs.problem).items():
        shape = (CANDIDATES if name in candidates else 1, *spec.shape[1:])
        values = generator.normal(size=shape) if spec.dtype == tf.float32 else generator.integers(0, 4, shape)
        (items if name in candidates else user)[name] = tf.constant(values, spec.dtype)
    for sequence in inputs.problem.sequences:  # padded at the end, as the transformation leaves them
        for key in (name for name in user if name.startswith(f"{sequence.name}__")):
            ids = np.maximum(user[key].numpy(), 1)
            ids[:, 2:] = 0
            user[key] = tf.constant(ids)
    return user, items


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        *[(preset, {}) for preset in PRESETS],
        *[(preset, {"pooling": "target"}) for preset in ("dtrn", "dephn", "apem", "ple")],
        *[(preset, {"pooling": "sdim"}) for preset in ("dtrn", "stem", "ple")],
        *[("dtrn", {"encoder": encoder, "num_layers": 2}) for encoder in ("shared", "independent")],
        *[("interaction", {"kind": kind}) for kind in ("fm", "cin", "autoint", "senet", "fibinet")],
    ],
)
def test_every_model_ranks_as_it_scores(preset: str, options: dict[str, Any]) -> None:
    inputs = tiny_inputs()
    model = tiny_model(inputs, preset, **options)
    randomize_weights(model)
    for weight in model.trainable_weights:
        weight.assign(0.3 * weight)
    user, items = encoded_user_and_items(inputs)
    repeated = {name: tf.repeat(value, CANDIDATES, axis=0) for name, value in user.items()}
    expected = model({**repeated, **items}, training=False)
    found = model({**user, **items}, training=False)
    for task, values in expected.items():
        assert len(set(values.numpy().tolist())) > 1, "the candidates differ, so must their scores"
        np.testing.assert_allclose(found[task], values, rtol=1e-6, atol=1e-6)


def test_what_is_the_users_stays_one_row() -> None:
    inputs = tiny_inputs()
    model = tiny_model(inputs, "dtrn")
    user, items = encoded_user_and_items(inputs)
    embedded = model.embedding({**user, **items})
    assert embedded["fields"].shape[0] == embedded["queries"].shape[0] == CANDIDATES
    assert embedded["events"].shape[0] == embedded["event_mask"].shape[0] == 1
    assert model.bottom.interests(embedded).shape[0] == 1


def test_sequences_of_what_no_candidate_has() -> None:
    """Every query is the user's then, and stays one row too."""
    features = (
        CategoricalFeature("item", dim=8, side="item"),
        CategoricalFeature("device", dim=8),
        CategoricalFeature("user", dim=8, side="user"),
    )
    sequences = (tiny_problem().sequences[2].__class__("used", ("device",), max_length=3, time_gap_buckets=0),)
    inputs = tiny_inputs(tiny_problem(features=features, sequences=sequences))
    model = tiny_model(inputs, "mmoe", pooling="target")
    randomize_weights(model)
    user, items = encoded_user_and_items(inputs)
    assert model.embedding({**user, **items})["queries"].shape[0] == 1
    repeated = {name: tf.repeat(value, CANDIDATES, axis=0) for name, value in user.items()}
    expected, found = model({**repeated, **items}), model({**user, **items})
    for task, values in expected.items():
        np.testing.assert_allclose(found[task], values, rtol=1e-6, atol=1e-6)


# === The exported signature ===


@pytest.fixture(scope="module")
def loaded(version: Path) -> Any:
    return tf.saved_model.load(str(version))


@pytest.mark.parametrize("count", [0, 1, 2, 64, 500])
def test_signature_ranks_as_serving_default_scores(
    loaded: Any, golden: list, model: MultiTaskModel, count: int
) -> None:
    names = candidate_features(model.inputs.problem)
    requests = [item["features"] for item in golden]
    user = next(request for request in requests if request["clicked__item"] and request["seen__topic"])
    items = [requests[row % len(requests)] for row in range(count)]
    rank, serve = loaded.signatures["rank"], loaded.signatures["serving_default"]
    found = rank(**to_rank_tensors(user, items, rank.structured_input_signature[1]))
    rows = [{**user, **{name: item[name] for name in names}} for item in items]
    expected = serve(**to_tensors(rows, serve.structured_input_signature[1]))
    assert set(found) == set(expected)
    for task, values in expected.items():
        assert found[task].shape == (count,)
        scale = np.maximum(1.0, np.abs(values))
        np.testing.assert_allclose(found[task] / scale, values / scale, rtol=0.0, atol=1e-6)


def test_two_users_are_refused(loaded: Any, golden: list) -> None:
    rank = loaded.signatures["rank"]
    signature = rank.structured_input_signature[1]
    tensors = to_rank_tensors(golden[0]["features"], [golden[1]["features"]] * 2, signature)
    two = {**tensors, "user": tf.constant(["u1", "u2"])}
    with pytest.raises((TypeError, ValueError, tf.errors.InvalidArgumentError)):
        rank(**two)


def test_golden_rankings_cross_users_and_items(version: Path, golden: list) -> None:
    lines = (version / "assets.extra" / "golden_rank.jsonl").read_text(encoding="utf-8").splitlines()
    for row, ranking in enumerate(json.loads(line) for line in lines):
        assert len(ranking["candidates"]) == len(golden)
        assert ranking["response"]["click"][row] == pytest.approx(golden[row]["response"]["click"], rel=1e-5)
        assert len(set(ranking["response"]["click"])) > 8


def test_signature_needs_features_of_items() -> None:
    problem = tiny_problem()
    assert "rank" in signature_specs(problem)
    without = tuple(feature for feature in keyless_problem().features if feature.side != "item")
    assert set(signature_specs(tiny_problem(features=without, sequences=()))) == {"serving_default", "serve_examples"}


def test_signature_of_time_and_lists() -> None:
    signature = rank_signature(tiny_problem())
    shapes = {name: signature[name].shape.as_list() for name in ("time", "tags", "item", "clicked__item", "device")}
    assert shapes == {"time": [1], "tags": [None, None], "item": [None], "clicked__item": [1, None], "device": [1]}


# === Rows ===


def test_equal_rows() -> None:
    one, many = tf.constant([[1.0, 2.0]]), tf.constant([[3.0], [4.0], [5.0]])
    repeated, same = with_equal_rows([one, many])
    assert repeated.numpy().tolist() == [[1.0, 2.0]] * 3
    assert same is many
    assert with_equal_rows([one, one])[0] is one
    assert [list(part) for part in parts_of_equal_rows({"a": one, "b": many, "c": one})] == [["a", "c"], ["b"]]
    assert parts_of_equal_rows({"b": many}) == [{"b": many}]


def test_training_graphs_stay_as_they_were() -> None:
    """Where every batch is of unknown size, nothing is repeated."""

    @tf.function
    def join(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        return tf.concat(with_equal_rows([first, second]), axis=1)

    spec = tf.TensorSpec((None, 2))
    operations = {operation.type for operation in join.get_concrete_function(spec, spec).graph.get_operations()}
    assert operations <= {"Placeholder", "ConcatV2", "Const", "Identity", "NoOp"}


def test_the_users_fields_are_multiplied_once() -> None:
    inputs = tiny_inputs()
    model = tiny_model(inputs, "mmoe")
    user, items = encoded_user_and_items(inputs)
    plan = model.embedding.plan

    def products(features: dict[str, tf.Tensor]) -> Any:
        vectors = model.bottom(model.embedding(features))
        return products_of_shared_rows(plan, model.bottom, model.sharing, features, vectors), vectors

    found, vectors = products({**user, **items})
    assert set(found) == set(model.sharing.input_layers)
    columns = [column for start, stop in next(iter(found.values())).rest for column in range(start, stop)]
    of_items = {each.field for each in (*plan.scalars, *plan.lists, *plan.numbers) if each.key in items}
    own = {name for place, name in enumerate(plan.field_names) if place * plan.dim in columns}
    assert own == of_items
    assert len(columns) < vectors.shape[-1]
    for layer, given in found.items():
        assert given.product.shape[0] == 1
        expected = tf.matmul(vectors[:, 0], layer.joined_kernel())
        np.testing.assert_allclose(given.complete(vectors[:, 0], layer.joined_kernel()), expected, atol=1e-5)
    repeated = {name: tf.repeat(value, CANDIDATES, axis=0) for name, value in user.items()}
    assert products({**repeated, **items})[0] == {}
    assert products({**user, **{name: value[:1] for name, value in items.items()}})[0] == {}
