"""What a model asks of its parts: hooks with defaults that are never silently wrong."""

import ast
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmtl
from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem
from tests.unit.models.random_batch import random_batch
from tfmtl.layers import ConcatenationBottom, DTRNBottom, MMoE, SharingLayer, SingleTask
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.models import MultiTaskModel
from tfmtl.schema import NumericFeature

PACKAGE = Path(tfmtl.__file__).parent


class Plain(SharingLayer):
    """An own layer that says nothing about itself."""

    def build(self, input_shape) -> None:
        self.kernel = self.add_weight((input_shape[-1], 3 * 4), name="kernel")

    def call(self, inputs):
        return keras.ops.reshape(keras.ops.matmul(inputs, self.kernel), (-1, 3, 4))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 3, 4)


def plain_model() -> MultiTaskModel:
    model = MultiTaskModel(tiny_inputs(), ConcatenationBottom(), Plain(), tower_units=(4,))
    model.build()
    return model


def probes(text: str) -> list[int]:
    """Lines that ask a bottom or a sharing layer whether it has something."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr"):
            asked = ast.unparse(node.args[0])
            if asked.split(".")[-1] in ("bottom", "sharing", "layer", "embedding"):
                found.append(node.lineno)
    return found


def test_no_part_is_probed() -> None:
    assert probes("x = getattr(model.sharing, 'keeps_tasks_apart', False)\nhasattr(layer, 'private_weights')") == [1, 2]
    found = {
        str(path): lines
        for folder in ("models", "training", "export", "layers")
        for path in (PACKAGE / folder).rglob("*.py")
        if (lines := probes(path.read_text()))
    }
    assert found == {}


def test_an_own_layer_trains_and_is_refused_where_it_says_nothing() -> None:
    model = plain_model()
    features, labels = random_batch(model.inputs)
    model.compile(balancing="pcgrad", run_eagerly=True)
    model.train_on_batch(features, labels)
    assert model.private_weights() == []
    text = r"Plain: `representation_shape` must say where tasks meet before .* Define it: return the shape"
    with pytest.raises(NotImplementedError, match=text):
        model.compile(balancing="pcgrad", balance_at="representation")
    model.compile(balancing="uncertainty", balance_at="representation")  # reads no gradients


@pytest.mark.parametrize(
    ("bottom", "sharing", "text"),
    [
        (keras.layers.Dense(3), Plain(), "`bottom` must be a BottomLayer"),
        (ConcatenationBottom(), keras.layers.Dense(3), "Derive your own from tfmtl.layers.SharingLayer"),
    ],
)
def test_other_layers_are_refused(bottom, sharing, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        MultiTaskModel(tiny_inputs(), bottom, sharing)


@pytest.mark.parametrize("layer", [MMoE(3, 2, (4,)), SingleTask(3, (4,))], ids=lambda layer: type(layer).__name__)
def test_a_single_vector_is_one_representation(layer: SharingLayer) -> None:
    inputs = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    np.testing.assert_array_equal(layer(inputs), layer(inputs[:, None]))
    given = keras.Input((6,))
    model = keras.Model(given, layer(given))
    np.testing.assert_allclose(model(inputs), layer(inputs), rtol=1e-6)
    again = keras.Model.from_config(model.get_config())
    assert again.output_shape == (None, 3, 4)


def test_training_reaches_layers_inside_the_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool | None] = []

    class Recording(FeatureEmbedding):
        def call(self, features, vectors=None, training=None):
            seen.append(training)
            return super().call(features, vectors)

    monkeypatch.setattr("tfmtl.models.multi_task_network.FeatureEmbedding", Recording)
    model = tiny_model(tiny_inputs(), "shared_bottom")
    features, labels = random_batch(model.inputs)
    model.compile(run_eagerly=True)
    model.train_on_batch(features, labels)
    model.test_on_batch(features, labels)
    model(features, training=True)
    model(features)
    assert seen == [True, False, True, False]


def numbers_alone() -> MultiTaskModel:
    features = (NumericFeature("age", transform="z_score"), NumericFeature("views", transform="log_z_score"))
    inputs = tiny_inputs(tiny_problem(features=features, sequences=()))
    model = MultiTaskModel(inputs, ConcatenationBottom(), MMoE(3, 2, (4,)), tower_units=(4,))
    model.build()
    return model


@pytest.mark.parametrize("balance_at", ["parameters", "representation"])
def test_a_model_without_tables_is_balanced(balance_at: str) -> None:
    model = numbers_alone()
    assert not model.embedding.tables
    features, labels = random_batch(model.inputs)
    model.compile(keras.optimizers.SGD(0.1), balancing="pcgrad", balance_at=balance_at, run_eagerly=True)
    before = [weight.numpy() for weight in model.trainable_weights]
    history = model.fit(tf.data.Dataset.from_tensors((features, labels)), verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert any(np.any(old != w.numpy()) for old, w in zip(before, model.trainable_weights, strict=True))


def test_tasks_that_meet_nowhere_are_an_error() -> None:
    inputs = numbers_alone().inputs
    model = MultiTaskModel(inputs, DTRNBottom(3), MMoE(3, 2, (4,)), tower_units=(4,))
    model.build()
    features, labels = random_batch(inputs)
    model.compile(balancing="pcgrad", balance_at="representation", run_eagerly=True)
    with pytest.raises(ValueError, match="`balance_at` must be 'parameters' where a bottom gives each task"):
        model.train_on_batch(features, labels)
