"""The network alone: called, saved and loaded by itself, and part of somebody's own Keras model."""

import ast
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem, whole_split
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import encoded_signature
from tfmtl.models import MultiTaskNetwork

MODELS = Path(__file__).parents[3] / "tfmtl" / "models"


def network_of(data: PreparedData) -> tuple[MultiTaskNetwork, keras.Model]:
    model = tiny_model(data.inputs)
    network = MultiTaskNetwork.from_config(model.get_config())
    network.build()
    network.set_weights(model.get_weights())
    return network, model


def test_it_answers_as_the_model_and_knows_nothing_of_training(tiny_data: PreparedData, tmp_path: Path) -> None:
    network, model = network_of(tiny_data)
    features, _ = whole_split(tiny_data, "test")
    expected = model(features)
    for name, values in network(features).items():
        np.testing.assert_array_equal(values, expected[name])
    for attribute in ("balancing", "sharpness", "loss_metrics", "task_losses"):
        assert not hasattr(network, attribute)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert type(loaded) is MultiTaskNetwork
    for name, values in loaded(features).items():
        np.testing.assert_array_equal(values, expected[name])


def test_it_stands_inside_a_functional_model(tiny_data: PreparedData, tmp_path: Path) -> None:
    network, _ = network_of(tiny_data)
    inputs = {
        name: keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=name)
        for name, spec in encoded_signature(tiny_data.problem).items()
    }
    answers = network(inputs)
    together = keras.ops.stack([answers["click"], answers["buy"]], axis=1)
    mine = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(together))
    mine.compile("adam", "binary_crossentropy")
    features, labels = whole_split(tiny_data, "train")
    features = {name: values.numpy() for name, values in features.items()}
    before = [weight.numpy().copy() for weight in network.trainable_weights]
    mine.fit(features, np.nan_to_num(labels["click"].numpy())[:, None], batch_size=128, verbose=0)
    moved = [np.any(old != new) for old, new in zip(before, network.trainable_weights, strict=True)]
    assert sum(moved) > len(moved) // 2
    mine.save(tmp_path / "mine.keras")
    np.testing.assert_allclose(
        keras.saving.load_model(tmp_path / "mine.keras").predict(features, verbose=0),
        mine.predict(features, verbose=0),
        rtol=1e-6,
    )


def test_its_errors_name_it() -> None:
    config = tiny_model(tiny_inputs(tiny_problem())).get_config()
    with pytest.raises(ValueError, match="MultiTaskNetwork: `dropout` must lie in"):
        MultiTaskNetwork.from_config({**config, "dropout": 1.0})


def test_the_modules_of_models_import_each_other_in_one_direction() -> None:
    graph: dict[str, set[str]] = {}
    for path in MODELS.rglob("*.py"):
        name = ".".join(("tfmtl", "models", *path.relative_to(MODELS).with_suffix("").parts)).removesuffix(".__init__")
        found = {
            node.module
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tfmtl.models.")
        }
        graph[name] = found
    left = dict(graph)
    while free := [name for name, needs in left.items() if not needs & set(left)]:
        for name in free:
            del left[name]
    assert left == {}, "these import each other, type annotations included"
